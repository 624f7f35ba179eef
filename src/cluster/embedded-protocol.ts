// What host and participants of the embedded coordinator say to each other over its socket: one JSON object per line.
// Pure but for `lineReader`, which is fed bytes. The first line each way is a hello with the version; then calls one way,
// answers (by id, in any order) and hints the other.
import { type ErrorCode, ZringError } from '../common/errors.ts';
import type { Hint } from './coordinator.ts';
import type { Call, CallMethod } from './coordinator-call.ts';

export const EMBEDDED_PROTOCOL_VERSION = 3;
/** The largest message is a page of records, about 0.4 KB each; this also bounds what an unread socket may pile up. */
export const LINE_BYTES_MAX = 32 << 20;

export interface Hello {
  readonly hello: number;
  readonly cluster: string;
}

export interface Refusal {
  readonly code: ErrorCode;
  readonly message: string;
}

export interface CallLine {
  readonly id: number;
  readonly call: Call;
}

export type HostLine =
  | Hello
  | { readonly refused: Refusal }
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly error: Refusal }
  | { readonly hint: Hint };

export function lineOf(message: Hello | CallLine | HostLine): string {
  return `${JSON.stringify(message)}\n`;
}

/** @returns takes chunks, calls `onLine` for each whole line; it throws LIMIT_EXCEEDED when a line grows too long. */
export function lineReader(onLine: (message: unknown) => void): (chunk: Buffer) => void {
  let parts: Buffer[] = [];
  let bytes = 0;
  return (chunk) => {
    let rest = chunk;
    for (let end = rest.indexOf(10); end >= 0; end = rest.indexOf(10)) {
      const line = Buffer.concat([...parts, rest.subarray(0, end)]);
      parts = [];
      bytes = 0;
      rest = rest.subarray(end + 1);
      onLine(JSON.parse(line.toString('utf8')));
    }
    bytes += rest.length;
    if (bytes > LINE_BYTES_MAX) {
      throw new ZringError('LIMIT_EXCEEDED', 'a message to the coordinator is too long', {
        details: { limit: 'coordinatorLineBytes', max: LINE_BYTES_MAX },
      });
    }
    if (rest.length > 0) parts.push(rest);
  };
}

const METHODS: Record<CallMethod, number> = {
  state: 0,
  declareRegress: 1,
  markReported: 2,
  readMap: 0,
  mapStamp: 0,
  commitMap: 2,
  // What the disk says was not said by earlier releases.
  acquireLease: 5,
  releaseLease: 2,
  leases: 0,
  readRecord: 1,
  casRecord: 3,
  changesSince: 2,
  readCredentials: 1,
  offerCredentials: 1,
};

/** Null for what is no call. What the arguments hold is checked where they are used. */
export function parseCallLine(message: unknown): CallLine | null {
  const { id, call } = (message ?? {}) as Partial<CallLine>;
  if (!Number.isSafeInteger(id) || typeof call !== 'object' || call === null) return null;
  const { method, args } = call as Partial<Call>;
  if (typeof method !== 'string' || !Object.hasOwn(METHODS, method)) return null;
  if (!Array.isArray(args)) return null;
  const optional = method === 'acquireLease' ? 1 : 0;
  if (args.length > METHODS[method] || args.length < METHODS[method] - optional) return null;
  return { id: id as number, call };
}

/** Null when the two can talk. */
export function helloProblem(message: unknown, cluster: string): Refusal | null {
  const hello = (message ?? {}) as Partial<Hello>;
  if (hello.hello !== EMBEDDED_PROTOCOL_VERSION) {
    const text = `the coordinator's socket speaks version ${EMBEDDED_PROTOCOL_VERSION}, not ${hello.hello}`;
    return { code: 'VERSION_UNSUPPORTED', message: text };
  }
  if (hello.cluster === cluster) return null;
  return {
    code: 'CONFIG_INVALID',
    message: `the coordinator folder belongs to cluster ${cluster}, not ${hello.cluster}`,
  };
}

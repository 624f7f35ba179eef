// The ownership methods of the peer protocol: names, request and answer shapes, and their strict reading. Pure.
// Every method is idempotent: an answer that was lost is asked for again.
import { isZringError, ZringError } from '../common/errors.ts';
import { formatTerm, parseTerm } from '../common/term.ts';
import { isId } from '../store/ids.ts';
import type { HandoffPromise, Role } from './state.ts';

export const METHODS = {
  describe: 'ownership.describe',
  snapshot: 'ownership.snapshot',
  stream: 'ownership.stream',
  drain: 'ownership.drain',
  refuse: 'ownership.refuse',
  released: 'ownership.released',
  refused: 'ownership.refused',
  poke: 'ownership.poke',
  current: 'ownership.current',
  witness: 'ownership.witness',
  blob: 'ownership.blob',
} as const;

export interface SnapshotRef {
  readonly name: string;
  readonly guid: string;
}

export interface CopySnapshot extends SnapshotRef {
  /** The bucket's own, made by zring, and held by it. */
  readonly kept: boolean;
}

/** What a node has of a dataset id; `role` null = nothing. */
export interface CopyDescription {
  readonly role: Role | null;
  readonly term: string | null;
  readonly promised: boolean;
  readonly createdMs: number;
  /** An older release does not say it. */
  readonly creator: string | null;
  /** Oldest first. */
  readonly snapshots: readonly CopySnapshot[];
  /** Every one of them may be asked for; an older release sends only those of moves. */
  readonly sendsAll: boolean;
}

const DATASET = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/;

export class Fields {
  readonly #value: Record<string, unknown>;
  readonly #method: string;

  constructor(value: unknown, method: string) {
    if (typeof value !== 'object' || value === null) throw refuse(method, 'not an object');
    this.#value = value as Record<string, unknown>;
    this.#method = method;
  }

  text(key: string): string {
    const value = this.#value[key];
    if (typeof value !== 'string' || value.length === 0 || value.length > 256) throw refuse(this.#method, key);
    return value;
  }

  textOrNull(key: string): string | null {
    return this.#value[key] === null || this.#value[key] === undefined ? null : this.text(key);
  }

  count(key: string): number {
    const value = this.#value[key];
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) throw refuse(this.#method, key);
    return value;
  }

  dataset(): string {
    const value = this.text('dataset');
    if (!DATASET.test(value)) throw refuse(this.#method, 'dataset');
    return value;
  }

  id(): string {
    const value = this.text('id');
    if (!/^[0-9a-f]{32}$/.test(value)) throw refuse(this.#method, 'id');
    return value;
  }

  /** Of a data file. */
  blob(): string {
    const value = this.text('blob');
    if (!isId(value)) throw refuse(this.#method, 'blob');
    return value;
  }

  list(key: string): readonly unknown[] {
    const value = this.#value[key];
    if (!Array.isArray(value)) throw refuse(this.#method, key);
    return value;
  }

  flag(key: string): boolean {
    return this.#value[key] === true;
  }
}

function refuse(method: string, what: string): ZringError {
  return new ZringError('PEER_PROTOCOL', `${method}: ${what} is not as expected`, { subject: method });
}

export function writePromise(promise: HandoffPromise): Record<string, string> {
  return { to: promise.to, term: formatTerm(promise.term), snapshot: promise.snapshot, guid: promise.guid };
}

export function readPromise(value: unknown): HandoffPromise {
  const fields = new Fields(value, METHODS.drain);
  const term = parseTerm(fields.text('term'));
  if (!term) throw refuse(METHODS.drain, 'term');
  return { to: fields.text('to'), term, snapshot: fields.text('snapshot'), guid: fields.text('guid') };
}

export function readDescription(value: unknown): CopyDescription {
  const fields = new Fields(value, METHODS.describe);
  return {
    role: fields.textOrNull('role') as Role | null,
    term: fields.textOrNull('term'),
    promised: fields.flag('promised'),
    createdMs: fields.count('createdMs'),
    creator: fields.textOrNull('creator'),
    sendsAll: fields.flag('sendsAll'),
    snapshots: fields.list('snapshots').map((item) => {
      const snapshot = new Fields(item, METHODS.describe);
      return { name: snapshot.text('name'), guid: snapshot.text('guid'), kept: snapshot.flag('kept') };
    }),
  };
}

/** A replica asks whether it is as new as its owner: `guid` is of the newest shared snapshot it has. */
export interface Asked {
  readonly dataset: string;
  readonly id: string;
  readonly guid: string;
}

/** Datasets in one question. */
export const ASKED_MAX = 1_000;

export function readAsked(value: unknown): Asked[] {
  const items = new Fields(value, METHODS.current).list('datasets');
  if (items.length > ASKED_MAX) throw refuse(METHODS.current, 'datasets');
  return items.map((item) => {
    const fields = new Fields(item, METHODS.current);
    return { dataset: fields.dataset(), id: fields.id(), guid: fields.text('guid') };
  });
}

export function readBehind(value: unknown): string[] {
  const names = new Fields(value, METHODS.current).list('behind');
  return names.filter((name): name is string => typeof name === 'string');
}

export function failureOf(error: unknown): { code: ZringError['code']; message: string; details?: unknown } {
  if (isZringError(error)) return { code: error.code, message: error.message, details: error.details };
  return { code: 'INTERNAL', message: error instanceof Error ? error.message : String(error) };
}

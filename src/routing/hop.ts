// The hop header: what one node tells another about the message it sends, as one line of `name=value;…`. Pure. It is
// signed (src/routing/peer-auth.ts) and read on the peer listener only. Unknown names are ignored, so that a newer node
// can add some without raising the version. docs/PEER-PROTOCOL.md describes every field.

export const HOP_HEADER = 'zring-hop';
export const AUTH_HEADER = 'zring-auth';
/** On every answer of a peer listener: `v=<spoken>;max=<understood>`. */
export const PEER_HEADER = 'zring-peer';
/** Typed refusal of a forwarded request: JSON of NotOwnerDetails, with status 421. */
export const NOT_OWNER_HEADER = 'zring-not-owner';
export const NOT_OWNER_STATUS = 421;
/** Refusal of the peer listener itself (authentication, version, protocol): JSON of an error; nothing was applied. */
export const PEER_ERROR_HEADER = 'zring-peer-error';

/**
 * How the body travels, and how its original framing is restored:
 *   none     the sender declared no body (an HTTP client may add `Content-Length: 0`, which is removed again)
 *   empty    Content-Length: 0
 *   exact    Content-Length as on the wire; the body was buffered by the entry and is sent with the head
 *   stream   one byte that is not part of the body comes with the head, the rest after the receiver's go-ahead (102);
 *            `length` is the original Content-Length, null = chunked
 */
export type HopBody =
  | { readonly kind: 'none' | 'empty' | 'exact' }
  | { readonly kind: 'stream'; readonly length: number | null };

export interface HopMessage {
  /** Version of the peer protocol that this message is written in, and the highest its sender understands. */
  readonly version: number;
  readonly versionMax: number;
  readonly from: string;
  readonly to: string;
  readonly requestId: string;
}

export interface ForwardHop extends HopMessage {
  readonly kind: 'forward';
  readonly epoch: number;
  /** The client's address and whether it came over TLS, as the entry node saw it. */
  readonly address: string;
  readonly secure: boolean;
  /** The client sent `Expect: 100-continue`; the header is restored because it may be looked at. */
  readonly expects: boolean;
  readonly body: HopBody;
}

export interface ControlHop extends HopMessage {
  readonly kind: 'control';
  /** SHA-256 of the JSON body, hex: the body is covered by the signature too. */
  readonly bodySha256: string;
}

export type Hop = ForwardHop | ControlHop;

export function formatHop(hop: Hop): string {
  const head = `v=${hop.version};max=${hop.versionMax};kind=${hop.kind};from=${hop.from};to=${hop.to};id=${hop.requestId}`;
  if (hop.kind === 'control') return `${head};sha256=${hop.bodySha256}`;
  const expects = hop.expects ? ';expects=1' : '';
  const secure = hop.secure ? 1 : 0;
  return `${head};epoch=${hop.epoch};addr=${hop.address};secure=${secure}${expects};body=${formatBody(hop.body)}`;
}

function formatBody(body: HopBody): string {
  if (body.kind !== 'stream') return body.kind;
  return `stream:${body.length === null ? 'chunked' : body.length}`;
}

const NODE_ID = /^[a-z0-9][a-z0-9-]{0,62}$/;
const REQUEST_ID = /^[0-9A-F]{16}$/;
const SHA256 = /^[0-9a-f]{64}$/;
const ADDRESS = /^[0-9A-Za-z.:%_-]{1,100}$/;

/**
 * The line taken apart, nothing checked yet: the version is looked at before the fields of that version are. A class with
 * one assignment per field, because this runs for every forwarded request and generic objects cost ten times as much.
 */
export class HopFields {
  version: number | null = null;
  versionMax: number | null = null;
  kind = '';
  from = '';
  to = '';
  id = '';
  epoch = '';
  addr = '';
  secure = '';
  expects = '';
  body = '';
  sha256 = '';

  /** The last of two equal names wins; the line is signed, so only a faulty node could send two. */
  set(name: string, value: string): void {
    if (name === 'v') this.version = integer(value);
    else if (name === 'max') this.versionMax = integer(value);
    else if (name === 'kind') this.kind = value;
    else if (name === 'from') this.from = value;
    else if (name === 'to') this.to = value;
    else if (name === 'id') this.id = value;
    else if (name === 'epoch') this.epoch = value;
    else if (name === 'addr') this.addr = value;
    else if (name === 'secure') this.secure = value;
    else if (name === 'expects') this.expects = value;
    else if (name === 'body') this.body = value;
    else if (name === 'sha256') this.sha256 = value;
  }
}

export function readHop(text: string): HopFields {
  const fields = new HopFields();
  for (const part of text.split(';')) {
    const equals = part.indexOf('=');
    if (equals > 0) fields.set(part.slice(0, equals), part.slice(equals + 1));
  }
  return fields;
}

/** @returns null for anything that is not a hop header of a version that has the fields of today. */
export function parseHop(text: string): Hop | null {
  return checkHop(readHop(text));
}

export function checkHop(fields: HopFields): Hop | null {
  const { version, versionMax, kind, from, to, id: requestId } = fields;
  if (version === null || versionMax === null || !isNodeId(from) || !isNodeId(to)) return null;
  if (!REQUEST_ID.test(requestId)) return null;
  if (kind === 'control') {
    if (!SHA256.test(fields.sha256)) return null;
    return { version, versionMax, from, to, requestId, kind, bodySha256: fields.sha256 };
  }
  if (kind !== 'forward') return null;
  const epoch = integer(fields.epoch);
  const body = parseBody(fields.body);
  const address = fields.addr;
  if (epoch === null || !ADDRESS.test(address) || body === null) return null;
  const secure = fields.secure === '1';
  const expects = fields.expects === '1';
  return { version, versionMax, from, to, requestId, kind, epoch, address, secure, expects, body };
}

export function isNodeId(text: string): boolean {
  return NODE_ID.test(text);
}

/** Of an answer's `zring-peer` header. */
export function parseVersion(text: string): { version: number; versionMax: number } | null {
  const { version, versionMax } = readHop(text);
  return version === null || versionMax === null ? null : { version, versionMax };
}

export function formatVersion(version: number, versionMax: number): string {
  return `v=${version};max=${versionMax}`;
}

function parseBody(text: string): HopBody | null {
  if (text === 'none' || text === 'empty' || text === 'exact') return { kind: text };
  if (!text.startsWith('stream:')) return null;
  const rest = text.slice('stream:'.length);
  if (rest === 'chunked') return { kind: 'stream', length: null };
  const length = integer(rest);
  return length === null ? null : { kind: 'stream', length };
}

function integer(text: string): number | null {
  return /^(?:0|[1-9]\d{0,14})$/.test(text) ? Number(text) : null;
}

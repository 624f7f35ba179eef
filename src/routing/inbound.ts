// Guards on every request head, both listeners, before anything else looks at it. Pure: a head in, either a refusal or
// the head that the rest of the program may trust. Node's parser (llhttp, strict) has refused bad framing already: both
// Content-Length and Transfer-Encoding, repeated or signed lengths, obs-fold, bare CR or LF, control characters. What it
// lets through and another parser could read differently is refused here, so that every hop sees the same request.
import { isOwnHeader, nominatedByConnection, type RawHeaders, withoutHeaders } from './headers.ts';
import type { ListenerLimits } from './limits.ts';
import { type Refusal, refusal } from './refusal.ts';

export interface Head {
  readonly method: string;
  readonly target: string;
  /** '1.1' or '1.0'; the parser also lets '0.9' and '2.0' through. */
  readonly version: string;
  readonly rawHeaders: RawHeaders;
}

export type Inspected =
  | { readonly kind: 'refused'; readonly refusal: Refusal }
  /** `target` in origin form. `rawHeaders` is null when nothing had to be removed. */
  | {
      readonly kind: 'accepted';
      readonly target: string;
      readonly rawHeaders: string[] | null;
      /** Bytes, 'chunked', or null when the request declares no body. */
      readonly body: number | 'chunked' | null;
    };

/** Any other method is unknown to S3. CONNECT and TRACE never get as far. */
export const METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'PUT', 'POST', 'DELETE', 'OPTIONS']);

/**
 * A second line of any of these makes the meaning depend on which one a reader takes. All `x-amz-*` belong to it, except
 * those that are lists by definition.
 */
const SINGLE: ReadonlySet<string> = new Set([
  'authorization',
  'content-length',
  'content-md5',
  'content-type',
  'date',
  'expect',
  'host',
  'if-modified-since',
  'if-range',
  'if-unmodified-since',
  'range',
  'transfer-encoding',
]);
const LIST_PREFIX = 'x-amz-meta-';
const LISTS: ReadonlySet<string> = new Set(['x-amz-object-attributes', 'x-amz-optional-object-attributes']);

const LENGTH = /^(?:0|[1-9]\d{0,14})$/;
const HOST = /^(?:\[[0-9a-f:.]{2,45}\]|[a-z0-9_](?:[a-z0-9._-]{0,252}))(?::\d{1,5})?$/i;
const TARGET = /^\/[\x21-\x22\x24-\x7e]*$/;
const ABSOLUTE = /^https?:\/\/([^/?#]*)(.*)$/i;

/** As Node recognises it; other expectations are nobody's. */
const CONTINUE = /(?:^|\W)100-continue(?:$|\W)/i;

interface Scan {
  readonly strangeExpect: boolean;
  readonly host: string | null;
  readonly length: string | null;
  readonly encoding: string | null;
  readonly authorization: string;
  readonly connection: readonly string[];
  readonly own: boolean;
}

export function inspectHead(head: Head, limits: ListenerLimits, keepOwn: boolean): Inspected {
  const scan = scanHeaders(head.rawHeaders, limits);
  if ('refusal' in scan) return refused(scan.refusal);
  const fault = requestLineFault(head, limits) ?? hostFault(scan.host) ?? framingFault(scan, head.version);
  if (fault) return refused(fault);
  const target = originForm(head.target, scan.host ?? '');
  if (target === null) {
    return refused(refusal('target', 'The request target must be a path that begins with a slash.', 'InvalidURI'));
  }
  const nominated = nominatedByConnection(scan.connection, signedBy(scan.authorization, target));
  if (nominated.kind === 'refused') {
    return refused(refusal('nominated', `The Connection header may not name "${nominated.name}".`));
  }
  const dropped = scan.strangeExpect ? [...nominated.names, 'expect'] : nominated.names;
  const rewrite = dropped.length > 0 || (scan.own && !keepOwn);
  return {
    kind: 'accepted',
    target,
    rawHeaders: rewrite ? withoutHeaders(head.rawHeaders, new Set(dropped)) : null,
    body: scan.encoding !== null ? 'chunked' : scan.length !== null ? Number(scan.length) : null,
  };
}

function refused(reason: Refusal): Inspected {
  return { kind: 'refused', refusal: reason };
}

function scanHeaders(raw: RawHeaders, limits: ListenerLimits): Scan | { refusal: Refusal } {
  if (raw.length / 2 > limits.headersMax) {
    return { refusal: tooLarge('header-count', `more than ${limits.headersMax} headers`) };
  }
  const seen = new Map<string, string>();
  const connection: string[] = [];
  let bytes = 0;
  let own = false;
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = raw[i] ?? '';
    const value = raw[i + 1] ?? '';
    bytes += name.length + value.length;
    const lower = name.toLowerCase();
    if (lower === 'upgrade') return { refusal: refusal('upgrade', 'Protocol upgrades are not supported.') };
    if (lower === 'connection') connection.push(value);
    else if (isOwnHeader(lower)) own = true;
    if (!isSingle(lower)) continue;
    if (seen.has(lower)) return { refusal: refusal('duplicate', `The header ${lower} was sent more than once.`) };
    seen.set(lower, value);
  }
  if (bytes > limits.headerBytesMax) {
    return { refusal: tooLarge('header-bytes', `more than ${limits.headerBytesMax} bytes`) };
  }
  return {
    host: seen.get('host') ?? null,
    // Ignored, so it is nothing that the owner behind a hop should see either.
    strangeExpect: !CONTINUE.test(seen.get('expect') ?? '100-continue'),
    length: seen.get('content-length') ?? null,
    encoding: seen.get('transfer-encoding') ?? null,
    authorization: seen.get('authorization') ?? '',
    connection,
    own,
  };
}

function isSingle(lower: string): boolean {
  if (lower.startsWith('x-amz-')) return !lower.startsWith(LIST_PREFIX) && !LISTS.has(lower);
  return SINGLE.has(lower);
}

function tooLarge(reason: string, what: string): Refusal {
  return refusal(reason, `The request head has ${what}.`, 'RequestHeaderSectionTooLarge');
}

function requestLineFault(head: Head, limits: ListenerLimits): Refusal | null {
  if (head.version !== '1.1' && head.version !== '1.0') {
    return refusal('version', 'Only HTTP/1.1 and HTTP/1.0 are spoken here.');
  }
  if (!METHODS.has(head.method)) {
    return refusal('method', 'The specified method is not allowed against this resource.', 'MethodNotAllowed', 405);
  }
  if (head.target.length > limits.targetBytesMax) {
    return refusal('target-length', `The request target is longer than ${limits.targetBytesMax} bytes.`, 'InvalidURI');
  }
  return null;
}

function hostFault(host: string | null): Refusal | null {
  if (host === null) return refusal('host', 'The Host header is missing.');
  return HOST.test(host) ? null : refusal('host', 'The Host header is malformed.');
}

/** The parser accepts `gzip, chunked`, `002` and a Transfer-Encoding on HTTP/1.0; we want one spelling of each length. */
function framingFault(scan: Scan, version: string): Refusal | null {
  if (scan.encoding !== null) {
    if (scan.length !== null) return refusal('framing', 'Content-Length and Transfer-Encoding exclude each other.');
    if (version === '1.0') return refusal('framing', 'Transfer-Encoding needs HTTP/1.1.');
    if (scan.encoding.toLowerCase() !== 'chunked') {
      return refusal('framing', 'The only Transfer-Encoding supported is chunked.', 'NotImplemented');
    }
  }
  if (scan.length !== null && !LENGTH.test(scan.length)) return refusal('framing', 'The Content-Length is malformed.');
  return null;
}

/**
 * Origin form as it is; absolute form (RFC 9112 §3.2.2 obliges servers to take it) only when its authority is the Host
 * header, so that nobody can read two different hosts from one request. No fragment, no `*`, no authority form.
 */
function originForm(target: string, host: string): string | null {
  if (target.startsWith('/')) return TARGET.test(target) ? target : null;
  const match = ABSOLUTE.exec(target);
  if (!match || match[1]?.toLowerCase() !== host.toLowerCase()) return null;
  const rest = match[2] ?? '';
  const path = rest.startsWith('/') ? rest : `/${rest}`;
  return TARGET.test(path) ? path : null;
}

/** Which headers the signature covers, as far as it says so; used only when Connection nominates something. */
function signedBy(authorization: string, target: string): (name: string) => boolean {
  return (name) => {
    const list =
      /SignedHeaders=([^,\s]*)/i.exec(authorization)?.[1] ?? /[?&]X-Amz-SignedHeaders=([^&]*)/i.exec(target)?.[1] ?? '';
    return list.replace(/%3b/gi, ';').toLowerCase().split(';').includes(name);
  };
}

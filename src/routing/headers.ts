// Header hygiene, pure, on raw header lists ([name, value, name, value …] as Node and undici give them). What is
// hop-by-hop (RFC 9110 §7.6.1) or ours (`zring-`) ends here; everything else keeps its case, order and bytes, because
// it may be signed. Knows nothing of connections or of S3's meaning.

/** Hop-by-hop by definition; never forwarded, rebuilt by each connection's own writer. */
const HOP_BY_HOP: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
]);

/** Connection options that are not header names, or name a header that is hop-by-hop anyway. */
const CONNECTION_OPTIONS: ReadonlySet<string> = new Set([...HOP_BY_HOP, 'close']);

/** Headers that carry meaning for S3 or HTTP: a Connection header that nominates one is an attack, not an option. */
const NEEDED: ReadonlySet<string> = new Set([
  'accept-encoding',
  'authorization',
  'cache-control',
  'content-disposition',
  'content-encoding',
  'content-language',
  'content-length',
  'content-md5',
  'content-type',
  'cookie',
  'date',
  'expect',
  'expires',
  'host',
  'if-match',
  'if-modified-since',
  'if-none-match',
  'if-range',
  'if-unmodified-since',
  'origin',
  'range',
  'referer',
  'user-agent',
]);

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/;
const OWN_PREFIX = 'zring-';

export type RawHeaders = readonly string[];

/** @returns the value of the first header of that (lower-case) name. */
export function rawHeader(raw: RawHeaders, name: string): string | undefined {
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const key = raw[i];
    if (key !== undefined && key.length === name.length && key.toLowerCase() === name) return raw[i + 1];
  }
  return undefined;
}

export type Nominated =
  | { readonly kind: 'names'; readonly names: readonly string[]; readonly close: boolean }
  | { readonly kind: 'refused'; readonly name: string };

/**
 * Reads the values of all Connection headers. Names beyond the standard options are nominated for removal; nominating
 * one that HTTP, S3 or the signature needs is refused (it would make the next hop see another request).
 */
export function nominatedByConnection(values: readonly string[], signed: (name: string) => boolean): Nominated {
  const names: string[] = [];
  let close = false;
  for (const part of values.join(',').toLowerCase().split(',')) {
    const token = part.trim();
    if (token === '') continue;
    if (!TOKEN.test(token)) return { kind: 'refused', name: token };
    if (token === 'close') close = true;
    if (CONNECTION_OPTIONS.has(token)) continue;
    if (NEEDED.has(token) || token.startsWith('x-amz-') || token.startsWith(OWN_PREFIX) || signed(token)) {
      return { kind: 'refused', name: token };
    }
    names.push(token);
  }
  return { kind: 'names', names, close };
}

/** True for a header that only nodes may say to each other. */
export function isOwnHeader(lowerName: string): boolean {
  return lowerName.startsWith(OWN_PREFIX);
}

/** A copy without the named headers and without our own. */
export function withoutHeaders(raw: RawHeaders, names: ReadonlySet<string>): string[] {
  const kept: string[] = [];
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = raw[i] ?? '';
    const lower = name.toLowerCase();
    if (names.has(lower) || isOwnHeader(lower)) continue;
    kept.push(name, raw[i + 1] ?? '');
  }
  return kept;
}

/**
 * The head of a request as it goes to the next node: nothing that is hop-by-hop, nothing of ours, no framing and no
 * Expect (both travel in the hop header and are restored by the receiver). The input has passed the inbound guards, so
 * nominated headers are gone already.
 */
export function forwardedRequestHeaders(raw: RawHeaders): string[] {
  const kept: string[] = [];
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = raw[i] ?? '';
    const lower = name.toLowerCase();
    if (lower === 'content-length' || lower === 'expect' || HOP_BY_HOP.has(lower) || isOwnHeader(lower)) continue;
    kept.push(name, raw[i + 1] ?? '');
  }
  return kept;
}

export interface AnswerHeaders {
  /** Flat list for `writeHead`. */
  readonly headers: string[];
  /** Our own headers of the answer, lower-case; they are not for the client. */
  readonly own: Readonly<Record<string, string>>;
}

/**
 * The head of an answer as the client gets it. A 204 and a 304 without body lose framing that they must not carry
 * (RFC 9112 §6.1, RFC 9110 §8.6); a Content-Length of anything else stays, exactly.
 */
export function relayedAnswerHeaders(raw: readonly Buffer[], status: number): AnswerHeaders {
  const nominated = answerNominations(raw);
  const headers: string[] = [];
  const own: Record<string, string> = {};
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = latin1(raw[i]);
    const lower = name.toLowerCase();
    if (HOP_BY_HOP.has(lower) || nominated?.has(lower)) continue;
    if (isOwnHeader(lower)) own[lower] = latin1(raw[i + 1]);
    else if (!(lower === 'content-length' && status === 204)) headers.push(name, latin1(raw[i + 1]));
  }
  return { headers, own };
}

function answerNominations(raw: readonly Buffer[]): ReadonlySet<string> | null {
  const values: string[] = [];
  for (let i = 0; i + 1 < raw.length; i += 2) {
    if (raw[i]?.length !== 10 || latin1(raw[i]).toLowerCase() !== 'connection') continue;
    const value = latin1(raw[i + 1]).toLowerCase();
    if (value !== 'keep-alive' && value !== 'close') values.push(value);
  }
  if (values.length === 0) return null;
  const read = nominatedByConnection(values, () => false);
  return read.kind === 'names' ? new Set(read.names) : null;
}

/** Trailer fields of an answer as [name, value] pairs; what frames or routes a message never travels as a trailer. */
export function relayedTrailers(raw: readonly Buffer[]): [string, string][] {
  const kept: [string, string][] = [];
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = latin1(raw[i]);
    const lower = name.toLowerCase();
    if (HOP_BY_HOP.has(lower) || NEEDED.has(lower) || isOwnHeader(lower)) continue;
    kept.push([name, latin1(raw[i + 1])]);
  }
  return kept;
}

function latin1(bytes: Buffer | undefined): string {
  return bytes === undefined ? '' : bytes.toString('latin1');
}

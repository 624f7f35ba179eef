// The canonical request of Signature Version 4, from the raw path, raw query and raw headers. Pure.
// The path is never normalised: '//', '.', '..' are parts of keys. Query and path are judged by their bytes, so that
// `%7e`, `%7E` and `~` are the same. Source: Amazon S3 API Reference, Signature calculations for the Authorization
// header, task 1; RFC 3986 for the unreserved characters.
import { decodeBytes } from '../target.ts';
import type { RawHeaders } from './request-headers.ts';

/** Byte → its text in a canonical URI: unreserved as is, everything else %XX in upper case. */
const ENCODED: readonly string[] = Array.from({ length: 256 }, (_, byte) =>
  /[A-Za-z0-9\-._~]/.test(String.fromCharCode(byte))
    ? String.fromCharCode(byte)
    : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`,
);

const SLASH = 0x2f;

export function encodeBytes(bytes: Uint8Array, keepSlash: boolean): string {
  let out = '';
  for (const byte of bytes) out += byte === SLASH && keepSlash ? '/' : ENCODED[byte];
  return out;
}

/**
 * The ways a client may have written this very path into its canonical request, likeliest first: as sent; escaped
 * anew (it sent `!` or `%2f` where the rule says `%21` and `%2F`); the same with an escaped slash as a slash. All
 * decode to the same bucket and key, so accepting any of them widens nothing.
 */
export function canonicalPaths(rawPath: string): string[] {
  const escapedSlash = rawPath
    .split('/')
    .map((segment) => encodeBytes(decodeBytes(segment, false), false))
    .join('/');
  const paths = [rawPath];
  if (escapedSlash !== rawPath) paths.push(escapedSlash);
  if (escapedSlash.includes('%2F')) paths.push(escapedSlash.replaceAll('%2F', '/'));
  return paths;
}

/** Sorted by encoded name, then value; `omit` leaves X-Amz-Signature out of a presigned URL. */
export function canonicalQuery(rawQuery: string, omit?: string): string {
  if (rawQuery === '') return '';
  const pairs: [string, string][] = [];
  for (const part of rawQuery.split('&')) {
    if (part === '') continue;
    const at = part.indexOf('=');
    const name = recodeQuery(at < 0 ? part : part.slice(0, at));
    if (name !== omit) pairs.push([name, at < 0 ? '' : recodeQuery(part.slice(at + 1))]);
  }
  // Encoded text is ASCII, so comparing code units is comparing bytes.
  pairs.sort(([a, x], [b, y]) => (a < b ? -1 : a > b ? 1 : x < y ? -1 : x > y ? 1 : 0));
  return pairs.map(([name, value]) => `${name}=${value}`).join('&');
}

function recodeQuery(raw: string): string {
  return /^[A-Za-z0-9\-._~]*$/.test(raw) ? raw : encodeBytes(decodeBytes(raw, true), false);
}

/**
 * `expect` is taken as `100-continue` when it was signed and is not there: a node that forwards a request answers the
 * expectation itself, and that is the only value the header can have had.
 */
export function canonicalHeaders(headers: RawHeaders, signedHeaders: readonly string[]): string {
  let out = '';
  for (const name of signedHeaders) {
    const values = headers.get(name) ?? (name === 'expect' ? ['100-continue'] : []);
    // Spaces and tabs only: \s would eat 0xA0, which is half of an 'à'.
    out += `${name}:${values.map((value) => value.replace(/[ \t]+/g, ' ').replace(/^ | $/g, '')).join(',')}\n`;
  }
  return out;
}

export interface CanonicalInput {
  readonly method: string;
  readonly path: string;
  /** Canonical already. */
  readonly query: string;
  /** Canonical already. */
  readonly headers: string;
  readonly signedHeadersText: string;
  /** As it stands in x-amz-content-sha256. */
  readonly payloadHash: string;
}

export function canonicalRequest(input: CanonicalInput): string {
  return [input.method, input.path, input.query, input.headers, input.signedHeadersText, input.payloadHash].join('\n');
}

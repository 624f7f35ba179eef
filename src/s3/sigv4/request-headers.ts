// The headers of a request as they came: lower-case name → values in order, latin1 (one character = one byte), so
// that the canonical request is made from the bytes the client sent. Pure.
import { PEER_LISTENER_LIMITS } from '../../routing/limits.ts';
import { S3Error } from '../errors.ts';

export type RawHeaders = ReadonlyMap<string, readonly string[]>;

/** From Node's rawHeaders: name, value, name, value … A listener bounds their number; a forwarded head has more. */
export function collectHeaders(rawHeaders: readonly string[]): RawHeaders {
  if (rawHeaders.length / 2 > PEER_LISTENER_LIMITS.headersMax) throw new S3Error('RequestHeaderSectionTooLarge');
  const headers = new Map<string, string[]>();
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    const name = (rawHeaders[at] ?? '').toLowerCase();
    const value = rawHeaders[at + 1] ?? '';
    const values = headers.get(name);
    if (values === undefined) headers.set(name, [value]);
    else values.push(value);
  }
  return headers;
}

/** A header that decides who or what; twice, one of them would be decided by whoever reads it. */
export function singleHeader(headers: RawHeaders, name: string): string | undefined {
  const values = headers.get(name);
  if (values === undefined) return undefined;
  if (values.length > 1) throw new S3Error('InvalidRequest', `The header ${name} is given more than once.`);
  return values[0]?.trim();
}

/**
 * host and every x-amz-* header that is present must be signed, or somebody on the way could change what the request
 * means (x-amz-copy-source, x-amz-acl …). Source: Amazon S3 API Reference, Signature calculations, CanonicalHeaders.
 */
export function requireSigned(headers: RawHeaders, signedHeaders: readonly string[]): void {
  const signed = new Set(signedHeaders);
  const missing = signed.has('host') ? [] : ['host'];
  for (const name of headers.keys()) {
    if (name.startsWith('x-amz-') && !signed.has(name)) missing.push(name);
  }
  if (missing.length === 0) return;
  throw new S3Error('AccessDenied', 'There were headers present in the request which were not signed', {
    fields: { HeadersNotSigned: missing.sort().join(', ') },
  });
}

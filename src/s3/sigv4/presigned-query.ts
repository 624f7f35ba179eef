// A presigned URL: the signature and its conditions in the query. Pure.
// Source: Amazon S3 API Reference, Authenticating requests: using query parameters (Signature Version 4).
import { S3Error } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import type { Target } from '../types.ts';
import { type AmzDate, parseAmzDate } from './amz-date.ts';
import { ALGORITHM, type Signature, splitSignedHeaders, unsupportedMechanism } from './authorization-header.ts';
import { parseCredential } from './credential-scope.ts';

export const SIGNATURE_PARAMETER = 'X-Amz-Signature';

const REQUIRED = [
  'X-Amz-Algorithm',
  'X-Amz-Credential',
  SIGNATURE_PARAMETER,
  'X-Amz-Date',
  'X-Amz-SignedHeaders',
  'X-Amz-Expires',
] as const;

export interface PresignedSignature extends Signature {
  readonly date: AmzDate;
  readonly expiresSeconds: number;
}

/** Any of them makes the query an authentication, however incomplete: it is never read as anonymous. */
export function isPresigned(query: Target['query']): boolean {
  return query.has('X-Amz-Algorithm') || query.has(SIGNATURE_PARAMETER) || query.has('X-Amz-Credential');
}

/** Signature Version 2 in the query. */
export function isPresignedV2(query: Target['query']): boolean {
  return query.has('AWSAccessKeyId') && query.has('Signature');
}

export function parsePresigned(query: Target['query'], region: string): PresignedSignature {
  const values = REQUIRED.map((name) => requireOne(query, name));
  const [algorithm = '', credentialText = '', signature = '', dateText = '', signedHeadersText = '', expires = ''] =
    values;
  if (algorithm === 'AWS4-ECDSA-P256-SHA256') throw unsupportedMechanism();
  if (algorithm !== ALGORITHM) throw fault(`X-Amz-Algorithm only supports "${ALGORITHM}"`);
  const credential = parseCredential(credentialText, region, 'query');
  const date = parseAmzDate(dateText);
  if (date === null) throw fault("X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\"");
  if (date.day !== credential.day) {
    throw fault(`Invalid credential date "${credential.day}". This date is not the same as X-Amz-Date: "${date.day}".`);
  }
  return {
    credential,
    signedHeadersText,
    signedHeaders: splitSignedHeaders(signedHeadersText),
    signature,
    date,
    expiresSeconds: parseExpires(expires),
  };
}

function parseExpires(text: string): number {
  if (!/^-?\d{1,15}$/.test(text)) throw fault('X-Amz-Expires should be a number');
  const seconds = Number(text);
  const max = LIMITS.presignedSecondsMax.value;
  // A URL that is never valid, like one that has expired; the signature is not looked at.
  if (seconds < 0 || seconds > max) {
    throw new S3Error('AccessDenied', `X-Amz-Expires must be between 1 and ${max} seconds (a week).`);
  }
  return seconds;
}

/** Zero seconds is a URL that was never valid: expired, not malformed. */
export function requireUnexpired(presigned: PresignedSignature, nowMs: number): void {
  const { date, expiresSeconds } = presigned;
  if (date.ms > nowMs + LIMITS.clockSkewSecondsMax.value * 1000) {
    throw new S3Error('AccessDenied', 'Request is not valid yet', {
      fields: { RequestTime: date.iso, ServerTime: new Date(nowMs).toISOString() },
    });
  }
  const endMs = date.ms + expiresSeconds * 1000;
  if (expiresSeconds > 0 && nowMs <= endMs) return;
  throw new S3Error('AccessDenied', 'Request has expired', {
    fields: {
      'X-Amz-Expires': String(expiresSeconds),
      Expires: new Date(endMs).toISOString(),
      ServerTime: new Date(nowMs).toISOString(),
    },
  });
}

/** Parameters of the signature itself. */
const OF_THE_SIGNATURE = new Set([
  'x-amz-algorithm',
  'x-amz-credential',
  'x-amz-signature',
  'x-amz-date',
  'x-amz-signedheaders',
  'x-amz-expires',
  'x-amz-security-token',
]);

/**
 * Checksums in the query are not the body's: the AWS SDK for JavaScript puts the checksum of the body it had when it
 * signed there, most often none. S3 ignores them ("Amazon S3 presigned URLs don't support … data-integrity checksum
 * algorithms", Amazon S3 User Guide, Uploading objects with presigned URLs).
 */
function isIgnored(name: string): boolean {
  if (name === 'x-amz-sdk-checksum-algorithm' || OF_THE_SIGNATURE.has(name)) return true;
  return name.startsWith('x-amz-checksum-') && !/^x-amz-checksum-(mode|algorithm|type)$/.test(name);
}

/**
 * Headers that a presigner moved into the query (x-amz-acl, x-amz-meta-…), lower case. They are covered by the
 * signature and mean what the header would; a real header of the same name goes before.
 */
export function hoistedHeaders(query: Target['query']): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const [name, values] of query) {
    const lower = name.toLowerCase();
    if (lower.startsWith('x-amz-') && !isIgnored(lower)) headers[lower] = values.join(',');
  }
  return headers;
}

/**
 * The headers of a request as Node shows them (latin1), completed by those that its presigned URL carries. Without a
 * signature in the query they are returned as they are.
 */
export function withHoistedHeaders<Value>(
  headers: Readonly<Record<string, Value>>,
  query: Target['query'],
): Readonly<Record<string, Value | string>> {
  if (!isPresigned(query)) return headers;
  const merged: Record<string, Value | string> = { ...headers };
  for (const [name, value] of Object.entries(hoistedHeaders(query))) {
    merged[name] ??= Buffer.from(value, 'utf8').toString('latin1');
  }
  return merged;
}

function requireOne(query: Target['query'], name: string): string {
  const values = query.get(name);
  if (values?.length === 1 && values[0] !== undefined && values[0] !== '') return values[0];
  throw fault(
    'Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, ' +
      'X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters, each once.',
  );
}

function fault(message: string): S3Error {
  return new S3Error('AuthorizationQueryParametersError', message);
}

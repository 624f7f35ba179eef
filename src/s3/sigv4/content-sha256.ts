// x-amz-content-sha256: what the signature says about the body. Pure.
// Source: Amazon S3 API Reference, Common request headers and "Signature calculations … (chunked upload)".
import { invalidArgument, S3Error } from '../errors.ts';

export const UNSIGNED_PAYLOAD = 'UNSIGNED-PAYLOAD';
export const STREAMING_SIGNED = 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD';
export const STREAMING_SIGNED_TRAILER = 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER';
export const STREAMING_UNSIGNED_TRAILER = 'STREAMING-UNSIGNED-PAYLOAD-TRAILER';

export type ContentSha256 =
  | { readonly kind: 'unsigned' }
  | { readonly kind: 'sha256'; readonly hex: string }
  | { readonly kind: 'chunked'; readonly signed: boolean; readonly trailer: boolean };

export function parseContentSha256(value: string | undefined): ContentSha256 {
  switch (value) {
    case undefined:
      throw new S3Error('InvalidRequest', 'Missing required header for this request: x-amz-content-sha256');
    case UNSIGNED_PAYLOAD:
      return { kind: 'unsigned' };
    case STREAMING_SIGNED:
      return { kind: 'chunked', signed: true, trailer: false };
    case STREAMING_SIGNED_TRAILER:
      return { kind: 'chunked', signed: true, trailer: true };
    case STREAMING_UNSIGNED_TRAILER:
      return { kind: 'chunked', signed: false, trailer: true };
    default:
  }
  if (/^[0-9a-f]{64}$/i.test(value)) return { kind: 'sha256', hex: value.toLowerCase() };
  throw invalidArgument(
    `x-amz-content-sha256 must be ${UNSIGNED_PAYLOAD}, ${STREAMING_UNSIGNED_TRAILER}, ${STREAMING_SIGNED}, ` +
      `${STREAMING_SIGNED_TRAILER} or a valid sha256 value.`,
    'x-amz-content-sha256',
    value,
  );
}

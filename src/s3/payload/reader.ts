// The body of a request, verified while it streams: decoded from aws-chunked where it is, counted, hashed, and
// compared with every digest the client gave. State: one reader belongs to one request and is read once.
import { S3Error } from '../errors.ts';
import type { Authenticated } from '../types.ts';
import type { ChecksumAlgorithm, ChecksumValue } from './checksums.ts';

export interface PayloadRequest {
  /** IncomingMessage, or anything that yields Buffers. */
  readonly source: AsyncIterable<Buffer>;
  readonly payload: Authenticated['payload'];
  /** Lower-case names; content-length, transfer-encoding, content-md5, x-amz-decoded-content-length, checksums … */
  readonly headers: Readonly<Record<string, string>>;
  /** e.g. LIMITS.putBytesMax.value; beyond it EntityTooLarge. */
  readonly bytesMax: number;
  /** Computed when the client named no checksum; null = none. */
  readonly defaultChecksum: ChecksumAlgorithm | null;
  /** Algorithms computed in any case (e.g. the one of the multipart upload). */
  readonly alsoCompute?: readonly ChecksumAlgorithm[];
}

export interface PayloadResult {
  /** Decoded bytes. */
  readonly size: number;
  readonly md5Hex: string;
  /** Present when the client announced it. */
  readonly sha256Hex: string | null;
  /** Verified or computed, base64. `given`: the client sent it. */
  readonly checksums: readonly ChecksumValue[];
}

/**
 * `for await` yields verified-so-far Buffers and throws S3Error (BadDigest, IncompleteBody, …) instead of a clean end
 * when anything is wrong: commit only after the loop has ended. `result()` is valid from then on.
 */
export interface Payload extends AsyncIterable<Buffer> {
  /** Decoded length when known beforehand (content-length or x-amz-decoded-content-length), else null. */
  readonly declaredBytes: number | null;
  result(): PayloadResult;
}

/** Checks the headers at once (call it before 100 Continue) and throws S3Error: MissingContentLength, EntityTooLarge, InvalidDigest … */
export function openPayload(_request: PayloadRequest): Payload {
  throw new S3Error('NotImplemented');
}

/** The whole body, for small documents. Beyond `bytesMax` of the request: MaxMessageLengthExceeded. */
export async function readWhole(payload: Payload): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of payload) parts.push(part);
  return Buffer.concat(parts);
}

// aws-chunked bodies for the tests: written by this file's own encoder, so that it does not share the decoder's bugs.
import { createHash, createHmac } from 'node:crypto';
import type { ChunkSigning } from '../../../src/s3/types.ts';

const EMPTY = createHash('sha256').digest('hex');

/** The signing key of AWS's examples: 20130524/us-east-1/s3. */
export function exampleSigning(seedSignature: string): ChunkSigning {
  const step = (key: Buffer | string, text: string) => createHmac('sha256', key).update(text).digest();
  const secret = 'AWS4wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY';
  return {
    seedSignature,
    signingKey: step(step(step(step(secret, '20130524'), 'us-east-1'), 's3'), 'aws4_request'),
    scope: '20130524/us-east-1/s3/aws4_request',
    amzDate: '20130524T000000Z',
  };
}

export interface EncodeOptions {
  readonly signing?: ChunkSigning;
  /** name → value; with signing, the trailer signature is added. */
  readonly trailers?: readonly (readonly [string, string])[];
  /** Signed bodies with a trailer end with x-amz-trailer-signature even when there is no other line. */
  readonly signTrailer?: boolean;
}

export function encodeChunks(chunks: readonly Buffer[], options: EncodeOptions = {}): Buffer {
  const { signing, trailers = [] } = options;
  let previous = signing?.seedSignature ?? '';
  const sign = (text: string) => {
    previous = createHmac('sha256', signing?.signingKey ?? '')
      .update(text)
      .digest('hex');
    return previous;
  };
  const head = () => `${signing?.amzDate}\n${signing?.scope}\n${previous}`;
  const parts: Buffer[] = [];
  for (const chunk of [...chunks, Buffer.alloc(0)]) {
    const hash = createHash('sha256').update(chunk).digest('hex');
    const extension =
      signing === undefined ? '' : `;chunk-signature=${sign(`AWS4-HMAC-SHA256-PAYLOAD\n${head()}\n${EMPTY}\n${hash}`)}`;
    parts.push(Buffer.from(`${chunk.length.toString(16)}${extension}\r\n`), chunk);
    if (chunk.length > 0) parts.push(Buffer.from('\r\n'));
  }
  for (const [name, value] of trailers) parts.push(Buffer.from(`${name}:${value}\r\n`));
  if (signing !== undefined && (options.signTrailer ?? trailers.length > 0)) {
    const lines = trailers.map(([name, value]) => `${name}:${value}\n`).join('');
    const hash = createHash('sha256').update(lines).digest('hex');
    parts.push(Buffer.from(`x-amz-trailer-signature:${sign(`AWS4-HMAC-SHA256-TRAILER\n${head()}\n${hash}`)}\r\n`));
  }
  parts.push(Buffer.from('\r\n'));
  return Buffer.concat(parts);
}

/** The input cut at the given places. */
export function cut(input: Buffer, places: readonly number[]): Buffer[] {
  const sorted = [...new Set(places.filter((at) => at > 0 && at < input.length))].sort((a, b) => a - b);
  const pieces: Buffer[] = [];
  let from = 0;
  for (const at of [...sorted, input.length]) {
    pieces.push(input.subarray(from, at));
    from = at;
  }
  return pieces;
}

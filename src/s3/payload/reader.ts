// The body of a request, verified while it streams: decoded from aws-chunked where it is, counted, hashed, and
// compared with every digest the client gave. State: one reader belongs to one request and is read once.
// Back pressure is the iteration: nothing is pulled from the source before the consumer asks for more.
// Buffers are handed on as they came (views, no copies); the last bytes are out before the digests are compared, so a
// consumer commits only after the loop has ended.
import { createHash, type Hash } from 'node:crypto';
import { Readable } from 'node:stream';
import { assert } from '../../common/errors.ts';
import { S3Error } from '../errors.ts';
import type { Authenticated } from '../types.ts';
import { bodyLength, contentMd5, type GivenChecksum, givenChecksum } from './body-headers.ts';
import {
  CHECKSUM_ALGORITHMS,
  type ChecksumAlgorithm,
  type ChecksumValue,
  checksumHeader,
  createHasher,
  decodeChecksum,
  type Hasher,
} from './checksums.ts';
import { ChunkDecoder, wrongLength } from './chunk-decoder.ts';

export interface PayloadRequest {
  /** IncomingMessage, or anything that yields Buffers. */
  readonly source: AsyncIterable<Buffer>;
  readonly payload: Authenticated['payload'];
  /** Lower-case names; content-length, transfer-encoding, content-md5, x-amz-decoded-content-length, checksums … */
  readonly headers: Readonly<Record<string, string>>;
  /** e.g. LIMITS.putBytesMax.value; beyond it EntityTooLarge (a document: MaxMessageLengthExceeded). */
  readonly bytesMax: number;
  /** Computed when the client named no checksum; null = none. */
  readonly defaultChecksum: ChecksumAlgorithm | null;
  /** Algorithms computed in any case (e.g. the one of the multipart upload). */
  readonly alsoCompute?: readonly ChecksumAlgorithm[];
  /** object (default): without Content-Length and Transfer-Encoding 411. document: then there is no body. */
  readonly purpose?: 'object' | 'document';
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
 * `for await` yields Buffers and throws S3Error (BadDigest, IncompleteBody, …) instead of a clean end when anything is
 * wrong. `result()` is valid once the loop has ended.
 */
export interface Payload extends AsyncIterable<Buffer> {
  /** Decoded length when known beforehand (content-length or x-amz-decoded-content-length), else null. */
  readonly declaredBytes: number | null;
  result(): PayloadResult;
}

/**
 * Checks the headers at once (call it before 100 Continue): MissingContentLength, EntityTooLarge, InvalidDigest,
 * InvalidRequest … are thrown here, what concerns the bytes by the iteration.
 */
export function openPayload(request: PayloadRequest): Payload {
  const { headers, payload } = request;
  const document = request.purpose === 'document';
  const given = givenChecksum(headers, payload.kind === 'chunked' && payload.trailer);
  const md5 = contentMd5(headers);
  const length = bodyLength(headers, payload);
  // HTTP's own chunks delimit a body as well as a length does; with neither there is none, and an object needs one.
  const absent = length.payload === null && headers['transfer-encoding'] === undefined;
  if (absent && !document) throw new S3Error('MissingContentLength');
  const declaredBytes = absent ? 0 : length.payload;
  if (declaredBytes !== null && declaredBytes > request.bytesMax) throw tooLarge(declaredBytes, request);
  return new PayloadReader(request, { given, md5, declaredBytes });
}

function tooLarge(bytes: number, request: PayloadRequest): S3Error {
  return request.purpose === 'document'
    ? new S3Error('MaxMessageLengthExceeded', undefined, {
        fields: { MaxMessageLengthBytes: String(request.bytesMax) },
      })
    : new S3Error('EntityTooLarge', undefined, {
        fields: { ProposedSize: String(bytes), MaxSizeAllowed: String(request.bytesMax) },
      });
}

interface Promised {
  readonly given: GivenChecksum | null;
  readonly md5: Buffer | null;
  readonly declaredBytes: number | null;
}

class PayloadReader implements Payload {
  readonly declaredBytes: number | null;
  readonly #request: PayloadRequest;
  readonly #promised: Promised;
  readonly #md5: Hash = createHash('md5');
  readonly #sha256: Hash | null;
  readonly #hashers: Map<ChecksumAlgorithm, Hasher>;
  readonly #decoder: ChunkDecoder | null;
  #size = 0;
  #started = false;
  #result: PayloadResult | null = null;

  constructor(request: PayloadRequest, promised: Promised) {
    this.declaredBytes = promised.declaredBytes;
    this.#request = request;
    this.#promised = promised;
    const { payload } = request;
    this.#sha256 = payload.kind === 'sha256' ? createHash('sha256') : null;
    this.#hashers = hashersFor(request, promised.given);
    this.#decoder =
      payload.kind === 'chunked'
        ? new ChunkDecoder({
            signing: payload.signed,
            trailer: payload.trailer,
            decodedBytes: promised.declaredBytes ?? 0,
          })
        : null;
  }

  result(): PayloadResult {
    assert(this.#result !== null, 'the result of a payload was asked for before its end');
    return this.#result;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Buffer, void, undefined> {
    assert(!this.#started, 'a payload was read twice');
    this.#started = true;
    for await (const input of this.#pull()) {
      if (this.#decoder === null) {
        this.#take(input);
        yield input;
        continue;
      }
      for (const piece of this.#decoder.push(input)) {
        this.#take(piece);
        yield piece;
      }
    }
    const trailers = this.#decoder?.finish() ?? [];
    if (this.declaredBytes !== null && this.#size !== this.declaredBytes) throw wrongLength();
    this.#result = this.#verify(trailers);
  }

  /**
   * The source; a connection that breaks before the end is an incomplete body, whatever the error says.
   * An early end of the iteration must not destroy the request, for that looks like a client that went away: the
   * answer still has to go out on its socket, and the listener decides what becomes of the rest of the body.
   */
  async *#pull(): AsyncGenerator<Buffer, void, undefined> {
    if (this.declaredBytes === 0 && this.#decoder === null) return;
    const { source } = this.#request;
    const inputs: AsyncIterable<Buffer> =
      source instanceof Readable ? source.iterator({ destroyOnReturn: false }) : source;
    try {
      for await (const input of inputs) if (input.length > 0) yield input;
    } catch (cause) {
      if (cause instanceof S3Error) throw cause;
      throw new S3Error('IncompleteBody', undefined, { cause });
    }
  }

  #take(piece: Buffer): void {
    this.#size += piece.length;
    if (this.#size > this.#request.bytesMax) throw tooLarge(this.#size, this.#request);
    if (this.declaredBytes !== null && this.#size > this.declaredBytes) throw wrongLength();
    this.#md5.update(piece);
    this.#sha256?.update(piece);
    for (const hasher of this.#hashers.values()) hasher.update(piece);
  }

  #verify(trailers: readonly (readonly [string, string])[]): PayloadResult {
    const sha256Hex = this.#checkSha256();
    const md5 = this.#md5.digest();
    if (this.#promised.md5 !== null && !this.#promised.md5.equals(md5)) {
      throw new S3Error('BadDigest', 'The Content-MD5 you specified did not match what we received.', {
        fields: {
          ExpectedDigest: this.#promised.md5.toString('base64'),
          CalculatedDigest: md5.toString('base64'),
        },
      });
    }
    const given = withTrailer(this.#promised.given, trailers);
    const checksums: ChecksumValue[] = [];
    for (const [algorithm, hasher] of this.#hashers) {
      const value = hasher.digest().toString('base64');
      const isGiven = given?.algorithm === algorithm;
      if (isGiven && given.value !== value) {
        throw new S3Error('BadDigest', `The ${algorithm} you specified did not match the calculated checksum.`);
      }
      checksums.push({ algorithm, value, given: isGiven });
    }
    return { size: this.#size, md5Hex: md5.toString('hex'), sha256Hex, checksums };
  }

  #checkSha256(): string | null {
    const { payload } = this.#request;
    if (payload.kind !== 'sha256' || this.#sha256 === null) return null;
    const hex = this.#sha256.digest('hex');
    if (hex !== payload.hex) {
      throw new S3Error('XAmzContentSHA256Mismatch', undefined, {
        fields: { ClientComputedContentSHA256: payload.hex, S3ComputedContentSHA256: hex },
      });
    }
    return hex;
  }
}

/** In the order of CHECKSUM_ALGORITHMS. */
function hashersFor(request: PayloadRequest, given: GivenChecksum | null): Map<ChecksumAlgorithm, Hasher> {
  const wanted = new Set(request.alsoCompute);
  if (given !== null) wanted.add(given.algorithm);
  else if (request.defaultChecksum !== null) wanted.add(request.defaultChecksum);
  return new Map(CHECKSUM_ALGORITHMS.filter((name) => wanted.has(name)).map((name) => [name, createHasher(name)]));
}

/** The announced checksum with its value. The trailer must be the announced one, once, and no other. */
function withTrailer(
  given: GivenChecksum | null,
  trailers: readonly (readonly [string, string])[],
): GivenChecksum | null {
  const [trailer] = trailers;
  if (given === null || given.value !== null) {
    if (trailer !== undefined) throw new S3Error('MalformedTrailerError');
    return given;
  }
  const name = checksumHeader(given.algorithm);
  if (trailers.length !== 1 || trailer?.[0] !== name) throw new S3Error('MalformedTrailerError');
  if (decodeChecksum(given.algorithm, trailer[1]) === null) {
    throw new S3Error('BadDigest', `Value for ${name} trailing header is invalid.`);
  }
  return { algorithm: given.algorithm, value: trailer[1] };
}

/** The whole body, for small documents; bounded by `bytesMax` of the request. */
export async function readWhole(payload: Payload): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of payload) parts.push(part);
  return Buffer.concat(parts);
}

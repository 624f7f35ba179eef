// aws-chunked, decoded as it arrives: pieces of any length in, pieces of the payload out, nothing kept but the line
// that is being read. State: one decoder per body.
//
//   size[;chunk-signature=hex]CRLF data CRLF … 0[;chunk-signature=hex]CRLF [name:value CRLF]… CRLF
//
//        ┌────────────── line ended ──────────────┐
//   HEADER ──size>0──▶ DATA ──all read──▶ DATA_END ┘
//     └────size=0──▶ TRAILER ──empty line──▶ DONE        bytes after DONE, or an end before it: IncompleteBody
//
// Framing faults are IncompleteBody as S3's are: to it, such a body ends where it stops making sense.
// Source: see chunk-signature.ts; a trailer line may end in LF CRLF, as in AWS's own example.
import { S3Error } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import type { ChunkSigning } from '../types.ts';
import { ChunkSignatureChain } from './chunk-signature.ts';

export interface ChunkDecoderOptions {
  readonly signing: ChunkSigning | null;
  /** Whether trailer lines may follow the last chunk. */
  readonly trailer: boolean;
  /** x-amz-decoded-content-length: what the chunks must add up to. */
  readonly decodedBytes: number;
}

const CR = 0x0d;
const LF = 0x0a;
const TRAILER_SIGNATURE = 'x-amz-trailer-signature';

export class ChunkDecoder {
  readonly #options: ChunkDecoderOptions;
  readonly #chain: ChunkSignatureChain | null;
  #state: 'header' | 'data' | 'data-end' | 'trailer' | 'done' = 'header';
  /** The line (or CRLF) being read. */
  #line = '';
  #remaining = 0;
  #lastSize: number | null = null;
  #decoded = 0;
  #trailerBytes = 0;
  #afterBareLf = false;
  readonly #trailers: [string, string][] = [];

  constructor(options: ChunkDecoderOptions) {
    this.#options = options;
    this.#chain = options.signing === null ? null : new ChunkSignatureChain(options.signing);
  }

  /** Payload bytes in `input`, as views of it. Throws S3Error; the decoder is of no use after that. */
  push(input: Buffer): Buffer[] {
    const out: Buffer[] = [];
    let at = 0;
    while (at < input.length) {
      switch (this.#state) {
        case 'header':
          at = this.#readHeader(input, at);
          break;
        case 'data': {
          const piece = input.subarray(at, at + this.#remaining);
          at += piece.length;
          this.#takeData(piece);
          out.push(piece);
          break;
        }
        case 'data-end':
          at = this.#readDataEnd(input, at);
          break;
        case 'trailer':
          at = this.#readTrailer(input, at);
          break;
        case 'done':
          throw incomplete('There is data after the end of the body.');
      }
    }
    return out;
  }

  /** The input has ended. Returns the trailers, lower-case name and value, without the signature. */
  finish(): readonly (readonly [string, string])[] {
    if (this.#state !== 'done') throw incomplete();
    return this.#trailers;
  }

  #readHeader(input: Buffer, from: number): number {
    const end = this.#readLine(input, from, LIMITS.chunkHeaderBytesMax.value, incomplete);
    if (end === null) return input.length;
    if (!this.#line.endsWith('\r')) throw incomplete();
    this.#beginChunk(this.#line.slice(0, -1));
    this.#line = '';
    return end;
  }

  /** Index after the line feed, with `#line` complete but for it; null when the input ended before it. */
  #readLine(input: Buffer, from: number, bytesMax: number, fault: () => S3Error): number | null {
    const lf = input.indexOf(LF, from);
    const end = lf < 0 ? input.length : lf;
    if (this.#line.length + end - from > bytesMax) throw fault();
    this.#line += input.toString('latin1', from, end);
    return lf < 0 ? null : lf + 1;
  }

  #beginChunk(header: string): void {
    const match = (this.#chain === null ? UNSIGNED_HEADER : SIGNED_HEADER).exec(header);
    if (match === null) throw incomplete();
    const size = Number.parseInt(match[1] ?? '', 16);
    if (size > LIMITS.chunkBytesMax.value) throw incomplete();
    if (size > 0 && this.#lastSize !== null && this.#lastSize < LIMITS.chunkBytesMin.value) {
      throw new S3Error('InvalidChunkSizeError', undefined, {
        fields: { BadChunkSize: String(this.#lastSize) },
      });
    }
    this.#decoded += size;
    if (size === 0 ? this.#decoded !== this.#options.decodedBytes : this.#decoded > this.#options.decodedBytes) {
      throw wrongLength();
    }
    this.#chain?.begin(match[2] ?? '');
    this.#lastSize = size;
    this.#remaining = size;
    if (size > 0) {
      this.#state = 'data';
    } else {
      this.#chain?.end();
      this.#state = 'trailer';
    }
  }

  #takeData(piece: Buffer): void {
    this.#chain?.update(piece);
    this.#remaining -= piece.length;
    if (this.#remaining > 0) return;
    this.#chain?.end();
    this.#state = 'data-end';
  }

  #readDataEnd(input: Buffer, from: number): number {
    const expected = this.#line === '' ? CR : LF;
    if (input[from] !== expected) throw incomplete();
    if (expected === CR) {
      this.#line = '\r';
    } else {
      this.#line = '';
      this.#state = 'header';
    }
    return from + 1;
  }

  #readTrailer(input: Buffer, from: number): number {
    const before = this.#line.length;
    const end = this.#readLine(input, from, LIMITS.trailerBytesMax.value, malformedTrailer);
    this.#trailerBytes += this.#line.length - before;
    if (this.#trailerBytes > LIMITS.trailerBytesMax.value) throw malformedTrailer();
    if (end === null) return input.length;
    const bare = !this.#line.endsWith('\r');
    const line = bare ? this.#line : this.#line.slice(0, -1);
    this.#line = '';
    if (line !== '') {
      this.#takeTrailer(line);
    } else if (bare) {
      throw incomplete();
    } else if (!this.#afterBareLf) {
      this.#endTrailers();
    }
    this.#afterBareLf = line !== '' && bare;
    return end;
  }

  #takeTrailer(line: string): void {
    const at = line.indexOf(':');
    const name = line.slice(0, Math.max(at, 0)).trim().toLowerCase();
    if (!this.#options.trailer || !/^[a-z0-9-]+$/.test(name)) throw malformedTrailer();
    if (this.#trailers.length >= LIMITS.trailerLinesMax.value) throw malformedTrailer();
    this.#trailers.push([name, line.slice(at + 1).trim()]);
  }

  #endTrailers(): void {
    this.#state = 'done';
    if (this.#chain === null || !this.#options.trailer) return;
    const last = this.#trailers.pop();
    if (last?.[0] !== TRAILER_SIGNATURE) throw malformedTrailer();
    const lines = this.#trailers.map(([name, value]) => `${name}:${value}\n`).join('');
    this.#chain.trailer(lines, last[1]);
  }
}

const UNSIGNED_HEADER = /^([0-9a-fA-F]{1,16})$/;
const SIGNED_HEADER = /^([0-9a-fA-F]{1,16});chunk-signature=([0-9a-f]{64})$/;

function incomplete(message?: string): S3Error {
  return new S3Error('IncompleteBody', message);
}

export function wrongLength(): S3Error {
  return new S3Error(
    'IncompleteBody',
    'You did not provide the number of bytes specified by the Content-Length HTTP header',
  );
}

function malformedTrailer(): S3Error {
  return new S3Error('MalformedTrailerError');
}

// Streams a range of an object out of its blobs. Whole blocks are read and checked before a byte of them is given out, so
// damage ends the stream with STORAGE_CORRUPT and never a complete wrong answer. Owns its file descriptor, one at a time.
import { close, open, read } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { crc32c } from '@node-rs/crc32';
import { ZringError } from '../common/errors.ts';
import { isErrno, storageError } from '../common/storage-errors.ts';
import { BLOCK_BYTES } from './codec.ts';
import { dataPath } from './ids.ts';
import type { Blob } from './types.ts';

/** What of one blob is wanted: bytes [start, end) of it. */
export interface Segment {
  readonly blob: Blob;
  readonly start: number;
  readonly end: number;
  /** Bytes of an inline blob. */
  readonly bytes: Buffer | null;
}

/** What a reader needs of its store. */
export interface ReaderOwner {
  readonly path: string;
  pin(id: string): void;
  unpin(id: string): void;
  /** Whether the index has the blob; false for an entry that was replaced and swept since it was looked up. */
  knows(id: string): boolean;
  /** The folder is still the one that was opened, so that what it lacks is not there. */
  isInPlace(): Promise<boolean>;
  readerDone(reader: ObjectReader): void;
  /** Reading this data file has failed, for whatever reason. */
  readFailed?(id: string, error: unknown): void;
}

/** The part of each blob that [start, end) of the whole covers. */
export function segmentsOf(
  blobs: readonly Blob[],
  start: number,
  end: number,
  inlineBytes: (blob: Blob) => Buffer,
): Segment[] {
  const segments: Segment[] = [];
  let offset = 0;
  for (const blob of blobs) {
    const from = Math.max(start - offset, 0);
    const to = Math.min(end - offset, blob.size);
    if (from < to) segments.push({ blob, start: from, end: to, bytes: blob.inline ? inlineBytes(blob) : null });
    offset += blob.size;
    if (offset >= end) break;
  }
  return segments;
}

export function corruptBlock(blob: Blob, block: number): ZringError {
  return new ZringError('STORAGE_CORRUPT', `blob ${blob.id}: block ${block} does not match its checksum`, {
    subject: blob.id,
  });
}

export class ObjectReader extends Readable {
  readonly #owner: ReaderOwner;
  readonly #segments: Segment[];
  readonly #pinned = new Set<string>();
  #descriptor: number | null = null;
  /** Next byte of the first segment. */
  #position = 0;
  #checksums: readonly number[] = [];
  /** A read is under way; closing its descriptor now would let it hit another file. */
  #busy = false;
  #closing: (() => void) | null = null;

  constructor(owner: ReaderOwner, segments: Segment[]) {
    // One block is read ahead while the one before it is being sent.
    super({ highWaterMark: BLOCK_BYTES + 1 });
    this.#owner = owner;
    this.#segments = segments;
    for (const { blob } of segments) if (!blob.inline) this.#pin(blob.id);
  }

  /** Opens the first file early, so that it may be deleted from now on. */
  override _construct(callback: (error?: Error | null) => void): void {
    this.#openSegment().then(
      () => callback(),
      (error) => callback(this.#noted(error)),
    );
  }

  override _read(): void {
    if (this.#busy) return;
    this.#busy = true;
    this.#next().then(
      (chunk) => {
        this.#busy = false;
        if (this.#closing) this.#closing();
        else this.push(chunk);
      },
      (error) => {
        this.#busy = false;
        if (this.#closing) this.#closing();
        else this.destroy(this.#noted(error));
      },
    );
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    const finish = (): void => {
      this.#closing = null;
      for (const id of [...this.#pinned]) this.#unpin(id);
      this.#closeDescriptor().then(() => {
        this.#owner.readerDone(this);
        callback(error);
      });
    };
    if (this.#busy) this.#closing = finish;
    else finish();
  }

  #noted<Failure>(error: Failure): Failure {
    const blob = this.#segments[0]?.blob;
    if (blob && !blob.inline) this.#owner.readFailed?.(blob.id, error);
    return error;
  }

  async #next(): Promise<Buffer | null> {
    for (;;) {
      const segment = this.#segments[0];
      if (!segment) return null;
      if (this.#position < segment.end) {
        const chunk = segment.bytes ? this.#inlineChunk(segment, segment.bytes) : await this.#fileChunk(segment);
        this.#position += chunk.length;
        return chunk;
      }
      this.#segments.shift();
      await this.#closeDescriptor();
      await this.#openSegment();
    }
  }

  #inlineChunk(segment: Segment, bytes: Buffer): Buffer {
    return bytes.subarray(this.#position, segment.end);
  }

  async #fileChunk(segment: Segment): Promise<Buffer> {
    const { blob, end } = segment;
    const block = Math.floor(this.#position / BLOCK_BYTES);
    const from = block * BLOCK_BYTES;
    const bytes = Buffer.allocUnsafeSlow(Math.min(BLOCK_BYTES, blob.size - from));
    await this.#readBlock(blob, bytes, from);
    if (crc32c(bytes) !== this.#checksums[block]) throw corruptBlock(blob, block);
    return bytes.subarray(this.#position - from, end - from);
  }

  async #readBlock(blob: Blob, bytes: Buffer, from: number): Promise<void> {
    for (let filled = 0; filled < bytes.length; ) {
      const count = await new Promise<number>((resolve, reject) => {
        const settle = (error: Error | null, bytesRead: number): void => (error ? reject(error) : resolve(bytesRead));
        read(this.#descriptor ?? -1, bytes, filled, bytes.length - filled, from + filled, settle);
      }).catch((cause) => {
        throw storageError(cause, 'reading', `blob ${blob.id}`);
      });
      if (count === 0) {
        throw new ZringError('STORAGE_CORRUPT', `blob ${blob.id} ends at byte ${from + filled}`, { subject: blob.id });
      }
      filled += count;
    }
  }

  async #openSegment(): Promise<void> {
    const segment = this.#segments[0];
    if (!segment) return;
    this.#position = segment.start;
    if (segment.blob.inline) return;
    const { id } = segment.blob;
    this.#checksums = segment.blob.blockChecksums;
    const path = join(this.#owner.path, dataPath(id));
    this.#descriptor = await new Promise<number>((resolve, reject) => {
      open(path, 'r', (error, descriptor) => (error ? reject(error) : resolve(descriptor)));
    }).catch(async (cause) => {
      if (!isErrno(cause, 'ENOENT')) throw storageError(cause, 'opening', path);
      if (!(await this.#owner.isInPlace())) {
        const message = `opening ${path}: the dataset is not mounted there any more`;
        throw new ZringError('STORAGE_UNAVAILABLE', message, { cause, subject: path });
      }
      const code = this.#owner.knows(id) ? 'STORAGE_CORRUPT' : 'OBJECT_MISSING';
      throw new ZringError(code, `blob ${id} has no file`, { cause, subject: id });
    });
    this.#unpin(id);
  }

  #closeDescriptor(): Promise<void> {
    const descriptor = this.#descriptor;
    this.#descriptor = null;
    if (descriptor === null) return Promise.resolve();
    return new Promise((resolve) => {
      close(descriptor, () => resolve());
    });
  }

  #pin(id: string): void {
    if (this.#pinned.has(id)) return;
    this.#pinned.add(id);
    this.#owner.pin(id);
  }

  /** Once its file is open; a later segment of the same blob would pin again, but one manifest names a blob once. */
  #unpin(id: string): void {
    if (this.#pinned.delete(id)) this.#owner.unpin(id);
  }
}

// Takes one body. Up to the inline limit it stays in memory and goes into the index with its commit; beyond that it becomes
// a data file under its final name, checksummed block by block and flushed before finish() resolves. Owns the file until a
// commit names the blob. Must not know keys or the index.
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32c } from '@node-rs/crc32';
import { assert, ZringError } from '../common/errors.ts';
import { storageError } from '../common/storage-errors.ts';
import { BLOCK_BYTES } from './codec.ts';
import { dataPath } from './ids.ts';
import type { Blob, BlobWriter, BodyRoom } from './types.ts';

/** One is being filled while the other is being written: 512 KiB a writer, whatever the body's size. */
const BUFFER_BYTES = 256 << 10;
const BUFFERS_PER_WRITER = 2;
const IDLE_BUFFERS_MAX = 64;
const idleBuffers: Buffer[] = [];

/** Written and flushed, not yet named by a commit. */
export class PendingBlob implements Blob {
  readonly id: string;
  readonly size: number;
  readonly inline: boolean;
  readonly blockChecksums: readonly number[];
  /** For an inline one. */
  readonly bytes: Buffer | null;
  readonly owner: BlobOwner;
  state: 'pending' | 'committed' | 'discarded' = 'pending';

  constructor(owner: BlobOwner, id: string, size: number, checksums: readonly number[], bytes: Buffer | null) {
    this.owner = owner;
    this.id = id;
    this.size = size;
    this.blockChecksums = checksums;
    this.bytes = bytes;
    this.inline = bytes !== null;
  }
}

/**
 * Finished files that no commit has named yet, by id. A blob that its caller lost (an error between finish() and the commit)
 * is noticed when it is collected, and its file given up then.
 */
export class PendingFiles {
  readonly #ids = new Set<string>();
  readonly #lost: FinalizationRegistry<string>;

  constructor(discardFile: (id: string) => void) {
    this.#lost = new FinalizationRegistry((id) => {
      if (this.#ids.delete(id)) discardFile(id);
    });
  }

  add(blob: PendingBlob): void {
    this.#ids.add(blob.id);
    this.#lost.register(blob, blob.id);
  }

  /** Named by a commit now, or given up. */
  delete(id: string): void {
    this.#ids.delete(id);
  }

  takeAll(): string[] {
    const ids = [...this.#ids];
    this.#ids.clear();
    return ids;
  }
}

/** What a writer needs of its store. */
export interface BlobOwner {
  readonly path: string;
  readonly inlineBytesMax: number;
  readonly pending: PendingFiles;
  nextId(): string;
  /** Deletes a data file that no commit ever named, when deleting is allowed. */
  discardFile(id: string): void;
  /** The writer holds no file any more. */
  writerDone(writer: BlobWriter): void;
  /** As in OpenStoreOptions. */
  readonly room?: ((sizeHint: number | null) => BodyRoom) | undefined;
}

export class BodyWriter implements BlobWriter {
  readonly #owner: BlobOwner;
  readonly #sizeHint: number | null;
  readonly #room: BodyRoom | undefined;
  #size = 0;
  /** The body so far, while it may still become an inline blob. */
  #head: Buffer | null = null;
  #file: DataFile | null = null;
  #finishing: Promise<PendingBlob> | null = null;
  #ended = false;

  constructor(owner: BlobOwner, sizeHint: number | null) {
    this.#owner = owner;
    this.#sizeHint = sizeHint;
    this.#room = owner.room?.(sizeHint);
  }

  write(chunk: Buffer): Promise<void> | void {
    const asked = this.#room?.take(chunk.length);
    return asked ? asked.then(() => this.#keep(chunk)) : this.#keep(chunk);
  }

  #keep(chunk: Buffer): Promise<void> | void {
    if (this.#ended) return Promise.reject(new ZringError('ABORTED', 'the body is finished or was given up'));
    const before = this.#size;
    this.#size += chunk.length;
    if (this.#file) return this.#file.write(chunk);
    if (this.#size <= this.#owner.inlineBytesMax) {
      this.#head = grown(this.#head, this.#size, this.#sizeHint, this.#owner.inlineBytesMax);
      chunk.copy(this.#head, before);
      return;
    }
    this.#file = new DataFile(this.#owner.path, this.#owner.nextId(), this.#sizeHint);
    const head = this.#head?.subarray(0, before);
    this.#head = null;
    const file = this.#file;
    const first = head ? file.write(head) : undefined;
    return first ? first.then(() => file.write(chunk)) : file.write(chunk);
  }

  finish(): Promise<Blob> {
    assert(!this.#ended, 'a body is finished once');
    this.#ended = true;
    this.#finishing = this.#finish();
    return this.#finishing;
  }

  async #finish(): Promise<PendingBlob> {
    let blob: PendingBlob | null = null;
    try {
      blob = this.#file ? await this.#finishFile(this.#file) : this.#finishInline();
      return blob;
    } finally {
      this.#room?.end(blob !== null);
      this.#owner.writerDone(this);
    }
  }

  #finishInline(): PendingBlob {
    // Copied to its size: the blob may wait for its commit longer than the room around it should.
    const bytes = Buffer.from(this.#head?.subarray(0, this.#size) ?? []);
    this.#head = null;
    return new PendingBlob(this.#owner, this.#owner.nextId(), bytes.length, [crc32c(bytes)], bytes);
  }

  async #finishFile(file: DataFile): Promise<PendingBlob> {
    try {
      const checksums = await file.finish();
      const blob = new PendingBlob(this.#owner, file.id, this.#size, checksums, null);
      this.#owner.pending.add(blob);
      return blob;
    } catch (error) {
      this.#owner.discardFile(file.id);
      throw error;
    }
  }

  /** Also after finish(), as long as no commit has named the blob. */
  async abort(): Promise<void> {
    if (this.#finishing) {
      const blob = await this.#finishing.catch(() => null);
      if (blob) discard(blob);
    } else if (!this.#ended) {
      this.#ended = true;
      this.#head = null;
      this.#room?.end(false);
      await this.#file?.close();
      if (this.#file) this.#owner.discardFile(this.#file.id);
      this.#owner.writerDone(this);
    }
  }
}

export function discard(blob: PendingBlob): void {
  if (blob.state !== 'pending') return;
  blob.state = 'discarded';
  blob.owner.pending.delete(blob.id);
  if (!blob.inline) blob.owner.discardFile(blob.id);
}

function grown(head: Buffer | null, size: number, hint: number | null, max: number): Buffer {
  if (head && head.length >= size) return head;
  const wanted = hint !== null && hint >= size ? hint : Math.max(size, 2 * (head?.length ?? 512));
  const larger = Buffer.allocUnsafe(Math.min(wanted, max));
  head?.copy(larger);
  return larger;
}

/** One file being written, under an id that no other has: bytes are gathered in buffers, one write at a time is under way. */
export class DataFile {
  readonly id: string;
  readonly #path: string;
  readonly #bufferBytes: number;
  readonly #checksums: number[] = [];
  /** Bytes of the block that `#checksum` covers so far. */
  #blockBytes = 0;
  #checksum = 0;
  #current: Buffer | null = null;
  #filled = 0;
  #buffers = 0;
  readonly #free: Buffer[] = [];
  #wake: (() => void) | null = null;
  #handle: FileHandle | null = null;
  #position = 0;
  /** The writes so far, in order; never rejects. */
  #tail: Promise<void>;
  #failure: ZringError | null = null;

  constructor(folder: string, id: string, sizeHint: number | null) {
    this.id = id;
    this.#path = join(folder, dataPath(id));
    this.#bufferBytes = sizeHint === null ? BUFFER_BYTES : Math.min(BUFFER_BYTES, Math.max(sizeHint, 4096));
    this.#tail = this.#guarded('creating', async () => {
      this.#handle = await open(this.#path, 'wx', 0o644);
    });
  }

  async #guarded(operation: string, act: () => Promise<void>): Promise<void> {
    if (this.#failure) return;
    try {
      await act();
    } catch (cause) {
      this.#failure = storageError(cause, operation, this.#path);
    }
  }

  write(chunk: Buffer): Promise<void> | void {
    if (this.#failure) return Promise.reject(this.#failure);
    const current = this.#current;
    if (current && chunk.length <= current.length - this.#filled) {
      this.#copy(chunk, current);
      return;
    }
    return this.#writeSlowly(chunk);
  }

  async #writeSlowly(chunk: Buffer): Promise<void> {
    let rest = chunk;
    while (rest.length > 0) {
      this.#current ??= await this.#takeBuffer();
      if (this.#failure) throw this.#failure;
      rest = rest.subarray(this.#copy(rest, this.#current));
    }
  }

  /** Returns how much fitted; a full buffer is sent on its way. */
  #copy(chunk: Buffer, current: Buffer): number {
    const copied = chunk.copy(current, this.#filled);
    this.#filled += copied;
    if (this.#filled === current.length) this.#send(current);
    return copied;
  }

  async #takeBuffer(): Promise<Buffer> {
    if (this.#free.length === 0 && this.#buffers < BUFFERS_PER_WRITER) {
      this.#buffers++;
      return takeBuffer(this.#bufferBytes);
    }
    while (this.#free.length === 0) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return this.#free.pop() ?? takeBuffer(this.#bufferBytes);
  }

  #send(buffer: Buffer): void {
    const bytes = buffer.subarray(0, this.#filled);
    this.#current = null;
    this.#filled = 0;
    this.#addToChecksums(bytes);
    this.#tail = this.#tail
      .then(() => this.#guarded('writing', () => this.#writeOut(bytes)))
      .then(() => {
        this.#free.push(buffer);
        this.#wake?.();
        this.#wake = null;
      });
  }

  #addToChecksums(bytes: Buffer): void {
    for (let at = 0; at < bytes.length; ) {
      const part = bytes.subarray(at, at + BLOCK_BYTES - this.#blockBytes);
      this.#checksum = crc32c(part, this.#checksum);
      this.#blockBytes += part.length;
      at += part.length;
      if (this.#blockBytes === BLOCK_BYTES) this.#endBlock();
    }
  }

  #endBlock(): void {
    this.#checksums.push(this.#checksum);
    this.#checksum = 0;
    this.#blockBytes = 0;
  }

  async #writeOut(bytes: Buffer): Promise<void> {
    for (let at = 0; at < bytes.length; ) {
      const { bytesWritten } = await this.#open().write(bytes, at, bytes.length - at, this.#position);
      at += bytesWritten;
      this.#position += bytesWritten;
    }
  }

  #open(): FileHandle {
    assert(this.#handle, 'a data file is written while it is open');
    return this.#handle;
  }

  /** Resolves with the checksum of each block once all is on stable storage. */
  async finish(): Promise<readonly number[]> {
    if (this.#current && this.#filled > 0) this.#send(this.#current);
    if (this.#blockBytes > 0) this.#endBlock();
    await this.#tail;
    // fsync, not fdatasync: it makes the new name durable too on ZFS, ext4 and XFS. No folder is flushed.
    await this.#guarded('flushing', () => this.#open().sync());
    await this.close();
    if (this.#failure) throw this.#failure;
    return this.#checksums;
  }

  /** Idempotent. The file stays; who gives it up deletes it. */
  async close(): Promise<void> {
    await this.#tail;
    const handle = this.#handle;
    this.#handle = null;
    await this.#closeHandle(handle);
    for (const buffer of [...this.#free.splice(0), this.#current]) if (buffer) giveBuffer(buffer);
    this.#current = null;
  }

  async #closeHandle(handle: FileHandle | null): Promise<void> {
    try {
      await handle?.close();
    } catch (cause) {
      this.#failure ??= storageError(cause, 'closing', this.#path);
    }
  }
}

function takeBuffer(bytes: number): Buffer {
  return (bytes === BUFFER_BYTES ? idleBuffers.pop() : undefined) ?? Buffer.allocUnsafeSlow(bytes);
}

function giveBuffer(buffer: Buffer): void {
  if (buffer.length === BUFFER_BYTES && idleBuffers.length < IDLE_BUFFERS_MAX) idleBuffers.push(buffer);
}

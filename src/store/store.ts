// One store: objects on one dataset folder (`index` and `data/<2 hex>/<id>`). Puts its parts together: the index with its
// commit, blobs, listing, multipart, the sweep. Owns what is open: writers, readers, the index. Must not know S3 or HTTP.
//
// A put: a flushed file (none for a small body), then one index transaction, which alone makes the object exist.
import { access, constants, mkdir, open, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { crc32c } from '@node-rs/crc32';
import { assert, ZringError } from '../common/errors.ts';
import { storageError } from '../common/storage-errors.ts';
import type { Term } from '../common/term.ts';
import { corruptBlock, ObjectReader, type ReaderOwner, segmentsOf } from './blob-reader.ts';
import { type BlobOwner, BodyWriter, discard, PendingBlob, PendingFiles } from './blob-writer.ts';
import { decodeInline, decodeObject } from './codec.ts';
import { checkKey } from './conditions.ts';
import { Documents } from './documents.ts';
import { fanOutFolders, IdSource, idBytes } from './ids.ts';
import { type Commit, createIndex, relabelIndex, StoreIndex } from './index.ts';
import { listPage, startAfterKey } from './listing.ts';
import { Multipart } from './multipart.ts';
import { Sweeper } from './sweep.ts';
import type {
  AnnotateRequest,
  Blob,
  BlobWriter,
  CompleteRequest,
  CopyRequest,
  ListRequest,
  ListResult,
  ListVersionsRequest,
  ListVersionsResult,
  ObjectEntry,
  OpenStoreOptions,
  Pace,
  PartInfo,
  PutRequest,
  RemoveRequest,
  RemoveResult,
  RenameRequest,
  Store,
  StoreStats,
  UploadInfo,
  VerifyProgress,
  Versioning,
} from './types.ts';
import { isDamage, Upkeep } from './upkeep.ts';
import { verifyStore } from './verify.ts';
import { listVersions } from './version-listing.ts';
import { currentObject, findVersion, latestVersion } from './version-reads.ts';
import { annotateVersion, prepareVersion, removeVersion, renameObject, requireVersion } from './versions.ts';

/** Measured with bench/store.ts: below it one flush of the index beats a file of its own. */
export const INLINE_BYTES_MAX = 16 << 10;

/**
 * Makes an empty store in a folder that exists (a fresh, mounted dataset). Durable when it resolves; after a crash before
 * that the folder holds no index, and is to be made anew. Errors: DATASET_ALREADY_EXISTS, MOUNT_INVALID, STORAGE_*.
 */
export async function createStore(folder: string, options: { id: string; nowMs?: number }): Promise<void> {
  try {
    for (const path of ['data', ...fanOutFolders()]) await mkdir(join(folder, path), { recursive: true });
    for (const path of ['data', '.']) {
      const handle = await open(join(folder, path), 'r');
      // For ext4 and XFS; where a folder cannot be flushed (zfs-fuse) the flush of the index below carries it.
      await handle.sync().catch(() => {});
      await handle.close();
    }
  } catch (cause) {
    throw storageError(cause, 'creating a store in', folder);
  }
  await createIndex(folder, options.id, options.nowMs ?? Date.now());
}

/**
 * Makes the store in `folder`, whose dataset was cloned from that with the id `from`, the one of dataset `id`: durable when
 * it resolves, and after a crash it is the one or the other. Nobody else may have it open. Errors: as `openStore`.
 */
export function relabelStore(folder: string, options: { from: string; id: string; nowMs?: number }): Promise<void> {
  return relabelIndex(folder, { ...options, nowMs: options.nowMs ?? Date.now() });
}

/**
 * Opens strictly: never creates. Errors: MOUNT_INVALID (no index here, or of another dataset), VERSION_UNSUPPORTED,
 * TERM_REFUSED, LOCKED, STORAGE_CORRUPT, STORAGE_UNAVAILABLE, STORAGE_PERMISSION.
 */
export async function openStore(folder: string, options: OpenStoreOptions): Promise<LocalStore> {
  const index = await StoreIndex.open(folder, {
    readonly: options.readonly ?? false,
    term: options.readonly ? null : (options.term ?? null),
    guard: options.guard ?? (() => {}),
    nowMs: options.nowMs ?? Date.now,
    ...(options.id === undefined ? {} : { id: options.id }),
  });
  return new LocalStore(folder, index, options, await identityOf(folder));
}

/** Of the folder, by device: that of another mount is another one. Null = none can be told. */
function identityOf(folder: string): Promise<string | null> {
  return stat(folder, { bigint: true }).then(
    ({ dev, ino }) => `${dev}:${ino}`,
    () => null,
  );
}

export class LocalStore implements Store {
  readonly path: string;
  readonly id: string;
  readonly readonly: boolean;
  readonly term: Term | null;
  readonly upkeep: Upkeep;
  readonly #index: StoreIndex;
  readonly #ids: IdSource;
  readonly #sweeper: Sweeper;
  readonly #multipart: Multipart;
  readonly #documents: Documents;
  readonly #blobOwner: BlobOwner;
  readonly #readerOwner: ReaderOwner;
  readonly #checkOwner: ReaderOwner;
  readonly #writers = new Set<BlobWriter>();
  readonly #readers = new Set<ObjectReader>();
  readonly #commits = new Set<Promise<unknown>>();
  #closing: Promise<void> | null = null;

  /** Use openStore. */
  constructor(folder: string, index: StoreIndex, options: OpenStoreOptions, identity: string | null) {
    this.path = folder;
    this.id = index.format.id;
    this.readonly = options.readonly ?? false;
    this.term = this.readonly ? index.state().term : (options.term ?? null);
    this.#index = index;
    this.#ids = new IdSource(index.opening.opening);
    const isInPlace = async () => identity !== null && (await identityOf(folder)) === identity;
    this.#sweeper = new Sweeper(folder, index, this.#ids, isInPlace);
    this.#multipart = new Multipart(index);
    this.#documents = new Documents(index, !this.readonly);
    this.#blobOwner = {
      path: folder,
      inlineBytesMax: options.inlineBytesMax ?? INLINE_BYTES_MAX,
      pending: new PendingFiles((id) => this.#sweeper.discard(id)),
      nextId: () => this.#ids.next(),
      discardFile: (id) => this.#sweeper.discard(id),
      writerDone: (writer) => this.#writers.delete(writer),
      room: options.room,
    };
    this.#readerOwner = {
      path: folder,
      pin: (id) => this.#sweeper.pin(id),
      unpin: (id) => this.#sweeper.unpin(id),
      knows: (id) => index.get('blobs', idBytes(id)) !== undefined,
      isInPlace,
      readerDone: (reader) => this.#readers.delete(reader),
    };
    // What it meets itself it tells its caller.
    this.#checkOwner = { ...this.#readerOwner };
    this.#readerOwner.readFailed = (id, error) => {
      if (isDamage(error)) options.onDamage?.(id, error);
    };
    this.upkeep = new Upkeep({
      path: folder,
      index,
      nextId: () => this.#ids.next(),
      readBlob: (blob, pace) => this.#readBlobs([blob], pace),
      pin: (id) => this.#sweeper.pin(id),
      unpin: (id) => this.#sweeper.unpin(id),
      discard: (id) => this.#sweeper.discard(id),
      requireOpen: () => this.#requireOpen(),
      requireWritable: () => {
        this.#requireWritable();
        options.guard?.();
      },
      isInPlace,
    });
    if (!this.readonly) this.#sweeper.start(!index.inherited.clean);
  }

  #requireOpen(): void {
    if (this.#closing) throw new ZringError('STORAGE_UNAVAILABLE', `${this.path} is closed`, { subject: this.path });
  }

  head(key: string): ObjectEntry | null {
    this.#requireOpen();
    return currentObject(this.#index, key);
  }

  latest(key: string): ObjectEntry | null {
    this.#requireOpen();
    return latestVersion(this.#index, key);
  }

  version(key: string, versionId: string | null): ObjectEntry | null {
    this.#requireOpen();
    return findVersion(this.#index, key, versionId)?.entry ?? null;
  }

  read(entry: ObjectEntry, range?: { start: number; end: number }): Readable {
    this.#requireOpen();
    const { start, end } = range ?? { start: 0, end: entry.size - 1 };
    if (range && !(start >= 0 && start <= end && end < entry.size)) {
      throw new ZringError('RANGE_INVALID', `bytes ${start}-${end} of ${entry.size}`, { subject: entry.key });
    }
    const segments = segmentsOf(entry.blobs, start, end + 1, (blob) => this.#inlineBytes(blob));
    const reader = new ObjectReader(this.#readerOwner, segments);
    this.#readers.add(reader);
    return reader;
  }

  readInline(entry: ObjectEntry): Buffer | null {
    this.#requireOpen();
    if (entry.size === 0) return Buffer.alloc(0);
    const [blob, more] = entry.blobs;
    return blob?.inline && !more ? this.#inlineBytes(blob) : null;
  }

  #inlineBytes(blob: Blob): Buffer {
    const row = this.#index.get('inline', idBytes(blob.id));
    if (!row) throw new ZringError('OBJECT_MISSING', `blob ${blob.id} is gone`, { subject: blob.id });
    const { bytes } = decodeInline(blob.id, row);
    if (bytes.length !== blob.size || crc32c(bytes) !== blob.blockChecksums[0]) throw corruptBlock(blob, 0);
    return bytes;
  }

  list(request: ListRequest): ListResult {
    this.#requireOpen();
    const { prefix, delimiter, after } = request;
    const page = listPage(
      {
        range: (start, end) => this.#index.range('objects', { start, ...(end && { end }) }),
        keyOf: ({ key }) => key.toString(),
        bytesOf: (text) => Buffer.from(text),
      },
      { ...request, start: startAfterKey(after, prefix, delimiter) },
    );
    const entries = page.items.map(({ key, value }) => decodeObject(key.toString(), value, this.#index.checksums));
    const { last } = page;
    const next = !page.truncated || !last ? null : 'item' in last ? last.item.key.toString() : last.commonPrefix;
    return { entries, commonPrefixes: page.commonPrefixes, next };
  }

  listVersions(request: ListVersionsRequest): ListVersionsResult {
    this.#requireOpen();
    return listVersions(this.#index, request);
  }

  isEmpty(): boolean {
    this.#requireOpen();
    for (const table of ['objects', 'versions'] as const) {
      for (const _ of this.#index.range(table, { start: Buffer.alloc(0) })) return false;
    }
    return true;
  }

  versioning(): Versioning {
    this.#requireOpen();
    return this.#index.state().versioning;
  }

  async setVersioning(state: 'enabled' | 'suspended'): Promise<void> {
    return this.#commit((commit) => {
      if (commit.versioning === state) commit.unchanged();
      else commit.setVersioning(state);
    });
  }

  beginBlob(sizeHint: number | null): BlobWriter {
    this.#requireWritable();
    const writer = new BodyWriter(this.#blobOwner, sizeHint);
    this.#writers.add(writer);
    return writer;
  }

  #requireWritable(): void {
    this.#requireOpen();
    if (this.readonly) {
      throw new ZringError('STORAGE_UNAVAILABLE', `${this.path} is open read-only`, { subject: this.path });
    }
  }

  async #commit<Result>(change: (commit: Commit) => Result): Promise<Result> {
    this.#requireWritable();
    const committing = this.#index.commit(change);
    this.#commits.add(committing);
    try {
      const { result, dropped } = await committing;
      this.#sweeper.dropped(dropped);
      return result;
    } finally {
      this.#commits.delete(committing);
    }
  }

  /** A commit that names a blob. When it is refused the blob is given up; when its outcome is unknown the file is kept. */
  async #commitBlob<Result>(blob: Blob, change: (commit: Commit) => Result): Promise<Result> {
    this.#requireWritable();
    assert(blob instanceof PendingBlob && blob.owner === this.#blobOwner, 'a blob comes from this store');
    assert(blob.state === 'pending', `blob ${blob.id} is ${blob.state}`);
    blob.state = 'committed';
    blob.owner.pending.delete(blob.id);
    try {
      return await this.#commit((commit) => {
        const result = change(commit);
        if (blob.size > 0) commit.references.add(blob, blob.bytes);
        return result;
      });
    } catch (error) {
      if (!this.#mayBeNamed(blob, error)) {
        blob.state = 'pending';
        discard(blob);
      }
      throw error;
    }
  }

  /** After a commit of unknown outcome the index, reopened, tells; when it cannot, the next opening sweeps. */
  #mayBeNamed(blob: Blob, error: unknown): boolean {
    if (!(error instanceof ZringError && error.code === 'STORAGE_OUTCOME_UNKNOWN')) return false;
    try {
      return this.#index.get('blobs', idBytes(blob.id)) !== undefined;
    } catch {
      return true;
    }
  }

  async put(request: PutRequest): Promise<ObjectEntry> {
    const { key, blob, etag, attributes, condition } = request;
    return this.#commitBlob(blob, (commit) => {
      const putVersion = prepareVersion(commit, key, condition);
      const blobs = blob.size > 0 ? [withoutBytes(blob)] : [];
      return putVersion({ size: blob.size, etag, blobs, partSizes: null, attributes });
    });
  }

  async copy(request: CopyRequest): Promise<ObjectEntry> {
    const { key, attributes, condition } = request;
    return this.#commit((commit) => {
      const { entry: source } = requireVersion(commit, request.source, request.sourceVersion);
      if (source.sequence !== request.sourceSequence) {
        throw new ZringError('PRECONDITION_FAILED', `${request.source} was replaced`, { subject: request.source });
      }
      const putVersion = prepareVersion(commit, key, condition);
      for (const blob of source.blobs) commit.references.take(blob);
      const { size, blobs, partSizes } = source;
      return putVersion({ size, etag: request.etag ?? source.etag, blobs, partSizes, attributes });
    });
  }

  async remove(request: RemoveRequest): Promise<RemoveResult> {
    return this.#commit((commit) => removeVersion(commit, request));
  }

  async annotate(request: AnnotateRequest): Promise<ObjectEntry> {
    return this.#commit((commit) => annotateVersion(commit, request));
  }

  async rename(request: RenameRequest): Promise<ObjectEntry> {
    return this.#commit((commit) => renameObject(commit, request));
  }

  async createUpload(key: string, attributes: Record<string, unknown>): Promise<UploadInfo> {
    return this.#commit((commit) => {
      checkKey(key);
      return this.#multipart.create(commit, this.#ids.next(), key, attributes);
    });
  }

  upload(uploadId: string, key: string): UploadInfo | null {
    this.#requireOpen();
    return this.#multipart.upload(uploadId, key);
  }

  async putPart(
    uploadId: string,
    key: string,
    number: number,
    blob: Blob,
    etag: string,
    attributes: Record<string, unknown>,
  ): Promise<PartInfo> {
    return this.#commitBlob(blob, (commit) =>
      this.#multipart.putPart(commit, uploadId, key, { number, blob, etag, attributes }),
    );
  }

  listParts(uploadId: string, key: string, afterNumber: number, limit: number): ReturnType<Store['listParts']> {
    this.#requireOpen();
    return this.#multipart.listParts(uploadId, key, afterNumber, limit);
  }

  listUploads(request: Parameters<Store['listUploads']>[0]): ReturnType<Store['listUploads']> {
    this.#requireOpen();
    return this.#multipart.listUploads(request);
  }

  async completeUpload(request: CompleteRequest): Promise<ObjectEntry> {
    return this.#commit((commit) => this.#multipart.complete(commit, request));
  }

  async abortUpload(uploadId: string, key: string): Promise<void> {
    return this.#commit((commit) => this.#multipart.abort(commit, uploadId, key));
  }

  document(name: string): unknown {
    this.#requireOpen();
    return this.#documents.get(name);
  }

  async setDocument(name: string, value: unknown): Promise<void> {
    return this.#documents.set(name, value, (change) => this.#commit(change));
  }

  stats(): StoreStats {
    this.#requireOpen();
    const { objects, versions, bytes, uploads, sequence } = this.#index.state();
    return { objects, versions, bytes, uploads, sequence };
  }

  reusableBytes(): Promise<number> {
    this.#requireOpen();
    return this.#index.reusableBytes();
  }

  async verify(onProgress?: (progress: VerifyProgress) => void, signal?: AbortSignal): Promise<VerifyProgress> {
    this.#requireOpen();
    return verifyStore(
      {
        path: this.path,
        index: this.#index,
        readBlobs: (blobs) => this.#readBlobs(blobs),
        isUnsettled: (id) => !this.readonly && this.#ids.owns(id),
      },
      onProgress ?? (() => {}),
      signal,
    );
  }

  async #readBlobs(blobs: readonly Blob[], pace?: Pace): Promise<void> {
    const segments = segmentsOf(blobs, 0, Number.MAX_SAFE_INTEGER, (blob) => this.#inlineBytes(blob));
    const reader = new ObjectReader(this.#checkOwner, segments);
    this.#readers.add(reader);
    for await (const chunk of reader as AsyncIterable<Buffer>) await pace?.(chunk.length);
  }

  copyIndex(path: string): Promise<void> {
    this.#requireOpen();
    return this.#index.copyTo(path);
  }

  pauseSweep(): Promise<() => void> {
    this.#requireOpen();
    return this.#sweeper.pause();
  }

  /** Frees what was dropped, without waiting for the moment that it is kept for readers. */
  async sweepNow(): Promise<void> {
    this.#requireWritable();
    await this.#sweeper.sweepNow();
  }

  async misplaced(): Promise<string | null> {
    if (!(await this.#readerOwner.isInPlace())) return 'it is not mounted any more where it was opened';
    if (this.readonly) return null;
    const refusal = await access(this.path, constants.W_OK).then(
      () => null,
      (error: NodeJS.ErrnoException) => error.code,
    );
    return refusal === 'EROFS' ? 'it was made read-only' : null;
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await this.upkeep.stop();
    await Promise.all([...this.#writers].map((writer) => writer.abort()));
    for (const id of this.#blobOwner.pending.takeAll()) this.#sweeper.discard(id);
    // A commit that is refused now still gives up its blob before the sweep stops.
    while (this.#commits.size > 0) await Promise.allSettled(this.#commits);
    await new Promise((resolve) => setImmediate(resolve));
    await Promise.all([...this.#readers].map((reader) => this.#cut(reader)));
    try {
      if (!this.readonly && (await this.#sweeper.stop())) await this.#index.markClean().catch(() => {});
    } finally {
      await this.#index.close();
    }
  }

  #cut(reader: ObjectReader): Promise<void> {
    return new Promise((resolve) => {
      reader.once('close', resolve);
      reader.on('error', () => {});
      reader.destroy(new ZringError('STORAGE_UNAVAILABLE', `${this.path} was closed`, { subject: this.path }));
    });
  }
}

/** What an entry keeps of a blob: not the body that waited for its commit. */
function withoutBytes({ id, size, inline, blockChecksums }: Blob): Blob {
  return { id, size, inline, blockChecksums };
}

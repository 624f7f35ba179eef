// Shapes of the store: objects on one dataset folder. Knows nothing of S3's wire format, HTTP or the cluster.
// Attribute bags (`attributes`) are opaque to the store: the S3 layer decides what a content type or a tag is.
import type { Readable } from 'node:stream';
import type { ZringError } from '../common/errors.ts';
import type { Term } from '../common/term.ts';

/** One immutable run of bytes: inline in the index, or a data file. */
export interface Blob {
  readonly id: string;
  readonly size: number;
  /** CRC-32C of each 1 MiB block, in order; verified on read. */
  readonly blockChecksums: readonly number[];
  readonly inline: boolean;
}

/** One version of an object, or a delete marker. */
export interface ObjectEntry {
  readonly key: string;
  /** null = the null version: written while versioning was off or suspended. */
  readonly versionId: string | null;
  /** Without size, etag, blobs and attributes of its own; never what `head` returns. */
  readonly deleteMarker: boolean;
  readonly sequence: number;
  readonly term: Term;
  readonly size: number;
  /** max(previous + 1, now): orders nothing, shown to people. */
  readonly modifiedMs: number;
  /** Without quotes. */
  readonly etag: string;
  /** In order; one for a simple put, one per part after completing an upload. `partSizes` tells the parts. */
  readonly blobs: readonly Blob[];
  /** Sizes of the parts of a multipart object, null for a simple one. */
  readonly partSizes: readonly number[] | null;
  /** Headers, user metadata, checksums … as the layer above wants them back. JSON values. */
  readonly attributes: Readonly<Record<string, unknown>>;
}

/** Checked inside the commit, against what is current there. Fails with PRECONDITION_FAILED or OBJECT_MISSING. */
export interface WriteCondition {
  /** '*' = must exist. */
  readonly ifMatch?: readonly string[] | '*';
  /** '*' = must not exist. */
  readonly ifNoneMatch?: readonly string[] | '*';
}

/** Takes a body. Nothing is visible, and nothing is kept, until the blob is named by a commit. */
export interface BlobWriter {
  /** Resolves when more may be written (back pressure). The buffer may not be changed until then. */
  write(chunk: Buffer): Promise<void> | void;
  /** Flushed to stable storage (or held for the index when small) when it resolves. */
  finish(): Promise<Blob>;
  abort(): Promise<void>;
}

export interface PutRequest {
  readonly key: string;
  readonly blob: Blob;
  readonly etag: string;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly condition?: WriteCondition;
}

export interface CopyRequest {
  readonly source: string;
  /** Absent = the current version. */
  readonly sourceVersion?: string | null;
  /** Fails with PRECONDITION_FAILED when the source is no longer this one. */
  readonly sourceSequence: number;
  readonly key: string;
  readonly attributes: Readonly<Record<string, unknown>>;
  /** Defaults to the source's. */
  readonly etag?: string;
  readonly condition?: WriteCondition;
}

/** off: never enabled. Once enabled it can only be suspended and enabled again. */
export type Versioning = 'off' | 'enabled' | 'suspended';

export interface RemoveRequest {
  readonly key: string;
  /**
   * Absent: a plain delete (removes the object when versioning is off, else puts a delete marker on top; suspended: in
   * place of the null version). Present: removes this version for good; null = the null version.
   */
  readonly version?: string | null;
  /** Against the current version, or the named one. */
  readonly condition?: WriteCondition;
  /** Called inside the commit with what would be destroyed for good, and only then; throws to keep it. */
  readonly check?: (victim: ObjectEntry) => void;
  /**
   * Called inside the commit, first of all, with the version that the request is about: the named one, else the latest,
   * delete markers included; null = there is none. Throws to change nothing. For conditions beyond entity tags.
   * `isLatest`: whether the subject is what the key shows, delete markers included.
   */
  readonly inspect?: (subject: ObjectEntry | null, isLatest: boolean) => void;
}

export interface RemoveResult {
  /** Destroyed for good; null when there was nothing, or it lives on as a noncurrent version. */
  readonly removed: ObjectEntry | null;
  /** The delete marker that was put on top. */
  readonly marker: ObjectEntry | null;
}

export interface AnnotateRequest {
  readonly key: string;
  /** Absent = the current version; null = the null version. */
  readonly version?: string | null;
  /** Called inside the commit; returns the new bag; throws to change nothing. Etag, size and modifiedMs stay. */
  change(entry: ObjectEntry): Record<string, unknown>;
}

export interface RenameRequest {
  readonly source: string;
  readonly key: string;
  /** Against the source, inside the commit. */
  readonly sourceCondition?: WriteCondition;
  readonly condition?: WriteCondition;
  /** Called inside the commit; throws to change nothing. For conditions beyond entity tags. */
  readonly inspect?: (source: ObjectEntry, previous: ObjectEntry | null) => void;
}

export interface ListVersionsRequest {
  readonly prefix: string;
  readonly delimiter: string;
  /** Exclusive start; a common prefix skips everything below it. '' = from the beginning. */
  readonly afterKey: string;
  /**
   * Of `afterKey`: go on behind this version, or where it was; absent, or no version id at all: behind all versions of the
   * key. null = the null version; when there is none, all versions of the key are given (again).
   */
  readonly afterVersion?: string | null;
  readonly limit: number;
}

export interface ListedVersion {
  readonly entry: ObjectEntry;
  readonly isLatest: boolean;
  /** When it stopped being the latest: modifiedMs of the version above it; null for the latest. */
  readonly noncurrentSinceMs: number | null;
}

export interface ListVersionsResult {
  /** By key, and of one key the newest first; delete markers among them. */
  readonly versions: readonly ListedVersion[];
  readonly commonPrefixes: readonly string[];
  /**
   * Pass as afterKey and afterVersion; version absent behind a common prefix. It is the last version's id, and for the null
   * version a text of the same shape, so that the walk goes on at its place also when it has been removed meanwhile.
   */
  readonly next: { readonly key: string; readonly version?: string | null } | null;
}

export interface ListRequest {
  readonly prefix: string;
  /** '' = none. */
  readonly delimiter: string;
  /** Exclusive start: a key, or a common prefix (then everything below it is skipped). '' = from the beginning. */
  readonly after: string;
  readonly limit: number;
}

export interface ListResult {
  readonly entries: readonly ObjectEntry[];
  readonly commonPrefixes: readonly string[];
  /** Pass as `after` for the next page; null when complete. The last key or common prefix of this page. */
  readonly next: string | null;
}

export interface UploadInfo {
  readonly id: string;
  readonly key: string;
  readonly createdMs: number;
  readonly attributes: Readonly<Record<string, unknown>>;
}

export interface PartInfo {
  readonly number: number;
  readonly etag: string;
  readonly size: number;
  readonly modifiedMs: number;
  readonly attributes: Readonly<Record<string, unknown>>;
}

export interface CompleteRequest {
  readonly uploadId: string;
  readonly key: string;
  /** As the client sent them; compared with what was stored. */
  readonly parts: readonly { readonly number: number; readonly etag: string }[];
  /** Smallest size of every part but the last. */
  readonly partBytesMin: number;
  /** Called inside the commit with the chosen parts and the upload; returns etag and attributes of the object. */
  finish(upload: UploadInfo, parts: readonly PartInfo[]): { etag: string; attributes: Record<string, unknown> };
  readonly condition?: WriteCondition;
}

export interface StoreStats {
  /** Current objects. */
  readonly objects: number;
  /** Besides them: noncurrent objects, and all delete markers. */
  readonly versions: number;
  /** Of all versions. */
  readonly bytes: number;
  readonly uploads: number;
  readonly sequence: number;
}

export interface VerifyProgress {
  /** Current ones. */
  readonly objects: number;
  /** Besides them. */
  readonly versions: number;
  readonly bytes: number;
  readonly damaged: readonly { key: string; reason: string }[];
}

/** Awaited with the bytes of each step of long reading; how fast it may go is the caller's. */
export type Pace = (bytes: number) => Promise<void> | void;

export interface DataFileInfo {
  readonly id: string;
  /** Bytes; 0 where the index does not tell. */
  readonly size: number;
}

export interface IndexFault {
  /** Of an object or a part; null = the index as a whole. */
  readonly key: string | null;
  readonly reason: string;
}

/** While the store is in use. Errors of all: STORAGE_UNAVAILABLE when it was closed, or is not where it was opened. */
export interface StoreUpkeep {
  /** About so many data files that the index refers to, each once, by id, behind `after` ('' = from the first). Empty = no more. */
  filesAfter(after: string, limit: number): readonly DataFileInfo[];
  /** Reads the file: why it is damaged; null = it is sound, or nobody refers to it any more. */
  checkFile(id: string, pace?: Pace): Promise<ZringError | null>;
  /** Reads the index, all its records and the small bodies in it. */
  checkIndex(pace?: Pace): Promise<readonly IndexFault[]>;
  /** An object or part for each of these data files, as far as there is one. */
  keysOf(ids: ReadonlySet<string>): Promise<ReadonlyMap<string, string>>;
  /**
   * Puts these bytes in the place of the file's, durably. Idempotent. `gone`: nobody refers to it any more. Errors, with
   * nothing changed: STORAGE_CORRUPT (they are not what was written), STORAGE_FULL, QUOTA_EXCEEDED, STORAGE_*, those of
   * the source and of the guard. Takes the source over.
   */
  repairFile(id: string, bytes: Readable): Promise<'repaired' | 'gone'>;
}

export interface Store {
  readonly path: string;
  /** The dataset's immutable id, as given to createStore. */
  readonly id: string;
  readonly readonly: boolean;
  readonly term: Term | null;

  /** The current object; null when there is none or the latest version is a delete marker. */
  head(key: string): ObjectEntry | null;
  /** The latest version, delete markers included. */
  latest(key: string): ObjectEntry | null;
  /** One version, delete markers included; null = the null version. */
  version(key: string, versionId: string | null): ObjectEntry | null;
  /**
   * Bytes [start, end] inclusive of the object; checksums verified; a mismatch destroys the stream with STORAGE_CORRUPT.
   * An entry that was replaced or removed a while ago gives OBJECT_MISSING: look it up and read it in one go. A range
   * outside of the object is RANGE_INVALID.
   */
  read(entry: ObjectEntry, range?: { start: number; end: number }): Readable;
  /** The whole body when it is small and inline, else null. For the fast path. */
  readInline(entry: ObjectEntry): Buffer | null;
  list(request: ListRequest): ListResult;
  listVersions(request: ListVersionsRequest): ListVersionsResult;
  /** Nothing at all: no version and no delete marker. */
  isEmpty(): boolean;

  versioning(): Versioning;
  setVersioning(state: 'enabled' | 'suspended'): Promise<void>;

  /** `sizeHint` null = unknown length. */
  beginBlob(sizeHint: number | null): BlobWriter;
  put(request: PutRequest): Promise<ObjectEntry>;
  /** Same dataset, no bytes moved. */
  copy(request: CopyRequest): Promise<ObjectEntry>;
  remove(request: RemoveRequest): Promise<RemoveResult>;
  /** Changes attributes of one version without writing a new one. OBJECT_MISSING when there is none. */
  annotate(request: AnnotateRequest): Promise<ObjectEntry>;
  /** Moves the current object to another key in one commit, no bytes moved. Only while versioning is off. */
  rename(request: RenameRequest): Promise<ObjectEntry>;

  createUpload(key: string, attributes: Record<string, unknown>): Promise<UploadInfo>;
  upload(uploadId: string, key: string): UploadInfo | null;
  putPart(
    uploadId: string,
    key: string,
    number: number,
    blob: Blob,
    etag: string,
    attributes: Record<string, unknown>,
  ): Promise<PartInfo>;
  /** Part from a range of an object of this dataset; no bytes moved when the range covers whole blobs, else null. */
  listParts(
    uploadId: string,
    key: string,
    afterNumber: number,
    limit: number,
  ): { parts: PartInfo[]; next: number | null };
  listUploads(request: { prefix: string; delimiter: string; afterKey: string; afterUploadId: string; limit: number }): {
    uploads: UploadInfo[];
    commonPrefixes: string[];
    next: { key: string; uploadId: string } | null;
  };
  /** Idempotent: a repeated call with the same parts returns the same object. */
  completeUpload(request: CompleteRequest): Promise<ObjectEntry>;
  abortUpload(uploadId: string, key: string): Promise<void>;

  /** Bucket-level documents (settings, policy, CORS …), by name. Parsed once and shared: never change what it returns. */
  document(name: string): unknown;
  setDocument(name: string, value: unknown): Promise<void>;

  stats(): StoreStats;
  /** Bytes that the index takes on the disk for nothing, and uses again before it grows: it never shrinks. About. */
  reusableBytes(): Promise<number>;
  verify(onProgress?: (progress: VerifyProgress) => void, signal?: AbortSignal): Promise<VerifyProgress>;
  copyIndex(path: string): Promise<void>;
  pauseSweep(): Promise<() => void>;
  /** Finding and mending what the disk has damaged. Absent where there is no disk (simulators). */
  readonly upkeep?: StoreUpkeep;
  /** Why what is open is not the dataset as it is mounted now, and may be written; null while it is. Asks the disk. */
  misplaced?(): Promise<string | null>;
  /** Waits for commits in flight, flushes, unmaps. Idempotent. */
  close(): Promise<void>;
}

/** Room for one body in the dataset, asked for before its bytes are kept. */
export interface BodyRoom {
  /** Returns, or resolves, when so many more may be kept. Errors: QUOTA_EXCEEDED. */
  take(bytes: number): Promise<void> | void;
  /** The body is finished, or was given up. Idempotent. */
  end(kept: boolean): void;
}

export interface OpenStoreOptions {
  readonly readonly?: boolean;
  /** The dataset that must be here; another one is MOUNT_INVALID. */
  readonly id?: string;
  /** Required for writing; stored with every commit. A store that has seen a higher term refuses (TERM_REFUSED). */
  readonly term?: Term;
  /** Called right before each commit; throws when this node may not acknowledge any more. */
  readonly guard?: () => void;
  readonly nowMs?: () => number;
  readonly inlineBytesMax?: number;
  /** A reader has met this data file damaged: its answer was broken off. */
  readonly onDamage?: (id: string, reason: ZringError) => void;
  /** Called for every body; `sizeHint` null = unknown length. Absent: there is no limit but the disk's. */
  readonly room?: (sizeHint: number | null) => BodyRoom;
}

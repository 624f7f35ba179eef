// Shapes of the store: objects on one dataset folder. Knows nothing of S3's wire format, HTTP or the cluster.
// Attribute bags (`attributes`) are opaque to the store: the S3 layer decides what a content type or a tag is.
import type { Readable } from 'node:stream';
import type { Term } from '../common/term.ts';

/** One immutable run of bytes: inline in the index, or a data file. */
export interface Blob {
  readonly id: string;
  readonly size: number;
  /** CRC-32C of each 1 MiB block, in order; verified on read. */
  readonly blockChecksums: readonly number[];
  readonly inline: boolean;
}

export interface ObjectEntry {
  readonly key: string;
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
  /** Fails with PRECONDITION_FAILED when the source is no longer this one. */
  readonly sourceSequence: number;
  readonly key: string;
  readonly attributes: Readonly<Record<string, unknown>>;
  /** Defaults to the source's. */
  readonly etag?: string;
  readonly condition?: WriteCondition;
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
  readonly objects: number;
  readonly bytes: number;
  readonly uploads: number;
  readonly sequence: number;
}

export interface VerifyProgress {
  readonly objects: number;
  readonly bytes: number;
  readonly damaged: readonly { key: string; reason: string }[];
}

export interface Store {
  readonly path: string;
  /** The dataset's immutable id, as given to createStore. */
  readonly id: string;
  readonly readonly: boolean;
  readonly term: Term | null;

  head(key: string): ObjectEntry | null;
  /**
   * Bytes [start, end] inclusive of the object; checksums verified; a mismatch destroys the stream with STORAGE_CORRUPT.
   * An entry that was replaced or removed a while ago gives OBJECT_MISSING: look it up and read it in one go. A range
   * outside of the object is RANGE_INVALID.
   */
  read(entry: ObjectEntry, range?: { start: number; end: number }): Readable;
  /** The whole body when it is small and inline, else null. For the fast path. */
  readInline(entry: ObjectEntry): Buffer | null;
  list(request: ListRequest): ListResult;
  isEmpty(): boolean;

  /** `sizeHint` null = unknown length. */
  beginBlob(sizeHint: number | null): BlobWriter;
  put(request: PutRequest): Promise<ObjectEntry>;
  /** Same dataset, no bytes moved. */
  copy(request: CopyRequest): Promise<ObjectEntry>;
  /** Resolves with what was removed, or null when there was nothing. */
  remove(key: string, condition?: WriteCondition): Promise<ObjectEntry | null>;

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

  /** Bucket-level documents (settings, later policy, CORS …), by name. */
  document(name: string): unknown;
  setDocument(name: string, value: unknown): Promise<void>;

  stats(): StoreStats;
  verify(onProgress?: (progress: VerifyProgress) => void, signal?: AbortSignal): Promise<VerifyProgress>;
  copyIndex(path: string): Promise<void>;
  pauseSweep(): Promise<() => void>;
  /** Waits for commits in flight, flushes, unmaps. Idempotent. */
  close(): Promise<void>;
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
}

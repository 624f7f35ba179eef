// Multipart uploads: all of it is index work. A part is a blob with a row; completing moves the chosen blobs into the
// object's manifest and drops the rest, no bytes are moved. Owns no state of its own.
//
//   (none) --create--> upload row --putPart*--> part rows --complete--> object + completed row
//                          \------------------abort-----------------> (none)
// A completed upload is remembered for a day, so that a repeated CompleteMultipartUpload gets the same answer.
import { createHash } from 'node:crypto';
import { ZringError } from '../common/errors.ts';
import {
  type CompletedRow,
  decodeCompleted,
  decodePart,
  decodeUpload,
  encodeCompleted,
  encodePart,
  encodeUpload,
  escapeKey,
  PART_NUMBER_MAX,
  type PartRow,
  partKey,
  uploadKey,
} from './codec.ts';
import { idBytes, isId } from './ids.ts';
import type { Commit, StoreIndex } from './index.ts';
import { behind, isCommonPrefix, listPage } from './listing.ts';
import type { CompleteRequest, ObjectEntry, PartInfo, Store, UploadInfo } from './types.ts';
import { findVersion } from './version-reads.ts';
import { prepareVersion } from './versions.ts';

const COMPLETED_KEPT_MS = 24 * 3600 * 1000;
/** Old completed uploads forgotten with each new one: more than one, so that they do not pile up. */
const FORGOTTEN_PER_COMPLETE = 4;
const UPLOAD_KEY_END = Buffer.of(0);

function missing(uploadId: string): ZringError {
  return new ZringError('UPLOAD_MISSING', `no upload ${uploadId} of this key`, { subject: uploadId });
}

export class Multipart {
  readonly #index: StoreIndex;

  constructor(index: StoreIndex) {
    this.#index = index;
  }

  upload(uploadId: string, key: string): UploadInfo | null {
    if (!isId(uploadId)) return null;
    const bytes = this.#index.get('uploads', uploadKey(key, uploadId));
    return bytes ? decodeUpload(bytes) : null;
  }

  #requireUpload(commit: Commit, uploadId: string, key: string): UploadInfo {
    const bytes = isId(uploadId) ? commit.transaction.get('uploads', uploadKey(key, uploadId)) : undefined;
    if (!bytes) throw missing(uploadId);
    return decodeUpload(bytes);
  }

  create(commit: Commit, id: string, key: string, attributes: Record<string, unknown>): UploadInfo {
    const upload: UploadInfo = { id, key, createdMs: commit.nowMs, attributes };
    commit.transaction.put('uploads', uploadKey(key, id), encodeUpload(upload));
    commit.totals.uploads++;
    return upload;
  }

  /** A part of the same number is replaced. The blob is the caller's to add. */
  putPart(commit: Commit, uploadId: string, key: string, part: Omit<PartRow, 'modifiedMs' | 'size'>): PartInfo {
    if (!Number.isInteger(part.number) || part.number < 1 || part.number > PART_NUMBER_MAX) {
      throw new ZringError('LIMIT_EXCEEDED', `part numbers go from 1 to ${PART_NUMBER_MAX}`, {
        details: { limit: 'partNumber', max: PART_NUMBER_MAX },
      });
    }
    this.#requireUpload(commit, uploadId, key);
    const rowKey = partKey(uploadId, part.number);
    const replaced = commit.transaction.get('parts', rowKey);
    const previous = replaced ? decodePart(replaced, this.#index.checksums) : null;
    if (previous && previous.size > 0) commit.references.drop(previous.blob);
    const modifiedMs = Math.max((previous?.modifiedMs ?? 0) + 1, commit.nowMs);
    const row: PartRow = { ...part, modifiedMs, size: part.blob.size };
    commit.transaction.put('parts', rowKey, encodePart(row));
    return partInfo(row);
  }

  listParts(uploadId: string, key: string, afterNumber: number, limit: number): ReturnType<Store['listParts']> {
    if (!this.upload(uploadId, key)) throw missing(uploadId);
    const parts: PartInfo[] = [];
    const start = partKey(uploadId, Math.min(Math.max(afterNumber, 0), PART_NUMBER_MAX) + 1);
    for (const { value } of this.#index.range('parts', partsFrom(uploadId, start))) {
      if (parts.length === limit) return { parts, next: parts.at(-1)?.number ?? null };
      parts.push(partInfo(decodePart(value, this.#index.checksums)));
    }
    return { parts, next: null };
  }

  listUploads(request: Parameters<Store['listUploads']>[0]): ReturnType<Store['listUploads']> {
    const page = listPage<UploadInfo>(
      {
        range: (start, end) => decoded(this.#index.range('uploads', { start, ...(end && { end }) }), decodeUpload),
        keyOf: ({ key }) => key,
        bytesOf: escapeKey,
      },
      { ...request, start: startOfUploads(request) },
    );
    const { last } = page;
    const next =
      !page.truncated || !last
        ? null
        : 'item' in last
          ? { key: last.item.key, uploadId: last.item.id }
          : { key: last.commonPrefix, uploadId: '' };
    return { uploads: page.items, commonPrefixes: page.commonPrefixes, next };
  }

  #allParts(commit: Commit, uploadId: string): PartRow[] {
    const rows = commit.transaction.range('parts', partsFrom(uploadId, partKey(uploadId, 0)));
    return [...decoded(rows, (bytes) => decodePart(bytes, this.#index.checksums))];
  }

  complete(commit: Commit, request: CompleteRequest): ObjectEntry {
    const { uploadId, key } = request;
    const repeated = this.#completed(commit, request);
    if (repeated) {
      commit.unchanged();
      return repeated;
    }
    const upload = this.#requireUpload(commit, uploadId, key);
    const stored = this.#allParts(commit, uploadId);
    const chosen = chooseParts(stored, request);
    const putVersion = prepareVersion(commit, key, request.condition);
    const { etag, attributes } = request.finish(upload, chosen.map(partInfo));
    const forgotten = this.#forgettable(commit);
    const used = new Set(chosen);
    for (const part of stored) if (!used.has(part) && part.size > 0) commit.references.drop(part.blob);

    const entry = putVersion({
      size: chosen.reduce((sum, part) => sum + part.size, 0),
      etag,
      blobs: chosen.filter(({ size }) => size > 0).map(({ blob }) => blob),
      partSizes: chosen.map(({ size }) => size),
      attributes,
    });
    for (const part of stored) commit.transaction.remove('parts', partKey(uploadId, part.number));
    commit.transaction.remove('uploads', uploadKey(key, uploadId));
    commit.totals.uploads--;
    for (const old of forgotten) commit.transaction.remove('completed', old);
    const row: CompletedRow = { completedMs: commit.nowMs, parts: partsDigest(request), entry };
    commit.transaction.put('completed', idBytes(uploadId), encodeCompleted(row));
    return entry;
  }

  /** What the same request gave before; the version may be gone by now, then without its blobs. */
  #completed(commit: Commit, request: CompleteRequest): ObjectEntry | null {
    if (!isId(request.uploadId)) return null;
    const bytes = commit.transaction.get('completed', idBytes(request.uploadId));
    if (!bytes) return null;
    const row = decodeCompleted(bytes);
    if (row.entry.key !== request.key || row.parts !== partsDigest(request)) throw missing(request.uploadId);
    const found = findVersion(commit.reads, request.key, row.entry.versionId);
    return found?.entry.sequence === row.entry.sequence ? found.entry : row.entry;
  }

  /** Ids grow with time but for nodes whose clocks differ, so the first rows are the oldest. */
  #forgettable(commit: Commit): Buffer[] {
    const keys: Buffer[] = [];
    for (const { key, value } of commit.transaction.range('completed', { start: Buffer.alloc(0) })) {
      if (keys.length === FORGOTTEN_PER_COMPLETE) break;
      if (decodeCompleted(value).completedMs > commit.nowMs - COMPLETED_KEPT_MS) break;
      keys.push(key);
    }
    return keys;
  }

  abort(commit: Commit, uploadId: string, key: string): void {
    this.#requireUpload(commit, uploadId, key);
    const stored = this.#allParts(commit, uploadId);
    for (const part of stored) if (part.size > 0) commit.references.drop(part.blob);
    for (const part of stored) commit.transaction.remove('parts', partKey(uploadId, part.number));
    commit.transaction.remove('uploads', uploadKey(key, uploadId));
    commit.totals.uploads--;
  }
}

function partInfo({ number, etag, size, modifiedMs, attributes }: PartRow): PartInfo {
  return { number, etag, size, modifiedMs, attributes };
}

function partsFrom(uploadId: string, start: Buffer): { start: Buffer; end: Buffer } {
  return { start, end: partKey(uploadId, 0xffff) };
}

function* decoded<Item>(rows: Iterable<{ value: Buffer }>, decode: (bytes: Buffer) => Item): Generator<Item> {
  for (const { value } of rows) yield decode(value);
}

/** Errors: PART_ORDER_INVALID, PART_INVALID, PART_TOO_SMALL. */
function chooseParts(stored: readonly PartRow[], request: CompleteRequest): PartRow[] {
  const byNumber = new Map(stored.map((part) => [part.number, part]));
  const chosen: PartRow[] = [];
  for (const { number, etag } of request.parts) {
    if (number <= (chosen.at(-1)?.number ?? 0)) {
      throw new ZringError('PART_ORDER_INVALID', `part ${number} is out of order`, { subject: request.key });
    }
    const part = byNumber.get(number);
    if (!part || part.etag !== etag) {
      throw new ZringError('PART_INVALID', `part ${number} is not stored with this etag`, {
        subject: request.key,
        details: { number, etag },
      });
    }
    chosen.push(part);
  }
  if (chosen.length === 0) throw new ZringError('PART_INVALID', 'an object has one part at least');
  for (const { number, size, etag } of chosen.slice(0, -1)) {
    if (size >= request.partBytesMin) continue;
    throw new ZringError('PART_TOO_SMALL', `part ${number} has ${size} bytes`, {
      subject: request.key,
      details: { number, size, etag, min: request.partBytesMin },
    });
  }
  return chosen;
}

function partsDigest({ parts }: CompleteRequest): string {
  const hash = createHash('sha256');
  for (const { number, etag } of parts) hash.update(`${number}\0${etag}\0`);
  return hash.digest('hex');
}

/** Behind (key, upload id); without an id behind all uploads of the key; behind a common prefix all of it. */
function startOfUploads(request: Parameters<Store['listUploads']>[0]): Buffer | null {
  const { prefix, delimiter, afterKey, afterUploadId } = request;
  if (afterKey === '') return null;
  const key = escapeKey(afterKey.slice(0, 1025));
  if (isCommonPrefix(afterKey, prefix, delimiter)) return behind(key) ?? null;
  if (!isId(afterUploadId)) return Buffer.concat([key, Buffer.of(1)]);
  return Buffer.concat([key, UPLOAD_KEY_END, idBytes(afterUploadId), Buffer.of(0)]);
}

// Format v2 of the index: which tables there are, what their keys and records look like. Pure: bytes in, values out.
// A record starts with its version; docs and the golden fixture in test/store/fixtures keep it readable by later releases.
//
//   meta       name                          → JSON ('format', 'opening') or counters ('state')
//   objects    key (UTF-8)                   → object record: the current object, never a delete marker
//   versions   escaped key, 0, ~sequence u64 → object record: noncurrent objects, and all delete markers (since v2)
//   nulls      key (UTF-8)                   → sequence of the null version in `versions`, if it is there (since v2)
//   blobs      id of a data file             → references, size, checksum of each block
//   inline     id of a small blob            → references, bytes
//   garbage    id of a data file to delete   → nothing
//   uploads    escaped key, 0, upload id     → upload record
//   parts      upload id, part number u16    → part record
//   completed  upload id                     → what completing it gave
//   documents  name                          → JSON
//
// Of one key, `objects` is newer than everything in `versions`; a key without a row in `objects` has a delete marker as
// its first row in `versions`, or none. So listing objects never meets a marker, and the latest version is one seek away.
import { parseTerm, type Term } from '../common/term.ts';
import { RecordReader, RecordWriter } from './bytes.ts';
import { ID_BYTES, idBytes } from './ids.ts';
import type { Blob, ObjectEntry, PartInfo, UploadInfo, Versioning } from './types.ts';

/** The newest that this release reads. A store has the oldest format that can hold it, so that older releases read it too. */
export const FORMAT_VERSION = 2;
/** Of a store whose versioning was never enabled. */
export const UNVERSIONED_FORMAT = 1;
export const BLOCK_BYTES = 1 << 20;

export const TABLES = [
  'meta',
  'objects',
  'blobs',
  'inline',
  'garbage',
  'uploads',
  'parts',
  'completed',
  'documents',
] as const;
/** Since format 2. */
export const VERSION_TABLES = ['versions', 'nulls'] as const;
export type Table = (typeof TABLES)[number] | (typeof VERSION_TABLES)[number];

const RECORD_VERSION = 1;
const BLOB_INLINE = 1;
const OBJECT_PARTS = 1;
/** Has a version id; without it is the null version. */
const OBJECT_VERSION_ID = 2;
const OBJECT_DELETE_MARKER = 4;
const VERSION_ID_BYTES = 16;

/** Loads the block checksums of a data file when somebody needs them: heads and lists do not. */
export type ChecksumSource = (id: string) => readonly number[];

class StoredFile implements Blob {
  readonly id: string;
  readonly size: number;
  readonly inline = false;
  readonly #checksums: ChecksumSource;

  constructor(id: string, size: number, checksums: ChecksumSource) {
    this.id = id;
    this.size = size;
    this.#checksums = checksums;
  }

  get blockChecksums(): readonly number[] {
    return this.#checksums(this.id);
  }
}

/** An inline blob has one block at most, its checksum stands in the reference. */
function writeBlob(record: RecordWriter, blob: Blob): void {
  record
    .raw(idBytes(blob.id))
    .byte(blob.inline ? BLOB_INLINE : 0)
    .number(blob.size);
  if (blob.inline) record.u32(blob.blockChecksums[0] ?? 0);
}

function readBlob(record: RecordReader, checksums: ChecksumSource): Blob {
  const id = record.raw(ID_BYTES).toString('hex');
  const inline = (record.byte() & BLOB_INLINE) !== 0;
  const size = record.number();
  return inline ? { id, size, inline, blockChecksums: [record.u32()] } : new StoredFile(id, size, checksums);
}

function writeAttributes(record: RecordWriter, attributes: Readonly<Record<string, unknown>>): void {
  const text = JSON.stringify(attributes);
  record.text(text === '{}' ? '' : text);
}

function readAttributes(record: RecordReader): Record<string, unknown> {
  return record.json() ?? {};
}

export function objectKey(key: string): Buffer {
  return Buffer.from(key);
}

export function encodeObject(entry: ObjectEntry): Buffer {
  const parts = entry.partSizes ? OBJECT_PARTS : 0;
  const versionId = entry.versionId === null ? 0 : OBJECT_VERSION_ID;
  const marker = entry.deleteMarker ? OBJECT_DELETE_MARKER : 0;
  const record = new RecordWriter()
    .byte(RECORD_VERSION)
    .byte(parts | versionId | marker)
    .number(entry.sequence)
    .number(entry.term.n)
    .text(entry.term.node)
    .number(entry.modifiedMs)
    .number(entry.size)
    .text(entry.etag);
  writeAttributes(record, entry.attributes);
  record.number(entry.blobs.length);
  for (const blob of entry.blobs) writeBlob(record, blob);
  if (entry.partSizes) {
    record.number(entry.partSizes.length);
    for (const size of entry.partSizes) record.number(size);
  }
  if (entry.versionId !== null) record.raw(Buffer.from(entry.versionId, 'hex'));
  return record.finish();
}

export function decodeObject(key: string, bytes: Buffer, checksums: ChecksumSource): ObjectEntry {
  const record = new RecordReader(bytes, key);
  record.version(RECORD_VERSION);
  const flags = record.byte();
  const sequence = record.number();
  const term: Term = { n: record.number(), node: record.text() };
  const modifiedMs = record.number();
  const size = record.number();
  const etag = record.text();
  const attributes = readAttributes(record);
  const blobs = Array.from({ length: record.count() }, () => readBlob(record, checksums));
  const partSizes = flags & OBJECT_PARTS ? Array.from({ length: record.count() }, () => record.number()) : null;
  const versionId = flags & OBJECT_VERSION_ID ? record.raw(VERSION_ID_BYTES).toString('hex') : null;
  const deleteMarker = (flags & OBJECT_DELETE_MARKER) !== 0;
  record.end();
  return { key, versionId, deleteMarker, sequence, term, size, modifiedMs, etag, blobs, partSizes, attributes };
}

export interface FileRow {
  readonly references: number;
  readonly size: number;
  readonly checksums: readonly number[];
}

export function encodeFile(row: FileRow): Buffer {
  const record = new RecordWriter().byte(RECORD_VERSION).number(row.references).number(row.size);
  for (const checksum of row.checksums) record.u32(checksum);
  return record.finish();
}

export function decodeFile(id: string, bytes: Buffer): FileRow {
  const record = new RecordReader(bytes, `blob ${id}`);
  record.version(RECORD_VERSION);
  const references = record.number();
  const size = record.number();
  const checksums = Array.from({ length: Math.ceil(size / BLOCK_BYTES) }, () => record.u32());
  record.end();
  return { references, size, checksums };
}

export interface InlineRow {
  readonly references: number;
  readonly bytes: Buffer;
}

export function encodeInline(row: InlineRow): Buffer {
  return new RecordWriter().byte(RECORD_VERSION).u32(row.references).raw(row.bytes).finish();
}

export function decodeInline(id: string, bytes: Buffer): InlineRow {
  const record = new RecordReader(bytes, `blob ${id}`);
  record.version(RECORD_VERSION);
  return { references: record.u32(), bytes: record.rest() };
}

/** Keeps byte order, and leaves 0 free as the end of the key: 0 → 1 1, 1 → 1 2. */
export function escapeKey(key: string | Buffer): Buffer {
  const plain = Buffer.from(key);
  let special = 0;
  for (const byte of plain) if (byte <= 1) special++;
  if (special === 0) return plain;
  const escaped = Buffer.allocUnsafe(plain.length + special);
  let at = 0;
  for (const byte of plain) {
    escaped[at++] = Math.max(byte, 1);
    if (byte <= 1) escaped[at++] = byte + 1;
  }
  return escaped;
}

/**
 * Takes escapeKey back. Of bytes that are no escaped key (the first bytes behind some) it gives the first plain bytes that
 * are not below them.
 */
export function unescapeKey(escaped: Buffer): Buffer {
  if (!escaped.includes(1)) return Buffer.from(escaped);
  const plain: number[] = [];
  for (let at = 0; at < escaped.length; at++) {
    const byte = escaped[at] ?? 0;
    plain.push(byte === 1 ? (escaped[++at] ?? 1) - 1 : byte);
  }
  return Buffer.from(plain);
}

export function uploadKey(key: string, uploadId: string): Buffer {
  return Buffer.concat([escapeKey(key), Buffer.of(0), idBytes(uploadId)]);
}

export function encodeUpload(upload: UploadInfo): Buffer {
  const record = new RecordWriter().byte(RECORD_VERSION).text(upload.id).text(upload.key).number(upload.createdMs);
  writeAttributes(record, upload.attributes);
  return record.finish();
}

export function decodeUpload(bytes: Buffer): UploadInfo {
  const record = new RecordReader(bytes, 'upload');
  record.version(RECORD_VERSION);
  const upload = {
    id: record.text(),
    key: record.text(),
    createdMs: record.number(),
    attributes: readAttributes(record),
  };
  record.end();
  return upload;
}

export const PART_NUMBER_MAX = 10_000;

export function partKey(uploadId: string, number: number): Buffer {
  const key = Buffer.alloc(ID_BYTES + 2);
  idBytes(uploadId).copy(key);
  key.writeUInt16BE(number, ID_BYTES);
  return key;
}

export interface PartRow extends PartInfo {
  readonly blob: Blob;
}

export function encodePart(part: PartRow): Buffer {
  const record = new RecordWriter().byte(RECORD_VERSION).number(part.number).text(part.etag).number(part.modifiedMs);
  writeAttributes(record, part.attributes);
  writeBlob(record, part.blob);
  return record.finish();
}

export function decodePart(bytes: Buffer, checksums: ChecksumSource): PartRow {
  const record = new RecordReader(bytes, 'part');
  record.version(RECORD_VERSION);
  const number = record.number();
  const etag = record.text();
  const modifiedMs = record.number();
  const attributes = readAttributes(record);
  const blob = readBlob(record, checksums);
  record.end();
  return { number, etag, size: blob.size, modifiedMs, attributes, blob };
}

/** What a repeated CompleteMultipartUpload is compared with and answered from. */
export interface CompletedRow {
  readonly completedMs: number;
  /** Digest of the request's parts. */
  readonly parts: string;
  /** Without its blobs: they may belong to nobody by then. */
  readonly entry: ObjectEntry;
}

export function encodeCompleted(row: CompletedRow): Buffer {
  return new RecordWriter()
    .byte(RECORD_VERSION)
    .number(row.completedMs)
    .text(row.parts)
    .text(row.entry.key)
    .bytes(encodeObject({ ...row.entry, blobs: [] }))
    .finish();
}

export function decodeCompleted(bytes: Buffer): CompletedRow {
  const record = new RecordReader(bytes, 'completed upload');
  record.version(RECORD_VERSION);
  const completedMs = record.number();
  const parts = record.text();
  const key = record.text();
  const entry = decodeObject(key, record.bytes(), () => []);
  record.end();
  return { completedMs, parts, entry };
}

/** Counters that change with every commit. */
export interface StateRow {
  readonly sequence: number;
  readonly term: Term | null;
  readonly objects: number;
  readonly bytes: number;
  readonly uploads: number;
  /** Rows in `versions`. */
  readonly versions: number;
  readonly versioning: Versioning;
}

const VERSIONING: readonly Versioning[] = ['off', 'enabled', 'suspended'];

/** In the form of format 1 until versioning is enabled for the first time. */
export function encodeState(state: StateRow): Buffer {
  const record = new RecordWriter()
    .byte(RECORD_VERSION)
    .number(state.sequence)
    .text(state.term ? `${state.term.n}@${state.term.node}` : '')
    .number(state.objects)
    .number(state.bytes)
    .number(state.uploads);
  if (state.versioning !== 'off') record.number(state.versions).byte(VERSIONING.indexOf(state.versioning));
  return record.finish();
}

export function decodeState(bytes: Buffer): StateRow {
  const record = new RecordReader(bytes, 'the state');
  record.version(RECORD_VERSION);
  const sequence = record.number();
  const term = parseTerm(record.text());
  const totals = { objects: record.number(), bytes: record.number(), uploads: record.number() };
  const versions = record.more ? record.number() : 0;
  const versioning = VERSIONING[record.more ? record.byte() : 0];
  record.end();
  if (versioning === undefined) throw record.damaged();
  return { sequence, term, ...totals, versions, versioning };
}

export interface FormatRow {
  readonly format: number;
  /** The bucket's immutable id. */
  readonly id: string;
  readonly createdMs: number;
}

export interface OpeningRow {
  /** Number of openings for writes so far. */
  readonly opening: number;
  readonly term: Term | null;
  /** The last one was closed with nothing left to sweep. */
  readonly clean: boolean;
}

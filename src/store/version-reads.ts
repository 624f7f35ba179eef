// Finds versions: in the index as it is, or inside a commit. Pure functions of what they read; each costs a few seeks,
// however many versions the key has.
import type { Entry, RangeOptions } from '../common/lmdb.ts';
import { RecordReader, RecordWriter } from './bytes.ts';
import { type ChecksumSource, decodeObject, objectKey, type Table } from './codec.ts';
import type { ObjectEntry } from './types.ts';
import { parseVersionKey, versionKey, versionSequence, versionsOf } from './version-keys.ts';

export interface IndexReads {
  get(table: Table, key: Uint8Array): Buffer | undefined;
  range(table: Table, options: RangeOptions): Iterable<Entry>;
  readonly checksums: ChecksumSource;
}

export interface FoundVersion {
  readonly entry: ObjectEntry;
  /** It stands in `objects`. A delete marker never does, be it the latest or not. */
  readonly current: boolean;
}

/** The current object. */
export function currentObject(reads: IndexReads, key: string): ObjectEntry | null {
  const bytes = reads.get('objects', objectKey(key));
  return bytes ? decodeObject(key, bytes, reads.checksums) : null;
}

/** The newest versions below the current object, or from the latest delete marker on. */
export function storedVersions(reads: IndexReads, key: string, limit: number): ObjectEntry[] {
  const found: ObjectEntry[] = [];
  if (limit === 0) return found;
  for (const row of reads.range('versions', versionsOf(key))) {
    found.push(decodeVersionRow(row, reads.checksums));
    if (found.length === limit) break;
  }
  return found;
}

export function decodeVersionRow(row: Entry, checksums: ChecksumSource): ObjectEntry {
  return decodeObject(parseVersionKey(row.key).key, row.value, checksums);
}

/** The latest version, delete markers included. */
export function latestVersion(reads: IndexReads, key: string): ObjectEntry | null {
  return currentObject(reads, key) ?? storedVersions(reads, key, 1)[0] ?? null;
}

/** null = the null version. */
export function findVersion(reads: IndexReads, key: string, versionId: string | null): FoundVersion | null {
  const sequence = versionId === null ? null : versionSequence(versionId);
  if (versionId !== null && sequence === null) return null;
  const current = currentObject(reads, key);
  if (current && current.versionId === versionId) return { entry: current, current: true };
  const at = sequence ?? storedNull(reads, key);
  const bytes = at === null ? undefined : reads.get('versions', versionKey(key, at));
  const entry = bytes ? decodeObject(key, bytes, reads.checksums) : null;
  return entry && entry.versionId === versionId ? { entry, current: false } : null;
}

/** Of the null version in `versions`. */
export function storedNull(reads: IndexReads, key: string): number | null {
  const bytes = reads.get('nulls', objectKey(key));
  return bytes ? decodeNull(key, bytes) : null;
}

export function encodeNull(sequence: number): Buffer {
  return new RecordWriter().number(sequence).finish();
}

export function decodeNull(key: string, bytes: Buffer): number {
  const record = new RecordReader(bytes, `the null version of ${key}`);
  const sequence = record.number();
  record.end();
  return sequence;
}

// Pages of all versions: by key, of one key the newest first, delete markers among them. Pure over an index that it reads.
// The current objects and the other versions are two tables in the same order; a page merges them as it goes, and costs
// what it returns: behind a common prefix both scans go on with one seek.
import { decodeObject, escapeKey, unescapeKey } from './codec.ts';
import { KEY_BYTES_MAX } from './conditions.ts';
import { behind, isCommonPrefix, listPage } from './listing.ts';
import type { ListedVersion, ListVersionsRequest, ListVersionsResult, ObjectEntry } from './types.ts';
import { positionId, versionKey, versionSequence, versionsOf } from './version-keys.ts';
import { currentObject, decodeVersionRow, findVersion, type IndexReads } from './version-reads.ts';

export function listVersions(reads: IndexReads, request: ListVersionsRequest): ListVersionsResult {
  const { prefix, delimiter, afterKey, limit } = request;
  const page = listPage<ObjectEntry>(
    {
      range: (start, end) => mergedVersions(reads, start, end),
      keyOf: ({ key }) => key,
      bytesOf: escapeKey,
    },
    { prefix, delimiter, start: startOfPage(reads, request), limit },
  );
  const { last } = page;
  const next =
    !page.truncated || !last
      ? null
      : 'item' in last
        ? { key: last.item.key, version: last.item.versionId ?? positionId(last.item.sequence) }
        : { key: last.commonPrefix };
  return { versions: withSuccessors(reads, afterKey, page.items), commonPrefixes: page.commonPrefixes, next };
}

interface Placed {
  readonly at: Buffer;
  readonly entry: ObjectEntry;
}

/** Both tables in the order of version keys. A current object is newer than all else of its key, so it comes first. */
function* mergedVersions(reads: IndexReads, start: Buffer, end: Buffer | undefined): Generator<ObjectEntry> {
  const currents = placedCurrents(reads, start, end);
  const others = placedOthers(reads, start, end);
  try {
    let current = currents.next();
    let other = others.next();
    while (!current.done || !other.done) {
      if (!current.done && (other.done || Buffer.compare(current.value.at, other.value.at) < 0)) {
        yield current.value.entry;
        current = currents.next();
      } else if (!other.done) {
        yield other.value.entry;
        other = others.next();
      }
    }
  } finally {
    currents.return(undefined);
    others.return(undefined);
  }
}

function* placedCurrents(reads: IndexReads, start: Buffer, end: Buffer | undefined): Generator<Placed, undefined> {
  for (const { key, value } of reads.range('objects', plainBounds(start, end))) {
    const entry = decodeObject(key.toString(), value, reads.checksums);
    const at = versionKey(entry.key, entry.sequence);
    // The page may go on at a version that was above this one.
    if (Buffer.compare(at, start) >= 0) yield { at, entry };
  }
}

function* placedOthers(reads: IndexReads, start: Buffer, end: Buffer | undefined): Generator<Placed, undefined> {
  for (const row of reads.range('versions', { start, ...(end && { end }) })) {
    yield { at: row.key, entry: decodeVersionRow(row, reads.checksums) };
  }
}

/** Of version keys, for the table of current objects: wide enough, the merge leaves out what lies before the start. */
function plainBounds(start: Buffer, end: Buffer | undefined): { start: Buffer; end?: Buffer } {
  return { start: unescapeKey(keyPart(start)), ...(end && { end: unescapeKey(end) }) };
}

/** Escaped keys have no 0. */
function keyPart(bound: Buffer): Buffer {
  const at = bound.indexOf(0);
  return at < 0 ? bound : bound.subarray(0, at);
}

/** Where to go on; a version that was removed meanwhile has left its place. null = from the beginning. */
function startOfPage(reads: IndexReads, request: ListVersionsRequest): Buffer | null {
  const { prefix, delimiter, afterKey, afterVersion } = request;
  if (afterKey === '') return null;
  const key = Buffer.from(afterKey);
  // A key is at most 1024 bytes, so none lies between a longer text and its first 1025 bytes.
  if (key.length > KEY_BYTES_MAX) return escapeKey(key.subarray(0, KEY_BYTES_MAX + 1));
  if (isCommonPrefix(afterKey, prefix, delimiter)) return behind(escapeKey(key)) ?? null;
  const { start, end } = versionsOf(afterKey);
  if (afterVersion === undefined) return end;
  if (afterVersion !== null) {
    const sequence = versionSequence(afterVersion);
    return sequence === null ? end : after(versionKey(afterKey, sequence));
  }
  // Without a null version nobody can say where it was: better some versions twice than some never.
  const found = findVersion(reads, afterKey, null);
  return found ? after(versionKey(afterKey, found.entry.sequence)) : start;
}

function after(key: Buffer): Buffer {
  return Buffer.concat([key, Buffer.of(0)]);
}

/** The version above each: the one before it in the page, or, for the first of a page that starts within a key, a look-up. */
function withSuccessors(reads: IndexReads, afterKey: string, entries: readonly ObjectEntry[]): ListedVersion[] {
  let above: ObjectEntry | null = null;
  return entries.map((entry, i) => {
    if (above?.key !== entry.key) above = i === 0 && entry.key === afterKey ? versionAbove(reads, entry) : null;
    const listed = { entry, isLatest: above === null, noncurrentSinceMs: above?.modifiedMs ?? null };
    above = entry;
    return listed;
  });
}

function versionAbove(reads: IndexReads, { key, sequence }: ObjectEntry): ObjectEntry | null {
  const { start } = versionsOf(key);
  for (const row of reads.range('versions', { start, end: versionKey(key, sequence), reverse: true })) {
    return decodeVersionRow(row, reads.checksums);
  }
  const current = currentObject(reads, key);
  return current && current.sequence > sequence ? current : null;
}

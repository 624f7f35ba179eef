// Changes of one key's versions, inside a commit: a new version on top, a delete marker, removal for good, attributes,
// rename. Owns no state. Each change first reads and checks, then writes, and reads a few rows at most, however many
// versions the key has.
//
//            objects (current)    versions (newest first)          null version
//   off      replaced, removed    always empty                     the only one there is
//   enabled  new one on top       + what was current; + marker     stays where it is
//   suspended  null one on top    + what was current, had it an id; + null marker   replaced, wherever it is
// Removing the latest for good makes the next one the latest: an object moves to `objects`, a marker stays.
//
// A commit makes one version of a key at most, so its sequence number is the version's place and part of its name.
import { assert, ZringError } from '../common/errors.ts';
import { encodeObject, objectKey } from './codec.ts';
import { checkCondition, checkKey } from './conditions.ts';
import type { Commit } from './index.ts';
import type {
  AnnotateRequest,
  ObjectEntry,
  RemoveRequest,
  RemoveResult,
  RenameRequest,
  WriteCondition,
} from './types.ts';
import { newVersionId, versionKey } from './version-keys.ts';
import {
  currentObject,
  encodeNull,
  type FoundVersion,
  findVersion,
  latestVersion,
  storedVersions,
} from './version-reads.ts';

export type Content = Pick<ObjectEntry, 'size' | 'etag' | 'blobs' | 'partSizes' | 'attributes'>;

const NO_CONTENT: Content = { size: 0, etag: '', blobs: [], partSizes: null, attributes: {} };

/** The place on top of a key's versions, with all that was there read and checked. */
interface Top {
  readonly current: ObjectEntry | null;
  /** Delete markers included. */
  readonly latest: ObjectEntry | null;
  /** What the new version takes the place of: destroyed for good. */
  readonly victim: FoundVersion | null;
}

function readTop(commit: Commit, key: string): Top {
  const current = currentObject(commit.reads, key);
  if (commit.versioning === 'off') {
    return { current, latest: current, victim: current && { entry: current, current: true } };
  }
  const latest = current ?? storedVersions(commit.reads, key, 1)[0] ?? null;
  return { current, latest, victim: commit.versioning === 'enabled' ? null : findVersion(commit.reads, key, null) };
}

/**
 * Checks, reads and drops; the function that it returns writes the new version, and may be called after other reads.
 * Errors: LIMIT_EXCEEDED, PRECONDITION_FAILED, OBJECT_MISSING.
 */
export function prepareVersion(
  commit: Commit,
  key: string,
  condition: WriteCondition | undefined,
): (content: Content) => ObjectEntry {
  checkKey(key);
  const top = readTop(commit, key);
  checkCondition(key, top.current, condition);
  dropBlobs(commit, top.victim?.entry);
  return (content) => putOnTop(commit, key, top, content, false);
}

function putOnTop(commit: Commit, key: string, top: Top, content: Content, deleteMarker: boolean): ObjectEntry {
  const { current, latest, victim } = top;
  if (victim && !victim.current) removeStored(commit, victim.entry);
  if (current) takeCurrent(commit, current);
  if (current && !victim?.current) putStored(commit, current);
  const entry: ObjectEntry = {
    key,
    versionId: commit.versioning === 'enabled' ? newVersionId(commit.sequence) : null,
    deleteMarker,
    sequence: commit.sequence,
    term: commit.term,
    modifiedMs: Math.max((latest?.modifiedMs ?? 0) + 1, commit.nowMs),
    ...content,
  };
  if (!deleteMarker) {
    putCurrent(commit, entry);
    return entry;
  }
  if (current) commit.transaction.remove('objects', objectKey(key));
  putStored(commit, entry);
  return entry;
}

/** Errors: PRECONDITION_FAILED, OBJECT_MISSING, and whatever the request's callbacks throw. */
export function removeVersion(commit: Commit, request: RemoveRequest): RemoveResult {
  return request.version === undefined ? removePlain(commit, request) : removeNamed(commit, request, request.version);
}

function removePlain(commit: Commit, { key, condition, check, inspect }: RemoveRequest): RemoveResult {
  checkKey(key);
  const top = readTop(commit, key);
  inspect?.(top.latest, top.latest !== null);
  checkCondition(key, top.current, condition);
  const removed = top.victim?.entry ?? null;
  if (removed) check?.(removed);
  dropBlobs(commit, removed);
  if (commit.versioning !== 'off') return { removed, marker: putOnTop(commit, key, top, NO_CONTENT, true) };
  if (top.current) removeCurrent(commit, top.current);
  else commit.unchanged();
  return { removed, marker: null };
}

function removeNamed(commit: Commit, request: RemoveRequest, version: string | null): RemoveResult {
  const { key, condition, check, inspect } = request;
  const found = findVersion(commit.reads, key, version);
  inspect?.(found?.entry ?? null, inspect !== undefined && isLatest(commit, found));
  checkCondition(key, found && !found.entry.deleteMarker ? found.entry : null, condition);
  if (!found) {
    commit.unchanged();
    return { removed: null, marker: null };
  }
  const { entry } = found;
  check?.(entry);
  const next = nextCurrent(commit, found);
  dropBlobs(commit, entry);
  if (!found.current) removeStored(commit, entry);
  else if (next) takeCurrent(commit, entry);
  else removeCurrent(commit, entry);
  if (next) {
    removeStored(commit, next);
    putCurrent(commit, next);
  }
  return { removed: entry, marker: null };
}

function isLatest(commit: Commit, found: FoundVersion | null): boolean {
  return found !== null && latestVersion(commit.reads, found.entry.key)?.sequence === found.entry.sequence;
}

/** The object that becomes current when this version goes. */
function nextCurrent(commit: Commit, { entry, current }: FoundVersion): ObjectEntry | null {
  if (!current && currentObject(commit.reads, entry.key)) return null;
  const next = storedVersions(commit.reads, entry.key, 2).find(({ sequence }) => sequence !== entry.sequence);
  return next && !next.deleteMarker ? next : null;
}

/** Errors: OBJECT_MISSING, and whatever `change` throws. Sequence, etag and times stay. */
export function annotateVersion(commit: Commit, { key, version, change }: AnnotateRequest): ObjectEntry {
  const found = requireVersion(commit, key, version);
  const entry: ObjectEntry = { ...found.entry, attributes: change(found.entry) };
  if (found.current) commit.transaction.put('objects', objectKey(key), encodeObject(entry));
  else commit.transaction.put('versions', versionKey(key, entry.sequence), encodeObject(entry));
  return entry;
}

/** An object; undefined = the current one. Errors: OBJECT_MISSING, also for a delete marker. */
export function requireVersion(commit: Commit, key: string, version: string | null | undefined): FoundVersion {
  const current = version === undefined ? currentObject(commit.reads, key) : null;
  const found = current
    ? { entry: current, current: true }
    : version === undefined
      ? null
      : findVersion(commit.reads, key, version);
  if (found && !found.entry.deleteMarker) return found;
  const name = version === undefined ? key : `${key} in version ${version}`;
  throw new ZringError('OBJECT_MISSING', `${name} does not exist`, { subject: key });
}

/**
 * In one commit, only while versioning is off. It stays the same object: its modification time goes on, unless what it
 * replaces is as young. Errors: VERSIONING_CONFLICT, OBJECT_MISSING, PRECONDITION_FAILED, LIMIT_EXCEEDED.
 */
export function renameObject(commit: Commit, request: RenameRequest): ObjectEntry {
  const { source, key, sourceCondition, condition, inspect } = request;
  checkKey(key);
  if (commit.versioning !== 'off') {
    throw new ZringError('VERSIONING_CONFLICT', `${source} cannot be renamed: versions keep their keys`, {
      subject: source,
    });
  }
  const { entry } = requireVersion(commit, source, undefined);
  const previous = currentObject(commit.reads, key);
  inspect?.(entry, previous);
  checkCondition(source, entry, sourceCondition);
  checkCondition(key, previous, condition);
  if (source === key) {
    commit.unchanged();
    return entry;
  }
  dropBlobs(commit, previous);
  removeCurrent(commit, entry);
  if (previous) takeCurrent(commit, previous);
  const modifiedMs = Math.max((previous?.modifiedMs ?? 0) + 1, entry.modifiedMs);
  const renamed = { ...entry, key, modifiedMs, sequence: commit.sequence, term: commit.term };
  putCurrent(commit, renamed);
  return renamed;
}

function dropBlobs(commit: Commit, entry: ObjectEntry | null | undefined): void {
  for (const blob of entry?.blobs ?? []) commit.references.drop(blob);
}

function putCurrent({ transaction, totals }: Commit, entry: ObjectEntry): void {
  assert(!entry.deleteMarker, 'a delete marker is no current object');
  transaction.put('objects', objectKey(entry.key), encodeObject(entry));
  totals.objects++;
  totals.bytes += entry.size;
}

/** Another object takes its row. */
function takeCurrent({ totals }: Commit, entry: ObjectEntry): void {
  totals.objects--;
  totals.bytes -= entry.size;
}

function removeCurrent(commit: Commit, entry: ObjectEntry): void {
  commit.transaction.remove('objects', objectKey(entry.key));
  takeCurrent(commit, entry);
}

function putStored({ transaction, totals }: Commit, entry: ObjectEntry): void {
  transaction.put('versions', versionKey(entry.key, entry.sequence), encodeObject(entry));
  if (entry.versionId === null) transaction.put('nulls', objectKey(entry.key), encodeNull(entry.sequence));
  totals.versions++;
  totals.bytes += entry.size;
}

function removeStored({ transaction, totals }: Commit, entry: ObjectEntry): void {
  transaction.remove('versions', versionKey(entry.key, entry.sequence));
  if (entry.versionId === null) transaction.remove('nulls', objectKey(entry.key));
  totals.versions--;
  totals.bytes -= entry.size;
}

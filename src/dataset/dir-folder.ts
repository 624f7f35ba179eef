// One dataset folder of the dir driver: its metadata, its snapshots, and the swap that makes a received snapshot live.
// Owns what is on disk below `<root>/<name>`; takes no locks (dir.ts does) and knows nothing of other datasets.
//
//   <name>/index, data/<2 hex>/<id>          live, the store's
//   <name>/.zring/meta.json                  format, readonly, properties, head
//   <name>/.zring/snapshots/<s>/             snapshot.json, files (manifest), index, data/…, holds/<tag>, [pending]
//   <name>/.zring/tmp-…                      being built or being removed; cleared when the dataset is next changed
//
// Everything of a dataset lies in one folder, so that create, rename and destroy are one rename each.
// `head` says which snapshot the live folder equals, and carries the index file's fingerprint from then: when that is
// unchanged and the data files have the same names, nothing was written since. (Data files never change.)
import * as fs from 'node:fs/promises';
import { join } from 'node:path';
import { ZringError } from '../common/errors.ts';
import {
  copyFileDurable,
  type DataFile,
  exists,
  fsyncDataTree,
  fsyncPath,
  isNotFound,
  linkDataFiles,
  listDataFiles,
  readdirOrEmpty,
  sameContent,
  writeDurable,
} from './dir-files.ts';
import type { SnapshotInfo } from './driver.ts';
import { isSnapshotName } from './names.ts';

export const META_FOLDER = '.zring';
export const DIR_FORMAT = 1;
const TEMPORARY = 'tmp-';

export interface Head {
  readonly guid: string;
  /** `inode:size:mtimeNs` of the live index. */
  readonly fingerprint: string;
}

export interface Meta {
  readonly readonly: boolean;
  readonly properties: Readonly<Record<string, string>>;
  readonly head: Head | null;
}

export interface StoredSnapshot {
  readonly name: string;
  readonly guid: string;
  readonly order: number;
  readonly createdMs: number;
  /** Of index and data files. */
  readonly bytes: number;
  /** null when the dataset had no index. */
  readonly indexBytes: number | null;
}

export const metaFolder = (folder: string) => join(folder, META_FOLDER);
export const snapshotsFolder = (folder: string) => join(folder, META_FOLDER, 'snapshots');
export const snapshotFolder = (folder: string, snapshot: string) => join(folder, META_FOLDER, 'snapshots', snapshot);
const metaFile = (folder: string) => join(folder, META_FOLDER, 'meta.json');

/** null when the folder is not one of ours. */
export async function readMeta(folder: string): Promise<Meta | null> {
  const value = await readJson(metaFile(folder));
  if (value === null) return null;
  const { readonly, properties, head } = value as Partial<Meta>;
  if (typeof readonly !== 'boolean' || typeof properties !== 'object' || properties === null) {
    throw new ZringError('STORAGE_CORRUPT', `${metaFile(folder)} is damaged`, { subject: folder });
  }
  return { readonly, properties, head: head ?? null };
}

export async function writeMeta(folder: string, meta: Meta): Promise<void> {
  await writeDurable(metaFile(folder), `${JSON.stringify({ format: DIR_FORMAT, ...meta }, null, 1)}\n`);
}

/** @throws VERSION_UNSUPPORTED, STORAGE_CORRUPT; null when there is no such file. */
export async function readJson(path: string): Promise<object | null> {
  let text: string;
  try {
    text = await fs.readFile(path, 'utf8');
  } catch (error) {
    if (isNotFound(error)) return null;
    throw error;
  }
  try {
    const value = JSON.parse(text) as { format?: unknown };
    if (typeof value.format !== 'number') throw new Error('no format');
    if (value.format > DIR_FORMAT) {
      throw new ZringError('VERSION_UNSUPPORTED', `${path} has format ${value.format}, known: ${DIR_FORMAT}`);
    }
    return value;
  } catch (error) {
    if (error instanceof ZringError) throw error;
    throw new ZringError('STORAGE_CORRUPT', `${path} is damaged`, { cause: error, subject: path });
  }
}

/** A fresh folder for something unfinished; the caller renames it into place. */
export async function makeTemporary(folder: string): Promise<string> {
  return fs.mkdtemp(join(metaFolder(folder), TEMPORARY));
}

/** Oldest first. */
export async function readSnapshots(folder: string): Promise<StoredSnapshot[]> {
  const found: StoredSnapshot[] = [];
  for (const name of await readdirOrEmpty(snapshotsFolder(folder))) {
    const value = isSnapshotName(name) ? await readJson(join(snapshotFolder(folder, name), 'snapshot.json')) : null;
    if (value === null) continue;
    const { guid, order, createdMs, bytes, indexBytes } = value as StoredSnapshot;
    found.push({ name, guid, order, createdMs, bytes, indexBytes });
  }
  return found.sort((a, b) => a.order - b.order);
}

export async function requireSnapshot(name: string, folder: string, snapshot: string): Promise<StoredSnapshot> {
  const stored = (await readSnapshots(folder)).find((candidate) => candidate.name === snapshot);
  if (!stored) throw new ZringError('SNAPSHOT_NOT_FOUND', `${name}@${snapshot} does not exist`, { subject: name });
  return stored;
}

export async function holdsOf(folder: string, snapshot: string): Promise<string[]> {
  return readdirOrEmpty(join(snapshotFolder(folder, snapshot), 'holds'));
}

export async function snapshotInfo(folder: string, stored: StoredSnapshot): Promise<SnapshotInfo> {
  const { name, guid, order, createdMs } = stored;
  return { name, guid, order, createdMs, holds: (await holdsOf(folder, name)).length };
}

/** Larger than every order of this dataset so far; the clock keeps it growing when the newest snapshot is destroyed. */
export function nextOrder(snapshots: readonly StoredSnapshot[], nowMs: number): number {
  return snapshots.reduce((order, snapshot) => Math.max(order, snapshot.order + 1), nowMs);
}

/** Writes manifest and description into a snapshot folder that is being built, and makes it durable. */
export async function sealSnapshot(
  building: string,
  snapshot: Omit<StoredSnapshot, 'bytes'>,
  files: readonly DataFile[],
  options: { pending: boolean },
): Promise<StoredSnapshot> {
  const bytes = files.reduce((sum, file) => sum + file.size, snapshot.indexBytes ?? 0);
  const lines = files.map((file) => `${file.path}\t${file.size}\t${file.mtimeNs}\n`);
  await fs.mkdir(join(building, 'holds'), { recursive: true });
  await writeDurable(join(building, 'files'), lines.join(''));
  if (options.pending) await writeDurable(join(building, 'pending'), '');
  const { name: _name, ...described } = { ...snapshot, bytes };
  await writeDurable(join(building, 'snapshot.json'), `${JSON.stringify({ format: DIR_FORMAT, ...described })}\n`);
  await fsyncDataTree(building);
  return { ...snapshot, bytes };
}

/**
 * The data files of a snapshot as they were captured. A file that was still being written then is linked as well (the
 * index of that snapshot does not name it): only its first `size` bytes belong to the snapshot.
 */
export async function readManifest(folder: string, snapshot: string): Promise<DataFile[]> {
  const text = await fs.readFile(join(snapshotFolder(folder, snapshot), 'files'), 'utf8');
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const [path = '', size, mtimeNs] = line.split('\t');
      return { path, size: Number(size), mtimeNs: BigInt(mtimeNs ?? 0) };
    });
}

/** Moves a built folder to its final name; the crash point of making a snapshot. */
export async function publishSnapshot(folder: string, building: string, snapshot: string): Promise<void> {
  await fs.mkdir(snapshotsFolder(folder), { recursive: true });
  await fs.rename(building, snapshotFolder(folder, snapshot));
  await fsyncPath(snapshotsFolder(folder));
  await fsyncPath(metaFolder(folder));
}

export async function removeSnapshot(folder: string, snapshot: string): Promise<void> {
  const trash = await makeTemporary(folder);
  await fs.rename(snapshotFolder(folder, snapshot), join(trash, 'snapshot'));
  await fsyncPath(snapshotsFolder(folder));
  await fs.rm(trash, { recursive: true, force: true });
}

export async function indexFingerprint(folder: string): Promise<string> {
  try {
    const stat = await fs.stat(join(folder, 'index'), { bigint: true });
    return `${stat.ino}:${stat.size}:${stat.mtimeNs}`;
  } catch (error) {
    if (isNotFound(error)) return 'none';
    throw error;
  }
}

/** Was nothing written to the live folder since `snapshot` was taken or received? */
export async function isUnchangedSince(folder: string, meta: Meta, snapshot: StoredSnapshot): Promise<boolean> {
  const [live, captured] = [await listDataFiles(folder), await readManifest(folder, snapshot.name)];
  if (live.length !== captured.length) return false;
  if (live.some((file, at) => file.path !== captured[at]?.path || file.size !== captured[at]?.size)) return false;
  const fingerprint = await indexFingerprint(folder);
  if (meta.head?.guid === snapshot.guid && meta.head.fingerprint === fingerprint) return true;
  if (snapshot.indexBytes === null || fingerprint === 'none')
    return snapshot.indexBytes === null && fingerprint === 'none';
  return sameContent(join(folder, 'index'), join(snapshotFolder(folder, snapshot.name), 'index'));
}

/**
 * Finishes what a crash may have left, before a dataset is changed or opened: temporary folders, and a received
 * snapshot that was not yet made live (nobody can have written in between, for opening comes through here).
 */
export async function recoverFolder(folder: string): Promise<void> {
  for (const entry of await readdirOrEmpty(metaFolder(folder))) {
    if (entry.startsWith(TEMPORARY)) await fs.rm(join(metaFolder(folder), entry), { recursive: true, force: true });
  }
  const newest = (await readSnapshots(folder)).at(-1);
  if (newest && (await exists(join(snapshotFolder(folder, newest.name), 'pending')))) await makeLive(folder, newest);
}

/** To the newest snapshot, once it is that. From the mark on, a crash is finished by `recoverFolder`. */
export async function rollBackTo(folder: string, snapshot: StoredSnapshot): Promise<void> {
  await writeDurable(join(snapshotFolder(folder, snapshot.name), 'pending'), '');
  await makeLive(folder, snapshot);
}

/**
 * Makes the live folder equal to a received snapshot. Every step may be repeated: the `pending` file in the snapshot
 * goes last, and says until then that all of this has to be done again.
 */
export async function makeLive(folder: string, snapshot: StoredSnapshot): Promise<void> {
  const source = snapshotFolder(folder, snapshot.name);
  const wanted = await readManifest(folder, snapshot.name);
  await linkDataFiles(
    source,
    folder,
    wanted.map((file) => file.path),
  );
  if (snapshot.indexBytes !== null) {
    const fresh = join(metaFolder(folder), 'index.new');
    await fs.rm(fresh, { force: true });
    await copyFileDurable(join(source, 'index'), fresh);
    await fs.rename(fresh, join(folder, 'index'));
  }
  // What lies beside the old index (its lock file, the mark of a clean stop) speaks of a file that is gone.
  for (const entry of await readdirOrEmpty(folder)) {
    if (entry.startsWith('index-')) await fs.rm(join(folder, entry), { force: true });
  }
  const keep = new Set(wanted.map((file) => file.path));
  for (const file of await listDataFiles(folder)) {
    if (!keep.has(file.path)) await fs.rm(join(folder, file.path), { force: true });
  }
  await fsyncDataTree(folder);
  const meta = await readMeta(folder);
  if (meta) {
    const fingerprint = await indexFingerprint(folder);
    await writeMeta(folder, { ...meta, head: { guid: snapshot.guid, fingerprint } });
  }
  await fs.rm(join(source, 'pending'), { force: true });
  await fsyncPath(source);
}

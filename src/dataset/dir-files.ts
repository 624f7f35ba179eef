// Durable file work for the dir driver: write-then-rename, directory fsync, trees of hard links. Knows folders and
// files, nothing of datasets. Supports ext4, XFS and ZFS, where an fsync of a directory makes its entries durable.
import { constants } from 'node:fs';
import * as fs from 'node:fs/promises';
import { dirname, join } from 'node:path';

/** One data file: path below the dataset folder with `/`, size and change time when it was captured. */
export interface DataFile {
  readonly path: string;
  readonly size: number;
  readonly mtimeNs: bigint;
}

/** What a stream or a manifest may name: never anything that leaves the folder. */
const DATA_PATH = /^data\/[0-9a-f]{2}\/[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}$/;
const FAN_OUT = /^[0-9a-f]{2}$/;
const PARALLEL = 16;

export function isDataPath(path: string): boolean {
  return DATA_PATH.test(path);
}

export async function fsyncPath(path: string): Promise<void> {
  const handle = await fs.open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Replaces `path` whole or not at all; durable when it returns. */
export async function writeDurable(path: string, content: string): Promise<void> {
  const fresh = `${path}.new`;
  const handle = await fs.open(fresh, 'w', 0o600);
  try {
    await handle.writeFile(content);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await fs.rename(fresh, path);
  await fsyncPath(dirname(path));
}

/** Copies by reflink where the file system can. `target` is durable except for its directory entry. */
export async function copyFileDurable(source: string, target: string): Promise<void> {
  await fs.copyFile(source, target, constants.COPYFILE_FICLONE);
  await fsyncPath(target);
}

export async function exists(path: string): Promise<boolean> {
  return fs.lstat(path).then(
    () => true,
    (error: unknown) => {
      if (isNotFound(error)) return false;
      throw error;
    },
  );
}

export function isNotFound(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException | null)?.code;
  return code === 'ENOENT' || code === 'ENOTDIR';
}

export async function readdirOrEmpty(path: string): Promise<string[]> {
  try {
    return (await fs.readdir(path)).sort();
  } catch (error) {
    if (isNotFound(error)) return [];
    throw error;
  }
}

/** The data files of a dataset folder, sorted by path. Files that vanish meanwhile are left out. */
export async function listDataFiles(folder: string): Promise<DataFile[]> {
  const files: DataFile[] = [];
  for (const fan of await readdirOrEmpty(join(folder, 'data'))) {
    if (!FAN_OUT.test(fan)) continue;
    const paths = (await readdirOrEmpty(join(folder, 'data', fan))).map((id) => `data/${fan}/${id}`).filter(isDataPath);
    await inParallel(paths, async (path) => {
      try {
        const stat = await fs.lstat(join(folder, path), { bigint: true });
        if (stat.isFile()) files.push({ path, size: Number(stat.size), mtimeNs: stat.mtimeNs });
      } catch (error) {
        if (!isNotFound(error)) throw error;
      }
    });
  }
  return files.sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** Hard-links `paths` from one dataset folder to another, replacing what has the name but is another file. */
export async function linkDataFiles(source: string, target: string, paths: readonly string[]): Promise<void> {
  await makeFanOut(target, paths);
  await inParallel(paths, async (path) => {
    try {
      await fs.link(join(source, path), join(target, path));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      const [from, to] = await Promise.all([fs.stat(join(source, path)), fs.stat(join(target, path))]);
      if (from.ino === to.ino && from.dev === to.dev) return;
      const fresh = join(target, `${path}.new`);
      await fs.rm(fresh, { force: true });
      await fs.link(join(source, path), fresh);
      await fs.rename(fresh, join(target, path));
    }
  });
}

/** Makes the folders that `paths` need. */
export async function makeFanOut(folder: string, paths: readonly string[]): Promise<void> {
  await fs.mkdir(join(folder, 'data'), { recursive: true });
  for (const fan of new Set(paths.map((path) => dirname(path)))) await fs.mkdir(join(folder, fan), { recursive: true });
}

/** All of them, as a store makes them once: a stream brings only those that have files. Durable. */
export async function completeFanOut(folder: string): Promise<void> {
  const data = join(folder, 'data');
  const there = new Set(await readdirOrEmpty(data));
  const all = Array.from({ length: 256 }, (_, i) => i.toString(16).padStart(2, '0'));
  const missing = all.filter((fan) => !there.has(fan));
  if (missing.length === 0) return;
  for (const fan of missing) await fs.mkdir(join(data, fan), { recursive: true });
  await fsyncPath(data);
  await fsyncPath(folder);
}

/** Makes the entries below `folder`/data, and `folder`'s own, durable. One journal commit serves them all. */
export async function fsyncDataTree(folder: string): Promise<void> {
  const data = join(folder, 'data');
  for (const fan of await readdirOrEmpty(data)) if (FAN_OUT.test(fan)) await fsyncPath(join(data, fan));
  if (await exists(data)) await fsyncPath(data);
  await fsyncPath(folder);
}

export async function inParallel<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  let next = 0;
  const worker = async () => {
    while (next < items.length) {
      const item = items[next++] as T;
      await work(item);
    }
  };
  const workers = Array.from({ length: Math.min(PARALLEL, items.length) }, worker);
  // All workers end before the first failure is reported: nothing goes on in a folder that the caller then removes.
  const results = await Promise.allSettled(workers);
  for (const result of results) if (result.status === 'rejected') throw result.reason;
}

export async function sameContent(a: string, b: string): Promise<boolean> {
  const [left, right] = [await fs.open(a, 'r'), await fs.open(b, 'r')];
  try {
    const [leftStat, rightStat] = [await left.stat(), await right.stat()];
    if (leftStat.size !== rightStat.size) return false;
    const [x, y] = [Buffer.allocUnsafe(1 << 20), Buffer.allocUnsafe(1 << 20)];
    for (let at = 0; at < leftStat.size; ) {
      const { bytesRead } = await left.read(x, 0, x.length, at);
      const other = await right.read(y, 0, bytesRead, at);
      if (bytesRead === 0 || other.bytesRead !== bytesRead) return false;
      if (!x.subarray(0, bytesRead).equals(y.subarray(0, bytesRead))) return false;
      at += bytesRead;
    }
    return true;
  } finally {
    await Promise.all([left.close(), right.close()]);
  }
}

/**
 * Does this process hold a descriptor or a map of a file below `folder`? Linux only (elsewhere always false): what
 * `umount` would answer with EBUSY. Files below `folder`/`except` do not count.
 */
export async function hasOpenFiles(folder: string, except?: string): Promise<boolean> {
  const prefix = `${await fs.realpath(folder)}/`;
  const isInside = (path: string) =>
    path.startsWith(prefix) && !(except !== undefined && path.startsWith(`${prefix}${except}/`));
  for (const fd of await readdirOrEmpty('/proc/self/fd')) {
    const target = await fs.readlink(`/proc/self/fd/${fd}`).catch(() => '');
    if (isInside(target)) return true;
  }
  const maps = await fs.readFile('/proc/self/maps', 'utf8').catch(() => '');
  return maps.split('\n').some((line) => isInside(line.slice(line.indexOf('/'))));
}

/**
 * Marks temporary folders with the process that made them, so that a second program on the same root (a listing from
 * the command line) never clears what a running one is building.
 */
export async function processMark(): Promise<string> {
  return `${process.pid}-${await startTime(process.pid)}`;
}

export async function isMarkAlive(mark: string): Promise<boolean> {
  const match = /^(\d+)-(\d+)$/.exec(mark);
  return match !== null && (await startTime(Number(match[1]))) === match[2];
}

/** Field 22 of /proc/PID/stat (proc(5)); '0' where there is none. */
async function startTime(pid: number): Promise<string> {
  const text = await fs.readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  return text.slice(text.lastIndexOf(')') + 2).split(' ')[19] ?? '0';
}

// What stands around an LMDB file: who has it open, whether its last stop was clean, whether its disk is full. Owns the
// list of files that this process has open, and the marker `<path>-clean`. Must not know lmdb.
import { readFileSync, statSync } from 'node:fs';
import { type FileHandle, open, readFile, statfs, unlink, writeFile } from 'node:fs/promises';
import { ZringError } from './errors.ts';
import { type LmdbMeta, readMeta } from './lmdb-file.ts';
import { isErrno, storageError } from './storage-errors.ts';

/** Two environments on one file in one process would corrupt it: LMDB's locks are per process. By device and inode. */
const openFiles = new Set<string>();

/** Less room than this after a failed write: it failed for want of room. One group may want some megabytes. */
const FULL_BELOW_BYTES = 16 << 20;

export async function isFull(path: string): Promise<boolean> {
  try {
    const { bavail, bsize } = await statfs(path);
    return bavail * bsize < FULL_BELOW_BYTES;
  } catch {
    return false;
  }
}

/** The file, until releaseClaim(). Errors: LOCKED (open in this process already), MOUNT_INVALID, STORAGE_*. */
export function claim(path: string): string {
  let identity: string;
  try {
    const { dev, ino } = statSync(path, { bigint: true });
    identity = `${dev}:${ino}`;
  } catch (cause) {
    throw storageError(cause, 'opening', path);
  }
  if (openFiles.has(identity)) {
    throw new ZringError('LOCKED', `${path} is open in this process already`, { subject: path });
  }
  openFiles.add(identity);
  return identity;
}

/**
 * LMDB locks a byte of its lock file while it has the file open. Best effort, Linux only: it finds a second process that
 * was pointed at the same folder, the storage root's own lock is what excludes it. The pid of that process, or null.
 */
export function holderElsewhere(lockPath: string): number | null {
  try {
    const lock = statSync(lockPath, { bigint: true });
    const major = (lock.dev >> 8n) & 0xfffn;
    const minor = (lock.dev & 0xffn) | ((lock.dev >> 12n) & 0xfff00n);
    const hex = (value: bigint): string => value.toString(16).padStart(2, '0');
    const held = new RegExp(` (\\d+) ${hex(major)}:${hex(minor)}:${lock.ino} `);
    const [, pid] = held.exec(readFileSync('/proc/locks', 'latin1')) ?? [];
    return pid === undefined ? null : Number(pid);
  } catch {
    return null;
  }
}

export function cleanMarker(path: string): string {
  return `${path}-clean`;
}

/** The marker names the transaction it stands for, so one that outlived a crash proves nothing. */
export async function stoppedCleanly(path: string, meta: LmdbMeta): Promise<boolean> {
  try {
    return (await readFile(cleanMarker(path), 'utf8')) === `${meta.txnId}\n`;
  } catch {
    return false;
  }
}

/** Not flushed and allowed to fail: without it the next opening only reads more. */
export async function writeCleanMarker(path: string): Promise<void> {
  try {
    const meta = await withFile(path, 'r', (file) => readMeta(file, path));
    await writeFile(cleanMarker(path), `${meta.txnId}\n`);
  } catch {
    return;
  }
}

export async function withFile<Result>(
  path: string,
  flags: string,
  use: (file: FileHandle) => Promise<Result>,
): Promise<Result> {
  let file: FileHandle;
  try {
    file = await open(path, flags);
  } catch (cause) {
    throw storageError(cause, 'opening', path);
  }
  try {
    return await use(file);
  } finally {
    await file.close();
  }
}

export async function removeFile(path: string): Promise<void> {
  try {
    await unlink(path);
  } catch (cause) {
    if (!isErrno(cause, 'ENOENT')) throw storageError(cause, 'removing', path);
  }
}

export function releaseClaim(identity: string): void {
  openFiles.delete(identity);
}

// Where LMDB finds a file: through a link in memory (tmpfs), so that the lock file, which LMDB puts beside the name it is
// given, lies there and not on the storage. It is no data (reader slots and mutexes of this machine), but it is mapped for
// writing, and every read writes its slot: while the kernel writes that page back to a storage that hangs, a read of
// another, cached page would wait in the kernel, and the event loop with it. Owns one folder in memory for each open file.
import { createHash } from 'node:crypto';
import { lstatSync, mkdirSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { join, resolve } from 'node:path';

const MEMORY = '/dev/shm';

export interface Door {
  /** For LMDB. */
  readonly path: string;
  readonly lock: string;
  readonly folder: string | null;
}

/**
 * @param identity `device:inode` of the file, the same for every process that has it open, by whatever path. Where there is
 * no memory to put a link into, the file is its own door.
 */
export function doorOf(path: string, identity: string): Door {
  const name = createHash('sha256').update(identity).digest('hex').slice(0, 24);
  const folder = join(MEMORY, `zring-index-${name}`);
  if (!isOurs(folder)) return { path, lock: `${path}-lock`, folder: null };
  return { path: join(folder, 'index'), lock: join(folder, 'index-lock'), folder };
}

/** Makes the link; it may be one of a former mount with the same numbers, that leads elsewhere or nowhere. */
export function openDoor(door: Door, path: string, identity: string): void {
  if (door.folder === null) return;
  if (leadsTo(door.path) === identity) return;
  rmSync(door.path, { force: true });
  symlinkSync(resolve(path), door.path);
}

/** By the only user of the file. */
export function removeDoor(door: Door): void {
  rmSync(door.folder ?? door.lock, { recursive: true, force: true });
}

/** A folder that somebody else has put there is not used. */
function isOurs(folder: string): boolean {
  try {
    mkdirSync(folder, { mode: 0o700 });
  } catch {
    // It is there already, or there is no such memory: both show below.
  }
  try {
    const found = lstatSync(folder);
    return found.isDirectory() && found.uid === process.getuid?.() && (found.mode & 0o077) === 0;
  } catch {
    return false;
  }
}

function leadsTo(link: string): string | null {
  try {
    const { dev, ino } = statSync(link, { bigint: true });
    return `${dev}:${ino}`;
  } catch {
    return null;
  }
}

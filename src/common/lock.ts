// Exclusive lock of a folder among the processes of one machine: for the storage root and the embedded coordinator.
// Held by a listening unix socket, so the kernel releases it when the process dies, however it dies; no native module.
//
// Why not: flock (Node has none), a pid file (pids mean nothing in another container), an abstract socket (each network
// namespace has its own). A socket in the folder is found by its inode, from every namespace of the machine.
//
//   <path>.<N>       hard link to a holder's socket. The highest N counts: it answers = held, it refuses = free.
//   <path>-<random>  a contender's socket before it has a number.
//
// Taking: listen under a random name, link it as N+1 (fails if somebody else was first), then look again: a contender that
// was slow may have taken a number that had been cleared away below a higher one, and gives up. So numbers must only grow:
// the highest link stays on release, dead, and only the holder removes lower ones. Not for network file systems. While the
// lock is held its file system cannot be unmounted; right after the release it can.
import { randomBytes } from 'node:crypto';
import { type FileHandle, link, open, readdir, unlink } from 'node:fs/promises';
import { connect, createServer, type Server } from 'node:net';
import { basename, dirname, join, resolve } from 'node:path';
import { ZringError } from './errors.ts';
import { isErrno, storageError } from './storage-errors.ts';

export interface Lock {
  readonly path: string;
  /** Idempotent. */
  release(): Promise<void>;
}

/** A contender may be slow anywhere; tests make it slow where it matters. */
export interface LockHooks {
  /** After the lock was found free, before it is taken. */
  beforeLink?(): Promise<void>;
}

/** sun_path is 108 bytes on Linux, 104 elsewhere, terminator included. */
const SOCKET_PATH_BYTES_MAX = 103;
/** The end of a contender's name. */
const CONTENDER = /^-[0-9a-f]{12}$/;
/** How long a holder may take to say who it is; it only serves the message. */
const HOLDER_ANSWER_MS = 1000;

/**
 * @param path In an existing folder on a local file system, e.g. `/tank/zring/_zring/lock`; files are named after it.
 * Errors: LOCKED (details: { pid } of the holder, null when it does not say), MOUNT_INVALID (no such folder), STORAGE_*.
 */
export async function acquireExclusiveLock(path: string, hooks: LockHooks = {}): Promise<Lock> {
  const absolute = resolve(path);
  try {
    return await take(absolute, hooks);
  } catch (error) {
    throw storageError(error, 'locking', absolute);
  }
}

async function take(path: string, hooks: LockHooks): Promise<Lock> {
  const folder = await openSocketFolder(dirname(path));
  const name = basename(path);
  try {
    for (;;) {
      const highest = await highestNumber(folder, name);
      if (highest > 0) await requireDead(folder, `${name}.${highest}`, path);
      await hooks.beforeLink?.();
      const server = await tryNumber(folder, name, highest + 1);
      if (server) return heldLock(path, server);
    }
  } finally {
    await folder.close();
  }
}

/** @returns null when somebody else was faster, and everything must be looked at again. */
async function tryNumber(folder: SocketFolder, name: string, number: number): Promise<Server | null> {
  const own = `${name}-${randomBytes(6).toString('hex')}`;
  const server = await listen(folder.socketPath(own));
  try {
    const taken = await linkIfFree(join(folder.path, own), join(folder.path, `${name}.${number}`));
    if (taken && (await highestNumber(folder, name)) === number) {
      await removeOthers(folder, name, number);
      return server;
    }
  } catch (error) {
    await closeServer(server);
    throw error;
  }
  await closeServer(server);
  return null;
}

function heldLock(path: string, server: Server): Lock {
  let released: Promise<void> | undefined;
  return {
    path,
    release() {
      released ??= closeServer(server);
      return released;
    },
  };
}

async function highestNumber(folder: SocketFolder, name: string): Promise<number> {
  let highest = 0;
  for (const entry of await readdir(folder.path)) highest = Math.max(highest, numberOf(entry, name));
  return highest;
}

function numberOf(entry: string, name: string): number {
  const digits = entry.startsWith(`${name}.`) ? entry.slice(name.length + 1) : '';
  return /^[1-9]\d{0,14}$/.test(digits) ? Number(digits) : 0;
}

/** Own first name included. A contender whose socket is removed here finds its link refused, and starts again. */
async function removeOthers(folder: SocketFolder, name: string, number: number): Promise<void> {
  for (const entry of await readdir(folder.path)) {
    const other = numberOf(entry, name);
    const isContender = entry.startsWith(name) && CONTENDER.test(entry.slice(name.length));
    if ((other > 0 && other < number) || isContender) await ignoring('ENOENT', unlink(join(folder.path, entry)));
  }
}

/** Errors: LOCKED unless the kernel itself says that nobody listens: whatever is not proven dead counts as alive. */
async function requireDead(folder: SocketFolder, entry: string, path: string): Promise<void> {
  const holder = await askHolder(folder.socketPath(entry));
  if (holder === 'dead') return;
  const who = holder.pid === null ? 'another process' : `process ${holder.pid}`;
  throw new ZringError('LOCKED', `${path} is held by ${who}`, { subject: path, details: { pid: holder.pid } });
}

function askHolder(socketPath: string): Promise<'dead' | { pid: number | null }> {
  return new Promise((done) => {
    let answer = '';
    const socket = connect(socketPath);
    const finish = (result: 'dead' | { pid: number | null }) => {
      socket.destroy();
      done(result);
    };
    socket.setTimeout(HOLDER_ANSWER_MS, () => finish({ pid: null }));
    socket.on('data', (chunk) => {
      answer += chunk;
    });
    socket.on('end', () => finish({ pid: /^\d+\n$/.test(answer) ? Number(answer) : null }));
    socket.on('error', (error: NodeJS.ErrnoException) => {
      finish(error.code === 'ECONNREFUSED' || error.code === 'ENOENT' ? 'dead' : { pid: null });
    });
  });
}

function listen(socketPath: string): Promise<Server> {
  return new Promise((done, fail) => {
    const server = createServer((socket) => {
      socket.on('error', () => {});
      socket.end(`${process.pid}\n`);
    });
    server.once('error', fail);
    server.listen(socketPath, () => {
      // The lock alone keeps no process running.
      server.unref();
      done(server);
    });
  });
}

function closeServer(server: Server): Promise<void> {
  return new Promise((done) => {
    server.close(() => done());
  });
}

async function linkIfFree(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch (error) {
    if (isErrno(error, 'EEXIST') || isErrno(error, 'ENOENT')) return false;
    throw error;
  }
}

async function ignoring(code: string, work: Promise<void>): Promise<void> {
  try {
    await work;
  } catch (error) {
    if (!isErrno(error, code)) throw error;
  }
}

/** A folder in which sockets are bound and reached, however long its path is. */
export interface SocketFolder {
  readonly path: string;
  /** What to give to listen and connect for the entry `name`; valid until `close`. */
  socketPath(name: string): string;
  close(): Promise<void>;
}

/** Long paths go through /proc/self/fd/N/, which is as good as the folder itself. Errors of the file system as they are. */
export async function openSocketFolder(path: string): Promise<SocketFolder> {
  const absolute = resolve(path);
  const handle: FileHandle = await open(absolute, 'r');
  const isLinux = process.platform === 'linux';
  let closed: Promise<void> | undefined;
  return {
    path: absolute,
    socketPath(name) {
      const direct = join(absolute, name);
      if (Buffer.byteLength(direct) <= SOCKET_PATH_BYTES_MAX) return direct;
      const short = `/proc/self/fd/${handle.fd}/${name}`;
      if (isLinux && Buffer.byteLength(short) <= SOCKET_PATH_BYTES_MAX) return short;
      throw new ZringError('CONFIG_INVALID', `path is too long for a socket on this system: ${direct}`, {
        subject: direct,
      });
    },
    close() {
      closed ??= handle.close();
      return closed;
    },
  };
}

// The two threads beside the event loop, as functions that are started from their text: `asking` writes and flushes some
// bytes on the storage again and again, and blocks with it; `watching` never touches the storage, and sees when the event
// loop, or the storage, does not go on. They share an array of numbers with the process and nothing else.
//
// As text (Function.toString) because a thread has no loader for the sources: they may name nothing of this module but types.
// Why not libuv's pool: it has four threads, and on a storage that hangs the first four requests take them all for good.
import type * as Fs from 'node:fs';
import type { countWaiting, judgeStall, SilenceLimits } from './storage-silence.ts';

/** Index into the shared BigInt64Array. Times are of process.hrtime, which all threads of a process share, in ns. */
export const SHARED = {
  /** Last turn of the event loop. */
  turnNs: 0,
  /** Number of the question that was asked last, and of the one that was answered last. */
  asked: 1,
  answered: 2,
  /** errno of the last answer; 0 = written and flushed. */
  errno: 3,
  /** Not 0: the threads end. Waited for, so that they end at once. */
  stop: 4,
  /** Not 0: what was asked first is not there any more; REPLACED, or the errno that says so. Stays. */
  lost: 5,
  length: 6,
} as const;

/** Another file system is where the storage was. No call on a mount fails with EPERM, whose number it is. */
export const REPLACED = 1;

export interface ThreadData {
  readonly shared: BigInt64Array;
  readonly at: typeof SHARED;
  readonly limits: SilenceLimits;
  /** For the lines that the watcher writes itself. */
  readonly node: string;
  readonly storage: string;
  readonly folder: string;
  readonly replaced: number;
}

export interface ThreadTools {
  readonly fs: typeof Fs;
  readonly countWaiting: typeof countWaiting;
  readonly judgeStall: typeof judgeStall;
}

/**
 * A full or read-only storage answers too: by refusing. Blocks in the kernel as long as the storage does. The folder is kept
 * open: its device number is given to no other mount meanwhile, and what is written through it never lands in the folder
 * below an absent mount, which could then not be mounted over any more.
 */
export function asking({ shared, at, limits, folder, replaced }: ThreadData, { fs }: ThreadTools): void {
  let held: number | null = null;
  let mount: string | null = null;
  const identify = ({ dev, ino }: Fs.BigIntStats): string => `${dev}:${ino}`;
  const write = (file: string, text: string): void => {
    const fd = fs.openSync(file, 'w', 0o600);
    try {
      fs.writeSync(fd, text);
      fs.fsyncSync(fd);
    } finally {
      fs.closeSync(fd);
    }
  };
  const errnoOf = (error: unknown): number => Math.abs((error as NodeJS.ErrnoException).errno ?? 5);
  /** Codes of a path that does not lead to what it led to, and of a mount that will never answer again. */
  const gone = (error: unknown, codes: readonly string[]): void => {
    if (codes.includes((error as NodeJS.ErrnoException).code ?? ''))
      Atomics.store(shared, at.lost, BigInt(errnoOf(error)));
  };
  const isStillThere = (): boolean => {
    try {
      if (identify(fs.statSync(folder, { bigint: true })) === mount) return true;
      Atomics.store(shared, at.lost, BigInt(replaced));
    } catch (error) {
      gone(error, ['ENOENT', 'ENOTDIR', 'ENOTCONN', 'ESTALE', 'ENODEV', 'ENXIO']);
    }
    return false;
  };
  const ask = (text: string): number => {
    try {
      held ??= fs.openSync(folder, 'r');
      mount ??= identify(fs.fstatSync(held, { bigint: true }));
      const known = `/proc/self/fd/${held}`;
      if (isStillThere()) write(`${fs.existsSync(known) ? known : folder}/pulse`, text);
      return 0;
    } catch (error) {
      gone(error, ['ENOTCONN', 'ECONNABORTED', 'ESTALE', 'ENODEV']);
      return errnoOf(error);
    }
  };
  for (let question = 1n; Atomics.load(shared, at.stop) === 0n; question += 1n) {
    Atomics.store(shared, at.asked, question);
    const errno = ask(`${question}\n`);
    Atomics.store(shared, at.errno, BigInt(errno));
    Atomics.store(shared, at.answered, question);
    Atomics.wait(shared, at.stop, 0n, limits.askEveryMs);
  }
  if (held !== null) fs.closeSync(held);
}

/** Its lines go to standard output by itself: the logger belongs to the event loop, which does not run. */
export function watching(data: ThreadData, { fs, countWaiting, judgeStall }: ThreadTools): void {
  const { shared, at, limits, node, storage } = data;
  const say = (level: number, msg: string, facts: Record<string, unknown>): void => {
    const line = JSON.stringify({ level, time: new Date().toISOString(), node, storage, ...facts, msg });
    try {
      fs.writeSync(1, `${line}\n`);
    } catch {
      // Nobody reads it, or the pipe is full: what has to be done is done all the same.
    }
  };
  /**
   * A process whose files are on a storage that hangs does not die before it answers, and would keep its connections until
   * then: who is connected is to know at once, and who connects is to be refused. A number that is free now may become
   * that of a file: of none that counts, for what is written from here on is never committed.
   */
  const cutConnections = (): void => {
    const sockets = new Set<string>();
    for (const table of ['/proc/self/net/tcp', '/proc/self/net/tcp6']) {
      for (const line of fs.existsSync(table) ? fs.readFileSync(table, 'latin1').split('\n') : []) {
        sockets.add(`socket:[${line.trim().split(/\s+/)[9]}]`);
      }
    }
    for (const fd of fs.readdirSync('/proc/self/fd')) {
      try {
        if (sockets.has(fs.readlinkSync(`/proc/self/fd/${fd}`))) fs.closeSync(Number(fd));
      } catch {
        // It was that of the folder listing itself.
      }
    }
  };
  let [lastNs, turnNs, answered] = [process.hrtime.bigint(), 0n, 0n];
  let [stalledMs, waitedMs] = [0, 0];
  let told = false;
  while (Atomics.wait(shared, at.stop, 0n, limits.lookEveryMs) === 'timed-out') {
    const nowNs = process.hrtime.bigint();
    const gapMs = Number((nowNs - lastNs) / 1_000_000n);
    const [turn, answer] = [Atomics.load(shared, at.turnNs), Atomics.load(shared, at.answered)];
    const waiting = answer === answered && Atomics.load(shared, at.asked) !== answer;
    stalledMs = countWaiting(stalledMs, gapMs, limits.lookEveryMs, turn === turnNs);
    waitedMs = countWaiting(waitedMs, gapMs, limits.lookEveryMs, waiting);
    [lastNs, turnNs, answered] = [nowNs, turn, answer];
    const verdict = judgeStall(stalledMs, waitedMs, limits);
    const facts = { stalledMs, storageWaitedMs: waitedMs };
    if (verdict === 'fine') {
      if (told) say(40, 'the event loop runs again', facts);
      told = false;
    } else if (verdict === 'tell' && !told) {
      told = true;
      say(50, 'the event loop stands still: nothing is answered; a read of the storage may be blocking it', facts);
    } else if (verdict === 'end') {
      say(60, 'the event loop stands still for too long: this process ends itself, to be started again', facts);
      try {
        cutConnections();
      } finally {
        process.kill(process.pid, 'SIGKILL');
      }
    }
  }
}

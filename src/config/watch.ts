// The configuration of a running process: looks at the file again when its folder changes, on a slow poll (fs.watch
// misses things on network file systems and bind mounts) and when told to (SIGHUP). State: the last good configuration
// and the marks of the files that were read last. A file with faults changes nothing; each bad content is reported once.
import { type FSWatcher, watch } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { ZringError } from '../common/errors.ts';
import { type FileMarks, isUnchanged, readConfig } from './read.ts';
import type { Config } from './types.ts';

export interface ConfigWatcher {
  /** The last configuration without faults; null until there was one. */
  readonly current: Config | null;
  /** Looks now, and reports a fault even when it was reported before. */
  reload(): void;
  close(): void;
}

export interface WatchOptions {
  /** Called for each configuration that differs from the last good one. */
  readonly onChange: (next: Config, previous: Config | null) => void;
  /** The file cannot be used; the old configuration stays. */
  readonly onFault: (error: ZringError) => void;
  /** The file can be used again; before onChange, which is not called when it is what is in force already. */
  readonly onRepair?: () => void;
  /** What this process runs with: a file that has changed since is a change. Without it the file as it is now counts. */
  readonly current?: Config;
  /** Default 5 s. */
  readonly pollMs?: number;
}

const POLL_MS = 5000;
/** Editors write a file in several steps; looking between them would report faults that nobody made. */
const SETTLE_MS = 100;

export function watchConfig(path: string, env: NodeJS.ProcessEnv, options: WatchOptions): ConfigWatcher {
  const file = resolve(path);
  let current: Config | null = options.current ?? null;
  let marks: FileMarks = new Map();
  let reported = '';
  let settling: NodeJS.Timeout | null = null;

  const look = (first: boolean, insist: boolean) => {
    if (!insist && isUnchanged(marks)) return;
    const reading = readConfig(file, env);
    marks = reading.marks;
    const { result } = reading;
    if (result instanceof ZringError) {
      if (result.message !== reported || insist) options.onFault(result);
      reported = result.message;
      return;
    }
    if (reported !== '') options.onRepair?.();
    reported = '';
    const previous = current;
    current = result;
    // A fault that was repaired by going back to what is in force is no change.
    if (!first && JSON.stringify(result) !== JSON.stringify(previous)) options.onChange(result, previous);
  };

  const soon = () => {
    settling ??= setTimeout(() => {
      settling = null;
      look(false, false);
    }, SETTLE_MS);
  };

  look(current === null, false);
  const watcher = watchFolder(dirname(file), soon);
  const poll = setInterval(() => {
    if (!isUnchanged(marks)) soon();
  }, options.pollMs ?? POLL_MS);
  poll.unref();
  return {
    get current() {
      return current;
    },
    reload: () => look(false, true),
    close() {
      watcher?.close();
      clearInterval(poll);
      if (settling !== null) clearTimeout(settling);
    },
  };
}

/** The whole folder: editors replace files, and a watched file that was replaced is never heard of again. */
function watchFolder(folder: string, onEvent: () => void): FSWatcher | null {
  try {
    const watcher = watch(folder, { persistent: false }, onEvent);
    watcher.on('error', () => watcher.close());
    return watcher;
  } catch {
    // No watching here (too many watches, odd file system): the poll finds changes.
    return null;
  }
}

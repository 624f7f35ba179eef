// Processes: the only import of node:child_process in the service. Always an argument vector, never a shell; the C locale
// so that what they print can be told apart; bounded output; a time limit after which the answer is STORAGE_UNAVAILABLE,
// for a command stuck in the kernel (a suspended pool) cannot be killed and would be waited for without end.
// Knows nothing of ZFS.
import { type ChildProcess, spawn } from 'node:child_process';
import { openSync } from 'node:fs';
import type { Readable, Writable } from 'node:stream';
import { inheritableDescriptors } from '../common/descriptors.ts';
import { ZringError } from '../common/errors.ts';

/** A listing of 10,000 datasets prints about 6 MiB; beyond this something is wrong. */
const STDOUT_BYTES_MAX = 256 << 20;
const STDERR_BYTES_MAX = 64 << 10;
/**
 * Commands that run at once; others wait for a place. One that was given up keeps its place until it has really ended: a
 * storage that hangs holds so many processes, not one more for each time that somebody asks.
 */
export const COMMANDS_MAX = 16;
/** Commands that wait for a place; more are refused at once. */
export const COMMANDS_WAITING_MAX = 1_024;
const SYSTEM_FOLDERS = '/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin';

export interface CommandResult {
  /** null when a signal ended it. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface StreamingCommand {
  /** null unless asked for. */
  readonly stdin: Writable | null;
  readonly stdout: Readable | null;
  /** Never rejects once the process runs; rejects when it could not be started. */
  readonly exited: Promise<CommandResult>;
  kill(): void;
}

/** As the zfs driver sees it; tests count and replace it. */
export interface CommandRunner {
  run(args: readonly string[], options: { timeoutMs: number }): Promise<CommandResult>;
  stream(args: readonly string[], direction: 'in' | 'out'): StreamingCommand;
}

/** Who may run, in order of arrival. */
class Line {
  readonly #waitingMax: number;
  #free: number;
  #waiting: (() => void)[] = [];

  constructor(max: number, waitingMax: number) {
    this.#free = max;
    this.#waitingMax = waitingMax;
  }

  /** @returns false when no place came free in time; true takes one, which `leave` gives back. */
  enter(timeoutMs: number): Promise<boolean> {
    if (this.#free > 0) {
      this.#free -= 1;
      return Promise.resolve(true);
    }
    if (this.#waiting.length >= this.#waitingMax) return Promise.resolve(false);
    return new Promise((resolve) => {
      const take = () => {
        clearTimeout(timer);
        resolve(true);
      };
      const timer = setTimeout(() => {
        this.#waiting = this.#waiting.filter((waiting) => waiting !== take);
        resolve(false);
      }, timeoutMs);
      this.#waiting.push(take);
    });
  }

  leave(): void {
    const next = this.#waiting.shift();
    if (next) next();
    else this.#free += 1;
  }
}

/** @param places Tests give fewer. Streams are not counted: moves have their own bound. */
export function createCommands(places = { max: COMMANDS_MAX, waitingMax: COMMANDS_WAITING_MAX }): CommandRunner {
  const line = new Line(places.max, places.waitingMax);
  return { run: (args, options) => runCommand(args, options, line), stream: streamCommand };
}

/** `args[0]` is the program. */
export const systemCommands: CommandRunner = createCommands();

function start(args: readonly string[], stdin: 'ignore' | 'pipe', stdout: 'ignore' | 'pipe'): ChildProcess {
  const [program = '', ...rest] = args;
  const path = process.env.PATH ? `${process.env.PATH}:${SYSTEM_FOLDERS}` : SYSTEM_FOLDERS;
  const stdio = [stdin, stdout, 'pipe' as const, ...covers()];
  return spawn(program, rest, { stdio, shell: false, env: { PATH: path, LC_ALL: 'C' } });
}

let nothing: number | null = null;

/** From descriptor 3 on: /dev/null in place of each file that the child must not keep open. The others close by themselves. */
function covers(): ('ignore' | number)[] {
  const numbers = inheritableDescriptors();
  if (numbers.size === 0) return [];
  nothing ??= openSync('/dev/null', 'r');
  const cover = nothing;
  const last = Math.max(...numbers);
  return Array.from({ length: last - 2 }, (_, i) => (numbers.has(i + 3) ? cover : 'ignore'));
}

async function runCommand(args: readonly string[], options: { timeoutMs: number }, line: Line): Promise<CommandResult> {
  const beganMs = performance.now();
  if (!(await line.enter(options.timeoutMs))) throw notAnswering(args, options.timeoutMs, 'others do not end');
  const timeoutMs = Math.max(1, options.timeoutMs - (performance.now() - beganMs));
  let child: ChildProcess;
  try {
    child = start(args, 'ignore', 'pipe');
  } catch (error) {
    line.leave();
    throw error;
  }
  // Either of the two, once: a program that could not be started has no exit.
  const ended = () => {
    child.removeListener('exit', ended).removeListener('error', ended);
    line.leave();
  };
  child.once('exit', ended).once('error', ended);
  const stdout = gather(child.stdout, STDOUT_BYTES_MAX, () => child.kill('SIGKILL'));
  const stderr = gather(child.stderr, STDERR_BYTES_MAX, () => {});
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      for (const stream of [child.stdout, child.stderr]) stream?.destroy();
      child.unref();
      reject(notAnswering(args, options.timeoutMs));
    }, timeoutMs);
    child.once('error', (error) => {
      clearTimeout(timer);
      reject(notStarted(args, error));
    });
    child.once('close', (code) => {
      clearTimeout(timer);
      if (stdout.overflowed()) {
        reject(
          new ZringError('LIMIT_EXCEEDED', `${args.slice(0, 2).join(' ')} printed more than ${STDOUT_BYTES_MAX} bytes`),
        );
      } else resolve({ code, stdout: stdout.text(), stderr: stderr.text() });
    });
  });
}

function streamCommand(args: readonly string[], direction: 'in' | 'out'): StreamingCommand {
  const child = direction === 'in' ? start(args, 'pipe', 'ignore') : start(args, 'ignore', 'pipe');
  const stderr = gather(child.stderr, STDERR_BYTES_MAX, () => {});
  // 'exit' and the end of stderr, not 'close': that would wait for stdout to be read, which its reader may never do.
  const exited = new Promise<CommandResult>((resolve, reject) => {
    child.once('error', (error) => reject(notStarted(args, error)));
    child.once('exit', (code) => {
      void stderr.ended.then(() => resolve({ code, stdout: '', stderr: stderr.text() }));
    });
  });
  exited.catch(() => {});
  // A process that ends before it has read everything shows in its exit status, not here.
  child.stdin?.on('error', () => {});
  return { stdin: child.stdin, stdout: child.stdout, exited, kill: () => void child.kill('SIGKILL') };
}

function gather(stream: Readable | null, bytesMax: number, onOverflow: () => void) {
  const chunks: Buffer[] = [];
  let bytes = 0;
  stream?.on('data', (chunk: Buffer) => {
    const before = bytes;
    bytes += chunk.length;
    if (bytes <= bytesMax) chunks.push(chunk);
    else if (before <= bytesMax) onOverflow();
  });
  return {
    text: () => Buffer.concat(chunks).toString('utf8'),
    overflowed: () => bytes > bytesMax,
    ended: new Promise<void>((resolve) => stream?.once('close', resolve) ?? resolve()),
  };
}

function notAnswering(args: readonly string[], timeoutMs: number, why?: string): ZringError {
  const what = `${args.slice(0, 2).join(' ')}: not answering for ${timeoutMs} ms${why === undefined ? '' : ` (${why})`}`;
  return new ZringError('STORAGE_UNAVAILABLE', what, { subject: args.join(' ') });
}

function notStarted(args: readonly string[], error: Error): ZringError {
  const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
  const why = missing ? 'is not installed' : `could not be started: ${error.message}`;
  return new ZringError('STORAGE_UNAVAILABLE', `${args[0]} ${why}`, { cause: error, subject: args.join(' ') });
}

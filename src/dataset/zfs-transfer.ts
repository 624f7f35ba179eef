// `zfs send` and `zfs receive` as streams. Owns the running processes; knows no dataset but the one it is given.
// Receive: the BEGIN record is read and judged before a process is started. A source that breaks ends in a closed pipe:
// ZFS finds its stream short and discards what it has (`-s` is not used), so there is nothing to clean up.
import { Readable } from 'node:stream';
import { isZringError, ZringError } from '../common/errors.ts';
import type { SendStream } from './driver.ts';
import { zfsError } from './errors.ts';
import type { ZfsCommands } from './zfs-commands.ts';
import { BEGIN_RECORD_BYTES, invalid, parseBegin, type ZfsStreamBegin } from './zfs-stream.ts';

export function sendStream(
  commands: ZfsCommands,
  args: readonly string[],
  subject: string,
  signal: AbortSignal | undefined,
): SendStream {
  const command = commands.stream(args, 'out');
  const { stdout } = command;
  let finished = false;
  const stream = new Readable({
    highWaterMark: 1 << 20,
    read: () => void stdout?.resume(),
    destroy(error, callback) {
      command.kill();
      stdout?.destroy();
      void command.exited.catch(() => {}).then(() => callback(error));
    },
  });
  stdout?.on('data', (chunk: Buffer) => {
    if (!stream.push(chunk)) stdout.pause();
  });
  // The end is passed on only once the sender has ended well: a reader never takes a cut stream for a whole one.
  stdout?.once('end', () => {
    const onExit = ({ code, stderr }: { code: number | null; stderr: string }) => {
      finished = code === 0;
      if (finished) stream.push(null);
      else stream.destroy(sendError(stderr, subject));
    };
    command.exited.then(onExit, (error: Error) => stream.destroy(error));
  });
  const done = new Promise<void>((resolve, reject) => {
    let cause: unknown;
    stream.once('error', (error) => {
      cause = error;
    });
    stream.once('close', () => {
      if (finished) resolve();
      else
        reject(
          isZringError(cause) ? cause : new ZringError('ABORTED', `sending ${subject} was stopped`, { cause, subject }),
        );
    });
  });
  done.catch(() => {});
  command.exited.catch((error: Error) => stream.destroy(error));
  abortWith(signal, stream, subject);
  return { stream, done };
}

function sendError(stderr: string, subject: string): ZringError {
  const error = zfsError('zfs send', stderr, subject);
  if (error.code !== 'DATASET_NOT_FOUND') return error;
  return new ZringError('SNAPSHOT_NOT_FOUND', error.message, { subject });
}

export interface Incoming {
  readonly begin: ZfsStreamBegin;
  /** Everything, with the BEGIN record. */
  readonly bytes: AsyncIterable<Buffer>;
}

/** Reads as far as the BEGIN record. */
export async function openIncoming(source: Readable): Promise<Incoming> {
  const iterator: AsyncIterator<Buffer> = source[Symbol.asyncIterator]();
  let head: Buffer = Buffer.alloc(0);
  while (head.length < BEGIN_RECORD_BYTES) {
    const next = await pull(iterator);
    if (next === null) break;
    head = Buffer.concat([head, next]);
  }
  const begin = parseBegin(head);
  return {
    begin,
    bytes: (async function* () {
      yield head;
      for (let next = await pull(iterator); next !== null; next = await pull(iterator)) yield next;
    })(),
  };
}

async function pull(iterator: AsyncIterator<Buffer>): Promise<Buffer | null> {
  try {
    const { value, done } = await iterator.next();
    return done ? null : value;
  } catch (error) {
    throw invalid('was cut', error);
  }
}

/**
 * @returns bytes passed on. The caller verifies what is there afterwards.
 * @throws STORAGE_UNAVAILABLE when the receiver does not end within `endMs` after the last byte (a suspended pool).
 */
export async function receiveStream(
  commands: ZfsCommands,
  args: readonly string[],
  incoming: Incoming,
  options: { subject: string; endMs: number; signal: AbortSignal | undefined },
): Promise<number> {
  const command = commands.stream(args, 'in');
  const { stdin } = command;
  let ended = false;
  const exited = command.exited.finally(() => {
    ended = true;
  });
  let bytes = 0;
  let broken: unknown = null;
  try {
    for await (const chunk of incoming.bytes) {
      bytes += chunk.length;
      if (ended) break;
      // An abort has to get through while the receiver takes nothing.
      if (stdin?.write(chunk) === false) await Promise.race([event(stdin, 'drain', options.signal), exited]);
    }
  } catch (error) {
    broken = error;
  }
  // Not killed: it ends by itself at the end of its input, and only then has it undone what it had received.
  stdin?.end();
  const { code, stderr } = await within(exited, options.endMs, () => {
    command.kill();
    stdin?.destroy();
    return new ZringError('STORAGE_UNAVAILABLE', `zfs receive: not answering for ${options.endMs} ms`, {
      subject: options.subject,
    });
  });
  if (code === 0) return bytes;
  throw broken ?? zfsError('zfs receive', stderr, options.subject);
}

function within<T>(promise: Promise<T>, limitMs: number, onTimeout: () => Error): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(onTimeout()), limitMs);
    promise.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

/** Resolves at the event, at the stream's end, or when the signal says to stop. */
function event(stream: NodeJS.WritableStream, name: string, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const finish = () => {
      for (const each of [name, 'close']) stream.removeListener(each, finish);
      signal?.removeEventListener('abort', finish);
      resolve();
    };
    for (const each of [name, 'close']) stream.once(each, finish);
    signal?.addEventListener('abort', finish, { once: true });
    if (signal?.aborted) finish();
  });
}

export function abortWith(signal: AbortSignal | undefined, stream: Readable, subject: string): void {
  if (!signal) return;
  const abort = () => {
    stream.destroy(new ZringError('ABORTED', `${subject}: stopped`, { subject }));
  };
  if (signal.aborted) abort();
  else signal.addEventListener('abort', abort, { once: true });
  stream.once('close', () => signal.removeEventListener('abort', abort));
}

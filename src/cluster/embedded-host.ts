// The one process that holds the embedded coordinator: the state machine over its disk, and the socket for the others.
// Owns lock, disk, machine and socket of the folder. Calls wait in one queue; all that wait run at once in memory, their
// changes are flushed together, and only then does anybody hear an answer, so nothing is known that a crash could take back.
//
// Crash points: before the flush nothing was answered (callers: outcome unknown); after it everything is on disk. Leases are
// stored when taken, not when renewed, and start a full term anew in the next host; marks of disks with every renewal.
import { randomUUID } from 'node:crypto';
import { unlink } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import type { Clock } from '../common/clock.ts';
import { type DurableMap, openDurableMap } from '../common/durable-map.ts';
import { isZringError, ZringError } from '../common/errors.ts';
import { acquireExclusiveLock, type Lock, openSocketFolder, type SocketFolder } from '../common/lock.ts';
import type { Logger } from '../telemetry/log.ts';
import type { Hint } from './coordinator.ts';
import { type Call, isRead } from './coordinator-call.ts';
import { type Outcome, StateMachine } from './coordinator-state.ts';
import {
  EMBEDDED_PROTOCOL_VERSION,
  type HostLine,
  helloProblem,
  LINE_BYTES_MAX,
  lineOf,
  lineReader,
  parseCallLine,
} from './embedded-protocol.ts';
import { Listeners } from './listeners.ts';

export interface HostOptions {
  readonly cluster: string;
  readonly logger: Logger;
  readonly clock: Clock;
  /** Default: openDurableMap. */
  readonly openDisk?: (path: string) => Promise<DurableMap>;
}

/** Names in the coordinator folder; all of them are made by the host. */
export const HOST_FILES = { lock: 'lock', socket: 'socket', state: 'state.mdb' } as const;

interface Waiting {
  readonly call: Call;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: ZringError) => void;
}

/** Errors: LOCKED (another process is the host), VERSION_UNSUPPORTED, COORDINATOR_CORRUPT, STORAGE_*. */
export async function openEmbeddedHost(folder: string, options: HostOptions): Promise<EmbeddedHost> {
  const undo: (() => Promise<void>)[] = [];
  try {
    const lock = await acquireExclusiveLock(join(folder, HOST_FILES.lock));
    undo.push(() => lock.release());
    const openDisk = options.openDisk ?? ((path) => openDurableMap(path, { create: true }));
    const disk = await openDisk(join(folder, HOST_FILES.state));
    undo.push(() => disk.close());
    const sockets = await openSocketFolder(folder);
    undo.push(() => sockets.close());
    const host = new EmbeddedHost(lock, disk, sockets, options);
    await host.listen();
    return host;
  } catch (error) {
    for (const step of undo.reverse()) await step();
    throw error;
  }
}

export class EmbeddedHost {
  /** Resolves when it has ended: closed, or given up because its disk failed. */
  readonly ended: Promise<void>;
  readonly #lock: Lock;
  readonly #disk: DurableMap;
  readonly #sockets: SocketFolder;
  readonly #options: HostOptions;
  readonly #deps: { monotonicMs(): number; randomId(): string };
  readonly #server: Server;
  readonly #clients = new Set<Socket>();
  readonly #hints = new Listeners<Hint>();
  #machine: StateMachine;
  #queue: Waiting[] = [];
  #pumping: Promise<void> | null = null;
  #closing: Promise<void> | null = null;
  /** The disk is in doubt, so memory is too: nothing more is answered from it. */
  #isBroken = false;
  #markEnded = () => {};

  /** Use openEmbeddedHost. */
  constructor(lock: Lock, disk: DurableMap, sockets: SocketFolder, options: HostOptions) {
    this.#lock = lock;
    this.#disk = disk;
    this.#sockets = sockets;
    this.#options = options;
    this.#deps = { monotonicMs: () => options.clock.monotonicMs(), randomId: randomUUID };
    this.#machine = new StateMachine(disk, this.#deps);
    this.#server = createServer((socket) => this.#serve(socket));
    this.ended = new Promise((done) => {
      this.#markEnded = done;
    });
  }

  async listen(): Promise<void> {
    // Of a host that died: the lock says that nobody else listens here.
    await unlink(join(this.#sockets.path, HOST_FILES.socket)).catch(() => {});
    await new Promise<void>((done, fail) => {
      this.#server.once('error', fail);
      this.#server.listen(this.#sockets.socketPath(HOST_FILES.socket), done);
    });
  }

  /** Errors: COORDINATOR_UNAVAILABLE, COORDINATOR_OUTCOME_UNKNOWN, COORDINATOR_CORRUPT (a record nobody could read back). */
  submit(call: Call): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (this.#closing || this.#isBroken) return reject(notRun(call, 'the host is shutting down'));
      this.#queue.push({ call, resolve, reject });
      this.#pumping ??= this.#pump();
    });
  }

  onHint(listener: (hint: Hint) => void): () => void {
    return this.#hints.add(listener);
  }

  /** Answers what has arrived, then lets go of everything; another process can be host at once. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await this.#pumping;
    const closed = new Promise((done) => this.#server.close(done));
    for (const socket of this.#clients) socket.end();
    // Whoever does not read its answers must not keep the next host waiting.
    const impatience = setTimeout(() => {
      for (const socket of this.#clients) socket.destroy();
    }, 500);
    await closed;
    clearTimeout(impatience);
    await this.#disk
      .close()
      .catch((err: unknown) => this.#options.logger.error({ err }, 'closing the coordinator state'));
    await this.#lock.release();
    await this.#sockets.close();
    this.#markEnded();
  }

  async #pump(): Promise<void> {
    // Calls of the same moment join the first batch.
    await new Promise((done) => setImmediate(done));
    while (this.#queue.length > 0) {
      const batch = this.#queue;
      this.#queue = [];
      if (!this.#isBroken) await this.#runBatch(batch);
      else for (const { call, reject } of batch) reject(notRun(call, 'the host is shutting down'));
    }
    this.#pumping = null;
  }

  async #runBatch(batch: readonly Waiting[]): Promise<void> {
    const done: { readonly waiting: Waiting; readonly outcome: Outcome }[] = [];
    for (const waiting of batch) {
      try {
        done.push({ waiting, outcome: this.#machine.run(waiting.call) });
      } catch (error) {
        waiting.reject(asCorrupt(waiting.call, error));
      }
    }
    const changes = done.flatMap(({ outcome }) => outcome.changes);
    try {
      if (changes.length > 0) await this.#disk.commit(changes);
    } catch (error) {
      this.#commitFailed(error, done);
      return;
    }
    for (const { waiting, outcome } of done) {
      waiting.resolve(outcome.value);
      for (const hint of outcome.hints) this.#hint(hint);
    }
  }

  /** Memory is ahead of the disk now: it is read again, or, when the disk is in doubt, left to whoever hosts next. */
  #commitFailed(error: unknown, done: readonly { readonly waiting: Waiting }[]): void {
    const isFull = isZringError(error, 'STORAGE_FULL');
    this.#options.logger.error({ err: error }, 'the coordinator cannot write its state');
    if (isFull) this.#machine = new StateMachine(this.#disk, this.#deps);
    for (const { waiting } of done) {
      const harmless = isFull || isRead(waiting.call.method);
      waiting.reject(harmless ? notRun(waiting.call, 'its disk failed', error) : inDoubt(waiting.call, error));
    }
    this.#isBroken = !isFull;
    // Not awaited: closing waits for the pump, which is running this.
    if (!isFull) void this.close();
  }

  #hint(hint: Hint): void {
    this.#hints.emit(hint);
    for (const socket of this.#clients) send(socket, { hint });
  }

  #serve(socket: Socket): void {
    const { cluster, logger } = this.#options;
    let greeted = false;
    socket.on('error', (err) => logger.debug({ err }, 'coordinator socket'));
    socket.on('close', () => this.#clients.delete(socket));
    const read = lineReader((message) => {
      if (!greeted) {
        const refused = helloProblem(message, cluster);
        if (refused) return void socket.end(lineOf({ refused }));
        greeted = true;
        this.#clients.add(socket);
        send(socket, { hello: EMBEDDED_PROTOCOL_VERSION, cluster });
        return;
      }
      const line = parseCallLine(message);
      if (!line) throw new ZringError('PEER_PROTOCOL', 'a message to the coordinator is no call');
      this.submit(line.call).then(
        (value) => send(socket, { id: line.id, value }),
        ({ code, message: text }: ZringError) => send(socket, { id: line.id, error: { code, message: text } }),
      );
    });
    socket.on('data', (chunk: Buffer) => {
      try {
        read(chunk);
      } catch (err) {
        logger.warn({ err }, 'coordinator socket: message refused');
        socket.destroy();
      }
    });
  }
}

function send(socket: Socket, message: HostLine): void {
  if (!socket.writable) return;
  // A process that has stopped reading must not fill the host's memory; it will connect again.
  if (socket.writableLength > LINE_BYTES_MAX) socket.destroy();
  else socket.write(lineOf(message));
}

function notRun({ method }: Call, why: string, cause?: unknown): ZringError {
  return new ZringError('COORDINATOR_UNAVAILABLE', `${method}: ${why}`, cause === undefined ? {} : { cause });
}

function inDoubt({ method }: Call, cause: unknown): ZringError {
  return new ZringError('COORDINATOR_OUTCOME_UNKNOWN', `${method}: the coordinator's disk failed`, { cause });
}

function asCorrupt({ method }: Call, error: unknown): ZringError {
  if (error instanceof ZringError) return error;
  return new ZringError('COORDINATOR_CORRUPT', `${method}: not understood`, { cause: error });
}

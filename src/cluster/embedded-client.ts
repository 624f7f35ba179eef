// A participant's connection to the host of the embedded coordinator. Owns one socket and the calls under way on it; made
// anew by embedded-coordinator.ts whenever it ends.
import { connect, type Socket } from 'node:net';
import { ZringError } from '../common/errors.ts';
import { openSocketFolder } from '../common/lock.ts';
import type { Hint } from './coordinator.ts';
import { type Call, isRead } from './coordinator-call.ts';
import { HOST_FILES } from './embedded-host.ts';
import { EMBEDDED_PROTOCOL_VERSION, type HostLine, helloProblem, lineOf, lineReader } from './embedded-protocol.ts';
import { Listeners } from './listeners.ts';

interface Pending {
  readonly call: Call;
  readonly timer: NodeJS.Timeout;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: ZringError) => void;
}

/** Errors: COORDINATOR_UNAVAILABLE, and what the host refuses a hello with (VERSION_UNSUPPORTED, CONFIG_INVALID). */
export async function connectToHost(folder: string, cluster: string, timeoutMs: number): Promise<EmbeddedClient> {
  const sockets = await openSocketFolder(folder);
  try {
    const client = new EmbeddedClient(connect(sockets.socketPath(HOST_FILES.socket)), cluster, timeoutMs);
    await client.greeted;
    return client;
  } finally {
    await sockets.close();
  }
}

export class EmbeddedClient {
  readonly greeted: Promise<void>;
  /** Resolves when the connection is gone, for whatever reason. */
  readonly ended: Promise<void>;
  readonly #socket: Socket;
  readonly #timeoutMs: number;
  readonly #hints = new Listeners<Hint>();
  readonly #pending = new Map<number, Pending>();
  #lastId = 0;
  #isOpen = false;

  constructor(socket: Socket, cluster: string, timeoutMs: number) {
    this.#socket = socket;
    this.#timeoutMs = timeoutMs;
    let greet = () => {};
    let refuse: (error: ZringError) => void = () => {};
    this.greeted = new Promise((done, fail) => {
      greet = done;
      refuse = fail;
    });
    let problem: Error = new Error('the connection ended');
    this.ended = new Promise((done) => {
      socket.on('close', () => {
        this.#isOpen = false;
        const why = new ZringError('COORDINATOR_UNAVAILABLE', 'no host answers', { cause: problem });
        refuse(why);
        for (const id of [...this.#pending.keys()]) this.#fail(id, problem);
        done();
      });
    });
    socket.on('error', (error) => {
      problem = error;
    });
    const read = lineReader((message) => {
      const line = message as HostLine;
      if (this.#isOpen) {
        this.#receive(line);
        return;
      }
      const refused = 'refused' in line ? line.refused : helloProblem(line, cluster);
      if (refused) {
        refuse(new ZringError(refused.code, refused.message));
        socket.destroy();
        return;
      }
      this.#isOpen = true;
      socket.setTimeout(0);
      greet();
    });
    socket.on('data', (chunk: Buffer) => {
      try {
        read(chunk);
      } catch (error) {
        socket.destroy(error as Error);
      }
    });
    // Of the hello; after it each call has its own. A host that is stopped accepts connections all the same.
    socket.setTimeout(timeoutMs, () => socket.destroy(new Error(`no hello within ${timeoutMs} ms`)));
    socket.write(lineOf({ hello: EMBEDDED_PROTOCOL_VERSION, cluster }));
  }

  submit(call: Call): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (!this.#isOpen || !this.#socket.writable) {
        return reject(new ZringError('COORDINATOR_UNAVAILABLE', `${call.method}: not connected`));
      }
      const id = ++this.#lastId;
      // Unanswered: what else is under way is in doubt as well, so the connection ends with it.
      const silent = () => this.#socket.destroy(new Error(`no answer within ${this.#timeoutMs} ms`));
      const timer = setTimeout(silent, this.#timeoutMs);
      this.#pending.set(id, { call, timer, resolve, reject });
      this.#socket.write(lineOf({ id, call }));
    });
  }

  onHint(listener: (hint: Hint) => void): () => void {
    return this.#hints.add(listener);
  }

  /** The caller has waited for its calls. */
  async close(): Promise<void> {
    this.#socket.destroy();
    await this.ended;
  }

  #receive(line: HostLine): void {
    if ('hint' in line) {
      this.#hints.emit(line.hint);
      return;
    }
    const pending = 'id' in line ? this.#take(line.id) : undefined;
    if (!pending) return;
    if ('error' in line) pending.reject(new ZringError(line.error.code, line.error.message));
    else if ('value' in line) pending.resolve(line.value);
  }

  #fail(id: number, cause: Error): void {
    const pending = this.#take(id);
    if (!pending) return;
    const { method } = pending.call;
    const code = isRead(method) ? 'COORDINATOR_UNAVAILABLE' : 'COORDINATOR_OUTCOME_UNKNOWN';
    pending.reject(new ZringError(code, `${method}: the reply was lost: ${cause.message}`, { cause }));
  }

  #take(id: number): Pending | undefined {
    const pending = this.#pending.get(id);
    this.#pending.delete(id);
    clearTimeout(pending?.timer);
    return pending;
  }
}

// The network between simulated nodes: messages are late, lost, repeated and overtake each other; links are cut, one way or
// both; streams break anywhere. It keeps PeerTransport's promises and no more: an answer that is lost is NODE_UNREACHABLE
// with an unknown outcome, and a body never ends cleanly early. Owns the links and who listens.
import { PassThrough, type Readable } from 'node:stream';
import { isZringError, ZringError } from '../../src/common/errors.ts';
import type { PeerCallHandler, PeerCallOptions, PeerMethods, PeerTransport } from '../../src/common/peer.ts';
import type { SimProcess } from './process.ts';
import type { Random } from './random.ts';
import type { Scheduler } from './scheduler.ts';

const LATENCY_MS = 1;
const CALL_TIMEOUT_MS = 10_000;
/** A sender that says nothing for so long is given up, as by the body timeout of the peer client. */
const STREAM_SILENCE_MS = 15_000;

export interface NetworkFaults {
  /** Of one message. */
  lose: number;
  repeat: number;
  /** Of one chunk of a stream. */
  cut: number;
}

interface Listener {
  readonly process: SimProcess;
  readonly methods: PeerMethods;
}

type Answer = { readonly text: string } | { readonly error: ZringError };

export class SimNetwork {
  readonly faults: NetworkFaults = { lose: 0, repeat: 0, cut: 0 };
  readonly #scheduler: Scheduler;
  readonly #random: Random;
  readonly #listeners = new Map<string, Listener>();
  /** Methods that are never repeated: what a client sent is passed on once. */
  readonly once = new Set<string>();
  /** `from to`: nothing passes that way. */
  readonly #blocked = new Set<string>();
  readonly count: (what: string) => void;

  constructor(scheduler: Scheduler, random: Random, count: (what: string) => void) {
    this.#scheduler = scheduler;
    this.#random = random;
    this.count = count;
  }

  listen(process: SimProcess, methods: PeerMethods): void {
    this.#listeners.set(process.node, { process, methods });
  }

  block(from: string, to: string): void {
    this.#blocked.add(`${from} ${to}`);
  }

  unblock(from: string, to: string): void {
    this.#blocked.delete(`${from} ${to}`);
  }

  healAll(): void {
    this.#blocked.clear();
  }

  #passes(from: string, to: string): boolean {
    return !this.#blocked.has(`${from} ${to}`);
  }

  transportOf(process: SimProcess): PeerTransport {
    return {
      call: async (node, method, request, options) =>
        JSON.parse(await this.#call(process, node, method, request, options)),
      stream: (node, method, request, options) => this.#stream(process, node, method, request, options ?? {}),
    };
  }

  #call(
    from: SimProcess,
    to: string,
    method: string,
    request: unknown,
    options: PeerCallOptions = {},
  ): Promise<string> {
    const text = JSON.stringify(request ?? null);
    return this.#exchange(from, to, method, options, async (target) => {
      const handler: PeerCallHandler | undefined = target.methods.calls[method];
      if (!handler) throw new ZringError('PEER_PROTOCOL', `unknown method ${method}`);
      return JSON.stringify((await handler(JSON.parse(text), from.node)) ?? null);
    });
  }

  /** One question and its answer; `work` runs at the other end, once or twice. */
  #exchange(
    from: SimProcess,
    to: string,
    method: string,
    options: PeerCallOptions,
    work: (target: Listener) => Promise<string>,
  ): Promise<string> {
    return new Promise((resolve, reject) => {
      let settled = false;
      const settle = (answer: Answer) => {
        if (settled) return;
        settled = true;
        callOff();
        if ('text' in answer) resolve(answer.text);
        else reject(answer.error);
      };
      const giveUp = (why: string) => from.run(() => settle({ error: unreached(to, method, why) }));
      const callOff = from.timers.after(options.timeoutMs ?? CALL_TIMEOUT_MS, () => giveUp('no answer in time'));
      options.signal?.addEventListener('abort', () => giveUp('given up'), { once: true });
      if (options.signal?.aborted) return giveUp('given up');
      const times = this.#random.chance(this.faults.repeat) && !this.once.has(method) ? 2 : 1;
      if (times === 2) this.count('message repeated');
      for (let i = 0; i < times; i++) this.#send(from.node, to, () => this.#arrive(from, to, work, settle, giveUp));
    });
  }

  #arrive(
    from: SimProcess,
    to: string,
    work: (target: Listener) => Promise<string>,
    settle: (answer: Answer) => void,
    giveUp: (why: string) => void,
  ): void {
    const target = this.#listeners.get(to);
    // The machine is there, nobody listens: the refusal comes back at once.
    if (!target?.process.alive) {
      this.#send(to, from.node, () => giveUp('refused'));
      return;
    }
    target.process.run(() => {
      const reply = (answer: Answer) => {
        if (!target.process.alive) this.#send(to, from.node, () => giveUp('reset'));
        else this.#send(to, from.node, () => from.run(() => settle(answer)));
      };
      const offCrash = target.process.whenCrashed(() => this.#send(to, from.node, () => giveUp('reset')));
      work(target).then(
        (text) => {
          offCrash();
          reply({ text });
        },
        (error: unknown) => {
          offCrash();
          reply({ error: overTheWire(error) });
        },
      );
    });
  }

  /** One message; a lost one is never heard of. */
  #send(from: string, to: string, deliver: () => void): void {
    if (!this.#passes(from, to)) this.count('message blocked');
    else if (this.#random.chance(this.faults.lose)) this.count('message lost');
    else this.#scheduler.after(this.#random.latency(LATENCY_MS), deliver);
  }

  async #stream(
    from: SimProcess,
    to: string,
    method: string,
    request: unknown,
    options: PeerCallOptions,
  ): Promise<{ head: unknown; body: Readable }> {
    const text = JSON.stringify(request ?? null);
    const stop = new AbortController();
    let remote: Readable | null = null;
    let source: SimProcess | null = null;
    const head = await this.#exchange(from, to, method, options, async (target) => {
      const handler = target.methods.streams[method];
      if (!handler) throw new ZringError('PEER_PROTOCOL', `unknown method ${method}`);
      const answer = await handler(JSON.parse(text), from.node, stop.signal);
      // A repeated question gets a stream of its own, which nobody reads.
      remote?.destroy();
      remote = answer.body;
      source = target.process;
      answer.body.on('error', () => undefined);
      return JSON.stringify(answer.head ?? null);
    }).catch((error: unknown) => {
      stop.abort();
      throw error;
    });
    if (!remote || !source) throw new ZringError('PEER_PROTOCOL', 'no body');
    return { head: JSON.parse(head), body: this.#relay(from, source, remote, stop, options.signal) };
  }

  #relay(
    from: SimProcess,
    source: SimProcess,
    remote: Readable,
    stop: AbortController,
    signal: AbortSignal | undefined,
  ): Readable {
    const body = new PassThrough();
    const to = source.node;
    const cut = (why: string) => {
      if (body.destroyed) return;
      body.destroy(new ZringError('NODE_UNREACHABLE', `the stream was cut: ${why}`));
      remote.destroy();
      stop.abort();
    };
    let silence = this.#scheduler.after(STREAM_SILENCE_MS, () => cut('silence'));
    const deliver = (task: () => void) => {
      if (!this.#passes(to, from.node)) return;
      this.#scheduler.after(this.#random.between(0.1, 1), () => from.run(task));
    };
    const offCrash = source.whenCrashed(() => this.#scheduler.after(1, () => from.run(() => cut('reset'))));
    from.whenCrashed(() => remote.destroy());
    signal?.addEventListener('abort', () => cut('given up'), { once: true });
    // A chunk at a time, so that order is kept whatever each one's latency.
    const pump = async () => {
      for await (const chunk of remote) {
        if (this.#random.chance(this.faults.cut)) {
          this.count('stream cut');
          return cut('injected');
        }
        await new Promise<void>((passed) => {
          deliver(() => {
            silence();
            silence = this.#scheduler.after(STREAM_SILENCE_MS, () => cut('silence'));
            body.write(chunk);
            passed();
          });
        });
      }
      deliver(() => {
        silence();
        offCrash();
        body.end();
      });
    };
    pump().catch((error: Error) => cut(error.message));
    body.on('close', () => silence());
    return body;
  }
}

function unreached(to: string, method: string, why: string): ZringError {
  return new ZringError('NODE_UNREACHABLE', `${to} is not reached (${method}): ${why}`, { subject: to });
}

function overTheWire(error: unknown): ZringError {
  if (!isZringError(error)) return new ZringError('INTERNAL', `remote failure: ${String(error)}`, { cause: error });
  const details = error.details === undefined ? undefined : JSON.parse(JSON.stringify(error.details));
  return new ZringError(error.code, error.message, { details });
}

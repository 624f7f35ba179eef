// Named loops of one node: each runs its task again and again, never twice at once, with jitter, and sooner when told to.
// Owns timers. A task that fails is logged and runs again at its time; errors of an unreachable coordinator are quiet.
import { isZringError } from '../common/errors.ts';
import type { Logger } from '../telemetry/log.ts';

interface Loop {
  readonly everyMs: number;
  readonly task: () => Promise<void>;
  timer: NodeJS.Timeout | null;
  running: Promise<void> | null;
  again: boolean;
}

/** Nodes that started together must not ask together for ever. */
const JITTER = 0.2;

export class Loops {
  readonly #logger: Logger;
  readonly #manual: boolean;
  readonly #loops = new Map<string, Loop>();
  #started = false;
  #stopped = false;

  /** `manual`: no timers; only `runOnce` runs anything. */
  constructor(logger: Logger, manual: boolean) {
    this.#logger = logger;
    this.#manual = manual;
  }

  add(name: string, everyMs: number, task: () => Promise<void>): void {
    this.#loops.set(name, { everyMs, task, timer: null, running: null, again: false });
  }

  start(): void {
    this.#started = true;
    for (const name of this.#loops.keys()) this.#schedule(name);
  }

  /** As soon as possible; requests in one turn of the event loop are one. */
  soon(name: string): void {
    const loop = this.#loops.get(name);
    if (!loop || this.#stopped || this.#manual || !this.#started) return;
    if (loop.running) loop.again = true;
    else this.#schedule(name, 0);
  }

  /** Runs now, or waits for the run under way. Never throws. */
  runOnce(name: string): Promise<void> {
    const loop = this.#loops.get(name);
    if (!loop || this.#stopped) return Promise.resolve();
    loop.running ??= this.#run(name, loop).finally(() => {
      loop.running = null;
    });
    return loop.running;
  }

  async #run(name: string, loop: Loop): Promise<void> {
    try {
      await loop.task();
    } catch (error) {
      const expected = isZringError(error) && error.code.startsWith('COORDINATOR_');
      this.#logger[expected ? 'debug' : 'error']({ err: error, loop: name }, 'loop failed; it runs again');
    }
  }

  #schedule(name: string, delayMs?: number): void {
    const loop = this.#loops.get(name);
    if (!loop || this.#stopped || this.#manual) return;
    if (loop.timer) clearTimeout(loop.timer);
    const jittered = loop.everyMs * (1 - JITTER / 2 + Math.random() * JITTER);
    loop.timer = setTimeout(() => {
      loop.timer = null;
      void this.runOnce(name).then(() => {
        const again = loop.again;
        loop.again = false;
        this.#schedule(name, again ? 0 : undefined);
      });
    }, delayMs ?? jittered);
    loop.timer.unref();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    const running: Promise<void>[] = [];
    for (const loop of this.#loops.values()) {
      if (loop.timer) clearTimeout(loop.timer);
      if (loop.running) running.push(loop.running);
    }
    await Promise.all(running);
  }
}

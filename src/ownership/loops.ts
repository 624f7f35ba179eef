// Named loops of one node: each runs its task again and again, never twice at once, with jitter, and sooner when told to.
// Owns timers. A task that fails is logged and runs again at its time; errors of an unreachable coordinator are quiet.
import { type Entropy, SYSTEM_TIMERS, type Timers } from '../common/clock.ts';
import { isZringError } from '../common/errors.ts';
import { SYSTEM_ENTROPY } from '../common/system-entropy.ts';
import type { Logger } from '../telemetry/log.ts';

interface Loop {
  readonly everyMs: number;
  readonly task: () => Promise<void>;
  callOff: (() => void) | null;
  running: Promise<void> | null;
  again: boolean;
}

/** Nodes that started together must not ask together for ever. */
const JITTER = 0.2;

export class Loops {
  readonly #logger: Logger;
  readonly #manual: boolean;
  readonly #timers: Timers;
  readonly #entropy: Entropy;
  readonly #loops = new Map<string, Loop>();
  #started = false;
  #stopped = false;

  /** `manual`: no timers; only `runOnce` runs anything. */
  constructor(logger: Logger, manual: boolean, timers: Timers = SYSTEM_TIMERS, entropy: Entropy = SYSTEM_ENTROPY) {
    this.#logger = logger;
    this.#timers = timers;
    this.#entropy = entropy;
    this.#manual = manual;
  }

  add(name: string, everyMs: number, task: () => Promise<void>): void {
    this.#loops.set(name, { everyMs, task, callOff: null, running: null, again: false });
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
    loop.callOff?.();
    const jittered = loop.everyMs * (1 - JITTER / 2 + this.#entropy.fraction() * JITTER);
    const run = () => {
      loop.callOff = null;
      void this.runOnce(name).then(() => {
        const again = loop.again;
        loop.again = false;
        this.#schedule(name, again ? 0 : undefined);
      });
    };
    loop.callOff = this.#timers.after(delayMs ?? jittered, run, { background: true });
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    const running: Promise<void>[] = [];
    for (const loop of this.#loops.values()) {
      loop.callOff?.();
      if (loop.running) running.push(loop.running);
    }
    await Promise.all(running);
  }
}

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
  /** It is to run within this time, by `soon`; null = at its own time. */
  hurryMs: number | null;
  running: Promise<void> | null;
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
    this.#loops.set(name, { everyMs, task, callOff: null, hurryMs: null, running: null });
  }

  start(): void {
    this.#started = true;
    for (const name of this.#loops.keys()) this.#schedule(name);
  }

  /**
   * As soon as possible, or at a random moment within a time that is shorter than the loop's own: then calls until it has
   * run are one, and nodes that heard the same do not run together.
   */
  soon(name: string, withinMs = 0): void {
    const loop = this.#loops.get(name);
    if (!loop || this.#stopped || this.#manual || !this.#started) return;
    if (loop.hurryMs !== null && loop.hurryMs <= withinMs) return;
    loop.hurryMs = withinMs;
    if (!loop.running) this.#schedule(name, withinMs * this.#entropy.fraction());
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
      loop.hurryMs = null;
      void this.runOnce(name).then(() => {
        const hurryMs = loop.hurryMs;
        this.#schedule(name, hurryMs === null ? undefined : hurryMs * this.#entropy.fraction());
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

// One life of one node's process: its clock, timers, chance, and what it has asked of the outside. A crash ends all of them
// at one instant: whatever was in flight has happened or has not, and nobody hears of it. A pause (SIGSTOP, a machine that
// sleeps) holds back everything that would reach the process; devices and other nodes go on. Owns what is in flight.
import type { Clock, Entropy, Timers } from '../../src/common/clock.ts';
import type { Random } from './random.ts';
import type { Scheduler } from './scheduler.ts';

const WALL_START_MS = 1_800_000_000_000;

/** How a process ends: what it has asked of its devices, and has not heard of, happens all, not at all, or by chance. */
export type CrashKind = 'kill' | 'power-cut' | 'mixed';

interface InFlight {
  effect: (() => unknown) | null;
}

export class SimProcess {
  readonly node: string;
  readonly scheduler: Scheduler;
  readonly random: Random;
  alive = true;
  paused = false;
  /** Jumps of the wall clock. */
  wallShiftMs = 0;
  /** Jumps of the monotonic clock: only ahead, as after a suspend. */
  #aheadMs: number;
  readonly #held: (() => void)[] = [];
  readonly #inFlight = new Set<InFlight>();
  readonly #onCrash = new Set<() => void>();
  readonly #stuck: (() => void)[] = [];
  #hung = false;
  /** Called right before and right after each effect on a device, and after each change in the coordinator. */
  point: () => void = () => undefined;

  constructor(node: string, scheduler: Scheduler, random: Random) {
    this.node = node;
    this.scheduler = scheduler;
    this.random = random;
    // No two machines were started at the same time.
    this.#aheadMs = random.whole(0, 1_000_000);
  }

  readonly clock: Clock = {
    wallMs: () => Math.floor(WALL_START_MS + this.scheduler.nowMs + this.wallShiftMs),
    monotonicMs: () => this.scheduler.nowMs + this.#aheadMs,
  };

  readonly timers: Timers = {
    after: (ms, task) => {
      let called = false;
      const callOff = this.scheduler.after(ms, () => this.run(() => called || task()));
      return () => {
        called = true;
        callOff();
      };
    },
  };

  get entropy(): Entropy {
    return this.random.entropy();
  }

  /** What comes from outside: now, when it wakes, or never. */
  run(task: () => void): void {
    if (!this.alive) return;
    if (this.paused) this.#held.push(task);
    else task();
  }

  /** Asks a device for something: the effect comes later and all at once, the answer after it. */
  io<T>(ms: number, effect: () => T): Promise<T> {
    if (!this.alive) return new Promise(() => undefined);
    return new Promise<T>((resolve, reject) => {
      const operation: InFlight = { effect };
      this.#inFlight.add(operation);
      const complete = () => {
        // Held back by a device that hangs, or over with a crash, which may also happen right here.
        if (this.#hung) return void this.#stuck.push(complete);
        if (operation.effect !== null) this.point();
        if (operation.effect === null) return;
        operation.effect = null;
        this.#inFlight.delete(operation);
        const done = carryOut(effect);
        this.point();
        this.run(() => ('error' in done ? reject(done.error) : resolve(done.value)));
      };
      this.scheduler.after(ms, complete);
    });
  }

  whenCrashed(task: () => void): () => void {
    this.#onCrash.add(task);
    return () => void this.#onCrash.delete(task);
  }

  /** The device takes everything and answers nothing, until it goes on. @returns how much it held back. */
  hang(hung: boolean): number {
    this.#hung = hung;
    if (hung) return 0;
    const stuck = this.#stuck.splice(0);
    for (const complete of stuck) complete();
    return stuck.length;
  }

  pause(): void {
    this.paused = true;
  }

  wake(): void {
    this.paused = false;
    const held = this.#held.splice(0);
    for (const task of held) this.run(task);
  }

  jumpAhead(ms: number): void {
    this.#aheadMs += ms;
  }

  crash(how: CrashKind): void {
    if (!this.alive) return;
    this.alive = false;
    this.#held.length = 0;
    for (const operation of this.#inFlight) {
      const { effect } = operation;
      operation.effect = null;
      const happens = how === 'mixed' ? this.random.chance(0.5) : how === 'kill';
      // If it fails, nobody is there to hear it.
      if (effect && happens) carryOut(effect);
    }
    this.#inFlight.clear();
    this.#stuck.length = 0;
    for (const task of this.#onCrash) task();
    this.#onCrash.clear();
  }
}

function carryOut<T>(effect: () => T): { readonly value: T } | { readonly error: unknown } {
  try {
    return { value: effect() };
  } catch (error) {
    return { error };
  }
}

// Virtual time for the scale simulation: one queue of events for all nodes, run to the millisecond. Owns the clock and what
// waits. The time that work of a watched node costs this machine is measured; of the others nothing is known but when.
import type { Clock, Timers } from '../../src/common/clock.ts';

interface Waiting {
  readonly atMs: number;
  readonly order: number;
  readonly owner: number;
  task: (() => void) | null;
}

/** Work that belongs to no node: the network, the scenario. */
export const NOBODY = -1;
const START_WALL_MS = 1_700_000_000_000;

export class VirtualTime {
  nowMs = 0;
  /** Real milliseconds of work, by watched owner. */
  readonly spentMs = new Map<number, number>();
  readonly #heap: Waiting[] = [];
  #order = 0;

  readonly clock: Clock = { wallMs: () => START_WALL_MS + this.nowMs, monotonicMs: () => this.nowMs };

  timers(owner: number): Timers {
    return { after: (ms, task) => this.after(ms, task, owner) };
  }

  after(ms: number, task: () => void, owner = NOBODY): () => void {
    // Whole milliseconds: what is due together needs one turn of the event loop instead of many.
    const waiting: Waiting = { atMs: this.nowMs + Math.max(0, Math.ceil(ms)), order: this.#order++, owner, task };
    this.#push(waiting);
    return () => {
      waiting.task = null;
    };
  }

  pause(ms: number): Promise<void> {
    return new Promise((resolve) => void this.after(ms, resolve));
  }

  watch(owner: number): void {
    this.spentMs.set(owner, 0);
  }

  /** Runs everything that is due until then. */
  async run(ms: number): Promise<void> {
    const endMs = this.nowMs + ms;
    await turn();
    for (let first = this.#heap[0]; first && first.atMs <= endMs; first = this.#heap[0]) {
      this.nowMs = first.atMs;
      while (this.#heap[0] && this.#heap[0].atMs <= this.nowMs) {
        const { owner, task } = this.#pop();
        if (!task) continue;
        if (this.spentMs.has(owner)) await this.#measured(owner, task);
        else task();
      }
      await turn();
    }
    this.nowMs = endMs;
  }

  async #measured(owner: number, task: () => void): Promise<void> {
    // What others have started must not count as this one's.
    await turn();
    const began = performance.now();
    task();
    await turn();
    this.spentMs.set(owner, (this.spentMs.get(owner) ?? 0) + performance.now() - began);
  }

  #push(waiting: Waiting): void {
    const heap = this.#heap;
    let i = heap.length;
    heap.push(waiting);
    while (i > 0) {
      const parent = (i - 1) >> 1;
      const above = heap[parent] as Waiting;
      if (!isBefore(waiting, above)) break;
      heap[i] = above;
      i = parent;
    }
    heap[i] = waiting;
  }

  #pop(): Waiting {
    const heap = this.#heap;
    const top = heap[0] as Waiting;
    const last = heap.pop() as Waiting;
    if (heap.length === 0) return top;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1] as Waiting, heap[child] as Waiting)) child++;
      if (!isBefore(heap[child] as Waiting, last)) break;
      heap[i] = heap[child] as Waiting;
      i = child;
    }
    heap[i] = last;
    return top;
  }
}

function isBefore(a: Waiting, b: Waiting): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}

/** All microtasks and ticks that are ready, and those that they make ready. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Mulberry32: small, seeded, the same everywhere. */
export function seededFraction(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

// Virtual time: a heap of tasks, run one by one in the order of their time; after each, everything that follows from it
// without waiting (promises, stream callbacks) runs to its end. Nothing else in a simulated world waits, so one seed is one
// history. Owns the time and the count of steps.

interface Item {
  readonly atMs: number;
  readonly serial: number;
  task: (() => void) | null;
}

export class Scheduler {
  nowMs = 0;
  /** Tasks run so far; orders everything, also what happens at one instant. */
  steps = 0;
  readonly #heap: Item[] = [];
  #serial = 0;
  /** Called after each step. */
  onStep: () => void = () => undefined;

  /** @returns how to call it off. */
  after(ms: number, task: () => void): () => void {
    const item: Item = { atMs: this.nowMs + Math.max(0, ms), serial: this.#serial++, task };
    this.#push(item);
    return () => {
      item.task = null;
    };
  }

  pause(ms: number): Promise<void> {
    return new Promise((resolve) => void this.after(ms, resolve));
  }

  /** Runs until the time has come. */
  async runFor(ms: number): Promise<void> {
    const untilMs = this.nowMs + ms;
    for (;;) {
      const next = this.#heap[0];
      if (!next || next.atMs > untilMs) break;
      await this.#step();
    }
    this.nowMs = untilMs;
  }

  /** False when it did not come true within the time. @param everyMs How often it is asked, for one that is dear. */
  async runUntil(condition: () => boolean, withinMs: number, everyMs = 0): Promise<boolean> {
    const untilMs = this.nowMs + withinMs;
    while (!condition()) {
      const askMs = this.nowMs + everyMs;
      do {
        const next = this.#heap[0];
        if (!next || next.atMs > untilMs) return everyMs > 0 && condition();
        await this.#step();
      } while (this.nowMs < askMs);
    }
    return true;
  }

  async #step(): Promise<void> {
    const item = this.#pop();
    if (!item?.task) return;
    this.nowMs = Math.max(this.nowMs, item.atMs);
    this.steps++;
    item.task();
    await settle();
    this.onStep();
  }

  #push(item: Item): void {
    const heap = this.#heap;
    let i = heap.push(item) - 1;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (before(heap[parent] as Item, item)) break;
      heap[i] = heap[parent] as Item;
      i = parent;
    }
    heap[i] = item;
  }

  #pop(): Item | undefined {
    const heap = this.#heap;
    const top = heap[0];
    const last = heap.pop();
    if (!top || !last || heap.length === 0) return top;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && before(heap[child + 1] as Item, heap[child] as Item)) child++;
      if (before(last, heap[child] as Item)) break;
      heap[i] = heap[child] as Item;
      i = child;
    }
    heap[i] = last;
    return top;
  }
}

function before(a: Item, b: Item): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.serial < b.serial);
}

/** Microtasks and process.nextTick both run to their end before the event loop comes here. */
function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

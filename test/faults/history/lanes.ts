// Which nodes and buckets answer: so that clients go on where there are answers, and only a few wait where there are none.
// A lane (a node, or a bucket) is doubtful while a request on it is old, or its last answer was none. A doubtful lane is
// asked by few at a time, never by nobody: what fails there is part of the history. Owns the requests under way.
import type { Random } from './random.ts';

/** Requests older than this make their lane doubtful. */
const OLD_MS = 600;
const DOUBT_MS = 1_000;

interface Lane {
  readonly startedMs: Set<{ readonly atMs: number }>;
  doubtUntilMs: number;
}

export class Lanes {
  readonly #lanes = new Map<string, Lane>();
  readonly #nowMs: () => number;

  constructor(nowMs: () => number = () => performance.now()) {
    this.#nowMs = nowMs;
  }

  /** @returns to be called with the end of the request: whether there was an answer that was not "later". */
  enter(name: string): (answered: boolean) => void {
    const lane = this.#lane(name);
    const entry = { atMs: this.#nowMs() };
    lane.startedMs.add(entry);
    return (answered) => {
      lane.startedMs.delete(entry);
      lane.doubtUntilMs = answered ? 0 : this.#nowMs() + DOUBT_MS;
    };
  }

  doubtful(name: string): boolean {
    const lane = this.#lane(name);
    const nowMs = this.#nowMs();
    if (nowMs < lane.doubtUntilMs) return true;
    for (const { atMs } of lane.startedMs) if (nowMs - atMs > OLD_MS) return true;
    return false;
  }

  under(name: string): number {
    return this.#lane(name).startedMs.size;
  }

  /** Any lane, unless it is doubtful and enough wait there already; null when that is so of all. */
  choose<T>(random: Random, from: readonly T[], nameOf: (one: T) => string, doubtfulMax: number): T | null {
    const open = (one: T) => !this.doubtful(nameOf(one)) || this.under(nameOf(one)) < doubtfulMax;
    const first = random.pick(from);
    if (open(first)) return first;
    const others = from.filter(open);
    return others.length === 0 ? null : random.pick(others);
  }

  #lane(name: string): Lane {
    const found = this.#lanes.get(name);
    if (found) return found;
    const lane: Lane = { startedMs: new Set(), doubtUntilMs: 0 };
    this.#lanes.set(name, lane);
    return lane;
  }
}

// Which nodes and buckets answer: so that clients go on where there are answers, and only a few wait where there are none.
// No lane (a node, or a bucket) ever holds more than its share of the clients. It is doubtful while a request on it is
// old, or its last answer was none; then it is asked by few at a time and now and then, never by nobody: what fails there
// is part of the history. Owns the requests under way.
import type { Random } from './random.ts';

/** Requests older than this make their lane doubtful. */
const OLD_MS = 400;
const DOUBT_MS = 1_000;
/** A doubtful lane is asked so often: a node that refuses at once would be asked without end. */
const PROBE_MS = 50;

export interface Share {
  readonly max: number;
  readonly doubtfulMax: number;
}

interface Lane {
  readonly startedMs: Set<{ readonly atMs: number }>;
  doubtUntilMs: number;
  enteredMs: number;
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
    lane.enteredMs = entry.atMs;
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

  /** Any lane that has room; null when none has. */
  choose<T>(random: Random, from: readonly T[], nameOf: (one: T) => string, share: Share): T | null {
    const first = random.pick(from);
    if (this.#hasRoom(nameOf(first), share)) return first;
    const others = from.filter((one) => this.#hasRoom(nameOf(one), share));
    return others.length === 0 ? null : random.pick(others);
  }

  #hasRoom(name: string, { max, doubtfulMax }: Share): boolean {
    const { startedMs, enteredMs } = this.#lane(name);
    if (startedMs.size >= max) return false;
    return !this.doubtful(name) || (startedMs.size < doubtfulMax && this.#nowMs() - enteredMs >= PROBE_MS);
  }

  #lane(name: string): Lane {
    const found = this.#lanes.get(name);
    if (found) return found;
    const lane: Lane = { startedMs: new Set(), doubtUntilMs: 0, enteredMs: 0 };
    this.#lanes.set(name, lane);
    return lane;
  }
}

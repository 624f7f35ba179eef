// Decides which datasets this node starts to pull now, and which pulls it gives up. Pure: `planPulls`; the rest keeps the
// little that lasts between two plans (touched datasets, failures).
//
// Lazy: what a client touched since it should live here. Background: everything that should. In both: what is pinned here,
// what a draining or removed node still owns, and what was begun.
import type { OwnershipRecord } from '../cluster/record.ts';

export interface PullFacts {
  readonly self: string;
  readonly mode: 'lazy' | 'background';
  readonly concurrency: number;
  readonly nowMs: number;
  /** Live records. */
  readonly records: Iterable<OwnershipRecord>;
  readonly home: (record: OwnershipRecord) => string | null;
  /** The node is draining, or not in the map any more. */
  readonly isLeaving: (node: string) => boolean;
  readonly touched: ReadonlySet<string>;
  /** Pulls under way here. */
  readonly running: ReadonlySet<string>;
  /** Not before this time, after a failure. */
  readonly notBeforeMs: (dataset: string) => number;
}

export interface PullPlan {
  readonly start: readonly string[];
  readonly cancel: readonly string[];
}

export function planPulls(facts: PullFacts): PullPlan {
  const { self, running } = facts;
  const cancel: string[] = [];
  const wanted: { dataset: string; rank: number }[] = [];
  for (const record of facts.records) {
    const { dataset } = record;
    // Its owner was asked to drain and may have promised: that is seen through, and whoever is the home pulls from here.
    const isAsked = record.target === self && record.phase === 'draining';
    const isOurs = facts.home(record) === self || isAsked;
    if (!isOurs) {
      // Also what a process before this one has claimed: a claim that nobody takes back holds this node in the map.
      if (running.has(dataset) || record.target === self) cancel.push(dataset);
      continue;
    }
    if (running.has(dataset) || record.owner === self || facts.notBeforeMs(dataset) > facts.nowMs) continue;
    const rank = rankOf(record, facts);
    if (rank !== null) wanted.push({ dataset, rank });
  }
  wanted.sort((a, b) => a.rank - b.rank || (a.dataset < b.dataset ? -1 : 1));
  // Clients wait for a dataset whose owner was already asked to drain: that one is never held back by the cap.
  const urgent = wanted.filter((item) => item.rank === 0);
  const room = Math.max(0, facts.concurrency - running.size - urgent.length);
  const others = wanted.filter((item) => item.rank > 0).slice(0, room);
  return { start: [...urgent, ...others].map((item) => item.dataset), cancel };
}

/** Lower goes first; null = not now. */
function rankOf(record: OwnershipRecord, facts: PullFacts): number | null {
  if (record.target === facts.self) return record.phase === 'draining' ? 0 : 1;
  if (facts.touched.has(record.dataset)) return 2;
  if (record.pin === facts.self) return 3;
  if (facts.isLeaving(record.owner)) return 4;
  return facts.mode === 'background' ? 5 : null;
}

const BACKOFF_DOUBLINGS_MAX = 4;

export class PullMemory {
  readonly #retryMs: number;
  readonly touched = new Set<string>();
  readonly #failures = new Map<string, { count: number; notBeforeMs: number }>();

  constructor(retryMs: number) {
    this.#retryMs = retryMs;
  }

  notBeforeMs(dataset: string): number {
    return this.#failures.get(dataset)?.notBeforeMs ?? Number.NEGATIVE_INFINITY;
  }

  ended(dataset: string, succeeded: boolean, nowMs: number): void {
    if (succeeded) {
      this.#failures.delete(dataset);
      this.touched.delete(dataset);
      return;
    }
    const count = (this.#failures.get(dataset)?.count ?? 0) + 1;
    const waitMs = this.#retryMs * 2 ** Math.min(count - 1, BACKOFF_DOUBLINGS_MAX);
    this.#failures.set(dataset, { count, notBeforeMs: nowMs + waitMs });
  }

  forget(isInteresting: (dataset: string) => boolean): void {
    for (const dataset of this.touched) if (!isInteresting(dataset)) this.touched.delete(dataset);
    for (const dataset of this.#failures.keys()) if (!isInteresting(dataset)) this.#failures.delete(dataset);
  }
}

// What this node pulls now, from what its parts know at this moment: the facts for `planPulls`. Owns nothing.
import type { OwnershipRecord } from '../cluster/record.ts';
import type { Config } from '../config/types.ts';
import type { CatalogKeeper } from './catalog-keeper.ts';
import { isPullPhase } from './gate-state.ts';
import type { MapKeeper } from './map-keeper.ts';
import type { Placement } from './placement.ts';
import { type PullMemory, type PullPlan, planPulls } from './rebalance.ts';
import type { DatasetRunner } from './runner.ts';

export interface PullRound {
  readonly self: string;
  readonly rebalance: Config['rebalance'];
  readonly nowMs: number;
  readonly catalog: CatalogKeeper;
  readonly placement: Placement;
  readonly map: MapKeeper;
  readonly memory: PullMemory;
  readonly runners: Iterable<DatasetRunner>;
}

/** `running`: pulls under way when it was planned. */
export function planRound(round: PullRound): PullPlan & { readonly running: number } {
  const { self, nowMs, map, memory } = round;
  const running = new Set<string>();
  for (const runner of round.runners) if (isPullPhase(runner.state)) running.add(runner.dataset);
  const { mode, concurrency } = round.rebalance;
  const plan = planPulls({
    self,
    mode,
    concurrency,
    nowMs,
    records: candidates(round, running),
    home: (record) => map.home(record.dataset, record),
    isLeaving: (owner) => map.isDraining(owner) || !map.has(owner),
    touched: memory.touched,
    running,
    notBeforeMs: (dataset) => memory.notBeforeMs(dataset),
  });
  return { ...plan, running: running.size };
}

/** Nothing else can be pulled, or be given up. */
function candidates({ placement, catalog }: PullRound, running: ReadonlySet<string>): OwnershipRecord[] {
  const records = new Map<string, OwnershipRecord>();
  for (const record of placement.away()) records.set(record.dataset, record);
  for (const dataset of running) {
    const record = catalog.entry(dataset)?.record;
    if (record && record.phase !== 'deleted') records.set(dataset, record);
  }
  return [...records.values()].sort((a, b) => (a.dataset < b.dataset ? -1 : 1));
}

// How well the datasets of one owner are replicated, counted for status and metrics. Pure.
import type { ReplicaCounts } from '../../cluster/coordinator.ts';
import type { ReplicaSight } from './replica-book.ts';

/** `current`: nothing was written since, or it had everything a moment ago (LATE_PERIODS). */
export type ReplicaHealth = ReplicaCounts;

/** Periods of `replication.every`: one to wait for, one to ask and receive, one of patience. */
const LATE_PERIODS = 3;

export function replicaHealth(sights: Iterable<ReplicaSight>, everyMs: number, nowMs: number): ReplicaHealth {
  let [current, late, unknown, lagMs] = [0, 0, 0, 0];
  for (const { currentMs, isCurrent } of sights) {
    if (currentMs === null) {
      unknown++;
      continue;
    }
    const behindMs = isCurrent ? 0 : Math.max(0, nowMs - currentMs);
    lagMs = Math.max(lagMs, behindMs);
    if (behindMs > LATE_PERIODS * everyMs) late++;
    else current++;
  }
  return { current, late, unknown, lagMs };
}

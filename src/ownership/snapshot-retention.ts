// Which scheduled snapshots stay: the newest few, the last one of each of some days, and of some months. Pure. Only names
// that the schedule gives are looked at: what a person has made goes when a person says so.
import { nameAt } from './snapshot-names.ts';

export interface KeepPolicy {
  /** At least 1: the newest always stays. */
  readonly last: number;
  /** Days and months (UTC) that have a snapshot; each counts by its last one. */
  readonly daily: number;
  readonly monthly: number;
}

interface Taken {
  readonly name: string;
  readonly createdMs: number;
}

const SCHEDULED = /^auto-\d{8}T\d{6}Z$/;

export function scheduledName(wallMs: number): string {
  return nameAt('auto', wallMs);
}

export function isScheduled(name: string): boolean {
  return SCHEDULED.test(name);
}

/** Names to destroy, the oldest first. `snapshots`: all of a bucket, the oldest first. */
export function planRetention(snapshots: readonly Taken[], keep: KeepPolicy): string[] {
  const newestFirst = snapshots.filter(({ name }) => isScheduled(name)).reverse();
  const kept = new Set(newestFirst.slice(0, Math.max(1, keep.last)).map(({ name }) => name));
  for (const [count, length] of [
    [keep.daily, 'YYYY-MM-DD'.length],
    [keep.monthly, 'YYYY-MM'.length],
  ] as const) {
    const periods = new Set<string>();
    for (const { name, createdMs } of newestFirst) {
      const period = new Date(createdMs).toISOString().slice(0, length);
      if (periods.has(period) || periods.size >= count) continue;
      periods.add(period);
      kept.add(name);
    }
  }
  return newestFirst
    .filter(({ name }) => !kept.has(name))
    .map(({ name }) => name)
    .reverse();
}

// Snapshots that a dataset's copies have in common: the owner takes one when a replica asks and something has changed, every
// replica receives the same one, and whoever takes the dataset over receives them as well. So after any change of owner all
// copies still have a base for an increment. Owns nothing; what was written since the newest one is noted at the runner.
import { ZringError } from '../../common/errors.ts';
import type { DatasetDriver, SnapshotInfo } from '../../dataset/driver.ts';
import type { Logger } from '../../telemetry/log.ts';
import type { SnapshotRef } from '../peer-messages.ts';
import type { DatasetRunner } from '../runner.ts';
import { HOLD_TAG, isShared, sharedName } from '../snapshot-names.ts';

/** The newest shared snapshot, and the number of the last commit before it (SharedMark.sequence as DatasetRunner.sequence). */
export interface SharedMark {
  readonly id: string;
  readonly guid: string;
  readonly sequence: number | null;
  /** Wall clock. */
  readonly takenMs: number;
}

export interface SharedDeps {
  readonly driver: DatasetDriver;
  readonly logger: Logger;
  readonly salt: () => string;
  readonly nowMs: () => number;
  /** Older ones go, but for the newest two. */
  readonly maxAgeMs: () => number;
  /** A younger one is new enough: replicas that ask one after the other get the same. */
  readonly minAgeMs: () => number;
}

/** Nothing was committed since. */
export function isCurrent({ shared, sequence, state }: DatasetRunner): boolean {
  return shared !== null && shared.id === state.copy?.id && shared.sequence === sequence;
}

/** `ageMs`: something may have been written since so long ago; 0 = it is as new as the dataset. */
export interface SharedRef extends SnapshotRef {
  readonly ageMs: number;
}

/** The newest one while it is new enough, or nothing has changed since; else a new one. Alone on the dataset's disk. */
export async function takeShared(deps: SharedDeps, runner: DatasetRunner, id: string): Promise<SharedRef> {
  const { driver, salt, nowMs, minAgeMs } = deps;
  const { dataset, shared } = runner;
  const takenMs = nowMs();
  const current = isCurrent(runner);
  const ageMs = current || !shared ? 0 : Math.abs(takenMs - shared.takenMs);
  if (shared?.id === id && (current || ageMs < minAgeMs())) {
    const known = (await driver.snapshots(dataset)).find(({ guid }) => guid === shared.guid);
    if (known) return { name: known.name, guid: known.guid, ageMs };
  }
  // Replicas keep what they have, which is better.
  if (runner.place.isDamaged) {
    throw new ZringError('DATASET_UNAVAILABLE', `${dataset} is damaged here: ${runner.place.fault}`, {
      subject: dataset,
    });
  }
  // Read before the snapshot is taken: a commit meanwhile counts as one after it.
  const { sequence } = runner;
  const taken = await driver.snapshot(dataset, sharedName(takenMs, salt()), runner.store ?? undefined);
  await driver.hold(dataset, taken.name, HOLD_TAG);
  runner.shared = { id, guid: taken.guid, sequence, takenMs };
  await dropShared(deps, runner);
  return { name: taken.name, guid: taken.guid, ageMs: 0 };
}

/** Those that planShared lets go. Never throws: what is being sent, or held by others, goes another time. */
export async function dropShared(
  { driver, logger, nowMs, maxAgeMs }: Pick<SharedDeps, 'driver' | 'logger' | 'nowMs' | 'maxAgeMs'>,
  { dataset, lent }: Pick<DatasetRunner, 'dataset' | 'lent'>,
): Promise<void> {
  const snapshots = await driver.snapshots(dataset).catch(() => []);
  for (const name of planShared(snapshots, nowMs(), maxAgeMs())) {
    if (lent.has(name)) continue;
    try {
      await driver.release(dataset, name, HOLD_TAG);
      await driver.destroySnapshot(dataset, name);
    } catch (error) {
      logger.debug({ err: error, dataset, snapshot: name }, 'a shared snapshot is not destroyed yet');
    }
  }
}

type Taken = Pick<SnapshotInfo, 'name' | 'createdMs'>;

const NEWEST_KEPT = 2;
/** Ages below this are one class; each class after it is twice as long. */
const FIRST_CLASS_MS = 60_000;

/**
 * Names to destroy. Of the newest two, and of each class of age (the last minute, the one before, two more, four, eight …)
 * the *oldest* stays, so that what stays grows old: a replica that was away for some time finds one that it has, though only
 * a few are kept. Pure. `snapshots`: the oldest first.
 */
export function planShared(snapshots: readonly Taken[], nowMs: number, maxAgeMs: number): string[] {
  const shared = snapshots.filter(({ name }) => isShared(name));
  const kept = new Set(shared.slice(-NEWEST_KEPT));
  const classes = new Set<number>();
  for (const snapshot of shared) {
    const ageMs = nowMs - snapshot.createdMs;
    if (ageMs > maxAgeMs) continue;
    const ageClass = Math.floor(Math.log2(Math.max(1, ageMs / FIRST_CLASS_MS)));
    if (!classes.has(ageClass)) kept.add(snapshot);
    classes.add(ageClass);
  }
  return shared.filter((snapshot) => !kept.has(snapshot)).map(({ name }) => name);
}

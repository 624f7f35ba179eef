// Snapshots of the datasets that this node owns, asked for by operators (docs/SNAPSHOTS.md). Owns nothing: the driver keeps
// them, the shelf has those open that are being read.
import type { Clock } from '../common/clock.ts';
import { isZringError, ZringError } from '../common/errors.ts';
import type { DatasetDriver, SnapshotInfo } from '../dataset/driver.ts';
import type { BucketSnapshot, RollbackReport, SnapshotDesk } from './access.ts';
import type { LocalAccess } from './dataset-access.ts';
import type { OwnershipLimits } from './limits.ts';
import type { DatasetRunner } from './runner.ts';
import { isReserved, isShared, KEEP_TAG, nameAt, requireOwnName } from './snapshot-names.ts';
import type { SnapshotShelf } from './snapshot-shelf.ts';

export interface SnapshotDeskDeps {
  readonly driver: DatasetDriver;
  readonly clock: Clock;
  readonly access: Pick<LocalAccess, 'enter' | 'clone'>;
  readonly shelf: SnapshotShelf;
  readonly find: (dataset: string) => DatasetRunner | undefined;
  readonly limits: Pick<OwnershipLimits, 'snapshotsMax'>;
}

/** For requests under way before a rollback; those that last longer are cut, and get as long to end. */
const ROLLBACK_DRAIN_MS = 1_000;

export function createSnapshotDesk(deps: SnapshotDeskDeps): SnapshotDesk {
  const { driver, clock, shelf, limits } = deps;

  /**
   * Says what is wrong, and waits for a dataset that is just being opened. `damaged`: also one that cannot be opened because
   * of what it holds, which is when its snapshots are needed most.
   */
  async function runnerOf(dataset: string, { damaged = false } = {}): Promise<DatasetRunner> {
    try {
      (await deps.access.enter(dataset, 'read')).release();
    } catch (error) {
      const runner = deps.find(dataset);
      if (!damaged || !runner?.place.isDamaged) throw error;
    }
    const runner = deps.find(dataset);
    if (!runner) throw busy(dataset, 'has just moved');
    return runner;
  }

  /** Alone on the dataset's disk, and only while it is this node's to change. */
  async function owned<T>(
    dataset: string,
    task: (runner: DatasetRunner) => Promise<T>,
    options: { readonly damaged?: boolean } = {},
  ): Promise<T> {
    const runner = await runnerOf(dataset, options);
    return runner.onDisk(async () => {
      requireAtRest(runner);
      return task(runner);
    });
  }

  /**
   * The later snapshots go, and with them what could have been gone back to instead: so this one must be whole. It may well
   * have the damaged part in common with the dataset.
   */
  async function requireSound({ dataset, state }: DatasetRunner, snapshot: string): Promise<void> {
    const refuse = (why: string): ZringError => {
      const message = `snapshot ${snapshot} of ${dataset} is damaged as well (${why}); nothing was changed: try another one`;
      return new ZringError('STORAGE_CORRUPT', message, { subject: dataset });
    };
    const place = { dataset, id: state.copy?.id ?? '', opening: '', snapshot, shared: true };
    const { store, release } = await shelf.open(place).catch((error: unknown) => {
      throw isZringError(error, 'STORAGE_CORRUPT') || isZringError(error, 'MOUNT_INVALID')
        ? refuse(error.message)
        : error;
    });
    try {
      const faults = (await store.upkeep?.checkIndex()) ?? [];
      for (const { key, reason } of faults) if (key === null) throw refuse(reason);
    } finally {
      release();
    }
  }

  return {
    create: async (dataset, asked) => {
      const name = asked === null ? nameAt('manual', clock.wallMs()) : requireOwnName(asked);
      return owned(dataset, async (runner) => {
        const known = await ownSnapshots(driver, dataset);
        if (known.some((snapshot) => snapshot.name === name)) {
          throw new ZringError('CONFIG_REFUSED', `${dataset} has a snapshot ${name} already`, { subject: dataset });
        }
        if (known.length >= limits.snapshotsMax) {
          const message = `${dataset} has ${known.length} snapshots, which is the most there may be; destroy some`;
          throw new ZringError('LIMIT_EXCEEDED', message, { subject: dataset });
        }
        // An open store is copied through itself; a closed one stays closed while this queue runs.
        const taken = await driver.snapshot(dataset, name, runner.store ?? undefined);
        await driver.hold(dataset, name, KEEP_TAG);
        return describe(taken, true);
      });
    },
    list: (dataset) => {
      const read = async (runner: DatasetRunner) => {
        const kept = await driver.heldWith(dataset, KEEP_TAG);
        const known = await driver.snapshots(dataset);
        return known.filter(offeredBy(runner)).map((info) => describe(info, kept.has(info.name)));
      };
      return owned(dataset, read, { damaged: true });
    },
    destroy: async (dataset, name) => {
      requireOwnName(name);
      return owned(dataset, async (runner) => {
        requireUnclaimed(runner);
        if (!(await ownSnapshots(driver, dataset)).some((snapshot) => snapshot.name === name)) {
          throw missing(dataset, name);
        }
        await shelf.close(dataset, name);
        await driver.destroySnapshot(dataset, name, { held: true });
      });
    },
    rollback: async (dataset, name, acceptLoss) => {
      if (!isShared(name)) requireOwnName(name);
      const runner = await runnerOf(dataset, { damaged: true });
      const ask = async (found: DatasetRunner) => {
        const wanted = await reportRollback(driver, found, name);
        await driver.rollback(dataset, name, { dryRun: true });
        return wanted;
      };
      const report = await owned(dataset, ask, { damaged: true });
      if (!acceptLoss) return report;
      // Before anybody is cut: a snapshot that is being read, or a move, stops it.
      requireUnclaimed(runner);
      if (runner.place.isDamaged) await requireSound(runner, name);
      await shelf.close(dataset);
      if (!(await runner.gate.drained(ROLLBACK_DRAIN_MS))) {
        runner.gate.abortAll(busy(dataset, 'is being rolled back'));
        await runner.gate.drained(ROLLBACK_DRAIN_MS);
      }
      requireAtRest(runner);
      requireUnclaimed(runner);
      // Closed, and then rolled back before anything else can open it: both are queued in this turn of the event loop.
      runner.dispatch({ on: 'close' });
      return runner.onDisk(async () => {
        requireOwned(runner);
        if (runner.store) throw busy(dataset, 'is in use');
        await shelf.close(dataset);
        await driver.close(dataset);
        const found = await reportRollback(driver, runner, name);
        runner.forgetShared();
        await driver.rollback(dataset, name);
        runner.place.opened();
        return found;
      });
    },
    clone: async (dataset, { snapshot: asked, target, documents }) => {
      requireOwnName(asked);
      const found = await owned(dataset, async ({ state }) => {
        const snapshot = (await ownSnapshots(driver, dataset)).find(({ name }) => name === asked);
        if (!snapshot || !state.copy) throw missing(dataset, asked);
        return { copy: state.copy, snapshot };
      });
      // What the snapshot has does not change, whoever owns the dataset by the time that it is cloned.
      const { copy, snapshot } = found;
      const source = { dataset, id: copy.id, snapshot: { name: asked, guid: snapshot.guid } };
      return deps.access.clone(target, source, { creator: copy.creator, documents });
    },
  };
}

/** The bucket's own, oldest first. */
export async function ownSnapshots(driver: DatasetDriver, dataset: string): Promise<SnapshotInfo[]> {
  return (await driver.snapshots(dataset)).filter(({ name }) => !isReserved(name));
}

function requireOwned({ dataset, state }: DatasetRunner): void {
  const { copy } = state;
  if (copy?.role !== 'owner' || copy.promise || copy.deleting) throw busy(dataset, 'is being moved or deleted');
}

function requireAtRest(runner: DatasetRunner): void {
  requireOwned(runner);
  if (runner.state.phase.at !== 'idle') throw busy(runner.dataset, `is ${runner.state.phase.at}`);
}

/** What somebody copies may be what the next increment needs: nothing is taken away meanwhile. */
export function isUnclaimed({ state }: DatasetRunner): boolean {
  return state.record?.phase === 'stable';
}

function requireUnclaimed(runner: DatasetRunner): void {
  if (!isUnclaimed(runner)) throw busy(runner.dataset, 'is being moved');
}

/** Those that replicas follow by are mostly the newest there are: not asked for but where they are needed. */
function offeredBy({ place }: DatasetRunner): (snapshot: { readonly name: string }) => boolean {
  return ({ name }) => !isReserved(name) || (place.isDamaged && isShared(name));
}

async function reportRollback(driver: DatasetDriver, runner: DatasetRunner, name: string): Promise<RollbackReport> {
  const known = await driver.snapshots(runner.dataset);
  const at = known.findIndex((snapshot) => snapshot.name === name && offeredBy(runner)(snapshot));
  const found = known[at];
  if (!found) throw missing(runner.dataset, name);
  const later = known.slice(at + 1).filter((other) => !isReserved(other.name));
  return { snapshot: name, createdMs: found.createdMs, later: later.map((other) => other.name) };
}

function describe({ name, guid, createdMs }: SnapshotInfo, kept: boolean): BucketSnapshot {
  return { name, guid, createdMs, kept };
}

function missing(dataset: string, name: string): ZringError {
  return new ZringError('SNAPSHOT_NOT_FOUND', `${dataset} has no snapshot ${name}`, { subject: dataset });
}

function busy(dataset: string, why: string): ZringError {
  return new ZringError('DATASET_BUSY', `${dataset} ${why}; try again`, { subject: dataset });
}

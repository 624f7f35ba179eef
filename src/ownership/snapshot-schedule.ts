// Takes the scheduled snapshots of the datasets that this node owns, and destroys those whose time is over. Owns what it
// remembers of each dataset (in memory: when the last one was taken, and of what); the snapshots are the storage's.
//
// A dataset that has not changed since its last one gets none: told by the number of its last commit, which stands beside
// the dataset (`zring:scheduled`) for the next process. One that is empty gets no first one: its bucket could not be deleted
// any more.
import type { Clock } from '../common/clock.ts';
import type { DatasetDriver } from '../dataset/driver.ts';
import type { Store } from '../store/types.ts';
import type { Logger } from '../telemetry/log.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { DatasetRunner } from './runner.ts';
import { isUnclaimed, ownSnapshots } from './snapshot-desk.ts';
import { KEEP_TAG } from './snapshot-names.ts';
import { isScheduled, type KeepPolicy, planRetention, scheduledName } from './snapshot-retention.ts';
import type { SnapshotShelf } from './snapshot-shelf.ts';

export interface SchedulePolicy {
  /** null = none is taken, and none destroyed. */
  readonly everyMs: number | null;
  readonly keep: KeepPolicy;
}

export interface ScheduleDeps {
  readonly driver: DatasetDriver;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly shelf: SnapshotShelf;
  readonly runners: () => Iterable<DatasetRunner>;
  readonly isStopping: () => boolean;
  /** Live. */
  readonly policy: () => SchedulePolicy;
  readonly metrics?: Pick<Metrics, 'snapshotsTaken' | 'snapshotFailures'> | undefined;
}

interface Remembered {
  /** Of the dataset: another one of the name starts anew. */
  readonly id: string;
  /** When the last scheduled one was taken (wall clock); 0 = never. */
  readonly takenMs: number;
  /** Of the last commit in it; null = not known. */
  readonly sequence: number | null;
}

const PROPERTY = 'scheduled';

export class SnapshotSchedule {
  readonly #deps: ScheduleDeps;
  readonly #remembered = new Map<string, Remembered>();

  constructor(deps: ScheduleDeps) {
    this.#deps = deps;
  }

  /** One look at every dataset. Never throws: what failed is tried again with the next. */
  async round(): Promise<void> {
    const { policy, runners, isStopping, metrics, logger } = this.#deps;
    const { everyMs, keep } = policy();
    if (everyMs === null) return;
    const owned = new Set<string>();
    for (const runner of [...runners()]) {
      if (isStopping()) return;
      if (runner.state.copy?.role === 'owner') owned.add(runner.dataset);
      try {
        await this.#look(runner, everyMs, keep);
      } catch (error) {
        metrics?.snapshotFailures.inc();
        logger.warn({ err: error, dataset: runner.dataset }, 'scheduled snapshot not taken');
      }
    }
    for (const dataset of [...this.#remembered.keys()]) if (!owned.has(dataset)) this.#remembered.delete(dataset);
  }

  async #look(runner: DatasetRunner, everyMs: number, keep: KeepPolicy): Promise<void> {
    // A store that is not open is not written; what was written before it was closed is looked at when it opens again.
    if (!runner.store || !isAtRest(runner)) return;
    const known = this.#knownOf(runner) ?? (await this.#recall(runner));
    const nowMs = this.#deps.clock.wallMs();
    // A clock that was set back does not stop the schedule for as long as it was ahead.
    const isDue = nowMs - known.takenMs >= everyMs || known.takenMs > nowMs + everyMs;
    if (!isDue || !runner.store || !hasChanged(runner.store, known)) return;
    await runner.onDisk(() => this.#take(runner));
    await this.#retire(runner, keep);
  }

  #knownOf({ dataset, state }: DatasetRunner): Remembered | null {
    const known = this.#remembered.get(dataset);
    return known && known.id === state.copy?.id ? known : null;
  }

  async #recall(runner: DatasetRunner): Promise<Remembered> {
    const { driver } = this.#deps;
    const { dataset } = runner;
    const last = (await ownSnapshots(driver, dataset)).findLast(({ name }) => isScheduled(name));
    const noted = (await driver.get(dataset))?.properties[PROPERTY]?.split(' ') ?? [];
    const sequence = last && noted[0] === last.name ? Number(noted[1]) : null;
    const recalled: Remembered = { id: runner.state.copy?.id ?? '', takenMs: last?.createdMs ?? 0, sequence };
    this.#remembered.set(dataset, recalled);
    return recalled;
  }

  /** With nothing else at work on the dataset. */
  async #take(runner: DatasetRunner): Promise<void> {
    const { driver, clock, logger, metrics } = this.#deps;
    const { dataset, store } = runner;
    const { copy } = runner.state;
    if (!store || !copy || !isAtRest(runner)) return;
    // Read before the snapshot is taken: a commit meanwhile counts as one after it.
    const { sequence } = store.stats();
    const takenMs = clock.wallMs();
    const name = scheduledName(takenMs);
    if ((await ownSnapshots(driver, dataset)).some((snapshot) => snapshot.name === name)) return;
    await driver.snapshot(dataset, name, store);
    // From here on it is there, whatever else fails.
    this.#remembered.set(dataset, { id: copy.id, takenMs, sequence });
    metrics?.snapshotsTaken.inc();
    logger.info({ dataset, snapshot: name }, 'scheduled snapshot taken');
    await driver.hold(dataset, name, KEEP_TAG);
    await driver.setProperties(dataset, { [PROPERTY]: `${name} ${sequence}` });
  }

  /** One after the other, so that nobody waits for all of them. */
  async #retire(runner: DatasetRunner, keep: KeepPolicy): Promise<void> {
    const { driver, shelf, logger, isStopping } = this.#deps;
    const { dataset } = runner;
    for (const name of planRetention(await ownSnapshots(driver, dataset), keep)) {
      if (isStopping()) return;
      try {
        await runner.onDisk(async () => {
          if (!isAtRest(runner) || runner.lent.has(name)) return;
          await shelf.close(dataset, name);
          await driver.destroySnapshot(dataset, name, { held: true });
          logger.info({ dataset, snapshot: name }, 'scheduled snapshot destroyed: its time is over');
        });
      } catch (error) {
        // Being read, being sent, or held by somebody else: the same after the next one was taken.
        logger.warn({ err: error, dataset, snapshot: name }, 'scheduled snapshot not destroyed yet');
      }
    }
  }
}

/** Where nothing is known, only an empty store is certain to need none. */
function hasChanged(store: Store, { takenMs, sequence }: Remembered): boolean {
  if (sequence !== null) return store.stats().sequence !== sequence;
  return takenMs > 0 || !store.isEmpty();
}

/** Owned, and not being copied, moved or removed: what is taken away then may be what the next increment needs. */
function isAtRest(runner: DatasetRunner): boolean {
  const { copy, phase } = runner.state;
  return copy?.role === 'owner' && !copy.promise && !copy.deleting && phase.at === 'idle' && isUnclaimed(runner);
}

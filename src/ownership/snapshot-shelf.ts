// Snapshots that are open for reading on this node: mounted, their stores opened read-only, shared by all who read them,
// and closed again when nobody has for a while. Owns those stores and their mounts. Who may read is not its business.
import type { Clock } from '../common/clock.ts';
import { ZringError } from '../common/errors.ts';
import { formatTerm } from '../common/term.ts';
import type { DatasetDriver } from '../dataset/driver.ts';
import { createKeyedMutex } from '../dataset/mutex.ts';
import type { Store } from '../store/types.ts';
import type { Logger } from '../telemetry/log.ts';
import type { OpenSnapshot } from './access.ts';
import type { OwnershipLimits } from './limits.ts';
import type { DatasetRunner, StoreFactory } from './runner.ts';
import { isReserved, isShared } from './snapshot-names.ts';

export interface ShelfDeps {
  readonly driver: DatasetDriver;
  readonly stores: Pick<StoreFactory, 'open'>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly limits: Pick<OwnershipLimits, 'openSnapshotsMax' | 'snapshotIdleMs'>;
}

export interface SnapshotPlace {
  readonly dataset: string;
  readonly id: string;
  /** Tells this opening of the dataset from others: a name may come to mean another snapshot while somebody else owns it. */
  readonly opening: string;
  readonly snapshot: string;
  /** Also one that all copies share (docs/REPLICAS.md): for the operator's side only. */
  readonly shared?: boolean;
}

interface Entry {
  readonly place: SnapshotPlace;
  readonly store: Store;
  users: number;
  lastUsedMs: number;
  /** Nobody is let in any more; its mount may still be there, and is taken down by the next that closes it. */
  closed: boolean;
}

export class SnapshotShelf {
  readonly #deps: ShelfDeps;
  readonly #entries = new Map<string, Entry>();
  /** By dataset: one that waits for its storage holds up no other. */
  readonly #mutex = createKeyedMutex();

  constructor(deps: ShelfDeps) {
    this.#deps = deps;
  }

  /** Errors: SNAPSHOT_NOT_FOUND; DATASET_BUSY when too many are being read. */
  async open(place: SnapshotPlace): Promise<OpenSnapshot> {
    const key = keyOf(place);
    const known = this.#entries.get(key);
    if (known && !known.closed) return this.#use(known);
    await this.#requireThere(place);
    await this.#makeRoom();
    return this.#mutex.run([place.dataset], async () => this.#use(await this.#open(key, place)));
  }

  /** Those of a dataset, or one. Errors: DATASET_BUSY while it is being read. */
  close(dataset: string, snapshot?: string): Promise<void> {
    return this.#mutex.run([dataset], async () => {
      for (const [key, { place }] of [...this.#entries]) {
        if (place.dataset === dataset && (snapshot === undefined || place.snapshot === snapshot))
          await this.#close(key);
      }
    });
  }

  /** Closes what nobody has read for a while, and what this node does not serve any more. Never throws. */
  async round(find: (dataset: string) => DatasetRunner | undefined): Promise<void> {
    const { clock, limits, logger } = this.#deps;
    for (const [key, { place, users, lastUsedMs, closed }] of [...this.#entries]) {
      const store = find(place.dataset)?.store;
      const isServed = store && openingOf(store) === place.opening;
      const isIdle = clock.monotonicMs() - lastUsedMs >= limits.snapshotIdleMs;
      if (users > 0 || (isServed && !isIdle && !closed)) continue;
      await this.#mutex
        .run([place.dataset], () => this.#close(key))
        .catch((error: unknown) => {
          logger.warn({ err: error, dataset: place.dataset, snapshot: place.snapshot }, 'snapshot not closed yet');
        });
    }
  }

  /** All, whoever reads them. Never throws. */
  stop(): Promise<void> {
    for (const entry of this.#entries.values()) entry.users = 0;
    return this.round(() => undefined);
  }

  #use(entry: Entry): OpenSnapshot {
    entry.users += 1;
    let released = false;
    return {
      store: entry.store,
      release: () => {
        if (released) return;
        released = true;
        entry.users -= 1;
        entry.lastUsedMs = this.#deps.clock.monotonicMs();
      },
    };
  }

  /** Before anything is closed for it. */
  async #requireThere({ dataset, snapshot, shared = false }: SnapshotPlace): Promise<void> {
    const isOffered = !isReserved(snapshot) || (shared && isShared(snapshot));
    const isThere = isOffered && (await this.#deps.driver.snapshots(dataset)).some(named(snapshot));
    if (!isThere)
      throw new ZringError('SNAPSHOT_NOT_FOUND', `${dataset} has no snapshot ${snapshot}`, { subject: dataset });
  }

  async #open(key: string, place: SnapshotPlace): Promise<Entry> {
    const { driver, stores, clock } = this.#deps;
    const { dataset, snapshot, id } = place;
    const known = this.#entries.get(key);
    if (known && !known.closed) return known;
    // Of an earlier opening of the dataset, or half closed: the same files, which only one may have open.
    for (const [other, entry] of [...this.#entries]) {
      if (entry.place.dataset === dataset && entry.place.snapshot === snapshot) await this.#close(other);
    }
    const path = await driver.mountSnapshot(dataset, snapshot);
    try {
      const store = await stores.open(path, { id, readonly: true });
      const entry: Entry = { place, store, users: 0, lastUsedMs: clock.monotonicMs(), closed: false };
      this.#entries.set(key, entry);
      return entry;
    } catch (error) {
      await driver.unmountSnapshot(dataset, snapshot).catch(() => {});
      throw error;
    }
  }

  /** About: openings at the same time may each find room for one. */
  async #makeRoom(): Promise<void> {
    const { openSnapshotsMax } = this.#deps.limits;
    if (this.#entries.size < openSnapshotsMax) return;
    const unused = [...this.#entries].filter(([, { users }]) => users === 0);
    const [oldest] = unused.sort(([, a], [, b]) => a.lastUsedMs - b.lastUsedMs);
    if (!oldest)
      throw new ZringError('DATASET_BUSY', `${openSnapshotsMax} snapshots are being read on this node already`);
    await this.#mutex.run([oldest[1].place.dataset], () => this.#close(oldest[0]));
  }

  async #close(key: string): Promise<void> {
    const entry = this.#entries.get(key);
    if (!entry) return;
    const { dataset, snapshot } = entry.place;
    if (entry.users > 0)
      throw new ZringError('DATASET_BUSY', `${dataset}@${snapshot} is being read`, { subject: dataset });
    entry.closed = true;
    await entry.store.close();
    await this.#deps.driver.unmountSnapshot(dataset, snapshot);
    this.#entries.delete(key);
  }
}

/** Each opening for writes takes a term of its own. */
export function openingOf({ term }: Store): string {
  return term ? formatTerm(term) : '';
}

function named(name: string): (candidate: { readonly name: string }) => boolean {
  return (candidate) => candidate.name === name;
}

function keyOf({ id, opening, snapshot }: SnapshotPlace): string {
  return `${id} ${opening} ${snapshot}`;
}

// Datasets that were cloned from snapshots of others: on ZFS such a dataset depends on its origin, which cannot be destroyed
// before it. So an origin that is to go is only hidden (a deferred destroy, which no listing of ours shows), and ZFS itself
// destroys it with the last dataset that needs it; and before a dataset is destroyed, one that was cloned from it takes over
// the origins (`zfs promote`). Owns nothing: all of this stands in the pool, and every step may be repeated after a crash.
import { isZringError, ZringError } from '../common/errors.ts';
import { zfsName } from './names.ts';
import { isCloneName } from './zfs-clones.ts';
import type { ZfsCommands } from './zfs-commands.ts';
import type { ZfsDatasets } from './zfs-datasets.ts';
import { numberOf } from './zfs-parse.ts';
import { ORIGIN_PREFIX } from './zfs-snapshots.ts';

export interface Dependent {
  readonly name: string;
  readonly full: string;
  /** Full name of the snapshot that it was cloned from. */
  readonly origin: string;
}

export class ZfsOrigins {
  readonly #commands: ZfsCommands;
  readonly #datasets: ZfsDatasets;

  constructor(commands: ZfsCommands, datasets: ZfsDatasets) {
    this.#commands = commands;
    this.#datasets = datasets;
  }

  /** Those below the root. What a snapshot is read through is not one (zfs-clones.ts). One command, whatever the number. */
  async dependents(name: string): Promise<Dependent[]> {
    const { root } = this.#datasets;
    const full = zfsName(root, name);
    const found: Dependent[] = [];
    for (const [clone, values] of await this.#commands.get(root, 'origin', { depth: 1 })) {
      const origin = values.get('origin')?.value ?? '';
      const dependent = clone.slice(root.length + 1);
      if (origin.startsWith(`${full}@`) && !isCloneName(dependent))
        found.push({ name: dependent, full: clone, origin });
    }
    return found;
  }

  /** Destroys a snapshot, which nobody of ours holds any more; one that datasets were cloned from is hidden. */
  async destroySnapshot(full: string, guid: string, subject: string): Promise<void> {
    try {
      await this.#commands.zfs(['destroy', full], subject);
    } catch (error) {
      if (!isZringError(error, 'DATASET_BUSY') || !/dependent clones/.test(error.message)) throw error;
      await this.#hide(full, guid, subject);
    }
  }

  /**
   * With the mark it is in no listing, and goes with the last that needs it. Its name is for others to use, except where the
   * rename is refused: zfs-fuse unmounts what was cloned from it for that, and cannot while a file there is open. (There a
   * promotion then waits for that file too, when the heir has a snapshot of that name.)
   */
  async #hide(full: string, guid: string, subject: string): Promise<void> {
    await this.#commands.zfs(['destroy', '-d', full], subject);
    const hidden = `${full.slice(0, full.indexOf('@'))}@${ORIGIN_PREFIX}${guid}`;
    if (full === hidden) return;
    try {
      await this.#commands.zfs(['rename', full, hidden], subject);
    } catch (error) {
      // Not found: destroyed already, with the last dataset that needed it.
      if (!isZringError(error, 'DATASET_NOT_FOUND') && !isZringError(error, 'DATASET_BUSY')) throw error;
    }
  }

  /**
   * Before `name`, which nobody needs any more, is destroyed: what was cloned from it is made to stand without it. The one
   * with the newest origin is promoted, which gives it that snapshot and all before it; so those that nobody needs go first.
   */
  async handOver(name: string): Promise<void> {
    const dependents = await this.dependents(name);
    if (dependents.length === 0) return;
    const snapshots = await this.#ordered(name);
    const last = snapshots.findLastIndex(({ full }) => dependents.some(({ origin }) => origin === full));
    const heir = dependents.find(({ origin }) => origin === snapshots[last]?.full);
    if (!heir || !(await this.#datasets.find(heir.name))) return;
    for (const { full, guid } of snapshots.slice(0, last + 1)) await this.destroySnapshot(full, guid, name);
    await this.#commands.zfs(['promote', heir.full], heir.name);
  }

  /** Errors: DATASET_BUSY when something was cloned from a snapshot later than `order`, which going back would destroy. */
  async requireNoneAfter(name: string, order: number): Promise<void> {
    const dependents = await this.dependents(name);
    if (dependents.length === 0) return;
    const later = (await this.#ordered(name)).filter((snapshot) => snapshot.order > order);
    const found = dependents.find(({ origin }) => later.some(({ full }) => full === origin));
    if (!found) return;
    const message = `${found.name} was cloned from ${name} as it was later, and needs that on this storage`;
    throw new ZringError('DATASET_BUSY', message, { subject: name });
  }

  /** All of them, also those that no listing shows; oldest first. */
  async #ordered(name: string): Promise<{ readonly full: string; readonly guid: string; readonly order: number }[]> {
    const dataset = zfsName(this.#datasets.root, name);
    const table = await this.#commands.get(dataset, 'guid,createtxg', { depth: 1 });
    return [...table]
      .filter(([full]) => full.startsWith(`${dataset}@`))
      .map(([full, values]) => ({
        full,
        guid: values.get('guid')?.value ?? '',
        order: numberOf(values, 'createtxg'),
      }))
      .sort((a, b) => a.order - b.order);
  }
}

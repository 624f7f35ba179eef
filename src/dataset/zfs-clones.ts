// Snapshots of ZFS datasets as folders: each in a clone `_snapshot-<guid>` beside the datasets. (`.zfs/snapshot` would do
// on OpenZFS; zfs-fuse has none, and LMDB never closes a file on a file system that is read-only.) Owns the clones below
// its root, and the list of those that are in use. What a process left that is gone has no use and may be destroyed.
import { ZringError } from '../common/errors.ts';
import { zfsName } from './names.ts';
import type { ZfsCommands } from './zfs-commands.ts';
import type { ZfsDatasets } from './zfs-datasets.ts';

const CLONE_PREFIX = '_snapshot-';

export class ZfsClones {
  readonly #root: string;
  readonly #commands: ZfsCommands;
  readonly #datasets: ZfsDatasets;
  /** `name@snapshot` → the clone. */
  readonly #mounted = new Map<string, string>();

  constructor(root: string, commands: ZfsCommands, datasets: ZfsDatasets) {
    this.#root = root;
    this.#commands = commands;
    this.#datasets = datasets;
  }

  /** The folder; again while it is mounted: the same one. */
  async mount(name: string, snapshot: string): Promise<string> {
    const { guid } = await this.#datasets.requireSnapshot(name, snapshot);
    const clone = this.#cloneName(guid);
    const key = `${name}@${snapshot}`;
    if (!(await this.#datasets.exists(clone))) {
      const settings = ['canmount=noauto', 'atime=off'].flatMap((setting) => ['-o', setting]);
      await this.#commands.zfs(['clone', ...settings, `${this.#root}/${key}`, clone], name);
    }
    try {
      await this.#datasets.mount(clone);
      const path = await this.#datasets.provePath(clone);
      this.#mounted.set(key, clone);
      return path;
    } catch (error) {
      if (!this.#mounted.has(key)) await this.#destroy(clone).catch(() => {});
      throw error;
    }
  }

  /** DATASET_BUSY, and still mounted, while a file in it is open. Idempotent. */
  async unmount(name: string, snapshot: string): Promise<void> {
    const key = `${name}@${snapshot}`;
    const clone = this.#mounted.get(key);
    if (clone === undefined) return;
    await this.#destroy(clone);
    this.#mounted.delete(key);
  }

  /** Before a snapshot is destroyed. Errors: DATASET_BUSY while it is mounted. */
  async clear(name: string, snapshot: string, guid: string): Promise<void> {
    this.requireUnused(name, snapshot);
    const clone = this.#cloneName(guid);
    if (await this.#datasets.exists(clone)) await this.#destroy(clone);
  }

  /** Before a dataset is destroyed: the clones of its snapshots, whoever made them. One command, whatever the number. */
  async clearAll(name: string): Promise<void> {
    this.requireUnused(name);
    const full = zfsName(this.#root, name);
    for (const [clone, values] of await this.#commands.get(this.#root, 'origin', { depth: 1 })) {
      const isOurs = clone.startsWith(`${this.#root}/${CLONE_PREFIX}`);
      if (isOurs && values.get('origin')?.value.startsWith(`${full}@`)) await this.#destroy(clone);
    }
  }

  /** What is left of a process that is gone. One that another process reads is busy, and stays. */
  async clearLeftovers(names: readonly string[]): Promise<void> {
    for (const name of names) if (isCloneName(name)) await this.#destroy(`${this.#root}/${name}`).catch(() => {});
  }

  requireUnused(name: string, snapshot?: string): void {
    const key = [...this.#mounted.keys()].find((used) =>
      snapshot === undefined ? used.startsWith(`${name}@`) : used === `${name}@${snapshot}`,
    );
    if (key !== undefined) throw new ZringError('DATASET_BUSY', `${key} is being read`, { subject: name });
  }

  async #destroy(clone: string): Promise<void> {
    if (!(await this.#datasets.exists(clone))) return;
    await this.#datasets.unmount(clone);
    await this.#commands.zfsPatiently(['destroy', clone], clone);
  }

  #cloneName(guid: string): string {
    return zfsName(this.#root, `${CLONE_PREFIX}${guid}`);
  }
}

export function isCloneName(name: string): boolean {
  return name.startsWith(CLONE_PREFIX);
}

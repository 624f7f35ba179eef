// Single datasets below the root: finding, mounting, proving, readonly, holds. The steps that zfs.ts puts together; takes
// no locks and keeps nothing in memory.
import * as fs from 'node:fs/promises';
import { dirname } from 'node:path';
import { ZringError } from '../common/errors.ts';
import { isMarkAlive } from './dir-files.ts';
import type { DatasetInfo, SnapshotInfo } from './driver.ts';
import { zfsError } from './errors.ts';
import { isStagingName, zfsName } from './names.ts';
import type { ZfsCommands } from './zfs-commands.ts';
import { mountSources, numberOf, ownProperties, type PropertyValue } from './zfs-parse.ts';
import { HOLD_PREFIX, holdTag, ourTags, SNAPSHOT_PROPERTIES, snapshotsIn } from './zfs-snapshots.ts';

/** Says which process is creating a dataset; as long as there is no `zring:id` beside it, it is not complete. */
export const CREATING = 'creating';
export const INFO_PROPERTIES = 'mounted,mountpoint,readonly,used,referenced';

export interface Found {
  readonly name: string;
  readonly full: string;
  /** `zring:*`, source local, without the prefix. */
  readonly own: Readonly<Record<string, string>>;
  readonly mounted: boolean;
  readonly readonly: boolean;
  readonly values: ReadonlyMap<string, PropertyValue>;
}

export function isOurs(found: Found): boolean {
  return found.own.id !== undefined || isStagingName(found.name);
}

export function foundOf(
  root: string,
  full: string,
  values: ReadonlyMap<string, PropertyValue>,
  own: Readonly<Record<string, string>>,
  modern: boolean,
): Found {
  const name = full.slice(root.length + 1);
  const readonly = values.get('readonly');
  // zfs-fuse mounts a read-only dataset without `ro`, and then shows the opposite of what is in force as `temporary`.
  const isInverted = !modern && readonly?.source === 'temporary';
  return {
    name,
    full,
    own,
    mounted: values.get('mounted')?.value === 'yes',
    readonly: (readonly?.value === 'on') !== isInverted,
    values,
  };
}

export function infoOf(found: Found): DatasetInfo {
  const { [CREATING]: _creating, ...properties } = found.own;
  return {
    name: found.name,
    path: found.mounted ? (found.values.get('mountpoint')?.value ?? null) : null,
    readonly: found.readonly,
    properties,
    referencedBytes: numberOf(found.values, 'referenced'),
    usedBytes: numberOf(found.values, 'used'),
  };
}

/** Whoever asks for an unmount has closed everything. */
const UNMOUNT_PATIENCE_MS = 500;

export class ZfsDatasets {
  readonly root: string;
  readonly #commands: ZfsCommands;
  readonly #modern: boolean;

  constructor(root: string, commands: ZfsCommands, modern: boolean) {
    this.root = root;
    this.#commands = commands;
    this.#modern = modern;
  }

  /** null when there is none, or when it is somebody else's. */
  async find(name: string): Promise<Found | null> {
    const full = zfsName(this.root, name);
    const values = await this.#ask(full, 'all');
    const found = values && foundOf(this.root, full, values, ownProperties(values), this.#modern);
    return found && isOurs(found) ? found : null;
  }

  async require(name: string): Promise<Found> {
    const found = await this.find(name);
    if (!found) {
      throw new ZringError('DATASET_NOT_FOUND', `${zfsName(this.root, name)} is not there, or not ours`, {
        subject: name,
      });
    }
    return found;
  }

  async exists(full: string): Promise<boolean> {
    return (await this.#ask(full, 'type')) !== null;
  }

  /** Absence is believed only of a root that is there: of an exported pool ZFS says the same of every dataset. */
  async #ask(full: string, properties: string): Promise<ReadonlyMap<string, PropertyValue> | null> {
    const values = await this.#commands.find(full, properties);
    if (values === null && (await this.#commands.find(this.root, 'type')) === null) {
      throw new ZringError('STORAGE_UNAVAILABLE', `${this.root} is gone`, { subject: this.root });
    }
    return values;
  }

  /** Removes what a process that is gone left of creating `name`. */
  async clearUnfinished(name: string): Promise<void> {
    const full = zfsName(this.root, name);
    const values = await this.#commands.find(full, 'all');
    if (!values) return;
    const own = ownProperties(values);
    const mark = own[CREATING];
    if (mark === undefined || own.id !== undefined || (await isMarkAlive(mark))) return;
    if (values.get('mounted')?.value === 'yes') await this.unmount(full);
    await this.#commands.zfsPatiently(['destroy', full], name);
  }

  async mount(full: string): Promise<void> {
    const { code, stderr } = await this.#commands.tryZfsPatiently(['mount', full]);
    if (code !== 0 && !/already mounted/.test(stderr)) throw zfsError('zfs mount', stderr, full);
  }

  async unmount(full: string): Promise<void> {
    // A child that another spawn is just making holds our descriptors until its exec; a file that is open stays open.
    const { code, stderr } = await this.#commands.tryZfsPatiently(['unmount', full], UNMOUNT_PATIENCE_MS);
    if (code !== 0 && !/not currently mounted/.test(stderr)) throw zfsError('zfs unmount', stderr, full);
  }

  /** The folder, once it is certain that it is this very dataset and not what lies below an absent mount. */
  async provePath(full: string): Promise<string> {
    const values = await this.#commands.find(full, 'mounted,mountpoint');
    const path = values?.get('mountpoint')?.value ?? 'none';
    const refuse = (why: string) => new ZringError('MOUNT_INVALID', `${full} at ${path}: ${why}`, { subject: full });
    if (values?.get('mounted')?.value !== 'yes') throw refuse('not mounted');
    if (!path.startsWith('/')) throw refuse('has no mount point of its own');
    const [inside, outside] = [await stat(path), await stat(dirname(path))];
    if (inside === null || inside === outside) throw refuse('nothing is mounted there');
    const mounts = await fs.readFile('/proc/self/mounts', 'utf8').catch(() => null);
    const top = mounts === null ? full : mountSources(mounts, path).at(-1);
    if (top !== full) throw refuse(`what is mounted there is ${top ?? 'not listed'}`);
    return path;
  }

  /** DATASET_BUSY, and unchanged, when that needs a remount and a file is open. */
  async applyReadonly(found: Found, readonly: boolean): Promise<void> {
    const setting = `readonly=${readonly ? 'on' : 'off'}`;
    if (this.#modern || !found.mounted) return this.#commands.set(found.full, [setting]);
    // zfs-fuse: with a file open, `zfs set` ends with status 0 and nothing changes before the next mount.
    await this.unmount(found.full);
    try {
      await this.#commands.set(found.full, [setting]);
    } finally {
      await this.mount(found.full);
    }
  }

  async snapshots(name: string): Promise<SnapshotInfo[]> {
    const full = zfsName(this.root, name);
    return snapshotsIn(await this.#commands.get(full, SNAPSHOT_PROPERTIES, { depth: 1 }), full);
  }

  async requireSnapshot(name: string, snapshot: string): Promise<SnapshotInfo> {
    const full = zfsName(this.root, name);
    const values = await this.#commands.find(`${full}@${snapshot}`, SNAPSHOT_PROPERTIES);
    const [found] = values ? snapshotsIn(new Map([[`${full}@${snapshot}`, values]]), full) : [];
    if (!found) throw new ZringError('SNAPSHOT_NOT_FOUND', `${full}@${snapshot} does not exist`, { subject: name });
    return found;
  }

  /** Names of the snapshots that are held with this tag of ours. */
  async heldWith(name: string, tag: string): Promise<ReadonlySet<string>> {
    const { full } = await this.require(name);
    const held = [...(await this.#ourTags(full))].filter(([, tags]) => tags.includes(tag));
    return new Set(held.map(([snapshot]) => snapshot.slice(full.length + 1)));
  }

  /** On the snapshots that are chosen. SNAPSHOT_HELD, and all stay, when somebody else holds one too. */
  async releaseOurs(full: string, name: string, isChosen: (snapshot: string) => boolean): Promise<void> {
    const ours = await this.#ourTags(full);
    const requireFree = async (own: (snapshot: string) => number) => {
      const holds = await this.#commands.get(full, 'userrefs', { depth: 1 });
      const held = [...holds].find(([at, values]) => isChosen(at) && numberOf(values, 'userrefs') > own(at));
      if (held) throw new ZringError('SNAPSHOT_HELD', `${held[0]} is held by somebody else`, { subject: name });
    };
    await requireFree((snapshot) => ours.get(snapshot)?.length ?? 0);
    for (const [snapshot, tags] of ours) {
      if (!isChosen(snapshot)) continue;
      for (const tag of tags) await this.releaseSnapshot(snapshot, tag);
    }
    // A note may be there without its hold: then one more hold than seen above was somebody else's.
    await requireFree(() => 0);
  }

  /** `zfs rollback -r` destroys what it finds: no later snapshot may be there that we do not know by name. */
  async requireNamed(full: string, name: string, order: number, known: number): Promise<void> {
    const all = await this.#commands.get(full, 'createtxg', { depth: 1 });
    const later = [...all].filter(([at, values]) => at.startsWith(`${full}@`) && numberOf(values, 'createtxg') > order);
    if (later.length === known) return;
    throw new ZringError('SNAPSHOT_HELD', `${full} has later snapshots with names that zring does not use`, {
      subject: name,
    });
  }

  async #ourTags(full: string): Promise<Map<string, string[]>> {
    return ourTags(await this.#commands.get(full, 'all', { depth: 1, localOnly: true }));
  }

  async holdSnapshot(full: string, tag: string): Promise<void> {
    // The note first: a hold without one could not be released by destroy.
    await this.#commands.set(full, [`${HOLD_PREFIX}${tag}=on`]);
    const { code, stderr } = await this.#commands.tryZfs(['hold', holdTag(tag), full]);
    if (code !== 0 && !/tag already exists/.test(stderr)) throw zfsError('zfs hold', stderr, full);
  }

  async releaseSnapshot(full: string, tag: string): Promise<void> {
    const { code, stderr } = await this.#commands.tryZfs(['release', holdTag(tag), full]);
    if (code !== 0 && !/no such tag/.test(stderr)) throw zfsError('zfs release', stderr, full);
    await this.#commands.zfs(['inherit', `${HOLD_PREFIX}${tag}`, full], full);
  }
}

async function stat(path: string): Promise<number | null> {
  return fs.stat(path).then(
    (found) => found.dev,
    () => null,
  );
}

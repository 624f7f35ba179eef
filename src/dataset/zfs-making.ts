// Making a ZFS dataset that is nobody's until it is whole: it carries the mark of this process, and `zring:id` goes last.
// What a process that is gone left without an id is removed by the next start, or by the next who wants the name.
import type { DatasetInfo } from './driver.ts';
import { zfsName } from './names.ts';
import type { ZfsCommands } from './zfs-commands.ts';
import { CREATING, infoOf, type ZfsDatasets } from './zfs-datasets.ts';
import { PREFIX } from './zfs-parse.ts';

/**
 * For the index: one page of it (PAGE_BYTES in common/lmdb.ts), so that a changed page rewrites nothing beside it; and the
 * smallest record that compression can shrink on disks with 4 KiB sectors.
 */
export const INDEX_RECORD = 'recordsize=8K';
/** For data files, written once and read in order. */
export const DATA_RECORD = 'recordsize=128K';

export interface ZfsMaker {
  readonly datasets: ZfsDatasets;
  readonly commands: ZfsCommands;
  /** Of this process. */
  readonly mark: string;
}

export interface WantedDataset {
  readonly name: string;
  readonly properties: Readonly<Record<string, string>>;
  /** In the mounted folder, before the id is set. */
  readonly init: (path: string) => Promise<void>;
}

/** `begin` runs the command that makes it, with these `-o` settings. From then on the mark keeps everybody else away. */
export async function beginDataset(
  { datasets, mark }: ZfsMaker,
  { name, properties }: WantedDataset,
  begin: (settings: readonly string[], full: string) => Promise<unknown>,
): Promise<void> {
  await datasets.clearUnfinished(name);
  const { id: _last, ...others } = properties;
  const own = Object.entries({ ...others, [CREATING]: mark });
  await begin([INDEX_RECORD, ...own.map(([key, value]) => `${PREFIX}${key}=${value}`)], zfsName(datasets.root, name));
}

/** On failure nothing is left. */
export async function finishDataset(
  { datasets, commands }: ZfsMaker,
  { name, properties: { id }, init }: WantedDataset,
): Promise<DatasetInfo> {
  const full = zfsName(datasets.root, name);
  try {
    await datasets.mount(full);
    await init(await datasets.provePath(full));
    await commands.set(full, [DATA_RECORD, ...(id === undefined ? [] : [`${PREFIX}id=${id}`])]);
    await commands.zfs(['inherit', `${PREFIX}${CREATING}`, full], name);
    return infoOf(await datasets.require(name));
  } catch (error) {
    await datasets.unmount(full).catch(() => {});
    await commands.tryZfsPatiently(['destroy', full]);
    throw error;
  }
}

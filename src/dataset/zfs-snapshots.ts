// Snapshots and our holds on them, from what `zfs get` printed. Pure.
// `zfs holds` does not work on every zfs-fuse, so a tag of ours is noted as a user property of its snapshot too, before
// the hold is taken and until after it is released: what destroy has to release is always a subset of the notes.
import type { SnapshotInfo } from './driver.ts';
import { isSnapshotName } from './names.ts';
import { numberOf, PREFIX, type PropertyTable, type PropertyValue } from './zfs-parse.ts';

export const SNAPSHOT_PROPERTIES = 'guid,createtxg,creation,userrefs,defer_destroy';
export const HOLD_PREFIX = `${PREFIX}hold.`;
/** Of snapshots that only datasets cloned from them still need (zfs-origins.ts); the guid follows. */
export const ORIGIN_PREFIX = 'zring-origin-';

/** Never somebody else's tag. */
export function holdTag(tag: string): string {
  return `${PREFIX}${tag}`;
}

/** Snapshots of one dataset that we could name, oldest first. createtxg is the order within a pool. */
export function snapshotsIn(table: PropertyTable, dataset: string): SnapshotInfo[] {
  const found: SnapshotInfo[] = [];
  for (const [full, values] of table) {
    const name = full.startsWith(`${dataset}@`) ? full.slice(dataset.length + 1) : '';
    if (!isSnapshotName(name) || isHidden(values)) continue;
    found.push({
      name,
      guid: values.get('guid')?.value ?? '',
      order: numberOf(values, 'createtxg'),
      createdMs: numberOf(values, 'creation') * 1000,
      holds: numberOf(values, 'userrefs'),
    });
  }
  return found.sort((a, b) => a.order - b.order);
}

/** Destroyed, but for the datasets that were cloned from it. One that is held is still somebody's. */
function isHidden(values: ReadonlyMap<string, PropertyValue>): boolean {
  return values.get('defer_destroy')?.value === 'on' && numberOf(values, 'userrefs') === 0;
}

/** `dataset@snapshot` → our tags, as noted. */
export function ourTags(table: PropertyTable): Map<string, string[]> {
  const tags = new Map<string, string[]>();
  for (const [full, values] of table) {
    if (!full.includes('@')) continue;
    for (const [key, { source }] of values) {
      if (!key.startsWith(HOLD_PREFIX) || source !== 'local') continue;
      tags.set(full, [...(tags.get(full) ?? []), key.slice(HOLD_PREFIX.length)]);
    }
  }
  return tags;
}

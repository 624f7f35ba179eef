// What a cluster at rest looks like, some time after the last fault: everybody knows what the coordinator knows, records are
// not below what was opened, and nothing is left of moves, removals and pulls but what is kept on purpose. Reads a world,
// changes nothing.
import { type OwnershipRecord, parseRecord } from '../../src/cluster/record.ts';
import { compareTerms, formatTerm } from '../../src/common/term.ts';
import { DELETED_PREFIX, DEPOSED_PREFIX, RECEIVING_PREFIX } from '../../src/ownership/copy-properties.ts';
import { HOLD_TAG, isOurs, isShared } from '../../src/ownership/snapshot-names.ts';
import type { SimDataset } from './disk.ts';
import type { SimNode } from './node.ts';
import type { World } from './world.ts';

/** One decided promise per dataset and node. */
const FENCE = 'fence/';

/** A few, of which the oldest are kept for as long as a prior copy. */
const SHARED_MAX = 16;

/** Its owner counts on a replica there. */
function isWanted(world: World, owner: string | undefined, dataset: string, node: string): boolean {
  const copies = (owner && world.node(owner).ownership?.status().copies) || [];
  return copies.some((copy) => copy.dataset === dataset && copy.replicas.some((sight) => sight.node === node));
}

/** Why this world is not at rest, or null. */
export function restless(world: World): string | null {
  const committed = records(world);
  return (
    unlikeRecords(world, committed) ??
    belowOpened(world, committed) ??
    first(world.memberNodes(), (node) => leftovers(world, node, committed))
  );
}

function first<T>(items: Iterable<T>, find: (item: T) => string | null): string | null {
  for (const item of items) {
    const found = find(item);
    if (found !== null) return found;
  }
  return null;
}

function records(world: World): Map<string, OwnershipRecord> {
  const found = new Map<string, OwnershipRecord>();
  for (const [key, text] of world.coordinator.content()) {
    if (!key.startsWith('record/')) continue;
    const record = parseRecord((JSON.parse(text) as { text: string }).text);
    if (record.phase !== 'deleted') found.set(record.dataset, record);
  }
  return found;
}

/** Every catalog is the coordinator's. */
function unlikeRecords(world: World, committed: ReadonlyMap<string, OwnershipRecord>): string | null {
  const said = (list: Iterable<OwnershipRecord>) => [...list].map((record) => JSON.stringify(record)).sort();
  const expected = said(committed.values()).join();
  return first(world.memberNodes(), (node) => {
    const known = said(node.ownership?.access.records().records ?? []).join();
    return known === expected ? null : `${node.id} knows ${known}, committed is ${expected}`;
  });
}

/** No record speaks of a term below one that was in use. */
function belowOpened(world: World, committed: ReadonlyMap<string, OwnershipRecord>): string | null {
  return first(committed.values(), ({ dataset, id, term }) => {
    const highest = world.truth.highestOf(id);
    if (world.truth.isBuried(id)) return `${dataset} has a record of ${id}, which is removed`;
    if (!highest || compareTerms(term, highest) >= 0) return null;
    return `the record of ${dataset} is at ${formatTerm(term)}, opened was ${formatTerm(highest)}`;
  });
}

function leftovers(world: World, node: SimNode, committed: ReadonlyMap<string, OwnershipRecord>): string | null {
  const fences = [...node.disk.map.keys()].filter((key) => key.startsWith(FENCE));
  if (fences.length > world.truth.ids) return `${node.id} keeps ${fences.length} fences of ${world.truth.ids} datasets`;
  return first(node.disk.datasets.values(), (dataset) => leftover(world, node, dataset, committed));
}

function leftover(
  world: World,
  { id, disk }: SimNode,
  { name, properties, snapshots }: SimDataset,
  committed: ReadonlyMap<string, OwnershipRecord>,
): string | null {
  if (name.startsWith(RECEIVING_PREFIX) || name.startsWith(DELETED_PREFIX)) return `${name} is left on ${id}`;
  if (name.startsWith(DEPOSED_PREFIX)) return null;
  const state = properties.state ?? '';
  if (name.startsWith(`${disk.node}:new:`)) return `${name} is left on ${id}`;
  const owner = committed.get(name)?.owner;
  if (owner !== id && isWanted(world, owner, name, id)) return null;
  if (owner !== id) return `${name} is left on ${id}: ${state}`;
  if (!/^owner \S+$/.test(state)) return `${name} on ${id} is ${state}`;
  const shared = snapshots.filter((snapshot) => isShared(snapshot.name));
  if (shared.length > SHARED_MAX) return `${name} on ${id} keeps ${shared.length} shared snapshots`;
  const moved = snapshots.filter((snapshot) => !shared.includes(snapshot));
  const ours = moved.filter((snapshot) => isOurs(snapshot.name) || snapshot.holds.has(HOLD_TAG));
  return ours.length > 0 ? `${name} on ${id} keeps ${ours.map((snapshot) => snapshot.name).join()}` : null;
}

// What replicas look like when nobody writes any more: each node that should have one has it, its owner knows, and it holds
// what the owner holds. Reads a world, changes nothing.
import type { CopyStatus } from '../../src/ownership/status.ts';
import type { SimNode } from './node.ts';
import type { World } from './world.ts';

/** Why this world is not replicated yet, or null. What is claimed to be current and is not fails at once. */
export function unreplicated(world: World): string | null {
  for (const node of world.memberNodes()) {
    for (const copy of node.ownership?.status().copies ?? []) {
      if (copy.role !== 'owner') continue;
      const lack = lackOf(world, node, copy);
      if (lack !== null) return lack;
    }
  }
  return null;
}

function lackOf(world: World, owner: SimNode, { dataset, id, replicas }: CopyStatus): string | null {
  const wanted = JSON.stringify([...(owner.disk.datasets.get(dataset)?.content?.objects ?? [])].sort());
  for (const { node, isCurrent } of replicas) {
    if (!isCurrent) return `${owner.id} does not know of a current replica of ${dataset} on ${node}`;
    const there = world.node(node).disk.datasets.get(dataset);
    const found = JSON.stringify([...(there?.snapshots.at(-1)?.content?.objects ?? [])].sort());
    if (there?.properties.id === id && found === wanted) {
      world.count('replica compared');
      continue;
    }
    world.truth.fail(`the replica of ${dataset} on ${node} is said to be current: ${found} instead of ${wanted}`);
  }
  return null;
}

// An owner is lost, and an operator says so: its datasets go on from their best replicas. The node itself stays away until
// all faults end, and then finds that it has been succeeded.
import { isShared } from '../../src/ownership/snapshot-names.ts';
import type { SimNode } from './node.ts';
import type { World } from './world.ts';

/** Past the lease of the lost node. */
const WAIT_MS = 12_000;
const AGAIN_MS = 3_000;

/** @returns how the loss ends; null when there is nobody who could succeed. */
export function loseOwner(world: World, owner: SimNode): (() => void) | null {
  const datasets = ownedBy(owner).filter((dataset) => replicasOf(world, owner, dataset).length > 0);
  if (datasets.length === 0 || owner.lost) return null;
  owner.crash(world.random.pick(['kill', 'power-cut'] as const));
  owner.lost = true;
  /** Whose word it was: nobody else is asked any more. */
  const chosen = new Map<string, SimNode>();
  const ask = () => {
    for (const dataset of datasets) succeed(world, owner, dataset, chosen);
    if (owner.lost || [...chosen].some(([dataset, node]) => isHalfway(node, dataset)))
      world.scheduler.after(AGAIN_MS, ask);
  };
  world.scheduler.after(WAIT_MS, ask);
  return () => {
    owner.lost = false;
    owner.start();
  };
}

function ownedBy(node: SimNode): string[] {
  const copies = node.ownership?.status().copies ?? [];
  return copies.filter(({ role, promisedTo }) => role === 'owner' && promisedTo === null).map(({ dataset }) => dataset);
}

function replicasOf(world: World, owner: SimNode, dataset: string): SimNode[] {
  return world.memberNodes().filter((node) => {
    const held = node === owner ? undefined : node.disk.datasets.get(dataset);
    return held?.snapshots.some(({ name }) => isShared(name)) ?? false;
  });
}

/** The record may name it already, and its copy is a replica still: the operator asks until it is done. */
function isHalfway(node: SimNode, dataset: string): boolean {
  const copy = node.ownership?.status().copies.find((candidate) => candidate.dataset === dataset);
  const record = node.ownership?.access.records().records.find((candidate) => candidate.dataset === dataset);
  return record?.owner === node.id && copy?.role !== 'owner';
}

function succeed(world: World, owner: SimNode, dataset: string, chosen: Map<string, SimNode>): void {
  const node =
    chosen.get(dataset) ??
    bestOf(
      replicasOf(world, owner, dataset).filter(({ ready }) => ready),
      dataset,
    );
  const { takeover } = node?.ownership ?? {};
  if (!node || !takeover) return;
  const { process } = node;
  process.run(
    () =>
      void takeover.report(dataset).then(
        (report) => {
          if (report.kind !== 'replica' || report.refused !== null) return;
          if (report.owner !== owner.id && report.owner !== node.id) return;
          const held = node.disk.datasets.get(dataset);
          const newest = held?.snapshots.at(-1);
          if (!held || !newest) return;
          chosen.set(dataset, node);
          world.truth.giveUp(held.properties.id ?? '', newest.content?.objects ?? new Map());
          takeover.accept(dataset).then(
            () => world.count('owner succeeded'),
            () => {},
          );
        },
        () => {},
      ),
  );
}

function bestOf(nodes: readonly SimNode[], dataset: string): SimNode | undefined {
  const age = (node: SimNode) => node.disk.datasets.get(dataset)?.snapshots.at(-1)?.name ?? '';
  return [...nodes].sort((a, b) => (age(a) < age(b) ? 1 : -1))[0];
}

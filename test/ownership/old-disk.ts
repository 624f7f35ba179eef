// Disks that go back in time: the folder of a node of a test cluster is copied, and put back later.
import { cp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { TestCluster } from './cluster.ts';

export async function open(t: TestContext, members: string[]): Promise<TestCluster> {
  const cluster = await TestCluster.start(members);
  t.after(() => cluster.stop());
  return cluster;
}

/** The node's disk as it is now; the node goes on after it, at a new term, or (`live`) at the one that it is at. */
export async function keepDisk(
  cluster: TestCluster,
  node: string,
  { live = false } = {},
): Promise<() => Promise<void>> {
  const folder = join(cluster.root, node);
  const copy = `${folder}-copy-${Math.random()}`;
  if (!live) await cluster.kill(node);
  await cp(folder, copy, { recursive: true });
  if (!live) await cluster.startNode(node);
  await cluster.rounds(2);
  return () => bringBack(cluster, node, copy);
}

async function bringBack(cluster: TestCluster, node: string, copy: string): Promise<void> {
  const folder = join(cluster.root, node);
  if (cluster.node(node).up) await cluster.kill(node);
  await expireLease(cluster, node);
  await rm(folder, { recursive: true });
  await cp(copy, folder, { recursive: true });
}

/** A bucket with an object; the disk of its owner is kept; another object is acknowledged. `putBack` loses that one. */
export async function writtenSince(t: TestContext) {
  const cluster = await open(t, ['a', 'b']);
  const a = await cluster.create('photos');
  await cluster.put(a, 'photos', 'one', '1');
  const putBack = await keepDisk(cluster, a);
  await cluster.put(a, 'photos', 'two', '2');
  await cluster.rounds(2);
  return { cluster, a, putBack };
}

/** What time would do to the lease of a process that is no more. */
export async function expireLease(cluster: TestCluster, node: string): Promise<void> {
  const coordinator = cluster.memory.connect();
  for (const lease of await coordinator.leases()) {
    if (lease.node === node) await coordinator.releaseLease(node, lease.instance);
  }
  await coordinator.close();
}

/** As a release before there were marks would have left the coordinator. */
export function forgetMarks(cluster: TestCluster): void {
  cluster.memory.restore(new Map([...cluster.memory.dump()].filter(([key]) => !key.startsWith('disk/'))));
}

/** The node is down, and `putBack` brings this disk again, whatever was put in its place. */
export async function takeOut(cluster: TestCluster, node: string): Promise<() => Promise<void>> {
  if (cluster.node(node).up) await cluster.kill(node);
  const folder = join(cluster.root, node);
  const copy = `${folder}-copy-${Math.random()}`;
  await cp(folder, copy, { recursive: true });
  return () => bringBack(cluster, node, copy);
}

// Faults of processes: killed, asleep, asleep past their lease while others are told to take over, all killed at once.
import { setTimeout as delay } from 'node:timers/promises';
import type { DatasetStatus } from '../../../src/admin/types.ts';
import type { Lab } from '../lab/lab.ts';
import type { LabNode } from '../lab/node.ts';
import type { Fault } from '../plan.ts';
import { fired, type Injection, type InjectionContext, missed, PATIENCE_MS, pinAt, READY_MS } from './injection.ts';

type NodeFault = Extract<Fault, { kind: 'node-kill' | 'node-pause' | 'zombie' | 'cluster-kill' }>;

export async function injectNodes(fault: NodeFault, context: InjectionContext): Promise<Injection> {
  const { lab } = context;
  switch (fault.kind) {
    case 'node-kill':
      return killNode(lab, lab.nodeAt(fault.node), fault);
    case 'node-pause':
      return pauseNode(lab.nodeAt(fault.node), fault.forMs);
    case 'zombie':
      return zombie(fault, context);
    case 'cluster-kill':
      return killCluster(lab, fault);
  }
}

async function killNode(lab: Lab, node: LabNode, fault: { downMs: number; awaitReady: boolean }): Promise<Injection> {
  const release = node.hold();
  try {
    const killed = await untilKilled(lab, node);
    if (!killed) return missed(`node ${node.id} was not running`);
    await delay(fault.downMs);
  } finally {
    release();
  }
  if (fault.awaitReady) await lab.until(READY_MS, async () => (await lab.admin.ready(node.ip)) || null);
  return fired({ nodeKills: 1 }, node.id);
}

/** It may be between two lives because of another fault. */
async function untilKilled(lab: Lab, node: LabNode): Promise<boolean> {
  if (await node.kill()) return true;
  const release = await lab.until(PATIENCE_MS, async () => (node.isUp() ? true : null));
  return release !== null && node.kill();
}

async function pauseNode(node: LabNode, forMs: number): Promise<Injection> {
  if (!node.signal('SIGSTOP')) return missed(`node ${node.id} was not running`);
  await delay(forMs);
  return node.signal('SIGCONT') ? fired({ nodePauses: 1 }, node.id) : missed(`node ${node.id} ended meanwhile`);
}

/**
 * The owner sleeps past its lease while the others are told to take its datasets. It wakes in the middle of whatever it
 * was doing: a commit, a send, a promise.
 */
async function zombie(
  fault: Extract<Fault, { kind: 'zombie' }>,
  { lab, buckets }: InjectionContext,
): Promise<Injection> {
  const victim = lab.nodeAt(fault.node);
  const others = lab.nodes.filter((node) => node !== victim);
  const owned = await lab.until(3 * PATIENCE_MS, async () => {
    if (!victim.isUp()) return null;
    const records = ((await lab.datasets()) ?? []).filter(({ owner, dataset }) => {
      return owner === victim.id && buckets.includes(dataset);
    });
    if (records.length > 0) return records;
    // It owns nothing: it is given something, and asked again.
    await pinAt(lab, others, buckets[fault.ask % buckets.length] ?? '', victim.id);
    return null;
  });
  if (!owned) return missed(`node ${victim.id} came to own nothing`);
  const asked = owned.slice(0, fault.ask);
  const ask = () => Promise.all(asked.map(({ dataset }, i) => pinAt(lab, others, dataset, othersAt(others, i).id)));

  let accepted: boolean[] = [];
  if (fault.when === 'draining') {
    accepted = (await lab.until(PATIENCE_MS, async () => someOf(await ask()))) ?? [];
    await lab.until(3_000, async () => {
      return (await lab.datasets())?.some((record) => isMoving(record, asked)) || null;
    });
  }
  const process = victim.process();
  if (!process || !victim.signal('SIGSTOP')) return missed(`node ${victim.id} was not running`);
  const asleepSince = performance.now();
  try {
    // Other faults may keep the coordinator, or the others, from taking it at once.
    const wholeMs = lab.settings.leaseMs + fault.overMs;
    const serving = () => lab.until(wholeMs, async () => someOf(await ask()));
    if (fault.when === 'serving') accepted = (await serving()) ?? [];
    await delay(wholeMs - (performance.now() - asleepSince));
  } finally {
    process.kill('SIGCONT');
  }
  const sleptMs = performance.now() - asleepSince;
  if (victim.process() !== process) return missed(`node ${victim.id} ended in its sleep`);
  if (sleptMs < lab.settings.leaseMs) return missed(`node ${victim.id} woke too early`);
  if (!accepted.includes(true)) return missed(`nobody could be asked to take what ${victim.id} owns`);
  return fired({ zombies: 1 }, `${victim.id} ${fault.when} for ${Math.round(sleptMs)} ms`);
}

function someOf(accepted: boolean[]): boolean[] | null {
  return accepted.includes(true) ? accepted : null;
}

function isMoving(record: DatasetStatus, asked: readonly DatasetStatus[]): boolean {
  return record.phase !== 'stable' && asked.some(({ dataset }) => dataset === record.dataset);
}

function othersAt(others: readonly LabNode[], i: number): LabNode {
  const node = others[i % others.length];
  if (!node) throw new RangeError('a cluster of one node');
  return node;
}

async function killCluster(lab: Lab, fault: Extract<Fault, { kind: 'cluster-kill' }>): Promise<Injection> {
  const releases = lab.nodes.map((node) => node.hold());
  let killed: boolean[] = [];
  try {
    const parts: Promise<unknown>[] = [];
    if (fault.redis) parts.push(lab.redis.kill());
    if (fault.storage) parts.push(...lab.nodes.map((node) => node.powerOff()));
    killed = await Promise.all(lab.nodes.map((node) => node.kill()));
    await Promise.all(parts);
    await delay(fault.downMs);
    if (fault.redis) await lab.redis.start();
    if (fault.storage) await Promise.all(lab.nodes.map((node) => node.powerOn()));
  } finally {
    for (const release of releases) release();
  }
  await lab.until(READY_MS, async () => (await lab.datasets()) !== null || null);
  const nodeKills = killed.filter((was) => was).length;
  return fired({
    clusterKills: 1,
    nodeKills,
    ...(fault.storage && { powerCuts: lab.nodes.length }),
    ...(fault.redis && { redisFaults: 1 }),
  });
}

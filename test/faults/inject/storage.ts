// Faults of the storage: the daemon dies (a power cut), the pool fills up, a dataset turns read-only, the pool hangs, the
// disk is an old one. Heals what it broke before it returns.
import type { ChildProcess } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import type { Lab } from '../lab/lab.ts';
import type { LabNode } from '../lab/node.ts';
import type { Fault } from '../plan.ts';
import { fired, type Injection, type InjectionContext, missed, PATIENCE_MS, READY_MS } from './injection.ts';

/** How long a node may go on whose storage died and came back under it. */
const SURVIVOR_ENDS_MS = 10_000;

type StorageFault = Extract<Fault, { kind: 'power-cut' | 'disk-full' | 'dataset-readonly' | 'pool-hang' | 'old-disk' }>;

export async function injectStorage(fault: StorageFault, context: InjectionContext): Promise<Injection> {
  const { lab } = context;
  switch (fault.kind) {
    case 'power-cut':
      return powerCut(lab, lab.nodeAt(fault.node), fault);
    case 'disk-full':
      return diskFull(lab.nodeAt(fault.node), fault);
    case 'dataset-readonly':
      return datasetReadonly(fault, context);
    case 'pool-hang': {
      const node = lab.nodeAt(fault.node);
      node.namespace.signalDaemon('SIGSTOP');
      await delay(fault.forMs);
      node.namespace.signalDaemon('SIGCONT');
      return fired({ poolHangs: 1 }, `${node.id} ${fault.forMs} ms`);
    }
    case 'old-disk':
      return oldDisk(lab, lab.nodeAt(fault.node), fault);
  }
}

async function powerCut(lab: Lab, node: LabNode, fault: Extract<Fault, { kind: 'power-cut' }>): Promise<Injection> {
  const release = fault.withNode ? node.hold() : () => {};
  const survivor = node.process();
  let killed = false;
  try {
    // The storage first: what the node does in its last moments has nowhere to go.
    const off = node.powerOff();
    if (fault.withNode) killed = await node.kill();
    await off;
    await delay(fault.downMs);
    await node.powerOn();
  } finally {
    release();
  }
  const restarted = !fault.withNode && survivor !== null && (await restartSurvivor(lab, node, survivor));
  if (fault.awaitReady) await lab.until(READY_MS, async () => (await lab.admin.ready(node.ip)) || null);
  const note = `${node.id}${killed ? ' with its node' : ''}${restarted ? ', and its node had to be restarted' : ''}`;
  return fired({ powerCuts: 1, ...((killed || restarted) && { nodeKills: 1 }) }, note);
}

/**
 * What a dead daemon served does not come back to those who had it open, only to those who open it again: a node that has
 * not ended by itself is restarted, as a unit bound to the daemon's would be.
 */
async function restartSurvivor(lab: Lab, node: LabNode, survivor: ChildProcess): Promise<boolean> {
  const ended = await lab.until(SURVIVOR_ENDS_MS, async () => (node.process() !== survivor ? true : null));
  return !ended && node.process() === survivor && killAndStart(node);
}

async function killAndStart(node: LabNode): Promise<boolean> {
  const release = node.hold();
  try {
    return await node.kill();
  } finally {
    release();
  }
}

/** A reservation of somebody else takes the space: for all others the pool is full, down to what is left. */
async function diskFull(node: LabNode, fault: Extract<Fault, { kind: 'disk-full' }>): Promise<Injection> {
  const filler = `${node.pool}/filler`;
  await node.zfs('create', '-o', 'mountpoint=none', filler).catch(() => {});
  const available = Number(await node.zfs('get', '-Hp', '-o', 'value', 'available', node.pool));
  const bytes = available - fault.leaveKiB * 1024;
  if (bytes <= 0) return missed(`the pool of ${node.id} is full already`);
  // The pool is in use: a little less may be there by now.
  let reserved = false;
  for (let less = 0; !reserved && less < 64; less = less * 2 + 1) {
    reserved = await node.zfs('set', `reservation=${bytes - less * 16_384}`, filler).then(
      () => true,
      () => false,
    );
  }
  try {
    if (!reserved) return missed(`the pool of ${node.id} could not be filled`);
    await delay(fault.forMs);
  } finally {
    await node.zfs('set', 'reservation=none', filler);
  }
  return fired({ diskFull: 1 }, `${node.id} with ${fault.leaveKiB} KiB left`);
}

/** Behind the owner's back. */
async function datasetReadonly(
  fault: Extract<Fault, { kind: 'dataset-readonly' }>,
  { lab, buckets }: InjectionContext,
): Promise<Injection> {
  const dataset = buckets[fault.dataset % buckets.length] ?? '';
  const path = (node: LabNode) => `${node.pool}/zring/${dataset}`;
  // A full pool refuses the setting, and a dataset may leave just now.
  const owner = await lab.until(PATIENCE_MS, async () => {
    const record = (await lab.datasets())?.find((candidate) => candidate.dataset === dataset);
    const node = record && lab.node(record.owner);
    if (!node?.isUp()) return null;
    await node.zfs('set', 'readonly=on', path(node));
    return node;
  });
  if (!owner) return missed(`${dataset} could not be made read-only`);
  await delay(fault.forMs);
  // Since then it may have left this node, on purpose read-only.
  const state = await owner.zfs('get', '-H', '-o', 'value', 'zring:state', path(owner)).catch(() => '');
  if (/^owner \S+\s*$/.test(state)) await owner.zfs('set', 'readonly=off', path(owner)).catch(() => {});
  return fired({ readonly: 1 }, path(owner));
}

/**
 * The node comes back with a copy of its disk from before its latest acknowledged writes, as after a restored image, and
 * may say nothing from it. Then it gets its own disk again, and everything has to be as it was.
 */
async function oldDisk(lab: Lab, node: LabNode, fault: Extract<Fault, { kind: 'old-disk' }>): Promise<Injection> {
  let nodeKills = 0;
  const withoutPower = async <T>(work: () => Promise<T>): Promise<T> => {
    const release = node.hold();
    try {
      if (await node.kill()) nodeKills += 1;
      await node.powerOff();
      const done = await work();
      await node.powerOn();
      return done;
    } finally {
      release();
    }
  };
  const answers = () => lab.until(READY_MS, async () => (await lab.admin.status(node.ip)) !== null || null);
  const old = await withoutPower(() => node.copyDisk());
  const wrote = await lab.until(READY_MS, async () => (await lab.admin.ready(node.ip)) || null);
  await delay(fault.ageMs);
  const own = await withoutPower(() => node.exchangeDisk(old));
  const ran = await answers();
  await delay(fault.forMs);
  await withoutPower(() => node.exchangeDisk(own));
  await answers();
  if (!wrote) return missed(`node ${node.id} did not serve between the copy and its return`);
  return ran ? fired({ oldDisks: 1, nodeKills, powerCuts: 3 }, node.id) : missed(`node ${node.id} did not start`);
}

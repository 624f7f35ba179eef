// Moves, configuration that changes, and a second process under the id of a node.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { openSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { isRunning, killed } from '../lab/commands.ts';
import { IMPOSTOR_IP, type Lab } from '../lab/lab.ts';
import { connectPort } from '../lab/network.ts';
import type { Fault } from '../plan.ts';
import { createRandom } from '../random.ts';
import { fired, type Injection, type InjectionContext, missed, PATIENCE_MS, pinAt } from './injection.ts';

type ConfigFault = Extract<Fault, { kind: 'move' | 'move-many' | 'drain' | 'config-churn' | 'duplicate-id' }>;

/** Moves are counted where records show a new owner; a fault only asks. */
const MOVED_MS = 5_000;

export async function injectConfig(fault: ConfigFault, context: InjectionContext): Promise<Injection> {
  const { lab, buckets } = context;
  switch (fault.kind) {
    case 'move': {
      const dataset = buckets[fault.dataset % buckets.length] ?? '';
      const to = fault.to === null ? null : lab.nodeAt(fault.to).id;
      if (!(await untilPinned(lab, dataset, to))) return missed(`${dataset} could not be asked to move`);
      await lab.until(MOVED_MS, async () => {
        const record = (await lab.datasets())?.find((candidate) => candidate.dataset === dataset);
        return (record && record.owner === record.home && (to === null || record.owner === to)) || null;
      });
      return fired({}, `${dataset} to ${to ?? 'its home'}`);
    }
    case 'move-many': {
      const chosen = Array.from({ length: fault.count }, (_, i) => buckets[(fault.first + i) % buckets.length] ?? '');
      const pinned = await Promise.all(chosen.map((dataset) => untilPinned(lab, dataset, lab.nodeAt(fault.to).id)));
      if (!pinned.includes(true)) return missed('no dataset could be asked to move');
      await lab.until(2 * MOVED_MS, async () => {
        const records = (await lab.datasets())?.filter(({ dataset }) => chosen.includes(dataset)) ?? [];
        return (records.length > 0 && records.every(({ owner, home }) => owner === home)) || null;
      });
      return fired({}, `${chosen.length} to ${lab.nodeAt(fault.to).id}`);
    }
    case 'drain': {
      const { id } = lab.nodeAt(fault.node);
      await changeState(lab, id, 'draining');
      await delay(fault.forMs);
      await changeState(lab, id, 'up');
      return fired({ configChanges: 2 }, id);
    }
    case 'config-churn':
      return churn(lab, fault, context.id);
    case 'duplicate-id':
      return impostor(fault, context);
  }
}

async function untilPinned(lab: Lab, dataset: string, to: string | null): Promise<boolean> {
  return (await lab.until(PATIENCE_MS, async () => (await pinAt(lab, lab.nodes, dataset, to)) || null)) !== null;
}

function changeState(lab: Lab, id: string, state: 'up' | 'draining'): Promise<void> {
  return lab.config.change((entries) => {
    for (const entry of entries) if (entry.id === id) entry.state = state;
  });
}

/** A new revision every second: other weights, another node to be emptied; the files come in any order. */
async function churn(
  lab: Lab,
  { times, everyMs }: Extract<Fault, { kind: 'config-churn' }>,
  id: string,
): Promise<Injection> {
  const random = createRandom(`churn/${id}`);
  for (let i = 0; i < times; i += 1) {
    const drained = random.chance(0.6) ? lab.nodeAt(random.below(lab.nodes.length)).id : null;
    const order = random.shuffled(lab.nodes.map((node) => node.id));
    await lab.config.change((entries) => {
      for (const entry of entries) {
        entry.weight = random.pick([0.5, 1, 2, 4]);
        entry.state = entry.id === drained ? 'draining' : 'up';
      }
    }, order);
    await delay(everyMs);
  }
  await lab.config.change((entries) => {
    for (const entry of entries) entry.state = 'up';
  });
  return fired({ configChanges: times + 1 });
}

/** A second machine with the id of a node, an address and an empty storage of its own: a clone somebody forgot about. */
async function impostor(
  fault: Extract<Fault, { kind: 'duplicate-id' }>,
  { lab, id }: InjectionContext,
): Promise<Injection> {
  const node = lab.nodeAt(fault.node);
  const folder = join(lab.folder, `impostor-${id}`);
  await mkdir(folder);
  const anchor = spawn('unshare', ['-n', 'sh', '-c', 'echo ready; exec cat'], { stdio: ['pipe', 'pipe', 'inherit'] });
  await once(anchor.stdout, 'data');
  const pid = anchor.pid as number;
  try {
    await connectPort(`i${id}`, { ip: IMPOSTOR_IP, pid });
    const path = await lab.config.writeImpostor(node.id, { ip: IMPOSTOR_IP, storage: `dir:${folder}/root` });
    const log = openSync(join(lab.logFolder, 'impostor.log'), 'a');
    const enter = [`--net=/proc/${pid}/ns/net`, '--', 'setpriv', '--pdeathsig', 'KILL', '--'];
    const serve = [process.execPath, lab.main, 'serve', '--config', path, '--node', node.id];
    const child = spawn('nsenter', [...enter, ...serve], { stdio: ['ignore', log, log] });
    try {
      const answers = await lab.until(PATIENCE_MS, async () => {
        if (!isRunning(child)) return null;
        return (await lab.admin.status(IMPOSTOR_IP)) ?? null;
      });
      if (!answers) return missed(`the impostor of ${node.id} did not come up`);
      await delay(fault.forMs);
    } finally {
      await killed(child);
    }
  } finally {
    await killed(anchor);
  }
  return fired({ duplicateIds: 1 }, node.id);
}

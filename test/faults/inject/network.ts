// Faults of the network: pairs of addresses that do not reach each other, in one or both directions.
import { setTimeout as delay } from 'node:timers/promises';
import { type Cut, cutOneWay, type Port } from '../lab/network.ts';
import type { Fault, Ways } from '../plan.ts';
import { fired, type Injection, type InjectionContext } from './injection.ts';

type NetworkFault = Extract<Fault, { kind: 'partition-nodes' | 'partition-redis' | 'isolate' }>;

export async function injectNetwork(fault: NetworkFault, { lab }: InjectionContext): Promise<Injection> {
  switch (fault.kind) {
    case 'partition-nodes':
      return partition([[lab.nodeAt(fault.from), lab.nodeAt(fault.to)]], fault);
    case 'partition-redis':
      return partition([[lab.nodeAt(fault.node), lab.redis]], fault);
    case 'isolate': {
      const node = lab.nodeAt(fault.node);
      const others: Port[] = [...lab.nodes.filter((other) => other !== node), lab.redis];
      const pairs = others.map((other): [Port, Port] => [node, other]);
      return partition(pairs, { ...fault, ways: 'both' });
    }
  }
}

async function partition(
  pairs: readonly (readonly [Port, Port])[],
  { ways, how, forMs }: { ways: Ways; how: Cut; forMs: number },
): Promise<Injection> {
  const heals: (() => Promise<void>)[] = [];
  try {
    for (const [a, b] of pairs) {
      if (ways !== 'in') heals.push(await cutOneWay(a, b, how));
      if (ways !== 'out') heals.push(await cutOneWay(b, a, how));
    }
    await delay(forMs);
  } finally {
    for (const heal of heals) await heal();
  }
  return fired({ partitions: 1 }, `${pairs.map(([a, b]) => `${a.ip}-${b.ip}`).join(' ')} ${ways} ${how}`);
}

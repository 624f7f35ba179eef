// The balancer in front of the lab's cluster: which nodes clients are sent to. It asks every node whether it is ready, as
// any balancer would, and believes the answer until the next: a node that has just died or fallen asleep still gets
// requests, one that sleeps for long gets them through the others. Owns the last answers.
import { setTimeout as delay } from 'node:timers/promises';
import type { Lab } from './lab.ts';
import type { LabNode } from './node.ts';

const PROBE_EVERY_MS = 400;
const PROBE_TIMEOUT_MS = 1_000;

export interface Balancer {
  /** All of them when none is ready: somebody has to be asked. */
  nodes(): readonly LabNode[];
  stop(): void;
}

export function startBalancer(lab: Lab): Balancer {
  const ready = new Set(lab.nodes);
  let stopped = false;

  async function watch(node: LabNode): Promise<void> {
    while (!stopped) {
      const late = delay(PROBE_TIMEOUT_MS, false, { ref: false });
      if (await Promise.race([lab.admin.ready(node.ip), late])) ready.add(node);
      else ready.delete(node);
      await delay(PROBE_EVERY_MS);
    }
  }

  for (const node of lab.nodes) void watch(node);
  return {
    nodes: () => (ready.size > 0 ? [...ready] : lab.nodes),
    stop: () => {
      stopped = true;
    },
  };
}

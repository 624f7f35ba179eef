// After all faults are healed: does everything come to rest where it belongs, and what has been left behind? Reads only.
import { setTimeout as delay } from 'node:timers/promises';
import type { Lab } from './lab.ts';
import type { LabNode } from './node.ts';

/** What is between two rounds of the janitor, and what a base for the way back needs. */
export const SNAPSHOTS_PER_DATASET_MAX = 6;
const POLL_MS = 500;

/** A busy machine is given more time, while it gets on; so many times the limit in all. */
const LIMITS_MAX = 3;

/** @returns what is not at rest when for `limitMs` no more has come to rest; nothing = settled. */
export function untilSettled(lab: Lab, buckets: readonly string[], limitMs: number): Promise<string[]> {
  return whileItGetsOn(limitMs, POLL_MS, () => unsettledParts(lab, buckets));
}

async function whileItGetsOn(limitMs: number, pollMs: number, look: () => Promise<string[]>): Promise<string[]> {
  const last = performance.now() + LIMITS_MAX * limitMs;
  let end = performance.now() + limitMs;
  let fewest = Number.POSITIVE_INFINITY;
  for (;;) {
    const parts = await look();
    if (parts.length < fewest) {
      fewest = parts.length;
      end = Math.min(last, performance.now() + limitMs);
    }
    if (parts.length === 0 || performance.now() > end) return parts;
    await delay(pollMs);
  }
}

async function unsettledParts(lab: Lab, buckets: readonly string[]): Promise<string[]> {
  const ready = await Promise.all(lab.nodes.map(async (node) => ((await lab.admin.ready(node.ip)) ? [] : [node.id])));
  const parts = ready.flat().map((id) => `node ${id} is not ready`);
  for (const node of lab.nodes) {
    const answer = await lab.admin.datasets(node.ip).catch(() => null);
    if (!answer) {
      parts.push(`node ${node.id} does not answer`);
      continue;
    }
    if (!answer.complete) parts.push(`node ${node.id} does not know all records`);
    for (const { dataset, phase, owner, home } of answer.datasets) {
      if (phase === 'deleted') continue;
      if (phase !== 'stable' || owner !== home) {
        parts.push(`${dataset}, as ${node.id} has it: ${phase} at ${owner}, home ${home}`);
      }
    }
    for (const bucket of buckets) {
      if (!answer.datasets.some(({ dataset }) => dataset === bucket))
        parts.push(`${node.id} has no record of ${bucket}`);
    }
  }
  return parts;
}

/** Waits for the janitors, likewise. @returns what is there that should not be. */
export function untilClean(lab: Lab, limitMs: number): Promise<string[]> {
  return whileItGetsOn(limitMs, 3_000, async () => (await Promise.all(lab.nodes.map(leftovers))).flat());
}

async function leftovers(node: LabNode): Promise<string[]> {
  const root = `${node.pool}/zring`;
  const names = await node
    .zfs('list', '-H', '-r', '-t', 'filesystem,snapshot', '-o', 'name', root)
    .catch((error) => `${root}: ${error}`);
  return leftoversIn(names.split('\n').filter((name) => name !== ''));
}

/** Pure: the names that break a bound. A copy set aside (`_deposed-`) is kept for the operator as it was: it is not clutter. */
export function leftoversIn(names: readonly string[]): string[] {
  const left = names.filter((name) => /\/_(recv|deleted)-[^@]*$/.test(name));
  const snapshots = new Map<string, number>();
  for (const name of names) {
    const [dataset = '', snapshot] = name.split('@');
    const isLive = !/\/_deposed-/.test(dataset);
    if (isLive && snapshot?.startsWith('zring-')) snapshots.set(dataset, (snapshots.get(dataset) ?? 0) + 1);
  }
  for (const [dataset, count] of snapshots) {
    if (count > SNAPSHOTS_PER_DATASET_MAX) left.push(`${dataset} has ${count} snapshots`);
  }
  return left;
}

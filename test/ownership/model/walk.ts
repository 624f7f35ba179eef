// One seeded random walk through the World: crashes between effects, lost and late replies, nodes not reached, coordinator
// down, flushed and restored, homes that change; then faults stop, and the dataset must be served again with everything that
// was acknowledged. Used by the explorer and by whoever wants to see many steps.
import assert from 'node:assert/strict';
import { gateOf } from '../../../src/ownership/gate-state.ts';
import { World } from './world.ts';

export const WALKS: readonly (readonly [string, WalkOptions])[] = [
  ['handoffs under crashes and lost replies', { flush: false, remove: false, contend: false }],
  ['with a coordinator that forgets', { flush: true, remove: false, contend: false }],
  ['with removal and re-creation', { flush: true, remove: true, contend: false }],
  ['with nodes that pull against each other', { flush: true, remove: true, contend: true }],
  ['with clones, made away from home', { flush: true, remove: true, contend: false, clone: true }],
];

export function mulberry(seed: number): () => number {
  let a = seed >>> 0;
  return () => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = a;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

export interface WalkOptions {
  readonly flush: boolean;
  readonly remove: boolean;
  readonly contend: boolean;
  /** Most creations are clones, at any node. */
  readonly clone?: boolean;
}

/** What is under way is handed to `begin` first, so that a failure can show its trace. */
export function walk(seed: number, options: WalkOptions, begin: (world: World) => void = () => {}): World {
  const random = mulberry(seed);
  const world = new World(2 + (seed % 2), random);
  begin(world);
  const pick = <T>(items: readonly T[]): T | undefined => items[Math.floor(random() * items.length)];
  const progress = (faults: boolean) => {
    const node = pick(world.nodes.filter((candidate) => candidate.up && candidate.todo.length > 0));
    const effect = node && pick(world.runnable(node));
    const call = pick(world.calls);
    if (call && (!effect || random() < 0.5)) {
      const dice = random();
      return world.arrive(call, faults && dice < 0.1 ? 'lost' : faults && dice < 0.15 ? 'refused' : 'ok');
    }
    if (!node || !effect) return;
    if (effect.do === 'answer') world.deliver(node, effect);
    else world.run(node, effect, faults && random() < 0.08);
  };
  const create = () => (options.clone && random() < 0.7 ? world.clone(pick(world.nodes)) : world.create());
  create();
  for (let i = 0; i < 600; i++) {
    world.now += Math.floor(random() * 800);
    const node = pick(world.nodes);
    if (!node) continue;
    const dice = random();
    if (dice < 0.45) progress(true);
    else if (dice < 0.55) world.beginWrite(node);
    else if (dice < 0.62) world.finishWrites(node);
    else if (dice < 0.74) world.dispatch(node, { on: 'tick' });
    else if (dice < 0.82) world.sync(node);
    else if (dice < 0.88) {
      if (world.home === node.id || options.contend) world.dispatch(node, { on: 'pull' });
    } else if (dice < 0.9) world.rehome(node.id);
    else if (dice < 0.915) world.dispatch(node, { on: 'cancel-pull' });
    else if (dice < 0.93) world.dispatch(node, { on: 'close' });
    else if (dice < 0.95) {
      if (node.up) world.crash(node);
      else world.restart(node);
    } else if (dice < 0.965 && !node.up) world.restart(node);
    else if (dice < 0.975) world.coordinator.up = !world.coordinator.up;
    else if (dice < 0.98) world.expireRequests();
    else if (dice < 0.983 && options.flush) world.flush();
    else if (dice < 0.986 && options.flush) world.dumps.push(new Map(world.coordinator.records));
    else if (dice < 0.988 && options.flush) world.restore();
    else if (dice < 0.992 && options.remove) world.remove(node);
    else if (dice < 1) create();
  }
  settle(world, random, progress);
  return world;
}

function settle(world: World, random: () => number, progress: (faults: boolean) => void): void {
  world.trace.push('--- settle');
  world.coordinator.up = true;
  world.expireRequests();
  for (const node of world.nodes) if (!node.up) world.restart(node);
  for (let round = 0; round < 120; round++) {
    world.now += 11_000;
    for (const node of world.nodes) {
      world.sync(node);
      world.dispatch(node, { on: 'tick' });
      if (world.home === node.id && random() < 0.3) world.dispatch(node, { on: 'pull' });
      world.beginWrite(node);
      if (round > 10) world.finishWrites(node);
    }
    for (let i = 0; i < 40; i++) progress(false);
    if (round === 60) world.expireRequests();
  }
  const record = world.coordinator.records.get('photos')?.tagged.record;
  assert(world.coordinator.complete, 'every node has reported in the end');
  if (!record || record.phase === 'deleted') {
    for (const [id, writes] of world.acked)
      assert(writes.size === 0 || world.removedIds.has(id), `acknowledged writes of ${id}, but no record`);
    return;
  }
  const owner = world.node(record.owner);
  assert.equal(owner.state.copy?.id, record.id, 'the record names the copy that stands there');
  assert.equal(gateOf(owner.state).kind, 'open', `served again (${owner.state.phase.at})`);
  for (const write of world.acked.get(record.id) ?? [])
    assert(owner.disk.content.has(write), `I2: write ${write} lost`);
  for (const [id, writes] of world.acked)
    assert(id === record.id || writes.size === 0 || world.removedIds.has(id), `dataset ${id} with writes was replaced`);
}

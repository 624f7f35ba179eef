// An old image of a node's disk that counts: it runs while the coordinator is away, or is started again and again. However
// many marks it makes, it is an old one, and the right disk is never refused for what the image did. Whole nodes first,
// then the lease and the node's disk alone, with every moment at hand.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isDiskChain, numberOf, OFFERS_MAX } from '../../src/cluster/disk-chain.ts';
import { SYSTEM_TIMERS } from '../../src/common/clock.ts';
import type { DurableMap } from '../../src/common/durable-map.ts';
import { isZringError, ZringError } from '../../src/common/errors.ts';
import { NodeLease } from '../../src/ownership/lease.ts';
import { NodeDisk } from '../../src/ownership/node-disk.ts';
import { silentLogger } from '../../src/telemetry/log.ts';
import { createMemoryCluster } from '../support/memory-coordinator.ts';
import type { TestCluster } from './cluster.ts';
import { expireLease, keepDisk, open, takeOut, writtenSince } from './old-disk.ts';

/** More processes than the right disk has been heard with. */
async function startOften(cluster: TestCluster, node: string): Promise<void> {
  for (let i = 0; i < 12; i++) {
    await cluster.startNode(node);
    await cluster.rounds(1);
    await cluster.kill(node);
  }
}

const refusal = (cluster: TestCluster, node: string) => cluster.own(node).status().lease.disk?.why ?? null;

test('an image that is started again and again while the coordinator is away is refused, and the right disk is not', async (t) => {
  const { cluster, a, putBack } = await writtenSince(t);
  const right = await takeOut(cluster, a);
  await putBack();
  cluster.memory.setAvailable(false);
  await startOften(cluster, a);
  cluster.memory.setAvailable(true);
  await cluster.startNode(a);
  await cluster.rounds(2);
  assert.equal(refusal(cluster, a), 'went-back');
  await right();
  await cluster.startNode(a);
  await cluster.rounds(2);
  assert.equal(refusal(cluster, a), null);
  assert.equal(await cluster.get(a, 'photos', 'two'), '2');
  await cluster.put(a, 'photos', 'three', '3');
});

test('a node whose calls arrive and whose answers do not is no old disk, over however many starts', async (t) => {
  const cluster = await open(t, ['a', 'b']);
  const a = await cluster.create('photos');
  await cluster.put(a, 'photos', 'one', '1');
  for (let i = 0; i < 3; i++) {
    await cluster.kill(a);
    await expireLease(cluster, a);
    // That of the lease, which is the first.
    cluster.memory.loseReplies(1);
    await cluster.startNode(a);
    cluster.memory.loseReplies(0);
    assert.equal(refusal(cluster, a), null, `start ${i}`);
  }
  await cluster.rounds(2);
  assert.equal(refusal(cluster, a), null);
  await cluster.put(a, 'photos', 'two', '2');
});

test('a coordinator that goes back to an old dump refuses no disk of today, and then knows it again', async (t) => {
  const cluster = await open(t, ['a', 'b']);
  const a = await cluster.create('photos');
  await cluster.put(a, 'photos', 'one', '1');
  const dump = cluster.memory.dump();
  await cluster.rounds(3);
  const putBack = await keepDisk(cluster, a);
  await cluster.put(a, 'photos', 'two', '2');
  await cluster.rounds(2);
  cluster.memory.restore(dump);
  await cluster.rounds(1);
  await cluster.restart(a);
  await cluster.rounds(2);
  assert.equal(refusal(cluster, a), null);
  assert.equal(await cluster.get(a, 'photos', 'two'), '2');
  await putBack();
  await cluster.startNode(a);
  await cluster.rounds(1);
  assert.equal(refusal(cluster, a), 'went-back');
});

for (const forgets of [false, true]) {
  const how = forgets ? ', though the coordinator has forgotten everything meanwhile' : '';
  test(`an image that was accepted is the disk of the node, and the one it replaced counts in vain${how}`, async (t) => {
    const { cluster, a, putBack } = await writtenSince(t);
    const replaced = await takeOut(cluster, a);
    await putBack();
    cluster.memory.setAvailable(false);
    await startOften(cluster, a);
    cluster.memory.setAvailable(true);
    await cluster.startNode(a);
    await cluster.rounds(2);
    assert.equal(refusal(cluster, a), 'went-back');
    if (forgets) cluster.memory.flush();
    await cluster.own(a).disk.accept({ evenUnheard: true });
    await cluster.rounds(2);
    assert.equal(refusal(cluster, a), null);
    await cluster.put(a, 'photos', 'three', '3');
    await cluster.restart(a);
    await cluster.rounds(2);
    assert.equal(refusal(cluster, a), null);
    assert.equal(await cluster.get(a, 'photos', 'three'), '3');
    const accepted = await takeOut(cluster, a);

    await replaced();
    cluster.memory.setAvailable(false);
    await startOften(cluster, a);
    cluster.memory.setAvailable(true);
    await cluster.startNode(a);
    await cluster.rounds(2);
    assert.equal(refusal(cluster, a), 'went-back');
    await accepted();
    await cluster.startNode(a);
    await cluster.rounds(2);
    assert.equal(refusal(cluster, a), null);
    assert.equal(await cluster.get(a, 'photos', 'three'), '3');
  });
}

// --- the lease and the disk alone -----------------------------------------------------------------------------------

const ID = '0123456789abcdef'.repeat(2);
const INFO = { release: '', formats: {}, freeBytes: 0, totalBytes: 0, datasets: 0, moves: [], startedMs: 0 };

class Lab {
  readonly cluster = createMemoryCluster();
  readonly coordinator = this.cluster.connect();
  #random = 0;
  #instances = 0;

  /** A process on what stands there. */
  async start(stored: Map<string, string>, broken = { is: false }): Promise<{ lease: NodeLease; disk: NodeDisk }> {
    const map: DurableMap = {
      get: (key) => stored.get(key),
      entries: () => [],
      commit: async (changes) => {
        if (broken.is) throw new ZringError('STORAGE_FULL', 'no room');
        for (const change of changes) {
          const [key, value] = 'key' in change ? [change.key, change.value] : change;
          if (value === null) stored.delete(key);
          else stored.set(key, value);
        }
      },
      close: async () => {},
    };
    const hex = (bytes: number) => (bytes === 16 ? ID : `${++this.#random}`.padStart(16, '0'));
    const disk = new NodeDisk(map, SYSTEM_TIMERS, { hex, fraction: () => 0 });
    const instance = `process-${++this.#instances}`;
    const lease = new NodeLease({
      node: 'a',
      instance,
      disk,
      coordinator: this.coordinator,
      clock: { monotonicMs: () => 0, wallMs: () => 0 },
      logger: silentLogger(),
      ttlMs: () => 10_000,
      info: () => INFO,
    });
    await disk.begin(instance);
    return { lease, disk };
  }

  kept(): string {
    return String((JSON.parse(this.cluster.dump().get('disk/a') ?? '{}') as { mark?: unknown }).mark);
  }
}

for (const call of ['confirm', 'renew'] as const) {
  test(`${call}: what is heard then was made then, so a disk of just before is an old one, though a mark was waiting`, async () => {
    const lab = new Lab();
    const stored = new Map<string, string>();
    const { lease, disk } = await lab.start(stored);
    await lease.renew();
    lab.cluster.setAvailable(false);
    await lease.renew();
    await lease.renew();
    assert.equal(disk.current().offers.length, 1, 'nothing is added while it is not heard');
    const image = new Map(stored);
    lab.cluster.setAvailable(true);
    await lease[call]();
    assert.equal(disk.refusal, null);
    const old = await lab.start(image);
    await old.lease.renew();
    assert.equal(old.disk.refusal?.why, 'went-back');
  });
}

test('a disk that takes nothing keeps its lease and says no word; what it says then is no more than it said', async () => {
  const lab = new Lab();
  const broken = { is: false };
  const stored = new Map<string, string>();
  const { lease, disk } = await lab.start(stored, broken);
  await lease.renew();
  const said = lab.kept();
  broken.is = true;
  await lease.renew();
  assert.ok(lease.state().remainingMs > 0 && disk.refusal === null, 'renewed');
  assert.equal(lab.kept(), said);
  await assert.rejects(lease.confirm(), (error) => isZringError(error, 'STORAGE_UNAVAILABLE'));
  broken.is = false;
  await lease.confirm();
  assert.ok(numberOf(lab.kept()) > numberOf(said));
  // The next process begins where that one ended.
  const next = await lab.start(stored);
  await next.lease.renew();
  assert.deepEqual([next.disk.refusal, next.lease.state().taken], [null, false]);
});

test('processes that are never heard are many, what they say is not; the first that is heard goes on', async () => {
  const lab = new Lab();
  const stored = new Map<string, string>();
  await (await lab.start(stored)).lease.renew();
  lab.cluster.setAvailable(false);
  for (let i = 0; i < OFFERS_MAX + 10; i++) await (await lab.start(stored)).lease.renew();
  const { lease, disk } = await lab.start(stored);
  assert.equal(disk.current().offers.length, OFFERS_MAX);
  assert.ok(isDiskChain(disk.current()));
  lab.cluster.setAvailable(true);
  await lab.coordinator.releaseLease('a', 'process-1');
  await lease.confirm();
  assert.equal(disk.refusal, null);
  assert.equal(stored.get('disk/offers')?.split(' ').length, 1, 'short again, on the disk too');
});

test('a process that is killed after each answer leaves nothing that grows', async () => {
  const lab = new Lab();
  const stored = new Map<string, string>();
  for (let i = 0; i < 20; i++) {
    const { lease, disk } = await lab.start(stored);
    await lease.renew();
    assert.equal(disk.refusal, null);
    assert.ok(lease.state().remainingMs > 0);
    assert.ok((stored.get('disk/offers')?.split(' ').length ?? 0) <= 2);
  }
});

test('two processes with copies of one disk: the one that is heard first goes on, the other is refused', async () => {
  const lab = new Lab();
  const stored = new Map<string, string>();
  await (await lab.start(stored)).lease.renew();
  const copy = new Map(stored);
  // Neither may take the other for its predecessor.
  for (const each of [stored, copy]) each.delete('lease/instance');
  await lab.coordinator.releaseLease('a', 'process-1');
  const first = await lab.start(copy);
  const second = await lab.start(stored);
  await first.lease.renew();
  await second.lease.renew();
  await first.lease.renew();
  assert.equal(first.disk.refusal, null);
  assert.equal(second.disk.refusal?.why, 'went-back');
});

test('numbers of an earlier release: taken over with the next renewal, an older one is refused though it counts', async () => {
  const lab = new Lab();
  await lab.coordinator.state();
  const before = JSON.stringify({ id: ID, mark: 7, instance: 'before' });
  lab.cluster.restore(new Map([...lab.cluster.dump(), ['disk/a', before]]));
  const image = new Map([
    ['disk/id', ID],
    ['disk/mark', '6'],
  ]);
  for (let i = 0; i < 5; i++) await lab.start(image);
  const old = await lab.start(image);
  await old.lease.renew();
  assert.deepEqual(old.disk.refusal, { why: 'went-back', known: { id: ID, mark: '7' } });
  // It may have made marks that nobody heard; and one that was refused by the release before stays refused.
  const stored = new Map([
    ['disk/id', ID],
    ['disk/mark', '9'],
  ]);
  const { lease, disk } = await lab.start(stored);
  await lease.renew();
  assert.equal(disk.refusal, null);
  assert.match(lab.kept(), /^1\d-[0-9a-f]{16}$/);
  assert.equal(stored.has('disk/mark'), false);
  const refused = new Map([...image, ['disk/refused', `{"why":"went-back","known":{"id":"${ID}","mark":7}}`]]);
  assert.deepEqual((await lab.start(refused)).disk.refusal?.known, { id: ID, mark: '7' });
});

// A node that starts from an older copy of its disk, or from another disk: what it forgot must cost nobody a write that was
// acknowledged, and nobody may hear of it as if it were the truth. `dir` storage: the node's folder is copied while it is
// down, and put back later.
import assert from 'node:assert/strict';
import { cp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { numberOf } from '../../src/cluster/disk-chain.ts';
import { isZringError } from '../../src/common/errors.ts';
import type { TestCluster } from './cluster.ts';
import { expireLease, forgetMarks, keepDisk, open, writtenSince } from './old-disk.ts';

const unavailable = (error: unknown) => isZringError(error, 'DATASET_UNAVAILABLE');

function other(cluster: TestCluster, node: string): string {
  const found = cluster.members.find((member) => member !== node);
  assert.ok(found);
  return found;
}

test('what was handed over is not served by the old owner again, though the coordinator is away when it starts', async (t) => {
  const cluster = await open(t, ['a', 'b']);
  const a = await cluster.create('photos');
  const b = other(cluster, a);
  await cluster.put(a, 'photos', 'one', '1');
  const putBack = await keepDisk(cluster, a);
  await cluster.own(a).move('photos', b);
  await cluster.until('handed over', () => cluster.ownerOf('photos') === b);
  await cluster.put(b, 'photos', 'two', '2');
  await putBack();
  cluster.memory.setAvailable(false);
  // b remembers the record, and is asked before anything is served.
  await cluster.startNode(a);
  await assert.rejects(cluster.put(a, 'photos', 'three', '3'), (error) => isZringError(error, 'NOT_OWNER'));
  assert.deepEqual(cluster.own(a).access.locate('photos'), { kind: 'remote', node: b, certain: true });
  await cluster.put(b, 'photos', 'three', '3');
  cluster.memory.setAvailable(true);
  await cluster.rounds(3);
  assert.equal(await cluster.get(b, 'photos', 'two'), '2');
  assert.equal(cluster.own(a).status().lease.disk?.why, 'went-back');
});

for (const loss of ['is away', 'has lost everything']) {
  test(`an older copy of what is still owned is not served, though the coordinator ${loss} at the start`, async (t) => {
    const { cluster, a, putBack } = await writtenSince(t);
    await putBack();
    if (loss === 'is away') cluster.memory.setAvailable(false);
    else cluster.memory.flush();
    await cluster.startNode(a);
    await assert.rejects(cluster.get(a, 'photos', 'two'), unavailable);
    await cluster.rounds(3);
    await assert.rejects(cluster.get(a, 'photos', 'two'), unavailable);
  });
}

test('a disk that did not go back serves through an outage, whoever is asked', async (t) => {
  const cluster = await open(t, ['a', 'b']);
  const a = await cluster.create('photos');
  await cluster.put(a, 'photos', 'one', '1');
  cluster.memory.setAvailable(false);
  await cluster.restart(a);
  assert.equal(await cluster.get(a, 'photos', 'one'), '1');
  await cluster.kill(other(cluster, a));
  await cluster.restart(a);
  await cluster.put(a, 'photos', 'two', '2');
});

test('acknowledged writes that an old disk lacks are not missing: 503, no drain, no answer, until it is accepted', async (t) => {
  const cluster = await open(t, ['a', 'b']);
  const a = await cluster.create('photos');
  const b = other(cluster, a);
  await cluster.put(a, 'photos', 'one', '1');
  // Nothing writes to it meanwhile, so that its files are of one instant. No term tells the two apart.
  const putBack = await keepDisk(cluster, a, { live: true });
  await cluster.put(a, 'photos', 'two', '2');
  // A renewal is what tells the coordinator that the disk went on.
  await cluster.rounds(1);
  await putBack();
  await cluster.startNode(a);
  await cluster.rounds(2);
  await assert.rejects(cluster.get(a, 'photos', 'two'), unavailable);
  await assert.rejects(cluster.put(a, 'photos', 'two', 'x'), unavailable);
  await assert.rejects(cluster.own(a).access.remove('photos'), unavailable);
  await assert.rejects(cluster.own(a).access.create('other', {}), unavailable);
  const where = cluster.own(a).access.locate('photos');
  assert.ok(where.kind === 'unavailable' && where.reason.includes(`zring disk show ${a}`), JSON.stringify(where));
  // A prior copy elsewhere is not let go of on its word either, nor is it sent to anybody.
  const { calls } = cluster.own(a).methods;
  for (const method of ['ownership.describe', 'ownership.snapshot', 'ownership.drain']) {
    const request = { dataset: 'photos', id: copyOf(cluster, a)?.id, have: null };
    await assert.rejects(async () => calls[method]?.(request, b), unavailable, method);
  }
  await cluster.own(b).move('photos', b);
  await cluster.rounds(10);
  assert.notEqual(cluster.ownerOf('photos'), b, 'nothing is pulled from an old copy');

  // Neither a coordinator that forgets nor another start makes it good, and it is told to nobody.
  cluster.memory.flush();
  await cluster.rounds(5);
  await cluster.restart(a);
  await cluster.rounds(5);
  await assert.rejects(cluster.get(a, 'photos', 'two'), unavailable);
  const { coordinator } = cluster.node(b);
  assert.equal(await coordinator.readRecord('photos'), null);
  assert.equal((await coordinator.state()).complete, false);

  const report = await cluster.own(a).disk.report();
  assert.deepEqual(
    report.datasets.map(({ dataset, outcome }) => [dataset, outcome]),
    [['photos', 'accepted']],
  );
  await cluster.own(a).disk.accept();
  await cluster.until('served', () => cluster.own(a).status().lease.disk === null);
  await cluster.until('moved', () => cluster.ownerOf('photos') === b);
  assert.equal(await cluster.get(b, 'photos', 'one'), '1');
  assert.equal(await cluster.get(b, 'photos', 'two'), null, 'this is what was accepted');
});

test('a record of this node above its own copy: not served, also where no mark tells', async (t) => {
  const { cluster, a, putBack } = await writtenSince(t);
  await putBack();
  forgetMarks(cluster);
  await cluster.startNode(a);
  await cluster.rounds(2);
  assert.equal(cluster.own(a).status().lease.disk, null);
  await assert.rejects(cluster.get(a, 'photos', 'two'), unavailable);
  const where = cluster.own(a).access.locate('photos');
  assert.ok(where.kind === 'unavailable' && where.reason.includes(`zring disk show ${a}`), JSON.stringify(where));
  const accepted = await cluster.own(a).disk.accept();
  assert.deepEqual(
    accepted.datasets.map(({ dataset, outcome }) => [dataset, outcome]),
    [['photos', 'accepted']],
  );
  await cluster.rounds(2);
  await cluster.put(a, 'photos', 'three', '3');
  assert.equal(await cluster.get(a, 'photos', 'two'), null);
  assert.equal((await cluster.own(a).disk.report()).datasets.length, 0);
});

test('a refusal that was told is not forgotten: the promise is not adopted after it', async (t) => {
  const cluster = await open(t, ['a', 'b']);
  const a = await cluster.create('photos');
  const b = other(cluster, a);
  await cluster.put(a, 'photos', 'one', '1');
  // b holds the promise and is prepared, but never gets to the coordinator with it.
  cluster.fault = (_from, to, method) => (to === a && method === 'ownership.drain answer' ? 'lost' : 'ok');
  await cluster.own(a).move('photos', b);
  await cluster.until('promised', () => copyOf(cluster, a)?.promisedTo === b);
  const putBack = await keepDisk(cluster, b);
  // The pin is taken back, so b refuses what it is asked about, and a serves on.
  cluster.fault = () => 'ok';
  await cluster.own(a).move('photos', a);
  await cluster.until('resumed', () => cluster.ownerOf('photos') === a);
  await cluster.put(a, 'photos', 'two', '2');
  await putBack();
  await cluster.startNode(b);
  await cluster.rounds(5);
  assert.equal(cluster.own(b).status().lease.disk?.why, 'went-back');
  assert.equal(await cluster.get(a, 'photos', 'two'), '2');
  const verdict = cluster
    .own(b)
    .methods.calls['ownership.refuse']?.({ dataset: 'photos', id: copyOf(cluster, a)?.id, n: 1 }, a);
  await assert.rejects(Promise.resolve(verdict), unavailable);
  await cluster.own(b).disk.accept();
  await cluster.rounds(5);
  assert.equal(cluster.ownerOf('photos'), a);
  assert.equal(await cluster.get(a, 'photos', 'two'), '2');
});

test('an adoption that was told is not forgotten: the former owner does not resume without the writes', async (t) => {
  const cluster = await open(t, ['a', 'b']);
  const a = await cluster.create('photos');
  const b = other(cluster, a);
  await cluster.put(a, 'photos', 'one', '1');
  const putBack = await keepDisk(cluster, b);
  // a never hears that b has adopted, so it will ask.
  cluster.fault = (from, to, method) =>
    to === a && from === b && method.startsWith('ownership.released') ? 'unreached' : 'ok';
  let asked = false;
  const quiet = cluster.fault;
  cluster.fault = (from, to, method) => {
    if (method.startsWith('ownership.refuse') && !asked) return 'unreached';
    return quiet(from, to, method);
  };
  await cluster.own(a).move('photos', b);
  await cluster.until('adopted', () => copyOf(cluster, b)?.role === 'owner');
  await cluster.put(b, 'photos', 'two', '2');
  await cluster.rounds(1);
  assert.equal(copyOf(cluster, a)?.promisedTo, b);
  await putBack();
  asked = true;
  await cluster.startNode(b);
  for (const knows of ['by its mark', 'by the record alone']) {
    await cluster.rounds(10);
    assert.equal(cluster.own(b).status().lease.disk !== null, knows === 'by its mark');
    assert.equal(copyOf(cluster, a)?.promisedTo, b, `not resumed (${knows})`);
    for (const node of [a, b]) {
      await assert.rejects(cluster.get(node, 'photos', 'two'), (error) => !isZringError(error, 'DATASET_MISSING'));
    }
    if (knows !== 'by its mark') break;
    await putBack();
    forgetMarks(cluster);
    await cluster.startNode(b);
  }
});

test('terms that an old disk has used before are not used again', async (t) => {
  const cluster = await open(t, ['a', 'b']);
  const a = await cluster.create('photos');
  await cluster.put(a, 'photos', 'one', '1');
  const putBack = await keepDisk(cluster, a);
  // Taken while nobody could hear of them.
  cluster.memory.setAvailable(false);
  const used: string[] = [];
  for (let i = 0; i < 5; i++) {
    await cluster.restart(a);
    await cluster.put(a, 'photos', `key-${i}`, 'x');
    used.push(copyOf(cluster, a)?.term ?? '');
  }
  await cluster.kill(a);
  cluster.memory.setAvailable(true);
  await putBack();
  await cluster.startNode(a);
  await cluster.rounds(2);
  await cluster.own(a).disk.accept();
  await cluster.rounds(2);
  await cluster.put(a, 'photos', 'new', 'y');
  const number = (term: string) => Number(term.split('@')[0]);
  assert.ok(
    number(copyOf(cluster, a)?.term ?? '') > Math.max(...used.map(number)),
    `${copyOf(cluster, a)?.term} ${used}`,
  );
});

test('another disk under a known id: 503 for what the node owned, never absent; the operator may take it', async (t) => {
  const cluster = await open(t, ['a', 'b']);
  const a = await cluster.create('photos');
  await cluster.put(a, 'photos', 'one', '1');
  await cluster.kill(a);
  await expireLease(cluster, a);
  const folder = join(cluster.root, a);
  await cp(folder, `${folder}-kept`, { recursive: true });
  await rm(folder, { recursive: true });
  await cluster.startNode(a);
  await cluster.rounds(3);
  assert.equal(cluster.own(a).status().lease.disk?.why, 'another');
  assert.equal(cluster.own(a).access.locate('photos').kind, 'unavailable');
  await assert.rejects(cluster.get(a, 'photos', 'one'), unavailable);
  const report = await cluster.own(a).disk.report();
  assert.deepEqual([report.datasets, report.missing], [[], ['photos']]);
  await cluster.own(a).disk.accept();
  await cluster.rounds(3);
  assert.equal(cluster.own(a).access.locate('photos').kind, 'unavailable', 'lost is not deleted');
  const made = await createdAt(cluster, a);
  await cluster.put(a, made, 'k', 'v');

  // The disk that was replaced comes back after all: it is an old one now.
  await cluster.kill(a);
  await expireLease(cluster, a);
  await rm(folder, { recursive: true });
  await cp(`${folder}-kept`, folder, { recursive: true });
  await cluster.startNode(a);
  await cluster.rounds(2);
  assert.equal(cluster.own(a).status().lease.disk?.why, 'went-back');
  assert.equal(cluster.own(a).access.locate(made).kind, 'unavailable');
});

test('two processes of one id on two disks: the one that came second serves nothing, whoever sleeps meanwhile', async (t) => {
  const cluster = await open(t, ['a', 'b']);
  const a = await cluster.create('photos');
  await cluster.put(a, 'photos', 'one', '1');
  // Asleep past its lease: nothing of it runs, and its lease is gone.
  const sleeper = cluster.node(a);
  cluster.nodes.delete(a);
  await expireLease(cluster, a);
  const folder = join(cluster.root, a);
  const double = await cluster.startNode(a, { folder: `${folder}-double` });
  await cluster.rounds(2);
  await assert.rejects(cluster.get(a, 'photos', 'one'), unavailable);
  assert.equal(double.ownership.status().lease.disk?.why, 'another');
  cluster.nodes.set(a, sleeper);
  await cluster.rounds(2);
  assert.equal(cluster.own(a).status().lease.disk, null);
  assert.equal(cluster.own(a).status().lease.taken, false);
  await cluster.put(a, 'photos', 'two', '2');
  await double.ownership.round();
  await assert.rejects(double.ownership.access.enter('photos', 'read'), unavailable);
  await double.ownership.kill();
});

function copyOf(cluster: TestCluster, node: string) {
  return cluster
    .own(node)
    .status()
    .copies.find((copy) => copy.dataset === 'photos');
}

async function createdAt(cluster: TestCluster, node: string): Promise<string> {
  for (let i = 0; ; i++) {
    const dataset = `new-${i}x`;
    if (cluster.own(node).home(dataset) !== node) continue;
    await cluster.own(node).access.create(dataset, {});
    return dataset;
  }
}

test('what another node hears is known to be said: the mark stands at the coordinator before the answer', async (t) => {
  const cluster = await open(t, ['a', 'b']);
  const heard = () => numberOf((JSON.parse(cluster.memory.dump().get('disk/a') ?? '{}') as { mark: string }).mark);
  const before = heard();
  const refuse = cluster.own('a').methods.calls['ownership.refuse'];
  assert.deepEqual(await refuse?.({ dataset: 'photos', id: '0'.repeat(32), n: 4 }, 'b'), { verdict: 'refused' });
  assert.ok(heard() > before, 'whoever puts the disk back to before that word is recognised');
  // Without the coordinator nobody could recognise it, so nothing is said.
  cluster.memory.setAvailable(false);
  await assert.rejects(Promise.resolve(refuse?.({ dataset: 'photos', id: '1'.repeat(32), n: 4 }, 'b')), (error) =>
    isZringError(error, 'COORDINATOR_UNAVAILABLE'),
  );
});

// A bucket that was promised to a node which never comes back: what an operator is told, and what the word does.
import assert from 'node:assert/strict';
import test, { afterEach } from 'node:test';
import { ACCEPTED_TERM_STEP } from '../../src/ownership/publication.ts';
import type { TakeoverReport } from '../../src/ownership/takeover.ts';
import { TestCluster } from './cluster.ts';
import { expireLease } from './old-disk.ts';

let cluster: TestCluster;
afterEach(() => cluster.stop());

/** `photos` with an object, promised by its owner to another node, which dies with this call of its own. */
async function lost(method: string): Promise<{ owner: string; other: string }> {
  cluster = await TestCluster.start(['a', 'b', 'c']);
  const owner = await cluster.create('photos');
  const other = owner === 'a' ? 'b' : 'a';
  await cluster.put(owner, 'photos', 'k', 'before');
  let died: Promise<void> | null = null;
  cluster.fault = (from, _to, called) => {
    if (died) return 'unreached';
    if (from !== other || called !== method) return 'ok';
    died = cluster.kill(other);
    // Asked to drain, the owner promises; that it was released it never hears.
    return method === 'ownership.drain' ? 'lost' : 'unreached';
  };
  await cluster.own(owner).move('photos', other);
  await cluster.until('it died', () => died !== null);
  await died;
  cluster.fault = () => 'ok';
  return { owner, other };
}

test('not taken over yet: nothing is lost, and the bucket is served again', async () => {
  const { owner, other } = await lost('ownership.drain');
  const { takeover, access } = cluster.own(owner);
  await cluster.until('promised', () =>
    cluster
      .own(owner)
      .status()
      .copies.some(({ promisedTo }) => promisedTo === other),
  );
  const alive = (await takeover.report('photos')) as TakeoverReport;
  assert.match(alive.refused ?? '', new RegExp(`node ${other} is alive`));
  await assert.rejects(takeover.accept('photos'), { code: 'DATASET_BUSY' });
  await expireLease(cluster, other);
  assert.deepEqual(await takeover.report('photos'), {
    kind: 'promise',
    dataset: 'photos',
    node: owner,
    promisedTo: other,
    term: alive.term,
    recordOwner: owner,
    recordTerm: alive.recordTerm,
    loss: 'none',
    refused: null,
  });
  await takeover.accept('photos');
  assert.equal(await cluster.get(owner, 'photos', 'k'), 'before');
  await cluster.put(owner, 'photos', 'k', 'after');
  assert.equal(access.locate('photos').kind, 'local');
  // It comes back after all, with what it had received: it takes nothing, until it is asked to in order.
  await cluster.startNode(other);
  await cluster.until('settled', () => cluster.ownerOf('photos') === other);
  assert.equal(await cluster.get(other, 'photos', 'k'), 'after');
});

test('taken over and written to: the loss is said, and the copy that comes back is set aside', async () => {
  const { owner, other } = await lost('ownership.released');
  const { takeover } = cluster.own(owner);
  await expireLease(cluster, other);
  const report = (await takeover.report('photos')) as TakeoverReport;
  assert.deepEqual([report.loss, report.recordOwner, report.refused], ['certain', other, null]);
  await takeover.accept('photos');
  assert.equal(await cluster.get(owner, 'photos', 'k'), 'before');
  await cluster.put(owner, 'photos', 'k', 'after');
  const record = cluster
    .own(owner)
    .access.records()
    .records.find(({ dataset }) => dataset === 'photos');
  assert.ok(
    record && record.owner === owner && record.term.n > ACCEPTED_TERM_STEP,
    'above what nobody here has heard of',
  );
  await cluster.own(owner).move('photos', null);
  await cluster.startNode(other);
  await cluster.until('set aside', () => {
    const { copies } = cluster.own(other).status();
    return !copies.some(({ dataset, role }) => dataset === 'photos' && role === 'owner');
  });
  assert.equal(await cluster.get(owner, 'photos', 'k'), 'after');
});

test('the coordinator has forgotten: a loss is possible', async () => {
  const { owner, other } = await lost('ownership.drain');
  await cluster.until('promised', () =>
    cluster
      .own(owner)
      .status()
      .copies.some(({ promisedTo }) => promisedTo === other),
  );
  cluster.memory.flush();
  const report = (await cluster.own(owner).takeover.report('photos')) as TakeoverReport;
  assert.deepEqual([report.loss, report.recordOwner, report.refused], ['possible', null, null]);
});

test('what is promised to nobody is not taken back', async () => {
  cluster = await TestCluster.start(['a', 'b']);
  const owner = await cluster.create('photos');
  const { takeover } = cluster.own(owner);
  for (const name of ['photos', 'nothing']) {
    await assert.rejects(takeover.report(name), { code: 'DATASET_MISSING' });
    await assert.rejects(takeover.accept(name), { code: 'DATASET_MISSING' });
  }
});

// Moves between nodes on real stores and `dir` storage: what was acknowledged is there, whoever is lost on the way.
import assert from 'node:assert/strict';
import test, { afterEach } from 'node:test';
import { TestCluster } from './cluster.ts';

let cluster: TestCluster;
afterEach(() => cluster.stop());

test('a dataset is created at its home and read back there', async () => {
  cluster = await TestCluster.start(['a', 'b']);
  const home = await cluster.create('photos');
  const other = home === 'a' ? 'b' : 'a';
  await cluster.put(home, 'photos', 'cat', 'miau');
  assert.equal(await cluster.get(home, 'photos', 'cat'), 'miau');
  await cluster.rounds(1);
  assert.deepEqual(cluster.own(other).access.locate('photos'), { kind: 'remote', node: home, certain: true });
  await assert.rejects(cluster.own(other).access.enter('photos', 'read'), { code: 'NOT_OWNER' });
});

test('a pinned dataset moves with its content, and back as an increment', async () => {
  cluster = await TestCluster.start(['a', 'b']);
  const from = await cluster.create('photos');
  const to = from === 'a' ? 'b' : 'a';
  const big = 'x'.repeat(3_000_000);
  await cluster.put(from, 'photos', 'big', big);
  await cluster.own(from).move('photos', to);
  await cluster.until('moved', () => cluster.ownerOf('photos') === to);
  assert.equal(await cluster.get(to, 'photos', 'big'), big);
  await assert.rejects(cluster.own(from).access.enter('photos', 'read'), { code: 'NOT_OWNER' });
  await cluster.put(to, 'photos', 'small', 'new');
  const before = cluster.received.get(from) ?? 0;
  await cluster.own(to).move('photos', from);
  await cluster.until('moved back', () => cluster.ownerOf('photos') === from);
  assert.equal(await cluster.get(from, 'photos', 'small'), 'new');
  assert.equal(await cluster.get(from, 'photos', 'big'), big);
  assert.ok((cluster.received.get(from) ?? 0) - before < 1_000_000, 'the way back was an increment');
});

test('every acknowledged write of concurrent writers is on the new owner', async () => {
  cluster = await TestCluster.start(['a', 'b']);
  const from = await cluster.create('photos');
  const to = from === 'a' ? 'b' : 'a';
  const acked: string[] = [];
  let stop = false;
  let at = from;
  const refusals = new Set<string>();
  const writers = [0, 1, 2].map(async (writer) => {
    for (let i = 0; !stop; i++) {
      const key = `${writer}-${i}`;
      try {
        await cluster.put(at, 'photos', key, key);
        acked.push(key);
      } catch (error) {
        const { code, details } = error as { code: string; details?: { owner: string | null } };
        refusals.add(code);
        assert.ok(['NOT_OWNER', 'DATASET_BUSY', 'DATASET_UNAVAILABLE'].includes(code), `${error}`);
        if (details?.owner) at = details.owner;
        await cluster.rounds(0);
        await new Promise(setImmediate);
      }
    }
  });
  await cluster.own(from).move('photos', to);
  await cluster.until('moved', () => cluster.ownerOf('photos') === to);
  const count = acked.length;
  await cluster.until('written on the new owner', () => acked.length > count + 20, 2000);
  stop = true;
  await Promise.all(writers);
  assert.equal(at, to);
  for (const key of acked) assert.equal(await cluster.get(to, 'photos', key), key);
});

test('B is lost between promise and commit: nobody serves until it is back, then it does', async () => {
  cluster = await TestCluster.start(['a', 'b']);
  const from = await cluster.create('photos');
  const to = from === 'a' ? 'b' : 'a';
  await cluster.put(from, 'photos', 'k', 'v');
  await cluster.own(from).move('photos', to);
  // The promise is given, its answer lost.
  cluster.fault = (_from, _to, method) => (method === 'ownership.drain answer' ? 'lost' : 'ok');
  const promised = () => cluster.own(from).status().copies[0]?.promisedTo === to;
  await cluster.until('promised', promised);
  await cluster.kill(to);
  cluster.fault = () => 'ok';
  await cluster.rounds(5);
  assert.ok(promised());
  await assert.rejects(cluster.own(from).access.enter('photos', 'read'), { code: 'DATASET_UNAVAILABLE' });
  assert.equal(cluster.own(from).access.locate('photos').kind, 'local');
  // The promise outlives the owner's process too.
  await cluster.restart(from);
  await cluster.rounds(3);
  await assert.rejects(cluster.own(from).access.enter('photos', 'write'), { code: 'DATASET_UNAVAILABLE' });
  await cluster.restart(to);
  await cluster.until('served again', () => cluster.ownerOf('photos') !== null);
  const owner = cluster.ownerOf('photos') ?? '';
  assert.equal(await cluster.get(owner, 'photos', 'k'), 'v');
  await cluster.until('moved in the end', () => cluster.ownerOf('photos') === to);
  assert.equal(await cluster.get(to, 'photos', 'k'), 'v');
});

test('a question for a step that was overtaken by the next one does not take away what the puller holds', async () => {
  cluster = await TestCluster.start(['a', 'b']);
  const owner = await cluster.create('photos');
  const puller = owner === 'a' ? 'b' : 'a';
  const record = cluster.own(owner).access.records().records[0];
  const ask = async (have: string | null) => {
    const call = cluster.own(owner).methods.calls['ownership.snapshot'];
    return (await call?.({ dataset: 'photos', id: record?.id, have }, puller)) as { name: string; guid: string };
  };
  const first = await ask(null);
  const second = await ask(first.guid);
  // Sent before the second step was received, carried out after it.
  await ask(first.guid);
  const left = async () => (await cluster.node(owner).driver.snapshots('photos')).map(({ guid }) => guid);
  assert.ok((await left()).includes(second.guid), 'the base of the next increment is still there');
  for (let i = 0; i < 5; i++) await ask(second.guid);
  assert.ok((await left()).length <= 3, 'and they do not pile up');
});

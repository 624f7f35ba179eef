// Run by zfs.test.ts inside a namespace with two pools; not a test file of its own. The same moves as on `dir`, with what
// only ZFS has: properties set one by one, mounts, holds, streams that carry their own identity.
import assert from 'node:assert/strict';
import test, { afterEach } from 'node:test';
import { openZfsDriver } from '../../src/dataset/zfs-open.ts';
import { TestCluster } from './cluster.ts';

const pools = (process.env.ZRING_TEST_POOLS ?? '').split(',');
let cluster: TestCluster;
let serial = 0;
afterEach(() => cluster.stop());

async function start(options: Parameters<typeof TestCluster.start>[1] = {}): Promise<TestCluster> {
  const run = ++serial;
  return TestCluster.start(['a', 'b'], {
    ...options,
    openDriver: (node) => openZfsDriver(`${pools[node === 'a' ? 0 : 1]}/run${run}`, 'test'),
  });
}

const other = (node: string) => (node === 'a' ? 'b' : 'a');

test('there and back: the second way is an increment, and nothing is left', async () => {
  cluster = await start({ priorCopyMs: 3_600_000 });
  const from = await cluster.create('photos');
  const to = other(from);
  const big = 'x'.repeat(3_000_000);
  await cluster.put(from, 'photos', 'big', big);
  await cluster.own(from).move('photos', to);
  await cluster.until('moved', () => cluster.ownerOf('photos') === to);
  assert.equal(await cluster.get(to, 'photos', 'big'), big);
  await cluster.put(to, 'photos', 'small', 'new');
  const before = cluster.received.get(from) ?? 0;
  await cluster.own(to).move('photos', from);
  await cluster.until('moved back', () => cluster.ownerOf('photos') === from);
  assert.equal(await cluster.get(from, 'photos', 'big'), big);
  assert.equal(await cluster.get(from, 'photos', 'small'), 'new');
  const bytes = (cluster.received.get(from) ?? 0) - before;
  assert.ok(bytes < 1_500_000, `${bytes} bytes for the way back`);
  for (const node of cluster.nodes.values()) {
    assert.deepEqual(
      (await node.driver.list()).map((info) => info.name),
      ['photos'],
    );
  }
});

test('writers go on during a move; what was acknowledged is there', async () => {
  cluster = await start();
  const from = await cluster.create('photos');
  const to = other(from);
  const acked: string[] = [];
  let stop = false;
  let at = from;
  const writer = (async () => {
    for (let i = 0; !stop; i++) {
      try {
        await cluster.put(at, 'photos', `k${i}`, `v${i}`);
        acked.push(`k${i}`);
      } catch (error) {
        const { details } = error as { details?: { owner: string | null } };
        if (details?.owner) at = details.owner;
        await new Promise((resolve) => setImmediate(resolve));
      }
    }
  })();
  await cluster.own(from).move('photos', to);
  await cluster.until('moved', () => cluster.ownerOf('photos') === to);
  const count = acked.length;
  await cluster.until('written there', () => acked.length > count + 5, 2000);
  stop = true;
  await writer;
  for (const key of acked) assert.equal(await cluster.get(to, 'photos', key), key.replace('k', 'v'));
});

test('both nodes die between promise and commit; the promise is in the pool', async () => {
  cluster = await start();
  const from = await cluster.create('photos');
  const to = other(from);
  await cluster.put(from, 'photos', 'k', 'v');
  await cluster.own(from).move('photos', to);
  cluster.fault = (_from, _to, method) => (method === 'ownership.drain answer' ? 'lost' : 'ok');
  await cluster.until('promised', () => cluster.own(from).status().copies[0]?.promisedTo === to);
  await cluster.kill(to);
  await cluster.kill(from);
  cluster.fault = () => 'ok';
  await cluster.startNode(from);
  await cluster.rounds(2);
  assert.equal(cluster.own(from).status().copies[0]?.promisedTo, to);
  await assert.rejects(cluster.own(from).access.enter('photos', 'read'), { code: 'DATASET_UNAVAILABLE' });
  await cluster.startNode(to);
  await cluster.until('moved', () => cluster.ownerOf('photos') === to);
  assert.equal(await cluster.get(to, 'photos', 'k'), 'v');
});

test('deleted datasets and retired copies leave the pool as it was', async () => {
  cluster = await start({ priorCopyMs: 0 });
  const from = await cluster.create('photos');
  const to = other(from);
  await cluster.put(from, 'photos', 'k', 'v');
  await cluster.own(from).move('photos', to);
  await cluster.until('moved', () => cluster.ownerOf('photos') === to);
  await cluster.until('retired', () => cluster.own(from).status().copies.length === 0);
  const held = await cluster.own(to).access.enter('photos', 'delete');
  await held.store.remove({ key: 'k' });
  held.release();
  await cluster.own(to).access.remove('photos');
  await cluster.rounds(3);
  for (const node of cluster.nodes.values()) assert.deepEqual(await node.driver.list(), []);
});

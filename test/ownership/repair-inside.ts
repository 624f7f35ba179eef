// Run by repair-zfs.test.ts inside a namespace with two pools; not a test file of its own. What `dir` cannot show: the copy
// that helps is not mounted, and its snapshot is read through a clone.
import assert from 'node:assert/strict';
import { open, readdir, rm, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import test, { afterEach } from 'node:test';
import { openZfsDriver } from '../../src/dataset/zfs-open.ts';
import { TestCluster } from './cluster.ts';

const pools = (process.env.ZRING_TEST_POOLS ?? '').split(',');
const LARGE = 'x'.repeat(1_500_000);
let serial = 0;
let cluster: TestCluster;
afterEach(() => cluster.stop());

async function start(): Promise<void> {
  const run = ++serial;
  const openDriver = (node: string) => openZfsDriver(`${pools[node === 'a' ? 0 : 1]}/run${run}`, 'test');
  cluster = await TestCluster.start(['a', 'b'], { openDriver });
}

async function folderOf(node: string): Promise<string> {
  return (await cluster.node(node).driver.get('photos'))?.path ?? assert.fail('not mounted');
}

async function damageAll(node: string): Promise<void> {
  const data = join(await folderOf(node), 'data');
  for (const fan of await readdir(data)) {
    for (const name of await readdir(join(data, fan))) {
      const file = await open(join(data, fan, name), 'r+');
      await file.write(Buffer.from('damage'), 0, null, 1_200_000);
      await file.close();
    }
  }
}

test('zfs: damaged files are repaired from the copy of a former owner, which then takes the bucket back by an increment', async () => {
  await start();
  const former = await cluster.create('photos');
  for (const key of ['one', 'two']) await cluster.put(former, 'photos', key, LARGE);
  const owner = former === 'a' ? 'b' : 'a';
  await cluster.own(former).move('photos', owner);
  await cluster.until('moved', () => cluster.ownerOf('photos') === owner);
  await cluster.put(owner, 'photos', 'three', '3');
  await damageAll(owner);
  await assert.rejects(cluster.get(owner, 'photos', 'one'), { code: 'STORAGE_CORRUPT' });
  const { scrubs } = cluster.own(owner);
  await scrubs.begin('photos');
  let report = await scrubs.show('photos');
  while (report?.state === 'running') {
    await new Promise((resolve) => setTimeout(resolve, 20));
    report = await scrubs.show('photos');
  }
  // The file that was read may have been repaired before the scrub came to it.
  assert.equal(report?.state, 'done', report?.reason ?? '');
  assert.equal(report.damaged, report.repaired);
  assert.ok(report.repaired >= 1);
  for (const key of ['one', 'two']) assert.equal(await cluster.get(owner, 'photos', key), LARGE);
  await cluster.rounds(1);
  assert.deepEqual(
    (await cluster.node(former).driver.list()).map(({ name }) => name),
    ['photos'],
    'no clone is left',
  );
  await cluster.own(owner).move('photos', former);
  await cluster.until('back', () => cluster.ownerOf('photos') === former);
  for (const key of ['one', 'two']) assert.equal(await cluster.get(former, 'photos', key), LARGE);
  assert.equal(await cluster.get(former, 'photos', 'three'), '3');
});

test('zfs: a bucket whose index is damaged goes back to a snapshot', async () => {
  await start();
  const node = await cluster.create('photos');
  await cluster.put(node, 'photos', 'one', LARGE);
  await cluster.own(node).snapshots.create('photos', 'first');
  await cluster.put(node, 'photos', 'two', '2');
  const index = join(await folderOf(node), 'index');
  await cluster.kill(node);
  await truncate(index, 20_000);
  await rm(`${index}-clean`, { force: true });
  await cluster.startNode(node);
  await cluster.rounds(2);
  await assert.rejects(cluster.get(node, 'photos', 'one'), { code: 'STORAGE_UNAVAILABLE' });
  await cluster.own(node).snapshots.rollback('photos', 'first', true);
  assert.equal(await cluster.get(node, 'photos', 'one'), LARGE);
  assert.equal(await cluster.get(node, 'photos', 'two'), null);
});

// A bucket whose index is damaged on the disk: it alone is out of use, its node goes on, and it can go back to a snapshot whose
// index is whole.
import assert from 'node:assert/strict';
import { readFile, rm, stat, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import test, { afterEach } from 'node:test';
import { TestCluster } from './cluster.ts';

let cluster: TestCluster;
afterEach(() => cluster.stop());

const LARGE = 'x'.repeat(300_000);
const indexOf = (node: string, snapshot?: string): string =>
  join(cluster.root, node, 'photos', ...(snapshot ? ['.zring', 'snapshots', snapshot] : []), 'index');

async function halve(path: string): Promise<void> {
  await truncate(path, Math.floor((await stat(path)).size / 2));
}

/** Two snapshots, and something after each; the index is damaged while the node is down. */
async function damaged(damage: (path: string) => Promise<void>): Promise<string> {
  cluster = await TestCluster.start(['a', 'b']);
  const node = await cluster.create('photos');
  await cluster.put(node, 'photos', 'one', LARGE);
  await cluster.own(node).snapshots.create('photos', 'first');
  await cluster.put(node, 'photos', 'two', '2');
  await cluster.own(node).snapshots.create('photos', 'second');
  await cluster.put(node, 'photos', 'three', '3');
  await cluster.kill(node);
  await damage(indexOf(node));
  await cluster.startNode(node);
  await cluster.rounds(2);
  return node;
}

for (const [what, damage] of [
  ['shorter', halve],
  ['gone', (path: string) => rm(path)],
] as const) {
  test(`a bucket whose index is ${what} is out of use, says what to do, and goes back to a snapshot`, async () => {
    const node = await damaged(damage);
    const { snapshots, access } = cluster.own(node);
    const names = async () => (await snapshots.list('photos')).map(({ name }) => name);
    await assert.rejects(cluster.get(node, 'photos', 'one'), {
      code: 'STORAGE_UNAVAILABLE',
      message: /cannot be opened: .*zring snapshot list photos/,
    });
    assert.match(cluster.own(node).status().copies[0]?.fault ?? '', /index/);
    assert.deepEqual(await names(), ['first', 'second']);
    await assert.rejects(snapshots.create('photos', 'third'), { code: 'STORAGE_UNAVAILABLE' });
    await assert.rejects(snapshots.destroy('photos', 'first'), { code: 'STORAGE_UNAVAILABLE' });
    await assert.rejects(cluster.own(node).scrubs.begin('photos'), { code: 'STORAGE_UNAVAILABLE' });
    const other = ['papers', 'plans', 'prints'].find((name) => access.home?.(name) === node) ?? '';
    await access.create(other, {});
    await cluster.put(node, other, 'k', 'v');
    assert.equal(await cluster.get(node, other, 'k'), 'v', 'its node goes on');

    const report = await snapshots.rollback('photos', 'first', false);
    assert.deepEqual(report.later, ['second']);
    await assert.rejects(cluster.get(node, 'photos', 'one'), { code: 'STORAGE_UNAVAILABLE' }, 'told, not done');
    await snapshots.rollback('photos', 'second', true);
    assert.equal(await cluster.get(node, 'photos', 'one'), LARGE);
    assert.equal(await cluster.get(node, 'photos', 'two'), '2');
    assert.equal(await cluster.get(node, 'photos', 'three'), null);
    assert.equal(
      cluster
        .own(node)
        .status()
        .copies.find(({ dataset }) => dataset === 'photos')?.fault,
      null,
    );
    await cluster.put(node, 'photos', 'three', 'again');
    const to = node === 'a' ? 'b' : 'a';
    await cluster.own(node).move('photos', to);
    await cluster.until('moved', () => cluster.ownerOf('photos') === to);
    assert.equal(await cluster.get(to, 'photos', 'three'), 'again');
    assert.equal(await cluster.get(to, 'photos', 'one'), LARGE);
  });
}

test('a snapshot whose index is damaged as well is not gone back to: an older one may be whole', async () => {
  const node = await damaged(halve);
  const { snapshots } = cluster.own(node);
  await halve(indexOf(node, 'second'));
  const before = await readFile(indexOf(node));
  await assert.rejects(snapshots.rollback('photos', 'second', true), {
    code: 'STORAGE_CORRUPT',
    message: /second of photos is damaged as well.*nothing was changed/,
  });
  assert.deepEqual(
    (await snapshots.list('photos')).map(({ name }) => name),
    ['first', 'second'],
  );
  assert.ok((await readFile(indexOf(node))).equals(before));
  await snapshots.rollback('photos', 'first', true);
  assert.equal(await cluster.get(node, 'photos', 'one'), LARGE);
  assert.equal(await cluster.get(node, 'photos', 'two'), null);
});

// A bucket whose index is damaged on the disk: it alone is out of use, its node goes on, and it can go back to a snapshot whose
// index is whole.
import assert from 'node:assert/strict';
import { readFile, rm, stat, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import test, { afterEach } from 'node:test';
import { isZringError } from '../../src/common/errors.ts';
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
async function damaged(damage: (path: string) => Promise<void>, copies = 1): Promise<string> {
  cluster = await TestCluster.start(['a', 'b'], { copies });
  const node = await cluster.create('photos');
  await cluster.put(node, 'photos', 'one', LARGE);
  await cluster.own(node).snapshots.create('photos', 'first');
  await cluster.put(node, 'photos', 'two', '2');
  await cluster.own(node).snapshots.create('photos', 'second');
  await cluster.put(node, 'photos', 'three', '3');
  if (copies > 1) await cluster.rounds(6);
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

test('with replicas it goes back to what they were brought up by, and they follow on', async () => {
  const node = await damaged(halve, 2);
  const replica = node === 'a' ? 'b' : 'a';
  const { snapshots } = cluster.own(node);
  await assert.rejects(cluster.get(node, 'photos', 'one'), { code: 'STORAGE_UNAVAILABLE' });
  await cluster.rounds(3);
  const names = (await snapshots.list('photos')).map(({ name }) => name);
  assert.deepEqual(names.slice(0, 2), ['first', 'second']);
  const shared = names.slice(2).reverse();
  assert.ok(shared.length > 0 && shared.every((name) => name.startsWith('zring-copy-')), names.join());
  let whole: string | undefined;
  for (const name of shared) {
    whole ??= await snapshots.rollback('photos', name, true).then(
      () => name,
      (error: unknown) => {
        assert.ok(isZringError(error, 'STORAGE_CORRUPT'), String(error));
        return undefined;
      },
    );
  }
  assert.ok(whole, 'one of them is whole');
  assert.equal(await cluster.get(node, 'photos', 'three'), '3', 'newer than all that anybody had made by name');
  await assert.rejects(snapshots.rollback('photos', whole, true), { code: 'SNAPSHOT_NOT_FOUND' }, 'only then');
  await cluster.put(node, 'photos', 'large', LARGE);
  const received = cluster.received.get(replica) ?? 0;
  await cluster.until('followed', () => (cluster.received.get(replica) ?? 0) - received > LARGE.length);
});

test('replicas of a bucket that is known to be damaged keep what they have', async () => {
  const node = await damaged(halve, 2);
  await cluster.restart(node);
  await assert.rejects(cluster.get(node, 'photos', 'one'), { code: 'STORAGE_UNAVAILABLE' });
  const { methods, access } = cluster.own(node);
  const request = { dataset: 'photos', id: access.records().records[0]?.id, have: null, takesAll: true, shared: true };
  const ask = async () => methods.calls['ownership.snapshot']?.(request, node === 'a' ? 'b' : 'a');
  await assert.rejects(ask, { code: 'DATASET_UNAVAILABLE', message: /damaged here/ });
});

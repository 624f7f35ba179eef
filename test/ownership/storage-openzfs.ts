// Run by test/openzfs in the guest; not a test file of its own. What zfs-fuse has not: native encryption, and two pools of
// which only one knows zstd (ZRING_TEST_POOLS: the first does, the second does not).
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { afterEach } from 'node:test';
import { openZfsDriver } from '../../src/dataset/zfs-open.ts';
import { TestCluster } from './cluster.ts';
import { storageSuite } from './storage-suite.ts';

const pools = (process.env.ZRING_TEST_POOLS ?? '').split(',');
const other = (node: string) => (node === 'a' ? 'b' : 'a');

storageSuite(
  'storage settings on OpenZFS',
  (node, run) => openZfsDriver(`${pools[node === 'a' ? 0 : 1]}/storage${run}`, 'test'),
  /a full dataset refuses|below what is there|settings move/,
);

let cluster: TestCluster | null = null;
afterEach(async () => {
  await cluster?.stop();
  cluster = null;
});

async function isEncrypted(node: string): Promise<boolean | undefined> {
  const held = await cluster?.own(node).access.enter('photos', 'read');
  held?.release();
  return held?.encrypted;
}

test('AES-256 is told of the dataset that has it, and not of its copy on a plain pool', async () => {
  const key = join(tmpdir(), 'zring-test-key');
  writeFileSync(key, 'a passphrase of the test\n');
  for (const [root, encryption] of [
    ['enc', 'on'],
    ['enc128', 'aes-128-gcm'],
  ]) {
    const keyed = ['-o', `encryption=${encryption}`, '-o', 'keyformat=passphrase', '-o', `keylocation=file://${key}`];
    execFileSync('zfs', ['create', ...keyed, `${pools[0]}/${root}`]);
  }
  const weak = await openZfsDriver(`${pools[0]}/enc128`, 'test');
  await weak.create('photos', { id: 'x' }, async () => {});
  assert.equal((await weak.open('photos', { id: 'x', readonly: false })).encryption, 'aes-128-gcm');
  cluster = await TestCluster.start(['a', 'b'], {
    openDriver: (node) => openZfsDriver(node === 'a' ? `${pools[0]}/enc` : `${pools[1]}/plain`, 'test'),
  });
  let at = await cluster.create('photos');
  await cluster.put(at, 'photos', 'k', 'v'.repeat(100_000));
  for (let moves = 0; moves < 3; moves++) {
    assert.equal(await isEncrypted(at), at === 'a', `on ${at}`);
    const { encryption } = await cluster.own(at).storage.describe('photos');
    assert.equal(encryption, at === 'a' ? 'aes-256-gcm' : null);
    const to = other(at);
    await cluster.own(at).move('photos', to);
    await cluster.until('moved', () => cluster?.ownerOf('photos') === to);
    assert.equal(await cluster.get(to, 'photos', 'k'), 'v'.repeat(100_000));
    at = to;
  }
});

test('what is compressed with zstd moves to a pool that does not know it, and back', async () => {
  cluster = await TestCluster.start(['a', 'b'], {
    openDriver: (node) => openZfsDriver(`${pools[node === 'a' ? 0 : 1]}/zstd`, 'test'),
  });
  const first = await cluster.create('photos');
  if (first !== 'a') {
    await cluster.own(first).move('photos', 'a');
    await cluster.until('moved', () => cluster?.ownerOf('photos') === 'a');
  }
  const text = 'compressible '.repeat(100_000);
  await cluster.own('a').storage.configure('photos', { compression: 'zstd' });
  await cluster.put('a', 'photos', 'k', text);
  assert.ok(((await cluster.own('a').storage.describe('photos')).compressRatio ?? 0) > 1);
  const poor = cluster.node('b').driver;
  await poor.create('plain-one', { id: 'x' }, async () => {});
  const [refusal] = await poor.configure('plain-one', { compression: 'zstd' });
  assert.match(refusal?.reason ?? '', /zstd is not known here; this storage accepts: on, off, .*lz4/);
  await cluster.own('a').move('photos', 'b');
  await cluster.until('moved', () => cluster?.ownerOf('photos') === 'b');
  assert.equal(await cluster.get('b', 'photos', 'k'), text);
  const there = await cluster.own('b').storage.describe('photos');
  assert.equal(there.wanted.compression, 'zstd');
  assert.equal(there.applied.compression, 'lz4');
  assert.deepEqual(
    there.notApplied.map(({ setting }) => setting),
    ['compression'],
  );
  await cluster.own('b').move('photos', 'a');
  await cluster.until('moved back', () => cluster?.ownerOf('photos') === 'a');
  assert.equal((await cluster.own('a').storage.describe('photos')).applied.compression, 'zstd');
  assert.equal(await cluster.get('a', 'photos', 'k'), text);
});

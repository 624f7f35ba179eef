// Snapshots from the command line to the wire: made through any node, read through every node, moved with the bucket, there
// after a restart, gone when they are destroyed. On folders, and on real ZFS.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { describe, it } from 'node:test';
import { promisify } from 'node:util';
import {
  CopyObjectCommand,
  CreateBucketCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
} from '@aws-sdk/client-s3';
import type { BucketSnapshots } from '../../src/admin/bucket-snapshots.ts';
import { programArguments, startCluster, type TestCluster } from '../support/cluster.ts';
import { part } from '../support/parts.ts';

const run = promisify(execFile);
const Bucket = 'remembered';
const PAST = '.zfs/snapshot';

async function zring(cluster: TestCluster, ...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const words = [...programArguments(), ...args, '--config', cluster.configPath];
  return run(process.execPath, words).then(
    ({ stdout, stderr }) => ({ code: 0, out: stdout, err: stderr }),
    ({ code, stdout, stderr }) => ({ code, out: stdout, err: stderr }),
  );
}

async function snapshots(cluster: TestCluster, node: string): Promise<BucketSnapshots> {
  const { code, out, err } = await zring(cluster, 'snapshot', 'list', Bucket, '--node', node, '--json');
  assert.equal(code, 0, err);
  return JSON.parse(out) as BucketSnapshots;
}

/** As every node shows it. */
async function past(cluster: TestCluster, snapshot: string): Promise<string[]> {
  const seen = new Set<string>();
  for (const { id } of cluster.nodes) {
    const s3 = cluster.client(id);
    const Prefix = `${PAST}/${snapshot}/`;
    const { Contents = [] } = await s3.send(new ListObjectsV2Command({ Bucket, Prefix }));
    const lines: string[] = [];
    for (const { Key = '' } of Contents) {
      const { Body } = await s3.send(new GetObjectCommand({ Bucket, Key }));
      lines.push(`${Key.slice(Prefix.length)}=${await Body?.transformToString()}`);
    }
    seen.add(lines.join(' '));
  }
  assert.equal(seen.size, 1, `nodes differ: ${[...seen].join(' | ')}`);
  return [...seen][0]?.split(' ') ?? [];
}

for (const storage of ['dir', 'zfs'] as const) {
  describe(
    `snapshots on ${storage}`,
    part('redis-server', ...(storage === 'zfs' ? (['zfs-fuse'] as const) : [])),
    () => {
      it('are made, read, moved, kept over a restart, copied from and destroyed, through any node', async () => {
        const cluster = await startCluster({ storage });
        try {
          const s3 = cluster.client('a');
          const put = (Key: string, Body: string) => s3.send(new PutObjectCommand({ Bucket, Key, Body }));
          await s3.send(new CreateBucketCommand({ Bucket }));
          const large = randomBytes(60_000).toString('hex');
          await put('one', 'first');
          await put('large', large);
          const { node: owner } = await snapshots(cluster, 'a');
          const [other = '', third = ''] = cluster.nodes.map(({ id }) => id).filter((id) => id !== owner);
          const made = await zring(cluster, 'snapshot', 'create', Bucket, 'before', '--node', other);
          assert.match(made.out, new RegExp(`s3://${Bucket}/.zfs/snapshot/before/`), made.err);
          await put('one', 'second');
          await s3.send(new DeleteObjectCommand({ Bucket, Key: 'large' }));
          await put('two', 'new');
          assert.equal((await zring(cluster, 'snapshot', 'create', Bucket, 'after', '--node', third)).code, 0);
          const then = [`large=${large}`, 'one=first'];
          assert.deepEqual(await past(cluster, 'before'), then);
          assert.deepEqual(await past(cluster, 'after'), ['one=second', 'two=new']);

          assert.equal((await zring(cluster, 'move', Bucket, '--to', other)).code, 0);
          const at = async () => (await cluster.datasets('a')).find(({ dataset }) => dataset === Bucket);
          await cluster.until(at, (record) => record?.owner === other && record.phase === 'stable', 'the move');
          const moved = await snapshots(cluster, owner);
          assert.deepEqual([moved.node, moved.snapshots.map(({ name }) => name)], [other, ['before', 'after']]);
          assert.deepEqual(await past(cluster, 'before'), then);
          await cluster.kill(other);
          await cluster.start(other);
          assert.deepEqual(await past(cluster, 'before'), then);

          const CopySource = `${Bucket}/${PAST}/before/large`;
          await s3.send(new CopyObjectCommand({ Bucket, Key: 'large', CopySource }));
          for (const name of ['elsewhere-1', 'elsewhere-2', 'elsewhere-3']) {
            await s3.send(new CreateBucketCommand({ Bucket: name }));
            await s3.send(new CopyObjectCommand({ Bucket: name, Key: 'large', CopySource }));
            const { Body } = await s3.send(new GetObjectCommand({ Bucket: name, Key: 'large' }));
            assert.equal(await Body?.transformToString(), large, name);
            const never = { Bucket: name, Key: 'none', CopySource: `${Bucket}/${PAST}/never/large` };
            await assert.rejects(s3.send(new CopyObjectCommand(never)), { name: 'NoSuchKey' });
          }

          const unknown = await zring(cluster, 'snapshot', 'destroy', Bucket, 'never');
          assert.match(unknown.err, /\[SNAPSHOT_NOT_FOUND\]/);
          assert.equal((await zring(cluster, 'snapshot', 'destroy', Bucket, 'before', '--node', third)).code, 0);
          assert.deepEqual(
            (await snapshots(cluster, 'a')).snapshots.map(({ name }) => name),
            ['after'],
          );
          assert.deepEqual(await past(cluster, 'before'), ['']);
          const { Body } = await s3.send(new GetObjectCommand({ Bucket, Key: 'large' }));
          assert.equal(await Body?.transformToString(), large, 'the copy stands by itself');
        } finally {
          await cluster.close();
        }
      });
    },
  );
}

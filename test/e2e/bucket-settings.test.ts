// Settings of a bucket, from the command line to the wire: set through any node, kept over a move, and what a client that
// reaches a node which does not own the bucket is told at the quota. On folders, and on real ZFS.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { describe, it } from 'node:test';
import { promisify } from 'node:util';
import {
  CreateBucketCommand,
  DeleteObjectsCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import type { BucketSettings } from '../../src/admin/bucket-settings.ts';
import { programArguments, startCluster, type TestCluster } from '../support/cluster.ts';
import { part } from '../support/parts.ts';

const run = promisify(execFile);
const MiB = 1 << 20;
const Bucket = 'limited';

async function zring(cluster: TestCluster, ...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const words = [...programArguments(), ...args, '--config', cluster.configPath];
  return run(process.execPath, words).then(
    ({ stdout, stderr }) => ({ code: 0, out: stdout, err: stderr }),
    ({ code, stdout, stderr }) => ({ code, out: stdout, err: stderr }),
  );
}

const settings = async (cluster: TestCluster, node: string, ...args: string[]) => {
  const { code, out, err } = await zring(cluster, ...args, '--node', node, '--json');
  assert.equal(code, 0, err);
  return JSON.parse(out) as BucketSettings;
};

async function fill(s3: S3Client): Promise<number> {
  for (let count = 0; ; count++) {
    try {
      await s3.send(new PutObjectCommand({ Bucket, Key: `k${count}`, Body: randomBytes(2 * MiB) }));
    } catch (error) {
      const { name, $metadata } = error as { name: string; $metadata: { httpStatusCode?: number } };
      assert.deepEqual([name, $metadata.httpStatusCode], ['QuotaExceeded', 403]);
      await assert.rejects(s3.send(new HeadObjectCommand({ Bucket, Key: `k${count}` })), { name: 'NotFound' });
      return count;
    }
  }
}

async function empty(s3: S3Client): Promise<void> {
  const { Contents = [] } = await s3.send(new ListObjectsV2Command({ Bucket }));
  const { Errors } = await s3.send(
    new DeleteObjectsCommand({ Bucket, Delete: { Objects: Contents.map(({ Key }) => ({ Key })) } }),
  );
  assert.equal(Errors, undefined);
}

for (const storage of ['dir', 'zfs'] as const) {
  describe(
    `settings of a bucket on ${storage}`,
    part('redis-server', ...(storage === 'zfs' ? (['zfs-fuse'] as const) : [])),
    () => {
      it('are set through any node, bind at once, move with the bucket, and are explained', async () => {
        const cluster = await startCluster({ storage });
        try {
          const names = cluster.nodes.map(({ id }) => id);
          await cluster.client('a').send(new CreateBucketCommand({ Bucket }));
          const { node: owner, wanted } = await settings(cluster, 'a', 'bucket', 'get', Bucket);
          assert.deepEqual(wanted, { quotaBytes: null, reservationBytes: null, compression: null });
          const other = names.find((name) => name !== owner) ?? '';
          const change = ['quota=24MiB', ...(storage === 'zfs' ? ['compression=gzip-9', 'reservation=8MiB'] : [])];
          const set = await settings(cluster, other, 'bucket', 'set', Bucket, ...change);
          assert.equal(set.node, owner);
          assert.equal(set.applied.quotaBytes, 24 * MiB);
          if (storage === 'zfs') assert.deepEqual(set.applied, set.wanted);

          const refused = await zring(cluster, 'bucket', 'set', Bucket, 'compression=bogus', '--node', other);
          assert.equal(refused.code, 1);
          assert.match(refused.err, storage === 'zfs' ? /accepts: on, off, lzjb.*\[CONFIG_REFUSED\]/ : /needs ZFS/);
          const missing = await zring(cluster, 'bucket', 'get', 'nothing-here');
          assert.match(missing.err, /\[DATASET_MISSING\]/);

          const s3 = cluster.client(other);
          const count = await fill(s3);
          assert.ok(count >= 5 && count <= 11, `${count} objects`);
          await empty(s3);
          assert.ok((await fill(s3)) >= count - 1);

          assert.equal((await zring(cluster, 'move', Bucket, '--to', other)).code, 0);
          const at = async () => (await cluster.datasets('a')).find(({ dataset }) => dataset === Bucket);
          await cluster.until(at, (record) => record?.owner === other && record.phase === 'stable', 'the move');
          const moved = await settings(cluster, owner, 'bucket', 'get', Bucket);
          assert.equal(moved.node, other);
          assert.deepEqual([moved.wanted, moved.notApplied], [set.wanted, []]);
          await assert.rejects(s3.send(new PutObjectCommand({ Bucket, Key: 'x', Body: randomBytes(8 * MiB) })), {
            name: 'QuotaExceeded',
          });
          await empty(s3);
          await s3.send(new PutObjectCommand({ Bucket, Key: 'x', Body: randomBytes(8 * MiB) }));
          const explained = await zring(cluster, 'explain', Bucket, '--node', owner);
          assert.match(
            explained.out,
            new RegExp(`storage\\.node: ${other}\\n[\\s\\S]*storage\\.wanted\\.quotaBytes: 25165824\\n`),
          );
          assert.match(explained.out, /storage\.usedBytes: \d+\n[\s\S]*storage\.availableBytes: \d+\n/);
          const cleared = await zring(
            cluster,
            'bucket',
            'set',
            Bucket,
            'quota=none',
            'reservation=none',
            'compression=none',
          );
          assert.match(cleared.out, /quota +none +none\n/);
        } finally {
          await cluster.close();
        }
      });
    },
  );
}

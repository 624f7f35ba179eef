// A bucket cloned from a snapshot, from the command line to the wire: made while its source is written, there on every node
// when the command ends, with all that was in it and nothing that lets others in, and independent of its source. On folders,
// and on real ZFS.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { describe, it } from 'node:test';
import { promisify } from 'node:util';
import {
  CreateBucketCommand,
  DeleteBucketCommand,
  DeleteObjectCommand,
  GetBucketCorsCommand,
  GetBucketLifecycleConfigurationCommand,
  GetBucketPolicyCommand,
  GetObjectCommand,
  GetObjectRetentionCommand,
  GetObjectTaggingCommand,
  GetPublicAccessBlockCommand,
  HeadBucketCommand,
  ListObjectVersionsCommand,
  PutBucketCorsCommand,
  PutBucketLifecycleConfigurationCommand,
  PutBucketPolicyCommand,
  PutObjectCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import { programArguments, startCluster, type TestCluster } from '../support/cluster.ts';
import { part } from '../support/parts.ts';

const run = promisify(execFile);
const SOURCE = 'remembered';
const CLONE = 'reborn';

async function zring(cluster: TestCluster, ...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const words = [...programArguments(), ...args, '--config', cluster.configPath];
  return run(process.execPath, words).then(
    ({ stdout, stderr }) => ({ code: 0, out: stdout, err: stderr }),
    ({ code, stdout, stderr }) => ({ code, out: stdout, err: stderr }),
  );
}

const put = (s3: S3Client, Bucket: string, Key: string, Body: string, more = {}) =>
  s3.send(new PutObjectCommand({ Bucket, Key, Body, ...more }));

async function get(s3: S3Client, Bucket: string, Key: string): Promise<string | undefined> {
  const { Body } = await s3.send(new GetObjectCommand({ Bucket, Key }));
  return Body?.transformToString();
}

async function versions(s3: S3Client, Bucket: string): Promise<{ Key: string; VersionId: string }[]> {
  const { Versions = [], DeleteMarkers = [] } = await s3.send(new ListObjectVersionsCommand({ Bucket }));
  return [...Versions, ...DeleteMarkers].map(({ Key = '', VersionId = '' }) => ({ Key, VersionId }));
}

async function remove(s3: S3Client, Bucket: string): Promise<void> {
  for (const version of await versions(s3, Bucket))
    await s3.send(new DeleteObjectCommand({ Bucket, ...version, BypassGovernanceRetention: true }));
  await s3.send(new DeleteBucketCommand({ Bucket }));
}

const publicPolicy = JSON.stringify({
  Version: '2012-10-17',
  Statement: [{ Effect: 'Allow', Principal: '*', Action: 's3:GetObject', Resource: `arn:aws:s3:::${SOURCE}/*` }],
});
const expireAll = {
  Rules: [{ ID: 'all', Status: 'Enabled' as const, Filter: { Prefix: '' }, Expiration: { Days: 1 } }],
};
const cors = { CORSRules: [{ AllowedMethods: ['GET'], AllowedOrigins: ['https://example.com'] }] };

async function makeSource(s3: S3Client, large: string): Promise<void> {
  const Bucket = SOURCE;
  await s3.send(new CreateBucketCommand({ Bucket, ObjectLockEnabledForBucket: true }));
  await put(s3, Bucket, 'one', 'zeroth');
  await put(s3, Bucket, 'one', 'first', { Tagging: 'colour=blue' });
  await put(s3, Bucket, 'large', large);
  const until = new Date(Date.now() + 86_400_000);
  await put(s3, Bucket, 'locked', 'kept', { ObjectLockMode: 'GOVERNANCE', ObjectLockRetainUntilDate: until });
  await s3.send(new PutBucketPolicyCommand({ Bucket, Policy: publicPolicy }));
  await s3.send(new PutBucketLifecycleConfigurationCommand({ Bucket, LifecycleConfiguration: expireAll }));
  await s3.send(new PutBucketCorsCommand({ Bucket, CORSConfiguration: cors }));
}

for (const storage of ['dir', 'zfs'] as const) {
  describe(`clones on ${storage}`, part('redis-server', ...(storage === 'zfs' ? (['zfs-fuse'] as const) : [])), () => {
    it('begin as the snapshot was, on every node at once, and stand by themselves', async () => {
      const cluster = await startCluster({ storage });
      try {
        const s3 = cluster.client('a');
        const large = randomBytes(60_000).toString('hex');
        await makeSource(s3, large);
        const at = async (bucket: string) => (await cluster.datasets('a')).find(({ dataset }) => dataset === bucket);
        const known = await cluster.until(
          () => at(SOURCE),
          (found) => found !== undefined,
          'the bucket is known',
        );
        const owner = known?.owner ?? '';
        const [other = '', third = ''] = cluster.nodes.map(({ id }) => id).filter((id) => id !== owner);

        let writing = true;
        let written = 0;
        const writer = (async () => {
          while (writing) {
            await put(s3, SOURCE, `k${written++ % 10}`, 'v');
            await new Promise((resolve) => setTimeout(resolve, 50));
          }
        })();
        assert.equal((await zring(cluster, 'snapshot', 'create', SOURCE, 'then')).code, 0);
        const before = (await versions(s3, SOURCE)).filter(({ Key }) => Key === 'one');
        await put(s3, SOURCE, 'one', 'second');
        const made = await zring(cluster, 'snapshot', 'clone', SOURCE, 'then', CLONE, '--node', other);
        assert.match(made.out, new RegExp(`${CLONE} is a bucket of its own now, as ${SOURCE} was in then`), made.err);
        for (const { id } of cluster.nodes) {
          await cluster.client(id, { maxAttempts: 1 }).send(new HeadBucketCommand({ Bucket: CLONE }));
          assert.equal(await get(cluster.client(id), CLONE, 'one'), 'first');
        }
        const writtenBy = written;
        await cluster.until(
          async () => written,
          (count) => count > writtenBy,
          'the writer goes on',
        );
        writing = false;
        await writer;
        const record = await at(CLONE);
        assert.deepEqual([record?.owner, record?.pin], [owner, owner]);

        const Bucket = CLONE;
        assert.deepEqual(
          (await versions(s3, CLONE)).filter(({ Key }) => Key === 'one'),
          before,
        );
        assert.equal(await get(s3, CLONE, 'large'), large);
        const { TagSet } = await s3.send(new GetObjectTaggingCommand({ Bucket, Key: 'one' }));
        assert.deepEqual(TagSet, [{ Key: 'colour', Value: 'blue' }]);
        const { Retention } = await s3.send(new GetObjectRetentionCommand({ Bucket, Key: 'locked' }));
        assert.equal(Retention?.Mode, 'GOVERNANCE');
        assert.equal((await s3.send(new GetBucketCorsCommand({ Bucket }))).CORSRules?.length, 1);
        await assert.rejects(s3.send(new GetBucketPolicyCommand({ Bucket })), { name: 'NoSuchBucketPolicy' });
        await assert.rejects(s3.send(new GetBucketLifecycleConfigurationCommand({ Bucket })), {
          name: 'NoSuchLifecycleConfiguration',
        });
        const block = await s3.send(new GetPublicAccessBlockCommand({ Bucket }));
        assert.deepEqual(Object.values(block.PublicAccessBlockConfiguration ?? {}), [true, true, true, true]);
        const { s3: address } = cluster.entry(cluster.node('a'));
        assert.equal((await fetch(`http://${address}/${SOURCE}/one`)).status, 200);
        assert.equal((await fetch(`http://${address}/${CLONE}/one`)).status, 403);

        const again = await zring(cluster, 'snapshot', 'clone', SOURCE, 'then', CLONE);
        assert.match(again.err, /\[DATASET_EXISTS\]/);
        const unknown = await zring(cluster, 'snapshot', 'clone', SOURCE, 'never', 'another');
        assert.match(unknown.err, /\[SNAPSHOT_NOT_FOUND\]/);
        const unusable = await zring(cluster, 'snapshot', 'clone', SOURCE, 'then', '10.0.0.1');
        assert.match(unusable.err, /IP address.*\[DATASET_NAME_INVALID\]/);

        await put(s3, CLONE, 'one', 'its own');
        assert.equal(await get(s3, SOURCE, 'one'), 'second');
        const moved = async (bucket: string, to: string) => {
          assert.equal((await zring(cluster, 'move', bucket, '--to', to)).code, 0);
          await cluster.until(
            () => at(bucket),
            (found) => found?.owner === to && found.phase === 'stable',
            'the move',
          );
        };
        await moved(SOURCE, other);
        assert.equal(await get(s3, CLONE, 'one'), 'its own');
        await moved(CLONE, third);
        await cluster.kill(third);
        await cluster.start(third);
        assert.equal(await get(s3, CLONE, 'large'), large);
        await moved(SOURCE, owner);
        assert.equal(await get(s3, SOURCE, 'one'), 'second');

        assert.equal((await zring(cluster, 'snapshot', 'clone', SOURCE, 'then', 'second-clone')).code, 0);
        assert.equal((await zring(cluster, 'snapshot', 'destroy', SOURCE, 'then')).code, 0);
        await remove(s3, SOURCE);
        assert.equal(await get(s3, CLONE, 'one'), 'its own');
        assert.equal(await get(s3, 'second-clone', 'large'), large);
        await remove(s3, CLONE);
        await remove(s3, 'second-clone');
        await s3.send(new CreateBucketCommand({ Bucket: CLONE }));
        assert.deepEqual(await versions(s3, CLONE), []);
      } finally {
        await cluster.close();
      }
    });
  });
}

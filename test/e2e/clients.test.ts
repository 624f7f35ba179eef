// Real S3 clients, a full round trip each, through a node that does not own the bucket; on folders and on zfs-fuse.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import {
  CopyObjectCommand,
  CreateBucketCommand,
  DeleteBucketCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListBucketsCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import { ACCESS_KEY, SECRET_KEY, startCluster, type TestCluster } from '../support/cluster.ts';
import { part, program, pythonWithBoto3 } from '../support/parts.ts';

const run = promisify(execFile);
const SMALL = Buffer.from('small object, small enough to be inline\n');
/** Over the multipart thresholds of every client here (8 to 16 MiB). */
const LARGE = randomBytes(17 * 1024 * 1024);

for (const storage of ['dir', 'zfs'] as const) {
  describe(
    `clients through a node that is not the owner, on ${storage}`,
    storage === 'zfs' ? part('zfs-fuse', 'redis-server') : part('redis-server'),
    () => {
      let cluster: TestCluster;
      let work: string;

      before(async () => {
        cluster = await startCluster({ storage });
        work = await mkdtemp(join(tmpdir(), 'zring-clients-'));
        await writeFile(join(work, 'small'), SMALL);
        await writeFile(join(work, 'large'), LARGE);
        await mkdir(join(work, 'tree', 'deep'), { recursive: true });
        for (let i = 0; i < 20; i += 1)
          await writeFile(join(work, 'tree', i % 2 ? 'deep' : '.', `file ${i}+ü`), `content ${i}`);
      });

      after(async () => {
        await cluster?.close();
        await rm(work, { recursive: true, force: true });
      });

      /** Creates the bucket through node a; @returns a node that does not own it. */
      async function bucketElsewhere(name: string): Promise<string> {
        await cluster.client('a').send(new CreateBucketCommand({ Bucket: name }));
        const records = await cluster.until(
          () => cluster.datasets('a'),
          (list) => list.some(({ dataset }) => dataset === name),
          `the record of ${name}`,
        );
        const owner = records.find(({ dataset }) => dataset === name)?.owner;
        const other = cluster.nodes.find(({ id }) => id !== owner);
        assert.ok(other);
        return other.id;
      }

      test('AWS SDK for JavaScript v3', async () => {
        const entry = await bucketElsewhere('sdk-bucket');
        await sdkSession(cluster.client(entry), 'sdk-bucket');
      });

      test('copy between buckets of different owners', async () => {
        const names = Array.from({ length: 8 }, (_, i) => `copy-${i}`);
        for (const name of names) await cluster.client('a').send(new CreateBucketCommand({ Bucket: name }));
        const records = await cluster.datasets('a');
        const first = records.find(({ dataset }) => dataset === 'copy-0');
        const second = records.find(({ dataset, owner }) => dataset.startsWith('copy-') && owner !== first?.owner);
        assert.ok(first && second, 'eight buckets have at least two owners');
        const s3 = cluster.client(cluster.nodes.find(({ id }) => id !== first.owner && id !== second.owner)?.id ?? 'a');
        await s3.send(
          new PutObjectCommand({
            Bucket: first.dataset,
            Key: 'läge/ä b',
            Body: LARGE,
            ContentType: 'x/y',
            Metadata: { a: 'b' },
          }),
        );
        await s3.send(
          new CopyObjectCommand({
            Bucket: second.dataset,
            Key: 'copy',
            CopySource: `${first.dataset}/${encodeURIComponent('läge/ä b')}`,
          }),
        );
        const copy = await s3.send(new GetObjectCommand({ Bucket: second.dataset, Key: 'copy' }));
        assert.equal(md5(Buffer.from((await copy.Body?.transformToByteArray()) ?? [])), md5(LARGE));
        assert.equal(copy.ContentType, 'x/y');
        assert.deepEqual(copy.Metadata, { a: 'b' });
      });

      test('AWS CLI', part('aws'), async () => {
        const entry = await bucketElsewhere('cli-bucket');
        const aws = (...args: string[]) =>
          run(program('aws'), ['--endpoint-url', cluster.node(entry).endpoint, ...args], { env: environment(work) });
        await aws('s3', 'cp', join(work, 'small'), 's3://cli-bucket/small');
        await aws('s3', 'cp', join(work, 'large'), 's3://cli-bucket/large');
        await aws('s3', 'sync', join(work, 'tree'), 's3://cli-bucket/tree');
        assert.equal(
          (await aws('s3', 'sync', join(work, 'tree'), 's3://cli-bucket/tree')).stdout,
          '',
          'nothing to do the second time',
        );
        assert.match((await aws('s3', 'ls', 's3://cli-bucket/')).stdout, /PRE tree\/[\s\S]* large\n[\s\S]* small\n/);
        await aws('s3', 'cp', 's3://cli-bucket/large', join(work, 'aws-large'));
        assert.equal(md5(await readFile(join(work, 'aws-large'))), md5(LARGE));
        await aws('s3', 'cp', 's3://cli-bucket/large', 's3://cli-bucket/copy of large');
        await aws('s3', 'rb', '--force', 's3://cli-bucket');
        assert.doesNotMatch((await aws('s3', 'ls')).stdout, /cli-bucket/);
      });

      test('boto3', part('boto3'), async () => {
        const entry = await bucketElsewhere('boto-bucket');
        const script = join(work, 'session.py');
        await writeFile(script, BOTO3_SESSION);
        const { stdout } = await run(
          pythonWithBoto3(),
          [script, cluster.node(entry).endpoint, 'boto-bucket', join(work, 'large')],
          { env: environment(work) },
        );
        assert.equal(stdout.trim(), 'done');
      });

      test('rclone', part('rclone'), async () => {
        const entry = await bucketElsewhere('rclone-bucket');
        const env = {
          ...environment(work),
          RCLONE_CONFIG_Z_TYPE: 's3',
          RCLONE_CONFIG_Z_PROVIDER: 'Other',
          RCLONE_CONFIG_Z_ENDPOINT: cluster.node(entry).endpoint,
          RCLONE_CONFIG_Z_ACCESS_KEY_ID: ACCESS_KEY,
          RCLONE_CONFIG_Z_SECRET_ACCESS_KEY: SECRET_KEY,
          RCLONE_CONFIG_Z_REGION: 'us-east-1',
          RCLONE_CONFIG: '/dev/null',
        };
        const rclone = (...args: string[]) =>
          run(program('rclone'), [...args, '--retries', '1', '--low-level-retries', '1'], { env });
        await rclone('sync', join(work, 'tree'), 'z:rclone-bucket/tree');
        await rclone('check', join(work, 'tree'), 'z:rclone-bucket/tree');
        const again = await rclone('sync', join(work, 'tree'), 'z:rclone-bucket/tree', '-v', '--stats-one-line');
        assert.doesNotMatch(again.stderr, /Copied \(/, 'nothing to do the second time');
        await rclone(
          'copyto',
          join(work, 'large'),
          'z:rclone-bucket/large',
          '--s3-upload-cutoff',
          '8M',
          '--s3-chunk-size',
          '5M',
        );
        await rclone('copyto', 'z:rclone-bucket/large', join(work, 'rclone-large'));
        assert.equal(md5(await readFile(join(work, 'rclone-large'))), md5(LARGE));
        await rclone('purge', 'z:rclone-bucket');
      });

      test('s3cmd', part('s3cmd'), async () => {
        const entry = await bucketElsewhere('s3cmd-bucket');
        const host = `127.0.0.1:${cluster.node(entry).s3Port}`;
        const s3cmd = (...args: string[]) =>
          run(
            program('s3cmd'),
            [
              '--no-ssl',
              `--host=${host}`,
              `--host-bucket=${host}`,
              `--access_key=${ACCESS_KEY}`,
              `--secret_key=${SECRET_KEY}`,
              '--config=/dev/null',
              '--region=us-east-1',
              ...args,
            ],
            { env: environment(work) },
          );
        await s3cmd('put', join(work, 'small'), 's3://s3cmd-bucket/small');
        await s3cmd('put', '--multipart-chunk-size-mb=5', join(work, 'large'), 's3://s3cmd-bucket/large');
        await s3cmd('sync', `${join(work, 'tree')}/`, 's3://s3cmd-bucket/tree/');
        assert.match((await s3cmd('ls', '--recursive', 's3://s3cmd-bucket')).stdout, /tree\/deep\/file 1\+ü/);
        await s3cmd('get', '--force', 's3://s3cmd-bucket/large', join(work, 's3cmd-large'));
        assert.equal(md5(await readFile(join(work, 's3cmd-large'))), md5(LARGE));
        await s3cmd('cp', 's3://s3cmd-bucket/small', 's3://s3cmd-bucket/copy');
        await s3cmd('rb', '--recursive', '--force', 's3://s3cmd-bucket');
      });
    },
  );
}

async function sdkSession(s3: S3Client, Bucket: string): Promise<void> {
  await s3.send(new PutObjectCommand({ Bucket, Key: 'small', Body: SMALL, Metadata: { name: 'value' } }));
  await new Upload({ client: s3, params: { Bucket, Key: 'dir/large', Body: LARGE }, partSize: 5 * 1024 * 1024 }).done();
  const head = await s3.send(new HeadObjectCommand({ Bucket, Key: 'dir/large' }));
  assert.equal(head.ContentLength, LARGE.length);
  assert.match(head.ETag ?? '', /^"[0-9a-f]{32}-4"$/);
  const whole = await s3.send(new GetObjectCommand({ Bucket, Key: 'dir/large' }));
  assert.equal(md5(Buffer.from((await whole.Body?.transformToByteArray()) ?? [])), md5(LARGE));
  const range = await s3.send(new GetObjectCommand({ Bucket, Key: 'dir/large', Range: 'bytes=5242870-5242889' }));
  assert.deepEqual(Buffer.from((await range.Body?.transformToByteArray()) ?? []), LARGE.subarray(5242870, 5242890));
  assert.equal(range.ContentRange, `bytes 5242870-5242889/${LARGE.length}`);
  const list = await s3.send(new ListObjectsV2Command({ Bucket, Delimiter: '/' }));
  assert.deepEqual(
    list.Contents?.map(({ Key }) => Key),
    ['small'],
  );
  assert.deepEqual(
    list.CommonPrefixes?.map(({ Prefix }) => Prefix),
    ['dir/'],
  );
  await s3.send(new CopyObjectCommand({ Bucket, Key: 'copy', CopySource: `${Bucket}/dir/large` }));
  const buckets = await s3.send(new ListBucketsCommand({}));
  assert.ok(buckets.Buckets?.some(({ Name }) => Name === Bucket));
  await assert.rejects(s3.send(new DeleteBucketCommand({ Bucket })), { name: 'BucketNotEmpty' });
  await s3.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects: [{ Key: 'small' }, { Key: 'dir/large' }] } }));
  await s3.send(new DeleteObjectCommand({ Bucket, Key: 'copy' }));
  assert.equal((await s3.send(new ListObjectsV2Command({ Bucket }))).KeyCount, 0);
  await s3.send(new DeleteBucketCommand({ Bucket }));
  await assert.rejects(s3.send(new GetObjectCommand({ Bucket, Key: 'small' })), { name: 'NoSuchBucket' });
}

function environment(home: string): NodeJS.ProcessEnv {
  return {
    PATH: process.env.PATH,
    HOME: home,
    LANG: 'C.UTF-8',
    AWS_ACCESS_KEY_ID: ACCESS_KEY,
    AWS_SECRET_ACCESS_KEY: SECRET_KEY,
    AWS_DEFAULT_REGION: 'us-east-1',
    AWS_MAX_ATTEMPTS: '1',
    AWS_EC2_METADATA_DISABLED: 'true',
  };
}

function md5(data: Buffer): string {
  return createHash('md5').update(data).digest('hex');
}

const BOTO3_SESSION = `
import boto3, sys
from botocore.config import Config
endpoint, bucket, large = sys.argv[1:]
s3 = boto3.client('s3', endpoint_url=endpoint, config=Config(signature_version='s3v4', retries={'max_attempts': 0}, s3={'addressing_style': 'path'}))
data = open(large, 'rb').read()
s3.put_object(Bucket=bucket, Key='small/ü +&', Body=b'hello', Metadata={'k': 'v'})
assert s3.get_object(Bucket=bucket, Key='small/ü +&')['Body'].read() == b'hello'
assert s3.head_object(Bucket=bucket, Key='small/ü +&')['Metadata'] == {'k': 'v'}
s3.upload_file(large, bucket, 'large')
s3.download_file(bucket, 'large', large + '.boto3')
assert open(large + '.boto3', 'rb').read() == data
assert s3.get_object(Bucket=bucket, Key='large', Range='bytes=-10')['Body'].read() == data[-10:]
keys = [o['Key'] for p in s3.get_paginator('list_objects_v2').paginate(Bucket=bucket, PaginationConfig={'PageSize': 1}) for o in p['Contents']]
assert keys == ['large', 'small/ü +&'], keys
s3.copy_object(Bucket=bucket, Key='copy', CopySource={'Bucket': bucket, 'Key': 'large'})
url = s3.generate_presigned_url('get_object', Params={'Bucket': bucket, 'Key': 'small/ü +&'})
import urllib.request
assert urllib.request.urlopen(url).read() == b'hello'
r = s3.delete_objects(Bucket=bucket, Delete={'Objects': [{'Key': k} for k in keys + ['copy']]})
assert len(r['Deleted']) == 3, r
s3.delete_bucket(Bucket=bucket)
print('done')
`;

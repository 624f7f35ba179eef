// A bucket's quota as S3 clients meet it: an S3 server over real ownership, which counts (storage: plain folders).
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { text } from 'node:stream/consumers';
import { after, it } from 'node:test';
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  ListPartsCommand,
  PutObjectCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { TestCluster } from '../../ownership/cluster.ts';
import { signHeaders, startTestNode } from '../../support/s3-client.ts';

const MiB = 1 << 20;
const Bucket = 'limited';
const cluster = await TestCluster.start(['a']);
const { access, storage } = cluster.own('a');
const node = await startTestNode({ access });
const client = node.client();
after(async () => {
  await node.close();
  await cluster.stop();
});
await client.send(new CreateBucketCommand({ Bucket }));
await storage.configure(Bucket, { quotaBytes: 24 * MiB });

const put = (Key: string, bytes: number) =>
  client.send(new PutObjectCommand({ Bucket, Key, Body: randomBytes(bytes) }));
const exceeded = { name: 'QuotaExceeded', $metadata: { httpStatusCode: 403 } };

async function isRefused(promise: Promise<unknown>): Promise<void> {
  await assert.rejects(promise, (error: { name: string; message: string; $metadata: { httpStatusCode?: number } }) => {
    assert.deepEqual({ name: error.name, $metadata: { httpStatusCode: error.$metadata.httpStatusCode } }, exceeded);
    assert.match(error.message, /quota of the bucket/);
    return true;
  });
}

async function keys(): Promise<string[]> {
  const { Contents = [] } = await client.send(new ListObjectsV2Command({ Bucket }));
  return Contents.map(({ Key = '' }) => Key);
}

async function empty(): Promise<void> {
  const Objects = (await keys()).map((Key) => ({ Key }));
  if (Objects.length > 0) await client.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects } }));
}

it('a write beyond the quota is refused, what is there stays, and a delete makes room', async () => {
  const kept = randomBytes(16 * MiB);
  await client.send(new PutObjectCommand({ Bucket, Key: 'kept', Body: kept }));
  await isRefused(put('large', 16 * MiB));
  await isRefused(put('kept', 16 * MiB));
  assert.deepEqual(await keys(), ['kept']);
  const got = await client.send(new GetObjectCommand({ Bucket, Key: 'kept' }));
  assert.ok(Buffer.from((await got.Body?.transformToByteArray()) ?? []).equals(kept));
  await put('small', MiB);
  // A copy inside the bucket takes no room.
  await client.send(new CopyObjectCommand({ Bucket, Key: 'copy', CopySource: `${Bucket}/kept` }));
  await empty();
  await put('large', 16 * MiB);
  await empty();
});

it('a client that waits for 100 Continue is told before it sends anything', async () => {
  const path = `/${Bucket}/large`;
  const headers = { 'content-length': String(100 * MiB), 'x-amz-content-sha256': 'UNSIGNED-PAYLOAD' };
  const signed = signHeaders(node, { method: 'PUT', path, headers });
  const sending = request({ port: node.port, method: 'PUT', path, headers: { ...signed, expect: '100-continue' } });
  const continued = once(sending, 'continue').then(() => null);
  sending.flushHeaders();
  const answered = (once(sending, 'response') as Promise<[IncomingMessage]>).then(([response]) => response);
  const response = await Promise.race([continued, answered]);
  assert.ok(response, 'it was told to go on');
  assert.equal(response.statusCode, 403);
  assert.match(await text(response), /<Code>QuotaExceeded<\/Code>/);
  sending.destroy();
});

it('parts count; an upload that fits is completed, one that does not is refused part by part and can be aborted', async () => {
  const { UploadId } = await client.send(new CreateMultipartUploadCommand({ Bucket, Key: 'mpu' }));
  const upload = { Bucket, Key: 'mpu', UploadId };
  const part = (PartNumber: number) =>
    client.send(new UploadPartCommand({ ...upload, PartNumber, Body: randomBytes(8 * MiB) }));
  const done = [await part(1), await part(2)];
  await isRefused(part(3));
  const { Parts = [] } = await client.send(new ListPartsCommand(upload));
  assert.deepEqual(
    Parts.map(({ PartNumber }) => PartNumber),
    [1, 2],
  );
  const MultipartUpload = { Parts: done.map(({ ETag }, i) => ({ ETag, PartNumber: i + 1 })) };
  await client.send(new CompleteMultipartUploadCommand({ ...upload, MultipartUpload }));
  assert.equal((await client.send(new HeadObjectCommand({ Bucket, Key: 'mpu' }))).ContentLength, 16 * MiB);
  const second = await client.send(new CreateMultipartUploadCommand({ Bucket, Key: 'second' }));
  await isRefused(
    client.send(
      new UploadPartCommand({
        Bucket,
        Key: 'second',
        UploadId: second.UploadId,
        PartNumber: 1,
        Body: randomBytes(8 * MiB),
      }),
    ),
  );
  await client.send(new AbortMultipartUploadCommand({ Bucket, Key: 'second', UploadId: second.UploadId }));
  await empty();
});

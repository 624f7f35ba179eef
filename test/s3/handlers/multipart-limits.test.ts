// Uploads at their limits: ten thousand parts, sizes beyond 2^32, conditions of an abort.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import {
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  ListPartsCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { partRange, resolveRange } from '../../../src/s3/handlers/ranges.ts';
import { overrideStore } from '../../support/memory-access.ts';
import { bucketName, s3Fixture } from '../../support/s3-fixture.ts';

const PARTS = 10_000;
const node = await s3Fixture();
const client = node.client();
// Parts of a few bytes instead of 5 MiB: 50 GB would show nothing more.
node.access.wrapStore = (store) =>
  overrideStore(store, { completeUpload: (request) => store.completeUpload({ ...request, partBytesMin: 0 }) });

test(`an upload of ${PARTS} parts: listed by pages, completed, read by part`, async () => {
  const Bucket = bucketName('parts');
  const Key = 'k';
  await client.send(new CreateBucketCommand({ Bucket }));
  const { UploadId = '' } = await client.send(new CreateMultipartUploadCommand({ Bucket, Key }));
  const store = await node.access.store(Bucket);
  const body = (number: number) => Buffer.from(`${number},`);
  const etag = (number: number) => createHash('md5').update(body(number)).digest('hex');
  await Promise.all(
    Array.from({ length: PARTS }, async (_, index) => {
      const writer = store.beginBlob(null);
      await writer.write(body(index + 1));
      await store.putPart(UploadId, Key, index + 1, await writer.finish(), etag(index + 1), {});
    }),
  );

  let marker: string | undefined;
  let seen = 0;
  for (let page = 0; page < PARTS / 1000; page++) {
    const list = await client.send(new ListPartsCommand({ Bucket, Key, UploadId, PartNumberMarker: marker }));
    assert.equal(list.Parts?.[0]?.PartNumber, seen + 1);
    seen += list.Parts?.length ?? 0;
    marker = list.NextPartNumberMarker;
    assert.equal(list.IsTruncated, seen < PARTS);
  }
  assert.equal(seen, PARTS);

  const parts = Array.from(
    { length: PARTS },
    (_, index) => `<Part><PartNumber>${index + 1}</PartNumber><ETag>"${etag(index + 1)}"</ETag></Part>`,
  );
  const complete = (list: string[]) =>
    node.raw({
      method: 'POST',
      path: `/${Bucket}/${Key}?uploadId=${UploadId}`,
      body: `<CompleteMultipartUpload>${list.join('')}</CompleteMultipartUpload>`,
    });
  const tooMany = await complete([...parts, parts.at(-1) ?? '']);
  assert.deepEqual([tooMany.status, tooMany.code], [400, 'MalformedXML']);
  const done = await complete(parts);
  assert.equal(done.status, 200, done.text);
  assert.match(done.text, new RegExp(`-${PARTS}&quot;`));
  const last = await node.raw({ path: `/${Bucket}/${Key}?partNumber=${PARTS}` });
  assert.deepEqual([last.status, last.text, last.headers['x-amz-mp-parts-count']], [206, `${PARTS},`, `${PARTS}`]);
  const all = await node.raw({ path: `/${Bucket}/${Key}` });
  assert.equal(all.text, Array.from({ length: PARTS }, (_, index) => `${index + 1},`).join(''));
});

test('an upload is aborted only when it is the one that was begun then', async () => {
  const Bucket = bucketName('parts');
  await client.send(new CreateBucketCommand({ Bucket }));
  const target = { Bucket, Key: 'k', UploadId: undefined as string | undefined };
  target.UploadId = (await client.send(new CreateMultipartUploadCommand({ Bucket, Key: 'k' }))).UploadId;
  await client.send(new UploadPartCommand({ ...target, PartNumber: 1, Body: 'x' }));
  const abort = (initiated: string) =>
    node.raw({
      method: 'DELETE',
      path: `/${Bucket}/k?uploadId=${target.UploadId}`,
      headers: { 'x-amz-if-match-initiated-time': initiated },
    });
  const other = await abort('Thu, 01 Jan 2015 00:00:00 GMT');
  assert.deepEqual([other.status, other.code], [412, 'PreconditionFailed']);
  assert.equal((await abort('soon')).status, 400);
  const uploads = (await node.raw({ path: `/${Bucket}?uploads` })).text;
  const initiated = new Date(/<Initiated>([^<]*)</.exec(uploads)?.[1] ?? '').toUTCString();
  assert.equal((await abort(initiated)).status, 204);
  assert.doesNotMatch((await node.raw({ path: `/${Bucket}?uploads` })).text, /<Upload>/);
});

test('ranges and parts of objects of 5 TiB and more', () => {
  const TIB = 2 ** 40;
  const size = 5 * TIB;
  assert.deepEqual(resolveRange(`bytes=${size - 1}-`, size), { kind: 'part', start: size - 1, end: size - 1 });
  assert.deepEqual(resolveRange('bytes=-1', size), { kind: 'part', start: size - 1, end: size - 1 });
  assert.deepEqual(resolveRange(`bytes=${size}-`, size), { kind: 'unsatisfiable' });
  assert.deepEqual(resolveRange('bytes=4294967295-4294967296', size), {
    kind: 'part',
    start: 4_294_967_295,
    end: 4_294_967_296,
  });
  assert.deepEqual(resolveRange('bytes=0-999999999999999999', size), { kind: 'part', start: 0, end: size - 1 });
  const sizes = Array.from({ length: PARTS }, () => 5 * 2 ** 30);
  const total = PARTS * 5 * 2 ** 30;
  assert.deepEqual(partRange(PARTS, total, sizes), { start: total - 5 * 2 ** 30, length: 5 * 2 ** 30 });
});

// Objects and parts of 0 bytes, wherever a length of nothing can be taken for something else.
import '../../support/in-memory.ts';
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { before, test } from 'node:test';
import {
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  GetObjectAttributesCommand,
  ListObjectsV2Command,
  UploadPartCommand,
  UploadPartCopyCommand,
} from '@aws-sdk/client-s3';
import { bucketName, s3Fixture } from '../../support/s3-fixture.ts';

const node = await s3Fixture();
const client = node.client();
const Bucket = bucketName('empty');
const path = (rest: string) => `/${Bucket}/${rest}`;
const EMPTY_MD5 = 'd41d8cd98f00b204e9800998ecf8427e';
const PART = Buffer.alloc(5 << 20, 'a part ');
before(() => node.raw({ method: 'PUT', path: `/${Bucket}` }));

async function upload(
  Key: string,
  bodies: readonly Buffer[],
  checksum: { ChecksumAlgorithm?: 'CRC32' | 'CRC64NVME'; ChecksumType?: 'FULL_OBJECT' } = {},
) {
  const { UploadId } = await client.send(new CreateMultipartUploadCommand({ Bucket, Key, ...checksum }));
  const Parts = [];
  for (const [index, Body] of bodies.entries()) {
    const PartNumber = index + 1;
    const { ChecksumAlgorithm } = checksum;
    const part = { Bucket, Key, UploadId, PartNumber, Body, ChecksumAlgorithm };
    const { ETag } = await client.send(new UploadPartCommand(part));
    Parts.push({ PartNumber, ETag });
  }
  const input = { Bucket, Key, UploadId, MultipartUpload: { Parts } };
  return client.send(new CompleteMultipartUploadCommand(input));
}

test('an empty object: head, body, list, attributes, copy', async () => {
  await node.raw({ method: 'PUT', path: path('none'), body: '' });
  for (const method of ['GET', 'HEAD']) {
    const answer = await node.raw({ method, path: path('none') });
    assert.deepEqual([answer.status, answer.body.length], [200, 0]);
    assert.deepEqual([answer.headers['content-length'], answer.headers.etag], ['0', `"${EMPTY_MD5}"`]);
    assert.equal(answer.headers['content-range'], undefined);
  }
  const list = await client.send(new ListObjectsV2Command({ Bucket, Prefix: 'none' }));
  assert.deepEqual([list.Contents?.[0]?.Size, list.Contents?.[0]?.ETag], [0, `"${EMPTY_MD5}"`]);
  const attributes = ['ObjectSize', 'ETag'] as ('ObjectSize' | 'ETag')[];
  const asked = new GetObjectAttributesCommand({ Bucket, Key: 'none', ObjectAttributes: attributes });
  assert.equal((await client.send(asked)).ObjectSize, 0);
  const headers = { 'x-amz-copy-source': `${Bucket}/none` };
  assert.equal((await node.raw({ method: 'PUT', path: path('copy'), headers })).status, 200);
  assert.equal((await node.raw({ method: 'HEAD', path: path('copy') })).headers['content-length'], '0');
});

test('any range of nothing is unsatisfiable; what is no range is the whole', async () => {
  await node.raw({ method: 'PUT', path: path('none'), body: '' });
  for (const range of ['bytes=0-', 'bytes=0-0', 'bytes=-1', 'bytes=5-9', 'bytes=-0']) {
    for (const method of ['GET', 'HEAD']) {
      const answer = await node.raw({ method, path: path('none'), headers: { range } });
      assert.deepEqual([answer.status, answer.headers['content-range']], [416, 'bytes */0'], `${method} ${range}`);
      if (method === 'GET') assert.equal(answer.code, 'InvalidRange');
    }
  }
  for (const range of ['bytes=1-0', 'bytes=', 'bytes=-', 'none', 'bytes=0-0,1-1']) {
    assert.equal((await node.raw({ path: path('none'), headers: { range } })).status, 200, range);
  }
  assert.equal((await node.raw({ path: path('none?partNumber=1') })).body.length, 0);
  assert.equal((await node.raw({ path: path('none?partNumber=2') })).status, 416);
});

test('an overwrite by nothing frees what was there, and is conditional like any other', async () => {
  await node.raw({ method: 'PUT', path: path('emptied'), body: PART });
  const etag = `"${createHash('md5').update(PART).digest('hex')}"`;
  const put = (headers: Record<string, string>) =>
    node.raw({ method: 'PUT', path: path('emptied'), body: '', headers });
  assert.equal((await put({ 'if-match': `"${EMPTY_MD5}"` })).status, 412);
  assert.equal((await put({ 'if-match': etag })).status, 200);
  assert.equal((await put({ 'if-none-match': '*' })).status, 412);
  assert.equal((await put({ 'if-match': `"${EMPTY_MD5}"` })).status, 200);
  const store = await node.access.store(Bucket);
  assert.deepEqual([store.head('emptied')?.size, store.head('emptied')?.etag], [0, EMPTY_MD5]);
});

test('an upload whose last part is empty; its parts by number and by range', async () => {
  const done = await upload('tail', [PART, Buffer.alloc(0)]);
  const digests = [PART, Buffer.alloc(0)].map((body) => createHash('md5').update(body).digest());
  const whole = createHash('md5').update(Buffer.concat(digests)).digest('hex');
  assert.equal(done.ETag, `"${whole}-2"`);
  const got = await node.raw({ path: path('tail') });
  assert.ok(got.body.equals(PART));
  const first = await node.raw({ method: 'HEAD', path: path('tail?partNumber=1') });
  assert.deepEqual([first.status, first.headers['content-length']], [206, String(PART.length)]);
  const last = await node.raw({ path: path('tail?partNumber=2') });
  assert.deepEqual([last.body.length, last.headers['x-amz-mp-parts-count']], [0, '2']);
  assert.equal((await node.raw({ path: path('tail?partNumber=3') })).status, 416);
  const end = await node.raw({ path: path('tail'), headers: { range: `bytes=${PART.length - 1}-` } });
  assert.deepEqual([end.status, end.body.length], [206, 1]);
});

test('checksums of an upload whose last part is empty are those of the whole', async () => {
  for (const ChecksumAlgorithm of ['CRC32', 'CRC64NVME'] as const) {
    const done = await upload('summed', [PART, Buffer.alloc(0)], { ChecksumAlgorithm, ChecksumType: 'FULL_OBJECT' });
    const name = `x-amz-checksum-${ChecksumAlgorithm.toLowerCase()}`;
    const headers = { 'x-amz-checksum-algorithm': ChecksumAlgorithm };
    await node.raw({ method: 'PUT', path: path('at-once'), body: PART });
    const source = { 'x-amz-copy-source': `${Bucket}/at-once`, ...headers };
    await node.raw({ method: 'PUT', path: path('at-once-copy'), headers: source });
    const seen = await node.raw({
      method: 'HEAD',
      path: path('at-once-copy'),
      headers: { 'x-amz-checksum-mode': 'ENABLED' },
    });
    assert.ok(seen.headers[name]);
    assert.equal(done[`Checksum${ChecksumAlgorithm}`], seen.headers[name]);
  }
});

test('an upload of one empty part is an empty object; an empty part before the last is too small', async () => {
  const done = await upload('one', [Buffer.alloc(0)]);
  assert.match(done.ETag ?? '', /-1"$/);
  const got = await node.raw({ path: path('one') });
  assert.deepEqual([got.status, got.body.length, got.headers['content-length']], [200, 0, '0']);
  assert.equal((await node.raw({ path: path('one'), headers: { range: 'bytes=0-' } })).status, 416);
  await assert.rejects(upload('two', [Buffer.alloc(0), PART]), { name: 'EntityTooSmall' });
  assert.equal((await node.raw({ path: path('two') })).status, 404);
});

test('UploadPartCopy of an empty object is an empty part; a range of it is none', async () => {
  await node.raw({ method: 'PUT', path: path('none'), body: '' });
  const { UploadId } = await client.send(new CreateMultipartUploadCommand({ Bucket, Key: 'copied' }));
  const target = { Bucket, Key: 'copied', UploadId, PartNumber: 1, CopySource: `${Bucket}/none` };
  await assert.rejects(client.send(new UploadPartCopyCommand({ ...target, CopySourceRange: 'bytes=0-0' })), {
    name: 'InvalidRange',
  });
  const { CopyPartResult } = await client.send(new UploadPartCopyCommand(target));
  assert.equal(CopyPartResult?.ETag, `"${EMPTY_MD5}"`);
  const Parts = [{ PartNumber: 1, ETag: CopyPartResult?.ETag }];
  await client.send(
    new CompleteMultipartUploadCommand({ Bucket, Key: 'copied', UploadId, MultipartUpload: { Parts } }),
  );
  assert.equal((await node.raw({ method: 'HEAD', path: path('copied') })).headers['content-length'], '0');
});

test('requests without a body where one is expected: each has its code', async () => {
  const rows: [method: string, path: string, status: number, code: string][] = [
    ['POST', `/${Bucket}?delete`, 400, 'InvalidRequest'],
    ['PUT', `/${Bucket}?versioning`, 400, 'MalformedXML'],
    ['PUT', `/${Bucket}?tagging`, 400, 'MalformedXML'],
    ['PUT', `/${Bucket}?publicAccessBlock`, 400, 'MalformedXML'],
    ['PUT', `/${Bucket}?policy`, 400, 'MalformedPolicy'],
    ['POST', path('k?uploadId=none'), 400, 'MalformedXML'],
  ];
  for (const [method, target, status, code] of rows) {
    const answer = await node.raw({ method, path: target, body: '' });
    assert.deepEqual([answer.status, answer.code], [status, code], target);
  }
});

import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { before, test } from 'node:test';
import {
  AbortMultipartUploadCommand,
  type CompletedPart,
  CompleteMultipartUploadCommand,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  GetObjectAttributesCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  ListPartsCommand,
  type ObjectAttributes,
  PutObjectCommand,
  UploadPartCommand,
  UploadPartCopyCommand,
} from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import { bucketName, s3Fixture } from '../../support/s3-fixture.ts';

const MIB = 1 << 20;
const PART = randomBytes(5 * MIB);
const TAIL = randomBytes(1234);

const node = await s3Fixture();
const client = node.client();
const Bucket = bucketName();
before(() => client.send(new CreateBucketCommand({ Bucket })));

async function begin(Key: string, input: object = {}): Promise<string> {
  const { UploadId } = await client.send(new CreateMultipartUploadCommand({ Bucket, Key, ...input }));
  assert.ok(UploadId);
  return UploadId;
}

async function sendPart(Key: string, UploadId: string, PartNumber: number, Body: Buffer, input: object = {}) {
  const { $metadata, ServerSideEncryption, ...part } = await client.send(
    new UploadPartCommand({ Bucket, Key, UploadId, PartNumber, Body, ...input }),
  );
  return { PartNumber, ...part } as CompletedPart;
}

function complete(Key: string, UploadId: string, Parts: CompletedPart[], input: object = {}) {
  const MultipartUpload = { Parts };
  return client.send(new CompleteMultipartUploadCommand({ Bucket, Key, UploadId, MultipartUpload, ...input }));
}

const md5 = (bytes: Buffer) => createHash('md5').update(bytes).digest();
const multipartEtag = (...parts: Buffer[]) => `"${md5(Buffer.concat(parts.map(md5))).toString('hex')}-${parts.length}"`;
const whole = (Key: string) => node.raw({ path: `/${Bucket}/${Key}` });

test('parts in any order become one object; it is read whole, by range and by part', async () => {
  const Key = 'whole';
  const UploadId = await begin(Key, { ContentType: 'text/x', Metadata: { a: 'b' }, CacheControl: 'no-cache' });
  const second = await sendPart(Key, UploadId, 7, TAIL);
  const first = await sendPart(Key, UploadId, 2, PART);
  assert.equal((await whole(Key)).status, 404, 'nothing is visible before Complete');
  const done = await complete(Key, UploadId, [first, second]);
  assert.equal(done.ETag, multipartEtag(PART, TAIL));
  assert.equal(done.Location, `${node.endpoint}/${Bucket}/${Key}`);
  assert.equal(done.ChecksumType, 'FULL_OBJECT');
  const got = await whole(Key);
  assert.ok(got.body.equals(Buffer.concat([PART, TAIL])));
  assert.deepEqual(
    [got.headers['content-type'], got.headers['x-amz-meta-a'], got.headers['cache-control']],
    ['text/x', 'b', 'no-cache'],
  );
  const seam = await node.raw({
    path: `/${Bucket}/${Key}`,
    headers: { range: `bytes=${PART.length - 2}-${PART.length + 1}` },
  });
  assert.ok(seam.body.equals(Buffer.concat([PART.subarray(-2), TAIL.subarray(0, 2)])));
  const part = await client.send(new GetObjectCommand({ Bucket, Key, PartNumber: 2 }));
  assert.deepEqual([part.PartsCount, part.ContentLength, part.$metadata.httpStatusCode], [2, TAIL.length, 206]);
  assert.ok(Buffer.from((await part.Body?.transformToByteArray()) ?? []).equals(TAIL));
  const head = await client.send(new HeadObjectCommand({ Bucket, Key, PartNumber: 1 }));
  assert.deepEqual([head.PartsCount, head.ContentLength], [2, PART.length]);
  const beyond = await node.raw({ path: `/${Bucket}/${Key}?partNumber=3` });
  assert.deepEqual([beyond.status, beyond.code], [416, 'InvalidPartNumber']);
});

test('the checksum that nobody asked for is the CRC64NVME of the whole', async () => {
  const Key = 'default-checksum';
  const UploadId = await begin(Key);
  const parts = [await sendPart(Key, UploadId, 1, PART), await sendPart(Key, UploadId, 2, TAIL)];
  const done = await complete(
    Key,
    UploadId,
    parts.map(({ ETag, PartNumber }) => ({ ETag, PartNumber })),
  );
  // The same bytes in one piece: computed the other way round.
  const body = Buffer.concat([PART, TAIL]);
  const simple = await client.send(
    new PutObjectCommand({ Bucket, Key: 'in-one-piece', Body: body, ChecksumAlgorithm: 'CRC64NVME' }),
  );
  assert.equal(done.ChecksumCRC64NVME, simple.ChecksumCRC64NVME);
});

for (const algorithm of ['CRC32', 'CRC32C', 'CRC64NVME'] as const) {
  test(`${algorithm} of the full object follows from its parts`, async () => {
    const Key = `full-${algorithm}`;
    const UploadId = await begin(Key, { ChecksumAlgorithm: algorithm, ChecksumType: 'FULL_OBJECT' });
    const input = { ChecksumAlgorithm: algorithm };
    const parts = [await sendPart(Key, UploadId, 1, PART, input), await sendPart(Key, UploadId, 2, TAIL, input)];
    const name = `Checksum${algorithm}` as const;
    const simple = await client.send(
      new PutObjectCommand({ Bucket, Key: 'one', Body: Buffer.concat([PART, TAIL]), ChecksumAlgorithm: algorithm }),
    );
    await assert.rejects(complete(Key, UploadId, parts, { [name]: parts[0]?.[name], ChecksumType: 'FULL_OBJECT' }), {
      name: 'BadDigest',
    });
    const done = await complete(Key, UploadId, parts, { [name]: simple[name], ChecksumType: 'FULL_OBJECT' });
    assert.deepEqual([done[name], done.ChecksumType], [simple[name], 'FULL_OBJECT']);
  });
}

for (const algorithm of ['CRC32', 'SHA1', 'SHA256'] as const) {
  test(`${algorithm} composite: the checksum of the parts' checksums`, async () => {
    const Key = `composite-${algorithm}`;
    const name = `Checksum${algorithm}` as const;
    const UploadId = await begin(Key, { ChecksumAlgorithm: algorithm });
    const input = { ChecksumAlgorithm: algorithm };
    const parts = [await sendPart(Key, UploadId, 1, PART, input), await sendPart(Key, UploadId, 2, TAIL, input)];
    const values = parts.map((part) => Buffer.from(part[name] ?? '', 'base64'));
    await assert.rejects(
      complete(
        Key,
        UploadId,
        parts.map((part) => ({ ...part, [name]: parts[0]?.[name] })),
      ),
      { name: 'InvalidPart' },
    );
    // The document may leave the parts' checksums out: they are known, and were verified.
    const bare = parts.map(({ ETag, PartNumber }) => ({ ETag, PartNumber }));
    const done = await complete(Key, UploadId, bare);
    if (algorithm !== 'CRC32') {
      const expected = createHash(algorithm).update(Buffer.concat(values)).digest('base64');
      assert.equal(done[name], `${expected}-2`);
    }
    assert.match(done[name] ?? '', /-2$/);
    assert.equal(done.ChecksumType, 'COMPOSITE');
    const part = await client.send(new HeadObjectCommand({ Bucket, Key, PartNumber: 2, ChecksumMode: 'ENABLED' }));
    assert.equal(part[name], parts[1]?.[name]);
  });
}

test('a part with another checksum than the upload declared is refused', async () => {
  const Key = 'mixed';
  const UploadId = await begin(Key, { ChecksumAlgorithm: 'SHA256' });
  await assert.rejects(sendPart(Key, UploadId, 1, TAIL, { ChecksumAlgorithm: 'CRC32' }), { name: 'InvalidRequest' });
});

const IMPOSSIBLE: [input: Record<string, string>, code: string][] = [
  [{ 'x-amz-checksum-algorithm': 'SHA256', 'x-amz-checksum-type': 'FULL_OBJECT' }, 'InvalidRequest'],
  [{ 'x-amz-checksum-algorithm': 'CRC64NVME', 'x-amz-checksum-type': 'COMPOSITE' }, 'InvalidRequest'],
  [{ 'x-amz-checksum-type': 'COMPOSITE' }, 'InvalidRequest'],
  [{ 'x-amz-checksum-algorithm': 'CRC8' }, 'InvalidRequest'],
  [{ 'x-amz-checksum-algorithm': 'XXHASH64' }, 'NotImplemented'],
];
for (const [headers, code] of IMPOSSIBLE) {
  test(`CreateMultipartUpload with ${JSON.stringify(headers)}: ${code}`, async () => {
    assert.equal((await node.raw({ method: 'POST', path: `/${Bucket}/k?uploads`, headers })).code, code);
  });
}

test('a part sent again replaces the first', async () => {
  const Key = 'again';
  const UploadId = await begin(Key);
  const old = await sendPart(Key, UploadId, 1, PART);
  const renewed = await sendPart(Key, UploadId, 1, TAIL);
  await assert.rejects(complete(Key, UploadId, [old]), { name: 'InvalidPart' });
  await complete(Key, UploadId, [renewed]);
  assert.ok((await whole(Key)).body.equals(TAIL));
});

test('Complete refuses what does not fit, and the upload stays', async () => {
  const Key = 'refused';
  const UploadId = await begin(Key);
  const small = await sendPart(Key, UploadId, 1, TAIL);
  const last = await sendPart(Key, UploadId, 2, TAIL);
  const refusals: [parts: CompletedPart[], name: string, input?: object][] = [
    [[small, last], 'EntityTooSmall'],
    [[last, small], 'InvalidPartOrder'],
    [[small, small], 'InvalidPartOrder'],
    [[{ ...small, ETag: '"0"' }], 'InvalidPart'],
    [[{ ...small, PartNumber: 9 }], 'InvalidPart'],
    [[], 'MalformedXML'],
    [[last], 'InvalidRequest', { MpuObjectSize: 1 }],
  ];
  for (const [parts, name, input] of refusals)
    await assert.rejects(complete(Key, UploadId, parts, input), { name }, name);
  const malformed = await node.raw({ method: 'POST', path: `/${Bucket}/${Key}?uploadId=${UploadId}`, body: '<x' });
  assert.equal(malformed.code, 'MalformedXML');
  await complete(Key, UploadId, [last], { MpuObjectSize: TAIL.length });
  assert.ok((await whole(Key)).body.equals(TAIL));
});

test('Complete again gives the same answer; another list does not', async () => {
  const Key = 'twice';
  const UploadId = await begin(Key);
  const part = await sendPart(Key, UploadId, 1, TAIL);
  const first = await complete(Key, UploadId, [part]);
  const second = await complete(Key, UploadId, [{ ...part, ETag: part.ETag?.replaceAll('"', '') }]);
  assert.equal(second.ETag, first.ETag);
  await assert.rejects(complete(Key, UploadId, [{ ...part, ETag: '"0"' }]), { name: 'NoSuchUpload' });
});

test('Complete honours If-None-Match', async () => {
  const Key = 'conditional';
  await client.send(new PutObjectCommand({ Bucket, Key, Body: 'there' }));
  const UploadId = await begin(Key);
  const part = await sendPart(Key, UploadId, 1, TAIL);
  await assert.rejects(complete(Key, UploadId, [part], { IfNoneMatch: '*' }), { name: 'PreconditionFailed' });
  assert.equal((await whole(Key)).text, 'there');
});

test('an upload that is not there, or of another key', async () => {
  const UploadId = await begin('mine');
  for (const path of [`/${Bucket}/mine?uploadId=none`, `/${Bucket}/other?uploadId=${UploadId}`]) {
    const answers = [
      await node.raw({ method: 'PUT', path: `${path}&partNumber=1`, body: 'x' }),
      await node.raw({
        method: 'POST',
        path,
        body: '<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>a</ETag></Part></CompleteMultipartUpload>',
      }),
      await node.raw({ method: 'DELETE', path }),
      await node.raw({ path }),
    ];
    for (const answer of answers) assert.deepEqual([answer.status, answer.code], [404, 'NoSuchUpload']);
  }
});

test('part numbers outside 1 … 10000', async () => {
  const UploadId = await begin('numbers');
  for (const number of ['0', '10001', 'x', '-1', '1.5']) {
    const answer = await node.raw({
      method: 'PUT',
      path: `/${Bucket}/numbers?uploadId=${UploadId}&partNumber=${number}`,
      body: 'x',
    });
    assert.deepEqual([answer.status, answer.code], [400, 'InvalidArgument'], number);
  }
});

test('Abort removes the upload and its parts', async () => {
  const Key = 'aborted';
  const UploadId = await begin(Key);
  await sendPart(Key, UploadId, 1, TAIL);
  await client.send(new AbortMultipartUploadCommand({ Bucket, Key, UploadId }));
  await assert.rejects(client.send(new ListPartsCommand({ Bucket, Key, UploadId })), { name: 'NoSuchUpload' });
  await assert.rejects(client.send(new AbortMultipartUploadCommand({ Bucket, Key, UploadId })), {
    name: 'NoSuchUpload',
  });
});

test('ListParts by pages', async () => {
  const Key = 'listed';
  const UploadId = await begin(Key, { ChecksumAlgorithm: 'SHA256', StorageClass: 'STANDARD_IA' });
  for (const number of [1, 3, 5]) await sendPart(Key, UploadId, number, TAIL, { ChecksumAlgorithm: 'SHA256' });
  const first = await client.send(new ListPartsCommand({ Bucket, Key, UploadId, MaxParts: 2 }));
  assert.deepEqual(
    first.Parts?.map((part) => part.PartNumber),
    [1, 3],
  );
  assert.deepEqual([first.IsTruncated, first.NextPartNumberMarker, first.MaxParts], [true, '3', 2]);
  assert.deepEqual(
    [first.StorageClass, first.ChecksumAlgorithm, first.Owner?.ID, first.Initiator?.ID],
    ['STANDARD_IA', 'SHA256', 'id-admin', 'id-admin'],
  );
  assert.equal(first.Parts?.[0]?.ChecksumSHA256, createHash('sha256').update(TAIL).digest('base64'));
  assert.equal(first.Parts?.[0]?.Size, TAIL.length);
  const rest = await client.send(
    new ListPartsCommand({ Bucket, Key, UploadId, PartNumberMarker: first.NextPartNumberMarker }),
  );
  assert.deepEqual([rest.Parts?.map((part) => part.PartNumber), rest.IsTruncated], [[5], false]);
});

test('ListMultipartUploads by pages, prefix and delimiter', async () => {
  const bucket = bucketName();
  await client.send(new CreateBucketCommand({ Bucket: bucket }));
  const ids: string[] = [];
  for (const Key of ['a', 'b', 'b', 'c/d', 'c/e']) {
    const { UploadId } = await client.send(new CreateMultipartUploadCommand({ Bucket: bucket, Key }));
    ids.push(UploadId ?? '');
  }
  const all = await client.send(new ListMultipartUploadsCommand({ Bucket: bucket }));
  assert.deepEqual(
    all.Uploads?.map((upload) => upload.Key),
    ['a', 'b', 'b', 'c/d', 'c/e'],
  );
  assert.deepEqual(new Set(all.Uploads?.map((upload) => upload.UploadId)), new Set(ids));
  const seen: string[] = [];
  let marker: { KeyMarker?: string | undefined; UploadIdMarker?: string | undefined } = {};
  for (let more = true; more; ) {
    const page = await client.send(new ListMultipartUploadsCommand({ Bucket: bucket, MaxUploads: 2, ...marker }));
    seen.push(...(page.Uploads?.map((upload) => upload.UploadId ?? '') ?? []));
    marker = { KeyMarker: page.NextKeyMarker, UploadIdMarker: page.NextUploadIdMarker };
    more = page.IsTruncated ?? false;
  }
  assert.deepEqual(
    seen,
    all.Uploads?.map((upload) => upload.UploadId),
  );
  const rolled = await client.send(new ListMultipartUploadsCommand({ Bucket: bucket, Delimiter: '/' }));
  assert.deepEqual(
    rolled.Uploads?.map((upload) => upload.Key),
    ['a', 'b', 'b'],
  );
  assert.deepEqual(
    rolled.CommonPrefixes?.map((item) => item.Prefix),
    ['c/'],
  );
  const prefixed = await client.send(new ListMultipartUploadsCommand({ Bucket: bucket, Prefix: 'c/e' }));
  assert.deepEqual(
    prefixed.Uploads?.map((upload) => upload.Key),
    ['c/e'],
  );
});

test('UploadPartCopy: whole, by range, and what is no range', async () => {
  const Key = 'copied-parts';
  const source = Buffer.concat([PART, TAIL]);
  await client.send(new PutObjectCommand({ Bucket, Key: 'src +é', Body: source }));
  const UploadId = await begin(Key);
  const CopySource = encodeURIComponent(`${Bucket}/src +é`);
  const copy = (PartNumber: number, CopySourceRange?: string) =>
    client.send(new UploadPartCopyCommand({ Bucket, Key, UploadId, PartNumber, CopySource, CopySourceRange }));
  const first = await copy(1);
  const second = await copy(2, 'bytes=10-99');
  await assert.rejects(copy(3, `bytes=0-${source.length}`), { name: 'InvalidRange' });
  for (const range of ['0-2', 'bytes=0', 'bytes=hello-world', 'bytes=0-2,3-5']) {
    await assert.rejects(copy(3, range), { name: 'InvalidArgument' }, range);
  }
  const parts = [first, second].map(({ CopyPartResult }, n) => ({ PartNumber: n + 1, ETag: CopyPartResult?.ETag }));
  assert.equal(parts[1]?.ETag, `"${md5(source.subarray(10, 100)).toString('hex')}"`);
  await complete(Key, UploadId, parts);
  assert.ok((await whole(Key)).body.equals(Buffer.concat([source, source.subarray(10, 100)])));
});

test('GetObjectAttributes: parts by pages, and what a simple object has', async () => {
  const Key = 'attributes';
  const UploadId = await begin(Key, { ChecksumAlgorithm: 'SHA256' });
  const input = { ChecksumAlgorithm: 'SHA256' };
  const parts = [await sendPart(Key, UploadId, 1, PART, input), await sendPart(Key, UploadId, 2, TAIL, input)];
  const done = await complete(Key, UploadId, parts);
  const ObjectAttributes: ObjectAttributes[] = ['ETag', 'Checksum', 'ObjectParts', 'StorageClass', 'ObjectSize'];
  const all = await client.send(new GetObjectAttributesCommand({ Bucket, Key, ObjectAttributes }));
  assert.deepEqual(
    [all.ETag, all.ObjectSize, all.StorageClass, all.Checksum?.ChecksumSHA256, all.Checksum?.ChecksumType],
    [done.ETag?.replaceAll('"', ''), PART.length + TAIL.length, 'STANDARD', done.ChecksumSHA256, 'COMPOSITE'],
  );
  assert.deepEqual(
    all.ObjectParts?.Parts?.map((part) => [part.PartNumber, part.Size, part.ChecksumSHA256]),
    [
      [1, PART.length, parts[0]?.ChecksumSHA256],
      [2, TAIL.length, parts[1]?.ChecksumSHA256],
    ],
  );
  const page = await client.send(
    new GetObjectAttributesCommand({ Bucket, Key, ObjectAttributes: ['ObjectParts'], MaxParts: 1 }),
  );
  const { TotalPartsCount, IsTruncated, NextPartNumberMarker, Parts } = page.ObjectParts ?? {};
  assert.deepEqual([TotalPartsCount, IsTruncated, NextPartNumberMarker, Parts?.length], [2, true, '1', 1]);
  assert.equal(page.ETag, undefined);
  await client.send(new PutObjectCommand({ Bucket, Key: 'simple', Body: 'x' }));
  const simple = await client.send(new GetObjectAttributesCommand({ Bucket, Key: 'simple', ObjectAttributes }));
  assert.deepEqual([simple.ObjectParts, simple.ObjectSize], [undefined, 1]);
  const wrong = await node.raw({
    path: `/${Bucket}/simple?attributes`,
    headers: { 'x-amz-object-attributes': 'Colour' },
  });
  assert.equal(wrong.code, 'InvalidArgument');
});

test('lib-storage uploads a stream in parts', async () => {
  const Body = randomBytes(11 * MIB);
  const Key = 'lib-storage';
  await new Upload({ client, params: { Bucket, Key, Body }, partSize: 5 * MIB, queueSize: 3 }).done();
  assert.ok((await whole(Key)).body.equals(Body));
});

import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { before, describe, test } from 'node:test';
import {
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  type CopyObjectCommandInput,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  HeadObjectCommand,
  PutObjectCommand,
  UploadPartCopyCommand,
} from '@aws-sdk/client-s3';
import { ZringError } from '../../../src/common/errors.ts';
import { parseCopySource } from '../../../src/s3/handlers/copy-source.ts';
import { overrideStore } from '../../support/memory-access.ts';
import { credential } from '../../support/s3-client.ts';
import { bucketName, type Fixture, s3Nodes } from '../../support/s3-fixture.ts';

const BODY = randomBytes((2 << 20) + 5);
const md5 = (bytes: Buffer) => `"${createHash('md5').update(bytes).digest('hex')}"`;

const credentials = [
  credential('admin'),
  credential('writer', [
    { buckets: 'dst*', actions: '*' },
    { buckets: 'src*', actions: 'write' },
  ]),
];
const nodes = await s3Nodes(['a', 'b'], { credentials });
const a = nodes.a as Fixture;
const b = nodes.b as Fixture;

interface Place {
  readonly name: string;
  readonly source: string;
  readonly destination: string;
  /** Owns the destination. */
  readonly node: Fixture;
}

const inside = bucketName('src');
const PLACES: Place[] = [
  { name: 'within a bucket', source: inside, destination: inside, node: a },
  { name: 'to another bucket of the node', source: bucketName('src'), destination: bucketName('dst'), node: a },
  { name: 'from a bucket that another node owns', source: bucketName('src'), destination: bucketName('dst'), node: b },
];

for (const { name, source, destination, node } of PLACES) {
  describe(`copy ${name}`, () => {
    const client = node.client();
    const copy = (input: Partial<CopyObjectCommandInput>) =>
      client.send(
        new CopyObjectCommand({ Bucket: destination, Key: 'copy', CopySource: `${source}/original`, ...input }),
      );
    const head = (Key: string) =>
      client.send(new HeadObjectCommand({ Bucket: destination, Key, ChecksumMode: 'ENABLED' }));
    const read = (Key: string) => node.raw({ path: `/${destination}/${encodeURIComponent(Key)}` });

    before(async () => {
      const owner = a.client();
      await owner.send(new CreateBucketCommand({ Bucket: source }));
      if (destination !== source) await client.send(new CreateBucketCommand({ Bucket: destination }));
      await owner.send(
        new PutObjectCommand({
          Bucket: source,
          Key: 'original',
          Body: BODY,
          ContentType: 'text/x',
          Metadata: { kept: 'yes' },
          StorageClass: 'STANDARD_IA',
          WebsiteRedirectLocation: '/x',
          ChecksumAlgorithm: 'SHA256',
        }),
      );
      for (const [Key, Body] of [
        ['small', 'tiny'],
        ['empty', ''],
        ['odd/+ %é', 'odd'],
      ] as const) {
        await owner.send(new PutObjectCommand({ Bucket: source, Key, Body }));
      }
    });

    test('bytes, ETag, checksum, headers and metadata are the same; the storage class is not', async () => {
      const done = await copy({});
      assert.equal(done.CopyObjectResult?.ETag, md5(BODY));
      assert.equal(done.CopyObjectResult?.ChecksumSHA256, createHash('sha256').update(BODY).digest('base64'));
      const seen = await head('copy');
      assert.deepEqual(
        [seen.ContentType, seen.Metadata, seen.StorageClass, seen.WebsiteRedirectLocation],
        ['text/x', { kept: 'yes' }, undefined, undefined],
      );
      assert.equal(seen.ChecksumSHA256, done.CopyObjectResult?.ChecksumSHA256);
      assert.ok((await read('copy')).body.equals(BODY));
    });

    test('small and empty objects', async () => {
      await copy({ Key: 'small copy', CopySource: `${source}/small` });
      assert.equal((await read('small copy')).text, 'tiny');
      await copy({ Key: 'empty copy', CopySource: `/${source}/empty` });
      assert.deepEqual([(await read('empty copy')).status, (await read('empty copy')).body.length], [200, 0]);
    });

    test('the source name is decoded once; ?versionId=null is the object', async () => {
      await copy({ CopySource: `${source}/${encodeURIComponent('odd/+ %é')}?versionId=null` });
      assert.equal((await read('copy')).text, 'odd');
      await assert.rejects(copy({ CopySource: `${source}/original?versionId=abc` }), { name: 'InvalidArgument' });
    });

    test('REPLACE takes the headers of the request', async () => {
      await copy({
        MetadataDirective: 'REPLACE',
        ContentType: 'text/y',
        Metadata: { other: '1' },
        StorageClass: 'ONEZONE_IA',
      });
      const seen = await head('copy');
      assert.deepEqual([seen.ContentType, seen.Metadata, seen.StorageClass], ['text/y', { other: '1' }, 'ONEZONE_IA']);
      assert.ok((await read('copy')).body.equals(BODY));
      const wrong = copy({ MetadataDirective: 'MERGE' as 'COPY' });
      await assert.rejects(wrong, { name: 'InvalidArgument' });
    });

    test('another checksum can be asked for', async () => {
      const done = await copy({ ChecksumAlgorithm: 'SHA1' });
      assert.equal(done.CopyObjectResult?.ChecksumSHA1, createHash('sha1').update(BODY).digest('base64'));
      assert.equal((await head('copy')).ChecksumSHA1, done.CopyObjectResult?.ChecksumSHA1);
    });

    const CONDITIONS: [input: Partial<CopyObjectCommandInput>, goes: boolean][] = [
      [{ CopySourceIfMatch: md5(BODY) }, true],
      [{ CopySourceIfMatch: '"x"' }, false],
      [{ CopySourceIfNoneMatch: md5(BODY) }, false],
      [{ CopySourceIfNoneMatch: '"x"' }, true],
      [{ CopySourceIfModifiedSince: new Date('2015-01-01') }, true],
      [{ CopySourceIfUnmodifiedSince: new Date('2015-01-01') }, false],
      [{ CopySourceIfMatch: md5(BODY), CopySourceIfUnmodifiedSince: new Date('2015-01-01') }, true],
      [{ CopySourceIfNoneMatch: md5(BODY), CopySourceIfModifiedSince: new Date('2015-01-01') }, false],
    ];
    for (const [input, goes] of CONDITIONS) {
      test(`source condition ${JSON.stringify(input)}`, async () => {
        if (goes) await copy(input);
        else await assert.rejects(copy(input), { name: 'PreconditionFailed' });
      });
    }

    test('conditions on the destination are checked in its commit', async () => {
      await copy({ Key: 'cas', CopySource: `${source}/small` });
      await assert.rejects(copy({ Key: 'cas', IfNoneMatch: '*' }), { name: 'PreconditionFailed' });
      assert.equal((await read('cas')).text, 'tiny');
    });

    test('what is missing is named', async () => {
      await assert.rejects(copy({ CopySource: `${source}/none` }), { name: 'NoSuchKey' });
      await assert.rejects(copy({ CopySource: 'no-such-bucket/none' }), { name: 'NoSuchBucket' });
    });

    test('the source has to be readable with the same credential', async () => {
      const writer = node.client({ accessKey: 'writer' });
      const input = { Bucket: destination, Key: 'stolen', CopySource: `${source}/original` };
      await assert.rejects(writer.send(new CopyObjectCommand(input)), { name: 'AccessDenied' });
    });

    test('x-amz-source-expected-bucket-owner', async () => {
      await copy({ ExpectedSourceBucketOwner: 'id-admin' });
      await assert.rejects(copy({ ExpectedSourceBucketOwner: 'id-other' }), { name: 'AccessDenied' });
    });

    test('UploadPartCopy takes a range from there', async () => {
      const Key = 'assembled';
      const { UploadId } = await client.send(new CreateMultipartUploadCommand({ Bucket: destination, Key }));
      const part = await client.send(
        new UploadPartCopyCommand({
          Bucket: destination,
          Key,
          UploadId,
          PartNumber: 1,
          CopySource: `${source}/original`,
          CopySourceRange: `bytes=1000-${BODY.length - 1}`,
        }),
      );
      const Parts = [{ PartNumber: 1, ETag: part.CopyPartResult?.ETag }];
      await client.send(
        new CompleteMultipartUploadCommand({ Bucket: destination, Key, UploadId, MultipartUpload: { Parts } }),
      );
      assert.ok((await read(Key)).body.equals(BODY.subarray(1000)));
    });
  });
}

test('a copy onto itself has to change something', async () => {
  const client = a.client();
  const Bucket = inside;
  const self = { Bucket, Key: 'self', CopySource: `${Bucket}/self` };
  await client.send(new PutObjectCommand({ Bucket, Key: 'self', Body: 'x', Metadata: { a: '1' } }));
  await assert.rejects(client.send(new CopyObjectCommand(self)), { name: 'InvalidRequest' });
  await client.send(new CopyObjectCommand({ ...self, MetadataDirective: 'REPLACE', Metadata: { b: '2' } }));
  const seen = await client.send(new HeadObjectCommand({ Bucket, Key: 'self' }));
  assert.deepEqual(seen.Metadata, { b: '2' });
  assert.equal((await a.raw({ path: `/${Bucket}/self` })).text, 'x');
});

test('a source whose owner cannot be reached is 503, never NoSuchKey', async (t) => {
  const source = bucketName('src');
  const destination = bucketName('dst');
  await a.client().send(new CreateBucketCommand({ Bucket: source }));
  await b.client().send(new CreateBucketCommand({ Bucket: destination }));
  const record = b.access.catalog.records.get(source);
  assert.ok(record);
  b.access.catalog.records.set(source, { ...record, owner: 'gone' });
  t.after(() => b.access.catalog.records.set(source, record));
  const answer = await b.raw({
    method: 'PUT',
    path: `/${destination}/k`,
    headers: { 'x-amz-copy-source': `${source}/k` },
  });
  assert.equal(answer.status, 503);
  assert.ok(answer.headers['retry-after']);
});

test('a source that is cut while it streams leaves no object', async (t) => {
  const source = bucketName('src');
  const destination = bucketName('dst');
  await a.client().send(new CreateBucketCommand({ Bucket: source }));
  await b.client().send(new CreateBucketCommand({ Bucket: destination }));
  await a.client().send(new PutObjectCommand({ Bucket: source, Key: 'k', Body: BODY }));
  t.after(() => {
    a.access.wrapStore = (store) => store;
  });
  a.access.wrapStore = (store) =>
    overrideStore(store, {
      read(...parameters) {
        const body = store.read(...parameters);
        const push = body.push.bind(body);
        let pieces = 0;
        body.push = (chunk: Buffer | null) => {
          pieces += 1;
          if (pieces === 1) return push(chunk);
          body.destroy(new ZringError('STORAGE_CORRUPT', 'damaged'));
          return false;
        };
        return body;
      },
    });
  const answer = await b.raw({
    method: 'PUT',
    path: `/${destination}/k`,
    headers: { 'x-amz-copy-source': `${source}/k` },
  });
  assert.ok(answer.status >= 500, `${answer.status}`);
  assert.equal((await b.raw({ path: `/${destination}/k` })).status, 404);
});

test('a source that ends early without saying so leaves no object', async (t) => {
  const source = bucketName('src');
  const destination = bucketName('dst');
  await a.client().send(new CreateBucketCommand({ Bucket: source }));
  await b.client().send(new CreateBucketCommand({ Bucket: destination }));
  await a.client().send(new PutObjectCommand({ Bucket: source, Key: 'k', Body: BODY }));
  t.after(() => {
    a.access.wrapStore = (store) => store;
  });
  a.access.wrapStore = (store) =>
    overrideStore(store, { read: (entry) => store.read(entry, { start: 0, end: entry.size - 2 }) });
  const headers = { 'x-amz-copy-source': `${source}/k` };
  const answer = await b.raw({ method: 'PUT', path: `/${destination}/k`, headers });
  assert.equal(answer.status, 500);
  assert.equal((await b.raw({ path: `/${destination}/k` })).status, 404);
});

test('a source that is replaced while it is copied is copied as it is then', async (t) => {
  const Bucket = bucketName('src');
  await a.client().send(new CreateBucketCommand({ Bucket }));
  await a.client().send(new PutObjectCommand({ Bucket, Key: 'k', Body: 'old' }));
  let replaced = 0;
  a.access.wrapStore = (store) =>
    overrideStore(store, {
      async copy(request) {
        if (replaced++ === 0) {
          a.access.wrapStore = (inner) => inner;
          await a.client().send(new PutObjectCommand({ Bucket, Key: 'k', Body: 'new' }));
        }
        return store.copy(request);
      },
    });
  t.after(() => {
    a.access.wrapStore = (store) => store;
  });
  await a.client().send(new CopyObjectCommand({ Bucket, Key: 'copy', CopySource: `${Bucket}/k` }));
  assert.deepEqual([(await a.raw({ path: `/${Bucket}/copy` })).text, replaced], ['new', 2]);
});

const NAMES: [header: string, bucket: string, key: string, version?: string | null][] = [
  ['bkt/key', 'bkt', 'key'],
  ['/bkt/key', 'bkt', 'key'],
  ['bkt/a/b//c', 'bkt', 'a/b//c'],
  ['bkt%2Fkey', 'bkt', 'key'],
  ['bkt/a%2520b', 'bkt', 'a%20b'],
  ['bkt/a+b', 'bkt', 'a+b'],
  ['bkt/a?b', 'bkt', 'a?b'],
  ['bkt/a%3FversionId=x', 'bkt', 'a?versionId=x'],
  ['bkt/key?versionId=null', 'bkt', 'key', null],
  [`bkt/a%3Fb?versionId=${'0a'.repeat(16)}`, 'bkt', 'a?b', '0a'.repeat(16)],
];
for (const [header, bucket, key, version] of NAMES) {
  const expected = { bucket, key, ...(version === undefined ? {} : { version }) };
  test(`copy source ${header}`, () => assert.deepEqual(parseCopySource(header), expected));
}
for (const header of ['', 'bkt', '/bkt', 'bkt/', '/', 'bkt/%zz', 'bkt/key?versionId=1', 'BAD/key']) {
  test(`copy source '${header}' is refused`, () => assert.throws(() => parseCopySource(header)));
}

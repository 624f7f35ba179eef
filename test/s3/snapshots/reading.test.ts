// A bucket's past through S3, over real ownership and stores: what is read, listed, copied back, refused, and by whom.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import {
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  DeleteBucketCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  DeletePublicAccessBlockCommand,
  GetObjectCommand,
  GetObjectTaggingCommand,
  HeadObjectCommand,
  ListObjectsCommand,
  ListObjectsV2Command,
  ListObjectVersionsCommand,
  PutBucketPolicyCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
  UploadPartCopyCommand,
} from '@aws-sdk/client-s3';
import { TestCluster } from '../../ownership/cluster.ts';
import { credential, startTestNode } from '../../support/s3-client.ts';
import { bucketName } from '../../support/s3-fixture.ts';

const cluster = await TestCluster.start(['a']);
const { access, snapshots } = cluster.own('a');
const rule = (actions: string) => [{ buckets: '*', actions }];
const node = await startTestNode({
  access,
  self: 'a',
  credentials: [credential('admin'), credential('reader', rule('read')), credential('stranger', [])],
});
after(async () => {
  await node.close();
  await cluster.stop();
});
const s3 = node.client();
const PAST = '.zfs/snapshot';

const put = (Bucket: string, Key: string, Body: string, more: object = {}) =>
  s3.send(new PutObjectCommand({ Bucket, Key, Body, ...more }));
const textOf = async (Bucket: string, Key: string) =>
  (await s3.send(new GetObjectCommand({ Bucket, Key }))).Body?.transformToString();

/** With the snapshot `one`, and everything in it changed or gone since. */
async function changed(): Promise<string> {
  const Bucket = bucketName('past');
  await s3.send(new CreateBucketCommand({ Bucket }));
  await put(Bucket, 'a/1', 'one of then', { Tagging: 'k=v', Metadata: { m: 'then' } });
  await put(Bucket, 'a/2', 'x'.repeat(200_000));
  await put(Bucket, 'b', 'b of then');
  await snapshots.create(Bucket, 'one');
  await put(Bucket, 'a/1', 'one of now');
  await s3.send(new DeleteObjectCommand({ Bucket, Key: 'a/2' }));
  await put(Bucket, 'c', 'c of now');
  return Bucket;
}

test('objects are read as they were, and the present is as it is', async () => {
  const Bucket = await changed();
  const found = await s3.send(new GetObjectCommand({ Bucket, Key: `${PAST}/one/a/1` }));
  assert.equal(await found.Body?.transformToString(), 'one of then');
  assert.deepEqual(found.Metadata, { m: 'then' });
  assert.equal(await textOf(Bucket, `${PAST}/one/a/2`), 'x'.repeat(200_000));
  const part = await s3.send(new GetObjectCommand({ Bucket, Key: `${PAST}/one/b`, Range: 'bytes=5-8' }));
  assert.deepEqual([await part.Body?.transformToString(), part.ContentRange], ['then', 'bytes 5-8/9']);
  const head = await s3.send(new HeadObjectCommand({ Bucket, Key: `${PAST}/one/a/2` }));
  assert.equal(head.ContentLength, 200_000);
  const tags = await s3.send(new GetObjectTaggingCommand({ Bucket, Key: `${PAST}/one/a/1` }));
  assert.deepEqual(tags.TagSet, [{ Key: 'k', Value: 'v' }]);
  assert.equal(await textOf(Bucket, 'a/1'), 'one of now');
  await assert.rejects(textOf(Bucket, 'a/2'), { name: 'NoSuchKey' });
  await assert.rejects(textOf(Bucket, `${PAST}/one/c`), { name: 'NoSuchKey' });
});

test('what is not there is 404 with its key', async () => {
  const Bucket = await changed();
  for (const key of ['never/b', 'one/none', 'one/', 'one', '', '/b', 'zring-x/b', 'one/../b', '%40/b']) {
    const answer = await node.raw({ path: `/${Bucket}/${PAST}/${key}` });
    assert.deepEqual([answer.status, answer.code], [404, 'NoSuchKey'], key);
    const [, shown] = /<Key>(.*)<\/Key>/.exec(answer.text) ?? [];
    assert.equal(shown, decodeURIComponent(`${PAST}/${key}`));
  }
});

test('snapshots are listed as folders, a page at a time, and hidden from every other listing', async () => {
  const Bucket = await changed();
  for (const name of ['two', 'Three', 'four']) await snapshots.create(Bucket, name);
  const folders: (string | undefined)[] = [];
  let token: string | undefined;
  let pages = 0;
  do {
    const page = await s3.send(
      new ListObjectsV2Command({ Bucket, Prefix: `${PAST}/`, Delimiter: '/', MaxKeys: 2, ContinuationToken: token }),
    );
    assert.equal(page.Contents, undefined);
    folders.push(...(page.CommonPrefixes ?? []).map(({ Prefix }) => Prefix));
    token = page.NextContinuationToken;
    pages += 1;
  } while (token);
  assert.deepEqual(
    folders,
    ['Three', 'four', 'one', 'two'].map((name) => `${PAST}/${name}/`),
  );
  assert.equal(pages, 2);
  const some = await s3.send(new ListObjectsCommand({ Bucket, Prefix: `${PAST}/t`, Delimiter: '/' }));
  assert.deepEqual(some.CommonPrefixes, [{ Prefix: `${PAST}/two/` }]);
  await assert.rejects(s3.send(new ListObjectsV2Command({ Bucket, Prefix: `${PAST}/` })), { name: 'InvalidArgument' });
  for (const Prefix of [undefined, '.', '.zfs', '.zfs/', '.zfs/snapshot']) {
    for (const Delimiter of [undefined, '/']) {
      const page = await s3.send(new ListObjectsV2Command({ Bucket, Prefix, Delimiter }));
      const shown = [...(page.Contents ?? []).map(({ Key }) => Key), ...(page.CommonPrefixes ?? [])];
      assert.deepEqual(JSON.stringify(shown).includes('.zfs'), false, `${Prefix} ${Delimiter}`);
    }
  }
});

test('a snapshot is listed as the bucket was, page by page, with every kind of bound', async () => {
  const Bucket = await changed();
  const Prefix = `${PAST}/one/`;
  const list = (more: object) => s3.send(new ListObjectsV2Command({ Bucket, Prefix, ...more }));
  const keys = (page: { Contents?: { Key?: string | undefined }[] | undefined }) =>
    (page.Contents ?? []).map(({ Key }) => Key);
  const all = ['a/1', 'a/2', 'b'].map((key) => Prefix + key);
  assert.deepEqual(keys(await list({})), all);
  const first = await list({ MaxKeys: 1 });
  assert.deepEqual([keys(first), first.IsTruncated], [[all[0]], true]);
  assert.deepEqual(keys(await list({ ContinuationToken: first.NextContinuationToken })), all.slice(1));
  const folders = await list({ Delimiter: '/' });
  assert.deepEqual([folders.CommonPrefixes, keys(folders)], [[{ Prefix: `${Prefix}a/` }], [`${Prefix}b`]]);
  assert.deepEqual(keys(await list({ StartAfter: `${Prefix}a/1` })), all.slice(1));
  assert.deepEqual(keys(await list({ StartAfter: 'A' })), [], 'behind everything that begins with a dot');
  assert.deepEqual(keys(await list({ StartAfter: '' })), all);
  assert.deepEqual(keys(await list({ Prefix: `${Prefix}a/` })), all.slice(0, 2));
  const v1 = await s3.send(new ListObjectsCommand({ Bucket, Prefix, Marker: `${Prefix}a/2` }));
  assert.deepEqual(keys(v1), [all[2]]);
  assert.deepEqual(keys(await list({ Prefix: `${PAST}/never/` })), []);
});

test('objects come back by a copy, whole and in parts, and leave for another bucket', async () => {
  const Bucket = await changed();
  const CopySource = `${Bucket}/${PAST}/one/a/2`;
  await s3.send(new CopyObjectCommand({ Bucket, Key: 'a/2', CopySource }));
  assert.equal(await textOf(Bucket, 'a/2'), 'x'.repeat(200_000));
  await s3.send(new CopyObjectCommand({ Bucket, Key: 'a/1', CopySource: `${Bucket}/${PAST}/one/a/1` }));
  const back = await s3.send(new GetObjectCommand({ Bucket, Key: 'a/1' }));
  assert.deepEqual(
    [await back.Body?.transformToString(), back.Metadata, back.TagCount],
    ['one of then', { m: 'then' }, 1],
  );
  const Other = bucketName('other');
  await s3.send(new CreateBucketCommand({ Bucket: Other }));
  await s3.send(new CopyObjectCommand({ Bucket: Other, Key: 'b', CopySource: `${Bucket}/${PAST}/one/b` }));
  assert.equal(await textOf(Other, 'b'), 'b of then');
  const { UploadId } = await s3.send(new CreateMultipartUploadCommand({ Bucket, Key: 'parts' }));
  const asked = { Bucket, Key: 'parts', UploadId, PartNumber: 1, CopySource, CopySourceRange: 'bytes=0-99' };
  const { CopyPartResult } = await s3.send(new UploadPartCopyCommand(asked));
  const Parts = [{ PartNumber: 1, ETag: CopyPartResult?.ETag }];
  await s3.send(new CompleteMultipartUploadCommand({ Bucket, Key: 'parts', UploadId, MultipartUpload: { Parts } }));
  assert.equal(await textOf(Bucket, 'parts'), 'x'.repeat(100));
  await assert.rejects(s3.send(new CopyObjectCommand({ Bucket, Key: 'k', CopySource: `${Bucket}/${PAST}/never/b` })), {
    name: 'NoSuchKey',
  });
});

test('the past cannot be changed', async () => {
  const Bucket = await changed();
  const path = `/${Bucket}/${PAST}/one/b`;
  const writes: [method: string, query: string][] = [
    ['PUT', ''],
    ['DELETE', ''],
    ['PUT', '?tagging'],
    ['DELETE', '?tagging'],
    ['PUT', '?acl'],
    ['POST', '?uploads'],
    ['PUT', '?partNumber=1&uploadId=x'],
    ['PUT', '?renameObject'],
  ];
  for (const [method, query] of writes) {
    const headers = query === '?renameObject' ? { 'x-amz-rename-source': 'c' } : {};
    const answer = await node.raw({
      method,
      path: path + query,
      headers,
      ...(method === 'PUT' ? { body: 'new' } : {}),
    });
    assert.deepEqual([answer.status, answer.code], [405, 'MethodNotAllowed'], `${method} ${query}`);
  }
  const Objects = [{ Key: `${PAST}/one/b` }, { Key: 'a/1' }];
  const { Deleted, Errors } = await s3.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects } }));
  assert.deepEqual(Deleted, [{ Key: 'a/1' }]);
  assert.deepEqual(
    Errors?.map(({ Key, Code }) => [Key, Code]),
    [[`${PAST}/one/b`, 'MethodNotAllowed']],
  );
  assert.equal(await textOf(Bucket, `${PAST}/one/b`), 'b of then');
  assert.equal(await textOf(Bucket, 'c'), 'c of now');
});

test('versions of a snapshot are those of then', async () => {
  const Bucket = bucketName('versions');
  await s3.send(new CreateBucketCommand({ Bucket }));
  await s3.send(new PutBucketVersioningCommand({ Bucket, VersioningConfiguration: { Status: 'Enabled' } }));
  const { VersionId: first } = await put(Bucket, 'k', 'first');
  await put(Bucket, 'k', 'second');
  await snapshots.create(Bucket, 'one');
  await s3.send(new DeleteObjectCommand({ Bucket, Key: 'k', VersionId: first }));
  await s3.send(new DeleteObjectCommand({ Bucket, Key: 'k' }));
  const Key = `${PAST}/one/k`;
  const old = await s3.send(new GetObjectCommand({ Bucket, Key, VersionId: first }));
  assert.equal(await old.Body?.transformToString(), 'first');
  assert.equal(await textOf(Bucket, Key), 'second');
  const listed = await s3.send(new ListObjectVersionsCommand({ Bucket, Prefix: `${PAST}/one/` }));
  assert.deepEqual([listed.Versions, listed.DeleteMarkers], [undefined, undefined], 'no listing of versions there');
});

test('who may read versions may read the past; a policy speaks of the key inside', async () => {
  const Bucket = await changed();
  const get = (key: string, accessKey?: string) =>
    node.raw({ path: `/${Bucket}/${key}`, ...(accessKey ? { accessKey } : { sign: false }) });
  const list = (accessKey: string) =>
    node.raw({ path: `/${Bucket}?list-type=2&prefix=${encodeURIComponent(`${PAST}/one/`)}`, accessKey });
  assert.equal((await get(`${PAST}/one/b`, 'reader')).status, 200, 'by a rule');
  assert.equal((await list('reader')).status, 200);
  assert.equal((await get(`${PAST}/one/b`, 'stranger')).code, 'AccessDenied');
  assert.equal((await list('stranger')).code, 'AccessDenied');
  for (const accessKey of [undefined, 'stranger']) {
    for (const name of ['one', 'never']) {
      assert.equal(
        (await get(`${PAST}/${name}/b`, accessKey)).code,
        'AccessDenied',
        `${name}: no word of which there are`,
      );
    }
  }

  await s3.send(new DeletePublicAccessBlockCommand({ Bucket }));
  const policy = (...Statement: object[]) =>
    s3.send(new PutBucketPolicyCommand({ Bucket, Policy: JSON.stringify({ Version: '2012-10-17', Statement }) }));
  const statement = (Effect: string, Action: string | string[], key: string) => ({
    Effect,
    Principal: '*',
    Action,
    Resource: `arn:aws:s3:::${Bucket}${key}`,
  });
  await policy(statement('Allow', 's3:GetObject', '/*'), statement('Allow', 's3:ListBucket', ''));
  assert.equal((await get('b')).status, 200, 'the present is public');
  assert.equal((await get(`${PAST}/one/b`)).code, 'AccessDenied', 'the past is not');
  assert.equal((await list('stranger')).code, 'AccessDenied');

  const both = ['s3:GetObject', 's3:GetObjectVersion'];
  await policy(statement('Allow', both, '/*'), statement('Deny', 's3:GetObject', '/a/*'));
  assert.equal((await get(`${PAST}/one/b`)).text, 'b of then');
  assert.equal((await get(`${PAST}/one/a/1`)).code, 'AccessDenied', 'denied by its key inside, in the present');
  assert.equal((await get(`${PAST}/one/a/1`, 'reader')).code, 'AccessDenied', 'a deny is stronger than a rule');
  assert.equal((await get(`${PAST}/never/b`)).code, 'AccessDenied', 'who may not list hears of nothing missing');
  await policy(statement('Allow', both, `/${PAST}/one/*`));
  assert.equal((await get(`${PAST}/one/b`)).code, 'AccessDenied', 'the outer key means nothing');
  await policy(statement('Allow', 's3:ListBucketVersions', ''));
  assert.equal((await list('stranger')).status, 200);
  await policy(statement('Deny', 's3:ListBucket', ''));
  assert.equal((await list('reader')).code, 'AccessDenied');

  const copy = (accessKey: string) =>
    node.raw({
      method: 'PUT',
      path: `/${Bucket}/mine`,
      headers: { 'x-amz-copy-source': `/${Bucket}/${PAST}/one/b` },
      accessKey,
    });
  await policy(statement('Allow', ['s3:PutObject', 's3:GetObject'], '/*'));
  assert.equal((await copy('stranger')).code, 'AccessDenied', 'a copy is a reading too');
  await policy(statement('Allow', ['s3:PutObject', 's3:GetObjectVersion'], '/*'));
  assert.equal((await copy('stranger')).status, 200);
});

test('a bucket with snapshots is not deleted, and says why', async () => {
  const Bucket = bucketName('kept');
  await s3.send(new CreateBucketCommand({ Bucket }));
  await snapshots.create(Bucket, 'one');
  await assert.rejects(s3.send(new DeleteBucketCommand({ Bucket })), { name: 'BucketNotEmpty', message: /snapshots/ });
  await snapshots.destroy(Bucket, 'one');
  await s3.send(new DeleteBucketCommand({ Bucket }));
});

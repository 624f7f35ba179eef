import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  DeleteBucketTaggingCommand,
  DeleteObjectCommand,
  DeleteObjectTaggingCommand,
  GetBucketTaggingCommand,
  GetObjectCommand,
  GetObjectTaggingCommand,
  HeadObjectCommand,
  PutBucketTaggingCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
  PutObjectTaggingCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { credential } from '../../support/s3-client.ts';
import { bucketName, s3Fixture } from '../../support/s3-fixture.ts';

const node = await s3Fixture({
  credentials: [credential('admin'), credential('other', [{ buckets: 'none', actions: 'create' }])],
});
const client = node.client();

async function newBucket(): Promise<string> {
  const Bucket = bucketName();
  await client.send(new CreateBucketCommand({ Bucket }));
  return Bucket;
}

const AB = [
  { Key: 'a', Value: '1' },
  { Key: 'b', Value: '' },
];

async function objectTagsOf(Bucket: string, Key: string, VersionId?: string) {
  return (await client.send(new GetObjectTaggingCommand({ Bucket, Key, VersionId }))).TagSet;
}

describe('buckets', () => {
  test('put, get, replace, delete', async () => {
    const Bucket = await newBucket();
    const get = () => client.send(new GetBucketTaggingCommand({ Bucket }));
    await assert.rejects(get(), { name: 'NoSuchTagSet' });
    const put = await client.send(new PutBucketTaggingCommand({ Bucket, Tagging: { TagSet: AB } }));
    assert.equal(put.$metadata.httpStatusCode, 204);
    assert.deepEqual((await get()).TagSet, AB);
    const TagSet = [{ Key: 'c', Value: '3' }];
    await client.send(new PutBucketTaggingCommand({ Bucket, Tagging: { TagSet } }));
    assert.deepEqual((await get()).TagSet, TagSet);
    await client.send(new DeleteBucketTaggingCommand({ Bucket }));
    const gone = await node.raw({ path: `/${Bucket}?tagging` });
    assert.deepEqual([gone.status, gone.code], [404, 'NoSuchTagSet']);
    const again = await node.raw({ method: 'DELETE', path: `/${Bucket}?tagging` });
    assert.equal(again.status, 204);
  });

  test('a set that is refused changes nothing', async () => {
    const Bucket = await newBucket();
    await client.send(new PutBucketTaggingCommand({ Bucket, Tagging: { TagSet: AB } }));
    const TagSet = Array.from({ length: 51 }, (_, index) => ({ Key: `k${index}`, Value: '' }));
    await assert.rejects(client.send(new PutBucketTaggingCommand({ Bucket, Tagging: { TagSet } })), {
      name: 'InvalidTag',
    });
    assert.deepEqual((await client.send(new GetBucketTaggingCommand({ Bucket }))).TagSet, AB);
  });

  test('CreateBucket brings its own', async () => {
    const Bucket = bucketName();
    await client.send(new CreateBucketCommand({ Bucket, CreateBucketConfiguration: { Tags: AB } }));
    assert.deepEqual((await client.send(new GetBucketTaggingCommand({ Bucket }))).TagSet, AB);
    const refused = bucketName();
    const Tags = [{ Key: 'aws:x', Value: '' }];
    await assert.rejects(
      client.send(new CreateBucketCommand({ Bucket: refused, CreateBucketConfiguration: { Tags } })),
      { name: 'InvalidTag' },
    );
    assert.equal((await node.raw({ method: 'HEAD', path: `/${refused}` })).status, 404);
  });
});

describe('objects', () => {
  test('put, get, count, delete: the object itself stays what it was', async () => {
    const Bucket = await newBucket();
    const object = { Bucket, Key: 'k' };
    await client.send(new PutObjectCommand({ ...object, Body: 'body', Metadata: { m: '1' } }));
    assert.deepEqual(await objectTagsOf(Bucket, 'k'), []);
    const before = await client.send(new HeadObjectCommand(object));
    assert.equal(before.TagCount, undefined);
    await client.send(new PutObjectTaggingCommand({ ...object, Tagging: { TagSet: [...AB].reverse() } }));
    assert.deepEqual(await objectTagsOf(Bucket, 'k'), AB);
    const after = await client.send(new HeadObjectCommand(object));
    assert.equal(after.TagCount, 2);
    assert.deepEqual(
      [after.ETag, after.LastModified, after.Metadata],
      [before.ETag, before.LastModified, before.Metadata],
    );
    assert.equal((await client.send(new GetObjectCommand(object))).TagCount, 2);
    const deleted = await client.send(new DeleteObjectTaggingCommand(object));
    assert.equal(deleted.$metadata.httpStatusCode, 204);
    assert.deepEqual(await objectTagsOf(Bucket, 'k'), []);
    assert.equal((await client.send(new HeadObjectCommand(object))).TagCount, undefined);
  });

  test('a set that is refused changes nothing', async () => {
    const Bucket = await newBucket();
    await client.send(new PutObjectCommand({ Bucket, Key: 'k', Body: '', Tagging: 'a=1&b' }));
    const TagSet = Array.from({ length: 11 }, (_, index) => ({ Key: `k${index}`, Value: '' }));
    await assert.rejects(client.send(new PutObjectTaggingCommand({ Bucket, Key: 'k', Tagging: { TagSet } })), {
      name: 'InvalidTag',
    });
    const malformed = await node.raw({ method: 'PUT', path: `/${Bucket}/k?tagging`, body: '<Tagging/>' });
    assert.deepEqual([malformed.status, malformed.code], [400, 'MalformedXML']);
    assert.deepEqual(await objectTagsOf(Bucket, 'k'), AB);
  });

  test('an upload brings its own; the next one has none', async () => {
    const Bucket = await newBucket();
    await client.send(new PutObjectCommand({ Bucket, Key: 'k', Body: '', Tagging: 'b&a=1' }));
    assert.deepEqual(await objectTagsOf(Bucket, 'k'), AB);
    await client.send(new PutObjectCommand({ Bucket, Key: 'k', Body: '' }));
    assert.deepEqual(await objectTagsOf(Bucket, 'k'), []);
    await assert.rejects(client.send(new PutObjectCommand({ Bucket, Key: 'new', Body: '', Tagging: 'a=1&a=2' })), {
      name: 'InvalidArgument',
    });
    assert.equal((await node.raw({ method: 'HEAD', path: `/${Bucket}/new` })).status, 404);
  });

  test('a copy takes them along, or new ones', async () => {
    const Bucket = await newBucket();
    const source = { Bucket, CopySource: `${Bucket}/k` };
    await client.send(new PutObjectCommand({ Bucket, Key: 'k', Body: 'x', Tagging: 'a=1&b' }));
    await client.send(new CopyObjectCommand({ ...source, Key: 'copy' }));
    assert.deepEqual(await objectTagsOf(Bucket, 'copy'), AB);
    await client.send(new CopyObjectCommand({ ...source, Key: 'new', TaggingDirective: 'REPLACE', Tagging: 'c=3' }));
    assert.deepEqual(await objectTagsOf(Bucket, 'new'), [{ Key: 'c', Value: '3' }]);
    await client.send(new CopyObjectCommand({ ...source, Key: 'none', TaggingDirective: 'REPLACE' }));
    assert.deepEqual(await objectTagsOf(Bucket, 'none'), []);
    const other = await newBucket();
    await client.send(new CopyObjectCommand({ Bucket: other, Key: 'k', CopySource: `${Bucket}/k` }));
    assert.deepEqual(await objectTagsOf(other, 'k'), AB);
    const headers = { 'x-amz-copy-source': `/${Bucket}/k`, 'x-amz-tagging-directive': 'MOVE' };
    const unknown = await node.raw({ method: 'PUT', path: `/${Bucket}/bad`, headers });
    assert.deepEqual([unknown.status, unknown.code], [400, 'InvalidArgument']);
  });

  test('a multipart upload gives them to its object', async () => {
    const Bucket = await newBucket();
    const object = { Bucket, Key: 'm' };
    const { UploadId } = await client.send(new CreateMultipartUploadCommand({ ...object, Tagging: 'a=1&b' }));
    const part = await client.send(new UploadPartCommand({ ...object, UploadId, PartNumber: 1, Body: 'x' }));
    const Parts = [{ PartNumber: 1, ETag: part.ETag }];
    await client.send(new CompleteMultipartUploadCommand({ ...object, UploadId, MultipartUpload: { Parts } }));
    assert.deepEqual(await objectTagsOf(Bucket, 'm'), AB);
  });

  test('each version has its own', async () => {
    const Bucket = await newBucket();
    const object = { Bucket, Key: 'k' };
    const VersioningConfiguration = { Status: 'Enabled' } as const;
    await client.send(new PutBucketVersioningCommand({ Bucket, VersioningConfiguration }));
    const first = await client.send(new PutObjectCommand({ ...object, Body: '1', Tagging: 'v=1' }));
    const second = await client.send(new PutObjectCommand({ ...object, Body: '2', Tagging: 'v=2' }));
    assert.deepEqual(await objectTagsOf(Bucket, 'k', first.VersionId), [{ Key: 'v', Value: '1' }]);
    const TagSet = [{ Key: 'changed', Value: '1' }];
    const VersionId = first.VersionId;
    const put = await client.send(new PutObjectTaggingCommand({ ...object, VersionId, Tagging: { TagSet } }));
    assert.equal(put.VersionId, VersionId);
    assert.deepEqual(await objectTagsOf(Bucket, 'k', VersionId), TagSet);
    const current = await client.send(new GetObjectTaggingCommand(object));
    assert.deepEqual([current.TagSet, current.VersionId], [[{ Key: 'v', Value: '2' }], second.VersionId]);
    const marker = await client.send(new DeleteObjectCommand(object));
    const behind = await node.raw({ path: `/${Bucket}/k?tagging` });
    assert.deepEqual([behind.status, behind.code], [404, 'NoSuchKey']);
    for (const method of ['GET', 'PUT', 'DELETE']) {
      const path = `/${Bucket}/k?tagging&versionId=${marker.VersionId}`;
      const body = method === 'PUT' ? '<Tagging><TagSet/></Tagging>' : '';
      const refused = await node.raw({ method, path, body });
      assert.deepEqual([method, refused.status, refused.code], [method, 405, 'MethodNotAllowed']);
    }
    const unknown = await node.raw({ path: `/${Bucket}/other?tagging&versionId=${VersionId}` });
    assert.deepEqual([unknown.status, unknown.code], [404, 'NoSuchVersion']);
  });

  test('no object, no tags', async () => {
    const Bucket = await newBucket();
    for (const [method, body] of [
      ['GET', ''],
      ['PUT', '<Tagging><TagSet/></Tagging>'],
      ['DELETE', ''],
    ] as const) {
      const answer = await node.raw({ method, path: `/${Bucket}/none?tagging`, body });
      assert.deepEqual([method, answer.status, answer.code], [method, 404, 'NoSuchKey']);
    }
  });
});

describe('policies', () => {
  function allow(action: string | string[], condition: unknown, Bucket: string) {
    return JSON.stringify({
      Version: '2012-10-17',
      Statement: [
        { Effect: 'Allow', Principal: '*', Action: action, Resource: `arn:aws:s3:::${Bucket}/*`, Condition: condition },
      ],
    });
  }

  async function withPolicy(action: string | string[], condition: unknown): Promise<string> {
    const Bucket = await newBucket();
    await client.send(new PutObjectCommand({ Bucket, Key: 'k', Body: 'x', Tagging: 'team=blue' }));
    const put = await node.raw({ method: 'PUT', path: `/${Bucket}?policy`, body: allow(action, condition, Bucket) });
    assert.ok(put.status < 300, put.text);
    return Bucket;
  }

  test('tags that a request sets, in the document and in the header', async () => {
    const condition = { StringEquals: { 's3:RequestObjectTag/team': 'red' } };
    const Bucket = await withPolicy(['s3:PutObjectTagging', 's3:PutObject'], condition);
    const put = (value: string) => {
      const body = `<Tagging><TagSet><Tag><Key>team</Key><Value>${value}</Value></Tag></TagSet></Tagging>`;
      return node.raw({ method: 'PUT', path: `/${Bucket}/k?tagging`, body, accessKey: 'other' });
    };
    assert.equal((await put('green')).status, 403);
    assert.deepEqual(await objectTagsOf(Bucket, 'k'), [{ Key: 'team', Value: 'blue' }]);
    assert.equal((await put('red')).status, 200);
    assert.deepEqual(await objectTagsOf(Bucket, 'k'), [{ Key: 'team', Value: 'red' }]);
    const upload = (tags: string) => {
      const headers = { 'x-amz-tagging': tags };
      return node.raw({ method: 'PUT', path: `/${Bucket}/new`, body: 'x', headers, accessKey: 'other' });
    };
    assert.equal((await upload('team=green')).status, 403);
    assert.equal((await upload('team=red')).status, 200);
  });

  test('an upload with tags needs the permission to tag', async () => {
    const Bucket = await withPolicy('s3:PutObject', undefined);
    const upload = (headers: Record<string, string>) =>
      node.raw({ method: 'PUT', path: `/${Bucket}/new`, body: 'x', headers, accessKey: 'other' });
    assert.equal((await upload({ 'x-amz-tagging': 'a=1' })).status, 403);
    assert.equal((await upload({})).status, 200);
  });

  test('tags that an object has; their number is for who may read them', async () => {
    const condition = { StringEquals: { 's3:ExistingObjectTag/team': 'blue' } };
    const Bucket = await withPolicy('s3:GetObject', condition);
    const get = () => node.raw({ path: `/${Bucket}/k`, accessKey: 'other' });
    const seen = await get();
    assert.deepEqual([seen.status, seen.headers['x-amz-tagging-count']], [200, undefined]);
    assert.equal((await node.raw({ path: `/${Bucket}/k` })).headers['x-amz-tagging-count'], '1');
    assert.equal((await node.raw({ path: `/${Bucket}/k?tagging`, accessKey: 'other' })).status, 403);
    await client.send(new DeleteObjectTaggingCommand({ Bucket, Key: 'k' }));
    assert.equal((await get()).status, 403);
  });
});

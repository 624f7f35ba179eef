// AWS SDK for JavaScript 3, in this process.
import assert from 'node:assert/strict';
import { createReadStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  CopyObjectCommand,
  CreateBucketCommand,
  DeleteBucketCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  GetObjectTaggingCommand,
  HeadObjectCommand,
  ListBucketsCommand,
  ListObjectsV2Command,
  PutBucketVersioningCommand,
  PutObjectCommand,
  PutObjectTaggingCommand,
  paginateListObjectsV2,
  type S3Client,
} from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import { LARGE, md5, readTree, SMALL, type Subject } from './subject.ts';

const PART = 5 * 1024 * 1024;

export async function sdkSession(subject: Subject): Promise<void> {
  const place = await subject.place('sdk');
  const { sdk: s3, bucket: Bucket } = place;
  await s3.send(new CreateBucketCommand({ Bucket }));
  await place.created();
  await s3.send(new PutObjectCommand({ Bucket, Key: 'small', Body: SMALL, Metadata: { name: 'value' } }));
  // Of a stream it cannot tell the checksum before: aws-chunked with a trailer.
  const ContentLength = SMALL.length;
  await s3.send(
    new PutObjectCommand({ Bucket, Key: 'streamed', Body: createReadStream(subject.files.small), ContentLength }),
  );
  const checked = await s3.send(new HeadObjectCommand({ Bucket, Key: 'streamed', ChecksumMode: 'ENABLED' }));
  assert.ok(checked.ChecksumCRC32, 'the checksum of the trailer is kept');
  await new Upload({ client: s3, params: { Bucket, Key: 'dir/large', Body: LARGE }, partSize: PART }).done();
  const head = await s3.send(new HeadObjectCommand({ Bucket, Key: 'dir/large' }));
  assert.equal(head.ContentLength, LARGE.length);
  assert.match(head.ETag ?? '', /^"[0-9a-f]{32}-3"$/);
  assert.equal(md5(await body(s3, Bucket, 'dir/large')), md5(LARGE));

  const range = await s3.send(new GetObjectCommand({ Bucket, Key: 'dir/large', Range: 'bytes=5242870-5242889' }));
  assert.deepEqual(Buffer.from((await range.Body?.transformToByteArray()) ?? []), LARGE.subarray(5242870, 5242890));
  assert.equal(range.ContentRange, `bytes 5242870-5242889/${LARGE.length}`);
  const list = await s3.send(new ListObjectsV2Command({ Bucket, Delimiter: '/' }));
  assert.deepEqual(
    [list.Contents?.map(({ Key }) => Key), list.CommonPrefixes?.map(({ Prefix }) => Prefix)],
    [['small', 'streamed'], ['dir/']],
  );
  const buckets = await s3.send(new ListBucketsCommand({}));
  assert.ok(buckets.Buckets?.some(({ Name }) => Name === Bucket));

  const files = Object.keys(await readTree(subject.tree)).length;
  assert.equal(await syncTree(s3, Bucket, subject.tree), files);
  assert.equal(await syncTree(s3, Bucket, subject.tree), 0, 'nothing to do the second time');

  await s3.send(new CopyObjectCommand({ Bucket, Key: 'copy', CopySource: `${Bucket}/dir/large` }));
  assert.equal(md5(await body(s3, Bucket, 'copy')), md5(LARGE));
  const TagSet = [{ Key: 'a', Value: 'b c' }];
  await s3.send(new PutObjectTaggingCommand({ Bucket, Key: 'copy', Tagging: { TagSet } }));
  assert.deepEqual((await s3.send(new GetObjectTaggingCommand({ Bucket, Key: 'copy' }))).TagSet, TagSet);
  const url = await getSignedUrl(s3, new GetObjectCommand({ Bucket, Key: 'small' }), { expiresIn: 60 });
  assert.deepEqual((await subject.fetch(url)).body, SMALL);

  await assert.rejects(s3.send(new DeleteBucketCommand({ Bucket })), { name: 'BucketNotEmpty' });
  await s3.send(new DeleteObjectCommand({ Bucket, Key: 'copy' }));
  await empty(s3, Bucket);
  await s3.send(new DeleteBucketCommand({ Bucket }));
  await assert.rejects(s3.send(new GetObjectCommand({ Bucket, Key: 'small' })), { name: 'NoSuchBucket' });
  await place.deleted();
}

export async function sdkVersions(subject: Subject): Promise<void> {
  const place = await subject.place('sdk-versions');
  const { sdk: s3, bucket: Bucket } = place;
  await s3.send(new CreateBucketCommand({ Bucket }));
  await place.created();
  await s3.send(new PutBucketVersioningCommand({ Bucket, VersioningConfiguration: { Status: 'Enabled' } }));
  const Key = 'ü/key';
  const old = await s3.send(new PutObjectCommand({ Bucket, Key, Body: 'old' }));
  await s3.send(new PutObjectCommand({ Bucket, Key, Body: 'new' }));
  assert.equal(String(await body(s3, Bucket, Key, old.VersionId)), 'old');
  // An old version comes back as a copy of it.
  const CopySource = `${Bucket}/${encodeURIComponent(Key)}?versionId=${old.VersionId}`;
  const back = await s3.send(new CopyObjectCommand({ Bucket, Key, CopySource }));
  assert.equal(back.CopySourceVersionId, old.VersionId);
  assert.equal(String(await body(s3, Bucket, Key)), 'old');
  const marker = await s3.send(new DeleteObjectCommand({ Bucket, Key }));
  await assert.rejects(s3.send(new GetObjectCommand({ Bucket, Key })), { name: 'NoSuchKey' });
  await s3.send(new DeleteObjectCommand({ Bucket, Key, VersionId: marker.VersionId }));
  assert.equal((await s3.send(new HeadObjectCommand({ Bucket, Key }))).VersionId, back.VersionId);
}

/** From one owner to another, through a node that is neither. */
export async function copyBetweenOwners(subject: Subject): Promise<void> {
  const { cluster } = subject;
  const names = Array.from({ length: 8 }, (_, i) => `copy-${i}`);
  for (const name of names) await cluster.client('a').send(new CreateBucketCommand({ Bucket: name }));
  const records = await cluster.datasets('a');
  const first = records.find(({ dataset }) => dataset === 'copy-0');
  const second = records.find(({ dataset, owner }) => names.includes(dataset) && owner !== first?.owner);
  assert.ok(first && second, 'eight buckets have at least two owners');
  const entry = cluster.nodes.find(({ id }) => id !== first.owner && id !== second.owner)?.id ?? 'a';
  const s3 = cluster.client(entry);
  const attributes = { ContentType: 'x/y', Metadata: { a: 'b' } };
  await s3.send(new PutObjectCommand({ Bucket: first.dataset, Key: 'läge/ä b', Body: LARGE, ...attributes }));
  const CopySource = `${first.dataset}/${encodeURIComponent('läge/ä b')}`;
  await s3.send(new CopyObjectCommand({ Bucket: second.dataset, Key: 'copy', CopySource }));
  const copy = await s3.send(new GetObjectCommand({ Bucket: second.dataset, Key: 'copy' }));
  assert.equal(md5((await copy.Body?.transformToByteArray()) ?? Buffer.alloc(0)), md5(LARGE));
  assert.deepEqual([copy.ContentType, copy.Metadata], [attributes.ContentType, attributes.Metadata]);
}

/** What programs that synchronise do: compares names and ETags of a listing. @returns how many files it sent. */
async function syncTree(s3: S3Client, Bucket: string, folder: string): Promise<number> {
  const there = new Map<string, string>();
  for await (const page of paginateListObjectsV2({ client: s3, pageSize: 5 }, { Bucket, Prefix: 'tree/' }))
    for (const { Key = '', ETag = '' } of page.Contents ?? []) there.set(Key, ETag);
  const wanted = Object.entries(await readTree(folder)).filter(
    ([name, sum]) => there.get(`tree/${name}`) !== `"${sum}"`,
  );
  for (const [name] of wanted)
    await s3.send(new PutObjectCommand({ Bucket, Key: `tree/${name}`, Body: await readFile(join(folder, name)) }));
  return wanted.length;
}

/** Deletes every object, as a session does that has no other means. */
export async function empty(s3: S3Client, Bucket: string): Promise<void> {
  const pages = paginateListObjectsV2({ client: s3 }, { Bucket });
  for await (const { Contents = [] } of pages) {
    if (Contents.length === 0) continue;
    const Objects = Contents.map(({ Key = '' }) => ({ Key }));
    const answer = await s3.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects } }));
    assert.equal(answer.Errors, undefined);
  }
}

async function body(s3: S3Client, Bucket: string, Key: string, VersionId?: string): Promise<Buffer> {
  const answer = await s3.send(new GetObjectCommand({ Bucket, Key, VersionId }));
  return Buffer.from((await answer.Body?.transformToByteArray()) ?? []);
}

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PutBucketVersioningCommand, RenameObjectCommand, type RenameObjectCommandInput } from '@aws-sdk/client-s3';
import { credential } from '../../support/s3-client.ts';
import { bucketName, s3Fixture } from '../../support/s3-fixture.ts';

const node = await s3Fixture({
  credentials: [credential('admin'), credential('reader', [{ buckets: '*', actions: 'read' }])],
});
const client = node.client();

async function bucket(): Promise<string> {
  const name = bucketName('rename');
  await node.raw({ method: 'PUT', path: `/${name}` });
  return name;
}

const put = (Bucket: string, key: string, body: string, headers: Record<string, string> = {}) =>
  node.raw({ method: 'PUT', path: `/${Bucket}/${key}`, body, headers });
const get = (Bucket: string, key: string) => node.raw({ path: `/${Bucket}/${key}` });
const rename = (
  Bucket: string,
  source: string,
  key: string,
  headers: Record<string, string> = {},
  accessKey = 'admin',
) =>
  node.raw({
    method: 'PUT',
    path: `/${Bucket}/${key}?renameObject`,
    headers: { 'x-amz-rename-source': source, ...headers },
    accessKey,
  });

test('an object gets another key and stays what it was', async () => {
  const Bucket = await bucket();
  await put(Bucket, 'a%2Fold%20name', 'body', {
    'content-type': 'text/x-own',
    'x-amz-meta-m': '1',
    'x-amz-tagging': 'a=b',
  });
  await put(Bucket, 'new', 'replaced');
  const before = await get(Bucket, 'a%2Fold%20name');
  await client.send(new RenameObjectCommand({ Bucket, Key: 'new', RenameSource: 'a/old%20name' }));
  const after = await get(Bucket, 'new');
  assert.equal(after.text, 'body');
  for (const name of ['etag', 'content-type', 'x-amz-meta-m', 'x-amz-tagging-count']) {
    assert.equal(after.headers[name], before.headers[name], name);
  }
  assert.equal((await get(Bucket, 'a%2Fold%20name')).code, 'NoSuchKey');
});

test('faults leave both keys alone', async () => {
  const Bucket = await bucket();
  await put(Bucket, 'a', 'a');
  await put(Bucket, 'b', 'b');
  const cases: [source: string, headers: Record<string, string>, status: number, code: string][] = [
    ['none', {}, 404, 'NoSuchKey'],
    ['%zz', {}, 400, 'InvalidArgument'],
    ['k'.repeat(1025), {}, 400, 'KeyTooLongError'],
    ['a', { 'if-none-match': '*' }, 412, 'PreconditionFailed'],
    ['a', { 'if-match': '"x"' }, 412, 'PreconditionFailed'],
    ['a', { 'if-unmodified-since': 'Thu, 01 Jan 2015 00:00:00 GMT' }, 412, 'PreconditionFailed'],
    ['a', { 'x-amz-rename-source-if-match': '"x"' }, 412, 'PreconditionFailed'],
    ['a', { 'x-amz-rename-source-if-none-match': '*' }, 412, 'PreconditionFailed'],
    ['a', { 'x-amz-rename-source-if-modified-since': 'Thu, 01 Jan 2099 00:00:00 GMT' }, 412, 'PreconditionFailed'],
    ['a', { 'x-amz-rename-source-if-unmodified-since': 'Thu, 01 Jan 2015 00:00:00 GMT' }, 412, 'PreconditionFailed'],
    ['a', { 'x-amz-client-token': 'with blank' }, 400, 'InvalidArgument'],
  ];
  for (const [source, headers, status, code] of cases) {
    const answer = await rename(Bucket, source, 'b', headers);
    assert.deepEqual([answer.status, answer.code], [status, code], `${source} ${JSON.stringify(headers)}`);
  }
  const missing = await rename(Bucket, 'a', 'none', { 'if-match': '*' });
  assert.deepEqual([missing.status, missing.code], [412, 'PreconditionFailed']);
  const unread = await rename(Bucket, 'a', 'b', {}, 'reader');
  assert.deepEqual([unread.status, unread.code], [403, 'AccessDenied']);
  assert.deepEqual([(await get(Bucket, 'a')).text, (await get(Bucket, 'b')).text], ['a', 'b']);
});

test('conditions that hold', async () => {
  const Bucket = await bucket();
  const { headers } = await put(Bucket, 'a', 'a');
  const DestinationIfNoneMatch = '*';
  const SourceIfMatch = String(headers.etag);
  await client.send(
    new RenameObjectCommand({ Bucket, Key: 'b', RenameSource: 'a', SourceIfMatch, DestinationIfNoneMatch }),
  );
  assert.equal((await get(Bucket, 'b')).text, 'a');
  await rename(Bucket, 'b', 'b');
  assert.equal((await get(Bucket, 'b')).text, 'a', 'onto itself');
});

test('a rename is repeated with its token; the token of another is refused', async () => {
  const Bucket = await bucket();
  await put(Bucket, 'a', 'a');
  const send = (input: Partial<RenameObjectCommandInput>) =>
    client.send(new RenameObjectCommand({ Bucket, Key: 'b', RenameSource: 'a', ClientToken: 'token', ...input }));
  await send({});
  await put(Bucket, 'a', 'another');
  await send({});
  assert.equal((await get(Bucket, 'a')).text, 'another', 'the repeated one does nothing');
  await assert.rejects(send({ Key: 'c' }), { name: 'IdempotencyParameterMismatch' });
  await send({ ClientToken: 'other' });
  assert.equal((await get(Bucket, 'b')).text, 'another');
});

test('where there are versions, they keep their keys', async () => {
  const Bucket = await bucket();
  await put(Bucket, 'a', 'a');
  for (const Status of ['Enabled', 'Suspended'] as const) {
    await client.send(new PutBucketVersioningCommand({ Bucket, VersioningConfiguration: { Status } }));
    const answer = await rename(Bucket, 'a', 'b');
    assert.deepEqual([answer.status, answer.code], [409, 'InvalidBucketState']);
  }
  assert.equal((await get(Bucket, 'a')).text, 'a');
});

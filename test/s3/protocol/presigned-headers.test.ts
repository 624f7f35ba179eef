// Presigned URLs of the AWS SDK, used by a plain HTTP client: what the SDK moved into the query counts.
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import {
  CopyObjectCommand,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  GetObjectCommand,
  HeadObjectCommand,
  PutObjectCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import { bucketName, s3Fixture } from '../../support/s3-fixture.ts';

const node = await s3Fixture();
const Bucket = bucketName();
let client: S3Client;

before(async () => {
  client = node.client();
  await client.send(new CreateBucketCommand({ Bucket }));
});

const EXPIRES = { expiresIn: 60 };

async function use(method: string, url: Promise<string>, body?: string): Promise<Response> {
  return fetch(await url, { method, ...(body === undefined ? {} : { body }) });
}

test('PUT with metadata, and a body that the signer did not know', async () => {
  const answer = await use(
    'PUT',
    getSignedUrl(client, new PutObjectCommand({ Bucket, Key: 'a', Metadata: { color: 'blue' } }), EXPIRES),
    'hello',
  );
  assert.equal(answer.status, 200, await answer.text());
  const head = await client.send(new HeadObjectCommand({ Bucket, Key: 'a' }));
  assert.deepEqual(head.Metadata, { color: 'blue' });
  assert.equal(head.ContentLength, 5);
});

test('GET', async () => {
  const answer = await use(
    'GET',
    getSignedUrl(client, new GetObjectCommand({ Bucket, Key: 'a', ResponseContentType: 'text/x' }), EXPIRES),
  );
  assert.equal(await answer.text(), 'hello');
  assert.equal(answer.headers.get('content-type'), 'text/x');
});

test('a copy is a copy, not an empty object', async () => {
  const answer = await use(
    'PUT',
    getSignedUrl(client, new CopyObjectCommand({ Bucket, Key: 'b', CopySource: `${Bucket}/a` }), EXPIRES),
  );
  assert.equal(answer.status, 200);
  assert.match(await answer.text(), /<CopyObjectResult/);
  assert.equal((await client.send(new HeadObjectCommand({ Bucket, Key: 'b' }))).ContentLength, 5);
});

test('an upload with metadata', async () => {
  const command = new CreateMultipartUploadCommand({ Bucket, Key: 'c', Metadata: { a: '1' } });
  assert.match(await (await use('POST', getSignedUrl(client, command, EXPIRES))).text(), /<UploadId>/);
});

test('what is not built is refused from the query too', async () => {
  for (const command of [
    new PutObjectCommand({ Bucket, Key: 'd', StorageClass: 'GLACIER' }),
    new PutObjectCommand({ Bucket, Key: 'd', WriteOffsetBytes: 1 }),
  ]) {
    const answer = await use('PUT', getSignedUrl(client, command, EXPIRES), 'x');
    assert.equal(answer.status, 501, await answer.text());
  }
});

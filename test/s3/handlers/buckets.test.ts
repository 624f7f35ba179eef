import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  CreateBucketCommand,
  DeleteBucketCommand,
  GetBucketLocationCommand,
  GetBucketVersioningCommand,
  HeadBucketCommand,
  ListBucketsCommand,
  PutObjectCommand,
} from '@aws-sdk/client-s3';
import { credential } from '../../support/s3-client.ts';
import { bucketName, s3Fixture } from '../../support/s3-fixture.ts';

const node = await s3Fixture({
  credentials: [
    credential('admin'),
    credential('other'),
    credential('maker', [{ buckets: '*', actions: 'create' }]),
    credential('limited', [{ buckets: 'limited-*', actions: 'read' }]),
  ],
});
const client = node.client();

test('a bucket is created, seen and deleted', async () => {
  const Bucket = bucketName();
  const created = await client.send(new CreateBucketCommand({ Bucket }));
  assert.equal(created.Location, `/${Bucket}`);
  const head = await client.send(new HeadBucketCommand({ Bucket }));
  assert.equal(head.BucketRegion, 'us-east-1');
  assert.equal((await client.send(new GetBucketLocationCommand({ Bucket }))).LocationConstraint, undefined);
  assert.equal((await client.send(new GetBucketVersioningCommand({ Bucket }))).Status, undefined);
  const deleted = await client.send(new DeleteBucketCommand({ Bucket }));
  assert.equal(deleted.$metadata.httpStatusCode, 204);
  const gone = await node.raw({ path: `/${Bucket}` });
  assert.deepEqual([gone.status, gone.code], [404, 'NoSuchBucket']);
  assert.match(gone.text, new RegExp(`<BucketName>${Bucket}</BucketName>`));
});

test('creating it again: the creator succeeds in us-east-1 and keeps its objects, others get 409', async () => {
  const Bucket = bucketName();
  await client.send(new CreateBucketCommand({ Bucket }));
  await client.send(new PutObjectCommand({ Bucket, Key: 'k', Body: 'x' }));
  await client.send(new CreateBucketCommand({ Bucket }));
  const kept = await node.raw({ path: `/${Bucket}/k` });
  assert.equal(kept.text, 'x');
  const stranger = await node.raw({ method: 'PUT', path: `/${Bucket}`, accessKey: 'other' });
  assert.deepEqual([stranger.status, stranger.code], [409, 'BucketAlreadyExists']);
});

test('a bucket with objects is not deleted', async () => {
  const Bucket = bucketName();
  await client.send(new CreateBucketCommand({ Bucket }));
  await client.send(new PutObjectCommand({ Bucket, Key: 'k', Body: 'x' }));
  const refused = await node.raw({ method: 'DELETE', path: `/${Bucket}` });
  assert.deepEqual([refused.status, refused.code], [409, 'BucketNotEmpty']);
});

const LOCATIONS: [body: string, status: number, code: string | null][] = [
  ['', 200, null],
  ['<CreateBucketConfiguration/>', 200, null],
  [
    '<CreateBucketConfiguration><LocationConstraint>us-east-1</LocationConstraint></CreateBucketConfiguration>',
    200,
    null,
  ],
  ['<CreateBucketConfiguration><LocationConstraint>EU</LocationConstraint></CreateBucketConfiguration>', 200, null],
  [
    '<CreateBucketConfiguration><LocationConstraint>mars-1</LocationConstraint></CreateBucketConfiguration>',
    400,
    'InvalidLocationConstraint',
  ],
  ['<CreateBucketConfiguration><Tags><Tag/></Tags></CreateBucketConfiguration>', 400, 'MalformedXML'],
  ['<Wrong/>', 400, 'MalformedXML'],
  ['<CreateBucketConfiguration>', 400, 'MalformedXML'],
];
for (const [body, status, code] of LOCATIONS) {
  test(`CreateBucket with ${body || 'no body'}: ${code ?? status}`, async () => {
    const answer = await node.raw({ method: 'PUT', path: `/${bucketName()}`, body });
    assert.deepEqual([answer.status, answer.code], [status, code]);
  });
}

test('bucket names are judged before anything else happens', async () => {
  for (const name of [
    'ab',
    'Upper',
    'a..b',
    '192.168.1.1',
    'with_underscore',
    '-start',
    '_zring',
    `${'x'.repeat(64)}`,
  ]) {
    const answer = await node.raw({ method: 'PUT', path: `/${name}` });
    assert.deepEqual([answer.status, answer.code], [400, 'InvalidBucketName'], name);
  }
});

test('HEAD of a missing bucket: the status and a request id, no body', async () => {
  const answer = await node.raw({ method: 'HEAD', path: '/no-such-bucket' });
  assert.equal(answer.status, 404);
  assert.equal(answer.body.length, 0);
  assert.match(String(answer.headers['x-amz-request-id']), /^[0-9A-F]{16}$/);
});

test('ListBuckets: ordered, owned, paged, by prefix and region', async () => {
  const names = ['list-c', 'list-a', 'list-b'];
  for (const Bucket of names) await client.send(new CreateBucketCommand({ Bucket }));
  const all = await client.send(new ListBucketsCommand({ Prefix: 'list-' }));
  assert.deepEqual(
    all.Buckets?.map((bucket) => bucket.Name),
    ['list-a', 'list-b', 'list-c'],
  );
  assert.equal(all.Owner?.ID, 'id-admin');
  assert.equal(all.Prefix, 'list-');
  assert.equal(all.Buckets?.[0]?.BucketRegion, 'us-east-1');
  assert.ok(Math.abs((all.Buckets?.[0]?.CreationDate?.getTime() ?? 0) - Date.now()) < 600_000);
  const pages: string[][] = [];
  let ContinuationToken: string | undefined;
  do {
    const page = await client.send(new ListBucketsCommand({ Prefix: 'list-', MaxBuckets: 2, ContinuationToken }));
    pages.push(page.Buckets?.map((bucket) => bucket.Name ?? '') ?? []);
    ContinuationToken = page.ContinuationToken;
  } while (ContinuationToken);
  assert.deepEqual(pages, [['list-a', 'list-b'], ['list-c']]);
  const elsewhere = await client.send(new ListBucketsCommand({ BucketRegion: 'eu-west-1' }));
  assert.deepEqual(elsewhere.Buckets ?? [], []);
  for (const query of ['max-buckets=0', 'max-buckets=10001', 'max-buckets=x', 'continuation-token=!!!']) {
    const refused = await node.raw({ path: `/?${query}` });
    assert.deepEqual([refused.status, refused.code], [400, 'InvalidArgument'], query);
  }
});

test('ListBuckets shows a credential what its rules cover', async () => {
  await client.send(new CreateBucketCommand({ Bucket: 'limited-1' }));
  const seen = await node.client({ accessKey: 'limited' }).send(new ListBucketsCommand({}));
  assert.deepEqual(
    seen.Buckets?.map((bucket) => bucket.Name),
    ['limited-1'],
  );
});

test("ListBuckets shows a credential what it made; a rule that lets it make buckets shows nobody else's", async () => {
  const mine = bucketName('made');
  await node.access.create(mine, {}, { creator: 'id-maker' });
  await client.send(new CreateBucketCommand({ Bucket: bucketName() }));
  const seen = await node.client({ accessKey: 'maker' }).send(new ListBucketsCommand({}));
  assert.deepEqual(
    seen.Buckets?.map((bucket) => bucket.Name),
    [mine],
  );
  assert.equal(seen.Owner?.ID, 'id-maker');
  const records = node.access.records().records.filter((record) => record.creator === 'id-admin');
  assert.ok(records.length > 0, 'CreateBucket tells who asked');
});

test('ListBuckets asks what has changed before it answers', async (t) => {
  const elsewhere = bucketName('elsewhere');
  const { catalog } = node.access;
  await client.send(new CreateBucketCommand({ Bucket: elsewhere }));
  const record = catalog.records.get(elsewhere);
  assert.ok(record);
  // As if another node had made it and this one had not heard of it yet.
  catalog.records.delete(elsewhere);
  catalog.onFreshen = () => catalog.records.set(elsewhere, record);
  t.after(() => {
    catalog.onFreshen = () => undefined;
  });
  const { Buckets = [] } = await client.send(new ListBucketsCommand({}));
  assert.ok(Buckets.some(({ Name }) => Name === elsewhere));
});

test('ListBuckets says that it is not complete, and who is missing, instead of returning less', async (t) => {
  node.access.catalog.complete = false;
  node.access.catalog.missing = ['node-c'];
  t.after(() => {
    node.access.catalog.complete = true;
  });
  const answer = await node.raw({ path: '/' });
  assert.deepEqual([answer.status, answer.code], [503, 'ServiceUnavailable']);
  assert.match(answer.text, /node-c/);
  assert.ok(answer.headers['retry-after']);
});

test('x-amz-expected-bucket-owner: another owner is refused, for every kind of operation', async () => {
  const Bucket = bucketName();
  await client.send(new CreateBucketCommand({ Bucket }));
  const operations: [method: string, path: string][] = [
    ['GET', `/${Bucket}`],
    ['HEAD', `/${Bucket}`],
    ['PUT', `/${Bucket}/k`],
    ['DELETE', `/${Bucket}/k`],
    ['DELETE', `/${Bucket}`],
  ];
  for (const [method, path] of operations) {
    const wrong = await node.raw({ method, path, headers: { 'x-amz-expected-bucket-owner': 'id-other' } });
    assert.equal(wrong.status, 403, `${method} ${path}`);
  }
  for (const [method, path] of operations) {
    const right = await node.raw({ method, path, headers: { 'x-amz-expected-bucket-owner': 'id-admin' } });
    assert.ok(right.status < 300, `${method} ${path}`);
  }
});

test('in other regions a repeated CreateBucket is BucketAlreadyOwnedByYou and the location is named', async () => {
  const european = await s3Fixture({ region: 'eu-central-1' });
  const Bucket = bucketName();
  const sdk = european.client();
  await sdk.send(new CreateBucketCommand({ Bucket }));
  const again = await european.raw({ method: 'PUT', path: `/${Bucket}` });
  assert.deepEqual([again.status, again.code], [409, 'BucketAlreadyOwnedByYou']);
  const location = await sdk.send(new GetBucketLocationCommand({ Bucket }));
  assert.equal(location.LocationConstraint, 'eu-central-1');
});

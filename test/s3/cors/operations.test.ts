import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  CreateBucketCommand,
  DeleteBucketCorsCommand,
  GetBucketCorsCommand,
  GetBucketRequestPaymentCommand,
  PutBucketCorsCommand,
  PutObjectCommand,
} from '@aws-sdk/client-s3';
import { bucketName, s3Fixture } from '../../support/s3-fixture.ts';

const node = await s3Fixture();
const client = node.client();
const VARY = 'Origin, Access-Control-Request-Headers, Access-Control-Request-Method';

const RULES = [
  {
    ID: 'app',
    AllowedOrigins: ['https://*.example.org'],
    AllowedMethods: ['GET', 'PUT'],
    AllowedHeaders: ['x-amz-*', 'Content-Type'],
    ExposeHeaders: ['ETag'],
    MaxAgeSeconds: 60,
  },
  { AllowedOrigins: ['*'], AllowedMethods: ['HEAD'] },
];

async function newBucket(rules: typeof RULES | null): Promise<string> {
  const Bucket = bucketName();
  await client.send(new CreateBucketCommand({ Bucket }));
  await client.send(new PutObjectCommand({ Bucket, Key: 'k', Body: 'body' }));
  if (rules) await client.send(new PutBucketCorsCommand({ Bucket, CORSConfiguration: { CORSRules: rules } }));
  return Bucket;
}

const withRules = await newBucket(RULES);
const withoutRules = await newBucket(null);

function corsOf(headers: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const named = Object.entries(headers).filter(([name]) => name.startsWith('access-control-') || name === 'vary');
  return Object.fromEntries(named);
}

const APP = {
  'access-control-allow-origin': 'https://a.example.org',
  'access-control-allow-methods': 'GET, PUT',
  'access-control-expose-headers': 'ETag',
  'access-control-max-age': '60',
  'access-control-allow-credentials': 'true',
  vary: VARY,
};
const origin = 'https://a.example.org';

test('rules are put, read, replaced and deleted', async () => {
  const Bucket = await newBucket(RULES);
  const get = () => client.send(new GetBucketCorsCommand({ Bucket }));
  assert.deepEqual((await get()).CORSRules, RULES);
  const CORSRules = [{ AllowedOrigins: ['b'], AllowedMethods: ['DELETE'] }];
  await client.send(new PutBucketCorsCommand({ Bucket, CORSConfiguration: { CORSRules } }));
  assert.deepEqual((await get()).CORSRules, CORSRules);
  const refused = await node.raw({ method: 'PUT', path: `/${Bucket}?cors`, body: '<CORSConfiguration/>' });
  assert.deepEqual([refused.status, refused.code], [400, 'MalformedXML']);
  assert.deepEqual((await get()).CORSRules, CORSRules);
  const deleted = await client.send(new DeleteBucketCorsCommand({ Bucket }));
  assert.equal(deleted.$metadata.httpStatusCode, 204);
  const gone = await node.raw({ path: `/${Bucket}?cors` });
  assert.deepEqual([gone.status, gone.code], [404, 'NoSuchCORSConfiguration']);
});

describe('preflight', () => {
  const ask = (path: string, headers: Record<string, string>) =>
    node.raw({ method: 'OPTIONS', path, headers, sign: false });
  const get = { origin, 'access-control-request-method': 'GET' };

  test('an allowed one, of an object that may not even be there, and of the bucket', async () => {
    for (const path of [`/${withRules}/k`, `/${withRules}/none`, `/${withRules}`]) {
      const answer = await ask(path, { ...get, 'access-control-request-headers': 'X-Amz-Date,  content-type' });
      assert.equal(answer.status, 200, answer.text);
      assert.deepEqual(corsOf(answer.headers), { ...APP, 'access-control-allow-headers': 'x-amz-date, content-type' });
      assert.equal(answer.text, '');
    }
  });

  test('the second rule, for everybody', async () => {
    const answer = await ask(`/${withRules}/k`, { origin: 'null', 'access-control-request-method': 'HEAD' });
    assert.deepEqual(corsOf(answer.headers), {
      'access-control-allow-origin': '*',
      'access-control-allow-methods': 'HEAD',
      vary: VARY,
    });
  });

  test('of a presigned URL, whose signature it does not have', async () => {
    const path = `/${withRules}/k?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=00&X-Amz-Credential=x`;
    assert.equal((await ask(path, get)).status, 200);
  });

  const REFUSED: [
    what: string,
    bucket: string,
    headers: Record<string, string>,
    status: number,
    code: string,
    text: RegExp,
  ][] = [
    ['no origin', withRules, {}, 400, 'BadRequest', /Origin request header needed/],
    ['no method', withRules, { origin }, 400, 'BadRequest', /Invalid Access-Control-Request-Method: null/],
    [
      'a method that no rule can have',
      withRules,
      { origin, 'access-control-request-method': 'PATCH' },
      400,
      'BadRequest',
      /PATCH/,
    ],
    [
      'a bucket without rules',
      withoutRules,
      get,
      403,
      'AccessForbidden',
      /CORSResponse: CORS is not enabled for this bucket/,
    ],
    [
      'another origin',
      withRules,
      { ...get, origin: 'https://example.org' },
      403,
      'AccessForbidden',
      /CORSResponse: This CORS request is not allowed/,
    ],
    [
      'another method',
      withRules,
      { ...get, 'access-control-request-method': 'DELETE' },
      403,
      'AccessForbidden',
      /<Method>DELETE<\/Method><ResourceType>OBJECT</,
    ],
    [
      'another header',
      withRules,
      { ...get, 'access-control-request-headers': 'x-amz-date,range' },
      403,
      'AccessForbidden',
      /not allowed/,
    ],
  ];
  for (const [what, bucket, headers, status, code, text] of REFUSED) {
    test(`${what}: ${status} ${code}`, async () => {
      const answer = await ask(`/${bucket}/k`, headers);
      assert.deepEqual([answer.status, answer.code], [status, code]);
      assert.match(answer.text, text);
      assert.equal(answer.headers['access-control-allow-origin'], undefined);
    });
  }

  test('of a bucket that is not there', async () => {
    const answer = await ask('/no-such-bucket/k', get);
    assert.deepEqual([answer.status, answer.code], [404, 'NoSuchBucket']);
  });
});

describe('actual requests', () => {
  const CASES: [what: string, method: string, path: string, headers: Record<string, string>, status: number][] = [
    ['an object', 'GET', '/k', {}, 200],
    ['a part of it', 'GET', '/k', { range: 'bytes=0-1' }, 206],
    ['not modified', 'GET', '/k', { 'if-none-match': '*' }, 304],
    ['a range beyond it', 'GET', '/k', { range: 'bytes=9-' }, 416],
    ['a condition that does not hold', 'GET', '/k', { 'if-match': '"x"' }, 412],
    ['an object that is not there', 'GET', '/none', {}, 404],
    ['a list', 'GET', '', {}, 200],
    ['an upload', 'PUT', '/new', {}, 200],
    ['an operation that is not built', 'GET', '?website', {}, 501],
  ];
  for (const [what, method, path, headers, status] of CASES) {
    test(what, async () => {
      const answer = await node.raw({ method, path: `/${withRules}${path}`, headers: { origin, ...headers } });
      assert.equal(answer.status, status, answer.text);
      assert.deepEqual(corsOf(answer.headers), APP);
    });
  }

  test('nobody in particular, and a wrong signature', async () => {
    const nobody = await node.raw({ path: `/${withRules}/k`, headers: { origin }, sign: false });
    assert.deepEqual([nobody.status, corsOf(nobody.headers)], [403, APP]);
    const authorization =
      'AWS4-HMAC-SHA256 Credential=nobody/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=00';
    const unknown = await node.raw({ path: `/${withRules}/k`, headers: { origin, authorization }, sign: false });
    assert.deepEqual([unknown.status, corsOf(unknown.headers)], [403, APP]);
  });

  test('an origin or method that no rule has: the answer without them, and Vary', async () => {
    const stranger = await node.raw({ path: `/${withRules}/k`, headers: { origin: 'https://b.org' } });
    assert.deepEqual([stranger.status, corsOf(stranger.headers)], [200, { vary: VARY }]);
    const deleted = await node.raw({ method: 'DELETE', path: `/${withRules}/none`, headers: { origin } });
    assert.deepEqual([deleted.status, corsOf(deleted.headers)], [204, { vary: VARY }]);
    const plain = await node.raw({ path: `/${withRules}/k` });
    assert.deepEqual([plain.status, corsOf(plain.headers)], [200, { vary: VARY }]);
  });

  test('the method that is asked for counts before the one that is used', async () => {
    const headers = { origin, 'access-control-request-method': 'DELETE' };
    const answer = await node.raw({ path: `/${withRules}/k`, headers });
    assert.deepEqual([answer.status, corsOf(answer.headers)], [200, { vary: VARY }]);
  });

  test('a bucket without rules says nothing', async () => {
    const answer = await node.raw({ path: `/${withoutRules}/k`, headers: { origin } });
    assert.deepEqual([answer.status, corsOf(answer.headers)], [200, {}]);
  });

  test('an origin that no header can carry gets the plain answer', async () => {
    const CORSRules = [{ AllowedOrigins: ['*suffix'], AllowedMethods: ['GET'] }];
    const Bucket = await newBucket(null);
    await client.send(new PutBucketCorsCommand({ Bucket, CORSConfiguration: { CORSRules } }));
    const answer = await node.raw({ path: `/${Bucket}/k`, headers: { origin: '漢 suffix' } });
    assert.deepEqual([answer.status, corsOf(answer.headers)], [200, { vary: VARY }]);
  });
});

test('the owner pays', async () => {
  const answer = await client.send(new GetBucketRequestPaymentCommand({ Bucket: withRules }));
  assert.equal(answer.Payer, 'BucketOwner');
  const put = await node.raw({ method: 'PUT', path: `/${withRules}?requestPayment`, body: '<x/>' });
  assert.deepEqual([put.status, put.code], [501, 'NotImplemented']);
});

// What a request may do, over a socket and a real store: owners, strangers and nobody, with policies and blocks.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import http from 'node:http';
import { before, describe, test } from 'node:test';
import aws4 from 'aws4';
import { credential, type RawRequest, type RawResponse } from '../../support/s3-client.ts';
import { bucketName, type Fixture, s3Fixture, s3Nodes } from '../../support/s3-fixture.ts';

const CREATE = [{ buckets: '*', actions: 'create' }];
const credentials = [
  credential('root'),
  credential('ann', CREATE),
  credential('bob', CREATE),
  { ...credential('ann2', CREATE), account: 'id-ann' },
  credential('reader', [{ buckets: '*', actions: 'read' }]),
  credential('writer', [{ buckets: '*', actions: 'write' }]),
];
const tls = await s3Fixture({ credentials, secure: true });
const { a: node, b: other } = (await s3Nodes(['a', 'b'], { credentials })) as { a: Fixture; b: Fixture };

type Who = 'ann' | 'ann2' | 'bob' | 'reader' | 'writer' | 'root' | 'nobody';

function send(who: Who, request: RawRequest, at: Fixture = node): Promise<RawResponse> {
  return at.raw(who === 'nobody' ? { ...request, sign: false } : { ...request, accessKey: who });
}

async function status(who: Who, request: RawRequest): Promise<number> {
  return (await send(who, request)).status;
}

/** A bucket of ann's with the keys `k` and `public/k`. */
async function annsBucket(headers: Record<string, string> = {}, at: Fixture = node): Promise<string> {
  const bucket = bucketName('access');
  await ok(send('ann', { method: 'PUT', path: `/${bucket}`, headers }, at));
  for (const key of ['k', 'public/k']) {
    await ok(send('ann', { method: 'PUT', path: `/${bucket}/${key}`, body: key }, at));
  }
  return bucket;
}

async function ok(answer: Promise<RawResponse>): Promise<RawResponse> {
  const found = await answer;
  assert.ok(found.status < 300, `${found.status} ${found.text}`);
  return found;
}

type Statement = Record<string, unknown>;

function policy(bucket: string, ...statements: Statement[]): string {
  const filled = statements.map((one) => ({
    Effect: 'Allow',
    Principal: '*',
    Resource: [`arn:aws:s3:::${bucket}`, `arn:aws:s3:::${bucket}/*`],
    ...one,
  }));
  return JSON.stringify({ Version: '2012-10-17', Statement: filled });
}

async function setPolicy(bucket: string, ...statements: Statement[]): Promise<void> {
  await ok(send('ann', { method: 'PUT', path: `/${bucket}?policy`, body: policy(bucket, ...statements) }));
}

async function setBlock(bucket: string, ...flags: string[]): Promise<void> {
  const body = `<PublicAccessBlockConfiguration>${flags.map((flag) => `<${flag}>true</${flag}>`).join('')}</PublicAccessBlockConfiguration>`;
  await ok(send('ann', { method: 'PUT', path: `/${bucket}?publicAccessBlock`, body }));
}

describe('rules and owners', () => {
  let bucket = '';
  before(async () => {
    bucket = await annsBucket();
  });

  test('who made a bucket may do everything in it, by a rule that only lets him make it', async () => {
    assert.equal(await status('ann', { path: `/${bucket}/k` }), 200);
    assert.equal(await status('ann', { path: `/${bucket}` }), 200);
    assert.equal(await status('ann', { path: `/${bucket}?policyStatus` }), 200);
  });

  test('somebody else, of the same account too, may do nothing', async () => {
    for (const who of ['bob', 'ann2', 'nobody'] as const) {
      for (const path of [`/${bucket}/k`, `/${bucket}`, `/${bucket}?policy`, `/${bucket}/missing`]) {
        assert.equal(await status(who, { path }), 403, `${who} ${path}`);
      }
      assert.equal(await status(who, { method: 'PUT', path: `/${bucket}/k`, body: 'x' }), 403);
      assert.equal(await status(who, { method: 'DELETE', path: `/${bucket}` }), 403);
    }
    assert.equal((await send('ann', { path: `/${bucket}/k` })).text, 'k');
  });

  test('a rule `create` makes buckets and opens nobody’s', async () => {
    assert.equal(await status('bob', { method: 'PUT', path: `/${bucketName('made')}` }), 200);
    assert.equal(await status('reader', { method: 'PUT', path: `/${bucketName('made')}` }), 403);
    assert.equal(await status('writer', { method: 'PUT', path: `/${bucketName('made')}` }), 200);
    assert.equal(await status('nobody', { method: 'PUT', path: `/${bucketName('made')}` }), 403);
    assert.equal((await send('bob', { method: 'PUT', path: `/${bucket}` })).code, 'BucketAlreadyExists');
  });

  test('`write` does not read, and does not manage permissions', async () => {
    assert.equal(await status('writer', { method: 'PUT', path: `/${bucket}/w`, body: 'x' }), 200);
    assert.equal(await status('writer', { method: 'PUT', path: `/${bucket}?tagging`, body: TAGS }), 204);
    assert.equal(await status('writer', { path: `/${bucket}/w` }), 403);
    for (const sub of ['policy', 'publicAccessBlock', 'acl', 'ownershipControls']) {
      assert.equal(await status('writer', { method: 'PUT', path: `/${bucket}?${sub}`, body: 'x' }), 403, sub);
      assert.notEqual(await status('root', { method: 'PUT', path: `/${bucket}?${sub}`, body: 'x' }), 403, sub);
    }
    assert.equal(await status('writer', { method: 'DELETE', path: `/${bucket}/w` }), 204);
  });

  test('a name that is not there is told to who may list', async () => {
    assert.equal(await status('reader', { path: `/${bucket}/missing` }), 404);
    assert.equal(await status('writer', { method: 'PUT', path: `/${bucket}/missing?tagging`, body: TAGS }), 403);
    assert.equal(await status('ann', { path: `/${bucket}/missing` }), 404);
  });

  test('nobody is refused before a body is taken', async () => {
    const request = http.request({
      host: '127.0.0.1',
      port: node.port,
      method: 'PUT',
      path: `/${bucket}/k`,
      headers: { expect: '100-continue', 'content-length': '5' },
    });
    let continued = false;
    request.on('continue', () => {
      continued = true;
    });
    request.flushHeaders();
    const [response] = (await once(request, 'response')) as [http.IncomingMessage];
    response.resume();
    request.destroy();
    assert.deepEqual([response.statusCode, continued], [403, false]);
  });

  test('headers of an answer are not nobody’s to choose', async () => {
    const answer = await send('nobody', { path: `/${bucket}/k?response-content-type=text/html` });
    assert.deepEqual([answer.status, answer.code], [400, 'InvalidRequest']);
  });

  test('a refused HEAD has no body', async () => {
    const answer = await send('nobody', { method: 'HEAD', path: `/${bucket}/k` });
    assert.deepEqual([answer.status, answer.body.length], [403, 0]);
  });
});

const TAGS = '<Tagging><TagSet><Tag><Key>team</Key><Value>red</Value></Tag></TagSet></Tagging>';

describe('policies', () => {
  test('an Allow lets in whom it names, as far as it says', async () => {
    const bucket = await annsBucket();
    const { account } = credentials[2] ?? {};
    await setPolicy(bucket, {
      Principal: { AWS: `arn:aws:iam::${account}:user/bob` },
      Action: 's3:GetObject',
      Resource: `arn:aws:s3:::${bucket}/public/*`,
    });
    assert.equal(await status('bob', { path: `/${bucket}/public/k` }), 200);
    assert.equal(await status('bob', { path: `/${bucket}/k` }), 403);
    assert.equal(await status('bob', { method: 'DELETE', path: `/${bucket}/public/k` }), 403);
    assert.equal(await status('nobody', { path: `/${bucket}/public/k` }), 403);
    assert.equal(await status('ann2', { path: `/${bucket}/public/k` }), 403);
  });

  test('everybody is nobody too', async () => {
    const bucket = await annsBucket();
    await setPolicy(bucket, { Action: 's3:GetObject' });
    for (const who of ['nobody', 'bob'] as const) {
      assert.equal((await send(who, { path: `/${bucket}/k` })).text, 'k');
      assert.equal(await status(who, { path: `/${bucket}` }), 403);
      // Without s3:ListBucket nobody learns which keys there are.
      assert.equal(await status(who, { path: `/${bucket}/missing` }), 403);
    }
    assert.equal(await status('nobody', { path: `/${bucket}/k?response-content-type=text/html` }), 400);
  });

  test('a Deny goes before rules, owners and Allows, but not before the owner’s hand on the policy', async () => {
    const bucket = await annsBucket();
    await setPolicy(bucket, { Action: 's3:*' }, { Effect: 'Deny', Action: '*' });
    for (const who of ['ann', 'root', 'reader', 'bob', 'nobody'] as const) {
      assert.equal(await status(who, { path: `/${bucket}/k` }), 403, who);
      assert.equal(await status(who, { path: `/${bucket}/missing` }), 403, who);
    }
    for (const who of ['reader', 'writer', 'bob'] as const) {
      assert.equal(await status(who, { path: `/${bucket}?policy` }), 403, who);
      assert.equal(await status(who, { method: 'DELETE', path: `/${bucket}?policy` }), 403, who);
    }
    assert.equal(await status('ann', { path: `/${bucket}?policy` }), 200);
    await setPolicy(bucket, { Effect: 'Deny', Action: '*' });
    assert.equal(await status('root', { method: 'DELETE', path: `/${bucket}?policy` }), 204);
    assert.equal(await status('ann', { path: `/${bucket}/k` }), 200);
  });

  test('who may list some names learns which of them are missing', async () => {
    const bucket = await annsBucket();
    await setPolicy(bucket, { Action: 's3:ListBucket', Condition: { StringLike: { 's3:prefix': 'public/*' } } });
    assert.equal(await status('bob', { path: `/${bucket}/public/missing` }), 404);
    assert.equal(await status('bob', { path: `/${bucket}/private/missing` }), 403);
    // A parameter of the request does not stand for the key.
    assert.equal(await status('bob', { path: `/${bucket}/private/missing?prefix=public%2Fx` }), 403);
    assert.equal(await status('bob', { path: `/${bucket}/public/k` }), 403);
    assert.equal(await status('bob', { path: `/${bucket}?prefix=public%2Fx` }), 200);
    assert.equal(await status('bob', { path: `/${bucket}` }), 403);
  });

  type Asked = Partial<RawRequest> & { readonly query?: string };
  const CONDITIONS: [name: string, condition: Statement, request: Asked, expected: number][] = [
    ['address', { IpAddress: { 'aws:SourceIp': '127.0.0.0/8' } }, {}, 200],
    ['another address', { NotIpAddress: { 'aws:SourceIp': '127.0.0.0/8' } }, {}, 403],
    ['no TLS', { Bool: { 'aws:SecureTransport': 'false' } }, {}, 200],
    ['TLS', { Bool: { 'aws:SecureTransport': 'true' } }, {}, 403],
    ['referer', { StringLike: { 'aws:Referer': 'http://x/*' } }, { headers: { referer: 'http://x/y' } }, 200],
    ['another referer', { StringLike: { 'aws:Referer': 'http://x/*' } }, { headers: { referer: 'http://y/' } }, 403],
    ['user agent', { StringEquals: { 'aws:UserAgent': 'me' } }, { headers: { 'user-agent': 'me' } }, 200],
    ['time', { DateGreaterThan: { 'aws:CurrentTime': '2020-01-01T00:00:00Z' } }, {}, 200],
    ['time past', { DateLessThan: { 'aws:CurrentTime': '2020-01-01T00:00:00Z' } }, {}, 403],
    ['seconds', { NumericGreaterThan: { 'aws:EpochTime': '1577836800' } }, {}, 200],
    ['user', { StringEquals: { 'aws:username': 'bob' } }, {}, 200],
    ['user id', { StringEquals: { 'aws:userid': 'id-bob' } }, {}, 200],
    ['ARN', { ArnEquals: { 'aws:PrincipalArn': 'arn:aws:iam::id-bob:user/bob' } }, {}, 200],
    ['account', { StringEquals: { 'aws:PrincipalAccount': 'id-bob', 's3:ResourceAccount': 'id-ann' } }, {}, 200],
    ['header', { StringEquals: { 's3:authType': 'REST-HEADER' } }, {}, 200],
    ['query', { StringEquals: { 's3:authType': 'REST-QUERY-STRING' } }, {}, 403],
    ['signature', { StringEquals: { 's3:signatureversion': 'AWS4-HMAC-SHA256' } }, {}, 200],
    ['age', { NumericLessThan: { 's3:signatureAge': '600000' } }, {}, 200],
    ['age that is over', { NumericGreaterThan: { 's3:signatureAge': '600000' } }, {}, 403],
    [
      'age by a parameter of the query',
      { NumericGreaterThan: { 's3:signatureAge': '600000' } },
      { query: 'X-Amz-Date=20200101T000000Z' },
      403,
    ],
    ['region', { StringEquals: { 'aws:RequestedRegion': 'us-east-1' } }, {}, 200],
    ['no VPC', { StringEquals: { 'aws:SourceVpc': 'vpc-1' } }, {}, 403],
    ['payload', { StringEquals: { 's3:x-amz-content-sha256': 'UNSIGNED-PAYLOAD' } }, {}, 403],
  ];
  let conditional = '';
  before(async () => {
    conditional = await annsBucket();
  });
  for (const [name, Condition, { query, ...request }, expected] of CONDITIONS) {
    test(`condition: ${name}`, async () => {
      await setPolicy(conditional, { Action: 's3:GetObject', Condition });
      const path = `/${conditional}/k${query === undefined ? '' : `?${query}`}`;
      assert.equal(await status('bob', { ...request, path }), expected);
    });
  }

  const WRITES: [name: string, condition: Statement, headers: Record<string, string>, expected: number][] = [
    [
      'storage class',
      { StringEquals: { 's3:x-amz-storage-class': 'STANDARD_IA' } },
      { 'x-amz-storage-class': 'STANDARD_IA' },
      200,
    ],
    ['no storage class', { StringEquals: { 's3:x-amz-storage-class': 'STANDARD_IA' } }, {}, 403],
    [
      'list',
      { StringEquals: { 's3:x-amz-acl': 'bucket-owner-full-control' } },
      { 'x-amz-acl': 'bucket-owner-full-control' },
      200,
    ],
    ['no list', { StringEquals: { 's3:x-amz-acl': 'bucket-owner-full-control' } }, {}, 403],
    ['first write', { StringEquals: { 's3:if-none-match': '*' } }, { 'if-none-match': '*' }, 200],
    ['not the first', { Null: { 's3:if-none-match': 'true' } }, { 'if-none-match': '*' }, 403],
    ['creation', { Bool: { 's3:ObjectCreationOperation': 'true' } }, {}, 200],
    ['tags', { StringEquals: { 's3:RequestObjectTag/team': 'red' } }, { 'x-amz-tagging': 'team=red' }, 200],
    ['other tags', { StringEquals: { 's3:RequestObjectTag/team': 'red' } }, { 'x-amz-tagging': 'team=blue' }, 403],
    [
      'keys of tags',
      { 'ForAllValues:StringEquals': { 's3:RequestObjectTagKeys': ['team', 'cost'] } },
      { 'x-amz-tagging': 'team=red' },
      200,
    ],
    [
      'other keys of tags',
      { 'ForAllValues:StringEquals': { 's3:RequestObjectTagKeys': ['cost'] } },
      { 'x-amz-tagging': 'team=red' },
      403,
    ],
  ];
  for (const [i, [name, Condition, headers, expected]] of WRITES.entries()) {
    test(`condition of a write: ${name}`, async () => {
      await setPolicy(conditional, { Action: ['s3:PutObject', 's3:PutObjectTagging'], Condition });
      const write = { method: 'PUT', path: `/${conditional}/write-${i}`, body: 'x', headers };
      assert.equal(await status('bob', write), expected);
    });
  }

  test('tags in a header need the permission to set tags', async () => {
    const bucket = await annsBucket();
    await setPolicy(bucket, { Action: 's3:PutObject' });
    const write = { method: 'PUT', path: `/${bucket}/w`, body: 'x' };
    assert.equal(await status('bob', write), 200);
    assert.equal(await status('bob', { ...write, headers: { 'x-amz-tagging': 'a=b' } }), 403);
  });

  test('tags of the object, and tags in the body', async () => {
    const bucket = await annsBucket();
    await ok(send('ann', { method: 'PUT', path: `/${bucket}/k?tagging`, body: TAGS }));
    await setPolicy(
      bucket,
      { Action: 's3:GetObject', Condition: { StringEquals: { 's3:ExistingObjectTag/team': 'red' } } },
      { Action: 's3:PutObjectTagging', Condition: { StringEquals: { 's3:RequestObjectTag/team': 'blue' } } },
    );
    assert.equal(await status('bob', { path: `/${bucket}/k` }), 200);
    assert.equal(await status('bob', { path: `/${bucket}/public/k` }), 403);
    const tag = (body: string) => status('bob', { method: 'PUT', path: `/${bucket}/k?tagging`, body });
    assert.equal(await tag(TAGS), 403);
    assert.equal(await status('bob', { path: `/${bucket}/k` }), 200);
    assert.equal(await tag(TAGS.replace('red', 'blue')), 200);
    assert.equal(await status('bob', { path: `/${bucket}/k` }), 403);
  });

  test('DeleteObjects is decided for each key', async () => {
    const bucket = await annsBucket();
    const body = '<Delete><Object><Key>k</Key></Object><Object><Key>public/k</Key></Object></Delete>';
    const request: RawRequest = {
      method: 'POST',
      path: `/${bucket}?delete`,
      body,
      headers: { 'content-md5': md5(body) },
    };
    assert.equal(await status('bob', request), 403);
    await setPolicy(bucket, { Action: 's3:DeleteObject', Resource: `arn:aws:s3:::${bucket}/public/*` });
    const answer = await ok(send('bob', request));
    assert.match(answer.text, /<Deleted><Key>public\/k<\/Key><\/Deleted>/);
    assert.match(answer.text, /<Error><Key>k<\/Key>.*AccessDenied/);
    assert.equal(await status('ann', { path: `/${bucket}/k` }), 200);
    assert.equal(await status('ann', { path: `/${bucket}/public/k` }), 404);
  });

  test('who began an upload may list and abort it, others not, and a Deny counts', async () => {
    const bucket = await annsBucket();
    await setPolicy(bucket, { Action: 's3:PutObject' });
    const begun = await ok(send('bob', { method: 'POST', path: `/${bucket}/up?uploads` }));
    const id = /<UploadId>([^<]+)</.exec(begun.text)?.[1];
    const upload = `/${bucket}/up?uploadId=${id}`;
    assert.equal(await status('bob', { path: upload }), 200);
    assert.equal(await status('reader', { path: upload }), 200);
    assert.equal(await status('ann2', { path: upload }), 403);
    assert.equal(await status('nobody', { method: 'DELETE', path: upload }), 403);
    await setPolicy(bucket, {
      Effect: 'Deny',
      Principal: { CanonicalUser: 'id-bob' },
      Action: 's3:AbortMultipartUpload',
    });
    assert.equal(await status('bob', { method: 'DELETE', path: upload }), 403);
    await setPolicy(bucket, { Action: 's3:ListBucket' });
    assert.equal(await status('bob', { method: 'DELETE', path: upload }), 204);
  });

  test('DeleteBucket by policy', async () => {
    const bucket = bucketName('access');
    await ok(send('ann', { method: 'PUT', path: `/${bucket}` }));
    assert.equal(await status('bob', { method: 'DELETE', path: `/${bucket}` }), 403);
    await setPolicy(bucket, { Principal: { CanonicalUser: 'id-bob' }, Action: 's3:DeleteBucket' });
    assert.equal(await status('bob', { method: 'DELETE', path: `/${bucket}` }), 204);
  });

  test('a policy that this release cannot read lets nobody in but the owner, to mend it', async () => {
    const bucket = await annsBucket();
    const store = await node.access.store(bucket);
    await store.setDocument('policy', { text: '{"Version":"2099-01-01"}' });
    assert.equal(await status('ann', { path: `/${bucket}/k` }), 403);
    assert.equal(await status('root', { path: `/${bucket}/k` }), 403);
    assert.equal(await status('ann', { method: 'DELETE', path: `/${bucket}?policy` }), 204);
    assert.equal(await status('ann', { path: `/${bucket}/k` }), 200);
  });
});

function md5(text: string): string {
  return createHash('md5').update(text).digest('base64');
}

describe('the policy as a document', () => {
  test('comes back byte for byte, and is gone when it is deleted', async () => {
    const bucket = await annsBucket();
    assert.equal((await send('ann', { path: `/${bucket}?policy` })).code, 'NoSuchBucketPolicy');
    const text = `${policy(bucket, { Action: 's3:ListBucket', Sid: 'ä  b' })}\n`;
    const put = await ok(send('ann', { method: 'PUT', path: `/${bucket}?policy`, body: text }));
    assert.equal(put.status, 204);
    const got = await ok(send('ann', { path: `/${bucket}?policy` }));
    assert.deepEqual([got.text, got.headers['content-type']], [text, 'application/json']);
    for (let i = 0; i < 2; i++) {
      assert.equal(await status('ann', { method: 'DELETE', path: `/${bucket}?policy` }), 204);
    }
    assert.equal((await send('ann', { path: `/${bucket}?policy` })).status, 404);
  });

  test('what is refused leaves the one before', async () => {
    const bucket = await annsBucket();
    await setPolicy(bucket, { Action: 's3:GetObject' });
    const bad = policy(bucket, { Action: 's3:GetObject', Resource: 'arn:aws:s3:::other/*' });
    const answer = await send('ann', { method: 'PUT', path: `/${bucket}?policy`, body: bad });
    assert.deepEqual([answer.status, answer.code], [400, 'MalformedPolicy']);
    const latin1 = Buffer.from(policy(bucket, { Action: 's3:GetObject', Sid: '\xe4' }), 'latin1');
    assert.equal(
      (await send('ann', { method: 'PUT', path: `/${bucket}?policy`, body: latin1 })).code,
      'MalformedPolicy',
    );
    const long = policy(bucket, { Action: 's3:GetObject', Sid: 'x'.repeat(20 * 1024) });
    assert.equal((await send('ann', { method: 'PUT', path: `/${bucket}?policy`, body: long })).status, 400);
    assert.equal(await status('nobody', { path: `/${bucket}/k` }), 200);
  });

  test('somebody whom a policy let in locks himself out only knowingly', async () => {
    const bucket = await annsBucket();
    await setPolicy(bucket, { Principal: { CanonicalUser: 'id-bob' }, Action: 's3:PutBucketPolicy' });
    const body = policy(bucket, { Effect: 'Deny', Action: 's3:PutBucketPolicy' });
    const request = { method: 'PUT', path: `/${bucket}?policy`, body };
    assert.equal(await status('bob', request), 403);
    const headers = { 'x-amz-confirm-remove-self-bucket-access': 'true' };
    assert.equal(await status('bob', { ...request, headers }), 204);
    assert.equal(await status('bob', { ...request, headers }), 403);
    assert.equal(await status('ann', request), 204);
  });

  test('its status', async () => {
    const bucket = await annsBucket();
    const isPublic = async () =>
      /<IsPublic>(\w+)</.exec((await send('ann', { path: `/${bucket}?policyStatus` })).text)?.[1];
    assert.equal(await isPublic(), 'false');
    await setPolicy(bucket, { Action: 's3:GetObject', Principal: { CanonicalUser: 'id-bob' } });
    assert.equal(await isPublic(), 'false');
    await setPolicy(bucket, { Action: 's3:GetObject' });
    assert.equal(await isPublic(), 'true');
  });
});

describe('public access block', () => {
  const path = (bucket: string) => `/${bucket}?publicAccessBlock`;

  test('is not there, is set, is gone', async () => {
    const bucket = await annsBucket();
    assert.equal((await send('ann', { path: path(bucket) })).code, 'NoSuchPublicAccessBlockConfiguration');
    await setBlock(bucket, 'IgnorePublicAcls', 'RestrictPublicBuckets');
    const { text } = await ok(send('ann', { path: path(bucket) }));
    const flags = [...text.matchAll(/<(\w+)>(true|false)</g)].map(([, name, value]) => `${name}=${value}`);
    assert.deepEqual(flags, [
      'BlockPublicAcls=false',
      'IgnorePublicAcls=true',
      'BlockPublicPolicy=false',
      'RestrictPublicBuckets=true',
    ]);
    for (let i = 0; i < 2; i++) assert.equal(await status('ann', { method: 'DELETE', path: path(bucket) }), 204);
    assert.equal((await send('ann', { path: path(bucket) })).status, 404);
  });

  for (const body of [
    '',
    '<PublicAccessBlock/>',
    '<PublicAccessBlockConfiguration><BlockPublicAcls>yes</BlockPublicAcls></PublicAccessBlockConfiguration>',
    '<PublicAccessBlockConfiguration><BlockEverything>true</BlockEverything></PublicAccessBlockConfiguration>',
  ]) {
    test(`refuses ${body || 'nothing'}`, async () => {
      const bucket = await annsBucket();
      assert.equal((await send('ann', { method: 'PUT', path: path(bucket), body })).code, 'MalformedXML');
      assert.equal((await send('ann', { path: path(bucket) })).status, 404);
    });
  }

  test('BlockPublicPolicy refuses a public policy and takes another', async () => {
    const bucket = await annsBucket();
    await setBlock(bucket, 'BlockPublicPolicy');
    const body = policy(bucket, { Action: 's3:GetObject' });
    assert.equal(await status('ann', { method: 'PUT', path: `/${bucket}?policy`, body }), 403);
    assert.equal(await status('nobody', { path: `/${bucket}/k` }), 403);
    await setPolicy(bucket, { Action: 's3:GetObject', Principal: { AWS: 'somebody' } });
  });

  test('RestrictPublicBuckets keeps a public policy within the owner’s account', async () => {
    const bucket = await annsBucket();
    await setPolicy(
      bucket,
      { Action: 's3:GetObject' },
      { Action: 's3:ListBucket', Principal: { CanonicalUser: 'id-bob' } },
    );
    assert.equal(await status('nobody', { path: `/${bucket}/k` }), 200);
    await setBlock(bucket, 'RestrictPublicBuckets');
    assert.equal(await status('nobody', { path: `/${bucket}/k` }), 403);
    assert.equal(await status('bob', { path: `/${bucket}/k` }), 403);
    assert.equal(await status('bob', { path: `/${bucket}` }), 403);
    assert.equal(await status('ann2', { path: `/${bucket}/k` }), 200);
    assert.equal(await status('ann', { path: `/${bucket}/k` }), 200);
    // A policy that is not public counts as before.
    await setPolicy(bucket, { Action: 's3:GetObject', Principal: { CanonicalUser: 'id-bob' } });
    assert.equal(await status('bob', { path: `/${bucket}/k` }), 200);
  });

  test('IgnorePublicAcls disregards what lists give to everybody', async () => {
    const bucket = await annsBucket({ 'x-amz-object-ownership': 'ObjectWriter', 'x-amz-acl': 'public-read' });
    assert.equal(await status('nobody', { path: `/${bucket}` }), 200);
    await setBlock(bucket, 'IgnorePublicAcls');
    assert.equal(await status('nobody', { path: `/${bucket}` }), 403);
  });
});

describe('objects of others', () => {
  test('the owner of the bucket may not read what somebody else owns, but may remove it', async () => {
    const bucket = await annsBucket({ 'x-amz-object-ownership': 'ObjectWriter' });
    await setPolicy(bucket, { Principal: { CanonicalUser: 'id-bob' }, Action: 's3:PutObject' });
    await ok(send('bob', { method: 'PUT', path: `/${bucket}/his`, body: 'x' }));
    assert.equal(await status('bob', { path: `/${bucket}/his` }), 200);
    assert.equal(await status('ann', { path: `/${bucket}/his` }), 403);
    assert.equal(await status('ann', { path: `/${bucket}/his?acl` }), 403);
    assert.equal(await status('ann', { path: `/${bucket}/his?tagging` }), 200);
    assert.equal(await status('root', { path: `/${bucket}/his` }), 200);
    assert.equal(await status('ann', { method: 'DELETE', path: `/${bucket}/his` }), 204);
  });
});

describe('the source of a copy', () => {
  for (const [where, at] of [
    ['in the same bucket’s node', node],
    ['at another node', other],
  ] as const) {
    test(`${where}: its own bucket decides`, async () => {
      const source = await annsBucket({}, at);
      const target = bucketName('copies');
      await ok(send('bob', { method: 'PUT', path: `/${target}` }));
      const copy = (who: Who, key: string) =>
        send(who, {
          method: 'PUT',
          path: `/${target}/copy`,
          headers: { 'x-amz-copy-source': `/${source}/${key}`, referer: 'r' },
        });
      assert.equal((await copy('bob', 'k')).code, 'AccessDenied');
      assert.equal((await copy('bob', 'missing')).code, 'AccessDenied');
      assert.equal((await copy('root', 'missing')).code, 'NoSuchKey');
      const body = policy(source, {
        Principal: { CanonicalUser: 'id-bob' },
        Action: 's3:GetObject',
        Condition: { StringEquals: { 'aws:Referer': 'r' }, IpAddress: { 'aws:SourceIp': '127.0.0.1' } },
      });
      await ok(send('ann', { method: 'PUT', path: `/${source}?policy`, body }, at));
      assert.equal((await copy('bob', 'k')).status, 200);
      assert.equal((await copy('bob', 'missing')).code, 'AccessDenied');
      // Its tags come along only when they may be read, too.
      await ok(send('ann', { method: 'PUT', path: `/${source}/k?tagging`, body: TAGS }, at));
      assert.equal((await copy('bob', 'k')).code, 'AccessDenied');
      assert.equal((await copy('root', 'k')).status, 200);
      const denied = policy(source, { Effect: 'Deny', Action: 's3:GetObject' });
      await ok(send('ann', { method: 'PUT', path: `/${source}?policy`, body: denied }, at));
      assert.equal((await copy('root', 'k')).code, 'AccessDenied');
    });
  }

  test('the destination needs s3:PutObject', async () => {
    const bucket = await annsBucket();
    const mine = bucketName('mine');
    await ok(send('bob', { method: 'PUT', path: `/${mine}` }));
    await ok(send('bob', { method: 'PUT', path: `/${mine}/k`, body: 'x' }));
    const headers = { 'x-amz-copy-source': `/${mine}/k` };
    const copy = { method: 'PUT', path: `/${bucket}/copy`, headers };
    assert.equal(await status('bob', copy), 403);
    await setPolicy(bucket, {
      Action: 's3:PutObject',
      Condition: { StringLike: { 's3:x-amz-copy-source': `${mine}/*` } },
    });
    assert.equal(await status('bob', copy), 200);
    assert.equal(await status('bob', { method: 'PUT', path: `/${bucket}/put`, body: 'x' }), 403);
  });
});

test('a presigned URL has a type of its own', async () => {
  const bucket = await annsBucket();
  await setPolicy(bucket, {
    Action: 's3:GetObject',
    Condition: { StringEquals: { 's3:authType': 'REST-QUERY-STRING' } },
  });
  const signed = aws4.sign(
    {
      host: `127.0.0.1:${node.port}`,
      path: `/${bucket}/k?X-Amz-Expires=60`,
      service: 's3',
      region: node.region,
      signQuery: true,
    },
    { accessKeyId: 'bob', secretAccessKey: node.secretOf('bob') },
  );
  assert.equal(await status('nobody', { path: signed.path ?? '' }), 200);
  assert.equal(await status('bob', { path: `/${bucket}/k` }), 403);
});

test('aws:SecureTransport is what the client’s connection is', async () => {
  const bucket = await annsBucket({}, tls);
  const deny = { Effect: 'Deny', Action: 's3:GetObject', Condition: { Bool: { 'aws:SecureTransport': 'false' } } };
  const body = policy(bucket, { Action: 's3:GetObject' }, deny);
  await ok(send('ann', { method: 'PUT', path: `/${bucket}?policy`, body }, tls));
  assert.equal((await send('nobody', { path: `/${bucket}/k` }, tls)).status, 200);
  const plain = await annsBucket();
  await setPolicy(plain, { Action: 's3:GetObject' }, deny);
  assert.equal(await status('nobody', { path: `/${plain}/k` }), 403);
});

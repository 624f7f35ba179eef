// What requests that may change something must not tell of it, and ways around a policy: over a socket and a real store.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, test } from 'node:test';
import { credential, type RawRequest, type RawResponse } from '../../support/s3-client.ts';
import { bucketName, s3Fixture } from '../../support/s3-fixture.ts';
import { formBody } from '../forms/form-bodies.ts';

const node = await s3Fixture({
  credentials: [
    credential('ann', [{ buckets: '*', actions: 'create' }]),
    credential('writer', [{ buckets: '*', actions: 'write' }]),
    credential('bob', []),
  ],
});

type Headers = Record<string, string>;

function send(accessKey: string, method: string, path: string, request: Partial<RawRequest> = {}) {
  return node.raw({ ...request, accessKey, method, path });
}

async function ok(answer: Promise<RawResponse>): Promise<RawResponse> {
  const found = await answer;
  assert.ok(found.status < 300, `${found.status} ${found.text}`);
  return found;
}

/** With the object `k`. */
async function bucketWithObject(headers: Headers = {}): Promise<string> {
  const bucket = bucketName('learning');
  await ok(send('ann', 'PUT', `/${bucket}`, { headers }));
  await ok(send('ann', 'PUT', `/${bucket}/k`, { body: 'body' }));
  return bucket;
}

const ETAG = `"${createHash('md5').update('body').digest('hex')}"`;
const DATE = 'Fri, 01 Jan 2021 00:00:00 GMT';

describe('who may write and not read', () => {
  const PUTS: readonly Headers[] = [
    { 'if-match': ETAG },
    { 'if-match': '"wrong"' },
    { 'if-none-match': ETAG },
    { 'if-none-match': '"wrong"' },
  ];
  for (const headers of PUTS) {
    test(`PutObject with ${JSON.stringify(headers)} tells no entity tag`, async () => {
      const bucket = await bucketWithObject();
      const { status } = await send('writer', 'PUT', `/${bucket}/k`, { headers, body: 'other' });
      assert.equal(status, 403);
      assert.equal((await send('ann', 'GET', `/${bucket}/k`)).text, 'body');
    });
  }

  const DELETES: readonly Headers[] = [
    { 'if-match': ETAG },
    { 'if-match': '"wrong"' },
    { 'x-amz-if-match-size': '4' },
    { 'x-amz-if-match-last-modified-time': DATE },
  ];
  for (const headers of DELETES) {
    test(`DeleteObject with ${JSON.stringify(headers)} tells nothing of the object`, async () => {
      const bucket = await bucketWithObject();
      assert.equal((await send('writer', 'DELETE', `/${bucket}/k`, { headers })).status, 403);
      assert.equal((await send('writer', 'DELETE', `/${bucket}/k?versionId=null`, { headers })).status, 403);
      assert.equal((await send('ann', 'GET', `/${bucket}/k`)).text, 'body');
    });
  }

  test('nor do DeleteObjects, a copy, a rename and the end of an upload', async () => {
    const bucket = await bucketWithObject();
    const body = `<Delete><Object><Key>k</Key><ETag>${ETAG}</ETag></Object></Delete>`;
    const md5 = createHash('md5').update(body).digest('base64');
    const answer = await send('writer', 'POST', `/${bucket}?delete`, { body, headers: { 'content-md5': md5 } });
    assert.match(answer.text, /<Code>AccessDenied</);

    // He may read another object, which he copies or renames over this one.
    await ok(send('ann', 'PUT', `/${bucket}/own`, { body: 'own' }));
    const grant = { Effect: 'Allow', Principal: '*', Action: 's3:GetObject', Resource: `arn:aws:s3:::${bucket}/own` };
    const policy = JSON.stringify({ Version: '2012-10-17', Statement: [grant] });
    await ok(send('ann', 'PUT', `/${bucket}?policy`, { body: policy }));
    for (const [path, source] of [
      ['k', { 'x-amz-copy-source': `${bucket}/own` }],
      ['k?renameObject', { 'x-amz-rename-source': 'own' }],
    ] as const) {
      const { status } = await send('writer', 'PUT', `/${bucket}/${path}`, {
        headers: { ...source, 'if-match': ETAG },
      });
      assert.equal(status, 403, path);
    }
    const dated = { 'x-amz-rename-source': 'own', 'if-unmodified-since': DATE };
    assert.equal((await send('writer', 'PUT', `/${bucket}/k?renameObject`, { headers: dated })).status, 403);

    const begun = await ok(send('writer', 'POST', `/${bucket}/k?uploads`));
    const id = /<UploadId>([^<]+)</.exec(begun.text)?.[1];
    const part = await ok(send('writer', 'PUT', `/${bucket}/k?partNumber=1&uploadId=${id}`, { body: 'part' }));
    const list = `<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>${part.headers.etag}</ETag></Part></CompleteMultipartUpload>`;
    const complete = (headers: Headers) =>
      send('writer', 'POST', `/${bucket}/k?uploadId=${id}`, { body: list, headers });
    assert.equal((await complete({ 'if-match': ETAG })).status, 403);
    assert.equal((await send('ann', 'GET', `/${bucket}/k`)).text, 'body');
    assert.equal((await complete({ 'if-match': '*' })).status, 200);
  });

  test('whether there is an object at all is part of writing', async () => {
    const bucket = await bucketWithObject();
    const put = (headers: Headers) => send('writer', 'PUT', `/${bucket}/k`, { headers, body: 'new' });
    assert.equal((await put({ 'if-none-match': '*' })).status, 412);
    assert.equal((await put({ 'if-match': '*' })).status, 200);
    assert.equal((await send('writer', 'DELETE', `/${bucket}/k`, { headers: { 'if-match': '*' } })).status, 204);
  });
});

test('the source of a rename that is not there is told to who may list the bucket', async () => {
  const bucket = await bucketWithObject();
  const Action = ['s3:GetObject', 's3:PutObject', 's3:DeleteObject'];
  const statement = { Effect: 'Allow', Principal: '*', Action, Resource: `arn:aws:s3:::${bucket}/*` };
  const body = JSON.stringify({ Version: '2012-10-17', Statement: [statement] });
  await ok(send('ann', 'PUT', `/${bucket}?policy`, { body }));
  const rename = (who: string) =>
    send(who, 'PUT', `/${bucket}/new?renameObject`, { headers: { 'x-amz-rename-source': 'missing' } });
  assert.equal((await rename('bob')).status, 403);
  assert.equal((await rename('ann')).status, 404);
});

test('a bucket that is created again keeps its list when its policy forbids to change it', async () => {
  const ownership = { 'x-amz-object-ownership': 'ObjectWriter' };
  const bucket = await bucketWithObject(ownership);
  await ok(send('ann', 'PUT', `/${bucket}?acl`, { headers: { 'x-amz-acl': 'public-read' } }));
  const statement = { Effect: 'Deny', Principal: '*', Action: 's3:PutBucketAcl', Resource: '*' };
  const body = JSON.stringify({ Version: '2012-10-17', Statement: [statement] });
  await ok(send('ann', 'PUT', `/${bucket}?policy`, { body }));
  const again = (acl: Headers) => send('ann', 'PUT', `/${bucket}`, { headers: { ...ownership, ...acl } });
  assert.equal((await again({ 'x-amz-acl': 'public-read-write' })).status, 403);
  assert.equal((await again({})).status, 403);
  assert.match((await send('ann', 'GET', `/${bucket}?acl`)).text, /AllUsers.*READ</s);
  // The list that it has is no change.
  assert.equal((await again({ 'x-amz-acl': 'public-read' })).status, 200);
});

describe('what a request says of itself is what it does', () => {
  const TAGGING = '<Tagging><TagSet><Tag><Key>team</Key><Value>VALUE</Value></Tag></TagSet></Tagging>';
  const tagging = (value: string) => TAGGING.replace('VALUE', value);

  async function allow(bucket: string, ...statements: Record<string, unknown>[]): Promise<void> {
    const Statement = statements.map((one) => ({
      Effect: 'Allow',
      Principal: '*',
      Resource: `arn:aws:s3:::${bucket}/*`,
      ...one,
    }));
    const body = JSON.stringify({ Version: '2012-10-17', Statement });
    await ok(send('ann', 'PUT', `/${bucket}?policy`, { body }));
  }

  test('the tags of PutObjectTagging are those of its body', async () => {
    const bucket = await bucketWithObject();
    const Condition = { StringEquals: { 's3:RequestObjectTag/team': 'red' } };
    await allow(bucket, { Action: 's3:PutObjectTagging', Condition });
    const put = (body: string) =>
      send('bob', 'PUT', `/${bucket}/k?tagging`, { body, headers: { 'x-amz-tagging': 'team=red' } });
    assert.equal((await put(tagging('blue').replace('team', 'other'))).status, 403);
    assert.equal((await put('<Tagging><TagSet></TagSet></Tagging>')).status, 403);
    assert.equal((await put(tagging('red'))).status, 200);
  });

  test('the tags of a copy are those that it gets', async () => {
    const bucket = await bucketWithObject();
    await ok(send('ann', 'PUT', `/${bucket}/blue`, { body: 'x', headers: { 'x-amz-tagging': 'team=blue' } }));
    await ok(send('ann', 'PUT', `/${bucket}/red`, { body: 'x', headers: { 'x-amz-tagging': 'team=red' } }));
    const Condition = { StringEquals: { 's3:RequestObjectTag/team': 'red' } };
    await allow(
      bucket,
      { Action: ['s3:PutObject', 's3:PutObjectTagging'], Condition },
      { Action: ['s3:GetObject', 's3:GetObjectTagging'] },
    );
    const copy = (source: string, directive: string) =>
      send('bob', 'PUT', `/${bucket}/copy`, {
        headers: {
          'x-amz-copy-source': `${bucket}/${source}`,
          'x-amz-tagging': 'team=red',
          'x-amz-tagging-directive': directive,
        },
      });
    assert.equal((await copy('k', 'COPY')).status, 403);
    assert.equal((await copy('blue', 'COPY')).status, 403);
    assert.equal((await copy('red', 'COPY')).status, 200);
    assert.equal((await copy('blue', 'REPLACE')).status, 200);
    assert.match((await send('ann', 'GET', `/${bucket}/copy?tagging`)).text, /<Value>red</);
  });

  test('the retention of PutObjectRetention is that of its body', async () => {
    const bucket = await bucketWithObject({ 'x-amz-bucket-object-lock-enabled': 'true' });
    const Condition = { NumericGreaterThan: { 's3:object-lock-remaining-retention-days': '30' } };
    await allow(bucket, { Action: ['s3:PutObjectRetention', 's3:BypassGovernanceRetention'], Condition });
    const until = (days: number) => new Date(Date.now() + days * 86_400_000).toISOString();
    const retain = (body: string) => {
      const md5 = createHash('md5').update(body).digest('base64');
      const said = { 'x-amz-object-lock-mode': 'GOVERNANCE', 'x-amz-object-lock-retain-until-date': until(60) };
      return send('bob', 'PUT', `/${bucket}/k?retention`, { body, headers: { ...said, 'content-md5': md5 } });
    };
    const lasting = (days: number) =>
      `<Retention><Mode>GOVERNANCE</Mode><RetainUntilDate>${until(days)}</RetainUntilDate></Retention>`;
    assert.equal((await retain(lasting(1))).status, 403);
    assert.equal((await retain('<Retention></Retention>')).status, 403);
    assert.equal((await retain(lasting(40))).status, 200);
  });

  test('the tags of a renamed object are its own', async () => {
    const bucket = await bucketWithObject();
    await ok(send('ann', 'PUT', `/${bucket}/red`, { body: 'x', headers: { 'x-amz-tagging': 'team=red' } }));
    const Condition = { StringEquals: { 's3:RequestObjectTag/team': 'red' } };
    await allow(bucket, { Action: 's3:PutObject', Condition }, { Action: ['s3:GetObject', 's3:DeleteObject'] });
    const rename = (source: string) =>
      send('bob', 'PUT', `/${bucket}/new?renameObject`, {
        headers: { 'x-amz-rename-source': source, 'x-amz-tagging': 'team=red' },
      });
    assert.equal((await rename('k')).status, 403);
    assert.equal((await send('ann', 'GET', `/${bucket}/k`)).text, 'body');
    assert.equal((await rename('red')).status, 200);
  });

  test('what each item of DeleteObjects says counts, and no header in its place', async () => {
    const bucket = await bucketWithObject();
    await ok(send('ann', 'PUT', `/${bucket}/other`, { body: 'other' }));
    const item = (key: string, rest: string) => `<Object><Key>${key}</Key>${rest}</Object>`;
    const remove = (...items: string[]) => {
      const body = `<Delete>${items.join('')}</Delete>`;
      const md5 = createHash('md5').update(body).digest('base64');
      return send('bob', 'POST', `/${bucket}?delete`, { body, headers: { 'content-md5': md5, 'if-match': ETAG } });
    };
    const kept = { Effect: 'Deny', Condition: { StringEquals: { 's3:VersionId': 'null' } } };
    const matching = { Condition: { Null: { 's3:if-match': 'false' } } };
    await allow(
      bucket,
      { Action: ['s3:DeleteObjectVersion', 's3:GetObject'] },
      { Action: 's3:DeleteObjectVersion', ...kept },
      { Action: 's3:DeleteObject', ...matching },
    );
    const answer = await remove(
      item('k', '<VersionId>null</VersionId>'),
      item('k', ''),
      item('other', `<ETag>"${createHash('md5').update('other').digest('hex')}"</ETag>`),
    );
    assert.equal(answer.text.match(/<Code>AccessDenied</g)?.length, 2, answer.text);
    assert.match(answer.text, /<Deleted><Key>other</);
    assert.equal((await send('ann', 'GET', `/${bucket}/k`)).text, 'body');
  });

  test('a form says nothing by the query of its address', async () => {
    const bucket = await bucketWithObject();
    const post = (query: string) => {
      const { body, contentType } = formBody([['key', 'form']], 'file');
      const headers = { 'content-type': contentType };
      return node.raw({ method: 'POST', path: `/${bucket}${query}`, body, headers, sign: false });
    };
    await allow(bucket, { Action: 's3:PutObject', Condition: { StringEquals: { 's3:prefix': 'x' } } });
    assert.equal((await post('?prefix=x')).status, 403);
    await allow(bucket, { Action: 's3:PutObject' });
    assert.equal((await post('?prefix=x')).status, 204);
  });
});

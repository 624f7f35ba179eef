// Every operation of the table × who asks and how × the expected answer, over a socket and a real store. The requests
// are made from the table and the expectations from the rows of operation-actions.ts, so an operation that is added gets
// its cells by itself, and fails here when its row or its handler does not hold to them.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { before, describe, test } from 'node:test';
import aws4 from 'aws4';
import { ACTIONS, ruleFor } from '../../../src/s3/access/actions.ts';
import type { Permission } from '../../../src/s3/access/authorizer.ts';
import { OPERATION_ACTIONS } from '../../../src/s3/access/operation-actions.ts';
import { OPERATIONS, type OperationName, operationSpec } from '../../../src/s3/operation.ts';
import { credential, type RawRequest, type RawResponse, signHeaders } from '../../support/s3-client.ts';
import { bucketName, s3Fixture } from '../../support/s3-fixture.ts';

const CREATE = [{ buckets: '*', actions: 'create' }];
const node = await s3Fixture({
  credentials: [
    credential('owner', CREATE),
    credential('bob', CREATE),
    credential('reader', [{ buckets: '*', actions: 'read' }]),
  ],
});
const names = Object.keys(OPERATIONS) as OperationName[];

/** What handlers ask for beyond the row, because of what this test sends (copies come from the same bucket). */
const FURTHER: Partial<Record<OperationName, readonly Permission[]>> = {
  CopyObject: ['s3:GetObject'],
  UploadPartCopy: ['s3:GetObject'],
  RenameObject: ['s3:GetObject', 's3:DeleteObject'],
};

/** Values for parameters and headers that select an operation. */
const VALUES: Record<string, string> = { partNumber: '1', id: 'one', annotationName: 'note', 'x-id': '' };
const BODY = '<Delete><Object><Key>k</Key></Object></Delete>';

interface Subject {
  readonly bucket: string;
  readonly uploadId: string;
}

function requestFor(name: OperationName, { bucket, uploadId }: Subject, query: readonly string[] = []): RawRequest {
  const { method, scope, select, header, body } = operationSpec(name);
  const parameters = select.map((text) => {
    if (text.includes('=')) return text;
    return text === 'uploadId' ? `uploadId=${uploadId}` : `${text}=${VALUES[text] ?? ''}`;
  });
  const path = scope === 'service' ? '/' : scope === 'bucket' ? `/${bucket}` : `/${bucket}/k`;
  const all = [...parameters, ...query].sort();
  const rename = name === 'RenameObject' ? { 'x-amz-rename-source': 'k' } : {};
  return {
    method,
    path: (name === 'RenameObject' ? `${path}2` : path) + (all.length > 0 ? `?${all.join('&')}` : ''),
    headers: {
      ...(header === 'x-amz-copy-source' ? { [header]: `/${bucket}/source` } : header ? { [header]: 'x' } : {}),
      ...(body === 'xml' ? { 'content-md5': createHash('md5').update(BODY).digest('base64') } : {}),
      ...rename,
    },
    ...(body === 'none' ? {} : { body: BODY }),
  };
}

async function as(who: string, request: RawRequest): Promise<RawResponse> {
  return node.raw({ ...request, accessKey: who });
}

async function must(answer: Promise<RawResponse>): Promise<RawResponse> {
  const found = await answer;
  assert.ok(found.status < 300, `${found.status} ${found.text}`);
  return found;
}

/** A bucket of owner's with an object and an upload, as good as new. */
async function prepare(name: OperationName, bucket: string): Promise<Subject> {
  if (!node.access.catalog.records.has(bucket)) await must(as('owner', { method: 'PUT', path: `/${bucket}` }));
  const store = await node.access.store(bucket);
  await store.setDocument('policy', undefined);
  for (const key of ['k', 'source']) {
    if (store.head(key) !== null && name !== 'DeleteBucket') continue;
    const method = name === 'DeleteBucket' ? 'DELETE' : 'PUT';
    await must(as('owner', { method, path: `/${bucket}/${key}`, body: 'kept' }));
  }
  if (!operationSpec(name).select.includes('uploadId')) return { bucket, uploadId: '' };
  const begun = await must(as('owner', { method: 'POST', path: `/${bucket}/k?uploads` }));
  return { bucket, uploadId: /<UploadId>([^<]+)</.exec(begun.text)?.[1] ?? '' };
}

async function setPolicy(bucket: string, ...statements: Record<string, unknown>[]): Promise<void> {
  const Statement = statements.map((one) => ({
    Principal: '*',
    Resource: [`arn:aws:s3:::${bucket}`, `arn:aws:s3:::${bucket}/*`],
    ...one,
  }));
  const store = await node.access.store(bucket);
  await store.setDocument('policy', { text: JSON.stringify({ Version: '2012-10-17', Statement }) });
}

function assertRefused(name: OperationName, answer: RawResponse, code: string): void {
  const head = operationSpec(name).method === 'HEAD';
  assert.equal(answer.status, 403, `${name}: ${answer.text}`);
  assert.equal(answer.code, head ? null : code, name);
}

function assertAllowed(name: OperationName, answer: RawResponse): void {
  if (!operationSpec(name).implemented) {
    assert.equal(answer.status, 501, `${name}: ${answer.text}`);
    return;
  }
  const { status, text } = answer;
  assert.ok(status !== 403 && status !== 405 && (status < 500 || status === 501), `${name}: ${status} ${text}`);
  assert.doesNotMatch(text, /AccessDenied/, name);
}

test('every operation has a row, and its actions are S3’s', () => {
  assert.deepEqual(Object.keys(OPERATION_ACTIONS).sort(), [...names].sort());
  for (const [name, row] of Object.entries(OPERATION_ACTIONS)) {
    const actions = [...row.actions, ...(row.on === 'object' ? (row.versioned ?? []) : [])];
    for (const action of actions) assert.ok(ACTIONS.includes(action), `${name}: ${action}`);
  }
});

const signed = names.filter((name) => !['open', 'form'].includes(OPERATION_ACTIONS[name].on));

describe('who is not who he says, and nobody, changes and learns nothing', () => {
  const bucket = bucketName('matrix');
  let subject: Subject = { bucket, uploadId: '' };
  let sequence = 0;
  before(async () => {
    subject = await prepare('AbortMultipartUpload', bucket);
    sequence = (await node.access.store(bucket)).stats().sequence;
  });

  const CALLERS: readonly (readonly [string, (request: RawRequest) => Promise<RawResponse>, string])[] = [
    ['no credentials', (request) => node.raw({ ...request, sign: false }), 'AccessDenied'],
    ['an unknown key', (request) => as('stranger', request), 'InvalidAccessKeyId'],
    ['a wrong signature', wronglySigned, 'SignatureDoesNotMatch'],
    ['an expired URL', expired, 'AccessDenied'],
  ];
  for (const [caller, send, code] of CALLERS) {
    test(caller, async () => {
      for (const name of signed) assertRefused(name, await send(requestFor(name, subject)), code);
      const store = await node.access.store(bucket);
      assert.equal(store.stats().sequence, sequence, 'something was committed');
      assert.ok(node.access.catalog.records.has(bucket));
    });
  }

  test('what needs no credentials in its head', async () => {
    for (const name of names.filter((one) => !signed.includes(one))) {
      const answer = await node.raw({ ...requestFor(name, subject), sign: false });
      assert.ok(answer.status < 500, `${name} ${answer.text}`);
    }
    assert.equal((await node.access.store(bucket)).stats().sequence, sequence);
  });
});

function wronglySigned(request: RawRequest): Promise<RawResponse> {
  const headers = signHeaders(node, { ...request, accessKey: 'owner' });
  const authorization = headers.Authorization ?? '';
  const last = authorization.endsWith('0') ? '1' : '0';
  return node.raw({
    ...request,
    sign: false,
    headers: { ...headers, Authorization: authorization.slice(0, -1) + last },
  });
}

function expired(request: RawRequest): Promise<RawResponse> {
  const { method = 'GET', headers = {} } = request;
  const glue = request.path.includes('?') ? '&' : '?';
  const amz = Object.fromEntries(Object.entries(headers).filter(([name]) => name.startsWith('x-amz-')));
  const url = aws4.sign(
    {
      host: `127.0.0.1:${node.port}`,
      method,
      path: `${request.path}${glue}X-Amz-Date=20200101T000000Z&X-Amz-Expires=60`,
      headers: amz,
      service: 's3',
      region: node.region,
      signQuery: true,
    },
    { accessKeyId: 'owner', secretAccessKey: node.secretOf('owner') },
  );
  return node.raw({ ...request, path: url.path ?? '', sign: false });
}

describe('who is somebody else', () => {
  const bucket = bucketName('matrix');

  test('another user’s credential', async () => {
    for (const name of signed) {
      const subject = await prepare(name, bucket);
      const { on } = OPERATION_ACTIONS[name];
      const free = on === 'service' || on === 'new-bucket' || !operationSpec(name).implemented;
      const target = on === 'new-bucket' ? { ...subject, bucket: bucketName('made') } : subject;
      const answer = await as('bob', requestFor(name, target));
      if (free) assertAllowed(name, answer);
      else assertRefused(name, answer, 'AccessDenied');
    }
  });

  test('a credential that may read', async () => {
    for (const name of signed) {
      const subject = await prepare(name, bucket);
      const row = OPERATION_ACTIONS[name];
      const answer = await as('reader', requestFor(name, subject));
      const reads = row.actions.every((action) => ruleFor(action) === 'read');
      if (reads || (row.on !== 'new-bucket' && !operationSpec(name).implemented)) assertAllowed(name, answer);
      else assertRefused(name, answer, 'AccessDenied');
    }
  });
});

const inBucket = signed.filter((name) => ['bucket', 'object', 'each-key'].includes(OPERATION_ACTIONS[name].on));
const builtInBucket = inBucket.filter((name) => operationSpec(name).implemented);

describe('what a policy says', () => {
  const bucket = bucketName('matrix');

  test('Allow of what the operation needs', async () => {
    for (const name of inBucket) {
      const subject = await prepare(name, bucket);
      const actions = [...OPERATION_ACTIONS[name].actions, ...(FURTHER[name] ?? [])];
      await setPolicy(bucket, { Effect: 'Allow', Action: actions });
      assertAllowed(name, await as('bob', requestFor(name, subject)));
    }
  });

  test('Allow of everything but one action that it needs', async () => {
    for (const name of builtInBucket) {
      for (const action of [...OPERATION_ACTIONS[name].actions, ...(FURTHER[name] ?? [])]) {
        const subject = await prepare(name, bucket);
        await setPolicy(bucket, { Effect: 'Allow', NotAction: action });
        assertRefused(name, await as('bob', requestFor(name, subject)), 'AccessDenied');
      }
    }
  });

  test('Deny of one action that it needs, to the owner', async () => {
    for (const name of builtInBucket) {
      const row = OPERATION_ACTIONS[name];
      for (const action of [...row.actions, ...(FURTHER[name] ?? [])]) {
        const subject = await prepare(name, bucket);
        await setPolicy(bucket, { Effect: 'Deny', Action: action });
        const answer = await as('owner', requestFor(name, subject));
        const isPolicy = /^(Get|Put|Delete)BucketPolicy$/.test(name);
        if (isPolicy) assertAllowed(name, answer);
        else if (row.on === 'each-key') assert.match(answer.text, /<Code>AccessDenied</);
        else assertRefused(name, answer, 'AccessDenied');
      }
    }
  });

  test('a version has actions of its own', async () => {
    for (const name of builtInBucket) {
      const row = OPERATION_ACTIONS[name];
      if (row.on !== 'object' || row.versioned === undefined) continue;
      const ask = async (Action: readonly Permission[]) => {
        const subject = await prepare(name, bucket);
        await setPolicy(bucket, { Effect: 'Allow', Action });
        return as('bob', requestFor(name, subject, ['versionId=null']));
      };
      assertAllowed(name, await ask(row.versioned));
      assertRefused(name, await ask(row.actions), 'AccessDenied');
    }
  });
});

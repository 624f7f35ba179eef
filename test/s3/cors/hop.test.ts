// CORS and forms through a node that does not own the bucket: a real hop between an entry's S3 listener and the owner's
// peer listener. What the owner sets is what a browser sees.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { corsDocument } from '../../../src/s3/cors/rules.ts';
import { credential } from '../../support/s3-client.ts';
import { s3Hop } from '../../support/s3-hop.ts';
import { formBody, signV4 } from '../forms/form-bodies.ts';

const [secret = ''] = credential('admin').secretKeys;
const origin = 'http://app.example';
const bucket = 'hop-bucket';
const rule = {
  allowedOrigins: [origin],
  allowedMethods: ['GET', 'POST'],
  allowedHeaders: ['x-a'],
  exposeHeaders: [],
};
const { port, access, create } = await s3Hop();
await create(bucket, { cors: corsDocument([rule as Parameters<typeof corsDocument>[0][number]]) });
const endpoint = `http://127.0.0.1:${port}/${bucket}`;

function corsOf({ headers }: Response): (string | null)[] {
  return [headers.get('access-control-allow-origin'), headers.get('access-control-allow-methods'), headers.get('vary')];
}

const ALLOWED = [origin, 'GET, POST', 'Origin, Access-Control-Request-Headers, Access-Control-Request-Method'];

async function post(accessSecret: string, file: Buffer): Promise<Response> {
  const conditions = [{ bucket }, { key: 'k' }];
  const fields = [['key', 'k'] as const, ...signV4(conditions, { accessKey: 'admin', secret: accessSecret })];
  const { body, contentType } = formBody(fields, file);
  return fetch(endpoint, { method: 'POST', headers: { origin, 'content-type': contentType }, body });
}

test('a preflight', async () => {
  const headers = { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': 'x-a' };
  const answer = await fetch(`${endpoint}/k`, { method: 'OPTIONS', headers });
  assert.deepEqual([answer.status, ...corsOf(answer)], [200, ...ALLOWED]);
  assert.equal(answer.headers.get('x-amz-id-2'), 'owner');
  const refused = await fetch(`${endpoint}/k`, { method: 'OPTIONS', headers: { ...headers, origin: 'http://other' } });
  assert.deepEqual([refused.status, refused.headers.get('access-control-allow-origin')], [403, null]);
});

test('a refusal', async () => {
  const answer = await fetch(`${endpoint}/k`, { headers: { origin } });
  assert.deepEqual([answer.status, ...corsOf(answer)], [403, ...ALLOWED]);
});

test('a form of some megabytes, and one that is refused while its file is still on its way', async () => {
  const file = Buffer.alloc(3 * 1024 * 1024, 'form');
  const stored = await post(secret, file);
  assert.deepEqual([stored.status, ...corsOf(stored)], [204, ...ALLOWED]);
  const held = await access.enter(bucket, 'read');
  const entry = held.store.head('k');
  held.release();
  assert.equal(entry?.size, file.length);
  const refused = await post('another secret', file);
  assert.deepEqual([refused.status, ...corsOf(refused)], [403, ...ALLOWED]);
  assert.match(await refused.text(), /<Code>SignatureDoesNotMatch<\/Code>/);
});

// What other people's signers sign, this verifies: aws4 and the AWS SDK's SignatureV4 over keys, queries, headers and
// metadata that break servers. A signer that does not follow S3's rules for some input is named where it is left out.
import assert from 'node:assert/strict';
import { createHash, createHmac } from 'node:crypto';
import { test } from 'node:test';
import { GetObjectCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import { SignatureV4 } from '@smithy/signature-v4';
import aws4 from 'aws4';
import fc from 'fast-check';
import { S3Error } from '../../../src/s3/errors.ts';
import { hoistedHeaders, withHoistedHeaders } from '../../../src/s3/sigv4/presigned-query.ts';
import { authenticator, EMPTY_SHA256, EXAMPLE, EXAMPLE_MS, request } from './requests.ts';

const SECRET = EXAMPLE.secretKeys[0] ?? '';

class Sha256 {
  readonly #secret: unknown;
  readonly #parts: Buffer[] = [];
  constructor(secret?: unknown) {
    this.#secret = secret;
  }
  update(data: string | Uint8Array): void {
    this.#parts.push(Buffer.from(data as Uint8Array));
  }
  async digest(): Promise<Uint8Array> {
    const data = Buffer.concat(this.#parts);
    if (this.#secret === undefined) return createHash('sha256').update(data).digest();
    return createHmac('sha256', Buffer.from(this.#secret as Uint8Array))
      .update(data)
      .digest();
  }
  reset(): void {
    this.#parts.length = 0;
  }
}

const smithy = new SignatureV4({
  service: 's3',
  region: 'us-east-1',
  credentials: { accessKeyId: EXAMPLE.accessKey, secretAccessKey: SECRET },
  sha256: Sha256 as never,
  uriEscapePath: false,
  applyChecksum: false,
});

/** Encoded once, slashes kept: the path as S3 clients send it. */
function encodePath(key: string): string {
  return encodeURIComponent(key)
    .replaceAll('%2F', '/')
    .replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
}

/** Pieces that servers stumble over, between ordinary ones. */
const piece = fc.constantFrom(
  'a',
  'B',
  '0',
  ' ',
  '+',
  '%',
  '%2F',
  '%25',
  '~',
  '/',
  '//',
  '.',
  '..',
  '/./',
  '/../',
  'é',
  '日本',
  '😀',
  '&',
  '=',
  '?',
  '#',
  '!',
  "'",
  '(',
  ')',
  '*',
  ':',
  ';',
  ',',
  '@',
  '$',
  '\\',
  '"',
  '<',
  '\u00a0',
);
const text = fc.array(piece, { minLength: 1, maxLength: 12 }).map((parts) => parts.join(''));
const params = fc.array(fc.tuple(text, fc.oneof(text, fc.constant(''))), { maxLength: 5 });
const meta = fc
  .array(fc.constantFrom('a', ' ', '  ', '\t', '"', '%', '+', ',', ';', '=', 'Z', '~'), { maxLength: 10 })
  .map((parts) => parts.join(''));

function query(pairs: readonly (readonly [string, string])[]): string {
  return pairs.map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`).join('&');
}

function accepted(method: string, target: string, headers: Record<string, string>, nowMs = EXAMPLE_MS): boolean {
  try {
    authenticator({ nowMs }).authenticate(request(method, target, headers));
    return true;
  } catch (error) {
    assert.ok(error instanceof S3Error);
    assert.equal(error.code, 'SignatureDoesNotMatch', `${error.code}: ${error.message}`);
    return false;
  }
}

function grouped(pairs: readonly (readonly [string, string])[]): Record<string, string | string[]> {
  const bag: Record<string, string | string[]> = {};
  for (const [name, value] of pairs) {
    const before = bag[name];
    bag[name] = before === undefined ? value : [before, value].flat();
  }
  return bag;
}

test('SDK signer, header: keys, repeated and empty parameters, metadata', async () => {
  await fc.assert(
    fc.asyncProperty(text, params, meta, async (key, pairs, value) => {
      const path = `/bucket/${encodePath(key)}`;
      const signed = await smithy.sign(
        {
          method: 'PUT',
          protocol: 'http:',
          hostname: 'localhost',
          path,
          query: grouped(pairs),
          headers: { host: 'localhost:9000', 'x-amz-content-sha256': EMPTY_SHA256, 'x-amz-meta-a': value },
        },
        { signingDate: new Date(EXAMPLE_MS) },
      );
      const target = pairs.length === 0 ? path : `${path}?${query(pairs)}`;
      assert.ok(accepted('PUT', target, signed.headers), target);
      assert.ok(!accepted('PUT', `${path}x?${query(pairs)}`, signed.headers), 'another key');
    }),
    { numRuns: 300 },
  );
});

test('SDK signer, presigned: keys, repeated and empty parameters', async () => {
  await fc.assert(
    fc.asyncProperty(text, params, async (key, pairs) => {
      const path = `/bucket/${encodePath(key)}`;
      const signed = await smithy.presign(
        {
          method: 'GET',
          protocol: 'http:',
          hostname: 'localhost',
          path,
          query: grouped(pairs),
          headers: { host: 'h', 'x-amz-content-sha256': 'UNSIGNED-PAYLOAD' },
        },
        { signingDate: new Date(EXAMPLE_MS), expiresIn: 60 },
      );
      const all = Object.entries(signed.query ?? {}).flatMap(([name, value]) =>
        [value].flat().map((one) => [name, String(one)] as const),
      );
      assert.ok(accepted('GET', `${path}?${query(all)}`, { host: 'h' }), path);
    }),
    { numRuns: 300 },
  );
});

const client = new S3Client({
  region: 'us-east-1',
  endpoint: 'http://localhost:9000',
  forcePathStyle: true,
  credentials: { accessKeyId: EXAMPLE.accessKey, secretAccessKey: SECRET },
});

/** Method, target and Host as a plain HTTP client would send such a URL. */
function plain(url: string): { target: string; headers: Record<string, string> } {
  const { host } = new URL(url);
  return { target: url.slice(url.indexOf('/', 'http://'.length)), headers: { host } };
}

test('SDK presigner: GET with overrides, PUT with metadata in the query', async () => {
  const signingDate = new Date(EXAMPLE_MS);
  const keys = ['a b', 'a+b', 'a//b', '../x', 'é/日本', 'a%2Fb', '~*()!', './'];
  for (const Key of keys) {
    const get = new GetObjectCommand({ Bucket: 'bucket', Key, ResponseContentType: 'text/x y', VersionId: 'null' });
    const got = plain(await getSignedUrl(client, get, { expiresIn: 60, signingDate }));
    assert.ok(accepted('GET', got.target, got.headers), got.target);
    const put = new PutObjectCommand({ Bucket: 'bucket', Key, Metadata: { a: '1' }, ChecksumAlgorithm: 'SHA256' });
    const url = plain(await getSignedUrl(client, put, { expiresIn: 60, signingDate }));
    assert.ok(accepted('PUT', url.target, url.headers), url.target);
    const hoisted = hoistedHeaders(request('PUT', url.target, url.headers).target.query);
    assert.equal(hoisted['x-amz-meta-a'], '1');
    const others = Object.keys(hoisted).filter((name) => name !== 'x-amz-meta-a' && name !== 'x-amz-content-sha256');
    assert.deepEqual(others, [], 'neither the signature nor the checksum of a body that is not there');
  }
});

test('headers in the query count for presigned requests only, and after real ones', () => {
  const signed =
    'X-Amz-Signature=s&x-amz-meta-a=%C3%A9&X-Amz-Acl=public-read&X-Amz-Expires=5&prefix=p&x-amz-checksum-crc32=AAAAAA==';
  const { query } = request('PUT', `/bucket/k?${signed}`, { host: 'h' }).target;
  const merged = withHoistedHeaders({ host: 'h', 'x-amz-acl': 'private' }, query);
  assert.deepEqual({ ...merged }, { host: 'h', 'x-amz-acl': 'private', 'x-amz-meta-a': '\xc3\xa9' });
  const plainQuery = request('PUT', '/bucket/k?x-amz-acl=public-read', { host: 'h' }).target.query;
  assert.deepEqual({ ...withHoistedHeaders({ host: 'h' }, plainQuery) }, { host: 'h' });
});

/** aws4 folds repeated parameters into the first when it signs for S3, so every name is there once. */
const uniqueParams = fc.uniqueArray(fc.tuple(text, fc.oneof(text, fc.constant(''))), {
  maxLength: 5,
  selector: ([name]) => name,
});

test('aws4, header and query: keys and parameters', () => {
  fc.assert(
    fc.property(text, uniqueParams, fc.boolean(), (key, pairs, signQuery) => {
      const path = `/bucket/${encodePath(key)}${pairs.length === 0 ? '' : `?${query(pairs)}`}`;
      const nowMs = EXAMPLE_MS;
      const signed = aws4.sign(
        {
          service: 's3',
          region: 'us-east-1',
          method: 'GET',
          host: 'localhost',
          path: signQuery ? `${path}${pairs.length === 0 ? '?' : '&'}X-Amz-Date=20130524T000000Z` : path,
          headers: signQuery ? {} : { 'X-Amz-Date': '20130524T000000Z', 'X-Amz-Content-Sha256': EMPTY_SHA256 },
          signQuery,
        },
        { accessKeyId: EXAMPLE.accessKey, secretAccessKey: SECRET },
      );
      assert.ok(accepted('GET', signed.path, signed.headers, nowMs), signed.path);
    }),
    { numRuns: 300 },
  );
});

/** The rules themselves, for what no signer above can be made to send. */
function handSigned(path: string, headers: Record<string, string>, encoding: 'latin1' | 'utf8', signedPath = path) {
  const all: Record<string, string> = {
    host: 'h',
    'x-amz-content-sha256': EMPTY_SHA256,
    'x-amz-date': '20130524T000000Z',
    ...headers,
  };
  const names = Object.keys(all).sort();
  const lines = names
    .map((name) => `${name}:${(all[name] ?? '').replace(/ +/g, ' ').replace(/^ | $/g, '')}\n`)
    .join('');
  const canonical = `GET\n${signedPath}\n\n${lines}\n${names.join(';')}\n${EMPTY_SHA256}`;
  const step = (key: Buffer | string, data: string) => createHmac('sha256', key).update(data).digest();
  const key = step(step(step(step(`AWS4${SECRET}`, '20130524'), 'us-east-1'), 's3'), 'aws4_request');
  const scope = '20130524/us-east-1/s3/aws4_request';
  const hash = createHash('sha256').update(Buffer.from(canonical, encoding)).digest('hex');
  const signature = step(key, `AWS4-HMAC-SHA256\n20130524T000000Z\n${scope}\n${hash}`).toString('hex');
  return {
    ...all,
    authorization: `AWS4-HMAC-SHA256 Credential=${EXAMPLE.accessKey}/${scope},SignedHeaders=${names.join(';')},Signature=${signature}`,
  };
}

test('header values above ASCII: the bytes as sent, whatever they are', () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.integer({ min: 0x21, max: 0xff }).filter((byte) => byte !== 0x7f),
        { minLength: 1 },
      ),
      (bytes) => {
        const value = String.fromCharCode(...bytes);
        assert.ok(accepted('GET', '/bucket/key', handSigned('/bucket/key', { 'x-amz-meta-a': value }, 'latin1')));
      },
    ),
  );
});

test('header values signed as UTF-8 and sent as latin1, as botocore does', () => {
  const headers = handSigned('/bucket/key', { 'x-amz-meta-a': 'Hello World\xe9' }, 'utf8');
  assert.ok(accepted('GET', '/bucket/key', headers));
  assert.ok(!accepted('GET', '/bucket/key', { ...headers, 'x-amz-meta-a': 'Hello World\xe8' }));
});

for (const [sent, signed] of [
  ['/bucket/a!b', '/bucket/a%21b'],
  ['/bucket/a%2fb', '/bucket/a%2Fb'],
  ['/bucket/a%2Fb', '/bucket/a/b'],
  ['/bucket/%7Euser', '/bucket/~user'],
  ['/bucket/a+b', '/bucket/a%2Bb'],
  ['/bucket/caf\xc3\xa9', '/bucket/caf%C3%A9'],
  ["/bucket/it's(1)*", '/bucket/it%27s%281%29%2A'],
] as const) {
  test(`a path sent as ${sent} and signed as ${signed} is the same key`, () => {
    assert.ok(accepted('GET', sent, handSigned(sent, {}, 'latin1', signed)));
  });
}

for (const [sent, signed] of [
  ['/bucket/a//b', '/bucket/a/b'],
  ['/bucket/a/../b', '/bucket/b'],
  ['/bucket/./b', '/bucket/b'],
  ['/bucket/a%252Fb', '/bucket/a%2Fb'],
  ['/bucket/a+b', '/bucket/a%20b'],
  ['/bucket/b', '/bucket/a/../b'],
  ['/bucket/B', '/bucket/b'],
] as const) {
  test(`a path sent as ${sent} and signed as ${signed} is another key`, () => {
    assert.ok(!accepted('GET', sent, handSigned(sent, {}, 'latin1', signed)));
  });
}

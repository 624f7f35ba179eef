// Paths that signers and servers disagree about, from end to end: aws4 and the SDK's signer sign them, in the header and
// in the query, in path style and in virtual-host style with a bucket that has dots; the object is found under its key
// by every other way, and the list has the key byte for byte.
import '../../support/in-memory.ts';
import assert from 'node:assert/strict';
import { createHash, createHmac } from 'node:crypto';
import http from 'node:http';
import { before, test } from 'node:test';
import { SignatureV4 } from '@smithy/signature-v4';
import aws4 from 'aws4';
import { rawTalk } from '../../routing/raw-client.ts';
import { bucketName, s3Fixture } from '../../support/s3-fixture.ts';

const DOMAIN = 's3.test.example';
const node = await s3Fixture({ domains: ['test.example', DOMAIN] });
const Bucket = `${bucketName('canonical')}.with.dots`;
const CREDENTIALS = { accessKeyId: 'admin', secretAccessKey: 'admin-secret' };

/** Key, and how a client may write it in a path where that is not the usual way. */
const KEYS: readonly (readonly [key: string, written?: string])[] = [
  ['a b'],
  ['a+b', 'a+b'],
  ['a+b'],
  ['a%20b'],
  ['a%2Fb'],
  ['a%252Fb'],
  ['a/b', 'a%2Fb'],
  ['a/b', 'a%2fb'],
  ['~user/~'],
  ['~user', '%7Euser'],
  ['grüße/日本/😀'],
  ['e\u0301'],
  ['\u00e9'],
  ['//'],
  ['/leading'],
  ['a//b///c'],
  ['trailing/'],
  ['.'],
  ['..'],
  ['./a'],
  ['../a'],
  ['a/./b'],
  ['a/../b'],
  ['a/..'],
  ['../../../etc/passwd'],
  ["!'()*", "!'()*"],
  ["!'()*"],
  ['?&=#;:@$,[]{}|\\^`"<>'],
  ['%'],
  ['null\0byte'],
  ['line\r\nend\ttab'],
  ['\u00a0\u2028\ufeff\uffff'],
];

function encodeKey(key: string): string {
  return encodeURIComponent(key)
    .replaceAll('%2F', '/')
    .replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
}

class Sha256 {
  readonly #hash;
  constructor(secret?: Uint8Array) {
    this.#hash = secret === undefined ? createHash('sha256') : createHmac('sha256', secret);
  }
  update(data: Uint8Array): void {
    this.#hash.update(data);
  }
  async digest(): Promise<Uint8Array> {
    return this.#hash.digest();
  }
  reset(): void {}
}

const smithy = new SignatureV4({
  service: 's3',
  region: node.region,
  credentials: CREDENTIALS,
  sha256: Sha256 as never,
  uriEscapePath: false,
  applyChecksum: false,
});

interface Unsigned {
  readonly method: string;
  readonly host: string;
  /** As it is written in the request line. */
  readonly path: string;
}
interface Signed {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
}
type Signer = (request: Unsigned) => Signed | Promise<Signed>;

const UNSIGNED = { 'x-amz-content-sha256': 'UNSIGNED-PAYLOAD' };

/** aws4 turns a `+` of a path into a space before it signs, so it is given what means the same. */
const plus = (path: string) => path.replaceAll('+', '%2B');

const SIGNERS: Record<string, Signer> = {
  'aws4, header': ({ method, host, path }) => {
    const request = { service: 's3', region: node.region, method, host, path: plus(path) };
    const { headers } = aws4.sign({ ...request, headers: { host, ...UNSIGNED } }, CREDENTIALS);
    return { path, headers };
  },
  'aws4, query': ({ method, host, path }) => {
    const request = { service: 's3', region: node.region, method, host, path: plus(path), signQuery: true };
    const signed = aws4.sign({ ...request, headers: { host } }, CREDENTIALS);
    return { path: path + signed.path.slice(signed.path.lastIndexOf('?')), headers: { host } };
  },
  'SDK, header': async ({ method, host, path }) => {
    const request = { method, protocol: 'http:', hostname: host, path, query: {}, headers: { host, ...UNSIGNED } };
    const { headers } = await smithy.sign(request);
    return { path, headers };
  },
  'SDK, query': async ({ method, host, path }) => {
    const request = { method, protocol: 'http:', hostname: host, path, query: {}, headers: { host, ...UNSIGNED } };
    const { query = {} } = await smithy.presign(request, { expiresIn: 60 });
    const text = Object.entries(query).map(([name, value]) => `${name}=${encodeURIComponent(String(value))}`);
    return { path: `${path}?${text.join('&')}`, headers: { host } };
  },
};

const STYLES: Record<string, (path: string) => { host: string; path: string }> = {
  'path style': (path) => ({ host: `127.0.0.1:${node.port}`, path: `/${Bucket}/${path}` }),
  'virtual host': (path) => ({ host: `${Bucket}.${DOMAIN}:${node.port}`, path: `/${path}` }),
  'virtual host of another domain, in capitals': (path) => ({ host: `${Bucket}.TEST.example`, path: `/${path}` }),
};

function talk(signer: Signer, style: string, method: string, written: string, body?: string) {
  const target = STYLES[style]?.(written) ?? assert.fail(style);
  return send(signer, { method, ...target }, body);
}

async function send(signer: Signer, unsigned: Unsigned, body?: string): Promise<{ status: number; text: string }> {
  const { path, headers } = await signer(unsigned);
  return new Promise((resolve, reject) => {
    const options = {
      host: '127.0.0.1',
      port: node.port,
      agent: false,
      method: unsigned.method,
      path,
      headers,
    } as const;
    const outgoing = http.request(options, async (response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of response) chunks.push(chunk as Buffer);
      resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString() });
    });
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}

before(async () => {
  const created = await node.raw({ method: 'PUT', path: `/${Bucket}` });
  assert.equal(created.status, 200, created.text);
});

for (const [signerName, signer] of Object.entries(SIGNERS)) {
  for (const style of Object.keys(STYLES)) {
    test(`${signerName}, ${style}: each key is itself`, async () => {
      const store = await node.access.store(Bucket);
      const [other = signer] = Object.values(SIGNERS).filter((one) => one !== signer);
      for (const [key, written = encodeKey(key)] of KEYS) {
        const context = `${JSON.stringify(key)} written as ${written}`;
        const put = await talk(signer, style, 'PUT', written, context);
        assert.equal(put.status, 200, `${context}: ${put.text}`);
        assert.equal(store.head(key)?.key, key, context);
        assert.equal((await talk(signer, style, 'GET', written)).text, context);
        // By another signer, in path style, written the usual way.
        assert.equal((await talk(other, 'path style', 'GET', encodeKey(key))).text, context);
        assert.equal((await talk(signer, style, 'DELETE', written)).status, 204, context);
        assert.ok(store.isEmpty(), `${context}: the request made another key, or none was deleted`);
      }
    });
  }
}

test('a path that is changed on the way is another key, and its signature wrong', async () => {
  const sign = SIGNERS['SDK, header'] ?? assert.fail();
  for (const [signed, sent] of [
    ['a//b', 'a/b'],
    ['a/../b', 'b'],
    ['a/./b', 'a/b'],
    ['a%2520b', 'a%20b'],
    ['a%20b', 'a+b'],
    ['a/', 'a'],
    ['%C3%A9', 'e%CC%81'],
  ] as const) {
    const target = STYLES['path style']?.(signed) ?? assert.fail();
    const { headers } = await sign({ method: 'GET', ...target });
    const answer = await send(() => ({ path: `/${Bucket}/${sent}`, headers }), { method: 'GET', ...target });
    assert.equal(answer.status, 403, `${signed} sent as ${sent}: ${answer.text}`);
    assert.match(answer.text, /<Code>SignatureDoesNotMatch</);
  }
});

test('the bucket belongs to the signed path in path style, and not to it in virtual-host style', async () => {
  const sign = SIGNERS['aws4, header'] ?? assert.fail();
  const hosted = STYLES['virtual host']?.('k') ?? assert.fail();
  const other = { ...hosted, path: `/${Bucket}/k` };
  const { headers } = await sign({ method: 'GET', ...other });
  const wrong = await send(() => ({ path: hosted.path, headers }), { method: 'GET', ...hosted });
  assert.match(wrong.text, /<Code>SignatureDoesNotMatch</);
  // The same bytes mean the key `bucket/k` of the bucket.
  const put = await send(sign, { method: 'PUT', ...other }, 'twice');
  assert.equal(put.status, 200, put.text);
  const store = await node.access.store(Bucket);
  assert.equal(store.head(`${Bucket}/k`)?.size, 5);
  await store.remove({ key: `${Bucket}/k` });
});

test('bytes above ASCII that are not escaped are no HTTP: refused, and nothing is stored', async () => {
  const sign = SIGNERS['SDK, header'] ?? assert.fail();
  const { headers } = await sign({ method: 'PUT', host: 'h', path: `/${Bucket}/${encodeKey('grüße')}` });
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  const answer = await rawTalk(
    node.port,
    `PUT /${Bucket}/grüße HTTP/1.1\r\n${lines.join('')}Content-Length: 1\r\n\r\nx`,
  );
  assert.match(answer, /^HTTP\/1\.1 400 [\s\S]*<Code>InvalidRequest</);
  assert.ok((await node.access.store(Bucket)).isEmpty());
});

test('parameters: order, empty values, repeated names that mean nothing here, `+` and `%20`', async () => {
  for (const [name, sign] of Object.entries(SIGNERS)) {
    if (!name.includes('header')) continue;
    const { path, host } = STYLES['path style']?.('') ?? assert.fail();
    const query = 'prefix=a%20b%2B&max-keys=7&list-type=2&x-id=ListObjectsV2&empty=&ba=%7E&b=1';
    const bag = Object.fromEntries(new URLSearchParams(query));
    const base = { method: 'GET', host, path: path.slice(0, -1) };
    const signed = name.startsWith('SDK')
      ? await smithy.sign({ ...base, protocol: 'http:', hostname: host, query: bag, headers: { host, ...UNSIGNED } })
      : await sign({ ...base, path: `${base.path}?${query}` });
    for (const sent of [
      query,
      query.split('&').reverse().join('&'),
      query.replace('%7E', '~'),
      query.replace('=&ba', '&ba'),
    ]) {
      const answer = await send(() => ({ path: `${base.path}?${sent}`, headers: signed.headers }), base);
      assert.equal(answer.status, 200, `${name}, ${sent}: ${answer.text}`);
      assert.match(answer.text, /<Prefix>a b\+<\/Prefix>/);
    }
    const changed = { path: `${base.path}?${query.replace('a%20b', 'a%20%20b')}`, headers: signed.headers };
    assert.equal((await send(() => changed, base)).status, 403);
  }
});

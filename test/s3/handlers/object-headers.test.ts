// Every header that the AWS SDK knows for PutObject, GetObject and HeadObject: the table of docs/S3.md is compared with
// the SDK's own model, and what it says of each with what a node does.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { describe, test } from 'node:test';
import * as sdk from '@aws-sdk/client-s3';
import { bucketName, s3Fixture } from '../../support/s3-fixture.ts';

/** Structures of the model: [kind, namespace, name, traits, member names, member schemas]. */
type Structure = readonly [unknown, unknown, unknown, unknown, readonly string[], readonly unknown[]];
const model = sdk as unknown as Record<string, Structure>;

const SHAPES: [shape: string, column: 'asked' | 'told', operation: string][] = [
  ['PutObjectRequest$', 'asked', 'PUT'],
  ['GetObjectRequest$', 'asked', 'GET'],
  ['HeadObjectRequest$', 'asked', 'HEAD'],
  ['PutObjectOutput$', 'told', 'PUT'],
  ['GetObjectOutput$', 'told', 'GET'],
  ['HeadObjectOutput$', 'told', 'HEAD'],
];

interface Row {
  readonly asked: string;
  readonly told: string;
}

function rowsOfModel(): Map<string, Row> {
  const rows = new Map<string, { asked: string[]; told: string[] }>();
  for (const [shape, column, operation] of SHAPES) {
    for (const member of model[shape]?.[5] ?? assert.fail(shape)) {
      const traits = (Array.isArray(member) ? member[1] : null) as Record<string, string> | null;
      const name = nameOf(typeof traits === 'object' ? traits : null);
      if (name === null) continue;
      const row = rows.get(name) ?? { asked: [], told: [] };
      row[column].push(operation);
      rows.set(name, row);
    }
  }
  const text = (operations: string[]) => operations.join(' ') || '–';
  return new Map([...rows].map(([name, { asked, told }]) => [name, { asked: text(asked), told: text(told) }]));
}

function nameOf(traits: Record<string, string> | null): string | null {
  if (traits?.httpQuery) return `?${traits.httpQuery}`;
  if (traits?.httpPrefixHeaders) return `${traits.httpPrefixHeaders}*`;
  return traits?.httpHeader?.toLowerCase() ?? null;
}

const page = await readFile(new URL('../../../docs/S3.md', import.meta.url), 'utf8');
const section = page.split('\n## Headers of PutObject, GetObject and HeadObject\n')[1]?.split('\n## ')[0] ?? '';
const documented = new Map(
  [...section.matchAll(/^\| `([^`]+)` \| (.*?) \| (.*?) \| (.*) \|$/gm)].map(
    ([, name = '', asked, told, here = '']) => [name, { asked, told, here }],
  ),
);
const rowsThat = (verdict: string) => [...documented].filter(([, { here }]) => here.startsWith(verdict));

test('docs/S3.md has every header of the model, and no other', () => {
  const table = [...documented].map(([name, { asked, told }]) => [name, { asked, told }]);
  assert.deepEqual(Object.fromEntries(table), Object.fromEntries(rowsOfModel()));
});

const node = await s3Fixture();
const Bucket = bucketName('headers');
await node.raw({ method: 'PUT', path: `/${Bucket}`, headers: { 'x-amz-bucket-object-lock-enabled': 'true' } });
const put = (key: string, headers: Record<string, string>, body = 'abc') =>
  node.raw({
    method: 'PUT',
    path: `/${Bucket}/${key}`,
    body,
    headers: { 'content-md5': createHash('md5').update(body).digest('base64'), ...headers },
  });
const read = (method: 'GET' | 'HEAD', path: string, headers: Record<string, string> = {}) =>
  node.raw({ method, path: `/${Bucket}/${path}`, headers });

/** Of the body `abc`. */
const CHECKSUMS: Record<string, string> = {
  'x-amz-checksum-crc32': 'NSRBwg==',
  'x-amz-checksum-crc32c': 'Nks/tw==',
  'x-amz-checksum-crc64nvme': 'BeXKuz/B+us=',
  'x-amz-checksum-sha1': 'qZk+NkcGgWq6PiVxeFDCbJzQ2J0=',
  'x-amz-checksum-sha256': 'ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=',
  'x-amz-checksum-sha512': '3a81oZNherrMQXNJriBBMRLm+k6JqX6iCp7u5ktV05ohkpkqJ0/BqDa6PCOj/uu9RU1EI2Q86A4qmslPpUyknw==',
};

const VALUES: Record<string, string> = {
  'cache-control': 'max-age=60, private',
  'content-disposition': 'attachment; filename="a b.txt"',
  'content-encoding': 'gzip',
  'content-language': 'de-CH',
  'content-type': 'text/x-own; charset=utf-8',
  expires: 'Thu, 01 Dec 2094 16:00:00 GMT',
  'x-amz-meta-*': 'some value',
  'x-amz-storage-class': 'STANDARD_IA',
  'x-amz-website-redirect-location': '/elsewhere',
  'x-amz-object-lock-mode': 'GOVERNANCE',
  'x-amz-object-lock-retain-until-date': '2140-01-01T00:00:00.000Z',
  'x-amz-object-lock-legal-hold': 'ON',
  'x-amz-tagging': 'a=1&b=2',
};

describe('what is kept is told again', () => {
  const kept = rowsThat('kept').map(([name]) => name);
  test('by GET and by HEAD', async () => {
    assert.deepEqual([...kept].sort(), Object.keys(VALUES).sort());
    const sent = Object.fromEntries(kept.map((name) => [name.replace('*', 'own'), VALUES[name] ?? '']));
    assert.equal((await put('kept', sent)).status, 200);
    for (const method of ['GET', 'HEAD'] as const) {
      const { headers } = await read(method, 'kept');
      for (const [name, value] of Object.entries(sent)) {
        if (name === 'x-amz-tagging') assert.equal(headers['x-amz-tagging-count'], '2', method);
        else assert.equal(headers[name], value, `${method} ${name}`);
      }
    }
  });
});

describe('what is checked', () => {
  for (const [name] of rowsThat('checked, kept and told')) {
    test(name, async () => {
      const value = CHECKSUMS[name] ?? assert.fail(name);
      const stored = await put('sum', { [name]: value });
      assert.deepEqual([stored.status, stored.headers[name]], [200, value]);
      assert.equal(stored.headers['x-amz-checksum-type'], 'FULL_OBJECT');
      for (const method of ['GET', 'HEAD'] as const) {
        const silent = await read(method, 'sum');
        assert.equal(silent.headers[name], undefined);
        const { headers } = await read(method, 'sum', { 'x-amz-checksum-mode': 'ENABLED' });
        assert.deepEqual([headers[name], headers['x-amz-checksum-type']], [value, 'FULL_OBJECT']);
      }
      const wrong = await put('sum', { [name]: value }, 'abd');
      assert.deepEqual([wrong.status, wrong.code], [400, 'BadDigest']);
    });
  }

  test('Content-MD5, the announced checksum, the expected owner', async () => {
    const refused: [headers: Record<string, string>, status: number, code: string][] = [
      [{ 'content-md5': createHash('md5').update('other').digest('base64') }, 400, 'BadDigest'],
      [{ 'x-amz-sdk-checksum-algorithm': 'CRC32' }, 400, 'InvalidRequest'],
      [{ 'x-amz-checksum-md5': createHash('md5').update('other').digest('base64') }, 400, 'BadDigest'],
      [{ 'x-amz-expected-bucket-owner': 'somebody' }, 403, 'AccessDenied'],
    ];
    for (const [headers, status, code] of refused) {
      const answer = await put('checked', headers);
      assert.deepEqual([answer.status, answer.code], [status, code], JSON.stringify(headers));
      assert.ok([...rowsThat('checked')].some(([name]) => name in headers));
    }
    assert.equal((await read('GET', 'checked')).status, 404);
    assert.equal((await put('checked', { 'x-amz-expected-bucket-owner': 'id-admin' })).status, 200);
    for (const method of ['GET', 'HEAD'] as const) {
      const answer = await read(method, 'checked', { 'x-amz-expected-bucket-owner': 'somebody' });
      assert.equal(answer.status, 403);
    }
  });
});

describe('what is refused stores nothing', () => {
  for (const [name, { asked }] of rowsThat('refused')) {
    test(name, async () => {
      const value = name.endsWith('-days') || name.endsWith('-years') || name.endsWith('-bytes') ? '1' : 'AES256';
      const answer = await put('refused', { [name]: value });
      assert.ok([400, 501].includes(answer.status), answer.text);
      assert.equal((await read('GET', 'refused')).status, 404);
      if (!asked?.includes('GET')) return;
      await put('plain', {});
      for (const method of ['GET', 'HEAD'] as const) {
        assert.equal((await read(method, 'plain', { [name]: value })).status, 400, method);
      }
    });
  }
});

describe('what is ignored, and what is never told', () => {
  test('nothing of it shows', async () => {
    const ignored = Object.fromEntries(rowsThat('ignored').map(([name]) => [name, 'requester']));
    assert.deepEqual(Object.keys(ignored), ['x-amz-request-payer']);
    const stored = await put('never', ignored);
    assert.equal(stored.status, 200);
    const answers = [stored, await read('GET', 'never', ignored), await read('HEAD', 'never', ignored)];
    for (const { status, headers } of answers) {
      assert.equal(status, 200);
      for (const [name] of rowsThat('never')) assert.equal(headers[name], undefined, name);
    }
  });
});

describe('what is told', () => {
  test('by the answers whose column says so', async () => {
    const stored = await put('told', { 'x-amz-tagging': 'a=1' });
    const mode = { 'x-amz-checksum-mode': 'ENABLED' };
    const gone = await put('gone', {}).then(() => node.raw({ method: 'DELETE', path: `/${Bucket}/gone` }));
    assert.equal(gone.status, 204);
    const answers = {
      PUT: [stored],
      GET: [await read('GET', 'told', mode), await read('GET', 'told?partNumber=1', mode), await read('GET', 'gone')],
      HEAD: [
        await read('HEAD', 'told', mode),
        await read('HEAD', 'told?partNumber=1', mode),
        await read('HEAD', 'gone'),
      ],
    };
    // Told under circumstances that have tests of their own: rules of lifecycle, uploads in parts.
    const elsewhere = ['x-amz-expiration', 'x-amz-mp-parts-count'];
    for (const [name, { told }] of rowsThat('told')) {
      if (elsewhere.includes(name)) continue;
      for (const operation of (told ?? '').split(' ') as (keyof typeof answers)[]) {
        assert.ok(
          answers[operation].some(({ headers }) => headers[name] !== undefined),
          `${operation} ${name}`,
        );
      }
    }
  });
});

describe('what is honoured', () => {
  /** Rows of docs/S3.md → the tests that show it, in this file or another one. */
  const SHOWN: Record<string, string> = {
    'x-amz-acl': 'test/s3/acl',
    'x-amz-grant-full-control': 'test/s3/acl',
    'x-amz-grant-read': 'test/s3/acl',
    'x-amz-grant-read-acp': 'test/s3/acl',
    'x-amz-grant-write-acp': 'test/s3/acl',
    'content-length': 'test/s3/protocol/payload.test.ts',
    'if-match': 'conditional-writes.test.ts',
    'if-none-match': 'conditional-writes.test.ts',
    'if-modified-since': 'conditions.test.ts',
    'if-unmodified-since': 'conditions.test.ts',
    range: 'ranges.test.ts',
    '?versionId': 'versioning.test.ts',
    '?partNumber': 'versioning.test.ts',
    'x-amz-checksum-mode': 'here',
    '?response-cache-control': 'here',
    '?response-content-disposition': 'here',
    '?response-content-encoding': 'here',
    '?response-content-language': 'here',
    '?response-content-type': 'here',
    '?response-expires': 'here',
  };

  test('each has a test', () => {
    assert.deepEqual(
      rowsThat('honoured')
        .map(([name]) => name)
        .sort(),
      Object.keys(SHOWN).sort(),
    );
  });

  test('overrides of the answer, of GET and of HEAD', async () => {
    await put('over', { 'content-type': 'text/plain' });
    for (const [name] of rowsThat('honoured').filter(([name]) => name.startsWith('?response-'))) {
      for (const method of ['GET', 'HEAD'] as const) {
        const { status, headers } = await read(method, `over${name}=own%2Fvalue`);
        assert.deepEqual([status, headers[name.replace('?response-', '')]], [200, 'own/value'], `${method} ${name}`);
      }
    }
  });
});

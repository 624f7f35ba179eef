import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { S3Error } from '../../../src/s3/errors.ts';
import { LIMITS } from '../../../src/s3/limits.ts';
import { bucketNameFault, parseTarget, queryValue } from '../../../src/s3/target.ts';

const DOMAINS = ['s3.example.com', 'example.com', 'S3.Local'];

function parse(target: string, host = 'localhost:9000') {
  const { bucket, key } = parseTarget(target, host, DOMAINS);
  return [bucket, key];
}

function code(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    assert.ok(error instanceof S3Error, String(error));
    return error.code;
  }
  return 'none';
}

const TARGETS: readonly (readonly [target: string, bucket: string | null, key: string | null])[] = [
  ['/', null, null],
  ['/?x-id=ListBuckets', null, null],
  ['/abc', 'abc', null],
  ['/abc/', 'abc', null],
  ['/abc?list-type=2', 'abc', null],
  ['/abc/?delete=', 'abc', null],
  ['/abc/k', 'abc', 'k'],
  ['/abc/k/', 'abc', 'k/'],
  ['/abc//', 'abc', '/'],
  ['/abc//k', 'abc', '/k'],
  ['/abc/a//b', 'abc', 'a//b'],
  ['/abc/.', 'abc', '.'],
  ['/abc/..', 'abc', '..'],
  ['/abc/../../etc/passwd', 'abc', '../../etc/passwd'],
  ['/abc/a/./b', 'abc', 'a/./b'],
  ['/abc/a+b', 'abc', 'a+b'],
  ['/abc/a%2Bb', 'abc', 'a+b'],
  ['/abc/a%20b', 'abc', 'a b'],
  ['/abc/a%2Fb', 'abc', 'a/b'],
  ['/abc/%2F', 'abc', '/'],
  ['/abc/a%252Fb', 'abc', 'a%2Fb'],
  ['/abc/%3F%23', 'abc', '?#'],
  ['/abc/caf%C3%A9', 'abc', 'café'],
  ['/abc/caf\xc3\xa9', 'abc', 'café'],
  ['/abc/%EF%BB%BFx', 'abc', '\ufeffx'],
  ['/abc/%F0%9F%98%80', 'abc', '😀'],
  ['/abc/%00', 'abc', '\0'],
  ['/abc/cafe%CC%81', 'abc', 'cafe\u0301'],
  ["/abc/!'()*", 'abc', "!'()*"],
  ['/a%62c/k', 'abc', 'k'],
  ['/abc/k?versionId=null', 'abc', 'k'],
  ['http://localhost:9000/abc/k', 'abc', 'k'],
  ['HTTP://LOCALHOST:9000/abc/k?a=b', 'abc', 'k'],
  ['http://localhost:9000', null, null],
  ['http://localhost:9000?a', null, null],
];

for (const [target, bucket, key] of TARGETS) {
  test(`${target} is bucket ${bucket}, key ${JSON.stringify(key)}`, () =>
    assert.deepEqual(parse(target), [bucket, key]));
}

const FAULTS: readonly (readonly [target: string, code: string])[] = [
  ['', 'InvalidURI'],
  ['*', 'InvalidURI'],
  ['abc/k', 'InvalidURI'],
  ['ftp://localhost:9000/abc/k', 'InvalidURI'],
  ['http://user@localhost:9000/abc/k', 'InvalidURI'],
  ['http:///abc/k', 'InvalidURI'],
  ['http://other/abc/k', 'InvalidURI'],
  ['/abc/k#fragment', 'InvalidURI'],
  ['/abc/k y', 'InvalidURI'],
  ['/abc/k\t', 'InvalidURI'],
  ['/abc/%', 'InvalidURI'],
  ['/abc/%2', 'InvalidURI'],
  ['/abc/%zz', 'InvalidURI'],
  ['/abc/%C3', 'InvalidURI'],
  ['/abc/%C0%AF', 'InvalidURI'],
  ['/abc/%ED%A0%80', 'InvalidURI'],
  ['/abc/%F5%80%80%80', 'InvalidURI'],
  ['/abc/\xe9', 'InvalidURI'],
  ['/abc?%', 'InvalidURI'],
  ['/abc?a=%C3', 'InvalidURI'],
  [`/abc?${'a&'.repeat(LIMITS.queryParametersMax.value)}a`, 'InvalidURI'],
  [`/abc/${'k'.repeat(LIMITS.requestTargetBytesMax.value)}`, 'InvalidURI'],
  [`/abc/${'k'.repeat(1025)}`, 'KeyTooLongError'],
  [`/abc/${'%C3%A9'.repeat(513)}`, 'KeyTooLongError'],
  ['//k', 'InvalidBucketName'],
  ['//', 'InvalidBucketName'],
  ['/ab/k', 'InvalidBucketName'],
  ['/_zring/k', 'InvalidBucketName'],
  ['/../k', 'InvalidBucketName'],
  ['/..%2F..%2Fetc/k', 'InvalidBucketName'],
  ['/abc%2Fk', 'InvalidBucketName'],
  ['/abc%00', 'InvalidBucketName'],
  ['/abc%20/k', 'InvalidBucketName'],
  ['/a@b/k', 'InvalidBucketName'],
  ['/Bucket/k', 'InvalidBucketName'],
  ['/b%C3%BCcket/k', 'InvalidBucketName'],
];

for (const [target, expected] of FAULTS) {
  test(`${target.slice(0, 40)} is refused: ${expected}`, () =>
    assert.equal(
      code(() => parse(target)),
      expected,
    ));
}

test('1024 bytes are a key', () => {
  assert.equal(parse(`/abc/${'%C3%A9'.repeat(512)}`)[1], 'é'.repeat(512));
});

const HOSTS: readonly (readonly [host: string, target: string, bucket: string | null, key: string | null])[] = [
  ['s3.example.com', '/abc/k', 'abc', 'k'],
  ['S3.EXAMPLE.COM', '/abc/k', 'abc', 'k'],
  ['abc.s3.example.com', '/k', 'abc', 'k'],
  ['abc.s3.example.com:9000', '/k', 'abc', 'k'],
  ['ABC.S3.Example.com.', '/k', 'abc', 'k'],
  ['abc.s3.example.com', '/', 'abc', null],
  ['abc.s3.example.com', '/?location', 'abc', null],
  ['abc.s3.example.com', '//', 'abc', '/'],
  ['abc.s3.example.com', '/x/y', 'abc', 'x/y'],
  ['a.b.c.s3.example.com', '/k', 'a.b.c', 'k'],
  ['abc.example.com', '/k', 'abc', 'k'],
  ['abc.s3.local', '/k', 'abc', 'k'],
  ['example.com', '/abc/k', 'abc', 'k'],
  ['other.net', '/abc/k', 'abc', 'k'],
  ['notexample.com', '/abc/k', 'abc', 'k'],
  ['127.0.0.1:9000', '/abc/k', 'abc', 'k'],
  ['[::1]:9000', '/abc/k', 'abc', 'k'],
  ['[::1]', '/abc/k', 'abc', 'k'],
  ['', '/abc/k', 'abc', 'k'],
];

for (const [host, target, bucket, key] of HOSTS) {
  test(`Host ${host}, ${target} is bucket ${bucket}, key ${key}`, () => {
    assert.deepEqual(parse(target, host), [bucket, key]);
  });
}

test('a bucket in the host obeys the rules of bucket names', () => {
  assert.equal(
    code(() => parse('/k', '-.s3.example.com')),
    'InvalidBucketName',
  );
  assert.equal(
    code(() => parse('/k', 'a_b.s3.example.com')),
    'InvalidBucketName',
  );
});

test('an address that ends like a domain is still an address', () => {
  assert.deepEqual(parseTarget('/abc/k', '10.0.0.1', ['0.1', '0.0.1']).bucket, 'abc');
});

test('without Host an absolute target says which one is meant', () => {
  assert.equal(parseTarget('http://abc.s3.example.com/k', undefined, DOMAINS).bucket, 'abc');
  assert.equal(parseTarget('/abc/k', undefined, DOMAINS).bucket, 'abc');
});

test('the raw path and query stay as they came', () => {
  const target = parseTarget('/abc/a%2fb/../c?b=%7e&a&&=x', 'h', DOMAINS);
  assert.equal(target.rawPath, '/abc/a%2fb/../c');
  assert.equal(target.rawQuery, 'b=%7e&a&&=x');
  assert.equal(parseTarget('/k/', 'abc.s3.example.com', DOMAINS).rawPath, '/k/');
});

test('query: order of repeated names, empty values, plus as space', () => {
  const target = parseTarget('/abc?a=1&b&a=2&c=&d=x+y%2Bz&__proto__=p', 'h', DOMAINS);
  assert.deepEqual(
    [...target.query],
    [
      ['a', ['1', '2']],
      ['b', ['']],
      ['c', ['']],
      ['d', ['x y+z']],
      ['__proto__', ['p']],
    ],
  );
  assert.equal(queryValue(target, 'd'), 'x y+z');
  assert.equal(queryValue(target, 'e'), undefined);
  assert.equal(
    code(() => queryValue(target, 'a')),
    'InvalidArgument',
  );
});

const GOOD_NAMES = [
  'abc',
  'a1b',
  '123',
  'my-bucket',
  'my.bucket',
  'a.b.c',
  '1.2.3',
  '1.2.3.4.5',
  'a'.repeat(63),
  '0--0',
  'x-an',
];
const BAD_NAMES = [
  '',
  'a',
  'ab',
  'a'.repeat(64),
  'Abc',
  'a_b',
  '-abc',
  'abc-',
  '.abc',
  'abc.',
  'a..b',
  'a.-b',
  'a-.b',
  '192.168.5.4',
  '999.999.999.999',
  'xn--abc',
  'sthree-abc',
  'amzn-s3-demo-bucket',
  'abc-s3alias',
  'abc--ol-s3',
  'abc.mrap',
  'abc--x-s3',
  'abc--table-s3',
  'a b',
  'a/b',
  'a\0b',
  'a%b',
  'abc\n',
  'bücket',
  '_zring',
  '..',
  '...',
];

test('bucket names: good ones', () => {
  for (const name of GOOD_NAMES) assert.equal(bucketNameFault(name), null, name);
});

test('bucket names: bad ones, each with a reason', () => {
  for (const name of BAD_NAMES) assert.match(bucketNameFault(name) ?? assert.fail(name), /^.{10,}\.$/);
});

test('a name that passes can be a folder and a DNS name, whatever is tried', () => {
  const alphabet = fc.constantFrom('a', '0', '.', '-', '_', '/', '\\', '\0', ' ', 'A', 'é', '\n');
  fc.assert(
    fc.property(fc.array(alphabet, { maxLength: 70 }), (parts) => {
      const name = parts.join('');
      if (bucketNameFault(name) !== null) return;
      assert.match(name, /^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/);
      assert.ok(name.length >= 3 && name.length <= 63);
    }),
    { numRuns: 2000 },
  );
});

test('any key comes back from its percent-encoded form', () => {
  fc.assert(
    fc.property(fc.string({ minLength: 1, maxLength: 200, unit: 'binary' }), (key) => {
      if (Buffer.byteLength(key) > 1024) return;
      const target = parseTarget(`/abc/${encodeURIComponent(key)}`, 'h', DOMAINS);
      assert.equal(target.key, key);
      const bytes = [...Buffer.from(key)].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join('');
      assert.equal(parseTarget(`/abc/${bytes}`, 'h', DOMAINS).key, key);
    }),
    { numRuns: 500 },
  );
});

test('whatever a request line holds, it is a target or an S3 error', () => {
  const unit = fc.constantFrom(
    '/',
    '%',
    '2',
    'F',
    'a',
    'bucket',
    '?',
    '&',
    '=',
    '#',
    '\\',
    '\0',
    '\xff',
    'http://',
    '@',
    ':',
    '[',
    ']',
    '.',
    '..',
    ' ',
    '+',
    '%C3',
    '%A9',
  );
  fc.assert(
    fc.property(fc.array(unit, { maxLength: 20 }), fc.array(unit, { maxLength: 6 }), (target, host) => {
      const result = code(() => {
        const parsed = parseTarget(target.join(''), host.join(''), DOMAINS);
        if (parsed.bucket !== null) assert.equal(bucketNameFault(parsed.bucket), null);
        assert.notEqual(parsed.key, '');
        if (parsed.bucket === null) assert.equal(parsed.key, null);
      });
      assert.ok(['none', 'InvalidURI', 'InvalidBucketName', 'KeyTooLongError'].includes(result), result);
    }),
    { numRuns: 3000 },
  );
});

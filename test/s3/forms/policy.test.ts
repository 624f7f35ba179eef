import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { S3Error } from '../../../src/s3/errors.ts';
import { collectFields } from '../../../src/s3/forms/fields.ts';
import { checkPolicy, parsePolicy } from '../../../src/s3/forms/policy.ts';
import { encodePolicy } from './form-bodies.ts';

const NOW = Date.parse('2026-05-05T12:00:00Z');
const LATER = '2026-05-05T12:00:01Z';

function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}

describe('what is no policy is InvalidPolicyDocument', () => {
  const conditions = [{ bucket: 'b' }];
  const CASES: [what: string, policy: string][] = [
    ['nothing', ''],
    ['no base64', 'not base64!'],
    ['no JSON', base64('{"expiration":')],
    ['no UTF-8', Buffer.from([0x7b, 0xff, 0x7d]).toString('base64')],
    ['a list', base64('[]')],
    ['null', base64('null')],
    ['no expiration', base64(JSON.stringify({ conditions }))],
    ['no conditions', base64(JSON.stringify({ expiration: LATER }))],
    ['EXPIRATION', base64(JSON.stringify({ EXPIRATION: LATER, conditions }))],
    ['CONDITIONS', base64(JSON.stringify({ expiration: LATER, CONDITIONS: conditions }))],
    ['an element more', base64(JSON.stringify({ expiration: LATER, conditions, version: 1 }))],
    ['conditions that are no list', encodePolicy({ bucket: 'b' }, LATER)],
    ['an expiration that is a number', encodePolicy(conditions, NOW)],
    ['an expiration with a zone', encodePolicy(conditions, '2026-05-05T12:00:01+00:00')],
    ['an expiration with a space', encodePolicy(conditions, '2026-05-05 12:00:01.000000+00:00')],
    ['a day that does not exist', encodePolicy(conditions, '2026-02-30T12:00:00Z')],
    ['an hour that does not exist', encodePolicy(conditions, '2026-02-03T25:00:00Z')],
    ['an empty condition', encodePolicy([{}], LATER)],
    ['a condition on two fields', encodePolicy([{ bucket: 'b', key: 'k' }], LATER)],
    ['a value that is a number', encodePolicy([{ success_action_status: 201 }], LATER)],
    ['a condition that is a text', encodePolicy(['bucket'], LATER)],
    ['an empty list', encodePolicy([[]], LATER)],
    ['an unknown operator', encodePolicy([['ends-with', '$key', 'x']], LATER)],
    ['a field without a dollar', encodePolicy([['eq', 'key', 'x']], LATER)],
    ['a dollar without a field', encodePolicy([['eq', '$', 'x']], LATER)],
    ['a condition without a value', encodePolicy([['eq', '$key']], LATER)],
    ['a condition with two values', encodePolicy([['eq', '$key', 'x', 'y']], LATER)],
    ['a range of one number', encodePolicy([['content-length-range', 0]], LATER)],
    ['a range of three numbers', encodePolicy([['content-length-range', 0, 1, 2]], LATER)],
    ['a range below zero', encodePolicy([['content-length-range', -1, 0]], LATER)],
    ['a range of texts', encodePolicy([['content-length-range', 'a', 'b']], LATER)],
    ['a range of fractions', encodePolicy([['content-length-range', 0.5, 1]], LATER)],
    ['a range that ends before it begins', encodePolicy([['content-length-range', 2, 1]], LATER)],
  ];
  for (const [what, policy] of CASES) {
    test(what, () => {
      assert.throws(() => parsePolicy(policy), { code: 'InvalidPolicyDocument', status: 400 });
    });
  }
});

test('ranges of length, as numbers and texts; the narrowest of several', () => {
  const ranges = [
    ['content-length-range', 1, 100],
    ['Content-Length-Range', '10', '200'],
  ];
  assert.deepEqual(parsePolicy(encodePolicy(ranges, LATER)).range, { min: 10, max: 100 });
  const none = parsePolicy(encodePolicy([], LATER));
  assert.deepEqual(none.range, { min: 0, max: Number.POSITIVE_INFINITY });
});

test('line breaks in the base64, escapes of JSON, and \\$ which is none', () => {
  const text = `{"expiration":"${LATER}","conditions":[["eq","$key","\\u0061\\$\\\\$b"]]}`;
  const packed = base64(text).replace(/(.{20})/g, '$1\r\n');
  const [condition] = parsePolicy(packed).conditions;
  assert.deepEqual(condition, { operator: 'eq', field: 'key', value: 'a$\\$b' });
});

test('any JSON is a policy or InvalidPolicyDocument, and what is read of it never lets through what it did not say', () => {
  const words = fc.constantFrom(
    'eq',
    'starts-with',
    'content-length-range',
    '$key',
    '$',
    'bucket',
    '1',
    '',
    '__proto__',
  );
  const leaf = fc.oneof(words, fc.integer(), fc.constant(null), fc.boolean());
  const condition = fc.oneof(fc.array(leaf, { maxLength: 4 }), fc.dictionary(words, leaf, { maxKeys: 2 }), leaf);
  fc.assert(
    fc.property(fc.oneof(fc.array(condition, { maxLength: 3 }), condition), (conditions) => {
      const list = Array.isArray(conditions) ? conditions : [];
      try {
        const { conditions: read, range } = parsePolicy(encodePolicy(conditions, LATER));
        const ranges = list.filter((one) => Array.isArray(one) && one[0] === 'content-length-range');
        assert.equal(read.length + ranges.length, list.length, 'every condition counts');
        assert.ok(range.min <= range.max || ranges.length > 1);
      } catch (error) {
        assert(error instanceof S3Error, String(error));
        assert.equal(error.code, 'InvalidPolicyDocument');
      }
    }),
    { numRuns: 2000 },
  );
});

describe('what the form may be', () => {
  type Fields = readonly (readonly [string, string])[];
  const bucket = { bucket: 'b' };
  const key = ['starts-with', '$key', 'foo'];
  const CASES: [what: string, conditions: unknown[], fields: Fields, fault: RegExp | null][] = [
    ['all is covered', [bucket, key], [['key', 'foo.txt']], null],
    ['names and operators without case', [{ bUcKeT: 'b' }, ['StArTs-WiTh', '$KeY', 'foo']], [['kEy', 'foo']], null],
    [
      'values have case',
      [bucket, key],
      [['key', 'Foo.txt']],
      /Policy Condition failed: \["starts-with","\$key","foo"\]/,
    ],
    ['equal is not begins with', [bucket, { key: 'foo' }], [['key', 'foo.txt']], /Policy Condition failed: \["eq"/],
    ['the empty beginning is everything', [bucket, ['starts-with', '$key', '']], [['key', 'any']], null],
    ['another bucket', [{ bucket: 'c' }, key], [['key', 'foo']], /Policy Condition failed: \["eq","\$bucket","c"\]/],
    [
      'a field says bucket',
      [{ bucket: 'c' }, key],
      [
        ['key', 'foo'],
        ['bucket', 'c'],
      ],
      /Policy Condition failed/,
    ],
    ['no word about the bucket', [key], [['key', 'foo']], /Extra input fields: bucket/],
    ['no word about the key', [bucket], [['key', 'foo']], /Extra input fields: key/],
    [
      'a field that nobody signed',
      [bucket, key],
      [
        ['key', 'foo'],
        ['x-amz-meta-a', '1'],
      ],
      /Extra input fields: x-amz-meta-a/,
    ],
    ['a field that is missing', [bucket, key, { 'x-amz-meta-a': '1' }], [['key', 'foo']], /Policy Condition failed/],
    [
      'a field that is to be empty',
      [bucket, key, ['eq', '$x-amz-meta-a', '']],
      [
        ['key', 'foo'],
        ['x-amz-meta-a', '1'],
      ],
      /Policy Condition failed/,
    ],
    [
      'fields that need no condition',
      [bucket, key],
      [
        ['key', 'foo'],
        ['x-ignore-this', '1'],
        ['policy', 'p'],
        ['signature', 's'],
        ['AWSAccessKeyId', 'a'],
        ['x-amz-signature', 's'],
        ['x-amz-checksum-sha256', 'x'],
      ],
      null,
    ],
    [
      'the date of version 4 needs one',
      [bucket, key],
      [
        ['key', 'foo'],
        ['x-amz-date', 'd'],
      ],
      /Extra input fields: x-amz-date/,
    ],
    [
      'each type of a list',
      [bucket, key, ['starts-with', '$Content-Type', 'image/']],
      [
        ['key', 'foo'],
        ['Content-Type', 'image/a, image/b'],
      ],
      null,
    ],
    [
      'one type of a list is another',
      [bucket, key, ['starts-with', '$Content-Type', 'image/']],
      [
        ['key', 'foo'],
        ['Content-Type', 'image/a, text/b'],
      ],
      /Policy Condition failed/,
    ],
  ];
  for (const [what, conditions, list, fault] of CASES) {
    test(what, () => {
      const policy = parsePolicy(encodePolicy(conditions, LATER));
      const fields = collectFields(
        list.map(([name, value]) => ({ name, value })),
        '',
      );
      const check = () => checkPolicy(policy, fields, 'b', NOW);
      if (fault === null) return assert.doesNotThrow(check);
      assert.throws(
        check,
        (error) => error instanceof S3Error && error.code === 'AccessDenied' && fault.test(error.message),
      );
    });
  }

  test('it ends at its expiration', () => {
    const policy = parsePolicy(encodePolicy([bucket], LATER));
    const at = Date.parse(LATER);
    assert.doesNotThrow(() => checkPolicy(policy, new Map(), 'b', at - 1));
    assert.throws(() => checkPolicy(policy, new Map(), 'b', at), /Policy expired/);
  });
});

describe('fields', () => {
  const collect = (list: [string, string][], filename = 'a$&.txt') =>
    collectFields(
      list.map(([name, value]) => ({ name, value })),
      filename,
    );

  test('${filename} is filled in, but in what was signed', () => {
    const fields = collect([
      ['KEY', 'x/${filename}/${filename}'],
      ['x-amz-meta-n', '${filename}'],
      ['policy', '${filename}'],
      ['signature', '${filename}'],
    ]);
    assert.deepEqual(Object.fromEntries(fields), {
      key: 'x/a$&.txt/a$&.txt',
      'x-amz-meta-n': 'a$&.txt',
      policy: '${filename}',
      signature: '${filename}',
    });
  });

  test('a field twice is refused, whatever its case', () => {
    assert.throws(
      () =>
        collect([
          ['key', 'a'],
          ['Key', 'b'],
        ]),
      { code: 'InvalidArgument' },
    );
  });
});

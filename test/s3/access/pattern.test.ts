import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { matchesPattern, parsePattern } from '../../../src/s3/access/pattern.ts';

const VALUES: Record<string, string> = { 'aws:username': 'ann', 'aws:userid': 'a*b' };
const resolve = (key: string) => VALUES[key];

function matches(pattern: string, value: string, options = { variables: true, wildcards: true }, ignoreCase = false) {
  const parsed = parsePattern(pattern, options);
  assert.ok(parsed, pattern);
  return matchesPattern(parsed, value, resolve, ignoreCase);
}

const CASES: readonly (readonly [pattern: string, value: string, expected: boolean])[] = [
  ['', '', true],
  ['', 'a', false],
  ['*', '', true],
  ['a', 'a', true],
  ['a', 'ab', false],
  ['a', 'A', false],
  ['a*', 'a/b/c', true],
  ['a*', 'ba', false],
  ['*a', 'ba', true],
  ['*a*b*', 'xaybz', true],
  ['*a*b*', 'xbya', false],
  ['a**b', 'ab', true],
  ['a?c', 'abc', true],
  ['a?c', 'ac', false],
  ['a?c', 'a\u{1f600}c', true],
  ['?', '', false],
  ['*?', 'a', true],
  ['b/home/${aws:username}/*', 'b/home/ann/x', true],
  ['b/home/${aws:username}/*', 'b/home/bob/x', false],
  ['b/home/${AWS:UserName}/*', 'b/home/ann/x', true],
  // What a variable stands for is text.
  ['${aws:userid}', 'a*b', true],
  ['${aws:userid}', 'axb', false],
  ['${aws:referer}', '', false],
  ["${aws:referer, 'none'}/*", 'none/x', true],
  ['${*}${?}${$}', '*?$', true],
  ['${*}', 'x', false],
];

for (const [pattern, value, expected] of CASES) {
  test(`${pattern} ${expected ? 'matches' : 'does not match'} ${JSON.stringify(value)}`, () => {
    assert.equal(matches(pattern, value), expected);
  });
}

test('without variables, and without wildcards, their characters are text', () => {
  assert.equal(matches('${aws:username}', 'ann', { variables: false, wildcards: true }), false);
  assert.equal(matches('${aws:username}', '${aws:username}', { variables: false, wildcards: true }), true);
  assert.equal(matches('a*', 'ab', { variables: true, wildcards: false }), false);
  assert.equal(matches('a*', 'a*', { variables: true, wildcards: false }), true);
});

test('case is disregarded when that is asked for', () => {
  assert.equal(matches('S3:get*', 's3:GetObject', undefined, true), true);
  assert.equal(matches('S3:get*', 's3:GetObject'), false);
  assert.equal(matches('?ET', 'get', undefined, true), true);
});

for (const broken of ['${', '${aws:username', '${}', '${a b}', "${a, 'b}"]) {
  test(`${broken} is malformed`, () => assert.equal(parsePattern(broken, { variables: true, wildcards: true }), null));
}

test('agrees with the definition by recursion', () => {
  const naive = (pattern: string, value: string): boolean => {
    if (pattern === '') return value === '';
    if (pattern[0] === '*') return naive(pattern.slice(1), value) || (value !== '' && naive(pattern, value.slice(1)));
    return value !== '' && (pattern[0] === '?' || pattern[0] === value[0]) && naive(pattern.slice(1), value.slice(1));
  };
  const text = (characters: string[], maxLength: number) =>
    fc.array(fc.constantFrom(...characters), { maxLength }).map((list) => list.join(''));
  fc.assert(
    fc.property(text(['a', 'b', '*', '?'], 8), text(['a', 'b'], 10), (pattern, value) => {
      assert.equal(matches(pattern, value), naive(pattern, value), `${pattern} ~ ${value}`);
    }),
    { numRuns: 5000 },
  );
});

test('agrees with it for characters of two units', () => {
  const text = (characters: string[], maxLength: number) => fc.array(fc.constantFrom(...characters), { maxLength });
  fc.assert(
    fc.property(text(['\u{1f600}', '\u{1f601}', '*', '?'], 8), text(['\u{1f600}', '\u{1f601}', 'a'], 8), (p, v) => {
      // The same with letters of one unit in their place.
      const plain = (list: string[]) => list.join('').replaceAll('\u{1f600}', 'x').replaceAll('\u{1f601}', 'y');
      assert.equal(matches(p.join(''), v.join('')), matches(plain(p), plain(v)));
    }),
    { numRuns: 3000 },
  );
});

test('agrees with it for segments longer than a word of bits', () => {
  const text = (characters: string[], minLength: number, maxLength: number) =>
    fc.array(fc.constantFrom(...characters), { minLength, maxLength }).map((list) => list.join(''));
  const looksLike = (segment: string, value: string, at: number) =>
    at + segment.length <= value.length && [...segment].every((c, i) => c === '?' || c === value[at + i]);
  fc.assert(
    fc.property(text(['?', '?', '?', 'a', 'b'], 25, 70), text(['a', 'b'], 20, 150), (segment, value) => {
      const expected = [...value].some((_, at) => looksLike(segment, value, at));
      assert.equal(matches(`*${segment}*`, value), expected, `${segment} ~ ${value}`);
      // What is found by a star must be found, and be found only once.
      assert.equal(matches(`*${segment}*`, `${value}${segment.replaceAll('?', 'b')}`), true);
      assert.equal(matches(`*${segment}*${segment}*`, segment.replaceAll('?', 'a')), false);
    }),
    { numRuns: 1000 },
  );
});

test('hostile patterns cost no more than harmless ones', () => {
  // Trying every place for every star would take longer than the universe is old.
  const long = 'a'.repeat(5000);
  assert.equal(matches(`${'*a'.repeat(1000)}*b`, long), false);
  assert.equal(matches(`${'*a?'.repeat(1000)}*b`, long), false);
  assert.equal(matches(`*${'a'.repeat(2500)}?${'a'.repeat(100)}b*`, long), false);
  assert.equal(matches(`*${'a?'.repeat(1200)}b*`, long), false);
});

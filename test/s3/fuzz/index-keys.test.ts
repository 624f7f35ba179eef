// Keys and their forms in the index: any key comes back from each of them, no two keys share one, no form reaches into the
// rows of another key, and forms sort as keys do: by the bytes of their UTF-8. The seed is printed.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { escapeKey, objectKey, unescapeKey } from '../../../src/store/codec.ts';
import { parseVersionKey, versionKey, versionsOf } from '../../../src/store/version-keys.ts';

const SEED = Number(process.env.ZRING_TEST_SEED ?? Date.now() % 2 ** 31);
const RUNS = process.env.ZRING_TEST_LONG === '1' ? 200_000 : 5000;
const unit = fc.oneof(
  fc.constantFrom(
    '\0',
    '\u0001',
    '\u0002',
    'a',
    'b',
    '/',
    '\u007f',
    '\u0080',
    '\u07ff',
    '\u0800',
    '\uffff',
    '\u{10000}',
    '\u{10ffff}',
  ),
  fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }),
);
const key = fc.array(unit, { minLength: 1, maxLength: 12 }).map((units) => units.join(''));
/** Near each other: one is often the beginning of the other. */
const pair = fc
  .tuple(key, fc.oneof(key, fc.constant('')), fc.oneof(key, fc.constant('')))
  .map(([a, b, c]) => [a + b, a + c] as const);
const sequence = fc.oneof(fc.nat(5), fc.integer({ min: 2 ** 32 - 2, max: 2 ** 32 + 2 }), fc.constant(2 ** 48 - 1));

const sign = (value: number) => Math.sign(value);
const bytes = (a: string, b: string) => sign(Buffer.compare(Buffer.from(a), Buffer.from(b)));

test(`a key comes back from each form (seed ${SEED})`, () => {
  fc.assert(
    fc.property(key, sequence, (one, number) => {
      assert.equal(objectKey(one).toString(), one);
      assert.equal(unescapeKey(escapeKey(one)).toString(), one);
      assert.ok(!escapeKey(one).includes(0), '0 is free to end it');
      assert.deepEqual(parseVersionKey(versionKey(one, number)), { key: one, sequence: number });
    }),
    { seed: SEED, numRuns: RUNS },
  );
});

test(`forms sort as keys do; versions of one key newest first, and none inside another's (seed ${SEED})`, () => {
  fc.assert(
    fc.property(pair, sequence, sequence, ([a, b], m, n) => {
      assert.equal(sign(Buffer.compare(objectKey(a), objectKey(b))), bytes(a, b));
      assert.equal(sign(Buffer.compare(escapeKey(a), escapeKey(b))), bytes(a, b));
      const [one, two] = [versionKey(a, m), versionKey(b, n)];
      assert.equal(sign(Buffer.compare(one, two)), a === b ? sign(n - m) : bytes(a, b));
      const { start, end } = versionsOf(a);
      const inside = Buffer.compare(start, two) <= 0 && Buffer.compare(two, end) < 0;
      assert.equal(inside, a === b);
    }),
    { seed: SEED, numRuns: RUNS },
  );
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseCopyRange, partRange, type RangeVerdict, resolveRange } from '../../../src/s3/handlers/ranges.ts';

const WHOLE: RangeVerdict = { kind: 'whole' };
const UNSATISFIABLE: RangeVerdict = { kind: 'unsatisfiable' };
const part = (start: number, end: number): RangeVerdict => ({ kind: 'part', start, end });

const CASES: [header: string | undefined, size: number, expected: RangeVerdict][] = [
  [undefined, 10, WHOLE],
  ['bytes=0-0', 10, part(0, 0)],
  ['bytes=0-9', 10, part(0, 9)],
  ['bytes=4-7', 11, part(4, 7)],
  ['bytes=4-', 11, part(4, 10)],
  ['bytes=-7', 11, part(4, 10)],
  ['bytes=-100', 11, part(0, 10)],
  ['bytes=3-100', 10, part(3, 9)],
  ['bytes=10-', 10, UNSATISFIABLE],
  ['bytes=40-50', 10, UNSATISFIABLE],
  ['bytes=-0', 10, UNSATISFIABLE],
  ['bytes=0-', 0, UNSATISFIABLE],
  ['bytes=-5', 0, UNSATISFIABLE],
  ['bytes=40-50', 0, UNSATISFIABLE],
  ['bytes= 0 - 3 ', 10, part(0, 3)],
  ['bytes=0-99999999999999999999', 10, part(0, 9)],
  ['bytes=-99999999999999999999', 10, part(0, 9)],
  ['bytes=99999999999999999999-', 10, UNSATISFIABLE],
  // Malformed, several, or of another unit: the whole object.
  ['bytes=5-3', 10, WHOLE],
  ['bytes=-', 10, WHOLE],
  ['bytes=a-b', 10, WHOLE],
  ['bytes 0-3', 10, WHOLE],
  ['items=0-3', 10, WHOLE],
  ['bytes=0-1,4-5', 10, WHOLE],
  ['bytes=0 1-2', 10, WHOLE],
  ['bytes=--1', 10, WHOLE],
  [`bytes=${' '.repeat(8000)}-${' '.repeat(8000)}x`, 10, WHOLE],
  ['', 10, WHOLE],
];

for (const [header, size, expected] of CASES) {
  test(`range ${header} of ${size} bytes`, () => assert.deepEqual(resolveRange(header, size), expected));
}

test('a copy range has both ends, in order', () => {
  assert.deepEqual(parseCopyRange('bytes=0-9'), { start: 0, end: 9 });
  for (const text of [
    '0-2',
    'bytes=0',
    'bytes=hello-world',
    'bytes=0-bar',
    'bytes=hello-',
    'bytes=0-2,3-5',
    'bytes=5-3',
    'bytes=-5',
  ]) {
    assert.equal(parseCopyRange(text), null, text);
  }
});

test('parts by number', () => {
  assert.deepEqual(partRange(1, 7, null), { start: 0, length: 7 });
  assert.equal(partRange(2, 7, null), null);
  assert.deepEqual(partRange(1, 6, [1, 2, 3]), { start: 0, length: 1 });
  assert.deepEqual(partRange(3, 6, [1, 2, 3]), { start: 3, length: 3 });
  assert.equal(partRange(4, 6, [1, 2, 3]), null);
});

// The `zring:*` properties of format 1, as they lie on pools: these lines may never change their meaning.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { copyProperties, formatState, parseCopy } from '../../src/ownership/copy-properties.ts';
import type { Copy } from '../../src/ownership/state.ts';

const ID = '0123456789abcdef0123456789abcdef';
const plain: Copy = {
  id: ID,
  role: 'owner',
  term: { n: 7, node: 'a' },
  createdMs: 1_700_000_000_000,
  creator: null,
  promise: null,
  source: null,
  deleting: false,
  priorSinceMs: null,
};
const word = { term: { n: 7, node: 'a' }, guid: '1234567', snapshot: 'zring-final-7-x' };

const golden: [string, Copy][] = [
  ['owner 7@a', plain],
  ['owner 7@a promised b 7@a 1234567 zring-final-7-x', { ...plain, promise: { to: 'b', ...word } }],
  ['owner 7@a deleting', { ...plain, deleting: true }],
  ['creating 1@a', { ...plain, role: 'creating', term: { n: 1, node: 'a' } }],
  ['receiving 6@a', { ...plain, role: 'receiving', term: { n: 6, node: 'a' } }],
  [
    'prepared 8@b from a 7@a 1234567 zring-final-7-x',
    { ...plain, role: 'prepared', term: { n: 8, node: 'b' }, source: { node: 'a', ...word } },
  ],
  ['prior 7@a since 1700000000001', { ...plain, role: 'prior', priorSinceMs: 1_700_000_000_001 }],
];

const onPool = (state: string, change: Record<string, string> = {}) => ({
  name: 'photos',
  properties: { id: ID, version: '1', name: 'photos', cluster: 'lab', created: '1700000000000', state, ...change },
});

for (const [state, copy] of golden) {
  test(`format 1 is read and written: ${state}`, () => {
    assert.deepEqual(parseCopy(onPool(state)), { dataset: 'photos', copy });
    assert.equal(formatState(copy), state);
    assert.deepEqual(copyProperties('photos', 'lab', copy), onPool(state).properties);
  });
}

test('who asked for it is kept; absent where it never was', () => {
  const made = { ...plain, creator: 'testx$9876' };
  const { properties } = onPool('owner 7@a', { creator: 'testx$9876' });
  assert.deepEqual(copyProperties('photos', 'lab', made), properties);
  assert.deepEqual(parseCopy({ name: 'photos', properties })?.copy, made);
  assert.equal('creator' in copyProperties('photos', 'lab', plain), false);
});

test('what it was cloned from is kept; absent where it was not', () => {
  const cloned = { ...plain, origin: 'photos@then' };
  const { properties } = onPool('owner 7@a', { origin: 'photos@then' });
  assert.deepEqual(copyProperties('photos', 'lab', cloned), properties);
  assert.deepEqual(parseCopy({ name: 'photos', properties })?.copy, cloned);
});

test('a newer format is refused by name, a missing or odd version is damage', () => {
  assert.throws(() => parseCopy(onPool('owner 7@a', { version: '2' })), {
    code: 'VERSION_UNSUPPORTED',
    message: /photos has properties of version 2/,
  });
  for (const version of ['', '0', 'x', '01']) {
    assert.throws(() => parseCopy(onPool('owner 7@a', { version })), { code: 'STORAGE_CORRUPT' }, version);
  }
});

for (const state of [
  '',
  'owner',
  'owner 7',
  'lord 7@a',
  'owner 7@a promised b',
  'owner 7@a promised b x 1 s',
  'owner 7@a and more',
]) {
  test(`a state that cannot be read is never taken for another one: "${state}"`, () => {
    assert.throws(() => parseCopy(onPool(state)), { code: 'STORAGE_CORRUPT' });
  });
}

test('a dataset without state is half made, not damaged', () => {
  assert.equal(parseCopy({ name: 'photos', properties: { id: ID } }), null);
});

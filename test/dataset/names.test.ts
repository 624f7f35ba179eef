import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { isZringError } from '../../src/common/errors.ts';
import * as names from '../../src/dataset/names.ts';

const invalid = (error: unknown) => isZringError(error, 'DATASET_NAME_INVALID');

describe('dataset names', () => {
  for (const name of ['abc', 'a1b', 'my.bucket-1', '0-0', 'x'.repeat(63), '_recv-my.bucket-12_a', '_aside.x']) {
    it(`accepts ${name}`, () => assert.equal(names.requireDatasetName(name), name));
  }

  for (const name of ['ab', 'a..b', '-ab', 'ab-', '.ab', 'a_b', 'AbC', 'ab/c', '_', '_-x', '_zring', 'x'.repeat(64)]) {
    it(`refuses ${JSON.stringify(name)}`, () => assert.throws(() => names.requireDatasetName(name), invalid));
  }

  it('never lets through what ZFS or a path reads as something else', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 80 }), (text) => {
        if (names.isDatasetName(text)) assert.match(text, /^[a-z0-9_][a-z0-9._-]*$/);
        if (names.isSnapshotName(text)) assert.match(text, /^[A-Za-z0-9][A-Za-z0-9._:-]*$/);
      }),
      { numRuns: 2000 },
    );
  });

  it('refuses values that are no strings', () => {
    for (const value of [null, undefined, 7, {}, ['abc']]) {
      assert.throws(() => names.requireDatasetName(value as string), invalid);
      assert.throws(() => names.requireSnapshotName(value as string), invalid);
      assert.throws(() => names.requireHoldTag(value as string), invalid);
      assert.throws(() => names.requireGuid(value as string), invalid);
    }
  });
});

describe('full ZFS names', () => {
  it('keep below the length that ZFS has room for', () => {
    const root = `tank/${'r'.repeat(100)}`;
    assert.equal(names.zfsName(root, 'abc'), `${root}/abc`);
    assert.throws(() => names.zfsName(root, `_${'x'.repeat(149)}`), invalid);
    const long = `tank/${'r'.repeat(80)}`;
    assert.throws(() => names.zfsSnapshotName(long, `_${'x'.repeat(140)}`, 's'.repeat(50)), invalid);
  });

  for (const root of ['tank/zring', 'tank', 'a/b/c', 'tank_1/x:y']) {
    it(`accept the root ${root}`, () => assert.equal(names.requireZfsRoot(root), root));
  }

  for (const root of [
    '',
    '/tank',
    'tank/',
    'tank//x',
    '-tank/x',
    'tank/x@y',
    'tank/../x',
    'tank/x y',
    `tank/${'x'.repeat(250)}`,
  ]) {
    it(`refuse the root ${JSON.stringify(root.slice(0, 20))}`, () => {
      assert.throws(() => names.requireZfsRoot(root), invalid);
    });
  }
});

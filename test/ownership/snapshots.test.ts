import assert from 'node:assert/strict';
import test from 'node:test';
import { between, nameAt } from '../../src/ownership/snapshot-names.ts';
import { TestCluster } from './cluster.ts';
import { snapshotTests } from './snapshot-suite.ts';

snapshotTests('dir', (options) => TestCluster.start(['a', 'b'], options));

const theirs = ['zring-step-b-1', 'one', 'zring-final-2-x', 'two', 'zring-step-b-2', 'three'].map((name) => ({
  name,
  guid: `guid of ${name}`,
}));
const lacks = (base: string | null, target: string) =>
  between(theirs, base && `guid of ${base}`, `guid of ${target}`).map(({ name }) => name);

test('what a copy lacks: the bucket’s own snapshots before the next one, never those of moves', () => {
  assert.deepEqual(lacks(null, 'zring-step-b-2'), ['one', 'two']);
  assert.deepEqual(lacks('zring-step-b-1', 'zring-step-b-2'), ['one', 'two']);
  assert.deepEqual(lacks('one', 'zring-step-b-2'), ['two']);
  assert.deepEqual(lacks('zring-step-b-2', 'three'), [], 'the target itself is no part of it');
  assert.deepEqual(lacks('two', 'zring-step-b-2'), []);
  assert.deepEqual(lacks('unknown', 'zring-step-b-2'), [], 'nothing is known of what lies between');
  assert.deepEqual(lacks('one', 'unknown'), []);
});

test('a name that is made from the time is one of its own', () => {
  assert.equal(nameAt('manual', Date.UTC(2026, 0, 2, 3, 4, 5, 678)), 'manual-20260102T030405Z');
});

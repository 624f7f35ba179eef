import assert from 'node:assert/strict';
import test from 'node:test';
import { replicaHealth } from '../../src/ownership/replicas/replica-health.ts';

const NOW_MS = 1_000_000;
const sight = (behindMs: number | null, isCurrent = false) => ({
  node: 'b',
  currentMs: behindMs === null ? null : NOW_MS - behindMs,
  isCurrent,
});

test('replicas are current for three periods, late after them, and unknown until they are heard of', () => {
  const health = (...sights: ReturnType<typeof sight>[]) => replicaHealth(sights, 60_000, NOW_MS);
  assert.deepEqual(health(), { current: 0, late: 0, unknown: 0, lagMs: 0 });
  assert.deepEqual(health(sight(null), sight(180_000), sight(180_001)), {
    current: 1,
    late: 1,
    unknown: 1,
    lagMs: 180_001,
  });
  assert.deepEqual(
    health(sight(9_000_000, true)),
    { current: 1, late: 0, unknown: 0, lagMs: 0 },
    'nothing was written',
  );
  assert.equal(health(sight(-5_000)).lagMs, 0, 'a clock that was set back');
});

// How far apart nodes do the same thing: what the coordinator sees of the whole cluster stays bounded as it grows.
import assert from 'node:assert/strict';
import test from 'node:test';
import { mapReadWithinMs, pageRestMs, returnWithinMs } from '../../src/ownership/pace.ts';

const SIZES = [1, 3, 10, 30, 31, 100, 300, 1_000, 3_000, 10_000];

test('a small cluster waits for nothing', () => {
  for (const nodes of [1, 3, 30]) assert.deepEqual([mapReadWithinMs(nodes), returnWithinMs(nodes)], [0, 0]);
});

test('a new map is read, and a coordinator found again, by no more than so many nodes a second, up to the regular round', () => {
  for (const nodes of SIZES.filter((size) => size > 30)) {
    const readers = nodes / (mapReadWithinMs(nodes) / 1000);
    assert.ok(readers <= 334 || mapReadWithinMs(nodes) === 5_000, `${nodes} nodes: ${readers} a second`);
    assert.ok(mapReadWithinMs(nodes) <= 5_000 && returnWithinMs(nodes) <= 1_000);
    assert.ok(nodes / (returnWithinMs(nodes) / 1000) <= 1_000 || returnWithinMs(nodes) === 1_000);
  }
});

test('a larger cluster is never faster for one node', () => {
  for (const within of [mapReadWithinMs, returnWithinMs, (nodes: number) => pageRestMs(nodes, 0.5)]) {
    const times = SIZES.map(within);
    assert.deepEqual(
      times,
      [...times].sort((a, b) => a - b),
    );
  }
});

test('a long reading that all are at: on average a thousand pages a second of the whole cluster', () => {
  for (const nodes of SIZES) {
    const rests = Array.from({ length: 100 }, (_, i) => pageRestMs(nodes, (i + 0.5) / 100));
    const mean = rests.reduce((sum, rest) => sum + rest, 0) / rests.length;
    assert.ok(Math.abs(nodes / (mean / 1000) - 1_000) < 1, `${nodes} nodes`);
    assert.ok(Math.min(...rests) >= 0.5 * nodes && Math.max(...rests) <= 1.5 * nodes);
  }
});

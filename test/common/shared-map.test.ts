import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SharedMap } from '../../src/common/shared-map.ts';

test('a shared map answers as a map does, and no version changes another', () => {
  let shared = SharedMap.of<number>();
  const plain = new Map<string, number>();
  const versions: [SharedMap<number>, Map<string, number>][] = [];
  for (let i = 0; i < 3000; i++) {
    const key = `key-${(i * 7919) % 1200}`;
    plain.set(key, i);
    shared = shared.with([[key, i]]);
    if (i % 500 === 0) versions.push([shared, new Map(plain)]);
  }
  for (const [version, expected] of [...versions, [shared, plain] as const]) {
    assert.equal(version.size, expected.size);
    assert.deepEqual(new Map(version), expected);
    assert.deepEqual(new Set(version.keys()), new Set(expected.keys()));
    assert.deepEqual([...version.values()].sort(), [...expected.values()].sort());
    for (const [key, value] of expected) assert.equal(version.get(key), value);
    assert.equal(version.get('nobody'), undefined);
    assert.ok(!version.has('nobody') && version.has('key-0'));
  }
});

test('without changes it is the same; of changes to one key the last counts', () => {
  const shared = SharedMap.of([['a', 1]]);
  assert.equal(shared.with([]), shared);
  const next = shared.with([
    ['a', 2],
    ['b', 1],
    ['b', 3],
  ]);
  assert.deepEqual([next.size, next.get('a'), next.get('b'), shared.get('a'), shared.has('b')], [2, 2, 3, 1, false]);
});

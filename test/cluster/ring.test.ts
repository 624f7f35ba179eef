import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { describe, test } from 'node:test';
import type { MapNode } from '../../src/cluster/map.ts';
import { createRing, type Ring } from '../../src/cluster/ring.ts';

const NAMES = Array.from({ length: 100_000 }, (_, i) => `bucket-${i}`);
const GOLDEN = new URL('./ring.golden.json', import.meta.url);

function node(id: string, changes: Partial<MapNode> = {}): MapNode {
  return { id, zone: id, weight: 1, state: 'up', s3: '', peer: '', admin: '', ...changes };
}

function nodes(count: number, changes: (i: number) => Partial<MapNode> = () => ({})): MapNode[] {
  return Array.from({ length: count }, (_, i) => node(`node-${i}`, changes(i)));
}

function homes(ring: Ring): string[] {
  return NAMES.map((name) => ring.home(name));
}

function countByHome(ring: Ring): Map<string, number> {
  const counts = new Map<string, number>();
  for (const home of homes(ring)) counts.set(home, (counts.get(home) ?? 0) + 1);
  return counts;
}

describe('balance: no node has more than 1.2 times its share of 100,000 names', () => {
  for (const count of [3, 4, 5, 8, 16, 32, 64, 100]) {
    test(`${count} nodes`, () => {
      const counts = countByHome(createRing({ nodes: nodes(count) }));
      assert.equal(counts.size, count);
      assert.ok(Math.max(...counts.values()) / (NAMES.length / count) <= 1.2);
    });
  }

  test('weights 1, 2, 4 and 0.5', () => {
    const weights = [1, 2, 4, 0.5, 1, 1];
    const counts = countByHome(createRing({ nodes: nodes(6, (i) => ({ weight: weights[i] ?? 1 })) }));
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    for (const [i, weight] of weights.entries()) {
      const share = (counts.get(`node-${i}`) ?? 0) / ((NAMES.length * weight) / total);
      assert.ok(share >= 0.8 && share <= 1.2, `node-${i} of weight ${weight} has ${share} of its share`);
    }
  });
});

describe('movement: what changes home goes to the new node, and at most 1.3 times the ideal share', () => {
  const grow = (before: MapNode[], added: MapNode, ideal: number) => {
    const old = homes(createRing({ nodes: before }));
    const next = homes(createRing({ nodes: [added, ...before] }));
    const moved = next.filter((home, i) => home !== old[i]);
    assert.deepEqual([...new Set(moved)], [added.id]);
    assert.ok(moved.length <= 1.3 * ideal * NAMES.length, `${moved.length} moved`);
    assert.ok(moved.length >= 0.7 * ideal * NAMES.length, `only ${moved.length} moved`);
  };
  for (const count of [1, 3, 4, 9, 31, 99]) {
    test(`${count} nodes and one more`, () => grow(nodes(count), node('added'), 1 / (count + 1)));
  }
  test('one of weight 3 beside weights 1 and 2', () => {
    grow(
      nodes(6, (i) => ({ weight: 1 + (i % 2) })),
      node('added', { weight: 3 }),
      3 / 12,
    );
  });
  test('an id that sorts before, between or after, or extends another, changes nothing for the rest', () => {
    for (const id of ['a', 'node-00', 'zz', 'node-1-1', '7']) grow(nodes(3), node(id), 1 / 4);
  });
  test('more weight only draws', () => {
    const old = homes(createRing({ nodes: nodes(5) }));
    const next = homes(createRing({ nodes: nodes(5, (i) => ({ weight: i === 2 ? 1.5 : 1 })) }));
    const moved = next.filter((home, i) => home !== old[i]);
    assert.deepEqual([...new Set(moved)], ['node-2']);
  });
  test('a node that drains gives its datasets away, and nobody else does', () => {
    const old = homes(createRing({ nodes: nodes(5) }));
    const next = homes(createRing({ nodes: nodes(5, (i) => ({ state: i === 3 ? 'draining' : 'up' })) }));
    for (const [i, home] of next.entries()) {
      assert.notEqual(home, 'node-3');
      if (old[i] !== 'node-3') assert.equal(home, old[i]);
    }
    assert.deepEqual(next, homes(createRing({ nodes: nodes(5).filter((entry) => entry.id !== 'node-3') })));
  });
});

describe('preference', () => {
  test('starts at home, names nobody twice, and a shorter one is the beginning of a longer one in as many zones', () => {
    const ring = createRing({ nodes: nodes(9) });
    for (const name of NAMES.slice(0, 500)) {
      const all = ring.preference(name, 9);
      assert.equal(all[0], ring.home(name));
      assert.equal(new Set(all).size, 9);
      for (const count of [1, 2, 3, 5]) assert.deepEqual(ring.preference(name, count), all.slice(0, count));
      assert.deepEqual(ring.preference(name, 20), all);
    }
  });

  test('two nodes of one zone come after one of each zone', () => {
    const map = { nodes: nodes(9, (i) => ({ zone: `zone-${i % 3}` })) };
    const ring = createRing(map);
    const zoneOf = new Map(map.nodes.map((entry) => [entry.id, entry.zone]));
    const seconds = new Set<string>();
    for (const name of NAMES.slice(0, 500)) {
      const all = ring.preference(name, 9);
      assert.equal(new Set(all).size, 9);
      assert.equal(new Set(all.slice(0, 3).map((id) => zoneOf.get(id))).size, 3);
      assert.equal(all[0], ring.home(name));
      assert.deepEqual(ring.preference(name, 2), all.slice(0, 2));
      assert.deepEqual(ring.preference(name, 5), all.slice(0, 5));
      seconds.add(all[1] ?? '');
    }
    assert.equal(seconds.size, 9);
  });

  test('the second choice of a node is spread over the others, so a lost node burdens nobody alone', () => {
    const ring = createRing({ nodes: nodes(10) });
    const seconds = new Map<string, number>();
    for (const name of NAMES) {
      const [first, second] = ring.preference(name, 2);
      if (first === 'node-4') seconds.set(second ?? '', (seconds.get(second ?? '') ?? 0) + 1);
    }
    const total = [...seconds.values()].reduce((sum, count) => sum + count, 0);
    assert.equal(seconds.size, 9);
    assert.ok(Math.max(...seconds.values()) / (total / 9) <= 1.5);
  });

  test('draining nodes and weight 0 get nothing, unless there is nothing else', () => {
    const some = createRing({ nodes: [node('a'), node('b', { state: 'draining' }), node('c', { weight: 0 })] });
    assert.deepEqual(some.preference('x', 5), ['a']);
    const none = createRing({ nodes: [node('a', { state: 'draining' }), node('b', { weight: 0 })] });
    assert.deepEqual([...none.preference('x', 5)].sort(), ['a', 'b']);
  });

  test('the order of the nodes in the map does not matter', () => {
    const ordered = nodes(12, (i) => ({ zone: `zone-${i % 5}` }));
    const a = createRing({ nodes: ordered });
    const b = createRing({ nodes: [...ordered].reverse() });
    for (const name of NAMES.slice(0, 2000)) assert.deepEqual(a.preference(name, 4), b.preference(name, 4));
  });
});

test('an answer is the same before and after tens of thousands of others', () => {
  const ring = createRing({ nodes: nodes(5) });
  const first = NAMES.slice(0, 100).map((name) => ring.preference(name, 2));
  homes(ring);
  for (const name of NAMES) ring.preference(name, 2);
  assert.deepEqual(
    NAMES.slice(0, 100).map((name) => ring.preference(name, 2)),
    first,
  );
});

// A difference here means that an upgrade would move data in every cluster. Never regenerate it for that:
// ZRING_WRITE_GOLDEN=1 is for adding cases.
test('golden vectors: names live where every release has put them', async () => {
  const cases: Record<string, MapNode[]> = {
    'one node': nodes(1),
    'three nodes': ['a', 'b', 'c'].map((id) => node(id)),
    'four nodes': ['a', 'b', 'c', 'd'].map((id) => node(id)),
    'weights 1, 2, 0.5': [node('a'), node('b', { weight: 2 }), node('c', { weight: 0.5 })],
    'six nodes in two zones': nodes(6, (i) => ({ zone: `rack${i % 2}` })),
    'one of five drains': nodes(5, (i) => ({ state: i === 1 ? 'draining' : 'up' })),
    'a hundred nodes': nodes(100, (i) => ({ zone: `rack${i % 10}` })),
  };
  const names = ['photos', 'logs', 'a.b-c', 'backup-2026', 'x'.repeat(63), ...NAMES.slice(0, 35)];
  const now = Object.fromEntries(
    Object.entries(cases).map(([title, list]) => {
      const ring = createRing({ nodes: list });
      return [title, Object.fromEntries(names.map((name) => [name, ring.preference(name, 3).join(' ')]))];
    }),
  );
  if (process.env.ZRING_WRITE_GOLDEN === '1') await writeFile(GOLDEN, `${JSON.stringify(now, null, 2)}\n`);
  assert.deepEqual(now, JSON.parse(await readFile(GOLDEN, 'utf8')));
});

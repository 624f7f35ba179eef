import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { ClusterMap, MapNode } from '../../src/cluster/map.ts';
import { heardNodes, type MapInput, type MapKnowledge, planMapChange } from '../../src/cluster/map-change.ts';
import { recordOf } from '../contract/coordinator/suite.ts';

function nodesOf(ids: string): MapNode[] {
  const address = '127.0.0.1:9000';
  return [...ids].map((id) => {
    return { id, zone: id, weight: 1, state: 'up', s3: address, peer: address, admin: address };
  });
}

function input(revision: number, ids: string, changes: Partial<MapInput> = {}): MapInput {
  const settings = { copies: 1, leaseMs: 10_000 };
  return { cluster: 'lab', revision, contentHash: `${revision}/${ids}`, settings, nodes: nodesOf(ids), ...changes };
}

function map(epoch: number, revision: number, ids: string): ClusterMap {
  return { version: 1, epoch, ...input(revision, ids) };
}

function known(changes: Partial<MapKnowledge> = {}): MapKnowledge {
  const newest = changes.current ?? changes.remembered ?? null;
  return { current: null, remembered: null, highestEpoch: newest?.epoch ?? 0, records: [], heard: null, ...changes };
}

const r3 = map(5, 3, 'abc');
const cases: { title: string; input: MapInput; known: MapKnowledge; plan: unknown }[] = [
  {
    title: 'nothing yet: the first map is epoch 1',
    input: input(3, 'cab'),
    known: known(),
    plan: { kind: 'commit', reason: 'first', expectedEpoch: 0, map: { ...map(1, 3, 'abc'), contentHash: '3/cab' } },
  },
  {
    title: 'the same revision and content: unchanged',
    input: input(3, 'abc'),
    known: known({ current: r3, remembered: r3 }),
    plan: { kind: 'unchanged', map: r3 },
  },
  {
    title: 'a higher revision: the next epoch',
    input: input(4, 'abcd'),
    known: known({ current: r3 }),
    plan: { kind: 'commit', reason: 'revision', expectedEpoch: 5, map: map(6, 4, 'abcd') },
  },
  {
    title: 'a revision that jumps: the next epoch all the same',
    input: input(40, 'abcd'),
    known: known({ current: r3, remembered: map(4, 2, 'ab') }),
    plan: { kind: 'commit', reason: 'revision', expectedEpoch: 5, map: map(6, 40, 'abcd') },
  },
  {
    title: 'a lower revision: behind, whatever the file says',
    input: input(2, 'xyz'),
    known: known({ current: r3, remembered: r3 }),
    plan: { kind: 'behind', map: r3 },
  },
  {
    title: 'the coordinator lost the map: published again, above every epoch remembered',
    input: input(3, 'abc'),
    known: known({ remembered: r3, highestEpoch: 9 }),
    plan: { kind: 'commit', reason: 'republish', expectedEpoch: 0, map: map(10, 3, 'abc') },
  },
  {
    title: 'the coordinator lost the map and the file is old: the remembered map is published, not the file',
    input: input(2, 'ab'),
    known: known({ remembered: r3 }),
    plan: { kind: 'commit', reason: 'republish', expectedEpoch: 0, map: map(6, 3, 'abc') },
  },
  {
    title: 'the coordinator lost the map while the file grew: the file',
    input: input(4, 'abcd'),
    known: known({ remembered: r3 }),
    plan: { kind: 'commit', reason: 'revision', expectedEpoch: 0, map: map(6, 4, 'abcd') },
  },
  {
    title: 'an old dump was restored: published again above what was seen',
    input: input(3, 'abc'),
    known: known({ current: map(2, 2, 'ab'), remembered: r3 }),
    plan: { kind: 'commit', reason: 'republish', expectedEpoch: 2, map: map(6, 3, 'abc') },
  },
  {
    title: 'an old dump with the same content: its epoch has been passed, so it is published again',
    input: input(3, 'abc'),
    known: known({ current: map(4, 3, 'abc'), remembered: null, highestEpoch: 5 }),
    plan: { kind: 'commit', reason: 'republish', expectedEpoch: 4, map: map(6, 3, 'abc') },
  },
  {
    title: 'after a loss an old file was committed under a high epoch: the higher revision comes back',
    input: input(3, 'abc'),
    known: known({ current: map(8, 2, 'ab'), remembered: r3, highestEpoch: 8 }),
    plan: { kind: 'commit', reason: 'republish', expectedEpoch: 8, map: map(9, 3, 'abc') },
  },
  {
    title: 'an epoch that was given out twice is passed',
    input: input(3, 'abc'),
    known: known({ current: { ...r3, nodes: nodesOf('abc').map((n) => ({ ...n, peer: 'other:1' })) }, remembered: r3 }),
    plan: {
      kind: 'commit',
      reason: 'republish',
      expectedEpoch: 5,
      map: { ...map(6, 3, 'abc'), nodes: nodesOf('abc').map((n) => ({ ...n, peer: 'other:1' })) },
    },
  },
  {
    title: 'a node that holds nothing leaves',
    input: input(4, 'ab'),
    known: known({ current: r3, records: [recordOf('x', 'a'), { ...recordOf('gone', 'c'), phase: 'deleted' }] }),
    plan: { kind: 'commit', reason: 'revision', expectedEpoch: 5, map: map(6, 4, 'ab') },
  },
];

describe('planMapChange', () => {
  for (const { title, input, known, plan } of cases) {
    test(title, () => assert.deepEqual(planMapChange(input, known), plan));
  }

  test('the same revision with other content is refused, and the map stays', () => {
    for (const knowledge of [known({ current: r3 }), known({ remembered: r3 })]) {
      const plan = planMapChange(input(3, 'abd'), knowledge);
      assert.ok(plan.kind === 'refused');
      assert.equal(plan.error.code, 'CONFIG_REVISION_CONFLICT');
      assert.equal(plan.map, r3);
    }
  });

  test('a node that still holds something cannot leave; the error lists everything it holds', () => {
    const records = [
      recordOf('owned', 'c'),
      recordOf('other', 'a'),
      { ...recordOf('pulled', 'a'), phase: 'copying' as const, target: 'c' },
      { ...recordOf('copied', 'a'), inSync: ['a', 'c'] },
      { ...recordOf('gone', 'c'), phase: 'deleted' as const },
    ];
    const plan = planMapChange(input(4, 'ab'), known({ current: r3, records }));
    assert.ok(plan.kind === 'refused');
    assert.equal(plan.error.code, 'CONFIG_REFUSED');
    assert.match(plan.error.message, /c still holds owned, pulled, copied/);
    assert.deepEqual(plan.error.details, [
      { node: 'c', role: 'owner', dataset: 'owned' },
      { node: 'c', role: 'target', dataset: 'pulled' },
      { node: 'c', role: 'inSync', dataset: 'copied' },
    ]);
  });

  test('after a loss, a node that has not reported cannot leave: nobody knows what it holds', () => {
    const leave = (state: { complete: boolean; reported: string[] }, incarnation: string) => {
      const current = { ...r3, origin: 'first' };
      return planMapChange(input(4, 'ab'), known({ current, heard: heardNodes({ ...state, incarnation }, [current]) }));
    };
    const plan = leave({ complete: false, reported: ['a', 'b'] }, 'second');
    assert.ok(plan.kind === 'refused');
    assert.deepEqual(plan.error.details, [{ node: 'c', role: 'unheard', dataset: null }]);
    assert.equal(leave({ complete: false, reported: ['a', 'c'] }, 'second').kind, 'commit');
    assert.equal(leave({ complete: true, reported: [] }, 'second').kind, 'commit');
    // A node that was named by mistake when the cluster was made has never owned anything.
    assert.equal(leave({ complete: false, reported: ['a'] }, 'first').kind, 'commit');
  });

  test('the incarnation of the first map stays with the cluster, whoever commits after a loss', () => {
    const first = planMapChange(input(3, 'abc'), known({ incarnation: 'first' }));
    assert.ok(first.kind === 'commit' && first.map.origin === 'first');
    const revised = planMapChange(input(4, 'abcd'), known({ current: first.map, incarnation: 'first' }));
    assert.ok(revised.kind === 'commit' && revised.map.origin === 'first');
    // A newcomer was the first to find the coordinator empty.
    const newcomer = planMapChange(input(5, 'abcd'), known({ incarnation: 'second' }));
    assert.ok(newcomer.kind === 'commit' && newcomer.map.origin === 'second');
    const back = planMapChange(
      input(4, 'abcd'),
      known({ current: newcomer.map, remembered: revised.map, highestEpoch: 2 }),
    );
    assert.ok(back.kind === 'commit' && back.map.origin === 'first' && back.map.revision === 5);
    // A map of an earlier release does not say: then a node must have reported to leave.
    assert.deepEqual(heardNodes({ complete: false, reported: ['a'], incarnation: 'x' }, [r3]), ['a']);
  });

  test('a newcomer that found the coordinator empty cannot leave out a node that nobody has heard', () => {
    const before = { ...r3, origin: 'first' };
    const made = planMapChange(input(4, 'bc'), known({ incarnation: 'second' }));
    assert.ok(made.kind === 'commit' && made.reason === 'first');
    const old = { remembered: before, highestEpoch: 5, incarnation: 'second', heard: ['b', 'c'] };
    const back = planMapChange(input(4, 'bc'), known({ ...old, current: made.map }));
    assert.ok(back.kind === 'commit' && back.reason === 'republish');
    assert.deepEqual([back.map.revision, back.map.origin, back.map.nodes.length], [3, 'first', 3]);
    const refused = planMapChange(input(4, 'bc'), known({ ...old, current: back.map }));
    assert.ok(refused.kind === 'refused' && refused.error.code === 'CONFIG_REFUSED');
    // The newcomer gives way, although its own revision is higher.
    const newcomer = { remembered: made.map, highestEpoch: back.map.epoch, incarnation: 'second', heard: ['b', 'c'] };
    const gives = planMapChange(input(4, 'bc'), known({ ...newcomer, current: back.map }));
    assert.ok(gives.kind === 'refused' && gives.map === back.map);
    // Once all have been heard it may.
    const later = planMapChange(input(4, 'bc'), known({ ...old, heard: null, current: back.map }));
    assert.ok(later.kind === 'commit' && later.reason === 'revision');
  });

  test('a configuration of another cluster is refused', () => {
    const plan = planMapChange(input(4, 'abc', { cluster: 'other' }), known({ current: r3 }));
    assert.ok(plan.kind === 'refused' && plan.error.code === 'CONFIG_REFUSED');
  });

  test('whatever nodes remember and in whatever order they act: epochs only grow, and all settle on one map', () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant('act' as const), node: fc.nat(2) }),
      fc.record({ kind: fc.constant('file' as const), node: fc.nat(2), revision: fc.integer({ min: 1, max: 4 }) }),
      fc.record({ kind: fc.constant('lose' as const), back: fc.nat(3) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const world = makeWorld();
        for (const s of steps) {
          if (s.kind === 'act') world.act(s.node);
          else if (s.kind === 'file') world.files[s.node] = input(s.revision, 'abcd'.slice(0, s.revision));
          else world.lose(s.back);
        }
        for (let round = 0; round < 8; round++) for (const n of [0, 1, 2]) world.act(n);
        for (const n of [0, 1, 2]) assert.equal(world.act(n), false, 'still changing');
      }),
      { verbose: 1 },
    );
  });
});

/** Three nodes over one coordinator that can be put back to an older state. */
function makeWorld() {
  const history: (ClusterMap | null)[] = [null];
  let current: ClusterMap | null = null;
  const files = [input(1, 'a'), input(1, 'a'), input(1, 'a')];
  const memories = [0, 1, 2].map(() => ({ remembered: null as ClusterMap | null, highestEpoch: 0 }));
  return {
    files,
    lose(back: number) {
      current = history.at(-1 - back) ?? null;
    },
    /** @returns whether it committed something. */
    act(n: number): boolean {
      const memory = memories[n];
      const file = files[n];
      if (!memory || !file) throw new Error('no such node');
      const plan = planMapChange(file, known({ ...memory, current }));
      if (plan.kind === 'commit') {
        assert.equal(plan.expectedEpoch, current?.epoch ?? 0);
        assert.ok(plan.map.epoch > memory.highestEpoch && plan.map.epoch > (current?.epoch ?? 0));
        current = plan.map;
        history.push(current);
      }
      if (plan.kind !== 'refused' && plan.map.revision >= (memory.remembered?.revision ?? 0)) {
        memory.remembered = plan.map;
      }
      memory.highestEpoch = Math.max(memory.highestEpoch, current?.epoch ?? 0);
      return plan.kind === 'commit';
    },
  };
}

// The plan is a function of its seed, its waves are possible, and chance reaches every kind of fault that a profile names.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { collide, type Fault, type FaultKind, PROFILES, planRun } from './plan.ts';
import { createRandom, subSeed } from './random.ts';

const faultsOf = (plan: ReturnType<typeof planRun>) => plan.waves.flat().map(({ fault }) => fault);

describe('plan of a run', () => {
  test('the same seed gives the same plan, another one another', () => {
    const options = { seed: 42, profile: 'mixed', faults: 200 } as const;
    assert.deepEqual(planRun(options), planRun(options));
    assert.notDeepEqual(planRun(options).waves, planRun({ ...options, seed: 43 }).waves);
  });

  test('plans are what they were: a seed that was written down still means the same', () => {
    const { settings, waves } = planRun({ seed: 1, profile: 'crash', faults: 3 });
    assert.deepEqual(
      { settings, waves },
      {
        settings: {
          nodes: 3,
          buckets: 7,
          leaseMs: 3000,
          mode: 'lazy',
          priorCopyMs: 15000,
          clients: 6,
          deletingBuckets: false,
        },
        waves: [
          [{ afterMs: 0, fault: { kind: 'cluster-kill', storage: true, redis: true, downMs: 0 } }],
          [
            { afterMs: 0, fault: { kind: 'move', dataset: 0, to: null } },
            { afterMs: 180, fault: { kind: 'move', dataset: 3, to: 0 } },
          ],
        ],
      },
    );
  });

  for (const profile of PROFILES) {
    test(`${profile}: as many faults as asked for, none that undo each other at the same time, everyone within the cluster`, () => {
      for (let seed = 1; seed <= 50; seed += 1) {
        const plan = planRun({ seed, profile, faults: 60 });
        assert.equal(faultsOf(plan).length, 60, `seed ${seed}`);
        for (const wave of plan.waves) {
          assert.ok(wave.length >= 1 && wave.length <= 3, `seed ${seed}`);
          for (const [i, { fault }] of wave.entries()) {
            for (const other of wave.slice(i + 1)) assert.ok(!collide(fault, other.fault), `seed ${seed}`);
            if ('node' in fault) assert.ok(fault.node < plan.settings.nodes, `seed ${seed}`);
            if ('dataset' in fault) assert.ok(fault.dataset < plan.settings.buckets, `seed ${seed}`);
            if (fault.kind === 'partition-nodes') assert.notEqual(fault.from, fault.to, `seed ${seed}`);
          }
        }
      }
    });

    test(`${profile}: each of its kinds once, when asked for`, () => {
      const kinds = new Set(faultsOf(planRun({ seed: 1, profile, faults: 2_000 })).map(({ kind }) => kind));
      for (let seed = 1; seed <= 20; seed += 1) {
        const plan = planRun({ seed, profile, faults: kinds.size, eachKindOnce: true });
        assert.deepEqual(new Set(faultsOf(plan).map(({ kind }) => kind)), kinds, `seed ${seed}`);
      }
    });
  }

  test('all kinds occur in some profile, and in the mixed one', () => {
    const seen = new Set<FaultKind>();
    for (const profile of PROFILES) {
      for (const { kind } of faultsOf(planRun({ seed: 5, profile, faults: 1_000 }))) seen.add(kind);
    }
    const mixed = new Set(faultsOf(planRun({ seed: 5, profile: 'mixed', faults: 2_000 })).map(({ kind }) => kind));
    assert.equal(seen.size, 23);
    assert.deepEqual(mixed, seen);
  });

  test('faults wait for each other where one would undo the other', () => {
    const kill: Fault = { kind: 'node-kill', node: 1, downMs: 0, awaitReady: true };
    const cluster: Fault = { kind: 'cluster-kill', storage: true, redis: true, downMs: 0 };
    const zombie: Fault = { kind: 'zombie', node: 2, when: 'serving', ask: 1, overMs: 100 };
    assert.ok(collide(kill, { ...kill, downMs: 5 }));
    assert.ok(!collide(kill, { ...kill, node: 2 }));
    assert.ok(collide(cluster, kill) && collide(kill, cluster));
    assert.ok(collide(zombie, { kind: 'redis-kill', downMs: 5 }), 'nobody could be asked for a move');
    assert.ok(!collide(zombie, { ...zombie, node: 0 }), 'two owners sleep at the same time');
  });
});

test('random numbers of a seed are the same everywhere', () => {
  const random = createRandom('golden');
  assert.deepEqual([random.below(1000), random.below(1000), random.below(1000)], [521, 375, 906]);
  assert.notEqual(subSeed(1, 'run', 1), subSeed(1, 'run', 2));
  assert.equal(subSeed(1, 'run', 1), subSeed(1, 'run', 1));
});

test('random numbers fall everywhere', () => {
  const random = createRandom('spread');
  assert.deepEqual([...random.shuffled([1, 2, 3, 4])].sort(), [1, 2, 3, 4]);
  const numbers = Array.from({ length: 10_000 }, () => random.between(3, 7));
  for (const n of [3, 4, 5, 6, 7]) {
    const share = numbers.filter((one) => one === n).length / numbers.length;
    assert.ok(share > 0.17 && share < 0.23, `${n}: ${share}`);
  }
});

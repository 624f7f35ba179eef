// A slice of what `npm run simulate` does for a night: whole clusters under faults, and that one seed is one history.
import assert from 'node:assert/strict';
import test from 'node:test';
import { PROFILES, STORY } from './nemesis.ts';
import { runSeed } from './world.ts';

const SEEDS = Number(process.env.ZRING_SIMULATOR_SEEDS ?? 60);
const FIRST_SEED = Number(process.env.ZRING_SIMULATOR_SEED ?? 1);

/** Not only tried: it met somebody. */
const REALLY_HAPPENED = [
  'message blocked',
  'message lost',
  'message repeated',
  'stream cut',
  'coordinator call late',
  'coordinator call overtaken',
  'coordinator reply lost',
  'driver failure before',
  'driver failure after',
  'io held back',
  'map changes overlap',
  'member left',
];

for (const [name, profile] of Object.entries(PROFILES)) {
  test(`simulated clusters: ${name}, from seed ${FIRST_SEED}`, async () => {
    const totals: Record<string, number> = {};
    for (let seed = FIRST_SEED; seed < FIRST_SEED + SEEDS; seed++) {
      const result = await runSeed(seed, name, profile);
      for (const [what, count] of Object.entries(result.counts)) totals[what] = (totals[what] ?? 0) + count;
      const replay = `npm run simulate -- --first ${seed} --seeds 1 --profile ${name}`;
      assert.equal(result.failure, null, `${replay}\n${result.failure}\n${result.trace.slice(-40).join('\n')}`);
    }
    // The clusters must have done something under what was done to them, or nothing is shown.
    assert((totals.acknowledged ?? 0) > SEEDS * 10, JSON.stringify(totals));
    assert((totals.opening ?? 0) > SEEDS * 3, JSON.stringify(totals));
    for (const what of name === 'mixed' ? REALLY_HAPPENED : []) {
      assert((totals[what] ?? 0) > 0, `${what}: never: ${JSON.stringify(totals)}`);
    }
    for (const fault of Object.keys(profile.faults)) {
      assert((totals[`fault ${fault}`] ?? 0) > 0, `${fault} was never done: ${JSON.stringify(totals)}`);
    }
  });
}

/** Every so many points of the story, the first by the seed. */
const POINTS_APART = Number(process.env.ZRING_SIMULATOR_POINTS_APART ?? 25);

test('a crash right before and right after each effect', async () => {
  for (const seed of [1, 2]) {
    const base = await runSeed(seed, 'story', STORY, 0);
    assert.equal(base.failure, null, `story ${seed}: ${base.failure}`);
    let crashes = 0;
    for (let point = 1 + (FIRST_SEED % POINTS_APART); point <= base.points; point += POINTS_APART) {
      const { failure, counts, trace } = await runSeed(seed, 'story', STORY, point);
      crashes += counts['crash at a point'] ?? 0;
      assert.equal(failure, null, `story ${seed}, crash at point ${point}: ${failure}\n${trace.slice(-40).join('\n')}`);
    }
    assert(crashes > 10, `${crashes} crashes at ${base.points} points`);
  }
});

/** Histories that broke once. They stay what they were only as long as nothing draws chance in another order; cheap to keep. */
const BROKEN_ONCE: readonly (readonly [string, number])[] = [
  // A second machine under the id of a node took datasets over, while the node's own process was down.
  ['mixed', 25],
  ['mixed', 53],
  ['mixed', 63],
  // A claim of a crashed node that is not the home any more was never taken back.
  ['mixed', 1],
  ['mixed', 75],
  ['moves', 3],
];

test('what broke once holds', async () => {
  for (const [name, seed] of BROKEN_ONCE) {
    const profile = PROFILES[name];
    assert(profile, name);
    const { failure } = await runSeed(seed, name, profile);
    assert.equal(failure, null, `npm run simulate -- --first ${seed} --seeds 1 --profile ${name}\n${failure}`);
  }
});

test('one seed is one history', async () => {
  for (const [name, profile] of Object.entries(PROFILES)) {
    const first = await runSeed(FIRST_SEED, name, profile);
    const second = await runSeed(FIRST_SEED, name, profile);
    assert.equal(second.steps, first.steps);
    assert.equal(second.fingerprint, first.fingerprint, 'the same history, word for word');
  }
});

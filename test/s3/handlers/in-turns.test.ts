import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inTurns } from '../../../src/s3/handlers/in-turns.ts';

/** How often others had a turn while ten jobs were started, each of which takes so long by the clock. */
async function turnsOfOthers(jobMs: number): Promise<{ turns: number; results: number[] }> {
  let nowMs = 0;
  let turns = 0;
  let done = false;
  const others = () => {
    if (done) return;
    turns += 1;
    setImmediate(others);
  };
  setImmediate(others);
  const results = await inTurns(
    Array.from({ length: 10 }, (_, i) => i),
    () => nowMs,
    async (i) => {
      nowMs += jobMs;
      return i * 2;
    },
  );
  done = true;
  return { turns, results };
}

test('jobs that take long leave others a turn, in the order of the items', async () => {
  const { turns, results } = await turnsOfOthers(10);
  assert.ok(turns >= 8, `${turns} turns`);
  assert.deepEqual(results, [0, 2, 4, 6, 8, 10, 12, 14, 16, 18]);
});

test('a job that fails early fails the whole, and nobody takes it for forgotten', async () => {
  let nowMs = 0;
  const started: number[] = [];
  const all = inTurns(
    [0, 1, 2],
    () => nowMs,
    async (i) => {
      nowMs += 10;
      started.push(i);
      if (i === 0) throw new Error('the first');
    },
  );
  await assert.rejects(all, /the first/);
  assert.deepEqual(started, [0, 1, 2]);
});

test('quick ones are started together', async () => {
  assert.equal((await turnsOfOthers(0)).turns, 0);
});

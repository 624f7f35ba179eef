// Seeded random walks of two or three nodes through the ownership machine: crashes between effects, lost and late replies,
// nodes not reached, coordinator down, flushed and restored, homes that change. World checks I1, I2 and I4 on the way; at
// the end faults stop and the dataset must be served again, with everything that was acknowledged.
import assert from 'node:assert/strict';
import test from 'node:test';
import { WALKS, walk } from './model/walk.ts';
import type { World } from './model/world.ts';

const RUNS = Number(process.env.ZRING_EXPLORER_RUNS ?? 300);
const FIRST_SEED = Number(process.env.ZRING_EXPLORER_SEED ?? 1);

for (const [name, options] of WALKS) {
  test(`random walks: ${name}`, () => {
    let last: World | undefined;
    const totals: Record<string, number> = {};
    for (let seed = FIRST_SEED; seed < FIRST_SEED + RUNS; seed++) {
      let world: World | undefined;
      try {
        world = walk(seed, options, (begun) => {
          last = begun;
        });
      } catch (error) {
        throw new Error(
          `ZRING_EXPLORER_SEED=${seed}: ${(error as Error).message}\n${last?.trace.slice(-Number(process.env.ZRING_EXPLORER_TRACE ?? 40)).join('\n')}`,
          { cause: error },
        );
      }
      for (const [what, count] of Object.entries(world.stats)) totals[what] = (totals[what] ?? 0) + count;
    }
    // The walk must get somewhere, or it proves nothing.
    assert((totals['pull-final'] ?? 0) > RUNS / 2, JSON.stringify(totals));
    assert((totals.writes ?? 0) > RUNS * 5, JSON.stringify(totals));
    if (process.env.ZRING_EXPLORER_STATS) console.log(totals);
  });
}

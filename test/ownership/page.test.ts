// The tables of docs/OWNERSHIP-TABLES.md and the code say the same. Steps: everything that the walks of the explorer, the
// probes beside them and the closure of one machine do must be a row, and every row must have been done, each of its words.
import assert from 'node:assert/strict';
import test from 'node:test';
import { step } from '../../src/ownership/transitions.ts';
import { explore } from './model/closure.ts';
import { checkStep } from './model/conditions.ts';
import { probesOf } from './model/probe.ts';
import { SCRIPTS } from './model/scripts.ts';
import { type Tuple, tupleOf } from './model/tuples.ts';
import { WALKS, walk } from './model/walk.ts';
import type { Taken } from './model/world.ts';
import { fits, type Row, rowsOfPage } from './page.ts';
import { start } from './words.ts';

/** Fixed, so that what is observed is the same in every run. */
const SEEDS = 30;
const PROBE_EVERY = 5;

function note(row: Row, tuple: Tuple): void {
  row.seen.add('row');
  row.seen.add(`standing ${tuple.role}`).add(`phase ${tuple.phase}`).add(`event ${tuple.event}`);
}

/** Words of a row that nothing has shown to be true. */
function unseen(row: Row): string[] {
  if (!row.seen.has('row')) return ['the row'];
  return (['standing', 'phase', 'event'] as const).flatMap((column) =>
    row.cells[column].filter((word) => word !== 'any' && !row.seen.has(`${column} ${word}`)),
  );
}

test('steps: what the machine does is what the tables say, and the other way round', () => {
  const rows = rowsOfPage();
  const known = new Map<string, readonly Row[]>();
  const missing = new Set<string>();
  const observe = (taken: Taken): void => {
    checkStep(taken.before, taken.event, taken.after, taken.effects);
    const tuple = tupleOf(taken);
    if (!tuple) return;
    const text = `${tuple.role} | ${tuple.phase} | ${tuple.event} | … | ${tuple.toRole} | ${tuple.toPhase} | ${tuple.effects.join(', ')}`;
    if (known.has(text)) return;
    const found = rows.filter((row) => fits(row, tuple));
    known.set(text, found);
    for (const row of found) note(row, tuple);
    if (found.length === 0) missing.add(text);
  };
  for (const [, options] of WALKS) {
    for (let seed = 1; seed <= SEEDS; seed++) {
      let count = 0;
      walk(seed, options, (world) => {
        world.onStep = (taken) => {
          observe(taken);
          if (count++ % PROBE_EVERY > 0) return;
          const before = taken.after;
          for (const event of probesOf(before)) {
            const { state, effects } = step(before, event, world.now);
            observe({ before, event, after: state, effects });
          }
        };
      });
    }
  }
  explore(observe, { statesMax: Number(process.env.ZRING_CLOSURE_STATES ?? 12_000) });
  for (const [from, events] of SCRIPTS) {
    let before = start(from);
    for (const event of events) {
      const { state, effects } = step(before, event, 0);
      observe({ before, event, after: state, effects });
      before = state;
    }
  }
  assert.deepEqual([...missing].sort(), [], 'steps that no row of docs/OWNERSHIP-TABLES.md describes');
  const idle = rows.flatMap((row) => unseen(row).map((word) => `${word} of: ${row.text}`));
  assert.deepEqual(idle, [], 'rows, or words of rows, of docs/OWNERSHIP-TABLES.md that no step fits');
});

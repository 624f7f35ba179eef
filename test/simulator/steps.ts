// Every step of every simulated machine, held against the conditions of the model and against the rows of
// docs/OWNERSHIP-TABLES.md. Remembers which kinds of step were seen; knows nothing of time, nodes or disks.
import type { StepObserver } from '../../src/ownership/state.ts';
import { checkStep } from '../ownership/model/conditions.ts';
import { tupleOf } from '../ownership/model/tuples.ts';
import { fits, rowsOfPage } from '../ownership/page.ts';

/** Kinds of step that were looked up in the page, in any world: true = a row says so. */
const KNOWN = new Map<string, boolean>();
let rows: ReturnType<typeof rowsOfPage> | null = null;

/** @param fail hears of a step that breaks a condition, or that the page does not have. */
export function observeSteps(fail: (message: string) => void): StepObserver {
  return (before, event, after, effects) => {
    try {
      checkStep(before, event, after, effects);
    } catch (error) {
      fail(error instanceof Error ? error.message : String(error));
    }
    const tuple = tupleOf({ before, event, after, effects });
    if (!tuple) return;
    const { role, phase, toRole, toPhase } = tuple;
    const kind = `${role} | ${phase} | ${tuple.event} | ${toRole} | ${toPhase} | ${tuple.effects.join()}`;
    if (!KNOWN.has(kind)) {
      rows ??= rowsOfPage();
      KNOWN.set(
        kind,
        rows.some((row) => fits(row, tuple)),
      );
    }
    if (!KNOWN.get(kind)) fail(`no row of docs/OWNERSHIP-TABLES.md: ${kind}`);
  };
}

/** How many kinds of step were seen so far. */
export function kindsSeen(): number {
  return KNOWN.size;
}

// Names of the snapshots that moves take. Pure. Everything that starts with `zring-` is ours and may be destroyed by the
// rules in docs/OWNERSHIP.md; all other snapshots are the operator's and are never touched.
import type { Term } from '../common/term.ts';

const STEP = 'zring-step-';
const FINAL = 'zring-final-';
/** On snapshots that a move, or moving back, still needs. */
export const HOLD_TAG = 'zring';

/** A copying round for one puller. */
export function stepName(puller: string, salt: string): string {
  return `${STEP}${puller}-${salt}`;
}

export function finalName(term: Term, salt: string): string {
  return `${FINAL}${term.n}-${salt}`;
}

export function isOurs(name: string): boolean {
  return name.startsWith(STEP) || name.startsWith(FINAL);
}

export function isStepOf(name: string, puller: string): boolean {
  return name.startsWith(`${STEP}${puller}-`) && !name.slice(STEP.length + puller.length + 1).includes('-');
}

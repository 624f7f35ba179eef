// Pure: what the state of a dataset means for requests: enter, wait, or be refused; and whether a write that is already
// inside may still be committed. The runner applies it after every step; the guard of the store asks right before a commit.
import { isTakenByRecord, publicationOf } from './publication.ts';
import type { CopyState, Phase } from './state.ts';

export type ShutReason = 'not-owner' | 'removed' | 'conflict' | 'unresolved' | 'went-back';

export type Gate =
  | { readonly kind: 'open'; readonly term: NonNullable<CopyState['openTerm']> }
  /** An answer will be known soon; requests wait, for a bounded time. `open`: somebody has to ask for the opening. */
  | { readonly kind: 'wait'; readonly open: boolean }
  | { readonly kind: 'shut'; readonly reason: ShutReason };

const SHORT_PHASES: readonly Phase['at'][] = [
  'raising',
  'opening',
  'closing',
  'verifying',
  'sealing',
  'promising',
  'emptying',
  'marking',
  'burying',
  'unmarking',
  'entombing',
  'resuming',
  'reclaiming',
  'inquiring',
  'releasing',
  'unsure',
];

export function gateOf(state: CopyState): Gate {
  const { copy, phase } = state;
  if (!copy) return { kind: 'shut', reason: 'not-owner' };
  if (phase.at === 'committing' || phase.at === 'adopting' || phase.at === 'assuming')
    return { kind: 'wait', open: false };
  if (copy.role === 'creating') return { kind: 'shut', reason: 'unresolved' };
  if (copy.role !== 'owner') return { kind: 'shut', reason: 'not-owner' };
  const verdict = publicationOf(state).kind;
  if (verdict === 'deposed') return { kind: 'shut', reason: state.buried ? 'removed' : 'not-owner' };
  if (verdict === 'conflict' || verdict === 'went-back') return { kind: 'shut', reason: verdict };
  if (phase.at === 'moving-away') return { kind: 'shut', reason: 'removed' };
  if (isTakenByRecord(state)) return { kind: 'shut', reason: 'not-owner' };
  if (copy.promise || copy.deleting) return { kind: 'wait', open: false };
  if (state.openTerm && (phase.at === 'idle' || phase.at === 'verifying'))
    return { kind: 'open', term: state.openTerm };
  if (phase.at === 'idle') return { kind: 'wait', open: true };
  return SHORT_PHASES.includes(phase.at) ? { kind: 'wait', open: false } : { kind: 'shut', reason: 'not-owner' };
}

/**
 * May a write that is already inside the gate be committed? Checked right before each commit. While sealing and emptying,
 * what came in earlier may finish: both wait for it.
 */
export function mayCommit(state: CopyState, term: { n: number; node: string }): boolean {
  const { copy, phase, openTerm } = state;
  if (copy?.role !== 'owner' || copy.promise || copy.deleting) return false;
  if (!openTerm || openTerm.n !== term.n || openTerm.node !== term.node) return false;
  if (!['idle', 'verifying', 'sealing', 'emptying', 'closing'].includes(phase.at)) return false;
  const verdict = publicationOf(state).kind;
  return verdict !== 'deposed' && verdict !== 'conflict' && verdict !== 'went-back';
}

/** Nothing is in flight and nothing is left to do without a new event: needs no tick. */
export function isQuiet(state: CopyState): boolean {
  const { copy, phase } = state;
  if (phase.at !== 'idle' || state.publishing) return false;
  if (!copy) return true;
  if (copy.role === 'receiving' || copy.role === 'prior') return !state.buried;
  return copy.role === 'owner' && !copy.promise && !copy.deleting && publicationOf(state).kind === 'current';
}

const PULL_PHASES: readonly Phase['at'][] = [
  'claiming',
  'copying',
  'announcing',
  'asking',
  'finishing',
  'preparing',
  'committing',
  'adopting',
  'assuming',
];

/** This node is taking the dataset over. */
export function isPullPhase(state: CopyState): boolean {
  return PULL_PHASES.includes(state.phase.at);
}

// Names of the snapshots that moves take. Pure. Those that start with `zring-` are ours and may be destroyed by the rules in
// docs/OWNERSHIP.md; all others are the bucket's, and go where it goes (docs/SNAPSHOTS.md).
import { ZringError } from '../common/errors.ts';
import type { Term } from '../common/term.ts';
import { isSnapshotName, SNAPSHOT_NAME_BYTES_MAX } from '../dataset/names.ts';

const RESERVED = 'zring-';
const STEP = 'zring-step-';
const FINAL = 'zring-final-';
const SHARED = 'zring-copy-';
/** On snapshots that a move, or moving back, still needs. */
export const HOLD_TAG = 'zring';
/** On the bucket's snapshots that we have made: nobody but us destroys one. */
export const KEEP_TAG = 'keep';

/** A copying round for one puller. */
export function stepName(puller: string, salt: string): string {
  return `${STEP}${puller}-${salt}`;
}

export function finalName(term: Term, salt: string): string {
  return `${FINAL}${term.n}-${salt}`;
}

/** In order of time by name, too. */
export function sharedName(wallMs: number, salt: string): string {
  return `${SHARED}${new Date(wallMs).toISOString().replaceAll(/[-:]|\.\d+/g, '')}-${salt}`;
}

/** One that all copies of a dataset have in common (docs/REPLICAS.md). */
export function isShared(name: string): boolean {
  return name.startsWith(SHARED);
}

/** Not one of the bucket's own. */
export function isReserved(name: string): boolean {
  return name.startsWith(RESERVED);
}

export function isOurs(name: string): boolean {
  return name.startsWith(STEP) || name.startsWith(FINAL);
}

export function isStepOf(name: string, puller: string): boolean {
  return name.startsWith(`${STEP}${puller}-`) && !name.slice(STEP.length + puller.length + 1).includes('-');
}

/** For a snapshot that is made without a name, by a person or the schedule: in order of time by name, too. */
export function nameAt(by: 'manual' | 'auto', wallMs: number): string {
  return `${by}-${new Date(wallMs).toISOString().replaceAll(/[-:]|\.\d+/g, '')}`;
}

/** Errors: DATASET_NAME_INVALID. */
export function requireOwnName(name: string): string {
  if (isSnapshotName(name) && !isReserved(name)) return name;
  const message = `a snapshot's name has up to ${SNAPSHOT_NAME_BYTES_MAX} letters, digits, '.', '_', ':' and '-', and does not begin with '${RESERVED}'`;
  throw new ZringError('DATASET_NAME_INVALID', message, { subject: name.slice(0, SNAPSHOT_NAME_BYTES_MAX) });
}

/** Of those that copies share, a first copy begins with so many: older ones may be gone before it has come to them. */
const SHARED_AT_FIRST = 2;

/**
 * The bucket's own snapshots, and those that its copies share, between a copy's newest (`base`; null = it has none) and what
 * it is to receive next: each is received before what was taken after it. GUIDs; `theirs`: all of the owner, oldest first.
 */
export function between<Snapshot extends { readonly name: string; readonly guid: string }>(
  theirs: readonly Snapshot[],
  base: string | null,
  target: string,
): Snapshot[] {
  const from = base === null ? 0 : theirs.findIndex(({ guid }) => guid === base) + 1;
  const to = theirs.findIndex(({ guid }) => guid === target);
  // Without either end nothing is known of what lies between.
  if (to < 0 || (base !== null && from === 0)) return [];
  const newest = theirs.filter(({ name }) => isShared(name)).slice(base === null ? -SHARED_AT_FIRST : 0);
  return theirs.slice(from, to).filter((snapshot) => !isReserved(snapshot.name) || newest.includes(snapshot));
}

// Pure: what an owner's copy means for the record in the coordinator, and what a record means for a copy.
// Terms decide, never clocks; a name's terms grow over deletion and re-creation too, so they compare across ids.
import { type OwnershipRecord, recordVersion } from '../cluster/record.ts';
import { compareTerms, formatTerm, nextTerm, type Term } from '../common/term.ts';
import type { Copy, CopyState } from './state.ts';

export type Publication =
  | { readonly kind: 'put'; readonly next: OwnershipRecord }
  | { readonly kind: 'current' }
  /** The record proves that this copy is not the owner any more. */
  | { readonly kind: 'deposed'; readonly reason: string }
  /** Two datasets of one name, neither proven wrong: served by nobody here, kept in place, said loudly. */
  | { readonly kind: 'conflict'; readonly reason: string }
  /**
   * The record names this node at a term that this copy has not reached. A term is on the disk before anybody hears of it,
   * so the disk has gone back, and what was acknowledged since is not here (I2): not served until an operator accepts that.
   */
  | { readonly kind: 'went-back'; readonly reason: string };

/**
 * A record made in an incarnation that turned out incomplete is voided: a tombstone at term number 0, over which every
 * true owner publishes, and which proves nothing.
 */
export function isVoid(record: OwnershipRecord): boolean {
  return record.phase === 'deleted' && record.term.n === 0;
}

export function isTombstone(record: OwnershipRecord | null): boolean {
  return record !== null && record.phase === 'deleted' && record.term.n > 0;
}

/** `known`: what this node last knew of the dataset; keeps the pin and the time of creation over a lost coordinator. */
export function ownerRecord(self: string, dataset: string, copy: Copy, known: OwnershipRecord | null): OwnershipRecord {
  const base = known !== null && known.id === copy.id ? known : null;
  return {
    version: recordVersion(copy.creator),
    dataset,
    id: copy.id,
    owner: self,
    term: copy.term,
    phase: copy.promise ? 'draining' : base && base.owner === self && base.phase !== 'deleted' ? base.phase : 'stable',
    target: copy.promise
      ? copy.promise.to
      : base && base.owner === self && base.phase !== 'deleted'
        ? base.target
        : null,
    pin: base?.pin ?? null,
    inSync: [self],
    createdMs: copy.createdMs,
    creator: copy.creator,
  };
}

/** What the holder of an owner copy does about `current`, the record in the coordinator. */
export function planPublication(
  self: string,
  dataset: string,
  copy: Copy,
  buried: boolean,
  current: OwnershipRecord | null,
): Publication {
  if (buried) return { kind: 'deposed', reason: `dataset id ${copy.id} has a tombstone` };
  if (current === null) return { kind: 'put', next: ownerRecord(self, dataset, copy, current) };
  const order = compareTerms(copy.term, current.term);
  if (current.id !== copy.id) {
    if (copy.term.n > current.term.n) return { kind: 'put', next: ownerRecord(self, dataset, copy, current) };
    return { kind: 'conflict', reason: `the record names another dataset of this name (id ${current.id})` };
  }
  if (isTombstone(current)) return { kind: 'deposed', reason: `dataset id ${copy.id} has a tombstone` };
  if (current.owner === self) {
    if (order > 0) return { kind: 'put', next: ownerRecord(self, dataset, copy, current) };
    // Somebody else has claimed it since: then nobody could tell that the node of the promise must not leave the map.
    if (order === 0 && copy.promise && !isGivenTo(current, copy.promise.to)) {
      return { kind: 'put', next: ownerRecord(self, dataset, copy, current) };
    }
    // A promise that was refused is taken back in the record first: the copy is raised by whoever goes on with that.
    if (order === 0 || copy.promise) return { kind: 'current' };
    return {
      kind: 'went-back',
      reason: `the record is at ${formatTerm(current.term)}, the copy at ${formatTerm(copy.term)}`,
    };
  }
  if (order > 0) return { kind: 'put', next: ownerRecord(self, dataset, copy, current) };
  // After a promise the successor's word counts, not the record: a late commit of a refused term may stand there.
  if (copy.promise) return { kind: 'current' };
  return { kind: 'deposed', reason: `owner is ${current.owner} at a higher term` };
}

function isGivenTo({ phase, target }: OwnershipRecord, node: string): boolean {
  return phase === 'draining' && target === node;
}

/** An owner copy, as this machine sees it now. */
export function publicationOf(state: CopyState): Publication {
  const { copy } = state;
  if (copy?.role !== 'owner') return { kind: 'current' };
  const verdict = planPublication(state.self, state.dataset, copy, state.buried, state.record);
  if (verdict.kind === 'current' && (state.tag === null || state.behind)) {
    // A new life of the coordinator: what we know stays true, but has to be told again.
    return { kind: 'put', next: ownerRecord(state.self, state.dataset, copy, state.record) };
  }
  return verdict;
}

/** Nothing that is known speaks against this owner's copy. */
export function isSound(state: CopyState): boolean {
  const { kind } = publicationOf(state);
  return kind === 'current' || kind === 'put';
}

/**
 * The record says that the node we promised to has committed. It has the word now; that it has adopted (and not refused)
 * it must still say itself before our copy becomes a prior one.
 */
export function isTakenByRecord(state: CopyState): boolean {
  const { copy, record } = state;
  if (!copy?.promise || record?.id !== copy.id) return false;
  return record.owner === copy.promise.to && compareTerms(record.term, copy.promise.term) > 0;
}

/** The record, when it speaks of this dataset id. */
export function recordOf(state: CopyState, id: string): OwnershipRecord | null {
  return state.record !== null && state.record.id === id ? state.record : null;
}

/** The next term this node may take for the copy, above everything known here (I4). */
export function raisedTerm(state: CopyState, copy: Copy, also: readonly (Term | null)[] = []): Term {
  const fence = state.fences[copy.id];
  const decided = fence ? { n: fence.n + 1, node: state.self } : null;
  return nextTerm(state.self, [copy.term, recordOf(state, copy.id)?.term, decided, ...also]);
}

/**
 * How far the term of an accepted old copy, or of one that is taken back from a lost node, is raised above all that is
 * known: the lost disk may have taken terms that nobody heard of, and none of them may come again with other content (I4).
 */
export const ACCEPTED_TERM_STEP = 1_000_000;

// The ownership record of one dataset, as the coordinator and every node's catalog keep it. Shapes only.
import type { Term } from '../common/term.ts';

/**
 * stable    owner serves.
 * copying   owner serves; `target` pulls.
 * draining  owner has been asked to stop, or has stopped; only `target` may become the next owner.
 * deleted   tombstone: this dataset id never comes back.
 */
export type RecordPhase = 'stable' | 'copying' | 'draining' | 'deleted';

export interface OwnershipRecord {
  readonly version: 1;
  readonly dataset: string;
  /** Immutable id of this incarnation of the dataset (32 hex digits). A re-created bucket has another. */
  readonly id: string;
  readonly owner: string;
  readonly term: Term;
  readonly phase: RecordPhase;
  /** The node that pulls; set in copying and draining, null otherwise. */
  readonly target: string | null;
  /** `zring move --to`; overrides the ring. */
  readonly pin: string | null;
  /** Copies that hold every acknowledged write; always contains the owner. */
  readonly inSync: readonly string[];
  readonly createdMs: number;
}

/** A record with the coordinator's compare-and-set tag; the tag is never reused for other content. */
export interface TaggedRecord {
  readonly record: OwnershipRecord;
  readonly tag: string;
}

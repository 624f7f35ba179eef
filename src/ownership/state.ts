// The vocabulary of the ownership state machine: what one node knows about one dataset, what can happen to it, what it may
// ask its surroundings to do. Shapes only; docs/OWNERSHIP.md carries the tables.
//
// One machine per dataset name. `copy` mirrors the durable `zring:*` properties of the dataset at that name and changes
// only after they are on disk; everything else is lost in a crash and rebuilt by `recover`. Effects are data: the runner
// and the simulator interpret the same ones, and report each as one completion event.
import type { CasResult } from '../cluster/coordinator.ts';
import type { OwnershipRecord, TaggedRecord } from '../cluster/record.ts';
import type { ErrorCode } from '../common/errors.ts';
import type { Term } from '../common/term.ts';

/**
 * creating   made here, the record not yet known to be committed; never written by a client.
 * owner      may be written here, unless `promise` is set.
 * receiving  pulled from an owner, behind it; read-only.
 * prepared   holds everything of the promised term; `term` is the next one, not yet committed.
 * prior      was owner here once; kept read-only so that moving back is an increment.
 */
export type Role = 'creating' | 'owner' | 'receiving' | 'prepared' | 'prior';

/** Durable word of an owner: only `to` may be the next owner after `term`, and this snapshot holds everything. */
export interface HandoffPromise {
  readonly to: string;
  readonly term: Term;
  readonly snapshot: string;
  readonly guid: string;
}

/** On a prepared copy: the promise it rests on. */
export interface HandoffSource {
  readonly node: string;
  readonly term: Term;
  readonly snapshot: string;
  readonly guid: string;
}

/** The durable properties of the dataset at its name. */
export interface Copy {
  readonly id: string;
  readonly role: Role;
  readonly term: Term;
  readonly createdMs: number;
  /** Who asked for it; carried, never read here. Null for what was made before this was recorded. */
  readonly creator: string | null;
  /** Cloned on this node, from this snapshot: made where it may not have its home. Absent = not. */
  readonly origin?: string;
  readonly promise: HandoffPromise | null;
  readonly source: HandoffSource | null;
  /** Set before the tombstone is committed: tells a crashed removal from a dataset deposed by others. */
  readonly deleting: boolean;
  /** When it became `prior`; retention counts from here. Null otherwise. */
  readonly priorSinceMs: number | null;
}

/**
 * What this node has decided, durably and for ever, about promises made to it: the highest term number decided and how.
 * The one register on which a handoff hangs: a promise is either adopted or refused here, never both.
 */
export interface Fence {
  readonly n: number;
  readonly verdict: 'adopted' | 'refused';
}

export interface Failure {
  readonly code: ErrorCode;
  readonly message: string;
  readonly details?: unknown;
}

/** `waiting`: nothing is in flight; the next tick tries again. */
export type Phase =
  | { readonly at: 'idle' }
  | { readonly at: 'unsure'; readonly waiting: boolean }
  // owner
  | { readonly at: 'raising'; readonly term: Term }
  | { readonly at: 'opening' }
  | { readonly at: 'closing' }
  | { readonly at: 'verifying'; readonly request: string; readonly from: string }
  | { readonly at: 'sealing'; readonly request: string; readonly from: string }
  | { readonly at: 'promising'; readonly request: string; readonly from: string }
  | { readonly at: 'inquiring' }
  /** `far`: by an operator's word, above terms that nobody here has heard of. */
  | { readonly at: 'reclaiming'; readonly refused: number; readonly term: Term | null; readonly far: boolean }
  | { readonly at: 'resuming' }
  | { readonly at: 'releasing' }
  | { readonly at: 'fencing' }
  | { readonly at: 'moving-away'; readonly how: 'deposed' | 'deleted' }
  // life and death
  | {
      readonly at: 'checking';
      readonly request: string;
      readonly id: string;
      readonly createdMs: number;
      readonly creator: string | null;
      readonly origin?: string;
    }
  | { readonly at: 'making'; readonly request: string; readonly tag: string | null; readonly ground: string }
  | {
      readonly at: 'registering';
      readonly request: string | null;
      readonly ground: string;
      readonly tries: number;
    }
  | {
      readonly at: 'resolving';
      readonly request: string | null;
      readonly ground: string;
      readonly tries: number;
      readonly waiting: boolean;
    }
  | { readonly at: 'confirming'; readonly request: string | null; readonly ground: string }
  | { readonly at: 'settling'; readonly request: string | null }
  | { readonly at: 'emptying'; readonly request: string }
  | { readonly at: 'marking'; readonly request: string }
  | { readonly at: 'burying'; readonly request: string | null; readonly waiting: boolean }
  | { readonly at: 'unmarking'; readonly request: string | null; readonly failure: Failure }
  | { readonly at: 'entombing'; readonly request: string | null; readonly record: OwnershipRecord }
  // a replica (docs/REPLICAS.md)
  | { readonly at: 'following'; readonly run: number; readonly source: string; readonly id: string }
  /** By an operator's word that the owner is lost: the record first, then the copy. */
  | { readonly at: 'seizing'; readonly id: string; readonly owner: string }
  | { readonly at: 'seized' }
  // pulling
  | { readonly at: 'claiming'; readonly run: number }
  | {
      readonly at: 'copying';
      readonly run: number;
      readonly source: string;
      readonly id: string;
      readonly asks: number;
    }
  | {
      readonly at: 'announcing';
      readonly run: number;
      readonly source: string;
      readonly id: string;
      readonly asks: number;
    }
  | {
      readonly at: 'asking';
      readonly run: number;
      readonly source: string;
      readonly id: string;
      readonly asks: number;
      readonly waiting: boolean;
    }
  | {
      readonly at: 'finishing';
      readonly run: number;
      readonly source: HandoffSource;
      readonly id: string;
      readonly tries: number;
      readonly waiting: boolean;
    }
  | { readonly at: 'preparing' }
  | { readonly at: 'committing'; readonly waiting: boolean }
  | { readonly at: 'adopting' }
  | { readonly at: 'assuming' }
  | { readonly at: 'demoting' };

export interface CopyState {
  readonly self: string;
  readonly dataset: string;
  readonly copy: Copy | null;
  /** By dataset id; a refusal counts from the moment it is intended, an adoption from when it is durable. */
  readonly fences: Readonly<Record<string, Fence>>;
  /** The best this node knows (the catalog); `tag` belongs to what the coordinator holds, null = nothing. */
  readonly record: OwnershipRecord | null;
  readonly tag: string | null;
  /** The coordinator holds less than `record` says (it was flushed or restored). */
  readonly behind: boolean;
  /** The id of `copy` has a tombstone. */
  readonly buried: boolean;
  /** Term under which the store is open here; null = closed. */
  readonly openTerm: Term | null;
  /** `copy.term` was taken in this process and nothing was ever opened under it. */
  readonly fresh: boolean;
  readonly phase: Phase;
  /** A publication is on its way, beside whatever `phase` does. */
  readonly publishing: boolean;
  /** The node that adopted our promise; the record may say so only later. */
  readonly successor: string | null;
  /** Last sign of life of the node that we promised to, on the monotonic clock. */
  readonly contactMs: number;
  /** First refusal to drain in the handoff under way; after a long time it is forced. */
  readonly drainSinceMs: number | null;
  /** Numbers pulls, so that a late completion of a cancelled one is recognised. */
  readonly run: number;
}

/** Requests are opaque; the runner keeps who waits for the answer. */
export type Answer = { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly failure: Failure };

export type Event =
  // from outside
  | {
      readonly on: 'record';
      readonly record: OwnershipRecord | null;
      readonly tag: string | null;
      readonly behind: boolean;
      readonly buried: boolean;
    }
  | { readonly on: 'open' }
  | { readonly on: 'close' }
  | {
      readonly on: 'create';
      readonly request: string;
      readonly id: string;
      readonly createdMs: number;
      readonly creator: string | null;
      readonly origin?: string;
    }
  | { readonly on: 'remove'; readonly request: string }
  | { readonly on: 'drain'; readonly request: string; readonly from: string; readonly id: string }
  | {
      readonly on: 'refuse-asked';
      readonly request: string;
      readonly from: string;
      readonly id: string;
      readonly n: number;
    }
  | { readonly on: 'told-released'; readonly from: string; readonly id: string; readonly n: number }
  | { readonly on: 'told-refused'; readonly from: string; readonly id: string; readonly n: number }
  | { readonly on: 'contact'; readonly from: string }
  | { readonly on: 'pull' }
  | { readonly on: 'cancel-pull' }
  /** This node keeps a replica: bring it up to the owner. */
  | { readonly on: 'follow' }
  | { readonly on: 'retire'; readonly id: string }
  /** An operator takes this copy as it is, though the disk it stands on has gone back. */
  | { readonly on: 'accept-disk' }
  /** An operator's word that the node of the promise is lost for good. */
  | { readonly on: 'take-back'; readonly id: string }
  /** An operator's word that the owner, and what it has beyond this copy, is lost for good. */
  | { readonly on: 'seize'; readonly id: string; readonly owner: string }
  | { readonly on: 'tick' }
  // completions
  | { readonly on: 'persisted'; readonly copy: Copy }
  | { readonly on: 'persist-failed'; readonly failure: Failure }
  | { readonly on: 'reloaded'; readonly copy: Copy | null }
  | { readonly on: 'reload-failed'; readonly failure: Failure }
  | {
      readonly on: 'fence-stored';
      readonly id: string;
      readonly fence: Fence;
      readonly request: string | null;
      readonly tell: string | null;
    }
  | { readonly on: 'fence-failed'; readonly failure: Failure; readonly request: string | null }
  | { readonly on: 'copy-created'; readonly copy: Copy }
  | { readonly on: 'copy-create-failed'; readonly failure: Failure }
  | { readonly on: 'store-opened'; readonly term: Term }
  | { readonly on: 'store-failed'; readonly failure: Failure }
  | { readonly on: 'store-closed' }
  | { readonly on: 'emptiness'; readonly empty: boolean; readonly failure: Failure | null }
  | { readonly on: 'sealed'; readonly snapshot: string; readonly guid: string }
  | { readonly on: 'seal-failed'; readonly failure: Failure; readonly storeOpen: boolean }
  | { readonly on: 'moved-away' }
  | { readonly on: 'move-failed'; readonly failure: Failure }
  | {
      readonly on: 'record-read';
      readonly tagged: TaggedRecord | null;
      /** What this node knows beside it, perhaps from an earlier life of the coordinator. */
      readonly known?: OwnershipRecord | null;
      /** Life of the coordinator's data and epoch of the map, as one word to compare. */
      readonly ground: string;
      readonly complete: boolean;
    }
  | { readonly on: 'cas-done'; readonly result: CasResult<TaggedRecord> }
  | { readonly on: 'coordinator-failed'; readonly failure: Failure }
  | { readonly on: 'published'; readonly result: CasResult<TaggedRecord> | null }
  | { readonly on: 'remembered' }
  | { readonly on: 'pulled'; readonly run: number; readonly copy: Copy | null }
  | { readonly on: 'pull-failed'; readonly run: number; readonly failure: Failure; readonly copy: Copy | null }
  | { readonly on: 'drain-answered'; readonly promise: HandoffPromise }
  | { readonly on: 'drain-refused'; readonly failure: Failure }
  | { readonly on: 'refuse-answered'; readonly verdict: 'refused' | 'taken' | 'pending' }
  /** `left`: the node that was asked is not in the map any more. */
  | { readonly on: 'refuse-failed'; readonly failure: Failure; readonly left?: boolean };

export type Effect =
  /** Write all properties of the dataset at its name, durably. → persisted | persist-failed (outcome unknown) */
  | { readonly do: 'persist'; readonly copy: Copy }
  /** Read them back. → reloaded | reload-failed */
  | { readonly do: 'reload' }
  /** → fence-stored | fence-failed */
  | {
      readonly do: 'store-fence';
      readonly id: string;
      readonly fence: Fence;
      readonly request: string | null;
      readonly tell: string | null;
    }
  | { readonly do: 'create-copy'; readonly copy: Copy; readonly request: string }
  /** → store-opened | store-failed */
  | { readonly do: 'open-store'; readonly id: string; readonly term: Term }
  /** → store-closed */
  | { readonly do: 'close-store' }
  /** Wait for the gate to drain, then say whether the store is empty. → emptiness */
  | { readonly do: 'probe-empty' }
  /** Drain, close the store, readonly, unmount, final snapshot, hold. → sealed | seal-failed */
  | { readonly do: 'seal'; readonly id: string; readonly term: Term; readonly to: string; readonly force: boolean }
  /** Stop serving at once, whatever is in flight; close the store. → store-closed */
  | { readonly do: 'fence' }
  /** Rename to a set-aside name; `deleted` ones are destroyed in the background. → moved-away | move-failed */
  | { readonly do: 'move-away'; readonly copy: Copy; readonly how: 'deposed' | 'deleted' }
  /** → record-read | coordinator-failed. `settled`: when every node has heard of what stands there, or says nothing. */
  | { readonly do: 'read-record'; readonly settled?: true }
  /** → cas-done | coordinator-failed */
  | { readonly do: 'cas'; readonly tag: string | null; readonly next: OwnershipRecord }
  /** As cas, beside whatever else is in flight. → published */
  | { readonly do: 'publish'; readonly tag: string | null; readonly next: OwnershipRecord }
  /** Store the tombstone in the local catalog, durably. → remembered */
  | { readonly do: 'remember'; readonly record: OwnershipRecord }
  /** Rounds until the rest is small. → pulled | pull-failed */
  | { readonly do: 'pull'; readonly run: number; readonly source: string; readonly id: string }
  /** Once, up to the owner's newest shared snapshot. → pulled | pull-failed */
  | { readonly do: 'follow'; readonly run: number; readonly source: string; readonly id: string }
  /** Up to this snapshot, GUID verified. → pulled | pull-failed */
  | { readonly do: 'pull-final'; readonly run: number; readonly source: HandoffSource; readonly id: string }
  | { readonly do: 'cancel-pull'; readonly run: number }
  /** → drain-answered | drain-refused (outcome unknown when the node was not reached) */
  | { readonly do: 'ask-drain'; readonly to: string; readonly id: string }
  /** → refuse-answered | refuse-failed */
  | { readonly do: 'ask-refuse'; readonly to: string; readonly id: string; readonly n: number }
  /** Best effort, no completion. */
  | {
      readonly do: 'tell';
      readonly to: string;
      readonly what: 'released' | 'refused';
      readonly id: string;
      readonly n: number;
    }
  | { readonly do: 'answer'; readonly request: string; readonly answer: Answer }
  | { readonly do: 'note'; readonly level: 'info' | 'warn' | 'error'; readonly message: string };

export interface Step {
  readonly state: CopyState;
  readonly effects: readonly Effect[];
}

/** Sees every step of every machine before its effects are carried out; for tests and simulators. */
export type StepObserver = (before: CopyState, event: Event, after: CopyState, effects: readonly Effect[]) => void;

/** Named limits of the machine; times on the monotonic clock. */
export interface MachineLimits {
  /** Silence after which an owner asks the node it promised to whether it still wants the dataset. */
  readonly promiseSilenceMs: number;
  /** Requests in flight longer than this are cut for a handoff that has waited so long. */
  readonly forceDrainMs: number;
  /** Failed final pulls before the promise is refused. */
  readonly finalTriesMax: number;
  /** Reads after an unknown outcome before a creator is told so. */
  readonly readBackTriesMax: number;
  /** Refused drains before another copying round keeps the rest small. */
  readonly asksPerRound: number;
}

export const MACHINE_LIMITS: MachineLimits = {
  promiseSilenceMs: 10_000,
  forceDrainMs: 300_000,
  finalTriesMax: 5,
  readBackTriesMax: 5,
  asksPerRound: 5,
};

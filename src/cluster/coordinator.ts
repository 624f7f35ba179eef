// Coordinator: where map, leases and ownership records live (Redis, or `embedded` for one machine).
// One contract suite (test/contract/coordinator) runs over every implementation. Nothing on a request's path waits for it.
//
// Errors of every call: COORDINATOR_UNAVAILABLE (nothing happened) or COORDINATOR_OUTCOME_UNKNOWN (the reply was lost:
// read before you decide). Compare-and-set calls never throw for a lost race: they return what is there.
import type { DiskChain, DiskMark } from './disk-chain.ts';
import type { ClusterMap } from './map.ts';
import type { OwnershipRecord, TaggedRecord } from './record.ts';

export type CasResult<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly current: T | null };

export interface CoordinatorLife {
  /** Random id of this life of the coordinator's data; another one after a flush or a detected regress. */
  readonly incarnation: string;
  /** Grows with every record change; the cursor of `changesSince`. */
  readonly counter: number;
  /** True once every node of the map has reported its datasets in this incarnation; stays true. */
  readonly complete: boolean;
  readonly mapEpoch: number;
}

export interface CoordinatorState extends CoordinatorLife {
  /** Nodes that have reported in this incarnation; empty once it is complete. As long as the map: only where it is asked for. */
  readonly reported: readonly string[];
}

export interface Lease {
  readonly node: string;
  /** Random per process: tells a restart from a duplicate id. */
  readonly instance: string;
  /** Remaining time when the list was read, in ms. */
  readonly remainingMs: number;
  /** Small JSON the node shows others: version, free bytes, moves in flight. At most 4 KiB. */
  readonly info: NodeInfo;
}

export interface NodeInfo {
  readonly release: string;
  /** Format and protocol versions this process can read; `zring upgrade` waits for all nodes. */
  readonly formats: Readonly<Record<string, number>>;
  readonly freeBytes: number;
  readonly totalBytes: number;
  /** `ok`, or why its storage is not used; absent from older releases. */
  readonly storage?: string;
  readonly datasets: number;
  readonly moves: readonly MoveInfo[];
  /** Of the datasets it owns; absent from older releases. */
  readonly replicas?: ReplicaCounts;
  readonly startedMs: number;
}

export interface ReplicaCounts {
  readonly current: number;
  readonly late: number;
  /** Not heard of by the owner since it started. */
  readonly unknown: number;
  /** Of the one that is furthest behind. */
  readonly lagMs: number;
}

export interface MoveInfo {
  readonly dataset: string;
  readonly from: string;
  readonly to: string;
  readonly phase: 'copying' | 'draining' | 'final';
  readonly bytes: number;
  readonly bytesPerSecond: number;
}

export type LeaseResult =
  | { readonly ok: true }
  /** Another instance holds it for this much longer. */
  | { readonly ok: false; readonly holder: string; readonly remainingMs: number }
  /**
   * The node is known with this disk, and the caller's does not go on from there (`goesOnFrom`): another one, or an older
   * copy. So is a mark that another instance has said: two processes with copies of one disk. Nothing has changed.
   */
  | { readonly ok: false; readonly known: DiskMark };

export interface RecordPage {
  readonly state: CoordinatorLife;
  /** Of all records at `state.counter` (record-digest.ts); absent when an older release began this incarnation. */
  readonly digest?: string;
  readonly records: readonly TaggedRecord[];
  /** Pass to the next `changesSince`. */
  readonly cursor: number;
}

/** One version of one entry; the text is not the coordinator's business (credential-record.ts). */
export interface StoredCredential {
  readonly accessKey: string;
  /** Only grows, removal included. From 1. */
  readonly revision: number;
  readonly text: string;
}

export interface CredentialPage {
  /** Another one after each change; '' when nothing was ever kept. Never of the same value for other content. */
  readonly stamp: string;
  readonly credentials: readonly StoredCredential[];
}

export type Hint =
  | { readonly kind: 'map' }
  | { readonly kind: 'record'; readonly dataset: string }
  | { readonly kind: 'credentials' };

export interface Coordinator {
  readonly kind: 'redis' | 'embedded';
  /** Creates the incarnation when there is none. */
  state(): Promise<CoordinatorState>;
  /**
   * A node that remembers a higher counter than the coordinator has (restored dump, lost writes) starts a new
   * incarnation; does nothing when `seen.incarnation` is not the current one any more.
   */
  declareRegress(seen: { incarnation: string; counter: number }): Promise<CoordinatorState>;
  /** Marks this node's datasets as reported; decides `complete` against the committed map. */
  markReported(node: string, incarnation: string): Promise<CoordinatorState>;

  readMap(): Promise<ClusterMap | null>;
  /** `stampOf` the map, '' when there is none: tells whether to read it, which is as long as the cluster is large. */
  mapStamp(): Promise<string>;
  /** Commits when the stored epoch is `expectedEpoch` (0 = none) and map.epoch is greater. Errors: COORDINATOR_CORRUPT for a map that nobody could read back. */
  commitMap(expectedEpoch: number, map: ClusterMap): Promise<CasResult<ClusterMap>>;

  /**
   * `disk`: its newest mark is kept as the last heard of this node, beyond the lease's end, until the node leaves the map.
   * Absent or null proves nothing and changes nothing. A lease that another instance holds is told before another disk is.
   */
  acquireLease(
    node: string,
    instance: string,
    ttlMs: number,
    info: NodeInfo,
    disk?: DiskChain | null,
  ): Promise<LeaseResult>;
  releaseLease(node: string, instance: string): Promise<void>;
  leases(): Promise<readonly Lease[]>;

  readRecord(dataset: string): Promise<TaggedRecord | null>;
  /** `expectedTag` null = must not exist. */
  casRecord(dataset: string, expectedTag: string | null, next: OwnershipRecord): Promise<CasResult<TaggedRecord>>;
  /** Records changed after `cursor` (0 = all), in pages of at most `limit`, or fewer; deleted ones included. */
  changesSince(cursor: number, limit: number): Promise<RecordPage>;

  /** Every entry, or null while `knownStamp` is still the stamp. */
  readCredentials(knownStamp: string | null): Promise<CredentialPage | null>;
  /**
   * Keeps each whose revision is above the stored one; at most OFFER_MAX. Idempotent. Returns what is stored of each
   * afterwards, in order: another text than was offered is a lost race.
   */
  offerCredentials(offers: readonly StoredCredential[]): Promise<readonly StoredCredential[]>;

  /** Best effort; a missed hint is found by polling. None of records before all nodes have reported: that would be all. */
  onHint(listener: (hint: Hint) => void): () => void;
  /**
   * Called with true/false as the connection comes and goes, not for the state it is in when the listener is added. After
   * each `true` read everything again: writes may have been lost in a failover, or another host may have taken over.
   */
  onAvailability(listener: (available: boolean) => void): () => void;
  close(): Promise<void>;
}

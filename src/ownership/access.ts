// What the S3 layer and the router may ask of ownership. The only door to a store: nobody else opens one for serving.
import type { OwnershipRecord } from '../cluster/record.ts';
import type { StorageSettings } from '../dataset/driver.ts';
import type { Store } from '../store/types.ts';
import type { StorageDescription } from './dataset-storage.ts';

/** Where a request for a dataset should go, as this node knows it now. Never a guess: a target, or a reason. */
export type Whereabouts =
  | { readonly kind: 'local' }
  /** `certain` false: only the ring says so (no record known); the receiver decides. */
  | { readonly kind: 'remote'; readonly node: string; readonly certain: boolean }
  /** Proven absent: tombstone, or this node is the home and its catalog is complete. */
  | { readonly kind: 'absent' }
  | { readonly kind: 'unavailable'; readonly reason: string };

/** A dataset in use. Release exactly once; a handoff waits for it. */
export interface HeldDataset {
  readonly dataset: string;
  readonly id: string;
  readonly store: Store;
  readonly createdMs: number;
  /** Aborted when the dataset is taken away (a handoff that waited very long, a deposed copy): end the request. */
  readonly signal?: AbortSignal;
  /** The file system keeps it under AES with keys of 256 bits. Absent = false. */
  readonly encrypted?: boolean;
  /** The dataset as it was. Absent where nobody reads snapshots (tests). */
  readonly snapshots?: SnapshotReads;
  /** Errors: QUOTA_EXCEEDED when a body of so many bytes would not be taken now. Absent = any would. */
  requireRoom?(bytes: number): Promise<void>;
  release(): void;
}

/** To be used while the dataset is held. */
export interface SnapshotReads {
  /** Names of the bucket's own, oldest first. */
  names(): Promise<readonly string[]>;
  /** Errors: SNAPSHOT_NOT_FOUND; DATASET_BUSY when too many are being read; those of opening a store. */
  open(snapshot: string): Promise<OpenSnapshot>;
}

/** Release exactly once. */
export interface OpenSnapshot {
  /** Read-only. */
  readonly store: Store;
  release(): void;
}

export interface CreateOptions {
  /** Kept with the dataset for its whole life, wherever it moves; opaque to everything below S3. Short printable ASCII. */
  readonly creator?: string;
  /** The store keeps versions from the start; in place before the dataset can be seen. */
  readonly versioning?: 'enabled';
}

/** A snapshot of a dataset that stands on this node; both as they were when somebody looked. */
export interface CloneSource {
  readonly dataset: string;
  /** Of the dataset. */
  readonly id: string;
  readonly snapshot: { readonly name: string; readonly guid: string };
}

/** What a new dataset holds before anybody can see it. */
export interface NewContent {
  /** In a clone, undefined removes one that would have come along. */
  readonly documents: Readonly<Record<string, unknown>>;
  readonly versioning?: 'enabled';
  readonly clone?: CloneSource;
}

export interface EnterOptions {
  /** No client asked: it calls no dataset home, and is no use that keeps a store from being closed for another. */
  readonly background?: boolean;
}

export interface DatasetAccess {
  /** Synchronous, from memory. */
  locate(dataset: string): Whereabouts;
  /** Where the dataset should live by the map in use (pin, else ring), known or not; null without a map. */
  home?(dataset: string): string | null;
  /**
   * Enters the gate of a dataset that this node owns, opening its store when needed.
   * Waits briefly when the gate is closing. Errors: NOT_OWNER (with NotOwnerDetails), DATASET_BUSY,
   * DATASET_UNAVAILABLE, DATASET_MISSING, CATALOG_INCOMPLETE, STORAGE_UNAVAILABLE, STORAGE_FULL (mode 'write' below
   * minFree), QUOTA_EXCEEDED (mode 'write').
   */
  enter(dataset: string, mode: 'read' | 'write' | 'delete', options?: EnterOptions): Promise<HeldDataset>;
  /** At the home only (else NOT_OWNER). DATASET_EXISTS carries the record in details. */
  create(dataset: string, documents: Record<string, unknown>, options?: CreateOptions): Promise<OwnershipRecord>;
  /** At the owner only; DATASET_NOT_EMPTY when it holds objects, DATASET_HAS_SNAPSHOTS when only these are left. */
  remove(dataset: string): Promise<void>;
  /**
   * Reads what the coordinator has changed up to now, so that `records` shows what was made or removed through this node
   * a moment ago; gives up after `withinMs` (the coordinator is away or slow) and then knows what it knew. Never fails.
   */
  freshen(withinMs: number): Promise<void>;
  /** Every record known here that is not deleted, by name, and whether the list can be trusted to be whole. */
  records(): {
    readonly records: readonly OwnershipRecord[];
    readonly complete: boolean;
    /** Nodes whose datasets may be missing from the list, when that is known. */
    readonly missing?: readonly string[];
  };
}

export interface BucketSnapshot {
  readonly name: string;
  readonly guid: string;
  readonly createdMs: number;
  /** Made by zring, and held by it; else by somebody with the storage's own commands. */
  readonly kept: boolean;
}

export interface RollbackReport {
  readonly snapshot: string;
  readonly createdMs: number;
  /** Later snapshots of the bucket, which go with what was written since. */
  readonly later: readonly string[];
}

/** Snapshots of datasets that this node owns. Errors of all: those of `enter`. */
export interface SnapshotDesk {
  /** `name` null = made from the time. Also DATASET_NAME_INVALID, CONFIG_REFUSED (it is taken), LIMIT_EXCEEDED. */
  create(dataset: string, name: string | null): Promise<BucketSnapshot>;
  /** Oldest first. */
  list(dataset: string): Promise<readonly BucketSnapshot[]>;
  /** Also SNAPSHOT_NOT_FOUND; SNAPSHOT_HELD by somebody else; DATASET_BUSY while it is being read or sent. */
  destroy(dataset: string, name: string): Promise<void>;
  /**
   * Makes the dataset what it was; everything since is lost. Without `acceptLoss` only tells what that would be. Requests
   * under way are cut. Errors: as `destroy`, for the later ones too.
   */
  rollback(dataset: string, name: string, acceptLoss: boolean): Promise<RollbackReport>;
  /**
   * A new dataset on this node, and pinned to it, that begins as the snapshot was. Takes `catalogFreshMs` and a little more.
   * Also SNAPSHOT_NOT_FOUND, DATASET_NAME_INVALID, DATASET_EXISTS, CONFIG_REFUSED (the node is draining), STORAGE_FULL,
   * CATALOG_INCOMPLETE, COORDINATOR_*. After an unknown outcome it may appear later.
   */
  clone(dataset: string, request: CloneRequest): Promise<OwnershipRecord>;
}

export interface CloneRequest {
  /** Of the dataset that is cloned. */
  readonly snapshot: string;
  /** Name of the new dataset. */
  readonly target: string;
  /** Of the new dataset, instead of what comes along; undefined removes one. */
  readonly documents: Readonly<Record<string, unknown>>;
}

/** Storage settings of datasets that this node owns. Errors of both: those of `enter`, DATASET_NOT_FOUND. */
export interface StorageDesk {
  /** Also CONFIG_REFUSED, with what this storage does accept; then nothing was changed. */
  configure(dataset: string, change: Partial<StorageSettings>): Promise<StorageDescription>;
  describe(dataset: string): Promise<StorageDescription>;
}

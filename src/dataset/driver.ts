// Dataset driver: create, mount, snapshot, send and receive datasets below one storage root. Knows nothing of objects,
// S3 or the cluster. Two implementations (zfs, dir) under one contract suite (test/contract/dataset).
//
// Names are single path components: a bucket name, or a staging / set-aside name that starts with `_`.
// `zring:*` user properties are read with source `local` only (each node writes its own); existing datasets below the
// root without `zring:id` are never touched and never listed: for every operation they are DATASET_NOT_FOUND, for create
// DATASET_ALREADY_EXISTS. GUIDs are the identity of snapshots; `order` is comparable within one pool only.
// Names that names.ts does not allow are DATASET_NAME_INVALID before anything else happens.
import type { Readable } from 'node:stream';

/** Settings of a dataset that an operator may want; null = as this release makes datasets. */
export interface StorageSettings {
  /** Most bytes that the live dataset may refer to; snapshots do not count (ZFS: refquota). */
  readonly quotaBytes: number | null;
  /** Bytes that the live dataset is sure to get, beside its snapshots (ZFS: refreservation). */
  readonly reservationBytes: number | null;
  /** A value of ZFS's `compression`. */
  readonly compression: string | null;
}

export type StorageSetting = 'quota' | 'reservation' | 'compression';

export interface SettingRefusal {
  readonly setting: StorageSetting;
  /** For an operator; names what this storage accepts. */
  readonly reason: string;
}

export interface SettingCapabilities {
  /** `enforced`: the file system refuses writes beyond it. `counted`: it keeps nothing; whoever writes has to count. */
  readonly quota: 'enforced' | 'counted';
  readonly reservation: boolean;
  /** Values of `compression` that `configure` accepts. */
  readonly compression: readonly string[];
}

/** A dataset's storage as it is now. */
export interface StorageFacts {
  readonly settings: StorageSettings;
  readonly referencedBytes: number;
  /** With what only snapshots keep. */
  readonly usedBytes: number;
  /** What could be written to it now, its own limit and the pool's space considered. */
  readonly availableBytes: number;
  /** Of what is stored; null when it is not known. */
  readonly compressRatio: number | null;
  /** ZFS's `encryption`, e.g. `aes-256-gcm`; null = not encrypted. */
  readonly encryption: string | null;
}

export interface Capabilities {
  readonly bookmarks: boolean;
  readonly resume: boolean;
  readonly rawSend: boolean;
  readonly written: boolean;
  /** readonly=on stops descriptors that are already open. */
  readonly readonlyFencesOpenFiles: boolean;
  readonly description: string;
  readonly settings: SettingCapabilities;
}

export interface DatasetInfo {
  readonly name: string;
  /** Folder when mounted, else null. */
  readonly path: string | null;
  readonly readonly: boolean;
  /** `zring:*` properties without the prefix. */
  readonly properties: Readonly<Record<string, string>>;
  readonly referencedBytes: number;
  readonly usedBytes: number;
}

export interface OpenedDataset {
  readonly path: string;
  /** As in StorageFacts. */
  readonly encryption: string | null;
}

export interface SnapshotInfo {
  readonly name: string;
  readonly guid: string;
  readonly order: number;
  readonly createdMs: number;
  readonly holds: number;
}

/** How the `dir` driver copies a store that is open; the zfs driver ignores it. */
export interface SnapshotSource {
  /** Writes a consistent copy of the index to `path` (a file that does not exist). */
  copyIndex(path: string): Promise<void>;
  /** Stops unlinking of data files until released. */
  pauseSweep(): Promise<() => void>;
}

export interface SendOptions {
  readonly snapshot: string;
  readonly fromGuid: string | null;
  /**
   * What the receiver's `capabilities.settings.compression` says; blocks are sent as they lie on disk only where it knows
   * everything that this storage may have written. Absent = it does.
   */
  readonly accepts?: readonly string[];
}

export interface SendStream {
  readonly stream: Readable;
  /** Resolves when the sender has finished well; rejects with the reason otherwise. Always await it. */
  readonly done: Promise<void>;
}

export interface ReceiveResult {
  readonly bytes: number;
  readonly snapshot: SnapshotInfo;
}

export interface Usage {
  readonly totalBytes: number;
  readonly freeBytes: number;
  /** 'ok', or why nothing can be written (suspended, faulted, read-only …). */
  readonly health: string;
}

export interface DatasetDriver {
  readonly kind: 'zfs' | 'dir';
  /** As configured, e.g. `zfs:tank/zring`. */
  readonly storage: string;
  readonly capabilities: Capabilities;

  /** Children of the root that carry `zring:id`, and leftovers whose name starts with `_` (but not `_zring`). */
  list(): Promise<readonly DatasetInfo[]>;
  get(name: string): Promise<DatasetInfo | null>;
  /**
   * Creates and mounts. `init` runs in the fresh folder while the record size is small (the index is made there);
   * afterwards record size is raised for data files. On failure nothing is left.
   */
  create(name: string, properties: Record<string, string>, init: (path: string) => Promise<void>): Promise<DatasetInfo>;
  /**
   * A new dataset `target` with the content of a snapshot, in a time and space that do not depend on its size; `init` runs
   * in its folder before anybody can see it (its index still says that it is the other one's). Settings and properties are
   * as `create` makes them. On failure nothing is left. Neither of the two is in the other's way afterwards, except that a
   * dataset may be unable to go back beyond what was cloned of it (`rollback`). Errors: DATASET_ALREADY_EXISTS,
   * SNAPSHOT_NOT_FOUND (also when the name has got another guid).
   */
  clone(
    name: string,
    snapshot: { readonly name: string; readonly guid: string },
    target: string,
    properties: Record<string, string>,
    init: (path: string) => Promise<void>,
  ): Promise<DatasetInfo>;
  /** Mounts (when needed) and proves that the path is this dataset with this `zring:id`; sets readonly as asked. */
  open(name: string, options: { id: string; readonly: boolean }): Promise<OpenedDataset>;
  /** Unmounts. Fails with DATASET_BUSY when files are open. Idempotent. */
  close(name: string): Promise<void>;
  setReadonly(name: string, readonly: boolean): Promise<void>;
  /** null removes a property. Durable when it returns. */
  setProperties(name: string, properties: Record<string, string | null>): Promise<void>;
  /**
   * Applies each setting that is named, as far as this storage can, and says what it could not; the others stay as they
   * are. Works on a dataset that is full. Copies lose their limits where these would be in the way: when an increment is
   * received, and when they are set aside.
   */
  configure(name: string, settings: Partial<StorageSettings>): Promise<readonly SettingRefusal[]>;
  /** `settled`: waits until everything that was written before this call is counted. */
  facts(name: string, options?: { settled?: boolean }): Promise<StorageFacts>;
  /**
   * Unmounts. A name without `_` needs `zring:id` to be set (MOUNT_INVALID otherwise). `doomed`: it is renamed to be
   * destroyed, and what was cloned from it may be freed of it already.
   */
  rename(from: string, to: string, options?: { doomed?: boolean }): Promise<void>;
  /**
   * With all its snapshots and holds of ours; somebody else's hold: SNAPSHOT_HELD and nothing is gone; DATASET_BUSY while
   * one of its snapshots is mounted. Idempotent.
   */
  destroy(name: string): Promise<void>;

  snapshot(name: string, snapshot: string, source?: SnapshotSource): Promise<SnapshotInfo>;
  /** Oldest first. */
  snapshots(name: string): Promise<readonly SnapshotInfo[]>;
  /**
   * Idempotent. SNAPSHOT_HELD; DATASET_BUSY while it is being sent or read. `held`: although we hold it ourselves; a refusal
   * leaves our holds as they are.
   */
  destroySnapshot(name: string, snapshot: string, options?: { held?: boolean }): Promise<void>;
  /** Both idempotent. A tag is lower case (names.ts). */
  hold(name: string, snapshot: string, tag: string): Promise<void>;
  release(name: string, snapshot: string, tag: string): Promise<void>;
  /**
   * Makes the dataset, which is closed, what it was when the snapshot was taken. Every later snapshot is destroyed, with
   * holds of ours; somebody else's hold: SNAPSHOT_HELD; one that is sent or mounted: DATASET_BUSY; then nothing has changed.
   * Also SNAPSHOT_HELD for a later one whose name we could not give back to the storage, and with ZFS DATASET_BUSY when
   * another dataset was cloned from a later one.
   * After a crash the dataset is as it was or as wanted, and some later snapshots may be gone.
   * `dryRun`, also of an open dataset: does nothing, and fails for what no closing would change.
   */
  rollback(name: string, snapshot: string, options?: { dryRun?: boolean }): Promise<void>;
  /** Names of the snapshots that are held with this tag. */
  heldWith(name: string, tag: string): Promise<ReadonlySet<string>>;
  /**
   * A folder with the snapshot's files, for reading, until `unmountSnapshot`. As long as it is there, neither the snapshot
   * nor its dataset can be destroyed (DATASET_BUSY). While it is mounted: the same folder. Never survives a restart.
   */
  mountSnapshot(name: string, snapshot: string): Promise<string>;
  /** Idempotent. Fails with DATASET_BUSY when files are open. */
  unmountSnapshot(name: string, snapshot: string): Promise<void>;

  /** Full when `fromGuid` is null. Aborting the signal ends the sender. */
  send(name: string, options: SendOptions & { signal?: AbortSignal }): Promise<SendStream>;
  /** Expected bytes of that stream, or null when this ZFS cannot tell. */
  estimateSend(name: string, options: SendOptions): Promise<number | null>;
  /**
   * Receives a full stream into `name` (which must not exist and starts with `_`; set `zring:id` and rename it to publish)
   * or an increment into the unmounted copy `name`, whose newest snapshot has to be the stream's base.
   * A cut or damaged stream leaves the copy as it was (a partly received new dataset is removed). Never forces a
   * rollback: a copy that was modified fails with DATASET_DIVERGED.
   */
  receive(
    name: string,
    stream: Readable,
    options: { incremental: boolean; signal?: AbortSignal },
  ): Promise<ReceiveResult>;

  usage(): Promise<Usage>;
  /** Folder for node-local state (`_zring`), created and mounted when needed. */
  stateFolder(): Promise<string>;
  shutdown(): Promise<void>;
}

// What ownership needs and what it offers: the shapes of its one door, `createOwnership`. Shapes only.
import type { Coordinator } from '../cluster/coordinator.ts';
import type { ClusterMap } from '../cluster/map.ts';
import type { OwnershipRecord } from '../cluster/record.ts';
import type { Clock, Entropy, Timers } from '../common/clock.ts';
import type { DurableMap } from '../common/durable-map.ts';
import type { ZringError } from '../common/errors.ts';
import type { PeerMethods, PeerTransport } from '../common/peer.ts';
import type { Config } from '../config/types.ts';
import type { DatasetDriver } from '../dataset/driver.ts';
import type { Logger } from '../telemetry/log.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { DatasetAccess, SnapshotDesk, StorageDesk } from './access.ts';
import type { DiskAcceptance } from './disk-acceptance.ts';
import type { OwnershipLimits } from './limits.ts';
import type { ScrubDesk } from './repair/types.ts';
import type { StoreFactory } from './runner.ts';
import type { StepObserver } from './state.ts';
import type { DatasetExplanation, OwnershipStatus } from './status.ts';
import type { StoragePulse } from './storage-pulse.ts';
import type { Takeover } from './takeover.ts';

export interface OwnershipDeps {
  readonly self: string;
  /** Random per process. */
  readonly instance?: string;
  readonly release: string;
  /** Formats this process reads, shown with the lease. */
  readonly formats?: Readonly<Record<string, number>>;
  readonly config: Config;
  readonly coordinator: Coordinator;
  readonly driver: DatasetDriver;
  readonly transport: PeerTransport;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics?: Metrics;
  /** Whether the storage answers. Absent = it is not watched. */
  readonly pulse?: StoragePulse;
  /** Tests and simulators: other stores, time, chance and disk; smaller limits; no timers (`manual`: then `round` drives). */
  readonly stores?: StoreFactory;
  readonly timers?: Timers;
  readonly entropy?: Entropy;
  /** Default: an LMDB file in the driver's state folder, which is given. */
  readonly openDisk?: (folder: string) => Promise<DurableMap>;
  readonly limits?: Partial<OwnershipLimits>;
  readonly manual?: boolean;
  readonly onStep?: StepObserver;
}

export interface Ownership {
  readonly access: DatasetAccess;
  readonly storage: StorageDesk;
  readonly snapshots: SnapshotDesk;
  readonly scrubs: ScrubDesk;
  /** What speaks against this node's disk, and an operator's word about it. */
  readonly disk: Pick<DiskAcceptance, 'report' | 'accept'>;
  /** A bucket that was promised to a node which is lost for good, and an operator's word about it. */
  readonly takeover: Pick<Takeover, 'report' | 'accept'>;
  readonly methods: PeerMethods;
  status(): OwnershipStatus;
  explain(dataset: string): Promise<DatasetExplanation>;
  /** The map in use; null before the first one is known. */
  map(): ClusterMap | null;
  /** Of the map in use; 0 before the first. */
  epoch(): number;
  home(dataset: string): string | null;
  /** Sets the pin (`to` null clears it). Errors: DATASET_MISSING, CONFIG_REFUSED (no such node), COORDINATOR_*. */
  move(dataset: string, to: string | null): Promise<OwnershipRecord>;
  /**
   * Resolves with why the map does not follow this configuration (CONFIG_REVISION_CONFLICT, CONFIG_REFUSED: a removed node
   * still holds something), or null. Never rejects: the refusal is in the status too, and is tried again by the loops.
   */
  applyConfig(config: Config): Promise<ZringError | null>;
  /** One round of everything that the timers do; resolves when it is done. For tests and simulators. */
  round(): Promise<void>;
  /** Graceful: no new requests, moves given up, gates drained, stores closed, lease handed back. Idempotent. */
  stop(): Promise<void>;
  /** What `kill -9` leaves: nothing is closed, nothing goes on. For tests. */
  kill(): Promise<void>;
}

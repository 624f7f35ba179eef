// Named limits of the ownership layer: each says what it prevents. Tests pass smaller ones.
import { MACHINE_LIMITS, type MachineLimits } from './state.ts';

export interface OwnershipLimits {
  readonly machine: MachineLimits;
  /** Stores kept open; each is an LMDB map and a mounted dataset. */
  readonly openStoresMax: number;
  /** Snapshots open for reading; each is an LMDB map, and with ZFS a clone. */
  readonly openSnapshotsMax: number;
  readonly snapshotIdleMs: number;
  /** Of one dataset: listing them is one command of the storage, whatever it prints. */
  readonly snapshotsMax: number;
  /** Between two looks at whether a scheduled snapshot is due. */
  readonly snapshotPollMs: number;
  /** A request waits this long at a closed gate (a handoff, an opening), then it is answered *busy*. */
  readonly gateWaitMs: number;
  /** Requests waiting at one gate; more are answered *busy* at once. */
  readonly gateWaitersMax: number;
  /** One attempt to drain: the gate is closed this long at most before it opens again. */
  readonly drainMs: number;
  /** With a request in flight that is older than this, draining is not even tried: it would only close the gate. */
  readonly longHoldMs: number;
  /** A pull is *small enough* to ask for the handoff after a round of at most this many bytes … */
  readonly smallRoundBytes: number;
  /** … or after so many rounds, for a dataset that is written faster than it is sent. */
  readonly roundsMax: number;
  readonly tickMs: number;
  readonly catalogPollMs: number;
  /** Knowledge older than this proves no absence; a new home waits as long before it creates. */
  readonly catalogFreshMs: number;
  readonly pageRecords: number;
  readonly rebalanceMs: number;
  /** Between two looks at which replicas are due. */
  readonly replicasMs: number;
  readonly janitorMs: number;
  readonly usagePollMs: number;
  /** After a failed pull of one dataset. Doubles up to sixteen times. */
  readonly pullRetryMs: number;
  /** An owner that is not the home tells the home, at most so often per dataset. */
  readonly pokeEveryMs: number;
  /** Answer of a peer that has to drain first. */
  readonly drainCallMs: number;
  readonly peerCallMs: number;
  /** Damaged files that wait to be repaired; more are taken when they are read again. */
  readonly repairQueueMax: number;
  /** Before a file that could not be repaired is tried again, and a node that could not help is asked again. */
  readonly repairRetryMs: number;
  /** Of all scrubs of this node together: requests need the disk too. */
  readonly scrubBytesPerSecond: number;
  readonly stopGraceMs: number;
}

export const OWNERSHIP_LIMITS: OwnershipLimits = {
  machine: MACHINE_LIMITS,
  openStoresMax: 256,
  openSnapshotsMax: 8,
  snapshotIdleMs: 300_000,
  snapshotsMax: 1_000,
  snapshotPollMs: 10_000,
  gateWaitMs: 5_000,
  gateWaitersMax: 1_000,
  drainMs: 2_000,
  longHoldMs: 1_500,
  smallRoundBytes: 4 * 1024 * 1024,
  roundsMax: 6,
  tickMs: 500,
  catalogPollMs: 1_000,
  catalogFreshMs: 5_000,
  pageRecords: 500,
  rebalanceMs: 1_000,
  replicasMs: 1_000,
  janitorMs: 60_000,
  usagePollMs: 5_000,
  pullRetryMs: 1_000,
  pokeEveryMs: 2_000,
  drainCallMs: 30_000,
  peerCallMs: 10_000,
  repairQueueMax: 1_000,
  repairRetryMs: 60_000,
  scrubBytesPerSecond: 64 * 1024 * 1024,
  stopGraceMs: 30_000,
};

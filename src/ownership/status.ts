// What this node knows about datasets, for status, explain and metrics. Pure views; nothing here is a promise.
import type { MoveInfo, NodeInfo } from '../cluster/coordinator.ts';
import type { ClusterMap } from '../cluster/map.ts';
import type { OwnershipRecord } from '../cluster/record.ts';
import { isZringError } from '../common/errors.ts';
import { formatTerm } from '../common/term.ts';
import type { DatasetDriver, SnapshotInfo, Usage } from '../dataset/driver.ts';
import type { CatalogKeeper } from './catalog-keeper.ts';
import type { LeaseState, NodeLease } from './lease.ts';
import type { MapKeeper } from './map-keeper.ts';
import type { Placement } from './placement.ts';
import type { Puller } from './pull.ts';
import type { ReplicaSight } from './replicas/replica-book.ts';
import type { ReplicaHealth } from './replicas/replica-health.ts';
import type { DatasetRunner } from './runner.ts';
import type { Found } from './startup.ts';
import type { Phase, Role } from './state.ts';
import type { StorageWatch } from './storage-watch.ts';

/** What is known of replicas, for views. */
export interface ReplicaView {
  sights(runner: DatasetRunner): readonly ReplicaSight[];
  asOfMs(runner: DatasetRunner): number | null;
  health(): ReplicaHealth;
}

export interface CopyStatus {
  readonly dataset: string;
  readonly id: string;
  readonly role: Role;
  readonly term: string;
  /** What the machine is doing. */
  readonly phase: Phase['at'];
  readonly open: boolean;
  readonly gate: 'open' | 'wait' | 'shut';
  readonly requestsInside: number;
  readonly promisedTo: string | null;
  /** Of its dataset on this storage: why it cannot be opened, or used as it is open. */
  readonly fault: string | null;
  readonly priorSinceMs: number | null;
  /** Of an owner: the nodes that should have a copy too. */
  readonly replicas: readonly ReplicaSight[];
  /** Of a replica: it has everything that was acknowledged by then (wall clock); null = not known since this start. */
  readonly asOfMs: number | null;
}

export interface OwnershipStatus {
  readonly node: string;
  readonly stopping: boolean;
  readonly lease: LeaseState;
  readonly coordinatorAvailable: boolean;
  readonly catalog: {
    readonly incarnation: string;
    readonly complete: boolean;
    readonly reported: boolean;
    readonly records: number;
    readonly fresh: boolean;
  };
  readonly map: ClusterMap | null;
  /** Why this node's configuration is not the map. */
  readonly refusal: { readonly code: string; readonly message: string; readonly details: unknown } | null;
  readonly copies: readonly CopyStatus[];
  /** Of what is owned here. */
  readonly replicas: ReplicaHealth;
  /** Of what others own: received right now. */
  readonly following: readonly MoveInfo[];
  readonly deposed: readonly { readonly name: string; readonly dataset: string | null; readonly usedBytes: number }[];
  readonly moves: readonly MoveInfo[];
  readonly storesOpen: number;
  /** Datasets whose home is this node, owned elsewhere. */
  readonly away: number;
  readonly usage: Usage | null;
}

export interface DatasetExplanation {
  readonly dataset: string;
  readonly record: OwnershipRecord | null;
  readonly tombstone: boolean;
  readonly home: string | null;
  readonly preference: readonly string[];
  readonly here: CopyStatus | null;
  readonly snapshots: readonly {
    readonly name: string;
    readonly guid: string;
    readonly createdMs: number;
    readonly holds: number;
  }[];
}

export function copyStatus(runner: DatasetRunner, replicas: ReplicaView): CopyStatus | null {
  const { copy, phase, openTerm } = runner.state;
  if (!copy) return null;
  return {
    dataset: runner.dataset,
    id: copy.id,
    role: copy.role,
    term: formatTerm(copy.term),
    phase: phase.at,
    open: openTerm !== null,
    gate: runner.verdict.kind,
    requestsInside: runner.gate.inside,
    promisedTo: copy.promise?.to ?? null,
    fault: runner.place.fault,
    priorSinceMs: copy.priorSinceMs,
    replicas: copy.role === 'owner' ? replicas.sights(runner) : [],
    asOfMs: copy.role === 'owner' ? null : replicas.asOfMs(runner),
  };
}

/** What other nodes hear of this one with its lease. The lease's info is bounded; the status has all moves. */
export function nodeLoad(
  runners: Iterable<DatasetRunner>,
  puller: Puller,
  storage: StorageWatch,
  replicas: ReplicaView,
): Pick<NodeInfo, 'freeBytes' | 'totalBytes' | 'storage' | 'datasets' | 'moves' | 'replicas'> {
  let datasets = 0;
  for (const runner of runners) if (runner.state.copy?.role === 'owner') datasets++;
  const { freeBytes = 0, totalBytes = 0, health = 'ok' } = storage.usage ?? {};
  return {
    freeBytes,
    totalBytes,
    storage: health,
    datasets,
    moves: puller.moves().slice(0, 8),
    replicas: replicas.health(),
  };
}

export interface StatusSources {
  readonly self: string;
  readonly stopping: boolean;
  readonly available: boolean;
  readonly freshMs: number;
  readonly catalog: CatalogKeeper;
  readonly map: MapKeeper;
  readonly placement: Placement;
  readonly lease: NodeLease;
  readonly puller: Puller;
  readonly found: Found;
  readonly storage: StorageWatch;
  readonly runners: Iterable<DatasetRunner>;
  readonly replicas: ReplicaView;
}

export function ownershipStatus(from: StatusSources): OwnershipStatus {
  const { self, map, placement, storage } = from;
  const { catalog } = from.catalog;
  const { refusal } = map;
  const copies = [...from.runners]
    .map((runner) => copyStatus(runner, from.replicas))
    .filter((status) => status !== null);
  let records = 0;
  for (const { record } of catalog.entries.values()) if (record.phase !== 'deleted') records++;
  return {
    node: self,
    stopping: from.stopping,
    lease: from.lease.state(),
    coordinatorAvailable: from.available,
    catalog: {
      incarnation: catalog.incarnation,
      complete: catalog.complete,
      reported: catalog.reported,
      records,
      fresh: from.catalog.isFresh(from.freshMs),
    },
    map: map.map,
    refusal: refusal && { code: refusal.code, message: refusal.message, details: refusal.details },
    copies: copies.sort((a, b) => (a.dataset < b.dataset ? -1 : 1)),
    deposed: from.found.deposed,
    moves: from.puller.moves(),
    replicas: from.replicas.health(),
    following: from.puller.following(),
    storesOpen: copies.filter((copy) => copy.open).length,
    away: [...placement.away()].length,
    usage: storage.usage,
  };
}

/** None of a copy that is just being set aside. */
async function snapshotsOf(driver: DatasetDriver, dataset: string): Promise<readonly SnapshotInfo[]> {
  try {
    return await driver.snapshots(dataset);
  } catch (error) {
    if (isZringError(error, 'DATASET_NOT_FOUND')) return [];
    throw error;
  }
}

export async function explainDataset(
  dataset: string,
  from: {
    readonly driver: DatasetDriver;
    readonly catalog: CatalogKeeper;
    readonly map: MapKeeper;
    readonly runner: DatasetRunner | null;
    readonly replicas: ReplicaView;
  },
): Promise<DatasetExplanation> {
  const record = from.catalog.entry(dataset)?.record ?? null;
  const here = from.runner && copyStatus(from.runner, from.replicas);
  const snapshots = here ? await snapshotsOf(from.driver, dataset) : [];
  return {
    dataset,
    record,
    tombstone: record !== null && from.catalog.isBuried(record.id),
    home: from.map.home(dataset, record),
    preference: from.map.preference(dataset),
    here,
    snapshots: snapshots.map(({ name, guid, createdMs, holds }) => ({ name, guid, createdMs, holds })),
  };
}

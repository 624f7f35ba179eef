// What this node knows about datasets, for status, explain and metrics. Pure views; nothing here is a promise.
import type { MoveInfo } from '../cluster/coordinator.ts';
import type { ClusterMap } from '../cluster/map.ts';
import type { OwnershipRecord } from '../cluster/record.ts';
import { formatTerm } from '../common/term.ts';
import type { Usage } from '../dataset/driver.ts';
import type { LeaseState } from './lease.ts';
import type { DatasetRunner } from './runner.ts';
import type { Phase, Role } from './state.ts';

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
  readonly priorSinceMs: number | null;
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

export function copyStatus(runner: DatasetRunner): CopyStatus | null {
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
    priorSinceMs: copy.priorSinceMs,
  };
}

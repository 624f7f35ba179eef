// What the admin listener shows and does, as JSON shapes. The CLI prints the same shapes; the composition root fills them.
import type { MoveInfo, ReplicaCounts } from '../cluster/coordinator.ts';
import type { CredentialStatus } from '../cluster/credential-keeper.ts';
import type { Ownership } from '../ownership/types.ts';
import type { BucketScrubDesk } from './bucket-scrubs.ts';
import type { BucketDesk } from './bucket-settings.ts';
import type { BucketSnapshotDesk } from './bucket-snapshots.ts';
import type { CredentialDesk } from './credentials.ts';

export interface ReadyAnswer {
  readonly ready: boolean;
  /** Why not; empty when ready. */
  readonly reasons: readonly string[];
}

export interface NodeStatus {
  readonly id: string;
  readonly zone: string;
  readonly weight: number;
  readonly state: string;
  readonly s3: string;
  /** Remaining lease in ms; 0 = no lease seen (down, or the coordinator has just started). */
  readonly leaseMs: number;
  readonly release: string | null;
  readonly freeBytes: number | null;
  readonly totalBytes: number | null;
  /** Why its storage is not used, or not written; null = it is, or this node cannot tell. */
  readonly storageFault: string | null;
  readonly datasets: number | null;
  readonly moves: readonly MoveInfo[];
  /** Replicas that others should have of what it owns; null = it does not say. */
  readonly replicas: ReplicaCounts | null;
  /** Format → newest version it reads; null while the node has no lease. */
  readonly formats: Readonly<Record<string, number>> | null;
}

export interface ClusterStatus {
  readonly node: string;
  readonly cluster: string;
  readonly epoch: number;
  readonly revision: number;
  readonly coordinator: {
    readonly kind: string;
    readonly available: boolean;
    readonly complete: boolean;
    /** Changes when the coordinator lost what it held; '' before it was first reached. */
    readonly incarnation: string;
  };
  /** Null while the coordinator cannot be asked: then only this node is described. */
  readonly nodes: readonly NodeStatus[];
  readonly ready: ReadyAnswer;
  /** Of the node that answers: buckets that it owns and cannot open, or use as they are open. Absent from older releases. */
  readonly bucketFaults?: readonly { readonly bucket: string; readonly fault: string }[];
  /** Faults of the configuration file as it is now (the last good one stays in use). */
  readonly configFaults: readonly string[];
  /** As this node has them. */
  readonly credentials: CredentialStatus;
}

export interface DatasetStatus {
  readonly dataset: string;
  readonly id: string;
  readonly owner: string;
  readonly home: string | null;
  readonly pin: string | null;
  readonly term: string;
  readonly phase: string;
  readonly target: string | null;
  readonly createdMs: number;
}

export interface AdminApi {
  ready(): ReadyAnswer;
  status(): Promise<ClusterStatus>;
  datasets(): Promise<{ readonly datasets: readonly DatasetStatus[]; readonly complete: boolean }>;
  /** Everything this node knows about one dataset: record, ring, its own copy. */
  explain(dataset: string): Promise<unknown>;
  /** Storage settings, at the bucket's owner. */
  readonly buckets: BucketDesk;
  /** Snapshots of a bucket, at its owner. */
  readonly snapshots: BucketSnapshotDesk;
  /** Reading and repairing a whole bucket, at its owner. */
  readonly scrubs: BucketScrubDesk;
  readonly credentials: CredentialDesk;
  /** This node's disk: what speaks against it, and an operator's word (src/ownership/disk-acceptance.ts). */
  readonly disk: Pick<Ownership['disk'], 'report' | 'accept'>;
  /** A bucket of this node that was promised to a node lost for good (src/ownership/takeover.ts). */
  readonly takeover: Ownership['takeover'];
  /** `to` null clears the pin. */
  move(request: { dataset: string; to: string | null }): Promise<unknown>;
  /** Reads the configuration file again, now. */
  reload(): Promise<unknown>;
}

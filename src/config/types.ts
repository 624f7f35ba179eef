// The configuration as the rest of the program sees it: expanded, checked, units in the names. Shapes only.

export interface Address {
  readonly host: string;
  readonly port: number;
}

export interface TlsFiles {
  readonly certFile: string;
  readonly keyFile: string;
  /** Peer listener: the authority that peers' certificates must come from (mutual TLS). */
  readonly caFile?: string;
}

export interface StorageSpec {
  readonly kind: 'zfs' | 'dir';
  /** Dataset name or absolute path. */
  readonly location: string;
}

export interface NodeConfig {
  readonly id: string;
  readonly zone: string;
  readonly weight: number;
  readonly state: 'up' | 'draining';
  readonly storage: StorageSpec;
  readonly s3: Address;
  readonly peer: Address;
  readonly admin: Address;
  /** What is bound; defaults to the advertised addresses. */
  readonly listen: { readonly s3: Address; readonly peer: Address; readonly admin: Address };
}

export interface Credential {
  readonly accessKey: string;
  /** The first signs, all verify (rotation). */
  readonly secretKeys: readonly string[];
  readonly displayName: string;
  readonly canonicalId: string;
  /** Grants of ACLs may name the user by it. */
  readonly email: string | null;
  /** The account of `arn:aws:iam::ACCOUNT:user/DISPLAYNAME` in bucket policies. */
  readonly account: string;
  /** `buckets`: glob; `actions`: '*', 'read', 'write' or 'create' (make buckets, which it then owns). */
  readonly allow: readonly { readonly buckets: string; readonly actions: string }[];
}

export type CoordinatorSpec =
  | { readonly kind: 'redis'; readonly url: string }
  | { readonly kind: 'embedded'; readonly folder: string };

export interface Config {
  /** Absolute path of the file. */
  readonly path: string;
  readonly cluster: {
    readonly name: string;
    readonly revision: number;
    /** The first signs, all verify. */
    readonly secrets: readonly string[];
    /** Seal the secrets of credentials that are kept by the coordinator: the first seals, all open. Empty = none are kept. */
    readonly credentialKeys: readonly string[];
    readonly coordinator: CoordinatorSpec;
    readonly copies: number;
    readonly leaseMs: number;
    readonly region: string;
    /** Domain suffixes for virtual-host style requests. */
    readonly domains: readonly string[];
  };
  readonly nodes: readonly NodeConfig[];
  readonly credentials: readonly Credential[];
  readonly tls: { readonly s3: TlsFiles | null; readonly peer: TlsFiles | null; readonly admin: TlsFiles | null };
  readonly storage: {
    readonly minFreePercent: number;
    readonly minFreeBytes: number;
  };
  readonly rebalance: {
    readonly mode: 'lazy' | 'background';
    readonly concurrency: number;
    /** null = unlimited. */
    readonly bandwidthBytesPerSecond: number | null;
  };
  readonly snapshots: {
    /** null = none is taken by itself, and none destroyed. */
    readonly everyMs: number | null;
    /** Of those that were taken by themselves. */
    readonly keep: { readonly last: number; readonly daily: number; readonly monthly: number };
  };
  readonly replication: {
    /** How often each replica of a dataset that has changed is brought up to its owner. */
    readonly everyMs: number;
    /** Replicas that one node receives at the same time. */
    readonly concurrency: number;
  };
  readonly retention: {
    /** How long a prior owner keeps its copy after a handoff, so that moving back is an increment. */
    readonly priorCopyMs: number;
  };
  readonly defaults: {
    /** Object ownership of buckets that set none. */
    readonly objectOwnership: 'BucketOwnerEnforced' | 'BucketOwnerPreferred' | 'ObjectWriter';
    /** Length of a lifecycle "day"; shorter only for tests. */
    readonly lifecycleDayMs: number;
  };
  readonly log: { readonly level: 'trace' | 'debug' | 'info' | 'warn' | 'error' };
  /** SHA-256 of the canonical map content (nodes and map settings) before `${ENV}` expansion. */
  readonly mapContentHash: string;
}

export interface ConfigFault {
  /** e.g. `nodes[2].weight` */
  readonly path: string;
  readonly message: string;
  readonly expected: string;
  /** Line in the file, from 1, where one can be told. */
  readonly line?: number;
}

// The membership map: nodes, zones, weights, states, cluster settings. Immutable; each change is a new epoch.
// Pure. Who may commit a new map is the coordinator's business; what it says is decided here.

export type NodeState = 'up' | 'draining';

export interface MapNode {
  readonly id: string;
  readonly zone: string;
  readonly weight: number;
  readonly state: NodeState;
  /** Advertised `host:port` of each listener. */
  readonly s3: string;
  readonly peer: string;
  readonly admin: string;
}

/** Cluster-wide settings that all nodes must agree on; they travel with the map. */
export interface MapSettings {
  readonly copies: number;
  readonly leaseMs: number;
}

export interface ClusterMap {
  readonly version: 1;
  readonly cluster: string;
  /** Grows by one with every committed change. */
  readonly epoch: number;
  /** `cluster.revision` of the configuration this map was made from. */
  readonly revision: number;
  /** SHA-256 of the canonical map content before `${ENV}` expansion: same revision with another hash is an error. */
  readonly contentHash: string;
  readonly settings: MapSettings;
  /** Sorted by id. */
  readonly nodes: readonly MapNode[];
}

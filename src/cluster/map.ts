// The membership map: nodes, zones, weights, states, cluster settings. Immutable; each change is a new epoch.
// Pure: shapes, strict reading and canonical text. Who may commit a new map is the coordinator's business, which map
// should be committed is decided in map-change.ts.
import { createHash } from 'node:crypto';
import { ZringError } from '../common/errors.ts';
import { fieldsOf, isCount, isName, isNodeId, isText } from './fields.ts';

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
  /**
   * The coordinator's incarnation in which the cluster's first map was made: in another one it has lost its data since, and
   * a node that has not reported may hold what no record says. Not in maps of earlier releases.
   */
  readonly origin?: string;
}

export const MAP_VERSION = 1;

/** Canonical: fixed key order, nodes by id. Equal maps have equal text. Errors: COORDINATOR_CORRUPT. */
export function serializeMap(map: ClusterMap): string {
  return JSON.stringify(checkMap(map));
}

/** A few words for the whole map: equal stamps mean equal maps. Its first word is the epoch. */
export function stampOf(map: ClusterMap): string {
  return `${map.epoch} ${createHash('sha256').update(serializeMap(map)).digest('hex')}`;
}

/** Errors: VERSION_UNSUPPORTED (written by a newer release), COORDINATOR_CORRUPT. */
export function parseMap(text: string): ClusterMap {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new ZringError('COORDINATOR_CORRUPT', 'cluster map is not JSON', { cause });
  }
  return checkMap(value);
}

/** The same for a value that was parsed already, e.g. as part of a peer message. Returns a fresh, plain object. */
export function checkMap(value: unknown): ClusterMap {
  const fields = fieldsOf(value, 'cluster map', MAP_VERSION);
  const cluster = fields.take('cluster', isName);
  const epoch = fields.take('epoch', isPositive) as number;
  const revision = fields.take('revision', isCount);
  const contentHash = fields.take('contentHash', isText);
  const settings = takeSettings(fields.take('settings', isObject));
  const nodes = (fields.take('nodes', Array.isArray) as unknown[]).map(checkNode).sort(byId);
  const origin = fields.takeOptional('origin', isText);
  fields.end();
  if (nodes.length === 0) fields.refuse('nodes', 'is empty');
  for (const [i, node] of nodes.entries()) {
    if (nodes[i + 1]?.id === node.id) fields.refuse('nodes', `names ${node.id} twice`);
  }
  return {
    version: 1,
    cluster,
    epoch,
    revision,
    contentHash,
    settings,
    nodes,
    ...(origin !== undefined && { origin }),
  };
}

function takeSettings(value: object): MapSettings {
  const fields = fieldsOf({ version: MAP_VERSION, ...value }, 'cluster map settings', MAP_VERSION);
  const copies = fields.take('copies', isPositive) as number;
  const leaseMs = fields.take('leaseMs', isPositive) as number;
  fields.end();
  return { copies, leaseMs };
}

function checkNode(value: unknown): MapNode {
  const fields = fieldsOf({ version: MAP_VERSION, ...(value as object) }, 'node of the cluster map', MAP_VERSION);
  const node = {
    id: fields.take('id', isNodeId),
    zone: fields.take('zone', isText),
    weight: fields.take('weight', isWeight) as number,
    state: fields.take('state', (v) => v === 'up' || v === 'draining') as NodeState,
    s3: fields.take('s3', isText),
    peer: fields.take('peer', isText),
    admin: fields.take('admin', isText),
  };
  fields.end();
  return node;
}

function byId(a: { id: string }, b: { id: string }): number {
  return a.id < b.id ? -1 : a.id > b.id ? 1 : 0;
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isPositive(value: unknown): boolean {
  return isCount(value) && value > 0;
}

function isWeight(value: unknown): boolean {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0;
}

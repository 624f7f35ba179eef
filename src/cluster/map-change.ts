// What should become of the membership map, given the configuration of this node, what the coordinator holds and what this
// node remembers. Pure: it decides, the caller commits by compare-and-set and starts again when it lost the race.
//
//   configuration's revision   compared with the newest map known (coordinator's, or remembered when that one is gone)
//   higher                     commit it as the next epoch, unless it drops a node that still holds something
//   same, same content         unchanged; published again when the coordinator has lost it or fallen behind
//   same, other content        refused: two files claim to be the same revision
//   lower                      behind: this node's file is old; the map counts, not the file
//
// Epochs never go back (invariant I4): a new one is above the coordinator's and everything remembered here.

import { ZringError } from '../common/errors.ts';
import { formatAddress } from '../config/address.ts';
import type { Config } from '../config/types.ts';
import type { CoordinatorState } from './coordinator.ts';
import { type ClusterMap, checkMap, serializeMap } from './map.ts';
import type { OwnershipRecord } from './record.ts';

/** A map without its epoch: what a configuration says. */
export type MapInput = Omit<ClusterMap, 'version' | 'epoch' | 'origin'>;

export interface MapKnowledge {
  /** The coordinator's, null when it has none. */
  readonly current: ClusterMap | null;
  /** The last one this node followed, from its own disk. */
  readonly remembered: ClusterMap | null;
  /** Highest epoch this node has ever seen. */
  readonly highestEpoch: number;
  /** Every record this node knows: its catalog, which outlives the coordinator's data. */
  readonly records: Iterable<OwnershipRecord>;
  /** Nodes whose holdings are all among these records, null = every node's; see `heardNodes`. */
  readonly heard: readonly string[] | null;
  /** The coordinator's; needed for a cluster's first map, and where two maps are of different origin. */
  readonly incarnation?: string;
}

/** Why a node cannot leave the map yet. */
export interface NodeHolding {
  readonly node: string;
  /** `unheard`: it has not reported since the coordinator lost its data, so nobody knows; then dataset is null. */
  readonly role: 'owner' | 'target' | 'inSync' | 'unheard';
  readonly dataset: string | null;
}

export type MapPlan =
  /** The coordinator's map is the configuration's. */
  | { readonly kind: 'unchanged'; readonly map: ClusterMap }
  /** The configuration is older than the map: follow the map. */
  | { readonly kind: 'behind'; readonly map: ClusterMap }
  /** `reason` republish: the coordinator lost the map, or holds an older or another one of the same epoch. */
  | {
      readonly kind: 'commit';
      readonly reason: 'first' | 'revision' | 'republish';
      readonly expectedEpoch: number;
      readonly map: ClusterMap;
    }
  /** CONFIG_REVISION_CONFLICT, or CONFIG_REFUSED (details: NodeHolding[]). Go on with `map`, null when there is none. */
  | { readonly kind: 'refused'; readonly error: ZringError; readonly map: ClusterMap | null };

export function planMapChange(input: MapInput, known: MapKnowledge): MapPlan {
  const { current } = known;
  // What a newcomer made of an emptied coordinator gives way to the map that has been there before.
  const remembered = isNewcomers(known.remembered, current, known) ? null : known.remembered;
  const base = newest(current, remembered);
  const expectedEpoch = current?.epoch ?? 0;
  const epoch = Math.max(expectedEpoch, remembered?.epoch ?? 0, known.highestEpoch) + 1;
  const commit = (reason: 'first' | 'revision' | 'republish', content: MapInput): MapPlan => {
    // What this node remembers goes before what a newcomer has put into a coordinator that lost its data.
    const origin = base ? (remembered ?? base).origin : known.incarnation;
    const map = checkMap({ ...content, version: 1, epoch, ...(origin !== undefined && { origin }) });
    return { kind: 'commit', reason, expectedEpoch, map };
  };
  if (!base) return commit('first', input);
  if (current && remembered && isNewcomers(current, remembered, known)) {
    // It had nobody to ask. What it leaves out, and may hold something, is put back; then this file is refused, and says why.
    if (holdingsOf(removedNodes(remembered, current), known).length > 0) return commit('republish', remembered);
  }
  const refused = (error: ZringError): MapPlan => ({ kind: 'refused', error, map: base });
  if (input.cluster !== base.cluster) return refused(otherCluster(input, base));
  if (input.revision > base.revision) {
    const holdings = holdingsOf(removedNodes(base, input), known);
    return holdings.length > 0 ? refused(stillHolding(holdings)) : commit('revision', input);
  }
  if (input.revision === base.revision && input.contentHash !== base.contentHash) {
    return refused(revisionConflict(input, base));
  }
  const isCurrent = current !== null && sameContent(current, base) && current.epoch >= known.highestEpoch;
  if (!isCurrent || isContradicted(current, remembered)) return commit('republish', base);
  return { kind: input.revision === base.revision ? 'unchanged' : 'behind', map: current };
}

/**
 * Every node in the incarnation that all these maps were first made in: whoever owns something has written its record in it.
 * After a loss, those that have reported since, until all have. What a node itself has seen of incarnations says nothing:
 * it may have joined after the loss.
 */
export function heardNodes(
  state: Pick<CoordinatorState, 'incarnation' | 'complete' | 'reported'>,
  maps: readonly (ClusterMap | null)[],
): readonly string[] | null {
  const isFirst = maps.every((map) => map === null || map.origin === state.incarnation);
  return state.complete || isFirst ? null : state.reported;
}

export function mapInputOf(config: Config): MapInput {
  const { cluster, nodes, mapContentHash } = config;
  return {
    cluster: cluster.name,
    revision: cluster.revision,
    contentHash: mapContentHash,
    settings: { copies: cluster.copies, leaseMs: cluster.leaseMs },
    nodes: nodes.map(({ id, zone, weight, state, s3, peer, admin }) => {
      return { id, zone, weight, state, s3: formatAddress(s3), peer: formatAddress(peer), admin: formatAddress(admin) };
    }),
  };
}

/** Made in this life of the coordinator, while the other one is from before it lost its data. */
function isNewcomers(map: ClusterMap | null, other: ClusterMap | null, { incarnation }: MapKnowledge): boolean {
  if (!map || !other || incarnation === undefined) return false;
  return map.origin === incarnation && other.origin !== incarnation;
}

/** By revision first: after a loss, an old configuration may have been committed under a high epoch. */
function newest(a: ClusterMap | null, b: ClusterMap | null): ClusterMap | null {
  if (!a || !b) return a ?? b;
  if (a.revision !== b.revision) return a.revision > b.revision ? a : b;
  return b.epoch > a.epoch ? b : a;
}

function sameContent(a: ClusterMap, b: ClusterMap): boolean {
  return a.revision === b.revision && a.contentHash === b.contentHash;
}

/** The same epoch with another map: one of the two was lost and its epoch given out again. */
function isContradicted(current: ClusterMap, remembered: ClusterMap | null): boolean {
  if (remembered === current) return false;
  return remembered?.epoch === current.epoch && serializeMap(remembered) !== serializeMap(current);
}

function removedNodes(base: ClusterMap, input: MapInput): ReadonlySet<string> {
  const kept = new Set(input.nodes.map((node) => node.id));
  return new Set(base.nodes.map((node) => node.id).filter((id) => !kept.has(id)));
}

function holdingsOf(removed: ReadonlySet<string>, known: MapKnowledge): readonly NodeHolding[] {
  const holdings: NodeHolding[] = [];
  if (removed.size === 0) return holdings;
  for (const node of removed) {
    if (known.heard && !known.heard.includes(node)) holdings.push({ node, role: 'unheard', dataset: null });
  }
  for (const { dataset, phase, owner, target, inSync } of known.records) {
    if (phase === 'deleted') continue;
    if (removed.has(owner)) holdings.push({ node: owner, role: 'owner', dataset });
    if (target !== null && removed.has(target)) holdings.push({ node: target, role: 'target', dataset });
    for (const node of inSync) {
      if (node !== owner && removed.has(node)) holdings.push({ node, role: 'inSync', dataset });
    }
  }
  return holdings;
}

function stillHolding(holdings: readonly NodeHolding[]): ZringError {
  const nodes = [...new Set(holdings.map((holding) => holding.node))];
  const clauses = nodes.map((node) => `${node} ${describe(holdings.filter((holding) => holding.node === node))}`);
  const message = `cannot remove from the map: ${clauses.join('; ')}. Set state: draining and wait until it is empty`;
  return new ZringError('CONFIG_REFUSED', message, { details: holdings });
}

/** The whole list is in the error's details; the message names a few. */
function describe(holdings: readonly NodeHolding[]): string {
  if (holdings.some((holding) => holding.role === 'unheard')) {
    return 'has not reported its datasets since the coordinator lost its data';
  }
  const names = [...new Set(holdings.map((holding) => holding.dataset))];
  const more = names.length > 5 ? ` and ${names.length - 5} more` : '';
  return `still holds ${names.slice(0, 5).join(', ')}${more}`;
}

function revisionConflict(input: MapInput, base: ClusterMap): ZringError {
  const message =
    `the configuration's revision ${input.revision} is already in use with other content (epoch ${base.epoch}); ` +
    'raise cluster.revision, or restore the file it was made from';
  return new ZringError('CONFIG_REVISION_CONFLICT', message, {
    details: { revision: base.revision, epoch: base.epoch, configured: input.contentHash, committed: base.contentHash },
  });
}

function otherCluster(input: MapInput, base: ClusterMap): ZringError {
  const message = `the configuration is of cluster ${input.cluster}, the map of cluster ${base.cluster}`;
  return new ZringError('CONFIG_REFUSED', message, { subject: input.cluster });
}

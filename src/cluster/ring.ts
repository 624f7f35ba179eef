// The consistent-hash ring of one map: which node should hold a dataset, and which come next. The only import of hashring.
// Pure and deterministic: every node computes the same answer from the same map; test/cluster/ring.golden.json holds it to
// what earlier releases answered, because a point that moves moves data.
// The library makes the points and hashes the names; the walk is here, because its own is linear in nodes per step and keeps
// an object per point (68 MB for 1000 nodes, where two typed arrays take 6).
import HashRing from 'hashring';
import type { ClusterMap, MapNode } from './map.ts';

export interface Ring {
  /** Where the dataset should live, pins aside: the first of its preference. */
  home(dataset: string): string;
  /**
   * At most `count` nodes, best first: the first node of each zone in ring order, then the others in ring order.
   * Draining nodes and those of weight 0 are left out, unless there is nothing else.
   */
  preference(dataset: string, count: number): readonly string[];
}

/**
 * Hashes per unit of weight; each makes POINTS_PER_VNODE points. With 1024 points a node, 100,000 names spread with max/mean
 * 1.03 (3 nodes) to 1.14 (100 nodes) over many sets of ids; with 512 some sets of 100 ids passed 1.2, and with the library's
 * default of 160 most do. 2048 would make the ring of 1000 nodes take 3 s to build instead of 1.3 s.
 * Absolute, so that a new node takes from the others but moves nothing between them. Never change it: it moves data.
 */
const VNODES_PER_WEIGHT = 256;
const POINTS_PER_VNODE = 4;
/** Bounds the ring's memory whatever a weight says: as much as weight 100. */
const VNODES_MAX = 25_600;
/** Not md5, which FIPS builds of OpenSSL refuse. Never change it: it moves data. */
const ALGORITHM = 'sha256';
/** Per generation. Enough for what one node serves at a time; an uncached answer costs microseconds. */
const CACHE_ENTRIES_MAX = 10_000;

export function createRing(map: Pick<ClusterMap, 'nodes'>): Ring {
  const nodes = eligibleNodes(map.nodes);
  const { hash, values, owners } = layPoints(nodes);
  const zones = numberZones(nodes);
  const zoneCount = new Set(zones).size;
  /** Marks of the walk under way: a node or zone is seen when its mark is the walk's number. */
  const nodeMarks = new Float64Array(nodes.length);
  const zoneMarks = new Float64Array(zoneCount);
  let walks = 0;

  function walk(dataset: string, count: number): readonly string[] {
    const wanted = Math.min(count, nodes.length);
    const zonesWanted = Math.min(wanted, zoneCount);
    const firsts: string[] = [];
    const others: string[] = [];
    walks++;
    let i = firstAtOrAbove(values, hash(dataset));
    for (let steps = 0; steps < values.length; steps++, i++) {
      if (firsts.length === zonesWanted && firsts.length + others.length >= wanted) break;
      if (i === values.length) i = 0;
      const node = owners[i] ?? 0;
      if (nodeMarks[node] === walks) continue;
      nodeMarks[node] = walks;
      const zone = zones[node] ?? 0;
      (zoneMarks[zone] === walks ? others : firsts).push(nodes[node]?.id ?? '');
      zoneMarks[zone] = walks;
    }
    return [...firsts, ...others].slice(0, wanted);
  }

  const preference = cached((key: string) => {
    const blank = key.indexOf(' ');
    return Object.freeze(walk(key.slice(blank + 1), Number(key.slice(0, blank))));
  });
  return {
    home: cached((dataset) => walk(dataset, 1)[0] ?? ''),
    preference: (dataset, count) => preference(`${count} ${dataset}`),
  };
}

/** Two generations: dropping a whole old one is cheaper than evicting from a Map, which gets slow at its deleted head. */
function cached<T>(answer: (key: string) => T): (key: string) => T {
  let young = new Map<string, T>();
  let old = young;
  return (key) => {
    let known = young.get(key);
    if (known !== undefined) return known;
    known = old.get(key) ?? answer(key);
    if (young.size >= CACHE_ENTRIES_MAX) {
      old = young;
      young = new Map();
    }
    young.set(key, known);
    return known;
  };
}

/** By id, so that two points of one value belong to the same node in every process. */
function eligibleNodes(all: readonly MapNode[]): readonly MapNode[] {
  const byId = [...all].sort((a, b) => (a.id < b.id ? -1 : 1));
  const up = byId.filter((node) => node.state === 'up' && node.weight > 0);
  if (up.length > 0) return up;
  // Every dataset must have a home: a cluster told to drain everywhere has nowhere to drain to.
  return byId.map((node) => ({ ...node, weight: 1 }));
}

interface Points {
  hash(dataset: string): number;
  /** Ascending. */
  readonly values: Uint32Array;
  /** Index of the node of each value. */
  readonly owners: Uint16Array;
}

function layPoints(nodes: readonly MapNode[]): Points {
  const servers: Record<string, { vnodes: number }> = {};
  // The library appends `-<n>` to the name: `a-1` with its 2nd and `a` with a 12th would share points, so names get an end.
  for (const node of nodes) servers[`${node.id}/`] = { vnodes: vnodesOf(node) };
  // Its own count must differ from every count given, or it would share points out by weight again.
  const ring = new HashRing(servers, ALGORITHM, { 'vnode count': -1, replicas: POINTS_PER_VNODE, 'max cache size': 1 });
  const points = ring.points(servers as never) as unknown as Record<string, number[]>;
  // One number per point, value first: sorts by value, then by node.
  const sorted = new Float64Array(nodes.reduce((sum, node) => sum + vnodesOf(node) * POINTS_PER_VNODE, 0));
  let length = 0;
  for (const [index, node] of nodes.entries()) {
    for (const value of points[`${node.id}/`] ?? []) sorted[length++] = value * 65_536 + index;
  }
  sorted.sort();
  ring.end();
  return {
    hash: (dataset) => (ring as unknown as { hashValue(key: string): number }).hashValue(dataset),
    values: Uint32Array.from(sorted, (value) => Math.floor(value / 65_536)),
    owners: Uint16Array.from(sorted, (value) => value % 65_536),
  };
}

function vnodesOf(node: MapNode): number {
  return Math.min(VNODES_MAX, Math.max(1, Math.round(node.weight * VNODES_PER_WEIGHT)));
}

function numberZones(nodes: readonly MapNode[]): Uint16Array {
  const numbers = new Map<string, number>();
  for (const node of nodes) if (!numbers.has(node.zone)) numbers.set(node.zone, numbers.size);
  return Uint16Array.from(nodes, (node) => numbers.get(node.zone) ?? 0);
}

function firstAtOrAbove(values: Uint32Array, value: number): number {
  let low = 0;
  let high = values.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((values[middle] ?? 0) < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

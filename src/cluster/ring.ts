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
 * default of 160 most do. 2048 would double the 0.75 s that the first ring of 1000 nodes takes (0.12 s the next).
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

/** A map that differs from the last one in its epoch alone, or in an address, has the same ring; 18 MB of 3000 nodes. */
const rings = new Map<string, WeakRef<Ring>>();
const RINGS_MAX = 8;

export function createRing(map: Pick<ClusterMap, 'nodes'>): Ring {
  const key = map.nodes.map(({ id, zone, weight, state }) => `${id} ${zone} ${weight} ${state}`).join('\n');
  const known = rings.get(key)?.deref();
  if (known) return known;
  const ring = buildRing(map);
  if (rings.size >= RINGS_MAX) rings.clear();
  rings.set(key, new WeakRef(ring));
  return ring;
}

function buildRing(map: Pick<ClusterMap, 'nodes'>): Ring {
  const nodes = eligibleNodes(map.nodes);
  const { values, owners } = layPoints(nodes);
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
    let i = firstAtOrAbove(values, hasher.hashValue(dataset));
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
  /** Ascending. */
  readonly values: Uint32Array;
  /** Index of the node of each value. */
  readonly owners: Uint16Array;
}

function layPoints(nodes: readonly MapNode[]): Points {
  const lists = nodes.map((node) => pointsOf(node.id, vnodesOf(node)));
  // One number per point, value first: sorts by value, then by node.
  const sorted = new Float64Array(lists.reduce((sum, list) => sum + list.length, 0));
  let length = 0;
  for (const [index, list] of lists.entries()) {
    for (const value of list) sorted[length++] = value * 65_536 + index;
  }
  sorted.sort();
  const values = new Uint32Array(sorted.length);
  const owners = new Uint16Array(sorted.length);
  for (let i = 0; i < sorted.length; i++) {
    const point = sorted[i] ?? 0;
    const value = Math.floor(point / 65_536);
    values[i] = value;
    owners[i] = point - value * 65_536;
  }
  return { values, owners };
}

/** The library's hash of names. */
const hasher = new HashRing([], ALGORITHM) as unknown as { hashValue(name: string): number };

/** Points by `<vnodes> <id>`: a new map of a large cluster differs from the last in a node or two. 4 KB each. */
const pointCache = new Map<string, Uint32Array>();
const POINT_CACHE_MAX = 5000;

/** A node's points depend on nothing but its id and how many they are. */
function pointsOf(id: string, vnodes: number): Uint32Array {
  const key = `${vnodes} ${id}`;
  const known = pointCache.get(key);
  if (known) return known;
  // The library appends `-<n>` to the name: `a-1` with its 2nd and `a` with a 12th would share points, so names get an end.
  const server = `${id}/`;
  // Its own count must differ from the one given, or it would share points out by weight again.
  const options = { 'vnode count': -1, replicas: POINTS_PER_VNODE, 'max cache size': 1 };
  const ring = new HashRing({ [server]: { vnodes } }, ALGORITHM, options);
  const values = (ring.points([server]) as unknown as Record<string, number[]>)[server] ?? [];
  ring.end();
  const points = Uint32Array.from(values);
  if (pointCache.size >= POINT_CACHE_MAX) pointCache.clear();
  pointCache.set(key, points);
  return points;
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

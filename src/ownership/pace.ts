// How far apart in time the nodes of a large cluster do what all of them have to do at the same occasion: numbers alone. A
// small cluster does it at once; per node the times grow, so that the coordinator sees about the same rate at any size.

/** A map is read by every node, and is as long as the cluster is large. */
const MAP_READ_MS_PER_NODE = 3;
/** Then the regular round comes anyway. */
const MAP_READ_MS_MAX = 5_000;
/** Up to this many nodes nobody waits. */
const SMALL_CLUSTER = 30;
const RETURN_MS_PER_NODE = 1;
const RETURN_MS_MAX = 1_000;
const PAGE_MS_PER_NODE = 1;

/**
 * After a hint of a record: several that come together are one reading. Whom the record does not concern reads it with the
 * next poll, or each change would make all nodes read at once.
 */
export const HINT_MS = 100;

/** A new map is read at some moment within this time. Nobody is told meanwhile that a dataset does not exist. */
export function mapReadWithinMs(nodes: number): number {
  return nodes <= SMALL_CLUSTER ? 0 : Math.min(MAP_READ_MS_MAX, nodes * MAP_READ_MS_PER_NODE);
}

/** The coordinator is there again, for everybody at once. */
export function returnWithinMs(nodes: number): number {
  return nodes <= SMALL_CLUSTER ? 0 : Math.min(RETURN_MS_MAX, nodes * RETURN_MS_PER_NODE);
}

/** Between two pages of a long reading, which all nodes are at: a thousand pages a second for the whole cluster. */
export function pageRestMs(nodes: number, fraction: number): number {
  return nodes * PAGE_MS_PER_NODE * (0.5 + fraction);
}

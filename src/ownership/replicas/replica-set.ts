// Which nodes should have a copy of a dataset beside its owner. Pure: every node computes the same answer from the same map
// and record. docs/REPLICAS.md.

export interface ReplicaFacts {
  readonly owner: string;
  /** Copies wanted, the owner's included; 1 = no replica. */
  readonly copies: number;
  /** Nodes in the order of the ring (Ring.preference), at least `copies + 1` of them where there are so many. */
  readonly preference: readonly string[];
  readonly zoneOf: (node: string) => string | null;
}

/**
 * The best nodes in the order of the ring, at most `copies - 1`: first one of each zone that has no copy yet, then, where
 * there are fewer zones than copies, others. Never the owner.
 */
export function replicaNodes({ owner, copies, preference, zoneOf }: ReplicaFacts): string[] {
  const wanted = copies - 1;
  const zones = new Set([zoneOf(owner)]);
  const firsts: string[] = [];
  const others: string[] = [];
  for (const node of preference) {
    if (node === owner) continue;
    const zone = zoneOf(node);
    (zones.has(zone) ? others : firsts).push(node);
    zones.add(zone);
  }
  return [...firsts, ...others].slice(0, Math.max(0, wanted));
}

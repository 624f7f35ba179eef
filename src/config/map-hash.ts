// Canonical content of the map that a configuration stands for, and its hash. Two files that mean the same map have the
// same hash: the order of keys and nodes, units, defaults and comments do not count. Variables count by name, not by
// value, because each machine may have its own; what is not in the map (storage, listen, secrets) does not count at all.
// Pure. Changing what goes in here makes running clusters see "same revision, other content": raise HASH_VERSION then.
import { createHash } from 'node:crypto';
import { formatAddress } from './address.ts';
import { hasVariable, lookUp, type Tree } from './tree.ts';
import type { NodeConfig } from './types.ts';

const HASH_VERSION = 1;

/** `raw` is the tree as written; `nodes` and `settings` are what it was checked to mean, in the same order. */
export function mapContentHash(
  raw: Tree,
  cluster: { readonly name: string; readonly copies: number; readonly leaseMs: number },
  nodes: readonly NodeConfig[],
): string {
  const value = (path: readonly PropertyKey[], meaning: string | number): string | number => {
    const written = lookUp(raw, path);
    return typeof written === 'string' && hasVariable(written) ? written : meaning;
  };
  const canonicalNodes = nodes.map((node, i) => [
    node.id,
    value(['nodes', i, 'zone'], node.zone),
    value(['nodes', i, 'weight'], node.weight),
    value(['nodes', i, 'state'], node.state),
    value(['nodes', i, 's3'], formatAddress(node.s3)),
    value(['nodes', i, 'peer'], formatAddress(node.peer)),
    value(['nodes', i, 'admin'], formatAddress(node.admin)),
  ]);
  canonicalNodes.sort((a, b) => (String(a[0]) < String(b[0]) ? -1 : 1));
  const content = [
    HASH_VERSION,
    value(['cluster', 'name'], cluster.name),
    value(['cluster', 'copies'], cluster.copies),
    value(['cluster', 'lease'], cluster.leaseMs),
    canonicalNodes,
  ];
  return createHash('sha256').update(JSON.stringify(content)).digest('hex');
}

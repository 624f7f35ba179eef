// `zring upgrade`: raises the formats in use (index, properties, records, peer protocol) to the newest that every node
// of the map can read. The plan is pure; there is nothing to apply yet: the one format with two versions, the index, is
// raised bucket by bucket, by the one that enables versioning.
import { defineCommand } from 'citty';
import type { ClusterStatus } from '../admin/types.ts';
import { ZringError } from '../common/errors.ts';
import { connectAdmin, connectionArgs } from './admin-client.ts';
import { formatTable, print, printJson } from './output.ts';

export interface FormatPlan {
  readonly format: string;
  /** The newest version that every node reads. */
  readonly target: number;
  /** Nodes that keep it from going higher: those that read only `target` while others read more. */
  readonly heldBackBy: readonly string[];
}

/** Errors: NODE_UNREACHABLE when a node has not said what it reads: it must not be locked out by an upgrade. */
export function planUpgrade(
  nodes: readonly { readonly id: string; readonly formats: Readonly<Record<string, number>> | null }[],
): FormatPlan[] {
  const silent = nodes.filter(({ formats }) => formats === null).map(({ id }) => id);
  if (silent.length > 0) {
    throw new ZringError(
      'NODE_UNREACHABLE',
      `no upgrade while a node is down: ${silent.join(', ')} must say what it can read`,
    );
  }
  const names = [...new Set(nodes.flatMap(({ formats }) => Object.keys(formats ?? {})))].sort();
  return names.map((format) => {
    const versions = nodes.map(({ id, formats }) => ({ id, version: formats?.[format] ?? 1 }));
    const target = Math.min(...versions.map(({ version }) => version));
    const highest = Math.max(...versions.map(({ version }) => version));
    const heldBackBy = highest > target ? versions.filter(({ version }) => version === target).map(({ id }) => id) : [];
    return { format, target, heldBackBy };
  });
}

export const upgradeCommand = defineCommand({
  meta: { name: 'upgrade', description: 'Raise the formats in use once every node can read the new ones' },
  args: connectionArgs,
  async run({ args }) {
    const status = (await connectAdmin(args).get('/status')) as ClusterStatus;
    const plan = planUpgrade(status.nodes);
    if (args.json) return printJson({ plan });
    print(
      formatTable(
        ['FORMAT', 'VERSION', 'HELD BACK BY'],
        plan.map(({ format, target, heldBackBy }) => [format, target, heldBackBy.join(', ') || '-']),
      ),
    );
    print('\nThese versions may be used; nothing to do. A bucket raises its index when its versioning is enabled.');
  },
});

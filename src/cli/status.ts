// `zring status`: nodes, leases, zones, moves in flight with bytes and rate.
import { defineCommand } from 'citty';
import type { ClusterStatus } from '../admin/types.ts';
import { formatBytes, formatDuration } from '../common/text.ts';
import { connectAdmin, connectionArgs } from './admin-client.ts';
import { formatTable, print, printJson } from './output.ts';

export const statusCommand = defineCommand({
  meta: { name: 'status', description: 'Nodes, leases, zones and moves in flight' },
  args: connectionArgs,
  async run({ args }) {
    const status = (await connectAdmin(args).get('/status')) as ClusterStatus;
    if (args.json) return printJson(status);
    print(describe(status));
  },
});

/** Null where there are none. */
function describeReplicas({ nodes }: ClusterStatus): string | null {
  const total = { current: 0, late: 0, unknown: 0, lagMs: 0 };
  for (const { replicas } of nodes) {
    total.current += replicas?.current ?? 0;
    total.late += replicas?.late ?? 0;
    total.unknown += replicas?.unknown ?? 0;
    total.lagMs = Math.max(total.lagMs, replicas?.lagMs ?? 0);
  }
  const { current, late, unknown, lagMs } = total;
  const wanted = current + late + unknown;
  if (wanted === 0) return null;
  if (current === wanted) return `replicas: ${wanted}, all current`;
  const behind = late > 0 ? `, ${late} late (by up to ${formatDuration(lagMs)})` : '';
  const missing = unknown > 0 ? `, ${unknown} missing or not heard of yet` : '';
  return `DEGRADED: of ${wanted} replicas ${current} are current${behind}${missing}`;
}

export function describe(status: ClusterStatus): string {
  const { coordinator } = status;
  const lines = [
    `cluster ${status.cluster}  epoch ${status.epoch}  revision ${status.revision}  (asked ${status.node})`,
    `coordinator ${coordinator.kind}: ${coordinator.available ? 'up' : 'DOWN (reads and writes go on; create, delete and move wait)'}` +
      `${coordinator.complete ? '' : '; catalog incomplete'}`,
    '',
    formatTable(
      ['NODE', 'ZONE', 'STATE', 'WEIGHT', 'LEASE', 'DATASETS', 'FREE', 'SIZE', 'S3', 'RELEASE'],
      status.nodes.map((node) => [
        node.id,
        node.zone,
        node.state,
        node.weight,
        node.leaseMs > 0 ? formatDuration(node.leaseMs) : 'none',
        node.datasets,
        formatBytes(node.freeBytes),
        formatBytes(node.totalBytes),
        node.s3,
        node.release,
      ]),
    ),
  ];
  const moves = status.nodes.flatMap((node) => node.moves);
  if (moves.length > 0) {
    const rows = moves.map((move) => [
      move.dataset,
      `${move.from} -> ${move.to}`,
      move.phase,
      formatBytes(move.bytes),
      `${formatBytes(move.bytesPerSecond)}/s`,
    ]);
    lines.push('', formatTable(['MOVING', 'FROM -> TO', 'PHASE', 'BYTES', 'RATE'], rows));
  }
  const replicas = describeReplicas(status);
  if (replicas !== null) lines.push('', replicas);
  for (const { id, storageFault } of status.nodes) {
    if (storageFault !== null) lines.push('', `node ${id}: its storage ${storageFault}; its buckets answer 503`);
  }
  for (const { bucket, fault } of status.bucketFaults ?? []) {
    lines.push('', `bucket ${bucket} on node ${status.node} answers 503: ${fault}; see zring snapshot list ${bucket}`);
  }
  if (!status.ready.ready) lines.push('', `node ${status.node} is not ready: ${status.ready.reasons.join('; ')}`);
  for (const { accessKey, fault } of status.credentials.faults) lines.push('', `credential ${accessKey}: ${fault}`);
  for (const fault of status.configFaults) lines.push('', `configuration fault: ${fault}`);
  return lines.join('\n');
}

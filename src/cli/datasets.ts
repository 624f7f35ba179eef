// `zring buckets`, `zring explain BUCKET`, `zring move BUCKET --to NODE`: where datasets live and where they should.
import { defineCommand } from 'citty';
import type { DatasetStatus } from '../admin/types.ts';
import { ZringError } from '../common/errors.ts';
import { connectAdmin, connectionArgs } from './admin-client.ts';
import { formatTable, print, printError, printJson } from './output.ts';

export const bucketsCommand = defineCommand({
  meta: { name: 'buckets', description: 'Every bucket with owner, home, term and phase' },
  args: connectionArgs,
  async run({ args }) {
    const answer = (await connectAdmin(args).get('/datasets')) as { datasets: DatasetStatus[]; complete: boolean };
    if (args.json) return printJson(answer);
    const rows = answer.datasets.map((dataset) => [
      dataset.dataset,
      dataset.owner,
      dataset.home === dataset.owner ? 'at home' : (dataset.home ?? '-'),
      dataset.pin ? 'pinned' : '',
      dataset.term,
      dataset.target ? `${dataset.phase} -> ${dataset.target}` : dataset.phase,
    ]);
    print(formatTable(['BUCKET', 'OWNER', 'HOME', 'PIN', 'TERM', 'PHASE'], rows));
    if (!answer.complete) {
      print(
        '\nThis list may lack buckets: not every node of the map has reported since the coordinator was started anew.',
      );
    }
  },
});

export const explainCommand = defineCommand({
  meta: { name: 'explain', description: 'Everything a node knows about one bucket: record, ring, its own copy' },
  args: { ...connectionArgs, bucket: { type: 'positional', required: true, description: 'Bucket name' } },
  async run({ args }) {
    const answer = await connectAdmin(args).get(`/explain/${encodeURIComponent(args.bucket)}`);
    if (args.json) printJson(answer);
    else for (const line of flatten('', answer)) print(line);
    // What is known of a name that no bucket has is worth seeing, and yet a mistake more often than not.
    if ((answer as { record: unknown }).record === null) {
      printError(new ZringError('DATASET_MISSING', `the node that was asked has no record of ${args.bucket}`));
    }
  },
});

export const moveCommand = defineCommand({
  meta: { name: 'move', description: 'Pin a bucket to a node (it moves there by zfs send), or clear the pin' },
  args: {
    ...connectionArgs,
    bucket: { type: 'positional', required: true, description: 'Bucket name' },
    to: { type: 'string', description: 'Node that shall own it', valueHint: 'node' },
    unpin: { type: 'boolean', description: 'Let the ring decide again', default: false },
  },
  async run({ args }) {
    if ((args.to === undefined) === !args.unpin) {
      throw new ZringError('CONFIG_INVALID', 'say either --to NODE or --unpin');
    }
    const answer = await connectAdmin(args).post('/move', { dataset: args.bucket, to: args.to ?? null });
    if (args.json) return printJson(answer);
    print(
      args.to
        ? `${args.bucket} is pinned to ${args.to}; follow it with: zring status`
        : `${args.bucket} follows the ring again`,
    );
  },
});

/** Nested JSON as `a.b: value` lines, so that people need no JSON tool. */
function flatten(prefix: string, value: unknown): string[] {
  if (value === null || typeof value !== 'object') return [`${prefix}: ${value === null ? '-' : String(value)}`];
  const entries = Array.isArray(value) ? value.map((item, i) => [String(i), item] as const) : Object.entries(value);
  if (entries.length === 0) return [`${prefix}: none`];
  return entries.flatMap(([name, item]) => flatten(prefix ? `${prefix}.${name}` : name, item));
}

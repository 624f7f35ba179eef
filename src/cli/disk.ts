// `zring disk show NODE` and `zring disk accept NODE`: what speaks against a node's disk (it went back in time, or is another
// than the node is known with), and an operator's word that it shall be served as it is. The node itself decides and acts.
import { defineCommand } from 'citty';
import { ZringError } from '../common/errors.ts';
import type { DiskDataset, DiskOutcome, DiskReport } from '../ownership/disk-acceptance.ts';
import { connectAdmin, connectionArgs } from './admin-client.ts';
import { formatTable, print, printJson } from './output.ts';

const { config, json } = connectionArgs;
const node = { type: 'positional', required: true, description: 'Node whose disk it is' } as const;

const show = defineCommand({
  meta: { name: 'show', description: "What speaks against a node's disk, and what accepting it would mean" },
  args: { config, json, node },
  async run({ args }) {
    const report = (await connectAdmin(args).get('/disk')) as DiskReport;
    if (args.json) printJson(report);
    else print(formatDisk(report));
  },
});

const accept = defineCommand({
  meta: { name: 'accept', description: "Serve a node's disk as it is; what it lacks is lost" },
  args: {
    config,
    json,
    node,
    'accept-loss': {
      type: 'boolean',
      description: 'Yes: what was acknowledged and is not on this disk is given up',
      default: false,
    },
    'even-unheard': {
      type: 'boolean',
      description: 'Although nodes that may own some of it have not reported since the coordinator lost its records',
      default: false,
    },
  },
  async run({ args }) {
    const admin = connectAdmin(args);
    if (!args['accept-loss']) {
      print(formatDisk((await admin.get('/disk')) as DiskReport));
      throw new ZringError('CONFIG_REFUSED', 'nothing was changed; to accept this, add --accept-loss');
    }
    const accepted = { acceptLoss: true, evenUnheard: args['even-unheard'] };
    const once = { once: true, look: `zring disk show ${args.node}` } as const;
    const report = (await admin.post('/disk', accepted, once)) as DiskReport;
    if (args.json) printJson(report);
    else print(formatAccepted(report));
  },
});

export const diskCommand = defineCommand({
  meta: { name: 'disk', description: "A node's disk that went back in time, or is another" },
  subCommands: { show, accept },
});

const MEANING: Record<DiskOutcome, string> = {
  accepted: 'served as it is, above the record',
  'set-aside': 'set aside: owned elsewhere, or deleted',
  asked: 'promised: the other node has the word',
  refused: 'its taking over is refused; the node that promised goes on',
  conflict: 'untouched: the record is of another dataset of this name',
};

export function formatDisk(report: DiskReport): string {
  const lines = [report.reason ?? `nothing speaks against the disk of node ${report.node}`, ...details(report)];
  if (report.refused || report.datasets.length > 0) {
    lines.push(
      '',
      `While this stands, node ${report.node} serves ${report.refused ? 'nothing of its own' : 'none of these'}: 503.`,
      `Bring the right disk back, or give up what this one lacks: zring disk accept ${report.node} --accept-loss`,
    );
  }
  return lines.join('\n');
}

export function formatAccepted(report: DiskReport): string {
  const nothing = !report.refused && report.datasets.length === 0;
  const head = nothing
    ? `nothing spoke against the disk of node ${report.node}`
    : `the disk of node ${report.node} is accepted; the one that it replaces is an old one from now on`;
  return [head, ...details(report)].join('\n');
}

function details({ datasets, missing, unheard, node: id }: DiskReport): string[] {
  const lines: string[] = [];
  if (datasets.length > 0) {
    const row = (one: DiskDataset) => [one.dataset, one.term, recordOf(one), MEANING[one.outcome]];
    lines.push('', formatTable(['BUCKET', 'COPY', 'RECORD', 'WHEN ACCEPTED'], datasets.map(row)));
  }
  if (missing.length > 0) {
    lines.push('', `not on this disk, though the records name node ${id} (503 until a disk that holds them is back):`);
    lines.push(...missing.map((dataset) => `  ${dataset}`));
  }
  if (unheard.length > 0) {
    const nodes = unheard.join(', ');
    lines.push('', `not heard since the coordinator lost its records, and may own some of this: ${nodes}`);
  }
  return lines;
}

function recordOf({ recordTerm, recordOwner }: DiskDataset): string {
  return recordTerm === null ? '-' : `${recordTerm} of ${recordOwner}`;
}

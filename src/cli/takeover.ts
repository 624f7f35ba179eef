// `zring takeover BUCKET`: a bucket that was promised to a node which is lost for good stays at 503 until somebody gives that
// node up. Finds the copy that it was promised from; the node that has it decides and acts.
import { defineCommand } from 'citty';
import { isZringError, ZringError } from '../common/errors.ts';
import type { TakeoverLoss, TakeoverReport } from '../ownership/takeover.ts';
import { type AdminClient, connectAdmin, connectionArgs } from './admin-client.ts';
import { print, printJson } from './output.ts';

export const takeoverCommand = defineCommand({
  meta: { name: 'takeover', description: 'Take a bucket back that was promised to a node which is lost for good' },
  args: {
    ...connectionArgs,
    bucket: { type: 'positional', required: true, description: 'Bucket name' },
    'accept-loss': {
      type: 'boolean',
      description: 'Yes: what only the lost node may have acknowledged is given up',
      default: false,
    },
  },
  async run({ args }) {
    const admin = connectAdmin(args);
    const { report, path } = await findPromise(admin, args.bucket, args.node);
    if (!args['accept-loss']) {
      if (args.json) printJson(report);
      else print(formatTakeover(report));
      throw new ZringError('CONFIG_REFUSED', 'nothing was changed; to take it back, add --accept-loss');
    }
    const once = { once: true, look: `zring takeover ${args.bucket}` } as const;
    const taken = (await admin.post(path, { acceptLoss: true }, once)) as TakeoverReport;
    if (args.json) printJson(taken);
    else print(formatTaken(taken));
  },
});

interface Found {
  readonly report: TakeoverReport;
  /** Where the node that has the copy answers. */
  readonly path: string;
}

/** Every node is asked, through any: of a handover that was finished the record no longer says where it came from. */
async function findPromise(admin: AdminClient, bucket: string, only: string | undefined): Promise<Found> {
  const silent: string[] = [];
  for (const { id } of admin.config.nodes) {
    if (only !== undefined && id !== only) continue;
    const path = `/nodes/${id}/takeover/${encodeURIComponent(bucket)}`;
    try {
      return { report: (await admin.get(path)) as TakeoverReport, path };
    } catch (error) {
      if (isZringError(error, 'NODE_UNREACHABLE')) silent.push(id);
      else if (!isZringError(error, 'DATASET_MISSING')) throw error;
    }
  }
  const asked = silent.length > 0 ? `; no answer from ${silent.join(', ')}` : '';
  throw new ZringError('DATASET_MISSING', `no copy of ${bucket} is promised to another node${asked}`);
}

const MEANING: Record<TakeoverLoss, (to: string) => string> = {
  none: (to) => `The record shows that ${to} never took it over: nothing was acknowledged there, nothing is lost.`,
  possible: (to) =>
    `The coordinator has lost its data since: whether ${to} took it over and acknowledged writes is not known.`,
  certain: (to) => `${to} has taken it over: every write and deletion that it acknowledged since then is lost.`,
};

export function formatTakeover(report: TakeoverReport): string {
  const { dataset, node, promisedTo, term, refused } = report;
  return [
    `${dataset} was promised to node ${promisedTo} (term ${term}); node ${node} has the copy as of then, and serves it to nobody.`,
    recordLine(report),
    MEANING[report.loss](promisedTo),
    '',
    refused === null
      ? `Bring ${promisedTo} back, or make sure that it never comes back as it was, and give it up: zring takeover ${dataset} --accept-loss`
      : `It cannot be taken back now: ${refused}.`,
  ].join('\n');
}

export function formatTaken(report: TakeoverReport): string {
  const { dataset, node, promisedTo } = report;
  return [
    `${dataset} is served by node ${node} again; a copy on ${promisedTo} that comes back is set aside`,
    MEANING[report.loss](promisedTo),
  ].join('\n');
}

function recordLine({ recordOwner, recordTerm }: TakeoverReport): string {
  return recordOwner === null ? 'There is no record of it.' : `The record says: ${recordOwner}, at term ${recordTerm}.`;
}

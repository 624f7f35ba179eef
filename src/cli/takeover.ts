// `zring takeover BUCKET`: a bucket whose owner, or whose next owner, is lost for good stays at 503 until somebody gives that
// node up. Finds the copies that could be served; the node that has the chosen one decides and acts.
import { defineCommand } from 'citty';
import { isZringError, ZringError } from '../common/errors.ts';
import { formatDuration } from '../common/text.ts';
import type { SuccessionReport } from '../ownership/replicas/succession.ts';
import type { TakeoverLoss, TakeoverReport } from '../ownership/takeover.ts';
import { type AdminClient, connectAdmin, connectionArgs } from './admin-client.ts';
import { print, printJson } from './output.ts';

type Report = TakeoverReport | SuccessionReport;

export const takeoverCommand = defineCommand({
  meta: {
    name: 'takeover',
    description: 'Serve a bucket whose owner is lost for good from the best copy that is left',
  },
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
    const { reports, silent } = await findCopies(admin, args.bucket, args.node);
    const [best] = reports;
    if (!best) throw noCopy(args.bucket, silent);
    const unheard =
      best.kind === 'replica' && best.owner === best.node ? [] : silent.filter((node) => node !== lostBy(best));
    const others = reports.slice(1);
    if (!args['accept-loss']) {
      if (args.json) printJson({ ...best, others, silent: unheard });
      else print([formatReport(best, Date.now()), ...formatOthers(others, unheard)].join('\n'));
      throw new ZringError('CONFIG_REFUSED', 'nothing was changed; to take it over, add --accept-loss');
    }
    if (unheard.length > 0 && args.node === undefined) {
      const message = `${unheard.join(', ')} did not answer and may have a newer copy; bring that node back, or choose with --node ${best.node}`;
      throw new ZringError('CONFIG_REFUSED', message);
    }
    const against = others.find((other) => speaksAgainst(best, other));
    if (against && args.node === undefined) {
      const message = `node ${against.node} says: ${against.refused}; if that is not so, choose with --node ${best.node}`;
      throw new ZringError('CONFIG_REFUSED', message);
    }
    const once = { once: true, look: `zring takeover ${args.bucket}` } as const;
    const taken = (await admin.post(pathOf(best.node, args.bucket), { acceptLoss: true }, once)) as Report;
    if (args.json) printJson(taken);
    else print(formatTaken(taken));
  },
});

/** Where the node that has the copy answers. */
function pathOf(node: string, bucket: string): string {
  return `/nodes/${node}/takeover/${encodeURIComponent(bucket)}`;
}

interface Copies {
  /** The best one first. */
  readonly reports: readonly Report[];
  /** Nodes that did not answer, or not to this. */
  readonly silent: readonly string[];
}

/** Every node is asked, through any: the record does not say who has copies. */
async function findCopies(admin: AdminClient, bucket: string, only: string | undefined): Promise<Copies> {
  const silent: string[] = [];
  const reports: Report[] = [];
  for (const { id } of admin.config.nodes) {
    if (only !== undefined && id !== only) continue;
    try {
      reports.push((await admin.get(pathOf(id, bucket))) as Report);
    } catch (error) {
      if (!isZringError(error, 'DATASET_MISSING')) silent.push(id);
    }
  }
  return { reports: reports.sort(byWorth), silent };
}

function noCopy(bucket: string, silent: readonly string[]): ZringError {
  const asked = silent.length > 0 ? `; no answer from ${silent.join(', ')}` : '';
  return new ZringError(
    'DATASET_MISSING',
    `there is no replica of ${bucket}, and none is promised to another node${asked}`,
  );
}

/** Another replica knows the owner to be there, or is newer and cannot be taken. */
export function speaksAgainst(best: Report, other: Report): boolean {
  return best.refused === null && best.kind === 'replica' && other.kind === 'replica' && other.refused !== null;
}

/** Who is expected to be silent. */
function lostBy(report: Report): string | null {
  return report.kind === 'replica' ? report.owner : report.promisedTo;
}

/** What can be served now, then what certainly lacks nothing, then the newest. */
export function byWorth(a: Report, b: Report): number {
  return rankOf(a) - rankOf(b) || snapshotMs(b) - snapshotMs(a) || currentMs(b) - currentMs(a);
}

function rankOf(report: Report): number {
  if (report.refused !== null) return 3;
  if (report.kind === 'promise') return report.loss === 'none' ? 0 : 2;
  return 1;
}

function snapshotMs(report: Report): number {
  return report.kind === 'replica' ? report.snapshotMs : 0;
}

function currentMs(report: Report): number {
  return report.kind === 'replica' ? (report.currentMs ?? 0) : 0;
}

export function formatReport(report: Report, nowMs: number): string {
  return report.kind === 'replica' ? formatReplica(report, nowMs) : formatTakeover(report);
}

function formatOthers(reports: readonly Report[], unheard: readonly string[]): string[] {
  const silent = unheard.length > 0 ? ['', `No answer, and perhaps a newer copy: ${unheard.join(', ')}`] : [];
  if (reports.length === 0) return silent;
  const lines = reports.map((report) => {
    const what =
      report.kind === 'replica'
        ? `a replica as of ${timeOf(report.snapshotMs)}`
        : `the copy that was promised to ${report.promisedTo}`;
    return `  ${report.node}: ${what}${report.refused === null ? '' : ` (not now: ${report.refused})`}`;
  });
  return ['', 'Other copies (choose one with --node):', ...lines, ...silent];
}

export function formatReplica(report: SuccessionReport, nowMs: number): string {
  const { dataset, node, owner, term, snapshotMs, currentMs, refused } = report;
  const lost = owner ?? 'its owner';
  const since = `Lost is every write and deletion that ${lost} acknowledged since then.`;
  const known =
    currentMs === null || currentMs <= snapshotMs
      ? since
      : `Until ${timeOf(currentMs)} nothing was written after it. Lost is what ${lost} acknowledged since.`;
  return [
    `${dataset} is owned by ${owner === null ? 'a node that nobody remembers' : `node ${owner} (term ${term})`}; node ${node} has a replica of it.`,
    `It has everything until ${timeOf(snapshotMs)} (${formatDuration(Math.max(0, nowMs - snapshotMs))} ago).`,
    known,
    '',
    refused === null
      ? `Bring ${lost} back, or make sure that it never comes back as it was, and give it up: zring takeover ${dataset} --accept-loss`
      : `It cannot be taken over now: ${refused}.`,
  ].join('\n');
}

function timeOf(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');
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

export function formatTaken(report: Report): string {
  const { dataset, node } = report;
  if (report.kind === 'replica') {
    const lost = report.owner ?? 'its owner';
    return `${dataset} is served by node ${node}, as of ${timeOf(report.snapshotMs)}; a copy on ${lost} that comes back is set aside`;
  }
  const { promisedTo } = report;
  return [
    `${dataset} is served by node ${node} again; a copy on ${promisedTo} that comes back is set aside`,
    MEANING[report.loss](promisedTo),
  ].join('\n');
}

function recordLine({ recordOwner, recordTerm }: TakeoverReport): string {
  return recordOwner === null ? 'There is no record of it.' : `The record says: ${recordOwner}, at term ${recordTerm}.`;
}

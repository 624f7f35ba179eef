// One run: a cluster, a workload, the plan's faults, healing, rest, last reads, judgement. Started by campaign.ts inside
// namespaces of its own (network, mounts, pids), with one argument: RunOptions as JSON. Writes everything that is kept
// into its folder (`history.jsonl`, `faults.jsonl`, logs, `result.json`) and ends with 0 when it could write a result.
import { appendFile, copyFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { addCounts, type Counts, noCounts } from './counts.ts';
import {
  checkHistory,
  finalReads,
  openRecorder,
  startWorkload,
  type Violation,
  type Workload,
} from './history/index.ts';
import { inject } from './inject/index.ts';
import type { Injection } from './inject/injection.ts';
import { type Balancer, startBalancer } from './lab/balancer.ts';
import { run } from './lab/commands.ts';
import { CREDENTIALS } from './lab/config.ts';
import { createLab, type Lab } from './lab/lab.ts';
import { untilClean, untilSettled } from './lab/settle.ts';
import { type FaultKind, type Plan, type PlannedFault, type PlanOptions, planRun } from './plan.ts';
import { subSeed } from './random.ts';
import { createBuckets } from './run-buckets.ts';
import type { RunResult } from './verdict.ts';

export interface RunOptions extends PlanOptions {
  readonly folder: string;
  /** The built program's main file. */
  readonly main: string;
  readonly zfsProgram: string;
  readonly ratePerSecond: number;
  /** For coming to rest, and for the janitors; default: what a machine that does nothing else needs at most. */
  readonly patienceMs?: number;
}

const SETTLE_MS = 120_000;
const FINAL_READS_MS = 180_000;
/** The janitor's round, and what its retention keeps. */
const CLEAN_MS = 90_000;
const DUMP_EVERY_MS = 4_000;
const DUMPS_MAX = 20;
const TRIES_MAX = 6;
const TRACK_EVERY_MS = 300;
/** Snapshots keep what was overwritten, and the pools are small. */
const LARGE_BYTES_PER_SECOND = 256 * 1024;

interface Stage {
  readonly plan: Plan;
  readonly lab: Lab;
  readonly buckets: readonly string[];
  readonly folder: string;
}

/** What happened in the part with faults. */
class Tally {
  counts: Counts = noCounts();
  readonly faults: Partial<Record<FaultKind, { planned: number; fired: number }>> = {};
  readonly missed: string[] = [];

  add({ fault }: PlannedFault, injection: Injection): void {
    const kind = this.faults[fault.kind] ?? { planned: 0, fired: 0 };
    this.faults[fault.kind] = { planned: kind.planned + 1, fired: kind.fired + (injection.fired ? 1 : 0) };
    if (injection.fired) this.counts = addCounts(this.counts, injection.counts);
    else this.missed.push(`${fault.kind}: ${injection.note}`);
  }
}

async function injectAll({ plan, lab, buckets, folder }: Stage, tally: Tally): Promise<void> {
  const dumps: { file: string; atMs: number }[] = [];
  const ended = new AbortController();
  const keeping = keepDumps(lab, dumps, ended.signal);
  const log = (entry: object) => appendFile(join(folder, 'faults.jsonl'), `${JSON.stringify(entry)}\n`);
  try {
    for (const [w, wave] of plan.waves.entries()) {
      const injections = wave.map(async (planned, i) => {
        const id = `${w}-${i}`;
        await delay(planned.afterMs);
        const fromMs = performance.now();
        let injection = await inject(planned.fault, { lab, buckets, id, dumps: () => dumps });
        // What the plan asks for has to happen; a moment later the cluster may be fit for it.
        for (let again = 1; !injection.fired && again < TRIES_MAX; again += 1) {
          injection = await inject(planned.fault, { lab, buckets, id: `${id}-again-${again}`, dumps: () => dumps });
        }
        tally.add(planned, injection);
        await log({ id, fault: planned.fault, fromMs, toMs: performance.now(), ...injection });
      });
      // All of them are over before a fault of the harness itself is passed on.
      for (const outcome of await Promise.allSettled(injections))
        if (outcome.status === 'rejected') throw outcome.reason;
    }
  } finally {
    ended.abort();
    await keeping;
  }
}

/** For restores of old dumps. A Redis that cannot be asked gives none. */
async function keepDumps(lab: Lab, dumps: { file: string; atMs: number }[], ended: AbortSignal): Promise<void> {
  while (!ended.aborted) {
    const file = await lab.redis.dump().catch(() => null);
    if (file !== null) dumps.push({ file, atMs: performance.now() });
    if (dumps.length > DUMPS_MAX) dumps.splice(1, 1);
    await delay(DUMP_EVERY_MS, null, { signal: ended }).catch(() => {});
  }
}

/** A move is a dataset that has another owner than when it was last looked at. Two moves between two looks count once. */
async function countMoves(lab: Lab, tally: Tally, ended: AbortSignal): Promise<void> {
  const owners = new Map<string, { owner: string; term: number }>();
  while (!ended.aborted) {
    for (const { id, owner, term, phase } of (await lab.datasets()) ?? []) {
      const known = owners.get(id);
      const n = Number.parseInt(term, 10);
      // An answer of a node that is behind is no move back.
      if (known && n <= known.term) continue;
      if (known && known.owner !== owner && phase !== 'deleted') tally.counts = addCounts(tally.counts, { moves: 1 });
      owners.set(id, { owner, term: n });
    }
    await delay(TRACK_EVERY_MS, null, { signal: ended }).catch(() => {});
  }
}

async function runOnce(options: RunOptions): Promise<RunResult> {
  const { folder, seed, profile } = options;
  const startedMs = performance.now();
  const plan = planRun(options);
  const { settings } = plan;
  await writeFile(join(folder, 'plan.json'), JSON.stringify(plan, null, 1));
  const buckets = Array.from({ length: settings.buckets }, (_, i) => `bucket-${i}`);
  const work = join(folder, 'work');
  const logFolder = join(folder, 'logs');
  for (const made of [work, logFolder]) await mkdir(made);
  // In memory, and gone with the namespace: what is killed here is never the kernel, so nothing less is shown.
  await run('mount', '-t', 'tmpfs', 'tmpfs', work);

  const { operations, record, close } = openRecorder(join(folder, 'history.jsonl'));
  const tally = new Tally();
  const loadEnded = new AbortController();
  let [lab, workload, balancer]: [Lab | null, Workload | null, Balancer | null] = [null, null, null];
  let [faultSeconds, error]: [number, string | null] = [0, null];
  let [unsettled, leftovers]: [string[], string[]] = [[], []];
  try {
    lab = await createLab({ folder: work, logFolder, settings, main: options.main, zfsProgram: options.zfsProgram });
    await createBuckets(lab, buckets);
    const { url } = lab;
    balancer = startBalancer(lab);
    const { nodes } = balancer;
    const clientOptions = {
      endpoints: () => nodes().map((node) => ({ node: node.id, url: url(node) })),
      credentials: CREDENTIALS,
      buckets,
      seed: subSeed(seed, 'workload'),
      clients: settings.clients,
      record,
    };
    workload = startWorkload({
      ...clientOptions,
      deletingBuckets: settings.deletingBuckets,
      largeBytesPerSecond: LARGE_BYTES_PER_SECOND,
      ratePerSecond: options.ratePerSecond,
    });
    const counting = countMoves(lab, tally, loadEnded.signal);
    const faultsFromMs = performance.now();
    await injectAll({ plan, lab, buckets, folder }, tally);
    faultSeconds = (performance.now() - faultsFromMs) / 1000;
    // Requests go on: in lazy mode it is they that bring a dataset home.
    unsettled = await untilSettled(lab, buckets, options.patienceMs ?? SETTLE_MS);
    loadEnded.abort();
    await counting;
    await workload.stop();
    await finalReads({ ...clientOptions, patienceMs: options.patienceMs ?? FINAL_READS_MS });
    leftovers = await untilClean(lab, options.patienceMs ?? CLEAN_MS);
  } catch (failure) {
    error = failure instanceof Error ? (failure.stack ?? failure.message) : String(failure);
    loadEnded.abort();
    await workload?.stop().catch(() => {});
  }
  balancer?.stop();
  const endedAlone = lab?.nodes.reduce((sum, node) => sum + node.endedAlone, 0) ?? 0;
  await copyFile(join(work, 'cuts', 'fired'), join(folder, 'cuts')).catch(() => {});
  for (const { id } of lab?.nodes ?? []) {
    await copyFile(join(work, id, 'zfs-fuse.log'), join(logFolder, `zfs-fuse-${id}.log`)).catch(() => {});
  }
  await lab?.close();
  await close();

  const checked = checkHistory(operations);
  const outcomes = { ok: 0, failed: 0, unknown: 0 };
  for (const { outcome } of operations) outcomes[outcome] += 1;
  return {
    seed,
    profile,
    startedAt: new Date(Date.now() - (performance.now() - startedMs)).toISOString(),
    seconds: (performance.now() - startedMs) / 1000,
    faultSeconds,
    faults: tally.faults,
    missed: tally.missed,
    counts: tally.counts,
    operations: outcomes,
    checkedOperations: checked.operations,
    violations: checked.violations.filter((violation) => !isOfChecker(violation)).map(violationText),
    undecided: checked.violations.filter(isOfChecker).map(violationText),
    acknowledgedLost: checked.acknowledgedLost,
    false404: checked.false404,
    unsettled,
    leftovers,
    endedAlone,
    error,
    folder,
  };
}

/** The checker's own trouble: it makes a run void, not failed. */
function isOfChecker({ kind }: Violation): boolean {
  return kind === 'undecided' || kind === 'history-malformed';
}

function violationText({ kind, bucket, key, explanation }: Violation): string {
  return `${kind} ${bucket}/${key ?? ''}: ${explanation}`;
}

const options = JSON.parse(process.argv[2] ?? '{}') as RunOptions;
const result = await runOnce(options);
await writeFile(join(options.folder, 'result.json'), JSON.stringify(result, null, 1));
process.exit(0);

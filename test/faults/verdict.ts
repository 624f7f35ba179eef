// What a run is worth. Pure. A run fails by what was seen; it is void, not passed, when too little happened to see
// anything: load below the floor, a planned fault that did not fire, too many outcomes that nobody knows.
import { addCounts, type CountName, type Counts, noCounts } from './counts.ts';
import type { FaultKind, Profile } from './plan.ts';

export type Verdict = 'PASSED' | 'FAILED' | 'VOID';

export interface RunResult {
  readonly seed: number;
  readonly profile: Profile;
  readonly startedAt: string;
  /** Of the whole run, and of the part in which faults were injected. */
  readonly seconds: number;
  readonly faultSeconds: number;
  readonly faults: Partial<Record<FaultKind, { readonly planned: number; readonly fired: number }>>;
  /** Planned faults that did not fire, with the reason. */
  readonly missed: readonly string[];
  readonly counts: Counts;
  readonly operations: { readonly ok: number; readonly failed: number; readonly unknown: number };
  readonly checkedOperations: number;
  readonly violations: readonly string[];
  /** What the checker could not decide. */
  readonly undecided: readonly string[];
  readonly acknowledgedLost: number;
  readonly false404: number;
  /** What did not come to rest. */
  readonly unsettled: readonly string[];
  readonly leftovers: readonly string[];
  /** Processes that ended without being killed; expected where their storage was taken away, not elsewhere. */
  readonly endedAlone: number;
  /** The harness itself could not go on. */
  readonly error: string | null;
  readonly folder: string;
}

export interface Floors {
  /** Operations that were answered as asked, per second of the part with faults. */
  readonly okPerSecondMin: number;
  readonly operationsMin: number;
  /** Of all operations. */
  readonly unknownShareMax: number;
}

export const FLOORS: Floors = { okPerSecondMin: 8, operationsMin: 300, unknownShareMax: 0.25 };

export interface Judgement {
  readonly verdict: Verdict;
  readonly reasons: readonly string[];
}

export function judge(run: RunResult, floors: Floors = FLOORS): Judgement {
  const failures = [
    ...(run.violations.length > 0 ? [`${run.violations.length} violations`] : []),
    ...(run.acknowledgedLost > 0 ? [`${run.acknowledgedLost} acknowledged writes lost`] : []),
    ...(run.false404 > 0 ? [`${run.false404} false 404s`] : []),
    ...(run.unsettled.length > 0 ? [`not settled: ${run.unsettled.join('; ')}`] : []),
    ...(run.leftovers.length > 0 ? [`left over: ${run.leftovers.join(', ')}`] : []),
  ];
  if (failures.length > 0) return { verdict: 'FAILED', reasons: failures };
  const { ok, failed, unknown } = run.operations;
  const all = ok + failed + unknown;
  const okPerSecond = run.faultSeconds > 0 ? ok / run.faultSeconds : 0;
  const voids = [
    ...(run.error === null ? [] : [`the harness stopped: ${run.error}`]),
    ...(run.undecided.length > 0 ? [`the checker could not decide ${run.undecided.length} times`] : []),
    ...run.missed.map((reason) => `did not fire: ${reason}`),
    ...(all < floors.operationsMin ? [`${all} operations, fewer than ${floors.operationsMin}`] : []),
    ...(okPerSecond < floors.okPerSecondMin
      ? [`${okPerSecond.toFixed(1)} operations a second succeeded, fewer than ${floors.okPerSecondMin}`]
      : []),
    ...(all > 0 && unknown / all > floors.unknownShareMax
      ? [`the outcome of ${unknown} of ${all} operations is unknown`]
      : []),
    ...(run.error === null && run.checkedOperations < all
      ? [`only ${run.checkedOperations} of ${all} were checked`]
      : []),
  ];
  return voids.length > 0 ? { verdict: 'VOID', reasons: voids } : { verdict: 'PASSED', reasons: [] };
}

/** A run that left no result: it counts for nothing, and says why. */
export function brokenRun(run: Pick<RunResult, 'seed' | 'profile' | 'folder'>, error: string): RunResult {
  return {
    ...run,
    startedAt: '',
    seconds: 0,
    faultSeconds: 0,
    faults: {},
    missed: [],
    counts: noCounts(),
    operations: { ok: 0, failed: 0, unknown: 0 },
    checkedOperations: 0,
    violations: [],
    undecided: [],
    acknowledgedLost: 0,
    false404: 0,
    unsettled: [],
    leftovers: [],
    endedAlone: 0,
    error,
  };
}

export interface CampaignResult {
  readonly seed: number;
  /** Of the program under test; with `-dirty` when it was built from a tree that no commit has. */
  readonly commit: string;
  readonly startedAt: string;
  readonly minutes: number;
  readonly profiles: readonly Profile[];
  readonly clusters: number;
  readonly runs: readonly RunResult[];
}

export interface CampaignSum {
  readonly passed: number;
  readonly failed: number;
  readonly void: number;
  /** Of runs that are not void: what is summed must have been seen. */
  readonly counts: Counts;
  readonly checkedOperations: number;
  readonly operations: { readonly ok: number; readonly failed: number; readonly unknown: number };
  readonly violations: number;
  readonly acknowledgedLost: number;
  readonly false404: number;
  readonly verdict: Verdict;
  /** Counts that a full campaign asks for and this one has not. */
  readonly below: readonly string[];
}

/** What a full campaign has to reach, summed over runs that are not void. */
export const BAR: Partial<Record<CountName, number>> & { readonly checkedOperations: number } = {
  nodeKills: 300,
  powerCuts: 200,
  redisFaults: 100,
  partitions: 100,
  zombies: 200,
  cutStreams: 500,
  moves: 300,
  checkedOperations: 200_000,
};

export function sumCampaign(runs: readonly RunResult[]): CampaignSum {
  const judged = runs.map((run) => ({ run, ...judge(run) }));
  const counted = judged.filter(({ verdict }) => verdict !== 'VOID').map(({ run }) => run);
  const total = (of: (run: RunResult) => number) => counted.reduce((sum, run) => sum + of(run), 0);
  const counts = counted.reduce((sum, run) => addCounts(sum, run.counts), noCounts());
  const checkedOperations = total((run) => run.checkedOperations);
  const number = (verdict: Verdict) => judged.filter((one) => one.verdict === verdict).length;
  const below = Object.entries(BAR).flatMap(([name, least]) => {
    const reached = name === 'checkedOperations' ? checkedOperations : counts[name as CountName];
    return reached < least ? [`${name} ${reached} of ${least}`] : [];
  });
  const verdict = number('FAILED') > 0 ? 'FAILED' : number('PASSED') === 0 ? 'VOID' : 'PASSED';
  return {
    passed: number('PASSED'),
    failed: number('FAILED'),
    void: number('VOID'),
    counts,
    checkedOperations,
    operations: {
      ok: total((run) => run.operations.ok),
      failed: total((run) => run.operations.failed),
      unknown: total((run) => run.operations.unknown),
    },
    violations: total((run) => run.violations.length),
    acknowledgedLost: total((run) => run.acknowledgedLost),
    false404: total((run) => run.false404),
    verdict,
    below,
  };
}

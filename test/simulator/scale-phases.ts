// The life of a cluster in phases, each counted by itself: cold start before an empty coordinator, quiet, steady change, a
// map change, a flushed coordinator, a lost connection, a restart of everything.
import { ScaleCluster, type ScaleOptions } from './scale-cluster.ts';
import type { PhaseCounts } from './scale-meter.ts';

export interface PhaseResult {
  readonly options: ScaleOptions;
  readonly counts: PhaseCounts;
  /** Virtual seconds until everything was as it should be; null = not within the time given, or not asked. */
  readonly settledS: number | null;
  /** Datasets that had to move. */
  readonly moving: number;
  /** Real milliseconds of work per virtual second, of the busiest node that keeps the whole catalog. */
  readonly busyMs: number;
  readonly failures: Readonly<Record<string, number>>;
}

export const PHASES = [
  'cold start, empty',
  'quiet',
  'changes',
  'map change',
  'flush',
  'reconnection',
  'restart',
] as const;

/** Changes per second in the whole cluster: half of them creations, half moves. */
const CHANGES_PER_SECOND = 10;
const QUIET_MS = 30_000;
const START_WITHIN_MS = 5_000;
const ROLL_OUT_MS = 10_000;
const OUTAGE_MS = 5_000;
const RECONNECT_WITHIN_MS = 500;
const PATIENCE_S = 900;

export async function* runPhases(options: ScaleOptions, only?: readonly string[]): AsyncGenerator<PhaseResult> {
  const cluster = new ScaleCluster(options);
  const { time, meter, coordinator } = cluster;
  const phase = async (name: string, act: () => Promise<number | null>): Promise<PhaseResult | null> => {
    meter.begin(name);
    for (const owner of time.spentMs.keys()) time.watch(owner);
    cluster.failures.clear();
    const settledS = await act();
    const counts = meter.end();
    const busyMs = Math.max(0, ...time.spentMs.values()) / counts.seconds;
    const moving = cluster.moving;
    cluster.moving = 0;
    const failures = Object.fromEntries(cluster.failures);
    return only && !only.includes(name) ? null : { options, counts, settledS, moving, busyMs, failures };
  };
  const results = [
    () =>
      phase('cold start, empty', async () => {
        cluster.start(options.nodes, START_WITHIN_MS);
        return cluster.until(() => cluster.isComplete(), PATIENCE_S);
      }),
    () =>
      phase('quiet', async () => {
        await time.run(QUIET_MS);
        return null;
      }),
    () =>
      phase('changes', async () => {
        changeAllTheTime(cluster, QUIET_MS);
        await time.run(QUIET_MS);
        return null;
      }),
    () =>
      phase('map change', async () => {
        await cluster.until(() => cluster.awayFromHome() === 0, PATIENCE_S, 5_000);
        meter.begin('map change');
        for (const owner of time.spentMs.keys()) time.watch(owner);
        cluster.reconfigure(ROLL_OUT_MS);
        cluster.moving = cluster.awayFromHome();
        return cluster.until(() => cluster.isSettled(), PATIENCE_S * 10, 1_000);
      }),
    () =>
      phase('flush', async () => {
        coordinator.flush();
        await time.run(1);
        return cluster.until(() => cluster.isComplete(), PATIENCE_S);
      }),
    () =>
      phase('reconnection', async () => {
        coordinator.setAvailable(false, 0, cluster.fraction);
        await time.run(OUTAGE_MS);
        coordinator.setAvailable(true, RECONNECT_WITHIN_MS, cluster.fraction);
        await time.run(QUIET_MS);
        return null;
      }),
    () =>
      phase('restart', async () => {
        await cluster.kill();
        cluster.start(options.nodes + 1, START_WITHIN_MS);
        return cluster.until(() => cluster.isComplete(options.nodes + 1), PATIENCE_S);
      }),
  ];
  for (const next of results) {
    const result = await next();
    if (result) yield result;
  }
}

function changeAllTheTime(cluster: ScaleCluster, forMs: number): void {
  const count = (forMs / 1000) * CHANGES_PER_SECOND;
  for (let i = 0; i < count; i++) {
    cluster.time.after((i * 1000) / CHANGES_PER_SECOND, () => {
      if (i % 2 === 0) cluster.create(`new-${String(i).padStart(7, '0')}`);
      else cluster.move(`d-${String((i * 7919) % cluster.options.datasets).padStart(7, '0')}`);
    });
  }
}

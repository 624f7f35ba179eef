// Carries out the lifecycle rules of the datasets that this node owns, in the background. Owns the schedule (in memory:
// whom to look at when) and the pace; a pass is sweep.ts, what is due decide.ts.
//
//   unknown ──look──▶ no rules ──a day later, or rules are put──▶ look
//                └──▶ rules ──pass, batch by batch──▶ waits an eighth of a day ──▶ next pass
//   not owned here any more: forgotten. Busy: the same batch later. Failed: the next pass.
// Each turn does one batch of a pass and one look, each the one that has waited longest, so nothing starves.
import type { Clock } from '../../common/clock.ts';
import { type ErrorCode, isZringError } from '../../common/errors.ts';
import type { DatasetAccess } from '../../ownership/access.ts';
import type { Logger } from '../../telemetry/log.ts';
import type { Metrics } from '../../telemetry/metrics.ts';
import type { Outcome } from './changes.ts';
import { LIFECYCLE_LIMITS, type LifecycleLimits, passEveryMs } from './limits.ts';
import { type Step, Sweep } from './sweep.ts';

export interface LifecycleWorkerDeps {
  readonly self: string;
  readonly access: DatasetAccess;
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly log: Logger;
  /** Live: length of a day of the rules. */
  readonly dayMs: () => number;
  readonly limits?: Partial<LifecycleLimits>;
  /** Resolves after so long, or when the signal is aborted. */
  readonly pause?: (ms: number, signal: AbortSignal) => Promise<void>;
}

export interface LifecycleStatus {
  /** null: not looked at yet. */
  readonly rules: boolean | null;
  readonly passing: boolean;
  readonly lastPassMs: number | null;
}

export interface LifecycleWorker {
  start(): void;
  /** Ends the batch that has begun. Idempotent. */
  stop(): Promise<void>;
  /** The rules of a dataset were put or taken away here. */
  changed(dataset: string): void;
  /** null: not owned here. */
  status(dataset: string): LifecycleStatus | null;
  /** Everything once, due or not; for tests, instead of `start`. */
  runPass(): Promise<void>;
}

interface Watched {
  readonly dataset: string;
  /** null: the rules changed before it was seen in the records. */
  id: string | null;
  rules: boolean | null;
  /** Monotonic. */
  nextMs: number;
  sweep: Sweep | null;
  startedMs: number;
  lastPassMs: number | null;
}

/** Another node's now, or nobody's. */
const GONE: readonly ErrorCode[] = ['NOT_OWNER', 'DATASET_MISSING'];
/** For the moment. */
const BUSY: readonly ErrorCode[] = [
  'ABORTED',
  'CATALOG_INCOMPLETE',
  'DATASET_BUSY',
  'DATASET_UNAVAILABLE',
  'NODE_ID_TAKEN',
  'SHUTTING_DOWN',
  'TERM_REFUSED',
];

export function createLifecycleWorker(deps: LifecycleWorkerDeps): LifecycleWorker {
  return new Worker(deps);
}

class Worker implements LifecycleWorker {
  readonly #deps: LifecycleWorkerDeps;
  readonly #limits: LifecycleLimits;
  readonly #watched = new Map<string, Watched>();
  readonly #stopping = new AbortController();
  #discoveredMs = Number.NEGATIVE_INFINITY;
  #lookedMs = Number.NEGATIVE_INFINITY;
  #wake: AbortController | null = null;
  /** Rules changed since the last sleep. */
  #nudged = false;
  #running: Promise<void> | null = null;

  constructor(deps: LifecycleWorkerDeps) {
    this.#deps = deps;
    this.#limits = { ...LIFECYCLE_LIMITS, ...deps.limits };
    deps.metrics.onCollect(() => {
      deps.metrics.lifecycleBuckets.set([...this.#watched.values()].filter(({ rules }) => rules).length);
    });
  }

  start(): void {
    this.#running ??= this.#run();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#wake?.abort();
    await this.#running;
  }

  changed(dataset: string): void {
    const known = this.#watched.get(dataset);
    // A new object: a batch under way reports to the old one.
    const fresh = this.#unknown(dataset, known?.id ?? null);
    this.#watched.set(dataset, { ...fresh, rules: true, lastPassMs: known?.lastPassMs ?? null });
    this.#nudged = true;
    this.#wake?.abort();
  }

  status(dataset: string): LifecycleStatus | null {
    const one = this.#watched.get(dataset);
    return one ? { rules: one.rules, passing: one.sweep !== null, lastPassMs: one.lastPassMs } : null;
  }

  async runPass(): Promise<void> {
    this.#discoveredMs = Number.NEGATIVE_INFINITY;
    this.#discover();
    const all = [...this.#watched.values()];
    for (const one of all) {
      // A look that finds rules is a batch of their pass already.
      do await this.#step(one);
      while (one.sweep && one.nextMs <= this.#nowMs());
    }
  }

  #nowMs(): number {
    return this.#deps.clock.monotonicMs();
  }

  /** Its turn comes after a while: a node that has just started, or rules that are a mistake, get a moment. */
  #unknown(dataset: string, id: string | null): Watched {
    const nextMs = this.#nowMs() + Math.min(this.#limits.settleMs, this.#passEveryMs());
    return { dataset, id, rules: null, nextMs, sweep: null, startedMs: Number.NEGATIVE_INFINITY, lastPassMs: null };
  }

  // --- schedule ---------------------------------------------------------------------------------------------------

  async #run(): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      try {
        this.#discover();
        const waitMs = await this.#turn();
        if (waitMs > 0) await this.#sleep(waitMs);
      } catch (error) {
        this.#deps.log.error({ err: error }, 'lifecycle: a turn failed');
        await this.#sleep(this.#limits.retryMs);
      }
    }
  }

  /** What this node owns now, by its own records: added to and taken from what is watched. */
  #discover(): void {
    const { access, self } = this.#deps;
    const nowMs = this.#nowMs();
    if (nowMs - this.#discoveredMs < this.#discoverEveryMs()) return;
    this.#discoveredMs = nowMs;
    const owned = new Map(
      access.records().records.flatMap(({ dataset, id, owner }) => (owner === self ? [[dataset, id] as const] : [])),
    );
    for (const one of this.#watched.values()) {
      if (!owned.has(one.dataset) || (one.id !== null && owned.get(one.dataset) !== one.id)) this.#forget(one);
    }
    for (const [dataset, id] of owned) {
      const known = this.#watched.get(dataset);
      if (known) known.id = id;
      else this.#watched.set(dataset, this.#unknown(dataset, id));
    }
  }

  #forget(one: Watched): void {
    if (this.#watched.get(one.dataset) === one) this.#watched.delete(one.dataset);
    if (one.rules && one.sweep) this.#deps.metrics.lifecyclePasses.inc({ outcome: 'moved' });
    one.sweep = null;
  }

  #discoverEveryMs(): number {
    return Math.min(this.#limits.discoverMs, this.#passEveryMs());
  }

  #passEveryMs(): number {
    return passEveryMs(this.#limits, this.#deps.dayMs());
  }

  /** One batch and one look; returns how long there is nothing to do. */
  async #turn(): Promise<number> {
    const pass = this.#longestWaiting((one) => one.rules === true);
    if (pass && pass.nextMs <= this.#nowMs()) await this.#step(pass);
    const look = this.#longestWaiting((one) => one.rules !== true);
    const lookAtMs = Math.max(
      look?.nextMs ?? Number.POSITIVE_INFINITY,
      this.#lookedMs + 1000 / this.#limits.looksPerSecond,
    );
    if (look && lookAtMs <= this.#nowMs() && !this.#stopping.signal.aborted) {
      this.#lookedMs = this.#nowMs();
      await this.#step(look);
      return 0;
    }
    const passAtMs = this.#longestWaiting((one) => one.rules === true)?.nextMs ?? Number.POSITIVE_INFINITY;
    const discoverAtMs = this.#discoveredMs + this.#discoverEveryMs();
    return Math.min(passAtMs, look ? lookAtMs : Number.POSITIVE_INFINITY, discoverAtMs) - this.#nowMs();
  }

  #longestWaiting(among: (one: Watched) => boolean): Watched | null {
    let found: Watched | null = null;
    for (const one of this.#watched.values()) if (among(one) && (!found || one.nextMs < found.nextMs)) found = one;
    return found;
  }

  async #sleep(ms: number): Promise<void> {
    const nudged = this.#nudged;
    this.#nudged = false;
    if (nudged || this.#stopping.signal.aborted) return;
    this.#wake = new AbortController();
    await (this.#deps.pause ?? pause)(ms, this.#wake.signal);
    this.#wake = null;
  }

  // --- one batch --------------------------------------------------------------------------------------------------

  async #step(one: Watched): Promise<void> {
    const { access, clock, dayMs } = this.#deps;
    const beganMs = this.#nowMs();
    if (!one.sweep) {
      one.startedMs = beganMs;
      one.sweep = new Sweep({
        access,
        dataset: one.dataset,
        limits: this.#limits,
        timing: () => ({ nowMs: clock.wallMs(), dayMs: dayMs() }),
        onOutcome: (outcome) => this.#count(outcome),
      });
    }
    try {
      const step = await one.sweep.step();
      this.#took(one, step);
      await this.#pace(step, beganMs);
    } catch (error) {
      this.#failed(one, error);
    }
  }

  #took(one: Watched, { state }: Step): void {
    const nowMs = this.#nowMs();
    one.rules = state !== 'no-rules';
    one.nextMs = nowMs;
    if (state === 'more') return;
    one.sweep = null;
    if (state === 'no-rules') {
      one.nextMs = nowMs + this.#limits.lookAgainMs;
      return;
    }
    const everyMs = this.#passEveryMs();
    one.nextMs = Math.max(one.startedMs + everyMs, nowMs + Math.min(everyMs, this.#limits.passEveryMsMin));
    one.lastPassMs = this.#deps.clock.wallMs();
    this.#deps.metrics.lifecyclePasses.inc({ outcome: 'done' });
    this.#deps.metrics.lifecycleLastPass.set(one.lastPassMs / 1000);
  }

  #failed(one: Watched, error: unknown): void {
    const { metrics, log } = this.#deps;
    const code = isZringError(error) ? error.code : null;
    if (code && GONE.includes(code)) {
      this.#forget(one);
      return;
    }
    const retryMs = Math.min(this.#limits.retryMs, this.#passEveryMs());
    if (code && BUSY.includes(code)) {
      one.nextMs = this.#nowMs() + retryMs;
      return;
    }
    metrics.lifecyclePasses.inc({ outcome: 'failed' });
    log.warn({ err: error, dataset: one.dataset }, 'lifecycle: a pass failed; the next one begins again');
    one.sweep = null;
    one.nextMs = this.#nowMs() + this.#passEveryMs();
  }

  /** Room for requests: as long as the batch may take at the pace that is allowed, and as long as it took if that was longer. */
  async #pace({ looked, tried }: Step, beganMs: number): Promise<void> {
    const { versionsPerSecond, changesPerSecond } = this.#limits;
    const mayTakeMs = Math.max(looked / versionsPerSecond, tried / changesPerSecond) * 1000;
    const tookMs = this.#nowMs() - beganMs;
    const leftMs = Math.max(mayTakeMs - tookMs, tookMs);
    if (leftMs > 0 && !this.#stopping.signal.aborted) {
      await (this.#deps.pause ?? pause)(leftMs, this.#stopping.signal);
    }
  }

  #count(outcome: Outcome): void {
    const { metrics } = this.#deps;
    if ('kept' in outcome) {
      metrics.lifecycleKept.inc({ reason: outcome.kept });
      return;
    }
    metrics.lifecycleChanges.inc({ action: outcome.changed });
    metrics.lifecycleRemovedBytes.inc(outcome.bytes);
  }
}

/** Does not keep the process alive. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) {
      resolve();
      return;
    }
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, Math.min(ms, 2 ** 31 - 1));
    timer.unref();
    signal.addEventListener('abort', done);
  });
}

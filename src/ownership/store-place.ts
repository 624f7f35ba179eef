// A dataset that was unmounted, mounted anew or made read-only behind the back of its open store: noticed when it is used,
// or polled, and mended by closing the store; the next request opens it as ever, under a new term. Owns, for each runner,
// how often that was done: what goes wrong again at once is tried more and more rarely, and said.
import type { Clock } from '../common/clock.ts';
import { type ErrorCode, ZringError } from '../common/errors.ts';
import type { DatasetRunner } from './runner.ts';

/** Between two looks at one dataset, however busy it is: each is a question to the file system. */
const LOOK_EVERY_MS = 1_000;
/** After the second attempt in a row; doubles from there. */
const REST_FIRST_MS = 1_000;
const REST_MAX_MS = 10_000;
/** So long without a fault, and the next one is the first again. */
const CALM_MS = 120_000;

/** After such a closing: a mount that was detached by force ends some time after the last of its files is closed. */
const SETTLE_MS = 3_000;
const CHANGED = 'the dataset changed beneath its open store: move it away and back, or start this node again';
/** For those who are inside, before they are cut. */
const DRAIN_MS = 300;

/** Openings that fail for these are worth waiting with; others have a reason in the machine, or pass at once. */
const OF_STORAGE: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'MOUNT_INVALID',
  'STORAGE_UNAVAILABLE',
  'STORAGE_PERMISSION',
  'STORAGE_CORRUPT',
  'DATASET_BUSY',
]);

/** Of the dataset itself: waiting does not mend them, going back to a snapshot may. */
const OF_DAMAGE: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['STORAGE_CORRUPT', 'MOUNT_INVALID']);

/** Attempts at one thing: the first two at once, then ever rarer. */
class Attempts {
  #count = 0;
  #lastMs = Number.NEGATIVE_INFINITY;
  #restMs = 0;

  mayTry(nowMs: number): boolean {
    return nowMs - this.#lastMs >= this.#restMs;
  }

  note(nowMs: number): void {
    this.#count = nowMs - this.#lastMs > CALM_MS ? 1 : this.#count + 1;
    this.#lastMs = nowMs;
    this.#restMs = this.#count < 2 ? 0 : Math.min(REST_MAX_MS, REST_FIRST_MS * 2 ** (this.#count - 2));
  }

  rest(nowMs: number, restMs: number): void {
    this.#lastMs = nowMs;
    this.#restMs = restMs;
  }

  clear(): void {
    this.#count = 0;
    this.#restMs = 0;
  }
}

export class StorePlace {
  readonly #clock: Clock;
  readonly #closings = new Attempts();
  readonly #openings = new Attempts();
  #lookedMs = Number.NEGATIVE_INFINITY;
  #looking = false;
  #fault: string | null = null;
  #isDamaged = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Why this dataset cannot be used as it is, or could not be opened last; null = nothing is wrong. */
  get fault(): string | null {
    return this.#fault;
  }

  /** It could not be opened last because of what it holds, and not because its storage was away. */
  get isDamaged(): boolean {
    return this.#isDamaged;
  }

  /** Why it is not tried to open it now, or null. */
  refusal(dataset: string): ZringError | null {
    if (this.#fault === null || this.#openings.mayTry(this.#clock.monotonicMs())) return null;
    const advice = this.#isDamaged ? `; it may go back to a snapshot: zring snapshot list ${dataset}` : '';
    const message = `${dataset} cannot be opened: ${this.#fault}${advice}`;
    return new ZringError('STORAGE_UNAVAILABLE', message, { subject: dataset });
  }

  openingFailed(error: unknown): void {
    if (!(error instanceof ZringError) || !OF_STORAGE.has(error.code)) return;
    this.#fault = error.message;
    this.#isDamaged = OF_DAMAGE.has(error.code);
    this.#openings.note(this.#clock.monotonicMs());
  }

  /** Or made to be what can be opened: it is tried again at once. */
  opened(): void {
    this.#fault = null;
    this.#isDamaged = false;
    this.#openings.clear();
  }

  /** Asks the open store, not more often than is good for it; closes it when it is not where it was opened. */
  async look(runner: DatasetRunner): Promise<void> {
    const nowMs = this.#clock.monotonicMs();
    const { store } = runner;
    if (!store?.misplaced || this.#looking || nowMs - this.#lookedMs < LOOK_EVERY_MS) return;
    this.#looking = true;
    this.#lookedMs = nowMs;
    try {
      const fault = await store.misplaced();
      if (runner.store !== store) return;
      const isNew = fault !== null && this.#fault === null;
      this.#fault = fault;
      // zfs-fuse: after a store on a mount that was detached by force had been closed, the pool was seen to stop answering.
      // One dataset that takes no large bodies is the smaller harm; an operator is told.
      if (!runner.deps.driver.capabilities.readonlyFencesOpenFiles) {
        if (isNew) runner.deps.logger.error({ dataset: runner.dataset, reason: fault }, CHANGED);
        return;
      }
      if (fault !== null) await this.#close(runner, fault);
    } finally {
      this.#looking = false;
    }
  }

  async #close(runner: DatasetRunner, fault: string): Promise<void> {
    const { dataset, gate, deps, store } = runner;
    const nowMs = this.#clock.monotonicMs();
    if (!this.#closings.mayTry(nowMs)) return;
    // Most who are inside fail by themselves, and can be told why.
    await gate.drained(DRAIN_MS);
    // Something else is under way; the next look comes soon.
    if (runner.store !== store || runner.state.phase.at !== 'idle' || !runner.state.openTerm) return;
    this.#closings.note(nowMs);
    this.#openings.rest(this.#clock.monotonicMs(), SETTLE_MS);
    deps.logger.error({ dataset, reason: fault }, 'the dataset changed beneath its open store: it is opened again');
    const reason = `${dataset} is opened again, for ${fault}`;
    gate.abortAll(new ZringError('STORAGE_UNAVAILABLE', reason, { subject: dataset }));
    runner.dispatch({ on: 'close' });
  }
}

// One scrub of one dataset that this node owns: reads its index and each of its data files once, at a bounded rate, and has
// repaired what is damaged. Owns its progress. It holds up nobody: it is in no gate, and when the store is closed beneath it
// (for another one, or to be opened again) it goes on with the next opening.
import type { Clock } from '../../common/clock.ts';
import { ZringError } from '../../common/errors.ts';
import type { Pace, StoreUpkeep } from '../../store/types.ts';
import type { Logger } from '../../telemetry/log.ts';
import type { DatasetAccess } from '../access.ts';
import type { DatasetRunner } from '../runner.ts';
import type { RepairOutcome } from './repairs.ts';
import { FAULTS_SHOWN, type ScrubFault, type ScrubReport } from './types.ts';

const PAGE_FILES = 500;
/** What is damaged beyond it is counted and repaired, and not named. */
const FAULTS_KEPT = 10_000;

export interface ScrubDeps {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly access: Pick<DatasetAccess, 'enter'>;
  readonly pace: Pace;
  readonly repair: (runner: DatasetRunner, blob: string) => Promise<RepairOutcome>;
}

interface Fault {
  readonly blob: string | null;
  key: string | null;
  readonly reason: string;
  readonly repaired: boolean;
}

export class Scrub {
  readonly #deps: ScrubDeps;
  readonly #runner: DatasetRunner;
  /** Of the dataset: another one of the name is not what was asked for. */
  readonly #id: string;
  readonly #startedMs: number;
  readonly #faults: Fault[] = [];
  #state: ScrubReport['state'] = 'running';
  #reason: string | null = null;
  #endedMs: number | null = null;
  #filesDone = 0;
  #filesTotal = 0;
  #bytesDone = 0;
  #bytesTotal = 0;
  #damaged = 0;
  #repaired = 0;
  #indexFaults = 0;
  #running: Promise<void> = Promise.resolve();

  constructor(deps: ScrubDeps, runner: DatasetRunner) {
    this.#deps = deps;
    this.#runner = runner;
    this.#id = runner.state.copy?.id ?? '';
    this.#startedMs = deps.clock.wallMs();
  }

  get isRunning(): boolean {
    return this.#state === 'running' && this.#endedMs === null;
  }

  isOf({ state }: DatasetRunner): boolean {
    return state.copy?.id === this.#id;
  }

  start(): void {
    this.#running = this.#run();
  }

  /** Resolves when it has ended. */
  async stop(reason: string | null): Promise<void> {
    if (this.isRunning) {
      this.#state = reason === null ? 'stopped' : 'failed';
      this.#reason = reason;
    }
    await this.#running;
  }

  report(): ScrubReport {
    const sorted = [...this.#faults].sort((a, b) => Number(a.repaired) - Number(b.repaired));
    return {
      state: this.#endedMs === null ? 'running' : this.#state,
      reason: this.#reason,
      startedMs: this.#startedMs,
      endedMs: this.#endedMs,
      files: { done: this.#filesDone, total: Math.max(this.#filesDone, this.#filesTotal) },
      bytes: { done: this.#bytesDone, total: Math.max(this.#bytesDone, this.#bytesTotal) },
      damaged: this.#damaged,
      repaired: this.#repaired,
      indexFaults: this.#indexFaults,
      faults: sorted.slice(0, FAULTS_SHOWN).map((fault): ScrubFault => ({ ...fault })),
    };
  }

  async #run(): Promise<void> {
    const { clock, logger } = this.#deps;
    const { dataset } = this.#runner;
    try {
      await this.#count();
      // What cannot be read must not be touched in memory either: nothing more is looked up in such an index.
      if (await this.#index()) await this.#files();
      if (this.#state === 'running') this.#state = 'done';
    } catch (error) {
      if (this.#state === 'running') {
        this.#state = 'failed';
        this.#reason = error instanceof Error ? error.message : String(error);
      }
    }
    this.#endedMs = clock.wallMs();
    const { faults: _, ...told } = this.report();
    logger.info({ dataset, ...told }, 'scrub ended');
  }

  async #count(): Promise<void> {
    await this.#walk(({ size }) => {
      this.#filesTotal += 1;
      this.#bytesTotal += size;
    });
  }

  /** False when it cannot be read at all. */
  async #index(): Promise<boolean> {
    const counted = this.#bytesDone;
    const faults = await this.#onStore((upkeep) => {
      this.#bytesDone = counted;
      return upkeep.checkIndex(this.#pace);
    });
    this.#bytesTotal += this.#bytesDone - counted;
    this.#indexFaults = faults.length;
    for (const { key, reason } of faults) this.#note({ blob: null, key, reason, repaired: false });
    return faults.every(({ key }) => key !== null);
  }

  async #files(): Promise<void> {
    await this.#walk(async ({ id, size }) => {
      const counted = this.#bytesDone;
      const fault = await this.#onStore((upkeep) => {
        this.#bytesDone = counted;
        return upkeep.checkFile(id, this.#pace);
      });
      if (fault) await this.#repair(id, fault);
      this.#bytesDone = counted + size;
      this.#filesDone += 1;
    });
    await this.#nameFaults();
  }

  async #repair(blob: string, fault: ZringError): Promise<void> {
    const { repaired, reason } = await this.#deps.repair(this.#runner, blob);
    // Somebody else, who had read it, was faster; or its object is gone.
    if (!repaired && reason === null) return;
    this.#damaged += 1;
    if (repaired) this.#repaired += 1;
    this.#note({ blob, key: null, reason: reason ?? fault.message, repaired });
  }

  #note(fault: Fault): void {
    if (this.#faults.length < FAULTS_KEPT) this.#faults.push(fault);
  }

  async #nameFaults(): Promise<void> {
    const ids = new Set(this.#faults.flatMap(({ blob }) => (blob === null ? [] : [blob])));
    const keys = await this.#onStore((upkeep) => upkeep.keysOf(ids));
    for (const fault of this.#faults) if (fault.blob !== null) fault.key = keys.get(fault.blob) ?? null;
  }

  /** Every data file by id; each page is looked up anew, so it does not matter that stores come and go. */
  async #walk(look: (file: { id: string; size: number }) => Promise<void> | void): Promise<void> {
    for (let after = ''; ; ) {
      const page = await this.#onStore(async (upkeep) => upkeep.filesAfter(after, PAGE_FILES));
      for (const file of page) {
        this.#requireWanted();
        await look(file);
        after = file.id;
      }
      if (page.length === 0) return;
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  readonly #pace: Pace = async (bytes) => {
    this.#bytesDone += bytes;
    await this.#deps.pace(bytes);
    this.#requireWanted();
  };

  #requireWanted(): void {
    if (this.#state !== 'running') throw new ZringError('ABORTED', 'the scrub is stopped');
  }

  async #onStore<T>(task: (upkeep: StoreUpkeep) => Promise<T>): Promise<T> {
    for (;;) {
      this.#requireWanted();
      const upkeep = await this.#open();
      try {
        return await task(upkeep);
      } catch (error) {
        if (this.#runner.store?.upkeep === upkeep || this.#state !== 'running') throw error;
      }
    }
  }

  async #open(): Promise<StoreUpkeep> {
    const runner = this.#runner;
    const moved = () => new ZringError('DATASET_UNAVAILABLE', `${runner.dataset} has moved; start the scrub again`);
    const isHere = () => this.isOf(runner) && runner.state.copy?.role === 'owner' && !runner.ended;
    if (!isHere()) throw moved();
    if (!runner.store) (await this.#deps.access.enter(runner.dataset, 'read', { background: true })).release();
    const { store } = runner;
    if (!isHere() || !store) throw moved();
    if (!store.upkeep) throw new ZringError('STORAGE_UNAVAILABLE', 'this store cannot be scrubbed');
    return store.upkeep;
  }
}

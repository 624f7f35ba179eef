// Whether the storage answers at all, asked by a thread of its own (pulse-thread.ts), so that a storage that hangs is
// noticed although nothing that hangs can be given a time limit. Owns the threads and the verdict; decides nothing about
// ownership: a node whose storage is silent owns what it owns (docs/OPERATIONS.md says why that is safe).
import { getSystemErrorName } from 'node:util';
import { Worker } from 'node:worker_threads';
import type { Logger } from '../telemetry/log.ts';
import { asking, REPLACED, SHARED, type ThreadData, watching } from './pulse-thread.ts';
import {
  countWaiting,
  judgeSilence,
  judgeStall,
  SILENCE_LIMITS,
  type SilenceLimits,
  type StorageAnswer,
} from './storage-silence.ts';

/** What the layers above ask. */
export interface StoragePulse {
  readonly answer: StorageAnswer;
  /** Time without an answer, as far as it was watched. */
  readonly waitedMs: number;
  /** Why the files that this process has open are not those of the storage any more; null while they are. Stays. */
  readonly lost: string | null;
  /** Called at each change between them. @returns how to call it off. */
  onChange(listener: (answer: StorageAnswer) => void): () => void;
}

export interface RunningPulse extends StoragePulse {
  /** Rejects nothing and waits for no storage: a thread that hangs is left to its fate. */
  stop(): Promise<void>;
}

export function startStoragePulse(options: {
  readonly node: string;
  /** As configured, for what is said. */
  readonly storage: string;
  /** On the storage; a small file in it is written again and again. */
  readonly folder: string;
  readonly logger: Logger;
  readonly limits?: Partial<SilenceLimits>;
}): RunningPulse {
  return new ThreadedPulse(options);
}

class ThreadedPulse implements RunningPulse {
  readonly #logger: Logger;
  readonly #storage: string;
  readonly #limits: SilenceLimits;
  readonly #shared = new BigInt64Array(new SharedArrayBuffer(SHARED.length * 8));
  readonly #threads: Worker[];
  readonly #timer: NodeJS.Timeout;
  readonly #listeners = new Set<(answer: StorageAnswer) => void>();
  #answer: StorageAnswer = 'answering';
  #waitedMs = 0;
  #lost: string | null = null;
  #lastNs = process.hrtime.bigint();
  #answered = 0n;
  #errno = 0;

  constructor({ node, storage, folder, logger, limits }: Parameters<typeof startStoragePulse>[0]) {
    this.#logger = logger;
    this.#storage = storage;
    this.#limits = { ...SILENCE_LIMITS, ...limits };
    const facts = { node, storage, folder, replaced: REPLACED };
    const data: ThreadData = { shared: this.#shared, at: SHARED, limits: this.#limits, ...facts };
    Atomics.store(this.#shared, SHARED.turnNs, process.hrtime.bigint());
    this.#threads = [asking, watching].map((thread) => startThread(thread, data, logger));
    this.#timer = setInterval(() => this.#look(), this.#limits.lookEveryMs);
    this.#timer.unref();
  }

  get answer(): StorageAnswer {
    return this.#answer;
  }

  get waitedMs(): number {
    return this.#waitedMs;
  }

  get lost(): string | null {
    return this.#lost;
  }

  onChange(listener: (answer: StorageAnswer) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #look(): void {
    const nowNs = process.hrtime.bigint();
    const gapMs = Number((nowNs - this.#lastNs) / 1_000_000n);
    const answered = Atomics.load(this.#shared, SHARED.answered);
    const waiting = answered === this.#answered && Atomics.load(this.#shared, SHARED.asked) !== answered;
    Atomics.store(this.#shared, SHARED.turnNs, nowNs);
    this.#waitedMs = countWaiting(this.#waitedMs, gapMs, this.#limits.lookEveryMs, waiting);
    this.#lastNs = nowNs;
    this.#answered = answered;
    this.#noteRefusal(Number(Atomics.load(this.#shared, SHARED.errno)));
    const lost = Number(Atomics.load(this.#shared, SHARED.lost));
    if (lost !== 0) this.#lost ??= lossOf(lost);
    const answer = this.#lost === null ? judgeSilence(this.#waitedMs, this.#limits) : 'gone';
    if (answer !== this.#answer) this.#change(answer);
  }

  #noteRefusal(errno: number): void {
    if (errno === this.#errno) return;
    this.#errno = errno;
    const facts = { storage: this.#storage };
    if (errno === 0) this.#logger.info(facts, 'the storage takes writes again');
    else this.#logger.warn({ ...facts, error: getSystemErrorName(-errno) }, 'the storage answers, and refuses a write');
  }

  #change(answer: StorageAnswer): void {
    const before = this.#answer;
    this.#answer = answer;
    const facts = { storage: this.#storage, waitedMs: this.#waitedMs };
    if (answer === 'gone') {
      const reason = this.#lost;
      this.#logger.error(
        { ...facts, reason },
        'the storage is not the one that this process has open: nothing is served',
      );
    } else if (answer === 'silent')
      this.#logger.error(facts, 'the storage does not answer: its buckets are answered with 503');
    else if (before === 'silent') this.#logger.warn(facts, 'the storage answers again: its buckets are served again');
    for (const listener of [...this.#listeners]) listener(answer);
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    Atomics.store(this.#shared, SHARED.stop, 1n);
    Atomics.notify(this.#shared, SHARED.stop);
    const [asks, watches] = this.#threads;
    const ending = [watches, ...(this.#waitedMs > 0 ? [] : [asks])].filter((thread) => thread !== undefined);
    const all = ending.map((thread) => {
      thread.ref();
      return new Promise<void>((resolve) => thread.once('exit', () => resolve()));
    });
    await Promise.all(all);
  }
}

function lossOf(lost: number): string {
  if (lost === REPLACED) return 'something else is mounted where it was opened, or nothing';
  return `what was opened is not there any more (${getSystemErrorName(-lost)})`;
}

function startThread(thread: typeof asking | typeof watching, data: ThreadData, logger: Logger): Worker {
  // tsx names functions by a helper of its own, which their text then calls.
  const text = [
    "'use strict';",
    'const __name = (value) => value;',
    `(${thread})(require('node:worker_threads').workerData, {`,
    `  fs: require('node:fs'), countWaiting: ${countWaiting}, judgeStall: ${judgeStall},`,
    '});',
  ].join('\n');
  const worker = new Worker(text, { eval: true, workerData: data, execArgv: [], env: {} });
  worker.unref();
  worker.on('error', (error) => logger.error({ err: error }, 'the thread that watches the storage failed'));
  return worker;
}

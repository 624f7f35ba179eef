// Progress of long work on stderr: one line that is rewritten on a terminal, a line every few seconds elsewhere.
import { formatBytes, formatDuration } from '../common/text.ts';

const TERMINAL_INTERVAL_MS = 200;
const LOG_INTERVAL_MS = 5_000;
/** Failures printed one by one; the rest is counted. */
const FAILURES_SHOWN = 20;

export interface Summary {
  readonly done: number;
  readonly skipped: number;
  readonly failed: number;
  readonly bytes: number;
  readonly ms: number;
}

export class Progress {
  readonly #verb: string;
  readonly #startedMs = Date.now();
  readonly #terminal = process.stderr.isTTY === true;
  readonly #timer: NodeJS.Timeout;
  readonly failures: { subject: string; reason: string }[] = [];
  #done = 0;
  #skipped = 0;
  #bytes = 0;

  constructor(verb: string) {
    this.#verb = verb;
    this.#timer = setInterval(() => this.#draw(), this.#terminal ? TERMINAL_INTERVAL_MS : LOG_INTERVAL_MS);
  }

  done(): void {
    this.#done += 1;
  }

  skipped(): void {
    this.#skipped += 1;
  }

  moved(bytes: number): void {
    this.#bytes += bytes;
  }

  failed(subject: string, error: unknown): void {
    const reason = error instanceof Error ? error.message : String(error);
    this.failures.push({ subject, reason });
    if (this.failures.length <= FAILURES_SHOWN) {
      process.stderr.write(`${this.#terminal ? '\r\x1b[K' : ''}failed: ${subject}: ${reason}\n`);
    }
  }

  finish(): Summary {
    clearInterval(this.#timer);
    this.#draw();
    if (this.#terminal) process.stderr.write('\n');
    const hidden = this.failures.length - FAILURES_SHOWN;
    if (hidden > 0) process.stderr.write(`… and ${hidden} more failures\n`);
    if (this.failures.length > 0) process.exitCode = 1;
    return {
      done: this.#done,
      skipped: this.#skipped,
      failed: this.failures.length,
      bytes: this.#bytes,
      ms: Date.now() - this.#startedMs,
    };
  }

  /** The work itself could not go on. */
  abandon(): void {
    clearInterval(this.#timer);
    if (this.#terminal) process.stderr.write('\n');
  }

  #draw(): void {
    const ms = Date.now() - this.#startedMs;
    const rate = formatBytes(Math.round(this.#bytes / Math.max(ms / 1000, 0.001)));
    const text =
      `${this.#verb}: ${this.#done} done, ${this.#skipped} already there, ${this.failures.length} failed, ` +
      `${formatBytes(this.#bytes)} (${rate}/s) in ${formatDuration(ms)}`;
    process.stderr.write(this.#terminal ? `\r\x1b[K${text}` : `${text}\n`);
  }
}

/** Runs `work` over the items with bounded concurrency; a failing item does not stop the others. */
export async function forEachLimited<T>(
  items: AsyncIterable<T>,
  concurrency: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const running = new Set<Promise<void>>();
  for await (const item of items) {
    const task: Promise<void> = work(item).finally(() => running.delete(task));
    running.add(task);
    if (running.size >= concurrency) await Promise.race(running);
  }
  await Promise.all(running);
}

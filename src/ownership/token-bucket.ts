// A cap on bytes per second for a stream, shared by all streams of one bucket, with back pressure. Time is the caller's.
import { Transform, type TransformCallback } from 'node:stream';
import { SYSTEM_TIMERS, type Timers } from '../common/clock.ts';

/** Bytes that may pass at once after a pause: a tenth of a second's worth, at least this. */
const BURST_BYTES_MIN = 64 * 1024;

export class TokenBucket {
  #bytesPerSecond: number | null;
  #nextMs = 0;
  readonly #nowMs: () => number;
  readonly #timers: Timers;

  constructor(bytesPerSecond: number | null, nowMs: () => number, timers: Timers = SYSTEM_TIMERS) {
    this.#bytesPerSecond = bytesPerSecond;
    this.#nowMs = nowMs;
    this.#timers = timers;
  }

  setRate(bytesPerSecond: number | null): void {
    this.#bytesPerSecond = bytesPerSecond;
    this.#nextMs = 0;
  }

  /** How long to wait before these bytes may go on; they are counted at once. */
  take(bytes: number): number {
    const rate = this.#bytesPerSecond;
    if (rate === null) return 0;
    const now = this.#nowMs();
    const burstMs = (Math.max(BURST_BYTES_MIN, rate / 10) / rate) * 1000;
    const start = Math.max(this.#nextMs, now - burstMs);
    this.#nextMs = start + (bytes / rate) * 1000;
    return Math.max(0, this.#nextMs - now);
  }

  /** A stream through this bucket; `onBytes` hears of each chunk as it passes. */
  meter(onBytes: (bytes: number) => void): Transform {
    return new Transform({
      transform: (chunk: Buffer, _encoding, done: TransformCallback) => {
        const waitMs = this.take(chunk.length);
        const pass = () => {
          onBytes(chunk.length);
          done(null, chunk);
        };
        if (waitMs < 1) pass();
        else this.#timers.after(waitMs, pass);
      },
    });
  }
}

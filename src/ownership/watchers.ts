// Who waits for the next change of something. Owns the list.
import type { Timers } from '../common/clock.ts';

export class Watchers {
  readonly #timers: Timers;
  #waiting: (() => void)[] = [];

  constructor(timers: Timers) {
    this.#timers = timers;
  }

  get size(): number {
    return this.#waiting.length;
  }

  /** Resolves with true at the next `wake`, or with false after the time. */
  next(timeoutMs: number): Promise<boolean> {
    return new Promise((resolve) => {
      const wake = () => {
        callOff();
        resolve(true);
      };
      const callOff = this.#timers.after(timeoutMs, () => {
        this.#waiting = this.#waiting.filter((waiting) => waiting !== wake);
        resolve(false);
      });
      this.#waiting.push(wake);
    });
  }

  wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const wake of waiting) wake();
  }
}

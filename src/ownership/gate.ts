// The gate of one dataset: who is inside now, and waiting until nobody is. Whether it is open is decided by the state
// machine (gate-state.ts); this only counts. Owns the holds of requests in flight.
import { type Clock, SYSTEM_TIMERS, type Timers } from '../common/clock.ts';

export type EnterMode = 'read' | 'write' | 'delete';

export interface Hold {
  readonly sinceMs: number;
  readonly mode: EnterMode;
  /** Aborted when a handoff that waited very long cuts what is in flight. */
  readonly controller: AbortController;
}

export class Gate {
  readonly #clock: Clock;
  readonly #timers: Timers;
  readonly #holds = new Set<Hold>();
  #idleWaiters: (() => void)[] = [];

  constructor(clock: Clock, timers: Timers = SYSTEM_TIMERS) {
    this.#clock = clock;
    this.#timers = timers;
  }

  get inside(): number {
    return this.#holds.size;
  }

  enter(mode: EnterMode): Hold {
    const hold = { sinceMs: this.#clock.monotonicMs(), mode, controller: new AbortController() };
    this.#holds.add(hold);
    return hold;
  }

  leave(hold: Hold): void {
    if (!this.#holds.delete(hold) || this.#holds.size > 0) return;
    const waiters = this.#idleWaiters;
    this.#idleWaiters = [];
    for (const wake of waiters) wake();
  }

  /** Age of the oldest hold; 0 when empty. */
  oldestMs(): number {
    let since = Number.POSITIVE_INFINITY;
    for (const hold of this.#holds) since = Math.min(since, hold.sinceMs);
    return this.#holds.size === 0 ? 0 : this.#clock.monotonicMs() - since;
  }

  /** True when everybody has left within the time. */
  async drained(timeoutMs: number): Promise<boolean> {
    if (this.#holds.size === 0) return true;
    return new Promise((resolve) => {
      const wake = () => {
        callOff();
        resolve(true);
      };
      const callOff = this.#timers.after(timeoutMs, () => {
        this.#idleWaiters = this.#idleWaiters.filter((waiter) => waiter !== wake);
        resolve(false);
      });
      this.#idleWaiters.push(wake);
    });
  }

  abortAll(reason: Error): void {
    for (const hold of this.#holds) hold.controller.abort(reason);
  }
}

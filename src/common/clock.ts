// Time as an argument. Pure code takes numbers; effectful code takes a Clock, so that tests and the simulator own time.

export interface Clock {
  /** Milliseconds since the Unix epoch; may jump. Only for what people and S3 see. */
  wallMs(): number;
  /** Milliseconds, never goes back; counts time spent in suspend when the system can tell. For leases and timeouts. */
  monotonicMs(): number;
}

/** What waits. Beside the clock, for few need both; a simulated process has its own, which end with it. */
export interface Timers {
  /** Runs the task once, after so many milliseconds; returns how to call it off. `background`: keeps no process alive. */
  after(ms: number, task: () => void, options?: { readonly background?: boolean }): () => void;
}

export const SYSTEM_TIMERS: Timers = {
  after(ms, task, options) {
    const timer = setTimeout(task, ms);
    if (options?.background) timer.unref();
    return () => clearTimeout(timer);
  },
};

export function pause(timers: Timers, ms: number): Promise<void> {
  return new Promise((resolve) => void timers.after(ms, resolve));
}

/** Chance as an argument, too: a simulated process draws it from its seed. */
export interface Entropy {
  /** So many random bytes, as lower-case hexadecimal. */
  hex(bytes: number): string;
  /** From 0, below 1; for jitter alone. */
  fraction(): number;
}

// The real clock. Monotonic time counts suspend where the system tells: Linux' CLOCK_MONOTONIC stops while a machine
// sleeps, /proc/uptime (CLOCK_BOOTTIME) does not, so the larger of the two advances is believed.
import { readFileSync } from 'node:fs';
import type { Clock } from './clock.ts';

/** /proc/uptime is read at most this often; between two readings the process clock counts. */
const UPTIME_READ_MS = 250;

export function createSystemClock(): Clock {
  const startMs = performance.now();
  const startUptimeMs = uptimeMs();
  /** Time asleep that performance.now() has not seen. */
  let sleptMs = 0;
  let readAtMs = startMs;
  return {
    wallMs: () => Date.now(),
    monotonicMs() {
      const nowMs = performance.now();
      if (startUptimeMs !== null && nowMs - readAtMs > UPTIME_READ_MS) {
        readAtMs = nowMs;
        const up = uptimeMs();
        // /proc/uptime has hundredths: differences below a tenth of a second are rounding.
        if (up !== null) {
          const missed = up - startUptimeMs - (nowMs - startMs);
          if (missed > sleptMs + 100) sleptMs = missed;
        }
      }
      return nowMs + sleptMs;
    },
  };
}

function uptimeMs(): number | null {
  try {
    const seconds = Number(readFileSync('/proc/uptime', 'utf8').split(' ')[0]);
    return Number.isFinite(seconds) ? seconds * 1000 : null;
  } catch {
    return null;
  }
}

// Pure: when a storage that does not answer is called late, or silent, and what the watcher of a stalled process does about
// it. Time without an answer is counted only as far as it was watched: a process that slept (SIGSTOP, suspend of the
// machine, a long garbage collection) finds a gap in its own clock, and a gap proves nothing about the storage.
//
// These functions are also handed to threads as text (pulse-thread.ts): they may use nothing but their arguments.

export interface SilenceLimits {
  /** Between two questions to the storage: a write of some bytes, flushed. */
  readonly askEveryMs: number;
  /** Between two looks of a watcher; it counts at most twice as much for one look. */
  readonly lookEveryMs: number;
  /** No answer for so long: requests wait before they touch the storage, for one that touches it may block the process. */
  readonly lateMs: number;
  /** No answer for so long: the node declares its storage silent and answers 503 for what it owns. */
  readonly silentMs: number;
  /** The event loop has not run for so long: the watcher says so. */
  readonly stallToldMs: number;
  /** … and the storage is silent too: the watcher ends the process. A hang that passes sooner costs no restart. */
  readonly stallEndMs: number;
  /** The same while the storage answers elsewhere, or the fault is ours: nobody is served any more, whatever the cause. */
  readonly stallEndAnywayMs: number;
}

export const SILENCE_LIMITS: SilenceLimits = {
  askEveryMs: 500,
  lookEveryMs: 100,
  lateMs: 600,
  silentMs: 5_000,
  stallToldMs: 3_000,
  stallEndMs: 10_000,
  stallEndAnywayMs: 120_000,
};

/** `gone`: what was opened is not what is there now. It is the last word. */
export type StorageAnswer = 'answering' | 'late' | 'silent' | 'gone';

/** One look of a watcher. @returns how long it has now been waiting, as far as it watched. */
export function countWaiting(waitedMs: number, gapMs: number, lookEveryMs: number, waiting: boolean): number {
  return waiting ? waitedMs + Math.min(Math.max(0, gapMs), 2 * lookEveryMs) : 0;
}

export function judgeSilence(waitedMs: number, limits: Pick<SilenceLimits, 'lateMs' | 'silentMs'>): StorageAnswer {
  if (waitedMs >= limits.silentMs) return 'silent';
  return waitedMs >= limits.lateMs ? 'late' : 'answering';
}

/** @param stalledMs Time without a turn of the event loop. @param waitedMs Time without an answer of the storage. */
export function judgeStall(stalledMs: number, waitedMs: number, limits: SilenceLimits): 'fine' | 'tell' | 'end' {
  if (stalledMs >= limits.stallEndAnywayMs) return 'end';
  if (stalledMs >= limits.stallEndMs && waitedMs >= limits.silentMs) return 'end';
  return stalledMs >= limits.stallToldMs ? 'tell' : 'fine';
}

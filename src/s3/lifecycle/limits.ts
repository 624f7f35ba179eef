// Named limits of the lifecycle worker: each says what it prevents. Tests pass others.

export interface LifecycleLimits {
  /** Versions of one batch: a handoff waits for the batch that is inside the gate. */
  readonly batchVersions: number;
  /** Commits under way at once; they share their flush. */
  readonly changesAtOnce: number;
  /** Node-wide, so that requests do not feel a pass. */
  readonly versionsPerSecond: number;
  readonly changesPerSecond: number;
  /** Looks at datasets that may have no rules: each may open a store. */
  readonly looksPerSecond: number;
  /** Passes over one dataset in a day of the rules … */
  readonly passesPerDay: number;
  /** … but not more often than this, however short the day … */
  readonly passEveryMsMin: number;
  /** … and not less often than this. */
  readonly passEveryMsMax: number;
  /** From new rules to their first pass, and from owning a dataset to the first look: nothing is removed in haste. */
  readonly settleMs: number;
  /** A dataset without rules; it would take another node, within `discoverMs`, to give it some unheard. */
  readonly lookAgainMs: number;
  /** How often the list of owned datasets is compared with what is watched. */
  readonly discoverMs: number;
  /** After a dataset that was busy, or had no proof of ownership. */
  readonly retryMs: number;
}

export const LIFECYCLE_LIMITS: LifecycleLimits = {
  batchVersions: 250,
  changesAtOnce: 32,
  versionsPerSecond: 5_000,
  changesPerSecond: 500,
  looksPerSecond: 10,
  passesPerDay: 8,
  passEveryMsMin: 1_000,
  passEveryMsMax: 3 * 3_600_000,
  settleMs: 60_000,
  lookAgainMs: 86_400_000,
  discoverMs: 15_000,
  retryMs: 10_000,
};

export function passEveryMs(limits: LifecycleLimits, dayMs: number): number {
  return Math.min(limits.passEveryMsMax, Math.max(limits.passEveryMsMin, dayMs / limits.passesPerDay));
}

// When something is due: days of a rule as points in time. Pure.
// Source: Amazon S3 User Guide, Lifecycle configuration elements, "How Amazon S3 calculates how long an object has been
// noncurrent" and "Lifecycle rules based on an object's age": the days are added, then the next midnight (UTC) is taken.

export const DAY_MS = 86_400_000;

/**
 * @param dayMs length of a day. Of 24 hours: rounded up to the next midnight. Another one is for tests: not rounded.
 */
export function dueAfterMs(sinceMs: number, days: number, dayMs: number): number {
  const plainMs = sinceMs + days * dayMs;
  return dayMs === DAY_MS ? (Math.floor(plainMs / DAY_MS) + 1) * DAY_MS : plainMs;
}

/** Days since it began, or a date; one of the two is given. Neither: never. */
export function dueMs(
  sinceMs: number,
  rule: { readonly days?: number; readonly dateMs?: number },
  dayMs: number,
): number {
  if (rule.dateMs !== undefined) return rule.dateMs;
  return rule.days === undefined ? Number.POSITIVE_INFINITY : dueAfterMs(sinceMs, rule.days, dayMs);
}

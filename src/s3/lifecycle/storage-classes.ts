// The storage classes that a transition may name, in the order in which S3 lets objects move. All are labels of one kind
// of storage here. Pure.
// Source: Amazon S3 User Guide, Transitioning objects using Amazon S3 Lifecycle.

const ORDER = ['STANDARD', 'STANDARD_IA', 'INTELLIGENT_TIERING', 'ONEZONE_IA', 'GLACIER_IR'] as const;

/** What a rule may name and this endpoint can do. */
export const TRANSITION_CLASSES: ReadonlySet<string> = new Set(ORDER.slice(1));

/** What a rule may name in S3; reads of these would need a restore first. */
export const ARCHIVE_CLASSES: ReadonlySet<string> = new Set(['GLACIER', 'DEEP_ARCHIVE']);

/** Classes that S3 wants an object to have lain elsewhere before, in days. */
export const TRANSITION_DAYS_MIN: Readonly<Record<string, number>> = { STANDARD_IA: 30, ONEZONE_IA: 30 };

/** Smaller objects change their class only by a rule with sizes. */
export const TRANSITION_BYTES_MIN = 128 * 1024;

/** Higher is later; a class that is none of these counts as the first. */
export function classRank(storageClass: string): number {
  return Math.max(0, (ORDER as readonly string[]).indexOf(storageClass));
}

// What the rules want done with one version or upload, now. Pure: rules, length of the day, time and facts in, an action
// out. Whether a lock forbids it, and whether the facts still hold, is asked inside the commit (sweep.ts).
//
//   of what is due:  removal for good  ▶  transition  ▶  delete marker
// Source: Amazon S3 User Guide, Lifecycle configuration conflicts.
import type { LifecycleDocument, LifecycleRule, Subject } from './configuration.ts';
import { matches } from './configuration.ts';
import { dueAfterMs, dueMs } from './due.ts';
import { classRank, TRANSITION_BYTES_MIN } from './storage-classes.ts';

/** Where a version stands among those of its key. */
export type Place =
  | {
      readonly at: 'latest';
      /** There is no other version of the key. Only looked at for delete markers. */
      readonly alone: boolean;
    }
  | {
      readonly at: 'noncurrent';
      /** When something newer took its place. */
      readonly sinceMs: number;
      /** Noncurrent objects (not delete markers) that are newer and stay. */
      readonly newer: number;
    };

export interface VersionFacts {
  readonly key: string;
  readonly deleteMarker: boolean;
  readonly size: number;
  readonly tags: Readonly<Record<string, string>>;
  readonly modifiedMs: number;
  readonly storageClass: string;
  readonly place: Place;
  /** Versioning was enabled at some time: expiring the current version hides it, no more. */
  readonly versioned: boolean;
}

export interface Timing {
  readonly nowMs: number;
  readonly dayMs: number;
}

export type VersionAction =
  /** A plain delete: the object goes, or a delete marker hides it. */
  | { readonly do: 'expire'; readonly rule: string }
  /** This version, for good. */
  | { readonly do: 'remove'; readonly rule: string }
  | { readonly do: 'transition'; readonly rule: string; readonly storageClass: string };

export function decideVersion(document: LifecycleDocument, facts: VersionFacts, timing: Timing): VersionAction | null {
  const { key, tags, size, deleteMarker, place } = facts;
  const subject: Subject = deleteMarker ? { key, tags: null, size: null } : { key, tags, size };
  const rules = document.rules.filter((rule) => matches(rule, subject));
  if (rules.length === 0) return null;
  if (place.at === 'noncurrent') {
    const removing = rules.find((rule) => noncurrentDue(rule, place, timing));
    if (removing) return { do: 'remove', rule: removing.id };
    return deleteMarker ? null : transition(rules, facts, timing);
  }
  if (deleteMarker) {
    const removing = place.alone ? rules.find((rule) => markerDue(rule, facts, timing)) : undefined;
    return removing ? { do: 'remove', rule: removing.id } : null;
  }
  const expiring = rules.find((rule) => isDue(facts.modifiedMs, rule.expiration, timing));
  if (expiring && !facts.versioned) return { do: 'expire', rule: expiring.id };
  return transition(rules, facts, timing) ?? (expiring ? { do: 'expire', rule: expiring.id } : null);
}

function isDue(
  sinceMs: number,
  rule: { readonly days?: number; readonly dateMs?: number } | undefined,
  { nowMs, dayMs }: Timing,
): boolean {
  return rule !== undefined && dueMs(sinceMs, rule, dayMs) <= nowMs;
}

type Noncurrent = Extract<Place, { at: 'noncurrent' }>;

function noncurrentDue({ noncurrentExpiration }: LifecycleRule, place: Noncurrent, timing: Timing): boolean {
  if (!noncurrentExpiration) return false;
  const { noncurrentDays, newerNoncurrentVersions = 0 } = noncurrentExpiration;
  if (place.newer < newerNoncurrentVersions) return false;
  return dueAfterMs(place.sinceMs, noncurrentDays, timing.dayMs) <= timing.nowMs;
}

/** A marker that hides nothing goes at once when a rule says so, else at the age at which objects go. */
function markerDue({ expiration }: LifecycleRule, { modifiedMs }: VersionFacts, timing: Timing): boolean {
  return expiration?.expiredObjectDeleteMarker === true || isDue(modifiedMs, expiration, timing);
}

/** To the last class that is due; never back to an earlier one. */
function transition(
  rules: readonly LifecycleRule[],
  { place, size, modifiedMs, storageClass }: VersionFacts,
  timing: Timing,
): VersionAction | null {
  let best: { readonly rule: string; readonly storageClass: string } | null = null;
  for (const rule of rules) {
    if (!mayTransition(rule, size)) continue;
    for (const target of dueClasses(rule, place, modifiedMs, timing)) {
      if (classRank(target) > classRank(best?.storageClass ?? storageClass))
        best = { rule: rule.id, storageClass: target };
    }
  }
  return best && { do: 'transition', ...best };
}

/** Small objects are left where they are, unless the rule says itself which sizes it is for. */
function mayTransition({ filter }: LifecycleRule, size: number): boolean {
  const chosen = filter.sizeGreaterThan !== undefined || filter.sizeLessThan !== undefined;
  return chosen || size >= TRANSITION_BYTES_MIN;
}

function dueClasses(rule: LifecycleRule, place: Place, modifiedMs: number, timing: Timing): string[] {
  if (place.at === 'latest') {
    return (rule.transitions ?? []).filter((one) => isDue(modifiedMs, one, timing)).map((one) => one.storageClass);
  }
  return (rule.noncurrentTransitions ?? [])
    .filter(({ noncurrentDays, newerNoncurrentVersions = 0 }) => {
      if (place.newer < newerNoncurrentVersions) return false;
      return dueAfterMs(place.sinceMs, noncurrentDays, timing.dayMs) <= timing.nowMs;
    })
    .map((one) => one.storageClass);
}

/** The rule by which an upload is given up now; null: it goes on. */
export function decideUpload(
  document: LifecycleDocument,
  upload: { readonly key: string; readonly createdMs: number },
  timing: Timing,
): string | null {
  const due = uploadDue(document, upload, timing.dayMs);
  return due && due.atMs <= timing.nowMs ? due.rule : null;
}

export interface Due {
  readonly rule: string;
  readonly atMs: number;
}

/** When an upload will be given up, and by which rule. */
export function uploadDue(
  document: LifecycleDocument,
  { key, createdMs }: { readonly key: string; readonly createdMs: number },
  dayMs: number,
): Due | null {
  const subject: Subject = { key, tags: null, size: null };
  return earliest(
    document.rules.flatMap((rule) =>
      rule.abortUpload && matches(rule, subject)
        ? [{ rule: rule.id, atMs: dueAfterMs(createdMs, rule.abortUpload.daysAfterInitiation, dayMs) }]
        : [],
    ),
  );
}

/** When the current version will expire, and by which rule. */
export function expirationDue(
  document: LifecycleDocument,
  object: Subject & { readonly modifiedMs: number },
  dayMs: number,
): Due | null {
  return earliest(
    document.rules.flatMap((rule) => {
      if (!rule.expiration || !matches(rule, object)) return [];
      const atMs = dueMs(object.modifiedMs, rule.expiration, dayMs);
      return Number.isFinite(atMs) ? [{ rule: rule.id, atMs }] : [];
    }),
  );
}

function earliest(all: readonly Due[]): Due | null {
  return all.reduce<Due | null>((best, one) => (best && best.atMs <= one.atMs ? best : one), null);
}

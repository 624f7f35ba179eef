// The `lifecycle` document of a bucket: its rules, as they are kept inside its own dataset. Pure; shape is
// xml/lifecycle.ts, what S3 refuses validation.ts, what the rules do decide.ts.
// Stored data: fields may be added, never change meaning.
import type { Store } from '../../store/types.ts';

export const LIFECYCLE_DOCUMENT = 'lifecycle';

export interface RuleFilter {
  /** `rule`: the old form, a Prefix beside Status; it is shown again as it came. */
  readonly form: 'rule' | 'filter';
  /** Absent or '' = all keys. */
  readonly prefix?: string;
  /** All of them must be there. */
  readonly tags?: readonly { readonly key: string; readonly value: string }[];
  /** Bytes; exclusive. */
  readonly sizeGreaterThan?: number;
  /** Bytes; exclusive. */
  readonly sizeLessThan?: number;
}

/** One of the three. */
export interface Expiration {
  readonly days?: number;
  /** A midnight. */
  readonly dateMs?: number;
  readonly expiredObjectDeleteMarker?: boolean;
}

/** One of days and dateMs. */
export interface Transition {
  readonly days?: number;
  readonly dateMs?: number;
  readonly storageClass: string;
}

export interface NoncurrentTransition {
  readonly noncurrentDays: number;
  readonly newerNoncurrentVersions?: number;
  readonly storageClass: string;
}

export interface LifecycleRule {
  readonly id: string;
  readonly enabled: boolean;
  readonly filter: RuleFilter;
  readonly expiration?: Expiration;
  readonly noncurrentExpiration?: { readonly noncurrentDays: number; readonly newerNoncurrentVersions?: number };
  readonly abortUpload?: { readonly daysAfterInitiation: number };
  readonly transitions?: readonly Transition[];
  readonly noncurrentTransitions?: readonly NoncurrentTransition[];
}

export const TRANSITION_MINIMUMS = ['all_storage_classes_128K', 'varies_by_storage_class'] as const;
export type TransitionMinimum = (typeof TRANSITION_MINIMUMS)[number];

export interface LifecycleDocument {
  readonly rules: readonly LifecycleRule[];
  /** For the classes that are accepted here the two mean the same; kept because it is shown again. */
  readonly transitionMinimum: TransitionMinimum;
}

/** null: no rules. A document of another shape is a damaged index: it removes nothing. */
export function readLifecycle(store: Store): LifecycleDocument | null {
  const value = store.document(LIFECYCLE_DOCUMENT) as Partial<LifecycleDocument> | null | undefined;
  return Array.isArray(value?.rules) && value.rules.length > 0 ? (value as LifecycleDocument) : null;
}

/** What a rule can be asked about: a version, or an upload (without tags and size). */
export interface Subject {
  readonly key: string;
  /** null: has none, so no rule that asks for tags matches. */
  readonly tags: Readonly<Record<string, string>> | null;
  /** null: has none. */
  readonly size: number | null;
}

export function matches(rule: LifecycleRule, subject: Subject): boolean {
  const { prefix = '', tags = [], sizeGreaterThan, sizeLessThan } = rule.filter;
  if (!rule.enabled || !subject.key.startsWith(prefix)) return false;
  const own = subject.tags;
  if (tags.length > 0 && !own) return false;
  if (own && tags.some(({ key, value }) => !Object.hasOwn(own, key) || own[key] !== value)) return false;
  if (sizeGreaterThan === undefined && sizeLessThan === undefined) return true;
  if (subject.size === null) return false;
  return subject.size > (sizeGreaterThan ?? -1) && subject.size < (sizeLessThan ?? Number.POSITIVE_INFINITY);
}

/** The prefixes that enabled rules of this kind can match, none below another, in order. */
export function prefixesOf(
  document: LifecycleDocument,
  kind: 'versions' | 'uploads',
  among: (rule: LifecycleRule) => boolean = kind === 'uploads' ? hasUploadAction : hasVersionAction,
): string[] {
  const all = document.rules
    .filter((rule) => rule.enabled && among(rule))
    .map(({ filter }) => filter.prefix ?? '')
    .sort((a, b) => a.length - b.length);
  const widest: string[] = [];
  for (const prefix of all) if (!widest.some((other) => prefix.startsWith(other))) widest.push(prefix);
  return widest.sort();
}

function hasUploadAction(rule: LifecycleRule): boolean {
  return rule.abortUpload !== undefined;
}

function hasVersionAction(rule: LifecycleRule): boolean {
  const { expiration, noncurrentExpiration, transitions, noncurrentTransitions } = rule;
  return [expiration, noncurrentExpiration, transitions, noncurrentTransitions].some((action) => action !== undefined);
}

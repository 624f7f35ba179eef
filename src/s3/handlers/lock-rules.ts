// Object lock: what protects a version, and who may take that away. Pure; times are arguments. The store asks
// `refuseLocked` inside its commit, so nothing can change between the check and the deletion.
// The `object-lock` document of a bucket and the fields of a version are stored data: fields may be added, never change
// meaning. Source: Amazon S3 User Guide, Locking objects with Object Lock.
import type { ObjectEntry, Store } from '../../store/types.ts';
import { invalidArgument, S3Error } from '../errors.ts';
import { storedAttributes } from './attributes.ts';

export const OBJECT_LOCK_DOCUMENT = 'object-lock';

export const RETENTION_MODES = ['GOVERNANCE', 'COMPLIANCE'] as const;
export type RetentionMode = (typeof RETENTION_MODES)[number];

export interface Retention {
  readonly mode: RetentionMode;
  readonly untilMs: number;
}

export interface DefaultRetention {
  readonly mode: RetentionMode;
  /** One of the two. */
  readonly days?: number;
  readonly years?: number;
}

/** Exists only for buckets with object lock, which is for ever. */
export interface LockDocument {
  readonly enabled: true;
  readonly retention?: DefaultRetention;
}

export function readLockDocument(store: Store): LockDocument | null {
  const value = store.document(OBJECT_LOCK_DOCUMENT) as Partial<LockDocument> | null | undefined;
  return value?.enabled === true ? (value as LockDocument) : null;
}

export function isRetentionMode(text: string): text is RetentionMode {
  return (RETENTION_MODES as readonly string[]).includes(text);
}

/** What a version that is written now gets without asking. Days are of 24 hours; a year ends on the same date. */
export function defaultRetention(document: LockDocument | null, nowMs: number): Retention | undefined {
  const rule = document?.retention;
  if (!rule) return undefined;
  if (rule.days !== undefined) return { mode: rule.mode, untilMs: nowMs + rule.days * 86_400_000 };
  const until = new Date(nowMs);
  until.setUTCFullYear(until.getUTCFullYear() + (rule.years ?? 0));
  return { mode: rule.mode, untilMs: until.getTime() };
}

const ISO_DATE = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:?\d\d)$/;

/** ISO 8601 with a time and a zone, to the millisecond; null = something else. */
export function parseIsoDate(text: string): number | null {
  if (!ISO_DATE.test(text)) return null;
  const ms = Date.parse(text);
  return Number.isNaN(ms) ? null : ms;
}

export function requireFuture(untilMs: number, nowMs: number, name: string, text: string): void {
  if (untilMs <= nowMs) throw invalidArgument('The retain until date must be in the future!', name, text);
}

/** `mayBypass` is asked only when the answer matters: governance, and the request wants to bypass it. */
export interface LockQuestion {
  readonly nowMs: number;
  mayBypass(): boolean;
}

function denied(): S3Error {
  return new S3Error('AccessDenied', 'Access Denied because object protected by object lock.');
}

/** Throws when the version may not be destroyed. For RemoveRequest.check; deletion by rules passes mayBypass false. */
export function refuseLocked(entry: ObjectEntry, question: LockQuestion): void {
  const { retention, legalHold } = storedAttributes(entry.attributes);
  if (legalHold === true) throw denied();
  if (!retention || retention.untilMs <= question.nowMs) return;
  if (retention.mode === 'COMPLIANCE' || !question.mayBypass()) throw denied();
}

/** Throws when `wanted` (null = none) would take protection away that may not be taken away. */
export function refuseWeaker(current: Retention | undefined, wanted: Retention | null, question: LockQuestion): void {
  if (!current || current.untilMs <= question.nowMs) return;
  const keeps = wanted !== null && wanted.mode === current.mode && wanted.untilMs >= current.untilMs;
  if (keeps) return;
  if (current.mode === 'COMPLIANCE' || !question.mayBypass()) throw denied();
}

export function lockHeaders(lock: {
  readonly retention?: Retention | undefined;
  readonly legalHold?: boolean | undefined;
}): Record<string, string> {
  return {
    ...(lock.retention
      ? {
          'x-amz-object-lock-mode': lock.retention.mode,
          'x-amz-object-lock-retain-until-date': new Date(lock.retention.untilMs).toISOString(),
        }
      : {}),
    ...(lock.legalHold === undefined ? {} : { 'x-amz-object-lock-legal-hold': lock.legalHold ? 'ON' : 'OFF' }),
  };
}

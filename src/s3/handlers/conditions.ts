// Conditional headers: what If-Match and its relatives mean for a read, a copy source and a write. Pure.
// Order of evaluation is RFC 9110 §13.2.2, which S3 follows: a true If-Match overrides If-Unmodified-Since, a false
// If-None-Match overrides If-Modified-Since. Dates have one-second resolution; a date that does not parse is ignored.
import type { ObjectEntry, WriteCondition } from '../../store/types.ts';
import { invalidArgument, S3Error } from '../errors.ts';

export interface ConditionHeaders {
  readonly ifMatch?: string | undefined;
  readonly ifNoneMatch?: string | undefined;
  readonly ifModifiedSince?: string | undefined;
  readonly ifUnmodifiedSince?: string | undefined;
}

export type ConditionVerdict =
  | { readonly kind: 'go' }
  | { readonly kind: 'not-modified' }
  /** `condition` is the header that failed, as S3 names it in the error. */
  | { readonly kind: 'failed'; readonly condition: string };

export interface ConditionSubject {
  readonly etag: string;
  readonly modifiedMs: number;
}

type Headers = Readonly<Record<string, string>>;

export function requestConditions(headers: Headers): ConditionHeaders {
  return {
    ifMatch: headers['if-match'],
    ifNoneMatch: headers['if-none-match'],
    ifModifiedSince: headers['if-modified-since'],
    ifUnmodifiedSince: headers['if-unmodified-since'],
  };
}

export function copySourceConditions(headers: Headers): ConditionHeaders {
  return {
    ifMatch: headers['x-amz-copy-source-if-match'],
    ifNoneMatch: headers['x-amz-copy-source-if-none-match'],
    ifModifiedSince: headers['x-amz-copy-source-if-modified-since'],
    ifUnmodifiedSince: headers['x-amz-copy-source-if-unmodified-since'],
  };
}

/** Entity tags of a header: quotes and a weak prefix are dropped, as S3 compares; '*' stays '*'. */
export function parseEtags(header: string): string[] | '*' {
  const text = header.trim();
  if (text === '*') return '*';
  return text
    .split(',')
    .map((tag) => normalizeEtag(tag))
    .filter((tag) => tag !== '');
}

export function normalizeEtag(tag: string): string {
  const text = tag.trim().replace(/^W\//, '');
  return text.length >= 2 && text.startsWith('"') && text.endsWith('"') ? text.slice(1, -1) : text;
}

/** Seconds since the epoch, or null. */
function seconds(date: string | undefined): number | null {
  if (date === undefined) return null;
  const ms = Date.parse(date);
  return Number.isNaN(ms) ? null : Math.floor(ms / 1000);
}

function matches(header: string, etag: string): boolean {
  const tags = parseEtags(header);
  return tags === '*' || tags.includes(etag);
}

export function evaluateRead(conditions: ConditionHeaders, subject: ConditionSubject): ConditionVerdict {
  const modified = Math.floor(subject.modifiedMs / 1000);
  if (conditions.ifMatch !== undefined) {
    if (!matches(conditions.ifMatch, subject.etag)) return { kind: 'failed', condition: 'If-Match' };
  } else {
    const unmodifiedSince = seconds(conditions.ifUnmodifiedSince);
    if (unmodifiedSince !== null && modified > unmodifiedSince) {
      return { kind: 'failed', condition: 'If-Unmodified-Since' };
    }
  }
  if (conditions.ifNoneMatch !== undefined) {
    return matches(conditions.ifNoneMatch, subject.etag) ? { kind: 'not-modified' } : { kind: 'go' };
  }
  const modifiedSince = seconds(conditions.ifModifiedSince);
  return modifiedSince !== null && modified <= modifiedSince ? { kind: 'not-modified' } : { kind: 'go' };
}

/** For a copy source there is nothing to revalidate: "not modified" fails too. */
export function evaluateCopySource(conditions: ConditionHeaders, subject: ConditionSubject): ConditionVerdict {
  const verdict = evaluateRead(conditions, subject);
  if (verdict.kind === 'not-modified') {
    const byTag = conditions.ifNoneMatch !== undefined;
    return {
      kind: 'failed',
      condition: byTag ? 'x-amz-copy-source-If-None-Match' : 'x-amz-copy-source-If-Modified-Since',
    };
  }
  return verdict.kind === 'failed' ? { kind: 'failed', condition: `x-amz-copy-source-${verdict.condition}` } : verdict;
}

/** The condition the store checks inside its commit; undefined when none was sent. */
export function writeCondition(headers: Headers): WriteCondition | undefined {
  const ifMatch = headers['if-match'];
  const ifNoneMatch = headers['if-none-match'];
  if (ifMatch === undefined && ifNoneMatch === undefined) return undefined;
  return {
    ...(ifMatch === undefined ? {} : { ifMatch: parseEtags(ifMatch) }),
    ...(ifNoneMatch === undefined ? {} : { ifNoneMatch: parseEtags(ifNoneMatch) }),
  };
}

/** Conditions of a deletion; all must hold. Of an item of DeleteObjects, or of the headers of DeleteObject. */
export interface RemovalConditions {
  readonly ifMatch?: readonly string[] | '*';
  /** Seconds since the epoch. */
  readonly modifiedSeconds?: number;
  readonly size?: number;
}

export function removalConditions(headers: Headers): RemovalConditions {
  if (headers['if-none-match'] !== undefined) throw new S3Error('NotImplemented');
  const ifMatch = headers['if-match'];
  const modified = headers['x-amz-if-match-last-modified-time'];
  const size = headers['x-amz-if-match-size'];
  return {
    ...(ifMatch === undefined ? {} : { ifMatch: parseEtags(ifMatch) }),
    ...(modified === undefined
      ? {}
      : { modifiedSeconds: requireSeconds('x-amz-if-match-last-modified-time', modified) }),
    ...(size === undefined ? {} : { size: requireSize('x-amz-if-match-size', size) }),
  };
}

/** A date in any form that S3 uses. A condition on a deletion that cannot be read is never taken for none. */
export function requireSeconds(name: string, text: string): number {
  const value = seconds(text);
  if (value === null) throw invalidArgument(`${name} is not a date`, name, text);
  return value;
}

function requireSize(name: string, text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw invalidArgument(`${name} is not a size`, name, text);
  return Number(text);
}

/**
 * For RemoveRequest.inspect; undefined when there is nothing to check. If-Match asks for the current object, so none, or
 * a delete marker, is 404 (AWS: How to perform conditional deletes); the other two hold for what is not there. A named
 * version that is gone is deleted already, whatever the conditions.
 */
export function removalInspection(
  key: string,
  version: string | null | undefined,
  conditions: RemovalConditions,
): ((subject: ObjectEntry | null) => void) | undefined {
  const { ifMatch, modifiedSeconds, size } = conditions;
  if (ifMatch === undefined && modifiedSeconds === undefined && size === undefined) return undefined;
  return (subject) => {
    const absent = subject === null || subject.deleteMarker;
    if (ifMatch !== undefined && absent && version === undefined) {
      throw new S3Error('NoSuchKey', undefined, { fields: { Key: key } });
    }
    if (subject === null) return;
    const failed = failedRemovalCondition(conditions, subject);
    if (failed) throw new S3Error('PreconditionFailed', undefined, { fields: { Condition: failed } });
  };
}

function failedRemovalCondition({ ifMatch, modifiedSeconds, size }: RemovalConditions, subject: ObjectEntry) {
  if (ifMatch !== undefined && ifMatch !== '*' && !ifMatch.includes(subject.etag)) return 'If-Match';
  const modified = Math.floor(subject.modifiedMs / 1000);
  if (modifiedSeconds !== undefined && modified !== modifiedSeconds) return 'x-amz-if-match-last-modified-time';
  return size !== undefined && subject.size !== size ? 'x-amz-if-match-size' : null;
}

/** If-Range: true when the range may be used (RFC 9110 §13.1.5). */
export function rangeStillValid(ifRange: string | undefined, subject: ConditionSubject): boolean {
  if (ifRange === undefined) return true;
  const text = ifRange.trim();
  if (text.startsWith('"')) return normalizeEtag(text) === subject.etag;
  if (text.startsWith('W/')) return false;
  return seconds(text) === Math.floor(subject.modifiedMs / 1000);
}

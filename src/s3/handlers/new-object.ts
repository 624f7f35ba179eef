// What the headers of a request give a new version besides its body: system headers, metadata, storage class, access,
// tags and locks. Read, judged and authorised before the body; shared by PutObject, CopyObject, CreateMultipartUpload and
// forms. `headers` are the request's, or those that the fields of a form stand for.
import { newObjectAcl } from '../access/acl-requests.ts';
import type { Resource } from '../access/authorizer.ts';
import { invalidArgument, S3Error } from '../errors.ts';
import { type ObjectAttributes, readAttributes } from './attributes.ts';
import { requireBodyDigest } from './body-digest.ts';
import { type DatasetContext, wireHeaders } from './context.ts';
import {
  defaultRetention,
  isRetentionMode,
  lockHeaders,
  parseIsoDate,
  type Retention,
  readLockDocument,
  requireFuture,
} from './lock-rules.ts';
import { readTaggingHeader, requestTagConditions } from './tags.ts';

const MODE = 'x-amz-object-lock-mode';
const UNTIL = 'x-amz-object-lock-retain-until-date';
const HOLD = 'x-amz-object-lock-legal-hold';

type Lock = Pick<ObjectAttributes, 'retention' | 'legalHold'>;
type Headers = Readonly<Record<string, string>>;

/**
 * Refuses what is malformed, what the bucket cannot do and what the sender may not do. `wire`: the same headers as in
 * the context, values as Node shows them.
 */
export function newObjectAttributes(
  context: DatasetContext,
  wire: ReturnType<typeof wireHeaders> = wireHeaders(context),
): ObjectAttributes {
  const { headers } = context.request;
  return {
    ...readAttributes(wire),
    ...newObjectAcl(context),
    ...newTags(context, headers),
    ...newLock(context, headers),
  };
}

export function newTags(context: DatasetContext, headers: Headers): Pick<ObjectAttributes, 'tags'> {
  const tags = readTaggingHeader(headers);
  if (!tags) return {};
  // No entry: the object is a new one, and not what it replaces.
  const resource: Resource = {
    key: context.key,
    entry: null,
    conditions: requestTagConditions(tags),
    replaces: 'tags',
  };
  context.authorizer.require('s3:PutObjectTagging', resource);
  return { tags };
}

/** The lock that the headers ask for. The bucket's default is added later, by `lockedByDefault`. */
export function newLock(context: DatasetContext, headers: Headers): Lock {
  const lock = readLock(headers, context.services.clock.wallMs());
  if (!lock) return {};
  if (!readLockDocument(context.dataset.store)) {
    throw new S3Error('InvalidRequest', 'Bucket is missing Object Lock Configuration');
  }
  const { authorizer, key } = context;
  const conditions = lockConditions(lock, context.services.clock.wallMs());
  const resource: Resource = { key, conditions, replaces: 'lock' };
  if (lock.retention) authorizer.require('s3:PutObjectRetention', resource);
  if (lock.legalHold !== undefined) authorizer.require('s3:PutObjectLegalHold', resource);
  return lock;
}

/** Condition keys of policies, for `Resource.conditions`. */
export function lockConditions(lock: Lock, nowMs: number): Record<string, string> {
  const headers = Object.entries(lockHeaders(lock)).map(([name, value]) => [name.replace('x-amz-', 's3:'), value]);
  const days = lock.retention ? Math.ceil((lock.retention.untilMs - nowMs) / 86_400_000) : null;
  return {
    ...Object.fromEntries(headers),
    ...(days === null ? {} : { 's3:object-lock-remaining-retention-days': String(days) }),
  };
}

function readLock(headers: Headers, nowMs: number): Lock | null {
  const retention = readRetention(headers, nowMs);
  const hold = headers[HOLD];
  if (hold !== undefined && hold !== 'ON' && hold !== 'OFF') {
    throw invalidArgument("Legal Hold must be either of 'ON' or 'OFF'", HOLD, hold);
  }
  if (!retention && hold === undefined) return null;
  return { ...(retention ? { retention } : {}), ...(hold === undefined ? {} : { legalHold: hold === 'ON' }) };
}

function readRetention(headers: Headers, nowMs: number): Retention | null {
  const mode = headers[MODE];
  const until = headers[UNTIL];
  if (mode === undefined && until === undefined) return null;
  if (mode === undefined || until === undefined) {
    throw invalidArgument(`${UNTIL} and ${MODE} must both be supplied`, mode === undefined ? MODE : UNTIL, '');
  }
  if (!isRetentionMode(mode)) throw invalidArgument('Unknown wormMode directive.', MODE, mode);
  const untilMs = parseIsoDate(until);
  if (untilMs === null) {
    throw invalidArgument('The retain until date must be provided in ISO 8601 format', UNTIL, until);
  }
  requireFuture(untilMs, nowMs, UNTIL, until);
  return { mode, untilMs };
}

/** With the bucket's default retention, unless it has one of its own. Ask right before the commit, or inside it. */
export function lockedByDefault(context: DatasetContext, attributes: ObjectAttributes): ObjectAttributes {
  if (attributes.retention) return attributes;
  const retention = defaultRetention(readLockDocument(context.dataset.store), context.services.clock.wallMs());
  return retention ? { ...attributes, retention } : attributes;
}

/** S3 locks no body that may have been damaged on its way. */
export function requireDigestWhenLocked(
  context: DatasetContext,
  attributes: ObjectAttributes,
  what: 'Put Object' | 'Put Part',
): void {
  const locked =
    attributes.retention !== undefined ||
    attributes.legalHold !== undefined ||
    readLockDocument(context.dataset.store)?.retention !== undefined;
  if (locked) requireBodyDigest(context.request.headers, what);
}

// Object lock: the configuration of a bucket, and retention and legal hold of versions. Rules are lock-rules.ts; they are
// asked inside the store's commits, with this node's clock.
import type { ObjectEntry } from '../../store/types.ts';
import { S3Error } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import type { S3Response } from '../types.ts';
import {
  legalHoldResult,
  lockConfigurationResult,
  parseLegalHold,
  parseLockConfiguration,
  parseRetention,
  retentionResult,
} from '../xml/object-lock.ts';
import { storedAttributes } from './attributes.ts';
import { requireDigest } from './body-digest.ts';
import { type DatasetContext, readDocument } from './context.ts';
import {
  type LockDocument,
  type LockQuestion,
  OBJECT_LOCK_DOCUMENT,
  parseIsoDate,
  type Retention,
  readLockDocument,
  refuseWeaker,
  requireFuture,
} from './lock-rules.ts';
import { lockConditions } from './new-object.ts';
import { inOrder } from './settings-order.ts';
import { refuseMarker, requestedVersion, requireObject } from './version-id.ts';

const XML = { 'content-type': 'application/xml' };

export async function getObjectLockConfiguration(context: DatasetContext): Promise<S3Response> {
  const document = readLockDocument(context.dataset.store);
  if (!document) throw new S3Error('ObjectLockConfigurationNotFoundError');
  return { status: 200, headers: XML, body: lockConfigurationResult(document.retention ?? null) };
}

/** Also enables object lock on a bucket that has none yet. Nothing disables it. */
export async function putObjectLockConfiguration(context: DatasetContext): Promise<S3Response> {
  requireDigest(context.request.headers);
  const rule = parseLockConfiguration(await readDocument(context, LIMITS.configurationBytesMax.value));
  const { store } = context.dataset;
  await inOrder(context, async () => {
    if (store.versioning() !== 'enabled') {
      throw new S3Error(
        'InvalidBucketState',
        "Versioning must be 'Enabled' on the bucket to apply a Object Lock configuration",
      );
    }
    const document: LockDocument = { enabled: true, ...(rule ? { retention: rule } : {}) };
    await store.setDocument(OBJECT_LOCK_DOCUMENT, document);
  });
  return { status: 200 };
}

function requireLock(context: DatasetContext): void {
  if (readLockDocument(context.dataset.store)) return;
  throw new S3Error('InvalidRequest', 'Bucket is missing Object Lock Configuration');
}

/** Governance may be bypassed by who says so and may; asked by the rules, inside a commit. */
export function lockQuestion(context: DatasetContext, key: string, entry?: ObjectEntry): LockQuestion {
  const wanted = context.request.headers['x-amz-bypass-governance-retention']?.trim().toLowerCase() === 'true';
  const resource = { key, ...(entry ? { entry } : {}) };
  return {
    nowMs: context.services.clock.wallMs(),
    mayBypass: () => wanted && context.authorizer.allows('s3:BypassGovernanceRetention', resource),
  };
}

export async function getObjectRetention(context: DatasetContext): Promise<S3Response> {
  requireLock(context);
  const { retention } = storedAttributes(requireObject(context).attributes);
  if (!retention) throw new S3Error('NoSuchObjectLockConfiguration');
  return { status: 200, headers: XML, body: retentionResult(retention) };
}

export async function putObjectRetention(context: DatasetContext): Promise<S3Response> {
  requireDigest(context.request.headers);
  requireLock(context);
  const entry = requireObject(context);
  const wanted = readRetention(context, await readDocument(context, LIMITS.configurationBytesMax.value));
  const conditions = lockConditions(wanted ? { retention: wanted } : {}, context.services.clock.wallMs());
  context.authorizer.require('s3:PutObjectRetention', { key: context.key, entry, conditions, replaces: 'lock' });
  await annotate(context, (entry) => {
    const { retention, ...kept } = entry.attributes;
    refuseWeaker(retention as Retention | undefined, wanted, lockQuestion(context, context.key, entry));
    return wanted ? { ...kept, retention: wanted } : kept;
  });
  return { status: 200 };
}

function readRetention(context: DatasetContext, body: Buffer): Retention | null {
  const parsed = parseRetention(body);
  if (!parsed) return null;
  const untilMs = parseIsoDate(parsed.until);
  if (untilMs === null) throw new S3Error('MalformedXML');
  requireFuture(untilMs, context.services.clock.wallMs(), 'RetainUntilDate', parsed.until);
  return { mode: parsed.mode, untilMs };
}

export async function getObjectLegalHold(context: DatasetContext): Promise<S3Response> {
  requireLock(context);
  const { legalHold } = storedAttributes(requireObject(context).attributes);
  if (legalHold === undefined) throw new S3Error('NoSuchObjectLockConfiguration');
  return { status: 200, headers: XML, body: legalHoldResult(legalHold) };
}

export async function putObjectLegalHold(context: DatasetContext): Promise<S3Response> {
  requireDigest(context.request.headers);
  requireLock(context);
  const entry = requireObject(context);
  const legalHold = parseLegalHold(await readDocument(context, LIMITS.configurationBytesMax.value));
  const conditions = lockConditions({ legalHold }, context.services.clock.wallMs());
  context.authorizer.require('s3:PutObjectLegalHold', { key: context.key, entry, conditions, replaces: 'lock' });
  await annotate(context, (entry) => ({ ...entry.attributes, legalHold }));
  return { status: 200 };
}

async function annotate(
  context: DatasetContext,
  change: (entry: ObjectEntry) => Record<string, unknown>,
): Promise<ObjectEntry> {
  const version = requestedVersion(context);
  return context.dataset.store.annotate({
    key: context.key,
    ...(version === undefined ? {} : { version }),
    change(entry) {
      refuseMarker(entry);
      return change(entry);
    },
  });
}

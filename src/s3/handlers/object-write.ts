// PutObject and DeleteObject. The body becomes a blob first; the object exists when the store has committed it, with
// the client's conditions checked inside that commit.
import { checkCondition } from '../../store/conditions.ts';
import type { RemoveResult, WriteCondition } from '../../store/types.ts';
import { S3Error } from '../errors.ts';
import { expirationHeaders } from '../lifecycle/headers.ts';
import { LIMITS } from '../limits.ts';
import type { S3Response } from '../types.ts';
import { checksumHeaders, toBag } from './attributes.ts';
import { chooseChecksum, receiveBlob } from './body.ts';
import { type RemovalConditions, removalConditions, removalInspection, writeCondition } from './conditions.ts';
import { type DatasetContext, openBody, quoted } from './context.ts';
import { refuseLocked } from './lock-rules.ts';
import { lockedByDefault, newObjectAttributes, requireDigestWhenLocked } from './new-object.ts';
import { lockQuestion } from './object-lock.ts';
import { refuseUnsupported } from './unsupported.ts';
import { requestedVersion, versionText, writtenVersionHeaders } from './version-id.ts';

export async function putObject(context: DatasetContext): Promise<S3Response> {
  const { store } = context.dataset;
  refuseUnsupported(context.request.headers);
  const condition = putCondition(context.request.headers);
  requireMayCompare(context, condition);
  // What fails already is refused before the body is sent; what holds now is checked again inside the commit.
  checkCondition(context.key, store.head(context.key), condition);
  const attributes = newObjectAttributes(context);
  requireDigestWhenLocked(context, attributes, 'Put Object');
  const payload = openBody(context, { bytesMax: LIMITS.putBytesMax.value, defaultChecksum: 'CRC64NVME' });
  const { blob, result } = await receiveBlob(context, payload);
  const checksum = chooseChecksum(result.checksums);
  const entry = await store.put({
    key: context.key,
    blob,
    etag: result.md5Hex,
    attributes: toBag(lockedByDefault(context, { ...attributes, ...(checksum ? { checksum } : {}) })),
    ...(condition ? { condition } : {}),
  });
  const shown = { ...checksumHeaders(checksum), ...writtenVersionHeaders(entry), ...expirationHeaders(store, entry) };
  return { status: 200, headers: { etag: quoted(entry.etag), ...shown } };
}

/** Conditions on dates mean nothing to a write in S3; ignoring one would be a wrong success. */
export function putCondition(headers: Readonly<Record<string, string>>): WriteCondition | undefined {
  if (headers['if-modified-since'] !== undefined || headers['if-unmodified-since'] !== undefined) {
    throw new S3Error('NotImplemented');
  }
  return writeCondition(headers);
}

/**
 * Who learns whether an entity tag is the object's reads something of the object. `*` only asks whether there is one.
 * Source: Amazon S3 User Guide, Enforce conditional deletes on Amazon S3 buckets.
 */
export function requireMayCompare({ authorizer, key }: DatasetContext, condition: WriteCondition | undefined): void {
  const { ifMatch = '*', ifNoneMatch = '*' } = condition ?? {};
  if (ifMatch !== '*' || ifNoneMatch !== '*') authorizer.require('s3:GetObject', { key });
}

export async function deleteObject(context: DatasetContext): Promise<S3Response> {
  const { headers } = context.request;
  const version = requestedVersion(context);
  refuseUnsupported(headers);
  const result = await removeObject(context, context.key, version, removalConditions(headers));
  return { status: 204, headers: removalHeaders(version, result) };
}

/** Conditions and locks are judged inside the commit. What is not there is deleted already, unless If-Match wants it. */
export async function removeObject(
  context: DatasetContext,
  key: string,
  version: string | null | undefined,
  conditions: RemovalConditions,
): Promise<RemoveResult> {
  const inspect = removalInspection(key, version, conditions);
  if (inspect) requireMayCompareRemoved(context, key, version, conditions);
  return context.dataset.store.remove({
    key,
    ...(version === undefined ? {} : { version }),
    ...(inspect ? { inspect } : {}),
    check: (victim) => refuseLocked(victim, lockQuestion(context, key, victim)),
  });
}

/** As for a write; dates and sizes are the object's too. */
function requireMayCompareRemoved(
  { authorizer, dataset }: DatasetContext,
  key: string,
  version: string | null | undefined,
  { ifMatch = '*', modifiedSeconds, size }: RemovalConditions,
): void {
  if (ifMatch === '*' && modifiedSeconds === undefined && size === undefined) return;
  if (version === undefined) authorizer.require('s3:GetObject', { key });
  else authorizer.require('s3:GetObjectVersion', { key, find: () => dataset.store.version(key, version) });
}

/** The version that was made (a delete marker) or that is gone for good, and whether it is a delete marker. */
function removalHeaders(version: string | null | undefined, { removed, marker }: RemoveResult): Record<string, string> {
  if (marker) return { 'x-amz-delete-marker': 'true', 'x-amz-version-id': versionText(marker.versionId) };
  if (version === undefined) return {};
  return {
    ...(removed?.deleteMarker ? { 'x-amz-delete-marker': 'true' } : {}),
    'x-amz-version-id': versionText(version),
  };
}

// DeleteObjects: up to 1000 keys in one request, each with its own outcome. Commits run together so that they share
// flushes; one failed key never fails the others.
import type { RemoveResult } from '../../store/types.ts';
import { S3Error, toS3Error } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import { requirePresent } from '../snapshots/address.ts';
import { requireKey } from '../target.ts';
import type { S3Response } from '../types.ts';
import { type DeleteItem, parseDeleteRequest } from '../xml/requests.ts';
import { type DeletedItem, type DeleteFault, deleteResult } from '../xml/results.ts';
import { requireDigest } from './body-digest.ts';
import { type RemovalConditions, requireSeconds } from './conditions.ts';
import { type DatasetContext, readDocument } from './context.ts';
import { inTurns } from './in-turns.ts';
import { removeObject } from './object-write.ts';
import { parseVersionId, versionText } from './version-id.ts';

export async function deleteObjects(context: DatasetContext): Promise<S3Response> {
  requireDigest(context.request.headers);
  const { quiet, objects } = parseDeleteRequest(await readDocument(context, LIMITS.deleteObjectsBytesMax.value));
  const nowMs = () => context.services.clock.monotonicMs();
  const each = withoutConditions(context);
  const outcomes = await inTurns(objects, nowMs, (item) => removeOne(each, item));
  const deleted = outcomes.filter((outcome): outcome is DeletedItem => !('code' in outcome));
  const errors = outcomes.filter((outcome): outcome is DeleteFault => 'code' in outcome);
  return {
    status: 200,
    headers: { 'content-type': 'application/xml' },
    body: deleteResult({ quiet, deleted, errors }),
  };
}

/** Conditions of this operation are the items': policies must not take headers that mean nothing here for them. */
function withoutConditions(context: DatasetContext): DatasetContext {
  const { 'if-match': _, 'if-none-match': __, ...headers } = context.request.headers;
  return { ...context, authorizer: context.authorizer.as(context.authorizer.identity, { headers }) };
}

async function removeOne(context: DatasetContext, item: DeleteItem): Promise<DeletedItem | DeleteFault> {
  const { key, versionId } = item;
  const named = { key, ...(versionId === null ? {} : { versionId }) };
  try {
    requireKey(key);
    requirePresent(key);
    const version = requestedVersion(versionId);
    const asked = { key, conditions: conditionKeys(item, version) };
    if (version === undefined) context.authorizer.require('s3:DeleteObject', asked);
    else {
      const find = () => context.dataset.store.version(key, version);
      context.authorizer.require('s3:DeleteObjectVersion', { ...asked, find });
    }
    return { ...named, ...markerOf(version, await removeObject(context, key, version, itemConditions(item))) };
  } catch (error) {
    const { code, message } = toS3Error(error);
    return { ...named, code, message };
  }
}

/** S3 answers what cannot be an id with NoSuchVersion here, unlike in a query. */
function requestedVersion(text: string | null): string | null | undefined {
  if (text === null || text === '') return undefined;
  try {
    return parseVersionId(text);
  } catch (cause) {
    throw new S3Error('NoSuchVersion', undefined, { cause });
  }
}

/** What DeleteObject says in its query and headers. */
function conditionKeys({ etag }: DeleteItem, version: string | null | undefined): Record<string, string> {
  return {
    ...(version === undefined ? {} : { 's3:VersionId': versionText(version) }),
    ...(etag === null ? {} : { 's3:if-match': etag }),
  };
}

function itemConditions(item: DeleteItem): RemovalConditions {
  return {
    ...(item.etag === null ? {} : { ifMatch: item.etag === '*' ? ('*' as const) : [item.etag] }),
    ...(item.lastModifiedTime === null
      ? {}
      : { modifiedSeconds: requireSeconds('LastModifiedTime', item.lastModifiedTime) }),
    ...(item.size === null ? {} : { size: item.size }),
  };
}

/** The delete marker that was put on top, or the one that is gone for good. */
function markerOf(version: string | null | undefined, { removed, marker }: RemoveResult): Partial<DeletedItem> {
  if (marker) return { deleteMarkerVersionId: versionText(marker.versionId) };
  return version !== undefined && removed?.deleteMarker
    ? { deleteMarkerVersionId: versionText(removed.versionId) }
    : {};
}

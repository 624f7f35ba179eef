// DeleteObjects: up to 1000 keys in one request, each with its own outcome. Commits run together so that they share
// flushes; one failed key never fails the others.
import { S3Error, toS3Error } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import { algorithmOfHeader } from '../payload/checksums.ts';
import { requireKey } from '../target.ts';
import type { S3Response } from '../types.ts';
import { type DeleteItem, parseDeleteRequest } from '../xml/requests.ts';
import { type DeletedItem, type DeleteFault, deleteResult } from '../xml/results.ts';
import { type DatasetContext, readDocument } from './context.ts';
import { removeObject } from './object-write.ts';

export async function deleteObjects(context: DatasetContext): Promise<S3Response> {
  requireDigest(context.request.headers);
  const { quiet, objects } = parseDeleteRequest(await readDocument(context, LIMITS.deleteObjectsBytesMax.value));
  const outcomes = await Promise.all(objects.map((item) => removeOne(context, item)));
  const deleted = outcomes.filter((outcome): outcome is DeletedItem => !('code' in outcome));
  const errors = outcomes.filter((outcome): outcome is DeleteFault => 'code' in outcome);
  return {
    status: 200,
    headers: { 'content-type': 'application/xml' },
    body: deleteResult({ quiet, deleted, errors }),
  };
}

/** A damaged list of names would delete other objects: S3 insists on a digest of the document. */
function requireDigest(headers: Readonly<Record<string, string>>): void {
  const given = Object.keys(headers).some((name) => name === 'content-md5' || algorithmOfHeader(name) !== null);
  if (given || headers['x-amz-trailer'] !== undefined) return;
  throw new S3Error('InvalidRequest', 'Missing required header for this request: Content-MD5 OR x-amz-checksum-*');
}

async function removeOne(context: DatasetContext, item: DeleteItem): Promise<DeletedItem | DeleteFault> {
  const named = { key: item.key, ...(item.versionId === null ? {} : { versionId: item.versionId }) };
  try {
    requireKey(item.key);
    if (item.versionId !== null && item.versionId !== '' && item.versionId !== 'null') {
      throw new S3Error('NoSuchVersion');
    }
    if (item.lastModifiedTime !== null || item.size !== null) {
      throw new S3Error('NotImplemented', 'Conditions on LastModifiedTime and Size are not implemented');
    }
    const ifMatch = item.etag === null ? undefined : item.etag === '*' ? ('*' as const) : [item.etag];
    await removeObject(context, item.key, ifMatch ? { ifMatch } : undefined);
    return named;
  } catch (error) {
    const { code, message } = toS3Error(error);
    return { ...named, code, message };
  }
}

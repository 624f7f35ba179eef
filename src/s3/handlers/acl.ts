// GetBucketAcl, PutBucketAcl, GetObjectAcl, PutObjectAcl. A bucket's list is its document `acl`; an object's belongs to
// one version and changes in place, so its ETag and date stay. What is so by default is not stored.
import type { Store } from '../../store/types.ts';
import { isDefaultAcl, type StoredAcl } from '../access/acl.ts';
import { ACL_DOCUMENT, effectiveBucketAcl, effectiveObjectAcl, objectOwnerOf } from '../access/acl-ownership.ts';
import { requestedAcl } from '../access/acl-requests.ts';
import { S3Error } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import type { S3Response } from '../types.ts';
import { accessControlPolicy } from '../xml/acl.ts';
import type { Owner } from '../xml/results.ts';
import { readBucketDocument } from './bucket-document.ts';
import { type DatasetContext, readDocument } from './context.ts';
import { readVersionHeaders, requestedVersion, requireObject } from './version-id.ts';

const XML = { 'content-type': 'application/xml' };
/** Of a dataset that was not made by CreateBucket. */
const NO_OWNER: Owner = { id: '', displayName: '' };

export async function getBucketAcl(context: DatasetContext): Promise<S3Response> {
  const { store } = context.dataset;
  const owner = bucketOwner(store) ?? NO_OWNER;
  return { status: 200, headers: XML, body: accessControlPolicy({ owner, ...effectiveBucketAcl(store) }) };
}

export async function putBucketAcl(context: DatasetContext): Promise<S3Response> {
  const { store } = context.dataset;
  const owner = bucketOwner(store);
  const acl = await readRequest(context, 'bucket', owner);
  if (acl) await store.setDocument(ACL_DOCUMENT, isDefaultAcl(acl, owner) ? null : acl);
  return { status: 200 };
}

export async function getObjectAcl(context: DatasetContext): Promise<S3Response> {
  const { store } = context.dataset;
  const entry = requireObject(context);
  const owner = objectOwnerOf(store, entry.attributes) ?? NO_OWNER;
  const body = accessControlPolicy({ owner, ...effectiveObjectAcl(store, entry) });
  return { status: 200, headers: { ...XML, ...readVersionHeaders(store, entry) }, body };
}

export async function putObjectAcl(context: DatasetContext): Promise<S3Response> {
  const { store } = context.dataset;
  const version = requestedVersion(context);
  const entry = requireObject(context);
  const owner = objectOwnerOf(store, entry.attributes);
  const acl = await readRequest(context, 'object', owner);
  if (acl === null) return { status: 200, headers: readVersionHeaders(store, entry) };
  const permission = version === undefined ? 's3:PutObjectAcl' : 's3:PutObjectVersionAcl';
  const changed = await store.annotate({
    key: context.key,
    ...(version === undefined ? {} : { version }),
    // The current version may be another one by now: it is asked for again, and a list is its owner's.
    change(found) {
      context.authorizer.require(permission, { key: context.key, entry: found });
      if (objectOwnerOf(store, found.attributes)?.id !== owner?.id) throw new S3Error('OperationAborted');
      const { acl: _, ...kept } = found.attributes;
      return isDefaultAcl(acl, owner) ? kept : { ...kept, acl };
    },
  });
  return { status: 200, headers: readVersionHeaders(store, changed) };
}

async function readRequest(
  context: DatasetContext,
  resource: 'bucket' | 'object',
  owner: Owner | null,
): Promise<StoredAcl | null> {
  const { headers } = context.request;
  const body = await readDocument(context, LIMITS.configurationBytesMax.value);
  return requestedAcl(context.dataset.store, context.services.config(), { resource, owner, headers, body });
}

function bucketOwner(store: Store): Owner | null {
  return readBucketDocument(store)?.owner ?? null;
}

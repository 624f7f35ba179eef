// GetBucketOwnershipControls, PutBucketOwnershipControls, DeleteBucketOwnershipControls. The setting is a document of
// the bucket; what it means is in access/acl-ownership.ts.
import {
  type ObjectOwnership,
  OWNERSHIP_DOCUMENT,
  type OwnershipDocument,
  readBucketAcl,
  readOwnershipControls,
} from '../access/acl-ownership.ts';
import { S3Error } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import type { S3Response } from '../types.ts';
import { ownershipControls, parseOwnershipControls } from '../xml/ownership-controls.ts';
import { readBucketDocument } from './bucket-document.ts';
import { type DatasetContext, readDocument } from './context.ts';

const XML = { 'content-type': 'application/xml' };

export async function getBucketOwnershipControls(context: DatasetContext): Promise<S3Response> {
  const setting = readOwnershipControls(context.dataset.store);
  if (setting === null) {
    throw new S3Error('OwnershipControlsNotFoundError', undefined, { fields: { BucketName: context.bucket } });
  }
  return { status: 200, headers: XML, body: ownershipControls(setting) };
}

export async function putBucketOwnershipControls(context: DatasetContext): Promise<S3Response> {
  const setting = parseOwnershipControls(await readDocument(context, LIMITS.configurationBytesMax.value));
  if (setting === 'BucketOwnerEnforced') refuseGrantsToOthers(context);
  await store(context, setting);
  return { status: 200 };
}

/** Removing what is not there is a success. ACLs count from then on: S3 treats such a bucket as ObjectWriter. */
export async function deleteBucketOwnershipControls(context: DatasetContext): Promise<S3Response> {
  await store(context, null);
  return { status: 204 };
}

async function store(context: DatasetContext, objectOwnership: ObjectOwnership | null): Promise<void> {
  const document: OwnershipDocument = { objectOwnership };
  await context.dataset.store.setDocument(OWNERSHIP_DOCUMENT, document);
}

/** Disabling ACLs would take away what the bucket's list has given: that is to be done knowingly, by the list. */
function refuseGrantsToOthers(context: DatasetContext): void {
  const owner = readBucketDocument(context.dataset.store)?.owner.id;
  const grants = readBucketAcl(context.dataset.store)?.grants ?? [];
  if (grants.some(({ grantee }) => grantee.kind === 'group' || grantee.id !== owner)) {
    throw new S3Error('InvalidBucketAclWithObjectOwnership');
  }
}

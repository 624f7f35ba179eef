// PutBucketVersioning and GetBucketVersioning. The state is the store's, so it moves and snapshots with the dataset.
import { S3Error } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import type { S3Response } from '../types.ts';
import { versioningResult } from '../xml/results.ts';
import { parseVersioningRequest } from '../xml/versioning.ts';
import { type DatasetContext, readDocument } from './context.ts';
import { readLockDocument } from './lock-rules.ts';
import { inOrder } from './settings-order.ts';

export async function putBucketVersioning(context: DatasetContext): Promise<S3Response> {
  const request = parseVersioningRequest(await readDocument(context, LIMITS.configurationBytesMax.value));
  // There are no MFA devices here, and S3 refuses a change of it without one.
  if (request.mfaDelete) throw new S3Error('AccessDenied', 'Mfa Authentication must be performed for this request');
  const { store } = context.dataset;
  await inOrder(context, async () => {
    if (request.status === 'Suspended' && readLockDocument(store)) {
      throw new S3Error(
        'InvalidBucketState',
        'An Object Lock configuration is present on this bucket, so the versioning state cannot be changed.',
      );
    }
    await store.setVersioning(request.status === 'Enabled' ? 'enabled' : 'suspended');
  });
  return { status: 200 };
}

const STATUS = { off: null, enabled: 'Enabled', suspended: 'Suspended' } as const;

export async function getBucketVersioning(context: DatasetContext): Promise<S3Response> {
  const body = versioningResult(STATUS[context.dataset.store.versioning()]);
  return { status: 200, headers: { 'content-type': 'application/xml' }, body };
}

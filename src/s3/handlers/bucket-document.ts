// The `bucket` document: what a bucket says about itself, kept inside its own dataset so that it moves with it.
// Pure. Stored data: fields may be added, never change meaning.
import type { Store } from '../../store/types.ts';
import { S3Error } from '../errors.ts';
import type { Identity } from '../types.ts';
import type { Owner } from '../xml/results.ts';

export const BUCKET_DOCUMENT = 'bucket';

export interface BucketDocument {
  readonly owner: Owner;
  readonly region: string;
  /** Of the owner; absent in documents of earlier releases. */
  readonly account?: string;
}

export function bucketDocument(identity: Identity, region: string): BucketDocument {
  return { owner: ownerOf(identity), region, account: identity.account };
}

export function ownerOf(identity: Identity): Owner {
  return { id: identity.canonicalId, displayName: identity.displayName };
}

/** null for a dataset that was not made by CreateBucket. */
export function readBucketDocument(store: Store): BucketDocument | null {
  return parseBucketDocument(store.document(BUCKET_DOCUMENT));
}

export function parseBucketDocument(value: unknown): BucketDocument | null {
  if (typeof value !== 'object' || value === null) return null;
  const { owner, region, account } = value as Partial<BucketDocument>;
  if (typeof owner?.id !== 'string' || typeof owner.displayName !== 'string') return null;
  return {
    owner: { id: owner.id, displayName: owner.displayName },
    region: typeof region === 'string' ? region : '',
    ...(typeof account === 'string' && account !== '' ? { account } : {}),
  };
}

/** x-amz-expected-bucket-owner, an account or a canonical id: who cannot be proven to be the expected owner is not. */
export function checkExpectedOwner(document: BucketDocument | null, expected: string | undefined): void {
  if (expected === undefined || document?.owner.id === expected) return;
  if (expected === '' || document?.account !== expected) throw new S3Error('AccessDenied');
}

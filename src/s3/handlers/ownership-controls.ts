// GetBucketOwnershipControls, PutBucketOwnershipControls, DeleteBucketOwnershipControls.
import { S3Error } from '../errors.ts';
import type { S3Response } from '../types.ts';
import type { DatasetContext } from './context.ts';

export async function getBucketOwnershipControls(_context: DatasetContext): Promise<S3Response> {
  throw new S3Error('NotImplemented');
}

export async function putBucketOwnershipControls(_context: DatasetContext): Promise<S3Response> {
  throw new S3Error('NotImplemented');
}

export async function deleteBucketOwnershipControls(_context: DatasetContext): Promise<S3Response> {
  throw new S3Error('NotImplemented');
}

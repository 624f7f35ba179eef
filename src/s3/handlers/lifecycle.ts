// GetBucketLifecycleConfiguration, PutBucketLifecycleConfiguration, DeleteBucketLifecycle.
import { S3Error } from '../errors.ts';
import type { S3Response } from '../types.ts';
import type { DatasetContext } from './context.ts';

export async function getBucketLifecycleConfiguration(_context: DatasetContext): Promise<S3Response> {
  throw new S3Error('NotImplemented');
}

export async function putBucketLifecycleConfiguration(_context: DatasetContext): Promise<S3Response> {
  throw new S3Error('NotImplemented');
}

export async function deleteBucketLifecycle(_context: DatasetContext): Promise<S3Response> {
  throw new S3Error('NotImplemented');
}

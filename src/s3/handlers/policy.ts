// GetBucketPolicy, PutBucketPolicy, DeleteBucketPolicy, GetBucketPolicyStatus.
import { S3Error } from '../errors.ts';
import type { S3Response } from '../types.ts';
import type { DatasetContext } from './context.ts';

export async function getBucketPolicy(_context: DatasetContext): Promise<S3Response> {
  throw new S3Error('NotImplemented');
}

export async function putBucketPolicy(_context: DatasetContext): Promise<S3Response> {
  throw new S3Error('NotImplemented');
}

export async function deleteBucketPolicy(_context: DatasetContext): Promise<S3Response> {
  throw new S3Error('NotImplemented');
}

export async function getBucketPolicyStatus(_context: DatasetContext): Promise<S3Response> {
  throw new S3Error('NotImplemented');
}

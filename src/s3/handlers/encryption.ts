// GetBucketEncryption, PutBucketEncryption, DeleteBucketEncryption.
import { S3Error } from '../errors.ts';
import type { S3Response } from '../types.ts';
import type { DatasetContext } from './context.ts';

export async function getBucketEncryption(_context: DatasetContext): Promise<S3Response> {
  throw new S3Error('NotImplemented');
}

export async function putBucketEncryption(_context: DatasetContext): Promise<S3Response> {
  throw new S3Error('NotImplemented');
}

export async function deleteBucketEncryption(_context: DatasetContext): Promise<S3Response> {
  throw new S3Error('NotImplemented');
}

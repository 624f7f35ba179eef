// GetBucketAcl, PutBucketAcl, GetObjectAcl, PutObjectAcl.
import { S3Error } from '../errors.ts';
import type { S3Response } from '../types.ts';
import type { DatasetContext } from './context.ts';

export async function getBucketAcl(_context: DatasetContext): Promise<S3Response> {
  throw new S3Error('NotImplemented');
}

export async function putBucketAcl(_context: DatasetContext): Promise<S3Response> {
  throw new S3Error('NotImplemented');
}

export async function getObjectAcl(_context: DatasetContext): Promise<S3Response> {
  throw new S3Error('NotImplemented');
}

export async function putObjectAcl(_context: DatasetContext): Promise<S3Response> {
  throw new S3Error('NotImplemented');
}

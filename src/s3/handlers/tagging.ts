// Tags of buckets and objects.
import { S3Error } from '../errors.ts';
import type { S3Response } from '../types.ts';
import type { DatasetContext } from './context.ts';

export async function getBucketTagging(_context: DatasetContext): Promise<S3Response> {
  throw new S3Error('NotImplemented');
}

export async function putBucketTagging(_context: DatasetContext): Promise<S3Response> {
  throw new S3Error('NotImplemented');
}

export async function deleteBucketTagging(_context: DatasetContext): Promise<S3Response> {
  throw new S3Error('NotImplemented');
}

export async function getObjectTagging(_context: DatasetContext): Promise<S3Response> {
  throw new S3Error('NotImplemented');
}

export async function putObjectTagging(_context: DatasetContext): Promise<S3Response> {
  throw new S3Error('NotImplemented');
}

export async function deleteObjectTagging(_context: DatasetContext): Promise<S3Response> {
  throw new S3Error('NotImplemented');
}

// GetObjectLockConfiguration, PutObjectLockConfiguration; retention and legal hold of objects.
import { S3Error } from '../errors.ts';
import type { S3Response } from '../types.ts';
import type { DatasetContext } from './context.ts';

export async function getObjectLockConfiguration(_context: DatasetContext): Promise<S3Response> {
  throw new S3Error('NotImplemented');
}

export async function putObjectLockConfiguration(_context: DatasetContext): Promise<S3Response> {
  throw new S3Error('NotImplemented');
}

export async function getObjectRetention(_context: DatasetContext): Promise<S3Response> {
  throw new S3Error('NotImplemented');
}

export async function putObjectRetention(_context: DatasetContext): Promise<S3Response> {
  throw new S3Error('NotImplemented');
}

export async function getObjectLegalHold(_context: DatasetContext): Promise<S3Response> {
  throw new S3Error('NotImplemented');
}

export async function putObjectLegalHold(_context: DatasetContext): Promise<S3Response> {
  throw new S3Error('NotImplemented');
}

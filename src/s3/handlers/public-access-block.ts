// GetPublicAccessBlock, PutPublicAccessBlock, DeletePublicAccessBlock.
import { S3Error } from '../errors.ts';
import type { S3Response } from '../types.ts';
import type { DatasetContext } from './context.ts';

export async function getPublicAccessBlock(_context: DatasetContext): Promise<S3Response> {
  throw new S3Error('NotImplemented');
}

export async function putPublicAccessBlock(_context: DatasetContext): Promise<S3Response> {
  throw new S3Error('NotImplemented');
}

export async function deletePublicAccessBlock(_context: DatasetContext): Promise<S3Response> {
  throw new S3Error('NotImplemented');
}

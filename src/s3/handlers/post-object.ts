// PostObject: an upload by a browser form. Its credentials, policy and fields come in the body.
import { S3Error } from '../errors.ts';
import type { S3Response } from '../types.ts';
import type { DatasetContext } from './context.ts';

export async function postObject(_context: DatasetContext): Promise<S3Response> {
  throw new S3Error('NotImplemented');
}

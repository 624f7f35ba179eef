// OptionsObject: the preflight request of a browser. Comes without credentials; answered from the bucket's CORS rules.
import { S3Error } from '../errors.ts';
import type { S3Response } from '../types.ts';
import type { DatasetContext } from './context.ts';

export async function optionsObject(_context: DatasetContext): Promise<S3Response> {
  throw new S3Error('NotImplemented');
}

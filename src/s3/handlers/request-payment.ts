// GetBucketRequestPayment: the owner of a bucket pays, always. PutBucketRequestPayment is not built.
import type { S3Response } from '../types.ts';
import { document, leaf, S3_NAMESPACE } from '../xml/writer.ts';
import type { DatasetContext } from './context.ts';

export async function getBucketRequestPayment(_context: DatasetContext): Promise<S3Response> {
  const body = document('RequestPaymentConfiguration', S3_NAMESPACE, leaf('Payer', 'BucketOwner'));
  return { status: 200, headers: { 'content-type': 'application/xml' }, body };
}

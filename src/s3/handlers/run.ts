// Runs a handler on the dataset that it was let into, with what holds for every operation alike: encryption headers are
// checked before and reported after, and a body that the dataset has no room for is refused before it is sent.
import type { S3Response } from '../types.ts';
import type { DatasetContext, HandlerRow } from './context.ts';
import { checkEncryptionHeaders, withEncryptionReported } from './encryption.ts';

type DatasetRow = Exclude<HandlerRow, { readonly gate: 'none' }>;

export async function runOnDataset(row: DatasetRow, context: DatasetContext): Promise<S3Response> {
  const { operation, headers } = context.request;
  const encrypted = context.dataset.encrypted === true;
  checkEncryptionHeaders(operation, headers, encrypted);
  if (operation === 'PutObject' || operation === 'UploadPart') await requireRoom(context);
  return withEncryptionReported(operation, await row.run(context), encrypted);
}

/** What does not fit in the end is refused by the store; a length that is no number is the body reader's to refuse. */
async function requireRoom({ dataset, request }: DatasetContext): Promise<void> {
  const text = request.headers['x-amz-decoded-content-length'] ?? request.headers['content-length'] ?? '';
  if (/^\d{1,15}$/.test(text)) await dataset.requireRoom?.(Number(text));
}

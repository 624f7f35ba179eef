// GetPublicAccessBlock, PutPublicAccessBlock, DeletePublicAccessBlock. What the flags do is in docs/ACCESS.md.
import {
  PUBLIC_ACCESS_BLOCK_DOCUMENT,
  type PublicAccessBlock,
  readPublicAccessBlock,
} from '../access/public-access-block.ts';
import { S3Error } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import type { S3Response } from '../types.ts';
import { parsePublicAccessBlock, publicAccessBlock } from '../xml/public-access.ts';
import { type DatasetContext, readDocument } from './context.ts';

const XML = { 'content-type': 'application/xml' };

export async function getPublicAccessBlock(context: DatasetContext): Promise<S3Response> {
  const block = readPublicAccessBlock(context.dataset.store);
  if (block === null) {
    throw new S3Error('NoSuchPublicAccessBlockConfiguration', undefined, { fields: { BucketName: context.bucket } });
  }
  return { status: 200, headers: XML, body: publicAccessBlock(block) };
}

export async function putPublicAccessBlock(context: DatasetContext): Promise<S3Response> {
  const body = await readDocument(context, LIMITS.configurationBytesMax.value);
  const block: PublicAccessBlock = parsePublicAccessBlock(body);
  await context.dataset.store.setDocument(PUBLIC_ACCESS_BLOCK_DOCUMENT, block);
  return { status: 200 };
}

/** Removing what is not there is a success. */
export async function deletePublicAccessBlock(context: DatasetContext): Promise<S3Response> {
  await context.dataset.store.setDocument(PUBLIC_ACCESS_BLOCK_DOCUMENT, undefined);
  return { status: 204 };
}

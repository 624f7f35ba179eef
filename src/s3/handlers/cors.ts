// GetBucketCors, PutBucketCors, DeleteBucketCors. The rules are applied by ../cors/announce.ts and preflight.ts.
import { readCorsRules } from '../cors/announce.ts';
import { CORS_DOCUMENT, corsDocument } from '../cors/rules.ts';
import { S3Error } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import type { S3Response } from '../types.ts';
import { corsConfigurationResult, parseCorsConfiguration } from '../xml/cors.ts';
import { type DatasetContext, readDocument } from './context.ts';

export async function getBucketCors(context: DatasetContext): Promise<S3Response> {
  const rules = readCorsRules(context.dataset.store);
  if (rules.length === 0) {
    throw new S3Error('NoSuchCORSConfiguration', undefined, { fields: { BucketName: context.bucket } });
  }
  return { status: 200, headers: { 'content-type': 'application/xml' }, body: corsConfigurationResult(rules) };
}

export async function putBucketCors(context: DatasetContext): Promise<S3Response> {
  const rules = parseCorsConfiguration(await readDocument(context, LIMITS.configurationBytesMax.value));
  await context.dataset.store.setDocument(CORS_DOCUMENT, corsDocument(rules));
  return { status: 200, body: '' };
}

export async function deleteBucketCors(context: DatasetContext): Promise<S3Response> {
  await context.dataset.store.setDocument(CORS_DOCUMENT, null);
  return { status: 204 };
}

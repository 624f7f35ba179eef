// GetBucketLifecycleConfiguration, PutBucketLifecycleConfiguration, DeleteBucketLifecycle. The rules are carried out by
// lifecycle/worker.ts, which hears of every change.
import { S3Error } from '../errors.ts';
import { LIFECYCLE_DOCUMENT, type LifecycleDocument, readLifecycle } from '../lifecycle/configuration.ts';
import { checkRules, readTransitionMinimum } from '../lifecycle/validation.ts';
import { LIMITS } from '../limits.ts';
import type { S3Response } from '../types.ts';
import { lifecycleResult, parseLifecycle } from '../xml/lifecycle.ts';
import { requireDigest } from './body-digest.ts';
import { type DatasetContext, readDocument } from './context.ts';

const MINIMUM_HEADER = 'x-amz-transition-default-minimum-object-size';

export async function getBucketLifecycleConfiguration(context: DatasetContext): Promise<S3Response> {
  const document = readLifecycle(context.dataset.store);
  if (!document)
    throw new S3Error('NoSuchLifecycleConfiguration', undefined, { fields: { BucketName: context.bucket } });
  return {
    status: 200,
    headers: { 'content-type': 'application/xml', [MINIMUM_HEADER]: document.transitionMinimum },
    body: lifecycleResult(document),
  };
}

/** Takes the place of all rules that were there. */
export async function putBucketLifecycleConfiguration(context: DatasetContext): Promise<S3Response> {
  const { headers } = context.request;
  requireDigest(headers);
  const transitionMinimum = readTransitionMinimum(headers[MINIMUM_HEADER]);
  const rules = parseLifecycle(await readDocument(context, LIMITS.lifecycleBytesMax.value));
  checkRules(rules);
  const document: LifecycleDocument = { rules, transitionMinimum };
  await context.dataset.store.setDocument(LIFECYCLE_DOCUMENT, document);
  context.services.lifecycle?.changed(context.bucket);
  return { status: 200, headers: { [MINIMUM_HEADER]: transitionMinimum } };
}

export async function deleteBucketLifecycle(context: DatasetContext): Promise<S3Response> {
  await context.dataset.store.setDocument(LIFECYCLE_DOCUMENT, undefined);
  context.services.lifecycle?.changed(context.bucket);
  return { status: 204 };
}

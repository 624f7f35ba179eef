// GetBucketPolicy, PutBucketPolicy, DeleteBucketPolicy, GetBucketPolicyStatus. A policy is kept as the text that was sent,
// and only once it has been understood.

import { isPublicAcl } from '../access/acl.ts';
import { effectiveBucketAcl } from '../access/acl-ownership.ts';
import { evaluatePolicy, type Policy } from '../access/policy.ts';
import { POLICY_DOCUMENT, type PolicyDocument, readPolicy, readPolicyText } from '../access/policy-document.ts';
import { parsePolicy } from '../access/policy-parser.ts';
import { readPublicAccessBlock } from '../access/public-access-block.ts';
import { isPublicPolicy } from '../access/public-policy.ts';
import { S3Error } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import type { S3Response } from '../types.ts';
import { policyStatus } from '../xml/public-access.ts';
import { type DatasetContext, readDocument } from './context.ts';

const XML = { 'content-type': 'application/xml' };
const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

export async function getBucketPolicy(context: DatasetContext): Promise<S3Response> {
  const text = readPolicyText(context.dataset.store);
  if (text === null) throw noPolicy(context);
  return { status: 200, headers: { 'content-type': 'application/json' }, body: text };
}

export async function putBucketPolicy(context: DatasetContext): Promise<S3Response> {
  const { store } = context.dataset;
  const text = decode(await readDocument(context, LIMITS.policyBytesMax.value));
  const policy = parsePolicy(text, context.bucket);
  if (isPublicPolicy(policy) && readPublicAccessBlock(store)?.blockPublicPolicy) {
    throw new S3Error(
      'AccessDenied',
      'The public access block of this bucket (BlockPublicPolicy) does not allow a public policy.',
    );
  }
  refuseLockingOneselfOut(context, policy);
  const document: PolicyDocument = { text };
  await store.setDocument(POLICY_DOCUMENT, document);
  return { status: 204 };
}

/** The owner cannot be locked out; somebody to whom a policy gave the right can take it from himself, knowingly. */
function refuseLockingOneselfOut(context: DatasetContext, policy: Policy): void {
  const { authorizer, bucket, request } = context;
  if (authorizer.isOwner || request.headers['x-amz-confirm-remove-self-bucket-access']?.toLowerCase() === 'true')
    return;
  const question = { identity: authorizer.identity, action: 's3:PutBucketPolicy', resource: bucket };
  if (evaluatePolicy(policy, { ...question, lookup: () => undefined }) !== 'deny') return;
  throw new S3Error(
    'AccessDenied',
    'This policy would not let you change it again. Confirm with x-amz-confirm-remove-self-bucket-access: true.',
  );
}

function decode(body: Buffer): string {
  try {
    return UTF8.decode(body);
  } catch (cause) {
    throw new S3Error('MalformedPolicy', "Policies must be valid JSON and the first byte must be '{'", { cause });
  }
}

/** Removing what is not there is a success. */
export async function deleteBucketPolicy(context: DatasetContext): Promise<S3Response> {
  await context.dataset.store.setDocument(POLICY_DOCUMENT, undefined);
  return { status: 204 };
}

/** Whether the bucket is public: by its policy, or by its list where lists count. */
export async function getBucketPolicyStatus(context: DatasetContext): Promise<S3Response> {
  const { store } = context.dataset;
  const policy = readPolicy(store, context.bucket);
  const byAcl = !readPublicAccessBlock(store)?.ignorePublicAcls && isPublicAcl(effectiveBucketAcl(store));
  const isPublic = (policy !== null && isPublicPolicy(policy)) || byAcl;
  return { status: 200, headers: XML, body: policyStatus(isPublic) };
}

function noPolicy(context: DatasetContext): S3Error {
  return new S3Error('NoSuchBucketPolicy', undefined, { fields: { BucketName: context.bucket } });
}

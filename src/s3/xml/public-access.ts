// The documents of the public access block and of GetBucketPolicyStatus. Pure.
import type { PublicAccessBlock } from '../access/public-access-block.ts';
import { S3Error } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import { childText, parseXml, requireRoot, type XmlElement } from './reader.ts';
import { document, leaf, S3_NAMESPACE } from './writer.ts';

const ROOT = 'PublicAccessBlockConfiguration';
const FLAGS = ['BlockPublicAcls', 'IgnorePublicAcls', 'BlockPublicPolicy', 'RestrictPublicBuckets'];

export function publicAccessBlock(block: PublicAccessBlock): string {
  return document(
    ROOT,
    S3_NAMESPACE,
    leaf('BlockPublicAcls', block.blockPublicAcls),
    leaf('IgnorePublicAcls', block.ignorePublicAcls),
    leaf('BlockPublicPolicy', block.blockPublicPolicy),
    leaf('RestrictPublicBuckets', block.restrictPublicBuckets),
  );
}

/** A flag that is left out is off. */
export function parsePublicAccessBlock(body: Buffer): PublicAccessBlock {
  const root = parseXml(body, LIMITS.configurationBytesMax.value);
  requireRoot(root, ROOT);
  if (root.children.some((child) => !FLAGS.includes(child.name))) throw new S3Error('MalformedXML');
  return {
    blockPublicAcls: flag(root, 'BlockPublicAcls'),
    ignorePublicAcls: flag(root, 'IgnorePublicAcls'),
    blockPublicPolicy: flag(root, 'BlockPublicPolicy'),
    restrictPublicBuckets: flag(root, 'RestrictPublicBuckets'),
  };
}

function flag(root: XmlElement, name: string): boolean {
  const text = childText(root, name)?.trim().toLowerCase();
  if (text === undefined || text === 'false') return false;
  if (text === 'true') return true;
  throw new S3Error('MalformedXML');
}

/** In lower case, which is all that boto3 takes for true; the API reference's example has TRUE. */
export function policyStatus(isPublic: boolean): string {
  return document('PolicyStatus', S3_NAMESPACE, leaf('IsPublic', isPublic));
}

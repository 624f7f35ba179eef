// The ServerSideEncryptionConfiguration document. Pure.
import { S3Error } from '../errors.ts';
import { childrenOf, childText, parseXml, requireRoot } from './reader.ts';
import { document, leaf, node, S3_NAMESPACE } from './writer.ts';

const ROOT = 'ServerSideEncryptionConfiguration';
const DEFAULT = 'ApplyServerSideEncryptionByDefault';

export function encryptionConfiguration(): string {
  return document(
    ROOT,
    S3_NAMESPACE,
    node('Rule', node(DEFAULT, leaf('SSEAlgorithm', 'AES256')), leaf('BucketKeyEnabled', false)),
  );
}

/** The algorithm that is asked for. Errors: MalformedXML; InvalidArgument for a key beside AES256, as S3 words it. */
export function parseEncryptionConfiguration(body: Buffer, bytesMax: number): string {
  const root = parseXml(body, bytesMax);
  requireRoot(root, ROOT);
  const [rule, ...otherRules] = childrenOf(root, 'Rule');
  const [byDefault, ...others] = rule ? childrenOf(rule, DEFAULT) : [];
  const algorithm = byDefault && childText(byDefault, 'SSEAlgorithm')?.trim();
  if (!algorithm || otherRules.length > 0 || others.length > 0) throw new S3Error('MalformedXML');
  if (algorithm === 'AES256' && childText(byDefault, 'KMSMasterKeyID')) {
    throw new S3Error(
      'InvalidArgument',
      'a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms',
    );
  }
  return algorithm;
}

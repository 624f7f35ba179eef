// OwnershipControls: one rule with one setting, in and out. Pure.
import { isObjectOwnership, type ObjectOwnership } from '../access/acl-ownership.ts';
import { S3Error } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import { childrenOf, childText, parseXml, requireRoot } from './reader.ts';
import { document, leaf, node, S3_NAMESPACE } from './writer.ts';

export function ownershipControls(setting: ObjectOwnership): string {
  return document('OwnershipControls', S3_NAMESPACE, node('Rule', leaf('ObjectOwnership', setting)));
}

export function parseOwnershipControls(body: Buffer): ObjectOwnership {
  const root = parseXml(body, LIMITS.configurationBytesMax.value);
  requireRoot(root, 'OwnershipControls');
  const [rule, second] = childrenOf(root, 'Rule');
  if (rule === undefined || second !== undefined) throw new S3Error('MalformedXML');
  const setting = childText(rule, 'ObjectOwnership')?.trim();
  if (!isObjectOwnership(setting)) throw new S3Error('MalformedXML');
  return setting;
}

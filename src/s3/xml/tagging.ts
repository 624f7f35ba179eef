// The Tagging document, read and written, and the tags in CreateBucketConfiguration. Shape only: which tags are valid is
// handlers/tags.ts.
import { S3Error } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import { childrenOf, childText, parseXml, requireRoot, type XmlElement } from './reader.ts';
import { document, leaf, node, S3_NAMESPACE } from './writer.ts';

export interface TagElement {
  readonly key: string;
  readonly value: string;
}

export function parseTagging(body: Buffer): TagElement[] {
  const root = parseXml(body, LIMITS.configurationBytesMax.value);
  requireRoot(root, 'Tagging');
  const [set, second] = childrenOf(root, 'TagSet');
  if (set === undefined || second !== undefined || root.children.length !== 1) throw new S3Error('MalformedXML');
  return parseTagSet(set);
}

/** The children of a TagSet, or of CreateBucketConfiguration/Tags. */
export function parseTagSet(set: XmlElement): TagElement[] {
  return set.children.map((tag) => {
    const key = childText(tag, 'Key');
    const value = childText(tag, 'Value');
    if (tag.name !== 'Tag' || key === undefined || value === undefined) throw new S3Error('MalformedXML');
    return { key, value };
  });
}

export function taggingResult(tags: readonly TagElement[]): string {
  const set = tags.map(({ key, value }) => node('Tag', leaf('Key', key), leaf('Value', value)));
  return document('Tagging', S3_NAMESPACE, node('TagSet', ...set));
}

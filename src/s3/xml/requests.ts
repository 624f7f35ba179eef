// The documents that clients send, as typed values: DeleteObjects, CompleteMultipartUpload, CreateBucket.
// Shape and number of elements are judged here (MalformedXML); what they mean (order of parts, does the key exist)
// is the handlers'. A part of a document that is not built is NotImplemented, never dropped in silence.
import { invalidArgument, S3Error } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import { CHECKSUM_ALGORITHMS, type ChecksumAlgorithm } from '../payload/checksums.ts';
import { childrenOf, childText, parseXml, requireRoot, type XmlElement } from './reader.ts';
import { parseTagSet, type TagElement } from './tagging.ts';

export interface DeleteItem {
  readonly key: string;
  readonly versionId: string | null;
  /** Conditions of a conditional delete, as sent; ETag without quotes. */
  readonly etag: string | null;
  readonly lastModifiedTime: string | null;
  readonly size: number | null;
}

export interface DeleteRequest {
  readonly quiet: boolean;
  readonly objects: readonly DeleteItem[];
}

export function parseDeleteRequest(body: Buffer): DeleteRequest {
  const root = parseXml(body, LIMITS.deleteObjectsBytesMax.value);
  requireRoot(root, 'Delete');
  const items = childrenOf(root, 'Object');
  if (items.length === 0 || items.length > LIMITS.deleteObjectsKeysMax.value) throw new S3Error('MalformedXML');
  const quiet = childText(root, 'Quiet')?.trim();
  return { quiet: quiet?.toLowerCase() === 'true', objects: items.map(deleteItem) };
}

function deleteItem(element: XmlElement): DeleteItem {
  const key = childText(element, 'Key');
  if (key === undefined || key === '') throw new S3Error('MalformedXML');
  const etag = childText(element, 'ETag');
  const size = childText(element, 'Size')?.trim();
  if (size !== undefined && !/^\d{1,15}$/.test(size)) throw new S3Error('MalformedXML');
  return {
    key,
    versionId: childText(element, 'VersionId') ?? null,
    etag: etag === undefined ? null : unquoted(etag),
    lastModifiedTime: childText(element, 'LastModifiedTime') ?? null,
    size: size === undefined ? null : Number(size),
  };
}

export interface CompletedPart {
  readonly number: number;
  /** Without quotes. */
  readonly etag: string;
  /** As sent, base64. */
  readonly checksums: readonly { readonly algorithm: ChecksumAlgorithm; readonly value: string }[];
}

/** In the order of the document; the order and the numbers' being unique are checked where the parts are known. */
export function parseCompleteRequest(body: Buffer): readonly CompletedPart[] {
  const root = parseXml(body, LIMITS.completeUploadBytesMax.value);
  requireRoot(root, 'CompleteMultipartUpload');
  const parts = childrenOf(root, 'Part');
  if (parts.length === 0 || parts.length > LIMITS.partNumberMax.value) throw new S3Error('MalformedXML');
  return parts.map(completedPart);
}

function completedPart(element: XmlElement): CompletedPart {
  const text = childText(element, 'PartNumber')?.trim();
  const etag = childText(element, 'ETag')?.trim();
  if (text === undefined || etag === undefined || !/^-?\d{1,9}$/.test(text)) throw new S3Error('MalformedXML');
  const number = Number(text);
  if (number < 1) throw invalidArgument('PartNumber must be >= 1', 'PartNumber', text);
  if (number > LIMITS.partNumberMax.value) throw invalidArgument('PartNumber must be <= 10000', 'PartNumber', text);
  const checksums = CHECKSUM_ALGORITHMS.flatMap((algorithm) => {
    const value = childText(element, `Checksum${algorithm}`)?.trim();
    return value === undefined || value === '' ? [] : [{ algorithm, value }];
  });
  return { number, etag: unquoted(etag), checksums };
}

export interface CreateBucketRequest {
  /** null when the document, or the body as a whole, names none. */
  readonly locationConstraint: string | null;
  readonly tags: readonly TagElement[];
}

export function parseCreateBucketRequest(body: Buffer): CreateBucketRequest {
  if (body.length === 0) return { locationConstraint: null, tags: [] };
  const root = parseXml(body, LIMITS.configurationBytesMax.value);
  // Old clients send the root under both names.
  if (root.name !== 'CreateBucketConfiguration' && root.name !== 'CreateBucketConstraint') {
    throw new S3Error('MalformedXML');
  }
  for (const name of ['Location', 'Bucket']) {
    const child = childrenOf(root, name)[0];
    if (child !== undefined && child.children.length > 0) {
      throw new S3Error('NotImplemented', `${name} in CreateBucketConfiguration is not implemented.`);
    }
  }
  const constraint = childText(root, 'LocationConstraint')?.trim();
  const [tags, second] = childrenOf(root, 'Tags');
  if (second !== undefined) throw new S3Error('MalformedXML');
  return {
    locationConstraint: constraint === undefined || constraint === '' ? null : constraint,
    tags: tags === undefined ? [] : parseTagSet(tags),
  };
}

export function unquoted(etag: string): string {
  return etag.length >= 2 && etag.startsWith('"') && etag.endsWith('"') ? etag.slice(1, -1) : etag;
}

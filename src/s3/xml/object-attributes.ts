// The document of GetObjectAttributes. Pure. ETags have no quotes here, unlike everywhere else in S3.
// Source: Amazon S3 API Reference, GetObjectAttributes; the count of parts is `PartsCount` on the wire (SDK models).
import type { ChecksumType } from '../payload/checksums.ts';
import { document, leaf, node, S3_NAMESPACE } from './writer.ts';

export interface AttributesPart {
  readonly number: number;
  readonly size: number;
  readonly checksum: string | null;
}

export interface AttributesResult {
  readonly etag: string | null;
  readonly checksum: { readonly algorithm: string; readonly value: string; readonly type: ChecksumType } | null;
  readonly parts: {
    readonly count: number;
    readonly marker: number;
    readonly next: number | null;
    readonly max: number;
    readonly truncated: boolean;
    /** Algorithm of the parts' checksums. */
    readonly algorithm: string | null;
    readonly page: readonly AttributesPart[];
  } | null;
  readonly storageClass: string | null;
  readonly size: number | null;
}

export function objectAttributesResult(result: AttributesResult): string {
  const { checksum, parts } = result;
  return document(
    'GetObjectAttributesResponse',
    S3_NAMESPACE,
    leaf('ETag', result.etag),
    checksum === null
      ? ''
      : node('Checksum', leaf(`Checksum${checksum.algorithm}`, checksum.value), leaf('ChecksumType', checksum.type)),
    parts === null ? '' : partsElement(parts),
    leaf('StorageClass', result.storageClass),
    leaf('ObjectSize', result.size),
  );
}

function partsElement(parts: NonNullable<AttributesResult['parts']>): string {
  const page = parts.page.map((part) =>
    node(
      'Part',
      leaf('PartNumber', part.number),
      leaf('Size', part.size),
      parts.algorithm === null ? '' : leaf(`Checksum${parts.algorithm}`, part.checksum),
    ),
  );
  return node(
    'ObjectParts',
    leaf('PartsCount', parts.count),
    leaf('PartNumberMarker', parts.marker),
    leaf('NextPartNumberMarker', parts.next),
    leaf('MaxParts', parts.max),
    leaf('IsTruncated', parts.truncated),
    ...page,
  );
}

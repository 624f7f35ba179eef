// GetObjectAttributes: what HeadObject says and the parts, as a document, without the bytes.
import type { ObjectEntry } from '../../store/types.ts';
import { invalidArgument, S3Error } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import type { S3Response } from '../types.ts';
import { type AttributesResult, objectAttributesResult } from '../xml/object-attributes.ts';
import { storedAttributes } from './attributes.ts';
import { type DatasetContext, httpDate } from './context.ts';
import { readVersionHeaders, requireObject } from './version-id.ts';

const NAMES = ['ETag', 'Checksum', 'ObjectParts', 'StorageClass', 'ObjectSize'] as const;
type AttributeName = (typeof NAMES)[number];

export async function getObjectAttributes(context: DatasetContext): Promise<S3Response> {
  const wanted = readNames(context.request.headers['x-amz-object-attributes']);
  const entry = requireObject(context);
  const { checksum, storageClass } = storedAttributes(entry.attributes);
  const has = (name: AttributeName) => wanted.has(name);
  const body = objectAttributesResult({
    etag: has('ETag') ? entry.etag : null,
    checksum: has('Checksum') ? (checksum ?? null) : null,
    parts: has('ObjectParts') && entry.partSizes ? partsPage(context, entry, entry.partSizes) : null,
    storageClass: has('StorageClass') ? (storageClass ?? 'STANDARD') : null,
    size: has('ObjectSize') ? entry.size : null,
  });
  const headers = {
    'content-type': 'application/xml',
    'last-modified': httpDate(entry.modifiedMs),
    ...readVersionHeaders(context.dataset.store, entry),
  };
  return { status: 200, headers, body };
}

function readNames(header: string | undefined): ReadonlySet<AttributeName> {
  const names = (header ?? '').split(',').map((name) => name.trim());
  const known = names.filter((name): name is AttributeName => (NAMES as readonly string[]).includes(name));
  if (known.length > 0 && known.length === names.length) return new Set(known);
  throw invalidArgument('Invalid attribute name specified.', 'x-amz-object-attributes', header ?? '');
}

function partsPage(
  context: DatasetContext,
  entry: ObjectEntry,
  sizes: readonly number[],
): NonNullable<AttributesResult['parts']> {
  const { headers } = context.request;
  const max = Math.min(readNumber(headers, 'x-amz-max-parts', LIMITS.listPartsMax.value), LIMITS.listPartsMax.value);
  const marker = readNumber(headers, 'x-amz-part-number-marker', 0);
  const { checksum, partChecksums } = storedAttributes(entry.attributes);
  const page = sizes.slice(marker, marker + max).map((size, index) => ({
    number: marker + index + 1,
    size,
    checksum: partChecksums?.[marker + index] ?? null,
  }));
  const end = marker + page.length;
  return {
    count: sizes.length,
    marker,
    next: page.length > 0 ? end : null,
    max,
    truncated: page.length > 0 && end < sizes.length,
    algorithm: checksum?.algorithm ?? null,
    page,
  };
}

function readNumber(headers: Readonly<Record<string, string>>, name: string, absent: number): number {
  const text = headers[name];
  if (text === undefined) return absent;
  if (!/^\d{1,9}$/.test(text)) throw new S3Error('InvalidArgument', `${name} must be an integer`);
  return Number(text);
}

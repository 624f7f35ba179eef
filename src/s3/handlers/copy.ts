// CopyObject and UploadPartCopy. Inside one dataset CopyObject moves no bytes; from another dataset, here or at another
// node, the bytes stream through and are written, hashed and checked like an upload.
import { createHash } from 'node:crypto';
import { isZringError, ZringError } from '../../common/errors.ts';
import type { Blob, ObjectEntry, WriteCondition } from '../../store/types.ts';
import { S3Error } from '../errors.ts';
import { expirationHeaders } from '../lifecycle/headers.ts';
import { LIMITS } from '../limits.ts';
import { type ChecksumAlgorithm, createHasher } from '../payload/checksums.ts';
import type { S3Response } from '../types.ts';
import { copyObjectResult, copyPartResult } from '../xml/results.ts';
import { type ObjectAttributes, type StoredChecksum, storedAttributes, toBag } from './attributes.ts';
import { writeBlob } from './body.ts';
import { checkExpectedOwner } from './bucket-document.ts';
import { copySourceConditions, evaluateCopySource } from './conditions.ts';
import { type DatasetContext, wireHeaders } from './context.ts';
import { type ByteRange, type CopySource, openCopySource, parseCopySource, type SourceName } from './copy-source.ts';
import { requirePartNumber, requireUpload, uploadAlgorithm } from './multipart.ts';
import { requestedAlgorithm } from './multipart-checksum.ts';
import { lockedByDefault, newObjectAttributes } from './new-object.ts';
import { putCondition, requireMayCompare } from './object-write.ts';
import { parseCopyRange } from './ranges.ts';
import { requestTagConditions } from './tags.ts';
import { refuseUnsupported } from './unsupported.ts';
import { versionText, writtenVersionHeaders } from './version-id.ts';

const XML = { 'content-type': 'application/xml' };
/** A source that changes between being read and being committed is read again, this often. */
const ATTEMPTS_MAX = 3;

export async function copyObject(context: DatasetContext): Promise<S3Response> {
  const { headers } = context.request;
  refuseUnsupported(headers);
  const condition = putCondition(headers);
  requireMayCompare(context, condition);
  const name = sourceName(context);
  const replace = readDirective(headers['x-amz-metadata-directive'], 'metadata') === 'REPLACE';
  const replaceTags = readDirective(headers['x-amz-tagging-directive'], 'tagging') === 'REPLACE';
  if (isItself(context, name) && !replace) refuseIdleCopy(headers);
  const wanted = requestedAlgorithm(headers);
  const asked = newObjectAttributes(context);
  for (let attempt = 1; ; attempt++) {
    const source = await openSource(context, name, null, !replaceTags);
    try {
      checkSize(source);
      if (!replaceTags) requireMayTag(context, source);
      const attributes = copiedAttributes(source, asked, { replace, replaceTags });
      const entry = source.sameDataset
        ? await copyInside(context, source, source.sameDataset, attributes, wanted, condition)
        : await copyAcross(context, source, attributes, wanted, condition);
      return copyResponse(context, source, entry);
    } catch (error) {
      if (attempt >= ATTEMPTS_MAX || !sourceChanged(context, source, error)) throw error;
    } finally {
      source.close();
    }
  }
}

/** An older version may be copied onto its own key as it is: that makes it the current one. */
function isItself(context: DatasetContext, name: SourceName): boolean {
  if (name.bucket !== context.bucket || name.key !== context.key) return false;
  return name.version === undefined || context.dataset.store.versioning() === 'off';
}

function sourceName(context: DatasetContext): SourceName {
  const wire = wireHeaders(context)['x-amz-copy-source'];
  return parseCopySource(typeof wire === 'string' ? wire : '');
}

/** Tags that come along are set like any others. A header with tags that the directive leaves out means nothing. */
function requireMayTag({ authorizer, key }: DatasetContext, source: CopySource): void {
  const { tags = {} } = storedAttributes(source.entry.attributes);
  const facts = { key, conditions: requestTagConditions(tags), replaces: 'tags' } as const;
  authorizer.require('s3:PutObject', facts);
  if (Object.keys(tags).length > 0) authorizer.require('s3:PutObjectTagging', { ...facts, entry: null });
}

async function openSource(
  context: DatasetContext,
  name: SourceName,
  range: ByteRange | null,
  copiesTags = false,
): Promise<CopySource> {
  const { headers } = context.request;
  const source = await openCopySource(context, name, range, copiesTags).catch((error: unknown) => {
    if (!isZringError(error, 'DATASET_MISSING')) throw error;
    throw new S3Error('NoSuchBucket', undefined, { fields: { BucketName: name.bucket } });
  });
  try {
    checkExpectedOwner(source.document, headers['x-amz-source-expected-bucket-owner']);
    const verdict = evaluateCopySource(copySourceConditions(headers), source.entry);
    if (verdict.kind === 'failed') {
      throw new S3Error('PreconditionFailed', undefined, { fields: { Condition: verdict.condition } });
    }
    return source;
  } catch (error) {
    source.close();
    throw error;
  }
}

function readDirective(value: string | undefined, what: string): 'COPY' | 'REPLACE' {
  if (value === undefined || value === 'COPY') return 'COPY';
  if (value === 'REPLACE') return 'REPLACE';
  throw new S3Error('InvalidArgument', `Unknown ${what} directive.`);
}

function refuseIdleCopy(headers: Readonly<Record<string, string>>): void {
  const changes = ['x-amz-storage-class', 'x-amz-website-redirect-location', 'x-amz-checksum-algorithm'];
  if (changes.some((name) => headers[name] !== undefined)) return;
  throw new S3Error(
    'InvalidRequest',
    "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes.",
  );
}

function checkSize(source: CopySource): void {
  const max = LIMITS.copyBytesMax.value;
  if (source.entry.size <= max) return;
  throw new S3Error(
    'InvalidRequest',
    `The specified copy source is larger than the maximum allowable size for a copy source: ${max}`,
  );
}

/**
 * What the request asks for, with what it leaves to the source. Storage class, website redirect, access and locks are
 * never copied (AWS: CopyObject, "Metadata"); the checksum is decided later.
 */
function copiedAttributes(
  source: CopySource,
  asked: ObjectAttributes,
  { replace, replaceTags }: { readonly replace: boolean; readonly replaceTags: boolean },
): ObjectAttributes {
  const { headers, meta, latin1, tags } = storedAttributes(source.entry.attributes);
  const { tags: askedTags, ...rest } = asked;
  const newTags = replaceTags ? askedTags : tags;
  const tagged = { ...rest, ...(newTags && Object.keys(newTags).length > 0 ? { tags: newTags } : {}) };
  if (replace) return tagged;
  const { headers: askedHeaders, meta: _, latin1: __, ...others } = tagged;
  const redirect = askedHeaders?.['x-amz-website-redirect-location'];
  const { 'x-amz-website-redirect-location': ___, ...kept } = headers ?? {};
  return {
    ...others,
    headers: { ...kept, ...(redirect === undefined ? {} : { 'x-amz-website-redirect-location': redirect }) },
    ...(meta ? { meta } : {}),
    ...(latin1 ? { latin1 } : {}),
  };
}

/** The manifest is copied: parts, ETag and, unless another is asked for, the checksum stay what they were. */
async function copyInside(
  context: DatasetContext,
  source: CopySource,
  entry: ObjectEntry,
  attributes: ObjectAttributes,
  wanted: ChecksumAlgorithm | null,
  condition: WriteCondition | undefined,
): Promise<ObjectEntry> {
  const { checksum, partChecksums } = storedAttributes(entry.attributes);
  const keeps = wanted === null || wanted === checksum?.algorithm;
  const computed = keeps ? null : await checksumOf(context, source, wanted);
  const all = lockedByDefault(context, {
    ...attributes,
    ...(computed ? { checksum: computed } : checksum ? { checksum } : {}),
    ...(keeps && partChecksums ? { partChecksums } : {}),
  });
  return context.dataset.store.copy({
    source: entry.key,
    ...(source.version === undefined ? {} : { sourceVersion: source.version }),
    sourceSequence: entry.sequence,
    key: context.key,
    attributes: toBag(all),
    ...(condition ? { condition } : {}),
  });
}

async function checksumOf(
  context: DatasetContext,
  source: CopySource,
  algorithm: ChecksumAlgorithm,
): Promise<StoredChecksum> {
  const hasher = createHasher(algorithm);
  for await (const chunk of wantedBody(context, source)) hasher.update(chunk);
  return { algorithm, value: (await hasher.digest()).toString('base64'), type: 'FULL_OBJECT' };
}

/** The source's bytes while somebody waits for the copy; a client that goes, or a dataset taken away, ends them. */
async function* wantedBody(context: DatasetContext, source: CopySource): AsyncGenerator<Buffer> {
  const { signal } = context.request.exchange;
  const body = source.body();
  const end = () => body.destroy(new ZringError('ABORTED', `copy of ${source.entry.key}: the request has ended`));
  if (signal.aborted) end();
  signal.addEventListener('abort', end, { once: true });
  try {
    yield* body as AsyncIterable<Buffer>;
  } finally {
    signal.removeEventListener('abort', end);
  }
}

async function copyAcross(
  context: DatasetContext,
  source: CopySource,
  attributes: ObjectAttributes,
  wanted: ChecksumAlgorithm | null,
  condition: WriteCondition | undefined,
): Promise<ObjectEntry> {
  const { store } = context.dataset;
  const before = storedAttributes(source.entry.attributes).checksum;
  const algorithm = wanted ?? (before?.algorithm as ChecksumAlgorithm | undefined) ?? 'CRC64NVME';
  const { blob, etag, checksum } = await transfer(context, source, source.entry.size, algorithm);
  const comparable = before?.type === 'FULL_OBJECT' && before.algorithm === checksum.algorithm;
  if (comparable && before.value !== checksum.value) {
    throw new ZringError('STORAGE_CORRUPT', `copy of ${source.entry.key}: the checksum is not the source's`);
  }
  return store.put({
    key: context.key,
    blob,
    etag,
    attributes: toBag(lockedByDefault(context, { ...attributes, checksum })),
    ...(condition ? { condition } : {}),
  });
}

/** Bytes of a source into a blob of this dataset, hashed on the way; exactly `size` of them or an error. */
async function transfer(
  context: DatasetContext,
  source: CopySource,
  size: number,
  algorithm: ChecksumAlgorithm,
): Promise<{ blob: Blob; etag: string; checksum: StoredChecksum }> {
  const md5 = createHash('md5');
  const hasher = createHasher(algorithm);
  async function* hashed(): AsyncGenerator<Buffer> {
    let seen = 0;
    for await (const chunk of wantedBody(context, source)) {
      seen += chunk.length;
      md5.update(chunk);
      hasher.update(chunk);
      yield chunk;
    }
    if (seen !== size) throw new ZringError('STORAGE_CORRUPT', `copy source: ${seen} bytes instead of ${size}`);
  }
  const blob = await writeBlob(context.dataset.store, hashed(), size);
  const value = (await hasher.digest()).toString('base64');
  return { blob, etag: md5.digest('hex'), checksum: { algorithm, value, type: 'FULL_OBJECT' } };
}

function sourceChanged(context: DatasetContext, source: CopySource, error: unknown): boolean {
  if (!source.sameDataset || !isZringError(error, 'PRECONDITION_FAILED')) return false;
  const { key } = source.entry;
  const { store } = context.dataset;
  const now = source.version === undefined ? store.head(key) : store.version(key, source.version);
  return now?.sequence !== source.sameDataset.sequence;
}

function copyResponse(context: DatasetContext, source: CopySource, entry: ObjectEntry): S3Response {
  const { checksum } = storedAttributes(entry.attributes);
  const body = copyObjectResult({
    etag: entry.etag,
    modifiedMs: entry.modifiedMs,
    ...(checksum
      ? {
          checksums: [{ algorithm: checksum.algorithm as ChecksumAlgorithm, value: checksum.value }],
          checksumType: checksum.type,
        }
      : {}),
  });
  const shown = { ...writtenVersionHeaders(entry), ...expirationHeaders(context.dataset.store, entry) };
  return { status: 200, headers: { ...XML, ...sourceHeaders(source), ...shown }, body };
}

function sourceHeaders({ entry, versioned }: CopySource): Record<string, string> {
  return versioned ? { 'x-amz-copy-source-version-id': versionText(entry.versionId) } : {};
}

export async function uploadPartCopy(context: DatasetContext): Promise<S3Response> {
  const { headers } = context.request;
  const number = requirePartNumber(context);
  refuseUnsupported(headers);
  const upload = requireUpload(context);
  const name = sourceName(context);
  const range = requireCopyRange(headers['x-amz-copy-source-range']);
  const source = await openSource(context, name, range);
  try {
    const size = rangeSize(range, source.entry.size);
    if (size > LIMITS.partBytesMax.value) throw new S3Error('EntityTooLarge');
    const algorithm = uploadAlgorithm(upload);
    const { blob, etag, checksum } = await transfer(context, source, size, algorithm);
    const checksums = { [algorithm]: checksum.value };
    const part = await context.dataset.store.putPart(upload.id, context.key, number, blob, etag, { checksums });
    const declared = upload.attributes.checksum !== undefined;
    const body = copyPartResult({
      etag: part.etag,
      modifiedMs: part.modifiedMs,
      ...(declared ? { checksums: [{ algorithm, value: checksum.value }] } : {}),
    });
    return { status: 200, headers: { ...XML, ...sourceHeaders(source) }, body };
  } finally {
    source.close();
  }
}

function requireCopyRange(header: string | undefined): ByteRange | null {
  if (header === undefined) return null;
  const range = parseCopyRange(header);
  if (range) return range;
  throw new S3Error(
    'InvalidArgument',
    'The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the zero-based offsets of the first and last bytes to copy',
    { fields: { ArgumentName: 'x-amz-copy-source-range', ArgumentValue: header } },
  );
}

function rangeSize(range: ByteRange | null, size: number): number {
  if (!range) return size;
  if (range.end >= size)
    throw new S3Error('InvalidRange', `Range specified is not valid for source object of size: ${size}`);
  return range.end - range.start + 1;
}

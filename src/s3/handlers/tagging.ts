// Tags of buckets and objects: Get-, Put- and Delete-BucketTagging and -ObjectTagging. A bucket's tags are its document
// `tagging`; an object's belong to one version and change in place, so its ETag and date stay.
import type { ObjectEntry, Store } from '../../store/types.ts';
import { invalidArgument, S3Error } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import { queryValue } from '../target.ts';
import type { S3Response } from '../types.ts';
import { parseTagging, taggingResult } from '../xml/tagging.ts';
import { storedAttributes } from './attributes.ts';
import { type DatasetContext, readDocument } from './context.ts';
import { bucketTags, objectTags, requestTagConditions, type Tags, tagList } from './tags.ts';

export const TAGGING_DOCUMENT = 'tagging';

const XML = { 'content-type': 'application/xml' };

/** null: none. */
export function readBucketTags(store: Store): Tags | null {
  const value = store.document(TAGGING_DOCUMENT);
  if (typeof value !== 'object' || value === null) return null;
  const { tags } = value as { tags?: Tags };
  return tags && Object.keys(tags).length > 0 ? tags : null;
}

export function bucketTagsDocument(tags: Tags): { tags: Tags } {
  return { tags };
}

export async function getBucketTagging(context: DatasetContext): Promise<S3Response> {
  const tags = readBucketTags(context.dataset.store);
  if (!tags) throw new S3Error('NoSuchTagSet', undefined, { fields: { BucketName: context.bucket } });
  return { status: 200, headers: XML, body: taggingResult(tagList(tags)) };
}

export async function putBucketTagging(context: DatasetContext): Promise<S3Response> {
  const tags = bucketTags(parseTagging(await readDocument(context, LIMITS.configurationBytesMax.value)));
  await context.dataset.store.setDocument(TAGGING_DOCUMENT, bucketTagsDocument(tags));
  return { status: 204 };
}

export async function deleteBucketTagging(context: DatasetContext): Promise<S3Response> {
  await context.dataset.store.setDocument(TAGGING_DOCUMENT, null);
  return { status: 204 };
}

export async function getObjectTagging(context: DatasetContext): Promise<S3Response> {
  const { entry, action } = requireTagged(context);
  context.authorizer.require(`s3:Get${action}`, { key: context.key, entry });
  const { tags } = storedAttributes(entry.attributes);
  return { status: 200, headers: { ...XML, ...versionHeader(context, entry) }, body: taggingResult(tagList(tags)) };
}

export async function putObjectTagging(context: DatasetContext): Promise<S3Response> {
  const { entry, action, version } = requireTagged(context);
  const tags = objectTags(parseTagging(await readDocument(context, LIMITS.configurationBytesMax.value)));
  context.authorizer.require(`s3:Put${action}`, { key: context.key, entry, conditions: requestTagConditions(tags) });
  const changed = await changeTags(context, version, tags);
  return { status: 200, headers: versionHeader(context, changed) };
}

export async function deleteObjectTagging(context: DatasetContext): Promise<S3Response> {
  const { entry, action, version } = requireTagged(context);
  context.authorizer.require(`s3:Delete${action}`, { key: context.key, entry });
  const changed = await changeTags(context, version, {});
  return { status: 204, headers: versionHeader(context, changed) };
}

interface Tagged {
  readonly entry: ObjectEntry;
  /** undefined: the current version; null: the null version. */
  readonly version: string | null | undefined;
  /** Naming a version needs another permission. */
  readonly action: 'ObjectTagging' | 'ObjectVersionTagging';
}

function requireTagged(context: DatasetContext): Tagged {
  const { store } = context.dataset;
  const text = queryValue(context.request.target, 'versionId');
  if (text === '') throw invalidArgument('Version id cannot be the empty string', 'versionId', text);
  const version = text === undefined ? undefined : text === 'null' ? null : text;
  const entry = version === undefined ? store.latest(context.key) : store.version(context.key, version);
  if (entry === null) {
    const fields = { Key: context.key, ...(text === undefined ? {} : { VersionId: text }) };
    throw new S3Error(version === undefined ? 'NoSuchKey' : 'NoSuchVersion', undefined, { fields });
  }
  if (entry.deleteMarker) throw deleteMarker(version === undefined, context.key);
  return { entry, version, action: version === undefined ? 'ObjectTagging' : 'ObjectVersionTagging' };
}

/** A delete marker has no tags: as the current version the object is not there, by its id it is not for this. */
function deleteMarker(current: boolean, key: string): S3Error {
  const headers = { 'x-amz-delete-marker': 'true' };
  return current
    ? new S3Error('NoSuchKey', undefined, { headers, fields: { Key: key } })
    : new S3Error('MethodNotAllowed', undefined, { headers, fields: { Method: 'GET', ResourceType: 'DeleteMarker' } });
}

function changeTags(context: DatasetContext, version: string | null | undefined, tags: Tags): Promise<ObjectEntry> {
  return context.dataset.store.annotate({
    key: context.key,
    ...(version === undefined ? {} : { version }),
    change: (entry) => {
      if (entry.deleteMarker) throw deleteMarker(version === undefined, context.key);
      const { tags: _, ...kept } = entry.attributes;
      return Object.keys(tags).length > 0 ? { ...kept, tags } : kept;
    },
  });
}

/** Of a bucket that has, or had, versions. */
function versionHeader(context: DatasetContext, entry: ObjectEntry): Record<string, string> {
  if (context.dataset.store.versioning() === 'off') return {};
  return { 'x-amz-version-id': entry.versionId ?? 'null' };
}

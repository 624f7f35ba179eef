// Tags of buckets and objects: Get-, Put- and Delete-BucketTagging and -ObjectTagging. A bucket's tags are its document
// `tagging`; an object's belong to one version and change in place, so its ETag and date stay.
import type { ObjectEntry, Store } from '../../store/types.ts';
import { S3Error } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import { queryValue } from '../target.ts';
import type { S3Response } from '../types.ts';
import { parseTagging, taggingResult } from '../xml/tagging.ts';
import { storedAttributes } from './attributes.ts';
import { type DatasetContext, readDocument } from './context.ts';
import { bucketTags, objectTags, requestTagConditions, type Tags, tagList } from './tags.ts';
import { readVersionHeaders, refuseMarker, requestedVersion, requireObject } from './version-id.ts';

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

/** How many tags an object has is told to who may read them. */
export function tagCountHeader(context: DatasetContext, entry: ObjectEntry): Record<string, string> {
  const count = Object.keys(storedAttributes(entry.attributes).tags ?? {}).length;
  if (count === 0) return {};
  const named = queryValue(context.request.target, 'versionId') !== undefined;
  const permission = named ? 's3:GetObjectVersionTagging' : 's3:GetObjectTagging';
  if (!context.authorizer.allows(permission, { key: context.key, entry })) return {};
  return { 'x-amz-tagging-count': String(count) };
}

export async function getObjectTagging(context: DatasetContext): Promise<S3Response> {
  const { entry, action } = requireTagged(context);
  context.authorizer.require(`s3:Get${action}`, { key: context.key, entry });
  const { tags } = storedAttributes(entry.attributes);
  return {
    status: 200,
    headers: { ...XML, ...readVersionHeaders(context.dataset.store, entry) },
    body: taggingResult(tagList(tags)),
  };
}

export async function putObjectTagging(context: DatasetContext): Promise<S3Response> {
  const { entry, action, version } = requireTagged(context);
  const tags = objectTags(parseTagging(await readDocument(context, LIMITS.configurationBytesMax.value)));
  const conditions = requestTagConditions(tags);
  context.authorizer.require(`s3:Put${action}`, { key: context.key, entry, conditions, replaces: 'tags' });
  const changed = await changeTags(context, version, tags);
  return { status: 200, headers: readVersionHeaders(context.dataset.store, changed) };
}

export async function deleteObjectTagging(context: DatasetContext): Promise<S3Response> {
  const { entry, action, version } = requireTagged(context);
  context.authorizer.require(`s3:Delete${action}`, { key: context.key, entry });
  const changed = await changeTags(context, version, {});
  return { status: 204, headers: readVersionHeaders(context.dataset.store, changed) };
}

interface Tagged {
  readonly entry: ObjectEntry;
  /** undefined: the current version; null: the null version. */
  readonly version: string | null | undefined;
  /** Naming a version needs another permission. */
  readonly action: 'ObjectTagging' | 'ObjectVersionTagging';
}

function requireTagged(context: DatasetContext): Tagged {
  const version = requestedVersion(context);
  const entry = requireObject(context);
  return { entry, version, action: version === undefined ? 'ObjectTagging' : 'ObjectVersionTagging' };
}

function changeTags(context: DatasetContext, version: string | null | undefined, tags: Tags): Promise<ObjectEntry> {
  return context.dataset.store.annotate({
    key: context.key,
    ...(version === undefined ? {} : { version }),
    change: (entry) => {
      refuseMarker(entry);
      const { tags: _, ...kept } = entry.attributes;
      return Object.keys(tags).length > 0 ? { ...kept, tags } : kept;
    },
  });
}

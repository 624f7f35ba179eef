// ListObjects (v1), ListObjectsV2 and ListObjectVersions: query in, one ordered page of the store, document out.
import type { ListResult, ListVersionsResult, ObjectEntry } from '../../store/types.ts';
import { objectOwners } from '../access/acl-ownership.ts';
import { invalidArgument } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import { queryValue } from '../target.ts';
import type { S3Response } from '../types.ts';
import {
  type ListedObject,
  listObjectsResult,
  listObjectsV2Result,
  listVersionsResult,
  type Owner,
} from '../xml/results.ts';
import { storedAttributes } from './attributes.ts';
import type { DatasetContext } from './context.ts';
import { decodeToken, encodeToken, readEncodingType, readLimit } from './page-query.ts';
import { parseVersionId, versionText } from './version-id.ts';

interface ListQuery {
  readonly prefix: string;
  readonly delimiter: string;
  readonly maxKeys: number;
  readonly encodingType: 'url' | null;
}

function readQuery(context: DatasetContext): ListQuery {
  const { target } = context.request;
  return {
    prefix: queryValue(target, 'prefix') ?? '',
    delimiter: queryValue(target, 'delimiter') ?? '',
    maxKeys: readLimit(target, 'max-keys', LIMITS.listKeysMax.value),
    encodingType: readEncodingType(target),
  };
}

/** A page of none is empty and complete (S3 says IsTruncated false for max-keys=0). */
function readPage(context: DatasetContext, query: ListQuery, after: string): ListResult {
  if (query.maxKeys === 0) return { entries: [], commonPrefixes: [], next: null };
  const { prefix, delimiter, maxKeys } = query;
  return context.dataset.store.list({ prefix, delimiter, after, limit: maxKeys });
}

function common(context: DatasetContext, query: ListQuery, page: ListResult) {
  return { bucket: context.bucket, ...query, isTruncated: page.next !== null, commonPrefixes: page.commonPrefixes };
}

function listed(entry: ObjectEntry, owner: Owner | undefined): ListedObject {
  const { checksum, storageClass } = storedAttributes(entry.attributes);
  return {
    key: entry.key,
    modifiedMs: entry.modifiedMs,
    etag: entry.etag,
    size: entry.size,
    ...(storageClass ? { storageClass } : {}),
    ...(owner ? { owner } : {}),
    ...(checksum ? { checksumAlgorithms: [checksum.algorithm], checksumType: checksum.type } : {}),
  };
}

function owners(context: DatasetContext): (entry: ObjectEntry) => Owner | undefined {
  const ownerOf = objectOwners(context.dataset.store);
  return (entry) => ownerOf(entry.attributes) ?? undefined;
}

function xml(body: string): S3Response {
  return { status: 200, headers: { 'content-type': 'application/xml' }, body };
}

export async function listObjects(context: DatasetContext): Promise<S3Response> {
  const query = readQuery(context);
  const marker = queryValue(context.request.target, 'marker') ?? '';
  const page = readPage(context, query, marker);
  const owner = owners(context);
  return xml(
    listObjectsResult({
      ...common(context, query, page),
      marker,
      nextMarker: query.delimiter === '' ? null : page.next,
      objects: page.entries.map((entry) => listed(entry, owner(entry))),
    }),
  );
}

export async function listObjectsV2(context: DatasetContext): Promise<S3Response> {
  const { target } = context.request;
  const query = readQuery(context);
  const token = queryValue(target, 'continuation-token') ?? null;
  const startAfter = queryValue(target, 'start-after') ?? null;
  const page = readPage(context, query, token ? decodeToken(token) : (startAfter ?? ''));
  const owner = queryValue(target, 'fetch-owner')?.toLowerCase() === 'true' ? owners(context) : () => undefined;
  return xml(
    listObjectsV2Result({
      ...common(context, query, page),
      continuationToken: token,
      nextContinuationToken: page.next === null ? null : encodeToken(page.next),
      startAfter,
      objects: page.entries.map((entry) => listed(entry, owner(entry))),
    }),
  );
}

export async function listObjectVersions(context: DatasetContext): Promise<S3Response> {
  const { target } = context.request;
  const query = readQuery(context);
  const keyMarker = queryValue(target, 'key-marker') ?? '';
  const versionIdMarker = queryValue(target, 'version-id-marker') ?? '';
  if (versionIdMarker !== '' && keyMarker === '') {
    const message = 'A version-id marker cannot be specified without a key marker.';
    throw invalidArgument(message, 'version-id-marker', versionIdMarker);
  }
  const page = readVersionsPage(context, query, keyMarker, versionIdMarker);
  const owner = owners(context);
  return xml(
    listVersionsResult({
      bucket: context.bucket,
      ...query,
      isTruncated: page.next !== null,
      commonPrefixes: page.commonPrefixes,
      keyMarker,
      versionIdMarker,
      nextKeyMarker: page.next?.key ?? null,
      nextVersionIdMarker: page.next?.version === undefined ? null : versionText(page.next.version),
      versions: page.versions.map(({ entry, isLatest }) => ({
        ...listed(entry, owner(entry)),
        versionId: versionText(entry.versionId),
        isLatest,
        deleteMarker: entry.deleteMarker,
      })),
    }),
  );
}

function readVersionsPage(
  context: DatasetContext,
  { prefix, delimiter, maxKeys }: ListQuery,
  afterKey: string,
  versionIdMarker: string,
): ListVersionsResult {
  const afterVersion = versionIdMarker === '' ? {} : { afterVersion: parseVersionId(versionIdMarker) };
  if (maxKeys === 0) return { versions: [], commonPrefixes: [], next: null };
  return context.dataset.store.listVersions({ prefix, delimiter, afterKey, ...afterVersion, limit: maxKeys });
}

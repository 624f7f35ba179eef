// ListObjects (v1), ListObjectsV2 and ListObjectVersions: query in, one ordered page of the store, document out.
// A bucket here has no versions, so its version list is its objects under the version id `null`.
import type { ListResult, ObjectEntry } from '../../store/types.ts';
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

const NULL_VERSION = 'null';

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
  const page = readPage(context, query, keyMarker);
  const owner = owners(context);
  return xml(
    listVersionsResult({
      ...common(context, query, page),
      keyMarker,
      versionIdMarker,
      nextKeyMarker: page.next,
      nextVersionIdMarker: page.next === null ? null : NULL_VERSION,
      versions: page.entries.map((entry) => ({
        ...listed(entry, owner(entry)),
        versionId: NULL_VERSION,
        isLatest: true,
      })),
    }),
  );
}

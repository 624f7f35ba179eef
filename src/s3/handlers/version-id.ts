// Version ids on the wire: which version a request names, how it is found, and what answers say of it. `null` is the
// name of the version that was written while versioning was off or suspended. Owns nothing.
import type { ObjectEntry, Store } from '../../store/types.ts';
import { invalidArgument, S3Error } from '../errors.ts';
import { queryValue } from '../target.ts';
import type { DatasetContext, HandlerContext } from './context.ts';

export const NULL_VERSION = 'null';

/** What a store may have given out; anything else was never an id. */
const VERSION_ID = /^[0-9a-f]{32}$/;

export function versionText(versionId: string | null): string {
  return versionId ?? NULL_VERSION;
}

/** null = the null version. */
export function parseVersionId(text: string): string | null {
  if (text === NULL_VERSION) return null;
  if (VERSION_ID.test(text)) return text;
  throw invalidArgument('Invalid version id specified', 'versionId', text);
}

/** The version in the query; undefined = none is named, so the current one is meant. */
export function requestedVersion(context: HandlerContext): string | null | undefined {
  const text = queryValue(context.request.target, 'versionId');
  if (text === undefined) return undefined;
  if (text === '') throw invalidArgument('Version id cannot be the empty string', 'versionId', '');
  return parseVersionId(text);
}

/** The object, or the named version of it, that a request is about. A delete marker is none: 404, or 405 when named. */
export function requireObject(context: DatasetContext): ObjectEntry {
  const version = requestedVersion(context);
  const { store } = context.dataset;
  if (version === undefined) {
    const entry = store.head(context.key);
    if (entry) return entry;
    const latest = store.latest(context.key);
    const headers = latest ? markerHeaders(latest) : {};
    // Of a snapshot, the key that the client named is the longer one.
    const Key = context.request.target.key ?? context.key;
    throw new S3Error('NoSuchKey', undefined, { fields: { Key }, headers });
  }
  const entry = store.version(context.key, version);
  if (!entry) throw noSuchVersion(context.key, version);
  if (entry.deleteMarker) throw markerNotAllowed(entry);
  return entry;
}

/** For AnnotateRequest.change, which sees the entry inside the commit: refuses a delete marker as `requireObject` does. */
export function refuseMarker(entry: ObjectEntry): void {
  if (entry.deleteMarker) throw markerNotAllowed(entry);
}

export function noSuchVersion(key: string, version: string | null): S3Error {
  return new S3Error('NoSuchVersion', undefined, { fields: { Key: key, VersionId: versionText(version) } });
}

function markerNotAllowed(marker: ObjectEntry): S3Error {
  return new S3Error('MethodNotAllowed', undefined, {
    fields: { Method: 'GET', ResourceType: 'DeleteMarker' },
    headers: {
      ...markerHeaders(marker),
      allow: 'DELETE',
      'last-modified': new Date(marker.modifiedMs).toUTCString(),
    },
  });
}

function markerHeaders(marker: ObjectEntry): Record<string, string> {
  return { 'x-amz-delete-marker': 'true', 'x-amz-version-id': versionText(marker.versionId) };
}

/** For reads: S3 names the version, the null one too, unless versioning was never enabled. */
export function readVersionHeaders(store: Store, entry: ObjectEntry): Record<string, string> {
  return store.versioning() === 'off' ? {} : { 'x-amz-version-id': versionText(entry.versionId) };
}

/** For writes: S3 names only versions that have an id of their own. */
export function writtenVersionHeaders(entry: ObjectEntry): Record<string, string> {
  return entry.versionId === null ? {} : { 'x-amz-version-id': entry.versionId };
}

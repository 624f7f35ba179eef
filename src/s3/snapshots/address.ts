// `.zfs/snapshot/NAME/key`: which part of a bucket's past a request is about, and whether it may be asked there at all.
// Pure. docs/SNAPSHOTS.md has the rules.
import { S3Error } from '../errors.ts';
import { type OperationName, operationSpec } from '../operation.ts';
import { queryValue } from '../target.ts';
import type { Target } from '../types.ts';

export const SNAPSHOT_ROOT = '.zfs/snapshot/';

export interface SnapshotAddress {
  /** '' = the list of snapshots, or the part of a name that was given of one. */
  readonly snapshot: string;
  /** Inside it: of the object, or the prefix of a listing. null = above it: names are listed, not objects. */
  readonly key: string | null;
}

const READS: ReadonlySet<OperationName> = new Set([
  'GetObject',
  'HeadObject',
  'GetObjectAttributes',
  'GetObjectTagging',
  'GetObjectAcl',
]);
const LISTS: ReadonlySet<OperationName> = new Set(['ListObjects', 'ListObjectsV2']);

/** null = the present. Throws MethodNotAllowed for what cannot be done to the past. */
export function snapshotAddress(operation: OperationName, target: Target): SnapshotAddress | null {
  if (operationSpec(operation).scope === 'object') {
    const key = target.key ?? '';
    if (!READS.has(operation)) requirePresent(key);
    return addressOf(key);
  }
  return LISTS.has(operation) ? addressOf(queryValue(target, 'prefix') ?? '') : null;
}

/** Of a key, or of the prefix of a listing. */
export function addressOf(key: string): SnapshotAddress | null {
  if (!key.startsWith(SNAPSHOT_ROOT)) return null;
  const rest = key.slice(SNAPSHOT_ROOT.length);
  const end = rest.indexOf('/');
  return end < 0 ? { snapshot: rest, key: null } : { snapshot: rest.slice(0, end), key: rest.slice(end + 1) };
}

/** Of a key that is to be written. */
export function requirePresent(key: string): void {
  if (!key.startsWith(SNAPSHOT_ROOT)) return;
  throw new S3Error(
    'MethodNotAllowed',
    `Keys that begin with ${SNAPSHOT_ROOT} are snapshots, which cannot be changed.`,
  );
}

// Names that may reach a path or a command line: datasets, snapshots, hold tags, properties. Pure.
// Nothing of this folder starts a process or touches a path with text that has not passed through here, so an injection
// (`-r`, `a@b`, `../x`, `a/b`, a new line) ends as DATASET_NAME_INVALID before anything happens.
// Limits: OpenZFS include/sys/fs/zfs.h ZFS_MAX_DATASET_NAME_LEN = 256 with the final NUL, counted over
// `pool/…/name@snapshot`; user properties: include/sys/zap.h ZAP_MAXNAMELEN 256, ZAP_MAXVALUELEN 1024 before OpenZFS 0.8.
import { ZringError } from '../common/errors.ts';

/** Bytes of `root/name@snapshot`, one less than ZFS's buffer. */
export const ZFS_NAME_BYTES_MAX = 255;
/** `receive` works in a hidden child `name/%recv`, which has to fit as well (OpenZFS module/zfs/dmu_recv.c). */
const ZFS_RECEIVE_SUFFIX_BYTES = '/%recv'.length;
/** Room for a prefix, a bucket name, its id and a term; a path component may have 255. */
export const STAGING_NAME_BYTES_MAX = 150;
export const SNAPSHOT_NAME_BYTES_MAX = 100;
export const HOLD_TAG_BYTES_MAX = 100;
export const PROPERTY_KEY_BYTES_MAX = 100;
export const PROPERTY_VALUE_BYTES_MAX = 1000;

/** The dataset of node-local state; no operation on datasets accepts it. */
export const STATE_NAME = '_zring';

const BUCKET_LIKE = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/;
const STAGING = /^_[a-z0-9][a-z0-9._-]*$/;
const SNAPSHOT = /^[A-Za-z0-9][A-Za-z0-9._:-]*$/;
// Upper case is refused because a tag and a key end in the name of a user property (zfsprops(7): lower case only).
const TAG = /^[a-z0-9][a-z0-9._-]*$/;
const PROPERTY_KEY = /^[a-z0-9][a-z0-9._-]*$/;
const PROPERTY_VALUE = /^[\x20-\x7e]+$/;
const POOL_COMPONENT = /^[A-Za-z0-9][A-Za-z0-9._:-]*$/;

export function isStagingName(name: string): boolean {
  return name.startsWith('_');
}

export function isDatasetName(name: string): boolean {
  if (typeof name !== 'string' || name === STATE_NAME) return false;
  if (isStagingName(name)) return STAGING.test(name) && name.length <= STAGING_NAME_BYTES_MAX;
  return BUCKET_LIKE.test(name) && !name.includes('..');
}

export function isSnapshotName(name: string): boolean {
  return typeof name === 'string' && SNAPSHOT.test(name) && name.length <= SNAPSHOT_NAME_BYTES_MAX;
}

/** @throws DATASET_NAME_INVALID unless a bucket-like name, or a staging name that starts with `_`. */
export function requireDatasetName(name: string): string {
  if (!isDatasetName(name)) refuse('dataset', name);
  return name;
}

export function requireSnapshotName(name: string): string {
  if (!isSnapshotName(name)) refuse('snapshot', name);
  return name;
}

export function requireHoldTag(tag: string): string {
  if (typeof tag !== 'string' || !TAG.test(tag) || tag.length > HOLD_TAG_BYTES_MAX) refuse('hold tag', tag);
  return tag;
}

/** A decimal GUID, unsigned 64 bit. */
export function requireGuid(guid: string): string {
  if (typeof guid !== 'string' || !/^[1-9][0-9]{0,19}$/.test(guid)) refuse('snapshot guid', guid);
  return guid;
}

export function requirePropertyKey(key: string): string {
  if (typeof key !== 'string' || !PROPERTY_KEY.test(key) || key.length > PROPERTY_KEY_BYTES_MAX) {
    refuse('property name', key);
  }
  return key;
}

export function requirePropertyValue(key: string, value: string): string {
  if (typeof value !== 'string' || !PROPERTY_VALUE.test(value) || value.length > PROPERTY_VALUE_BYTES_MAX) {
    refuse(`value of property '${key}'`, value);
  }
  return value;
}

export function requireProperties(properties: Readonly<Record<string, string | null>>): void {
  for (const [key, value] of Object.entries(properties)) {
    requirePropertyKey(key);
    if (value !== null) requirePropertyValue(key, value);
  }
}

/** The configured storage root of the zfs driver, e.g. `tank/zring`; a whole pool is one too. */
export function requireZfsRoot(location: string): string {
  const parts = location.split('/');
  if (!parts.every((part) => POOL_COMPONENT.test(part))) {
    refuse('storage root (want pool/dataset)', location);
  }
  zfsName(location, 'x'.repeat(63));
  return location;
}

/** `root/name` as one argument; @throws when ZFS could not hold it. */
export function zfsName(root: string, name: string): string {
  const full = `${root}/${name}`;
  if (full.length + ZFS_RECEIVE_SUFFIX_BYTES > ZFS_NAME_BYTES_MAX) refuse('dataset', full, 'longer than ZFS allows');
  return full;
}

export function zfsSnapshotName(root: string, name: string, snapshot: string): string {
  const full = `${zfsName(root, name)}@${snapshot}`;
  if (full.length > ZFS_NAME_BYTES_MAX) refuse('snapshot', full, 'longer than ZFS allows');
  return full;
}

/** A first copy is received beside its place and published by a rename once it is complete and has its id. */
export function requireFirstCopyName(name: string): string {
  if (!isStagingName(name)) refuse('name for a first copy', name, "has to start with '_'");
  return name;
}

/** Without `zring:id` a dataset under a bucket's name would be taken for somebody else's, and never listed again. */
export function requirePublishable(from: string, to: string, id: string | undefined): void {
  if (isStagingName(to) || id !== undefined) return;
  throw new ZringError('MOUNT_INVALID', `${from} has no zring:id and cannot become ${to}`, { subject: from });
}

/** The snapshot that was meant, and not another one that has got its name since. */
export function requireSameGuid(subject: string, wanted: string, found: { readonly guid: string }): void {
  if (found.guid === wanted) return;
  throw new ZringError('SNAPSHOT_NOT_FOUND', `${subject} is another snapshot by now`, { subject });
}

function refuse(what: string, value: unknown, why = 'not allowed'): never {
  const shown = typeof value === 'string' ? JSON.stringify(value.slice(0, 100)) : typeof value;
  throw new ZringError('DATASET_NAME_INVALID', `${what} ${shown}: ${why}`, { subject: shown });
}

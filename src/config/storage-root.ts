// Storage roots and coordinator locations as text: `zfs:pool/dataset`, `dir:/path`, `redis://…`, `embedded`. Pure.
// What passes here may be handed to `zfs` as an argument: no leading dash, no snapshot or bookmark sign, no blank.
import { join, resolve } from 'node:path';
import { parseAddress } from './address.ts';
import type { CoordinatorSpec, StorageSpec } from './types.ts';
import type { Parsed } from './units.ts';

/**
 * ZFS allows 255 bytes for `root/dataset@snapshot` (ZFS_MAX_DATASET_NAME_LEN): this leaves room for a staging name
 * around a bucket name of 63, and for a snapshot name.
 */
export const ZFS_ROOT_BYTES_MAX = 80;
/** Component characters of zfs_namecheck.c, without the blank. */
const ZFS_COMPONENT = /^[A-Za-z0-9][A-Za-z0-9_.:-]*$/;
/** zpool-create(8): names that begin with these are taken for vdev types. */
const ZPOOL_RESERVED = /^(mirror|raidz|draid|spare|log)|^c[0-9]/;

/** @returns why `name` cannot be the dataset below which zring keeps its own, or null. */
export function zfsRootProblem(name: string): string | null {
  if (name.length > ZFS_ROOT_BYTES_MAX) return `is longer than ${ZFS_ROOT_BYTES_MAX} characters`;
  const components = name.split('/');
  if (!components.every((component) => ZFS_COMPONENT.test(component))) return 'is not a ZFS dataset name';
  if (components.length < 2) return 'is a whole pool; name a dataset of it, such as POOL/zring';
  if (!/^[A-Za-z]/.test(name)) return 'does not begin with a letter, as a pool name must';
  if (ZPOOL_RESERVED.test(name)) return 'begins with a name that ZFS reserves for vdev types';
  return null;
}

/** A relative path is taken from the folder of the configuration file. */
export function parseStorage(text: string, folder: string): Parsed<StorageSpec> {
  const [kind, location] = splitAtColon(text);
  if (kind === 'zfs') {
    const problem = zfsRootProblem(location);
    return problem === null ? { value: { kind: 'zfs', location } } : { problem };
  }
  if (kind === 'dir') {
    if (location === '' || location.includes('\0')) return { problem: 'names no folder' };
    const path = resolve(folder, location);
    return path === '/' ? { problem: 'is the root of the file system' } : { value: { kind: 'dir', location: path } };
  }
  return { problem: 'begins with neither "zfs:" nor "dir:"' };
}

const SENTINEL_PORT = 26_379;
const REDIS_PORT = 6379;

export function parseCoordinator(text: string, folder: string): Parsed<CoordinatorSpec> {
  const [kind, location] = splitAtColon(text);
  if (text === 'embedded') return { value: { kind: 'embedded', folder: join(folder, 'coordinator') } };
  if (kind === 'embedded') {
    if (location === '' || location.includes('\0')) return { problem: 'names no folder' };
    return { value: { kind: 'embedded', folder: resolve(folder, location) } };
  }
  const problem = redisUrlProblem(text);
  return problem === null ? { value: { kind: 'redis', url: text } } : { problem };
}

/** `scheme://[[user]:password@]hosts[/path]`; never quoted in a fault, because it may carry a password. */
function redisUrlProblem(text: string): string | null {
  const match = /^(redis|rediss|redis\+sentinel|rediss\+sentinel):\/\/(?:([^@/\s]*)@)?([^@/\s]+)(?:\/([^\s]*))?$/.exec(
    text,
  );
  if (!match) return 'is neither a Redis URL nor "embedded"';
  const [, scheme = '', userInfo = '', hosts = '', path = ''] = match;
  try {
    decodeURIComponent(userInfo);
  } catch {
    return 'has a user or password that is not percent-encoded';
  }
  const sentinel = scheme.endsWith('+sentinel');
  const list = hosts.split(',');
  if (!sentinel && list.length > 1) return 'names several hosts, which only redis+sentinel:// can';
  for (const host of list) {
    const withPort =
      /:\d+$/.test(host) && !host.endsWith(']') ? host : `${host}:${sentinel ? SENTINEL_PORT : REDIS_PORT}`;
    const parsed = parseAddress(withPort);
    if ('problem' in parsed) return `names a host that ${parsed.problem}`;
  }
  if (!sentinel) return /^\d{0,4}$/.test(path) ? null : 'has a database that is not a number';
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}(\/\d{1,4})?$/.test(path)) return 'has no name of the master after the hosts';
  return null;
}

function splitAtColon(text: string): [string, string] {
  const colon = text.indexOf(':');
  return colon < 0 ? ['', text] : [text.slice(0, colon), text.slice(colon + 1)];
}

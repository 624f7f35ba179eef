// What of the outside programs that tests use is on this machine. Plain JavaScript: test/run.mjs asks before anything
// is installed, test/support/parts.ts asks when a test file is run on its own. Looks only; installs nothing.
import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, readdirSync } from 'node:fs';
import { delimiter, join } from 'node:path';

const SBIN = ['/usr/sbin', '/sbin', '/usr/local/sbin'];

/** Full path of a program on PATH or in an sbin folder (a user's PATH often lacks those), or null. */
export function which(program) {
  for (const folder of [...(process.env.PATH ?? '').split(delimiter), ...SBIN]) {
    if (folder === '') continue;
    try {
      accessSync(join(folder, program), constants.X_OK);
      return join(folder, program);
    } catch {
      // next folder
    }
  }
  return null;
}

function succeeds(command, args) {
  return spawnSync(command, args, { stdio: 'ignore', timeout: 60_000 }).status === 0;
}

function programFault(...programs) {
  const missing = programs.filter((program) => which(program) === null);
  return missing.length === 0 ? null : `${missing.join(', ')} not found on PATH`;
}

function rootFault() {
  return process.getuid?.() === 0 ? null : 'needs root';
}

/** A Python that has boto3. Debian's python3-boto3 serves Debian's python3 alone, and another may be first on PATH. */
export function boto3Python() {
  for (const python of [process.env.ZRING_TEST_PYTHON, 'python3', '/usr/bin/python3']) {
    if (python && succeeds(python, ['-c', 'import boto3'])) return python;
  }
  return null;
}

/** Folder of PostgreSQL's server programs, which Debian keeps off PATH: those of the newest version. Or null. */
export function postgresFolder() {
  const base = '/usr/lib/postgresql';
  const versions = existsSync(base) ? readdirSync(base).sort((a, b) => Number(b) - Number(a)) : [];
  const folder = versions.map((version) => join(base, version, 'bin')).find((bin) => existsSync(join(bin, 'initdb')));
  return folder ?? null;
}

function s3fsFault() {
  return (
    programFault('s3fs', 'unshare', 'nsenter', 'umount') ??
    rootFault() ??
    (existsSync('/dev/fuse') ? null : '/dev/fuse does not exist') ??
    (succeeds('unshare', ['-m', 'true']) ? null : 'no private mount namespace can be made (unshare -m)')
  );
}

function pgbackrestFault() {
  return (
    programFault('pgbackrest', 'runuser') ?? (postgresFolder() === null ? 'no PostgreSQL server in /usr/lib' : null)
  );
}

function zfsFuseFault() {
  return (
    programFault('zfs-fuse', 'zpool', 'zfs', 'unshare', 'mount') ??
    rootFault() ??
    (existsSync('/dev/fuse') ? null : '/dev/fuse does not exist') ??
    (succeeds('unshare', ['-m', 'true']) ? null : 'no private mount namespace can be made (unshare -m)')
  );
}

/** Every part: the Debian packages that bring it, and a check that returns why it cannot be used, or null. */
export const PARTS = {
  'redis-server': { packages: ['redis-server'], fault: () => programFault('redis-server', 'redis-cli') },
  'zfs-fuse': { packages: ['zfs-fuse', 'fuse', 'util-linux'], fault: zfsFuseFault },
  rclone: { packages: ['rclone'], fault: () => programFault('rclone') },
  s3cmd: { packages: ['s3cmd'], fault: () => programFault('s3cmd') },
  aws: {
    packages: ['awscli'],
    fault: () => programFault('aws') ?? (succeeds('aws', ['--version']) ? null : 'aws --version fails'),
  },
  boto3: { packages: ['python3', 'python3-boto3'], fault: () => (boto3Python() ? null : 'no python3 has boto3') },
  restic: { packages: ['restic'], fault: () => programFault('restic') },
  s3fs: { packages: ['s3fs', 'fuse', 'util-linux', 'mount'], fault: s3fsFault },
  pgbackrest: { packages: ['pgbackrest', 'postgresql', 'util-linux'], fault: pgbackrestFault },
  netns: {
    packages: ['iproute2'],
    fault: () =>
      programFault('ip') ??
      rootFault() ??
      (succeeds('unshare', ['-n', 'true']) ? null : 'no network namespace can be made (unshare -n)'),
  },
  mounts: {
    packages: ['util-linux', 'mount'],
    fault: () =>
      programFault('unshare', 'mount') ??
      rootFault() ??
      (succeeds('unshare', ['-m', 'sh', '-c', 'mount -t tmpfs tmpfs /mnt'])
        ? null
        : 'nothing can be mounted in a private namespace (unshare -m)'),
  },
  strace: {
    packages: ['strace'],
    fault: () =>
      programFault('strace') ?? (succeeds('strace', ['-o', '/dev/null', 'true']) ? null : 'strace may not trace here'),
  },
  haproxy: { packages: ['haproxy'], fault: () => programFault('haproxy') },
  nginx: { packages: ['nginx-light'], fault: () => programFault('nginx') },
  wrk: { packages: ['wrk'], fault: () => programFault('wrk') },
  promtool: { packages: ['prometheus'], fault: () => programFault('promtool') },
  openssl: { packages: ['openssl'], fault: () => programFault('openssl') },
};

/** @returns part name → why it cannot be used (null = can). */
export function detectParts() {
  return Object.fromEntries(Object.entries(PARTS).map(([name, part]) => [name, part.fault()]));
}

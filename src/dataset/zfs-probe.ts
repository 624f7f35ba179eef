// What this ZFS can do, asked once at start. Knows nothing of datasets.
import { ZringError } from '../common/errors.ts';
import type { CommandRunner } from './command.ts';
import type { Capabilities, SettingCapabilities } from './driver.ts';
import { zfsError } from './errors.ts';
import { parsePoolProperties } from './zfs-parse.ts';

export interface ZfsFlavour {
  readonly capabilities: Capabilities;
  /** `zfs set a=1 b=2 dataset`, `zfs receive -o`, `zfs send -nP`, `zfs send -c`: OpenZFS 0.8 and later. */
  readonly modern: boolean;
  readonly compression: 'lz4' | 'on';
}

export async function probeZfs(runner: CommandRunner, pool: string, timeoutMs: number): Promise<ZfsFlavour> {
  const listed = await runner.run(['zpool', 'list', '-H', '-o', 'name', pool], { timeoutMs });
  if (listed.code !== 0) throw zfsError('zpool list', listed.stderr, pool);
  // `zfs version` came with OpenZFS 0.8; zfs-fuse (pool version 23) answers with its usage.
  const version = await runner.run(['zfs', 'version'], { timeoutMs });
  if (version.code !== 0) return oldFlavour();
  const properties = await runner.run(['zpool', 'get', '-H', '-o', 'property,value', 'all', pool], { timeoutMs });
  if (properties.code !== 0) throw zfsError('zpool get', properties.stderr, pool);
  const values = parsePoolProperties(properties.stdout);
  const has = (feature: string) => ['enabled', 'active'].includes(values.get(`feature@${feature}`) ?? '');
  if (values.get('readonly') === 'on') {
    throw new ZringError('STORAGE_UNAVAILABLE', `pool ${pool} is imported read-only`, { subject: pool });
  }
  return {
    capabilities: {
      bookmarks: has('bookmarks'),
      resume: has('extensible_dataset'),
      rawSend: has('encryption'),
      written: true,
      readonlyFencesOpenFiles: true,
      description: `OpenZFS ${/\d+\.\d+[\w.-]*/.exec(version.stdout)?.[0] ?? 'of unknown version'}`,
      settings: settings([
        ...(has('lz4_compress') ? ['lz4'] : []),
        ...(has('zstd_compress') ? ['zstd', ...levels('zstd', 19), 'zstd-fast', ...ZSTD_FAST_LEVELS] : []),
      ]),
    },
    modern: true,
    compression: has('lz4_compress') ? 'lz4' : 'on',
  };
}

function oldFlavour(): ZfsFlavour {
  return {
    capabilities: {
      bookmarks: false,
      resume: false,
      rawSend: false,
      written: false,
      // Nothing to fence: the driver refuses readonly while a file is open.
      readonlyFencesOpenFiles: false,
      description: 'ZFS without feature flags (zfs-fuse, pool version 28 or older)',
      settings: settings([]),
    },
    modern: false,
    compression: 'on',
  };
}

/** zfsprops(7), `compression`: these with every ZFS, the others with features of the pool. */
function settings(featured: readonly string[]): SettingCapabilities {
  const compression = ['on', 'off', 'lzjb', 'gzip', ...levels('gzip', 9), 'zle', ...featured];
  return { quota: 'enforced', reservation: true, compression };
}

function levels(name: string, count: number): string[] {
  return Array.from({ length: count }, (_, i) => `${name}-${i + 1}`);
}

const ZSTD_FAST_LEVELS = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 500, 1000].map(
  (level) => `zstd-fast-${level}`,
);

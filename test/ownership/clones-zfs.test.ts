// Clones on real ZFS: runs clones-inside.ts in a namespace with a zfs-fuse of its own and two pools.
import * as fs from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { part } from '../support/parts.ts';
import { runTestsInside } from '../support/run-inside.ts';
import { startZfsNamespace } from '../support/zfs-fuse.ts';

it('clones on zfs-fuse', part('zfs-fuse'), async (t) => {
  const dir = await fs.mkdtemp(join(tmpdir(), 'zring-clones-zfs-'));
  const namespace = await startZfsNamespace({ dir, poolName: ['pa', 'pb'], sizeMiB: 512 });
  try {
    const file = fileURLToPath(new URL('clones-inside.ts', import.meta.url));
    const passed = await runTestsInside(namespace.spawnInside, file, { ZRING_TEST_POOLS: 'pa,pb' });
    t.diagnostic(`${passed} tests passed inside the namespace`);
  } finally {
    await namespace.stop();
    await fs.rm(dir, { recursive: true, force: true });
  }
});

// A full file system, and one that is read-only: what a store does on a small tmpfs, and on a read-only mount of one.
// The tests of full-disk-inside.ts run in a private mount namespace.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { part } from '../support/parts.ts';
import { runTestsInside } from '../support/run-inside.ts';

const INSIDE = fileURLToPath(new URL('./full-disk-inside.ts', import.meta.url));

it('writes fail as STORAGE_FULL and leave nothing, reads and deletes go on', part('mounts'), async () => {
  const folder = await mkdtemp(join(tmpdir(), 'zring-store-full-'));
  try {
    const passed = await runTestsInside(
      (command, args, options) =>
        spawn(
          'unshare',
          ['-m', 'sh', '-c', 'mount -t tmpfs -o size=24m tmpfs "$0" && exec "$@"', folder, command, ...args],
          options ?? {},
        ),
      INSIDE,
      { ZRING_TEST_FULL_FOLDER: folder },
    );
    assert.ok(passed >= 3);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

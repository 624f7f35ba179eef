// The power goes: the file system forgets what was not flushed. On ZFS (zfs-fuse) its daemon is killed and what it had
// not written is lost with it; a kill of the writer alone would leave all of that in the page cache.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { part } from '../support/parts.ts';
import { startZfsNamespace } from '../support/zfs-fuse.ts';
import { Expectation } from './crash-expectation.ts';
import { SEED } from './fixture.ts';

const CUTS = 6;
const path = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
const node = (...args: readonly string[]): readonly string[] => ['--import', 'tsx', ...args];

it(`a store on ZFS survives ${CUTS} power cuts`, part('zfs-fuse'), async () => {
  const dir = await mkdtemp(join(tmpdir(), 'zring-store-power-'));
  const zfs = await startZfsNamespace({ dir, poolName: 'power', sizeMiB: 256 });
  const expect = new Expectation();
  let state = SEED >>> 0;
  const random = (below: number): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  try {
    const folder = zfs.mountpoint('power');
    const create = `import { createStore } from ${JSON.stringify(path('../../src/store/store.ts'))};
      createStore(${JSON.stringify(folder)}, { id: 'power' });`;
    await zfs.runInside(process.execPath, node('--input-type=module', '-e', create));
    for (let run = 0; run < CUTS; run++) {
      const hint = `seed ${SEED}, run ${run}`;
      const args = node(path('./crash-writer.ts'), folder, String(SEED), String(run));
      const writer = zfs.spawnInside(process.execPath, args, { stdio: ['ignore', 'pipe', 'ignore'] });
      const gone = once(writer, 'exit');
      const until = 1 + random(run % 2 ? 60 : 12);
      let said = 0;
      for await (const line of createInterface({ input: writer.stdout ?? assert.fail() })) {
        expect.note(JSON.parse(line));
        if (++said !== until) continue;
        await zfs.kill9Daemon();
        writer.kill('SIGKILL');
      }
      await gone;
      assert.ok(said >= until, `the writer ended by itself (${hint})`);
      await zfs.restartDaemon();
      const answer = await zfs.runInside(process.execPath, node(path('./crash-checker.ts'), folder, String(run + 1)));
      const { found, torn, damaged, sequence } = JSON.parse(answer);
      assert.deepEqual(torn, [], hint);
      expect.check(new Map(found), hint);
      assert.deepEqual(damaged, [], hint);
      assert.ok(sequence >= expect.sequence, hint);
    }
  } finally {
    await zfs.stop();
    await rm(dir, { recursive: true, force: true });
  }
});

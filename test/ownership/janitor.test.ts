// What an owner's snapshots of moves are kept for. A real `dir` pool; the machine's state is what the test says.
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import type { OwnershipRecord } from '../../src/cluster/record.ts';
import { openDirDriver } from '../../src/dataset/dir.ts';
import { Janitor, type JanitorDeps } from '../../src/ownership/janitor.ts';
import { OWNERSHIP_LIMITS } from '../../src/ownership/limits.ts';
import type { DatasetRunner } from '../../src/ownership/runner.ts';
import { silentLogger } from '../../src/telemetry/log.ts';
import { copyOf, ID, recordOf, start } from './words.ts';

const PRIOR_COPY_MS = 60_000;
const STEP = 'zring-step-b-1';
const OURS = [STEP, 'zring-final-3-2'];

for (const [what, record, kept] of [
  ['somebody copies, however long', recordOf({ phase: 'copying', target: 'b' }), true],
  ['it was asked to drain', recordOf({ phase: 'draining', target: 'b' }), true],
  ['nobody knows', null, true],
  ['nobody has a claim', recordOf(), false],
] as readonly (readonly [string, OwnershipRecord | null, boolean])[]) {
  test(`snapshots of moves, older than a prior copy gets, when ${what}: ${kept ? 'kept' : 'destroyed'}`, async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'zring-janitor-'));
    t.after(() => rm(folder, { recursive: true, force: true }));
    const driver = await openDirDriver(folder, 'test');
    await driver.create('photos', { id: ID }, (path) => writeFile(join(path, 'index'), 'objects'));
    for (const name of [...OURS, 'by-hand']) await driver.snapshot('photos', name);
    await driver.hold('photos', STEP, 'zring');
    let aheadMs = 0;
    const clock = { wallMs: () => Date.now() + aheadMs, monotonicMs: () => performance.now() + aheadMs };
    const runner = {
      dataset: 'photos',
      state: start({ copy: copyOf(), record }),
      pulling: false,
      lent: { has: () => false },
      onDisk: (work: () => Promise<unknown>) => work(),
    } as unknown as DatasetRunner;
    const deps = {
      self: 'a',
      driver,
      clock,
      logger: silentLogger(),
      limits: OWNERSHIP_LIMITS,
      runners: () => [runner],
      priorCopyMs: () => PRIOR_COPY_MS,
      isHome: () => true,
      replicas: () => [],
      clearShelf: async () => undefined,
    };
    const janitor = new Janitor(deps as unknown as JanitorDeps);
    const names = async () => (await driver.snapshots('photos')).map(({ name }) => name);
    await janitor.round();
    assert.deepEqual(await names(), [...OURS, 'by-hand'], 'their time has not come');
    aheadMs = PRIOR_COPY_MS + 1_000;
    await janitor.round();
    assert.deepEqual(await names(), kept ? [...OURS, 'by-hand'] : ['by-hand']);
  });
}

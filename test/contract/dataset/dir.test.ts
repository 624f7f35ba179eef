import * as fs from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openDriver } from '../../../src/dataset/open-driver.ts';
import { silentLogger } from '../../../src/telemetry/log.ts';
import { cloneContract } from './clone-suite.ts';
import { settingsContract } from './settings-suite.ts';
import { snapshotContract } from './snapshot-suite.ts';
import { storeSuite } from './store-suite.ts';
import { type ContractHarness, datasetContract } from './suite.ts';

async function startDirHarness(): Promise<ContractHarness> {
  const folder = await fs.mkdtemp(join(tmpdir(), 'zring-dir-'));
  const open = (name: string) =>
    openDriver({ kind: 'dir', location: join(folder, name) }, { logger: silentLogger(), cluster: 'test' });
  return {
    a: await open('a'),
    b: await open('b'),
    reopenA: () => open('a'),
    makeForeign: async (name) => {
      await fs.mkdir(join(folder, 'a', name));
      return join(folder, 'a', name);
    },
    started: () => null,
    offsets: 40,
    stop: () => fs.rm(folder, { recursive: true, force: true }),
  };
}

datasetContract('dataset driver contract: dir', startDirHarness);
storeSuite('store on the driver: dir', startDirHarness);
settingsContract('dataset settings contract: dir', startDirHarness);
snapshotContract('snapshots as folders: dir', startDirHarness);
cloneContract('datasets cloned from a snapshot: dir', startDirHarness);

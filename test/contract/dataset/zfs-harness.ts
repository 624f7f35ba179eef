// The contract's harness on ZFS pools that this process can see. Runs where the pools are: in a zfs-fuse namespace, or in
// an OpenZFS guest. ZRING_TEST_POOLS names two pools; ZRING_TEST_OFFSETS says how many offsets to try.
import { execFileSync } from 'node:child_process';
import { type CommandRunner, systemCommands } from '../../../src/dataset/command.ts';
import type { DatasetDriver } from '../../../src/dataset/driver.ts';
import { openZfsDriver } from '../../../src/dataset/zfs-open.ts';
import type { ContractHarness } from './suite.ts';

export async function startZfsHarness(): Promise<ContractHarness> {
  const [poolA = '', poolB = ''] = (process.env.ZRING_TEST_POOLS ?? '').split(',');
  const offsets = Number(process.env.ZRING_TEST_OFFSETS ?? 12);
  let started = 0;
  const counting: CommandRunner = {
    run(args, options) {
      started++;
      return systemCommands.run(args, options);
    },
    stream(args, direction) {
      started++;
      return systemCommands.stream(args, direction);
    },
  };
  const open = (pool: string): Promise<DatasetDriver> => openZfsDriver(`${pool}/zring`, 'test', { runner: counting });
  return {
    a: await open(poolA),
    b: await open(poolB),
    reopenA: () => open(poolA),
    makeForeign: async (name) => {
      execFileSync('zfs', ['create', `${poolA}/zring/${name}`]);
      return execFileSync('zfs', ['get', '-H', '-o', 'value', 'mountpoint', `${poolA}/zring/${name}`], {
        encoding: 'utf8',
      }).trim();
    },
    started: () => started,
    offsets,
    stop: () => Promise.resolve(),
  };
}

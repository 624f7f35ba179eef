// That a folder is the mount of the dataset it is taken for: by ZFS's word, by the device, by the list of mounts. Each of
// them alone is wrong at times: here they are made to disagree, which no healthy pool shows.
import assert from 'node:assert/strict';
import * as fs from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { isZringError } from '../../src/common/errors.ts';
import type { ZfsCommands } from '../../src/dataset/zfs-commands.ts';
import { ZfsDatasets } from '../../src/dataset/zfs-datasets.ts';

const DATASET = 'tank/zring/photos';

/** What ZFS says of the dataset. */
function prove(mounted: 'yes' | 'no', mountpoint: string, dataset = DATASET): Promise<string> {
  const values = new Map(
    Object.entries({ mounted, mountpoint }).map(([key, value]) => [key, { value, source: 'local' }]),
  );
  const commands = { find: async () => values } as unknown as ZfsCommands;
  return new ZfsDatasets('tank/zring', commands, true).provePath(dataset);
}

async function mounts(): Promise<{ source: string; path: string }[]> {
  const lines = (await fs.readFile('/proc/self/mounts', 'utf8')).split('\n').map((line) => line.split(' '));
  return lines.flatMap(([source, path]) => (source && path && !path.includes('\\') ? [{ source, path }] : []));
}

const refused = (why: RegExp) => (error: unknown) => isZringError(error, 'MOUNT_INVALID') && why.test(error.message);

describe('the folder of a dataset', () => {
  it('is what is mounted there under its name', async () => {
    const proc = (await mounts()).findLast(({ path }) => path === '/proc');
    assert.ok(proc, 'a machine with /proc');
    assert.equal(await prove('yes', '/proc', proc.source), '/proc');
  });

  it('a dataset that is not mounted is not opened', async () => {
    const proc = (await mounts()).findLast(({ path }) => path === '/proc');
    await assert.rejects(prove('no', '/proc', proc?.source ?? ''), refused(/not mounted/));
  });

  it('a folder on which nothing is mounted is not the dataset, whatever ZFS says', async (t) => {
    const folder = await fs.mkdtemp(join(tmpdir(), 'zring-proof-'));
    t.after(() => fs.rm(folder, { recursive: true, force: true }));
    await assert.rejects(prove('yes', folder), refused(/nothing is mounted there/));
    await assert.rejects(prove('yes', join(folder, 'missing')), refused(/nothing is mounted there/));
    await assert.rejects(prove('yes', 'legacy'), refused(/no mount point of its own/));
  });

  it('a folder on which something else is mounted is not the dataset', async () => {
    await assert.rejects(prove('yes', '/proc'), refused(/what is mounted there is/));
  });
});

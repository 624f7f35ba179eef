// What only ZFS has to show: record sizes, and that a folder is the mount of the dataset it is taken for. Runs where the
// contract runs (a zfs-fuse namespace, an OpenZFS guest).
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { isZringError } from '../../../src/common/errors.ts';
import { bytesOf, collect, readStore, streamOf, writeStore, writeSynced } from './content.ts';
import type { ContractHarness } from './suite.ts';

export function zfsSuite(title: string, start: () => Promise<ContractHarness>): void {
  describe(title, () => {
    let h: ContractHarness;
    before(async () => {
      h = await start();
    });
    after(() => h?.stop());

    const run = (command: string, ...args: string[]) => execFileSync(command, args, { encoding: 'utf8' });
    const propertyOf = (property: string, dataset: string) =>
      run('zfs', 'get', '-H', '-p', '-o', 'value', property, dataset).trim();
    const fullName = (folder: string) => run('zfs', 'list', '-H', '-o', 'name', folder).trim();
    const invalid = (error: unknown) => isZringError(error, 'MOUNT_INVALID');

    it('the index keeps small records and data files get large ones, on a received copy too', async () => {
      await h.a.create('records', { id: 'r' }, (path) => writeSynced(join(path, 'index'), bytesOf('i', 30_000)));
      const { path } = await h.a.open('records', { id: 'r', readonly: false });
      const full = fullName(path);
      assert.deepEqual(
        ['recordsize', 'atime', 'canmount'].map((property) => propertyOf(property, full)),
        ['131072', 'off', 'noauto'],
      );
      await writeStore(path, { aa1: bytesOf('aa1', 400_000) }, null);
      await writeInPlace(join(path, 'index'), bytesOf('grown', 60_000));
      assert.equal((await fs.stat(join(path, 'index'))).blksize, 8192);
      assert.equal((await fs.stat(join(path, 'data/aa/aa1'))).blksize, 131_072);

      await h.a.snapshot('records', 's1');
      const sent = await h.a.send('records', { snapshot: 's1', fromGuid: null });
      await h.b.receive('_recv-records', streamOf(await collect(sent.stream)), { incremental: false });
      await h.b.setProperties('_recv-records', { id: 'r' });
      await h.b.rename('_recv-records', 'records');
      const copy = await h.b.open('records', { id: 'r', readonly: false });
      assert.equal(propertyOf('recordsize', fullName(copy.path)), '131072');
      assert.equal((await fs.stat(join(copy.path, 'index'))).blksize, 8192);
      await writeStore(copy.path, { aa2: bytesOf('aa2', 400_000) }, null);
      await writeInPlace(join(copy.path, 'index'), bytesOf('grown more', 90_000));
      assert.equal((await fs.stat(join(copy.path, 'index'))).blksize, 8192);
      assert.equal((await fs.stat(join(copy.path, 'data/aa/aa2'))).blksize, 131_072);
    });

    it('a dataset under another mount is not opened', async () => {
      await h.a.create('covered', { id: 'c' }, (path) => writeStore(path, {}, bytesOf('i', 20_000)));
      const { path } = await h.a.open('covered', { id: 'c', readonly: false });
      const content = await readStore(path);
      run('mount', '-t', 'tmpfs', 'tmpfs', path);
      try {
        await assert.rejects(h.a.open('covered', { id: 'c', readonly: false }), invalid);
      } finally {
        run('umount', path);
      }
      const again = await h.a.open('covered', { id: 'c', readonly: false });
      assert.deepEqual(await readStore(again.path), content);
    });

    it('a dataset without a mount point of its own is not opened', async () => {
      await h.a.create('nowhere', { id: 'n' }, (path) => writeStore(path, {}, bytesOf('i', 20_000)));
      const { path } = await h.a.open('nowhere', { id: 'n', readonly: false });
      const full = fullName(path);
      await h.a.close('nowhere');
      run('zfs', 'set', 'mountpoint=legacy', full);
      await assert.rejects(h.a.open('nowhere', { id: 'n', readonly: false }), (error: unknown) => isZringError(error));
      run('zfs', 'inherit', 'mountpoint', full);
      await h.a.close('nowhere');
      await h.a.open('nowhere', { id: 'n', readonly: false });
    });

    it('what a clone was made from is there as long as it is needed, hidden, and not a moment longer', async () => {
      await h.a.create('origin-source', { id: 'o' }, (path) => writeStore(path, {}, bytesOf('i', 20_000)));
      const root = fullName((await h.a.open('origin-source', { id: 'o', readonly: false })).path).split('/')[0] ?? '';
      const inPool = () =>
        run('zfs', 'list', '-H', '-o', 'name', '-t', 'snapshot', '-r', root)
          .split('\n')
          .filter((line) => /origin-|ow-@/.test(line));
      const guids: Record<string, string> = {};
      for (const name of ['s1', 's2', 's3']) guids[name] = (await h.a.snapshot('origin-source', name)).guid;
      for (const name of ['s1', 's2']) {
        const snapshot = { name, guid: guids[name] ?? '' };
        await h.a.clone('origin-source', snapshot, `origin-${name}`, { id: name }, async () => {});
      }
      const destroyed = async (name: string) => {
        await h.a.close(name);
        await h.a.destroy(name);
      };
      // As a process leaves it that dies before the clone has its id.
      const half = `${root}/zring/origin-half`;
      run('zfs', 'clone', '-o', 'zring:creating=1-1', '-o', 'canmount=noauto', `${root}/zring/origin-source@s3`, half);
      await (await h.reopenA()).shutdown();
      assert.equal(await h.a.get('origin-half'), null);
      assert.throws(() => propertyOf('type', half), 'nothing is left of it');
      await h.a.destroySnapshot('origin-source', 's1');
      const [hidden] = inPool().filter((line) => line.includes('zring-origin'));
      assert.match(hidden ?? '', new RegExp(`origin-source@zring-origin-${guids.s1}$`));
      // As the pool is when the process died before it was given its other name.
      run('zfs', 'rename', hidden ?? '', `${hidden?.split('@')[0]}@s1`);
      assert.deepEqual(
        (await h.a.snapshots('origin-source')).map(({ name }) => name),
        ['s2', 's3'],
      );
      await h.a.destroySnapshot('origin-source', 's1');
      await destroyed('origin-source');
      assert.deepEqual(
        inPool().map((line) => line.split('/').at(-1)),
        [`origin-s2@zring-origin-${guids.s1}`],
      );
      await destroyed('origin-s1');
      assert.deepEqual(inPool(), []);
      await destroyed('origin-s2');
    });

    it('an id that is inherited from the root is nobody’s', async () => {
      const folder = await h.makeForeign('inheriting');
      const [full, root] = [fullName(folder), fullName(folder).split('/').slice(0, -1).join('/')];
      run('zfs', 'set', 'zring:id=stray', root);
      try {
        assert.equal(propertyOf('zring:id', full), 'stray');
        assert.equal(await h.a.get('inheriting'), null);
        assert.ok(!(await h.a.list()).some((info) => info.name === 'inheriting'));
      } finally {
        run('zfs', 'inherit', 'zring:id', root);
      }
    });
  });
}

/** As LMDB does. (A file that is cut to nothing and written again gets the record size of that moment, on OpenZFS.) */
async function writeInPlace(path: string, content: Buffer): Promise<void> {
  const handle = await fs.open(path, 'r+');
  await handle.write(content, 0, content.length, 0);
  await handle.sync();
  await handle.close();
}

// The contract of datasets that are cloned from a snapshot of another one, over every implementation: the two go different
// ways, and neither is in the other's way. Runs where the rest of the contract runs.
import assert from 'node:assert/strict';
import * as fs from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { isZringError } from '../../../src/common/errors.ts';
import { bytesOf, collect, readStore, removeData, streamOf, writeStore, writeSynced } from './content.ts';
import type { ContractHarness } from './suite.ts';

export function cloneContract(title: string, start: () => Promise<ContractHarness>): void {
  describe(title, () => {
    let h: ContractHarness;
    let serial = 0;
    before(async () => {
      h = await start();
    });
    after(() => h?.stop());

    const nothing = async () => {};

    async function made(snapshots: readonly string[] = ['then']): Promise<{ name: string; path: string }> {
      const name = `source-${++serial}`;
      await h.a.create(name, { id: name }, (folder) =>
        writeStore(folder, { aa1: bytesOf('aa1', 150_000), bb1: bytesOf('bb1', 9_000) }, bytesOf('index', 40_000)),
      );
      const { path } = await h.a.open(name, { id: name, readonly: false });
      for (const snapshot of snapshots) {
        await writeStore(path, { [`cc${snapshot}`]: bytesOf(snapshot, 20_000) }, bytesOf(snapshot, 44_000));
        await h.a.snapshot(name, snapshot);
      }
      return { name, path };
    }

    async function cloned(
      name: string,
      snapshot: string,
      target: string,
      init = nothing as (path: string) => Promise<void>,
    ) {
      const guid = (await h.a.snapshots(name)).find((info) => info.name === snapshot)?.guid ?? '1';
      return h.a.clone(name, { name: snapshot, guid }, target, { id: target, word: 'own' }, init);
    }

    /** Opened as a dataset of its own. */
    async function contentOf(name: string): Promise<Record<string, string>> {
      const { path } = await h.a.open(name, { id: name, readonly: false });
      return readStore(path);
    }

    async function gone(name: string): Promise<void> {
      await h.a.close(name);
      await h.a.destroy(name);
      assert.equal(await h.a.get(name), null);
    }

    const namesOf = async (name: string) => (await h.a.snapshots(name)).map((info) => info.name);

    it('has what the snapshot has, under its own name and properties, and goes its own way', async () => {
      const { name, path } = await made();
      const was = await readStore(path);
      await h.a.hold(name, 'then', 'keep');
      await removeData(path, 'bb1');
      await writeStore(path, { aa2: bytesOf('aa2', 9_000) }, bytesOf('index two', 44_000));
      const now = await readStore(path);
      let seen: Record<string, string> = {};
      const info = await cloned(name, 'then', 'a-clone', async (folder) => {
        seen = await readStore(folder);
        assert.equal(await h.a.get('a-clone').then((found) => found?.properties.id), undefined, 'not seen yet');
      });
      assert.deepEqual(seen, was);
      assert.deepEqual([info.name, info.readonly, info.properties], ['a-clone', false, { id: 'a-clone', word: 'own' }]);
      assert.deepEqual(await namesOf('a-clone'), [], 'no snapshots of its own');
      assert.deepEqual(await contentOf('a-clone'), was);
      const { path: there } = await h.a.open('a-clone', { id: 'a-clone', readonly: false });
      await writeStore(there, { aa3: bytesOf('aa3', 300_000) }, bytesOf('index three', 48_000));
      await removeData(there, 'aa1');
      const other = await readStore(there);
      assert.deepEqual(await readStore(path), now);
      const again = await h.reopenA();
      await again.open('a-clone', { id: 'a-clone', readonly: false });
      assert.deepEqual(await readStore(there), other);
      assert.deepEqual((await again.get('a-clone'))?.properties, { id: 'a-clone', word: 'own' });
      await again.shutdown();
    });

    it('refuses a name that is taken, an unknown snapshot, and another one of that name', async () => {
      const { name } = await made();
      const { name: taken } = await made();
      const was = await contentOf(taken);
      await assert.rejects(cloned(name, 'then', taken), { code: 'DATASET_ALREADY_EXISTS' });
      assert.deepEqual(await contentOf(taken), was);
      await assert.rejects(cloned(name, 'never', 'a-clone-of-never'), { code: 'SNAPSHOT_NOT_FOUND' });
      const other = { name: 'then', guid: '12345' };
      await assert.rejects(h.a.clone(name, other, 'a-clone-of-other', { id: 'x' }, nothing), {
        code: 'SNAPSHOT_NOT_FOUND',
      });
      await assert.rejects(cloned('no-such-source', 'then', 'a-clone-of-none'), { code: 'DATASET_NOT_FOUND' });
      for (const never of ['a-clone-of-never', 'a-clone-of-other', 'a-clone-of-none'])
        assert.equal(await h.a.get(never), null);
    });

    it('leaves nothing when init fails', async () => {
      const { name } = await made();
      const failing = cloned(name, 'then', 'a-clone-that-fails', async (path) => {
        await writeSynced(join(path, 'index'), bytesOf('half', 40_000));
        throw new Error('no');
      });
      await assert.rejects(failing, /no/);
      assert.equal(await h.a.get('a-clone-that-fails'), null);
      await cloned(name, 'then', 'a-clone-that-fails');
      await gone('a-clone-that-fails');
      await h.a.destroySnapshot(name, 'then');
      await gone(name);
    });

    it('the snapshot is destroyed, its name used again, and the dataset destroyed: the clone stays as it is', async () => {
      const { name } = await made();
      await h.a.hold(name, 'then', 'keep');
      const clone = `${name}-clone`;
      await cloned(name, 'then', clone);
      const was = await contentOf(clone);
      await h.a.destroySnapshot(name, 'then', { held: true });
      assert.deepEqual(await namesOf(name), []);
      await h.a.snapshot(name, 'then');
      assert.deepEqual(await namesOf(name), ['then']);
      await gone(name);
      assert.deepEqual(await namesOf(clone), [], 'nothing of the other one shows');
      assert.deepEqual(await contentOf(clone), was);
      await h.a.snapshot(clone, 'own');
      assert.deepEqual(await namesOf(clone), ['own']);
      await gone(clone);
    });

    it('a dataset with several clones of several snapshots is destroyed, and each of them after it, in any order', async () => {
      const { name } = await made(['s1', 's2', 's3', 's4']);
      await h.a.hold(name, 's2', 'keep');
      const clones = ['s1', 's3', 's3', 's2'].map((snapshot, i) => ({ snapshot, clone: `${name}-clone-${i}` }));
      const was = new Map<string, Record<string, string>>();
      for (const { snapshot, clone } of clones) {
        await cloned(name, snapshot, clone);
        was.set(clone, await contentOf(clone));
      }
      await h.a.snapshot(`${name}-clone-1`, 's1');
      await cloned(`${name}-clone-1`, 's1', `${name}-clone-of-clone`);
      await gone(name);
      for (const { clone } of clones) assert.deepEqual(await contentOf(clone), was.get(clone), clone);
      assert.deepEqual(await namesOf(`${name}-clone-1`), ['s1']);
      assert.deepEqual(await namesOf(`${name}-clone-2`), []);
      for (const i of [1, 0, 2, 3]) {
        await gone(`${name}-clone-${i}`);
        assert.deepEqual(await contentOf(`${name}-clone-of-clone`), was.get(`${name}-clone-1`));
      }
      await gone(`${name}-clone-of-clone`);
    });

    it('a file that is open in the clone is in nobody’s way when the dataset, or its snapshot, goes', async () => {
      const { name } = await made(['s1', 's2']);
      const clone = `${name}-clone`;
      await cloned(name, 's1', clone);
      const { path } = await h.a.open(clone, { id: clone, readonly: false });
      const was = await readStore(path);
      const file = await fs.open(join(path, 'index'), 'r+');
      await h.a.destroySnapshot(name, 's1');
      assert.deepEqual(await namesOf(name), ['s2']);
      await h.a.close(name);
      await h.a.hold(name, 's2', 'keep');
      await h.a.rename(name, `_gone-${name}`, { doomed: true });
      await h.a.destroy(`_gone-${name}`);
      await file.close();
      assert.deepEqual(await readStore(path), was);
      assert.deepEqual(await namesOf(clone), []);
      await gone(clone);
    });

    it('is sent whole, and stands on the other side without its origin', async () => {
      const { name } = await made();
      const clone = `${name}-clone`;
      await cloned(name, 'then', clone);
      const was = await contentOf(clone);
      await h.a.close(clone);
      await h.a.snapshot(clone, 'final');
      const sent = await h.a.send(clone, { snapshot: 'final', fromGuid: null });
      await h.b.receive(`_${clone}`, streamOf(await collect(sent.stream)), { incremental: false });
      await h.b.setProperties(`_${clone}`, { id: clone });
      await h.b.rename(`_${clone}`, clone);
      const { path } = await h.b.open(clone, { id: clone, readonly: false });
      assert.deepEqual(await readStore(path), was);
      await gone(clone);
      await gone(name);
    });

    it('a dataset goes back to what a clone was made from, and a clone to its own', async () => {
      const { name } = await made(['s1', 's2']);
      const clone = `${name}-clone`;
      await cloned(name, 's2', clone);
      await h.a.snapshot(clone, 'own');
      const { path } = await h.a.open(clone, { id: clone, readonly: false });
      const was = await readStore(path);
      await writeStore(path, { aa9: bytesOf('aa9', 9_000) }, null);
      for (const [dataset, snapshot] of [
        [name, 's2'],
        [clone, 'own'],
      ] as const) {
        await h.a.close(dataset);
        await h.a.rollback(dataset, snapshot);
      }
      assert.deepEqual(await contentOf(clone), was);
      const { path: open } = await h.a.open(name, { id: name, readonly: false });
      const file = await fs.open(join(open, 'index'));
      const asked = await h.a.rollback(name, 's1', { dryRun: true }).catch((error: unknown) => error);
      assert.equal(isZringError(asked, 'DATASET_BUSY'), h.a.kind === 'zfs', 'told beforehand');
      await file.close();
      await h.a.close(name);
      const back = h.a.rollback(name, 's1');
      if (h.a.kind === 'dir') await back;
      else {
        await assert.rejects(
          back,
          (error: unknown) => isZringError(error, 'DATASET_BUSY') && error.message.includes(clone),
        );
        assert.deepEqual(await namesOf(name), ['s1', 's2'], 'and nothing has changed');
      }
      assert.deepEqual(await contentOf(clone), was);
      await gone(clone);
      await h.a.rollback(name, 's1');
      assert.deepEqual(await namesOf(name), ['s1']);
      await gone(name);
    });

    it('takes no space of its own', async () => {
      const { name } = await made();
      const clone = `${name}-clone`;
      await cloned(name, 'then', clone);
      const { path } = await h.a.open(clone, { id: clone, readonly: false });
      if (h.a.kind === 'zfs') {
        const { usedBytes, referencedBytes } = (await h.a.get(clone)) ?? { usedBytes: 0, referencedBytes: 0 };
        assert.ok(usedBytes < 60_000 && referencedBytes > 150_000, `${usedBytes} of ${referencedBytes}`);
      } else assert.ok((await fs.stat(join(path, 'data/aa/aa1'))).nlink >= 3);
      await gone(clone);
      await gone(name);
    });
  });
}

// The contract of snapshots as folders, and of what is held, over every implementation. Runs where the rest of the contract
// runs.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import * as fs from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { isZringError } from '../../../src/common/errors.ts';
import { bytesOf, readStore, removeData, writeStore } from './content.ts';
import type { ContractHarness } from './suite.ts';

const busy = (promise: Promise<unknown>) =>
  assert.rejects(promise, (error: unknown) => isZringError(error, 'DATASET_BUSY'));

export function snapshotContract(title: string, start: () => Promise<ContractHarness>): void {
  describe(title, () => {
    let h: ContractHarness;
    let serial = 0;
    before(async () => {
      h = await start();
    });
    after(() => h?.stop());

    /** With a snapshot `then`, and changed since. */
    async function changed(): Promise<{ name: string; path: string; was: Record<string, string> }> {
      const name = `snapshots-${++serial}`;
      await h.a.create(name, { id: name }, (folder) =>
        writeStore(folder, { aa1: bytesOf('aa1', 150_000), bb1: bytesOf('bb1', 9_000) }, bytesOf('index one', 40_000)),
      );
      const { path } = await h.a.open(name, { id: name, readonly: false });
      const was = await readStore(path);
      await h.a.snapshot(name, 'then');
      await writeStore(path, { aa2: bytesOf('aa2', 90_000) }, bytesOf('index two', 44_000));
      await removeData(path, 'bb1');
      return { name, path, was };
    }

    it('tells which are held with a tag', async () => {
      const { name } = await changed();
      await h.a.snapshot(name, 'later');
      assert.deepEqual(await h.a.heldWith(name, 'keep'), new Set());
      await h.a.hold(name, 'then', 'keep');
      await h.a.hold(name, 'later', 'other');
      assert.deepEqual(await h.a.heldWith(name, 'keep'), new Set(['then']));
      await h.a.release(name, 'then', 'keep');
      assert.deepEqual(await h.a.heldWith(name, 'keep'), new Set());
      await assert.rejects(h.a.heldWith('no-such-dataset', 'keep'), { code: 'DATASET_NOT_FOUND' });
    });

    it('shows a snapshot as it was, beside the dataset that goes on', async () => {
      const { name, path, was } = await changed();
      const folder = await h.a.mountSnapshot(name, 'then');
      assert.notEqual(folder, path);
      assert.deepEqual(await readStore(folder), was);
      assert.equal(await h.a.mountSnapshot(name, 'then'), folder, 'again while it is mounted');
      await writeStore(path, { aa3: bytesOf('aa3', 1_000) }, bytesOf('index three', 44_000));
      assert.deepEqual(await readStore(folder), was);
      assert.deepEqual(
        (await h.a.list()).map((info) => info.name).filter((other) => other.startsWith('_')),
        [],
        'it is no dataset of its own',
      );
      await h.a.unmountSnapshot(name, 'then');
      await h.a.unmountSnapshot(name, 'then');
      await assert.rejects(h.a.mountSnapshot(name, 'never'), { code: 'SNAPSHOT_NOT_FOUND' });
    });

    it('neither the snapshot nor the dataset is destroyed while it is mounted', async () => {
      const { name, was } = await changed();
      const folder = await h.a.mountSnapshot(name, 'then');
      await busy(h.a.destroySnapshot(name, 'then'));
      await busy(h.a.destroy(name));
      const file = await fs.open(join(folder, 'index'));
      await busy(h.a.unmountSnapshot(name, 'then'));
      await file.close();
      assert.deepEqual(await readStore(folder), was);
      await h.a.unmountSnapshot(name, 'then');
      await h.a.destroySnapshot(name, 'then');
      await h.a.destroy(name);
      assert.equal(await h.a.get(name), null);
    });

    it('a refused destruction leaves our holds; reading and sending do not disturb each other', async () => {
      const { name } = await changed();
      await h.a.hold(name, 'then', 'keep');
      await assert.rejects(h.a.destroySnapshot(name, 'then'), { code: 'SNAPSHOT_HELD' });
      const sent = await h.a.send(name, { snapshot: 'then', fromGuid: null });
      const ended = sent.done.catch(() => undefined);
      await h.a.mountSnapshot(name, 'then');
      await busy(h.a.destroySnapshot(name, 'then', { held: true }));
      await h.a.unmountSnapshot(name, 'then');
      await busy(h.a.destroySnapshot(name, 'then', { held: true }));
      const closed = once(sent.stream, 'close');
      sent.stream.destroy();
      await Promise.all([ended, closed]);
      assert.deepEqual(await h.a.heldWith(name, 'keep'), new Set(['then']));
      await h.a.destroySnapshot(name, 'then', { held: true });
      assert.deepEqual(await h.a.snapshots(name), []);
    });

    it('can be made, listed and sent from while another one is mounted', async () => {
      const { name } = await changed();
      await h.a.mountSnapshot(name, 'then');
      await h.a.snapshot(name, 'later');
      await h.a.destroySnapshot(name, 'later');
      await h.a.close(name);
      assert.deepEqual(
        (await h.a.snapshots(name)).map((info) => info.name),
        ['then'],
      );
      await h.a.unmountSnapshot(name, 'then');
    });

    it('a dataset goes back to a snapshot, and later ones are gone', async () => {
      const { name, was } = await changed();
      await h.a.snapshot(name, 'later');
      await h.a.hold(name, 'later', 'keep');
      await h.a.hold(name, 'then', 'keep');
      await h.a.close(name);
      await h.a.rollback(name, 'then');
      assert.deepEqual(
        (await h.a.snapshots(name)).map((info) => [info.name, info.holds]),
        [['then', 1]],
      );
      const { path } = await h.a.open(name, { id: name, readonly: false });
      assert.deepEqual(await readStore(path), was);
      await writeStore(path, { aa4: bytesOf('aa4', 2_000) }, bytesOf('index four', 44_000));
      await h.a.close(name);
      await h.a.snapshot(name, 'after');
      await h.a.rollback(name, 'after');
      const again = await h.a.open(name, { id: name, readonly: true });
      assert.deepEqual(Object.keys(await readStore(again.path)).sort(), [...Object.keys(was), 'data/aa/aa4'].sort());
      await h.a.close(name);
      await assert.rejects(h.a.rollback(name, 'later'), { code: 'SNAPSHOT_NOT_FOUND' });
    });

    it('a later snapshot that is in use keeps a dataset from going back, and nothing has changed', async () => {
      const { name, path } = await changed();
      const now = await readStore(path);
      await h.a.snapshot(name, 'later');
      await h.a.close(name);
      await h.a.mountSnapshot(name, 'later');
      await busy(h.a.rollback(name, 'then'));
      await h.a.unmountSnapshot(name, 'later');
      assert.deepEqual(
        (await h.a.snapshots(name)).map((info) => info.name),
        ['then', 'later'],
      );
      const again = await h.a.open(name, { id: name, readonly: true });
      assert.deepEqual(await readStore(again.path), now);
      await h.a.close(name);
    });

    it('is not mounted any more after a restart, and is in nobody’s way', async () => {
      const { name } = await changed();
      const { name: other } = await changed();
      await h.a.mountSnapshot(name, 'then');
      await h.a.mountSnapshot(other, 'then');
      const again = await h.reopenA();
      await again.destroySnapshot(name, 'then');
      await again.close(other);
      await again.destroy(other);
      assert.equal(await again.get(other), null);
      await again.shutdown();
    });
  });
}

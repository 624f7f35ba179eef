// The real store on a driver: snapshots while it is written, sent away, opened there. What the store promised before a
// snapshot is in it; what it says of itself there is whole. Needs lmdb, so not for the OpenZFS guest.
import assert from 'node:assert/strict';
import * as fs from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { createStore, type LocalStore, openStore } from '../../../src/store/store.ts';
import { bytesOf, get, put, TERM } from '../../store/fixture.ts';
import type { ContractHarness } from './suite.ts';

const SIZES = [10, 3000, 60_000, 300_000];

export function storeSuite(title: string, start: () => Promise<ContractHarness>): void {
  describe(title, () => {
    let h: ContractHarness;
    before(async () => {
      h = await start();
    });
    after(() => h?.stop());

    async function transfer(name: string, snapshot: string, fromGuid: string | null): Promise<void> {
      const sent = await h.a.send(name, { snapshot, fromGuid });
      await h.b.receive(fromGuid === null ? `_${name}` : name, sent.stream, { incremental: fromGuid !== null });
      await sent.done;
      if (fromGuid !== null) return;
      await h.b.setProperties(`_${name}`, { id: name });
      await h.b.rename(`_${name}`, name);
    }

    /** Opens the copy and reads everything that had been acknowledged when the snapshot was asked for. */
    async function verifyCopy(name: string, acknowledged: ReadonlyMap<string, Buffer>): Promise<void> {
      const { path } = await h.b.open(name, { id: name, readonly: false });
      const store = await openStore(path, { term: { n: 2, node: 'b' } });
      for (const [key, body] of acknowledged) assert.ok((await get(store, key))?.equals(body), `${key} in the copy`);
      assert.deepEqual((await store.verify()).damaged, []);
      await store.close();
      await h.b.open(name, { id: name, readonly: true });
      await h.b.close(name);
    }

    it('snapshots taken while it is written carry everything acknowledged', async () => {
      const name = 'busy-store';
      await h.a.create(name, { id: name }, (path) => createStore(path, { id: name }));
      const { path } = await h.a.open(name, { id: name, readonly: false });
      const store: LocalStore = await openStore(path, { term: TERM });
      const acknowledged = new Map<string, Buffer>();
      let n = 0;
      let writing = true;
      // Each round lets so many in: a disk on which writing is faster than sending would never come to the end.
      const writesPerRound = 60;
      let allowed = writesPerRound;
      let letIn = () => {};
      const writer = async () => {
        while (writing) {
          if (n >= allowed) {
            await new Promise<void>((resolve) => {
              const others = letIn;
              letIn = () => {
                others();
                resolve();
              };
            });
            continue;
          }
          const turn = n++;
          const body = bytesOf(SIZES[turn % SIZES.length] ?? 10, turn);
          await put(store, `key ${turn}`, body);
          acknowledged.set(`key ${turn}`, body);
        }
      };
      const writers = [writer(), writer(), writer()];
      let fromGuid: string | null = null;
      try {
        for (let round = 1; round <= 4; round++) {
          const had = new Map(acknowledged);
          allowed += writesPerRound;
          letIn();
          const { guid } = await h.a.snapshot(name, `s${round}`, store);
          await transfer(name, `s${round}`, fromGuid);
          // Opening for writes changes the copy: only the last one is looked into.
          if (round === 4) await verifyCopy(name, had);
          fromGuid = guid;
        }
      } finally {
        writing = false;
        letIn();
        await Promise.all(writers);
        await store.close();
      }
      assert.ok(acknowledged.size > 12, `${acknowledged.size}`);
    });

    it('goes to another node and back, as a handoff does it', async () => {
      const name = 'moving-store';
      await h.a.create(name, { id: name }, (path) => createStore(path, { id: name }));
      const here = await h.a.open(name, { id: name, readonly: false });
      let store = await openStore(here.path, { term: TERM });
      await put(store, 'one', bytesOf(100_000, 1));
      await store.close();
      await h.a.setReadonly(name, true);
      await h.a.close(name);
      const { guid } = await h.a.snapshot(name, 'final-1');
      await transfer(name, 'final-1', null);

      const there = await h.b.open(name, { id: name, readonly: false });
      store = await openStore(there.path, { term: { n: 2, node: 'b' } });
      await put(store, 'two', bytesOf(200_000, 2));
      await store.remove({ key: 'one' });
      await store.close();
      await h.b.setReadonly(name, true);
      await h.b.close(name);
      await h.b.snapshot(name, 'final-2');
      const sent = await h.b.send(name, { snapshot: 'final-2', fromGuid: guid });
      await h.a.receive(name, sent.stream, { incremental: true });
      await sent.done;

      const back = await h.a.open(name, { id: name, readonly: false });
      store = await openStore(back.path, { term: { n: 3, node: 'a' } });
      assert.equal(store.head('one'), null);
      assert.ok((await get(store, 'two'))?.equals(bytesOf(200_000, 2)));
      await put(store, 'three', bytesOf(10, 3));
      assert.deepEqual((await store.verify()).damaged, []);
      if (h.a.kind === 'zfs') assert.equal((await fs.stat(join(back.path, 'index'))).blksize, 8192);
      await store.close();
    });

    it('takes any number of bodies after it came without one', async () => {
      const name = 'empty-store';
      await h.a.create(name, { id: name }, (path) => createStore(path, { id: name }));
      await h.a.snapshot(name, 'final-1');
      await transfer(name, 'final-1', null);
      const { path } = await h.b.open(name, { id: name, readonly: false });
      const store = await openStore(path, { term: { n: 2, node: 'b' } });
      const keys = Array.from({ length: 260 }, (_, i) => `k${i}`);
      await Promise.all(keys.map((key, i) => put(store, key, bytesOf(20_000, i))));
      assert.equal(store.stats().objects, keys.length);
      assert.deepEqual((await store.verify()).damaged, []);
      await store.close();
    });
  });
}

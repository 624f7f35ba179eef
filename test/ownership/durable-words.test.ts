// What a node must not forget over a crash: decided promises, and the ids that are gone for good. Real files.
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { type DurableMap, openDurableMap } from '../../src/common/durable-map.ts';
import { createSystemClock } from '../../src/common/system-clock.ts';
import { CatalogKeeper } from '../../src/ownership/catalog-keeper.ts';
import { FenceBook } from '../../src/ownership/fence-book.ts';
import { silentLogger } from '../../src/telemetry/log.ts';
import { createMemoryCluster, type MemoryCluster } from '../support/memory-coordinator.ts';
import { ID, OTHER, recordOf } from './words.ts';

/** Runs what one life of a process does with its file. */
async function lives(t: TestContext, ...each: ((disk: DurableMap) => Promise<void>)[]): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'zring-words-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  for (const life of each) {
    const disk = await openDurableMap(join(folder, 'catalog'), { create: true });
    await life(disk).finally(() => disk.close());
  }
}

function keeperOf(disk: DurableMap, memory: MemoryCluster): CatalogKeeper {
  return new CatalogKeeper({
    node: 'b',
    coordinator: memory.connect(),
    disk,
    clock: createSystemClock(),
    logger: silentLogger(),
    pageRecords: 100,
    onChange: () => undefined,
  });
}

test('a decided promise is decided in the next life too, and never otherwise', async (t) => {
  await lives(
    t,
    async (disk) => {
      const book = new FenceBook(disk);
      await book.put(ID, { n: 3, verdict: 'refused' });
      await book.put(OTHER, { n: 7, verdict: 'adopted' });
    },
    async (disk) => {
      const book = new FenceBook(disk);
      assert.deepEqual(book.of([ID, OTHER]), {
        [ID]: { n: 3, verdict: 'refused' },
        [OTHER]: { n: 7, verdict: 'adopted' },
      });
      await assert.rejects(book.put(ID, { n: 3, verdict: 'adopted' }), /would change/);
      await assert.rejects(book.put(OTHER, { n: 6, verdict: 'refused' }), /would change/);
    },
  );
});

test('an id that is gone for good is gone in the next life too, heard of or made here', async (t) => {
  const memory = createMemoryCluster();
  const peer = memory.connect();
  await lives(
    t,
    async (disk) => {
      const keeper = keeperOf(disk, memory);
      await peer.casRecord('d', null, recordOf({ phase: 'deleted' }));
      await keeper.sync();
      await keeper.remember(recordOf({ id: OTHER, phase: 'deleted' }));
    },
    async (disk) => {
      const keeper = keeperOf(disk, memory);
      assert.ok(keeper.isBuried(ID), 'heard of');
      assert.ok(keeper.isBuried(OTHER), 'made here');
    },
  );
});

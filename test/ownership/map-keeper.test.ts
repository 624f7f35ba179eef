// Which map a node follows when what it is told does not fit what it remembers: never one of a lower epoch (I4).
import assert from 'node:assert/strict';
import test from 'node:test';
import { checkMap, serializeMap } from '../../src/cluster/map.ts';
import { mapInputOf } from '../../src/cluster/map-change.ts';
import type { DurableChange, DurableMap } from '../../src/common/durable-map.ts';
import { createSystemClock } from '../../src/common/system-clock.ts';
import type { Config } from '../../src/config/types.ts';
import { EMPTY_CATALOG } from '../../src/ownership/catalog.ts';
import type { CatalogKeeper } from '../../src/ownership/catalog-keeper.ts';
import { MapKeeper } from '../../src/ownership/map-keeper.ts';
import { silentLogger } from '../../src/telemetry/log.ts';
import { edit, good, SAMPLE } from '../config/sample.ts';
import { createMemoryCluster, type MemoryCluster } from '../support/memory-coordinator.ts';

const revision1 = good(SAMPLE);
const revision2 = good(edit('revision: 1  ', 'revision: 2  '));
const another2 = good(edit('revision: 1  ', 'revision: 2  ', edit('copies: 2', 'copies: 1')));
const mapOf = (config: Config, epoch: number) => checkMap({ ...mapInputOf(config), version: 1, epoch });

function memoryDisk(content: Record<string, string>): DurableMap & { readonly content: Map<string, string> } {
  const kept = new Map(Object.entries(content));
  return {
    content: kept,
    get: (key) => kept.get(key),
    entries: () => [],
    commit: async (changes) => {
      for (const { key, value } of changes as readonly DurableChange[]) {
        if (value === null) kept.delete(key);
        else kept.set(key, value);
      }
    },
    close: async () => undefined,
  };
}

function keeperOf(memory: MemoryCluster, disk: DurableMap, config: Config): MapKeeper {
  return new MapKeeper({
    coordinator: memory.connect(),
    disk,
    logger: silentLogger(),
    catalog: { catalog: EMPTY_CATALOG } as CatalogKeeper,
    config: () => config,
    clock: createSystemClock(),
    freshMs: 1000,
    onChange: () => undefined,
  });
}

test('a map of a lower epoch is not followed, though its revision is newer and nothing can be committed over it', async () => {
  const memory = createMemoryCluster();
  // After a flush, a node that had forgotten everything committed its file.
  assert.ok((await memory.connect().commitMap(0, mapOf(revision2, 2))).ok, 'committed');
  const disk = memoryDisk({ 'map/current': serializeMap(mapOf(revision1, 9)), 'map/highest-epoch': '9' });
  const keeper = keeperOf(memory, disk, another2);
  await keeper.sync();
  assert.equal(keeper.refusal?.code, 'CONFIG_REVISION_CONFLICT');
  assert.equal(keeper.epoch, 9);
  assert.equal(disk.content.get('map/highest-epoch'), '9');
});

test('what is committed is above every epoch that this node has seen, and kept for its next life', async () => {
  const memory = createMemoryCluster();
  const disk = memoryDisk({ 'map/highest-epoch': '9' });
  await keeperOf(memory, disk, revision1).sync();
  assert.equal((await memory.connect().readMap())?.epoch, 10);
  memory.flush();
  const next = keeperOf(memory, disk, revision2);
  assert.equal(next.epoch, 10);
  await next.sync();
  assert.equal(next.epoch, 11);
  assert.equal(disk.content.get('map/highest-epoch'), '11');
});

// The keeper against a coordinator in memory: what arrives late is no news, and what a failover lost is said again.
import assert from 'node:assert/strict';
import test from 'node:test';
import type { OwnershipRecord } from '../../src/cluster/record.ts';
import type { DurableMap } from '../../src/common/durable-map.ts';
import { createSystemClock } from '../../src/common/system-clock.ts';
import { CatalogKeeper } from '../../src/ownership/catalog-keeper.ts';
import { silentLogger } from '../../src/telemetry/log.ts';
import { createMemoryCluster } from '../support/memory-coordinator.ts';

const disk: DurableMap = {
  get: () => undefined,
  entries: () => [],
  commit: async () => undefined,
  close: async () => undefined,
};

function record(change: Partial<OwnershipRecord>): OwnershipRecord {
  return {
    version: 1,
    dataset: 'photos',
    id: '0'.repeat(32),
    owner: 'a',
    term: { n: 3, node: 'a' },
    phase: 'stable',
    target: null,
    pin: null,
    inSync: ['a'],
    createdMs: 1,
    creator: null,
    ...change,
  };
}

function start() {
  const memory = createMemoryCluster();
  const coordinator = memory.connect();
  const keeper = new CatalogKeeper({
    node: 'b',
    coordinator,
    disk,
    clock: createSystemClock(),
    logger: silentLogger(),
    pageRecords: 100,
    onChange: () => undefined,
  });
  return { memory, coordinator, keeper };
}

test('an answer that was long on its way does not push a newer record out', async () => {
  const { coordinator, keeper } = start();
  await keeper.sync();
  const first = await coordinator.casRecord('photos', null, record({}));
  assert(first.ok);
  // Read now, heard later.
  const slow = await coordinator.readRecord('photos');
  assert(slow);
  const second = await coordinator.casRecord('photos', first.value.tag, record({ pin: 'b' }));
  assert(second.ok);
  await keeper.sync();
  keeper.learn(slow);
  const entry = keeper.entry('photos');
  assert.equal(entry?.record.pin, 'b');
  assert.equal(entry?.tag, second.value.tag);
  assert.equal(entry?.behind, false);
});

test('what a failover has lost of the reports is reported again', async () => {
  const { memory, coordinator, keeper } = start();
  await keeper.sync();
  const before = memory.dump();
  await keeper.reported();
  assert.deepEqual((await coordinator.state()).reported, ['b']);
  assert.equal(keeper.catalog.reported, true);
  // The replica had not heard of it; its counter is the same, for reports are no changes of records.
  memory.restore(before);
  keeper.readAllAgain();
  await keeper.sync();
  assert.deepEqual((await coordinator.state()).reported, []);
  assert.equal(keeper.catalog.reported, false, 'so that the node reports again');
});

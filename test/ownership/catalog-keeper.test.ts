// The keeper against a coordinator in memory: what arrives late is no news, and what a failover lost is said again.
import assert from 'node:assert/strict';
import test from 'node:test';
import { checkMap } from '../../src/cluster/map.ts';
import type { OwnershipRecord } from '../../src/cluster/record.ts';
import type { DurableMap } from '../../src/common/durable-map.ts';
import { ZringError } from '../../src/common/errors.ts';
import { createSystemClock } from '../../src/common/system-clock.ts';
import { CatalogKeeper } from '../../src/ownership/catalog-keeper.ts';
import { silentLogger } from '../../src/telemetry/log.ts';
import { createMemoryCluster } from '../support/memory-coordinator.ts';
import { recordOf } from './words.ts';

/** What was committed; `failing` are the next commits that are lost, as by a disk that is full for a moment. */
class Disk implements DurableMap {
  readonly content = new Map<string, string>();
  failing = 0;

  get(key: string): string | undefined {
    return this.content.get(key);
  }

  entries(prefix: string): Iterable<readonly [string, string]> {
    return [...this.content].filter(([key]) => key.startsWith(prefix));
  }

  async commit(changes: Parameters<DurableMap['commit']>[0]): Promise<void> {
    if (this.failing > 0) {
      this.failing -= 1;
      throw new ZringError('STORAGE_FULL', 'no room');
    }
    for (const change of changes) {
      assert('key' in change && change.value !== null);
      this.content.set(change.key, change.value);
    }
  }

  async close(): Promise<void> {}
}

function mapOf(ids: readonly string[]) {
  const address = '127.0.0.1:1';
  const nodes = ids.map((id) => ({ id, zone: id, weight: 1, state: 'up', s3: address, peer: address, admin: address }));
  const settings = { copies: 1, leaseMs: 10_000 };
  return checkMap({ version: 1, cluster: 'test', epoch: 1, revision: 1, contentHash: 'x', settings, nodes });
}

function record(change: Partial<OwnershipRecord>): OwnershipRecord {
  return recordOf({ dataset: 'photos', ...change });
}

function start() {
  const memory = createMemoryCluster();
  const coordinator = memory.connect();
  const disk = new Disk();
  const open = () =>
    new CatalogKeeper({
      node: 'b',
      coordinator,
      disk,
      clock: createSystemClock(),
      logger: silentLogger(),
      pageRecords: 100,
      onChange: () => undefined,
    });
  return { memory, coordinator, disk, keeper: open(), restart: open };
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

test('a report that a failover lost while this node was down is said again after its start', async () => {
  const { memory, coordinator, keeper, restart } = start();
  await keeper.sync();
  const before = memory.dump();
  await keeper.reported();
  memory.restore(before);
  const again = restart();
  assert.equal(again.catalog.reported, true, 'as it remembers');
  await again.sync();
  assert.deepEqual((await coordinator.state()).reported, []);
  assert.equal(again.catalog.reported, false, 'so that the node reports again');
});

test('what could not be stored is stored with what comes next: a restart never knows less than its cursor says', async () => {
  const { coordinator, disk, keeper, restart } = start();
  await keeper.sync();
  const first = await coordinator.casRecord('photos', null, record({}));
  assert(first.ok);
  // Learnt as the answer to a call of its own, on a disk that is full for a moment.
  disk.failing = 1;
  keeper.learn(first.value);
  await Promise.resolve();
  assert.equal(disk.failing, 0, 'it was tried');
  // The cursor passes it; the record is known, so it is no change.
  await keeper.sync();
  assert.equal(restart().entry('photos')?.tag, first.value.tag);
  // A page that was not stored: it is read again, or stored with the next.
  await coordinator.casRecord('photos', first.value.tag, record({ phase: 'deleted' }));
  disk.failing = 1;
  await assert.rejects(keeper.sync(), { code: 'STORAGE_FULL' });
  await coordinator.casRecord('music', null, record({ dataset: 'music', id: '1'.repeat(32) }));
  await keeper.sync();
  const again = restart();
  assert.equal(again.entry('photos')?.record.phase, 'deleted');
  assert.equal(again.isBuried('0'.repeat(32)), true);
  assert.equal(again.catalog.cursor, keeper.catalog.cursor);
});

test('a coordinator found again is not read from the first change on where its digest says that nothing is missing', async () => {
  const { memory, coordinator, keeper } = start();
  const asked: number[] = [];
  const { changesSince } = coordinator;
  coordinator.changesSince = (cursor, limit) => {
    asked.push(cursor);
    return changesSince.call(coordinator, cursor, limit);
  };
  await memory.connect().commitMap(0, mapOf(['b']));
  await coordinator.casRecord('photos', null, record({}));
  await keeper.sync();
  await keeper.reported();
  await keeper.sync();
  asked.length = 0;
  keeper.readAllAgain();
  await keeper.sync();
  assert.equal(asked.includes(0), false, 'nothing is missing');
  // A failover lost a creation, and another change has brought the counter to where it was.
  const before = memory.dump();
  await coordinator.casRecord('music', null, record({ dataset: 'music', id: '1'.repeat(32) }));
  await keeper.sync();
  memory.restore(before);
  await coordinator.casRecord('books', null, record({ dataset: 'books', id: '2'.repeat(32) }));
  asked.length = 0;
  keeper.readAllAgain();
  await keeper.sync();
  assert.equal(asked.includes(0), true, 'the digest differs');
  assert.equal(keeper.entry('music')?.behind, true, 'its owner has to tell it again');
  assert.equal(keeper.entry('books')?.behind, false);
});

// What version 1 has stored stays readable, in Redis and on disk, and is continued, not begun anew. The golden file is never
// edited: a release that stores something else raises the version, reads this, and adds a file of its own.
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Coordinator } from '../../src/cluster/coordinator.ts';
import { openEmbeddedCoordinator } from '../../src/cluster/embedded-coordinator.ts';
import { HOST_FILES } from '../../src/cluster/embedded-host.ts';
import { type ClusterMap, stampOf } from '../../src/cluster/map.ts';
import { mixTag, NO_RECORDS } from '../../src/cluster/record-digest.ts';
import { openRedisCoordinator } from '../../src/cluster/redis-coordinator.ts';
import { openDurableMap } from '../../src/common/durable-map.ts';
import { silentLogger } from '../../src/telemetry/log.ts';
import { embeddedOptions } from '../support/embedded.ts';
import { hasRedis, startRedis } from '../support/redis.ts';

interface Golden {
  readonly map: string;
  readonly record: string;
  readonly info: string;
  readonly redis: readonly (readonly string[])[];
  readonly embedded: Readonly<Record<string, unknown>>;
}

const golden = JSON.parse(await readFile(new URL('./coordinator-v1.golden.json', import.meta.url), 'utf8')) as Golden;

function fill(word: string): string {
  return word.replace('$map', golden.map).replace('$record', golden.record).replace('$info', golden.info);
}

async function readsVersionOne(coordinator: Coordinator): Promise<void> {
  const state = await coordinator.state();
  assert.deepEqual(state, { incarnation: 'i-1', counter: 7, complete: true, reported: [], mapEpoch: 4 });
  const map = await coordinator.readMap();
  assert.deepEqual(map, JSON.parse(golden.map));
  const photos = { record: { ...JSON.parse(golden.record), creator: null }, tag: 'tag-1' };
  assert.deepEqual(await coordinator.readRecord('photos'), photos);
  const { reported: _, ...life } = state;
  const { digest, ...page } = await coordinator.changesSince(0, 10);
  assert.deepEqual(page, { state: life, records: [photos], cursor: 7 });
  // Version 1 kept none in Redis; on disk it is made from the records.
  assert.equal(digest, coordinator.kind === 'redis' ? undefined : mixTag(NO_RECORDS, 'tag-1'));
  assert.equal(await coordinator.mapStamp(), coordinator.kind === 'redis' ? '4 unknown' : stampOf(map as ClusterMap));
  const [lease] = await coordinator.leases();
  assert.deepEqual([lease?.node, lease?.instance, lease?.info], ['a', 'instance-1', JSON.parse(golden.info)]);
  const refused = await coordinator.acquireLease('a', 'instance-2', 1000, JSON.parse(golden.info));
  assert.equal(refused.ok, false);
  const changed = await coordinator.casRecord('photos', 'tag-1', { ...photos.record, pin: 'a' });
  assert.ok(changed.ok);
  assert.equal((await coordinator.state()).counter, 8);
}

test('version 1 in Redis', { skip: (await hasRedis()) ? false : 'needs redis-server' }, async (t) => {
  const server = await startRedis();
  t.after(() => server.close());
  for (const command of golden.redis) await server.command(...command.map(fill));
  const coordinator = await openRedisCoordinator(server.url, { cluster: 'lab', logger: silentLogger() });
  t.after(() => coordinator.close());
  await readsVersionOne(coordinator);
});

/** Marks of disks were bare numbers; they are taken over by whoever goes on from them. */
async function takesOverNumbers(coordinator: Coordinator): Promise<void> {
  const id = '0123456789abcdef'.repeat(2);
  const info = JSON.parse(golden.info);
  const take = (heard: string, ...offers: string[]) =>
    coordinator.acquireLease('b', 'instance-2', 1000, info, { id, heard, offers });
  const [next, later] = ['8-0000000000000001', '9-0000000000000002'];
  assert.deepEqual(await take('6', '7-0000000000000001', next), { ok: false, known: { id, mark: '7' } });
  assert.deepEqual(await take('7', next), { ok: true });
  assert.deepEqual(await take('7', '8-0000000000000003'), { ok: false, known: { id, mark: next } });
  assert.deepEqual(await take(next, later), { ok: true });
}

test('numbers as marks in Redis', { skip: (await hasRedis()) ? false : 'needs redis-server' }, async (t) => {
  const server = await startRedis();
  t.after(() => server.close());
  await server.command('HSET', '{zring:lab}:disks', 'b', `${'0123456789abcdef'.repeat(2)} 7 instance-1`);
  const coordinator = await openRedisCoordinator(server.url, { cluster: 'lab', logger: silentLogger() });
  t.after(() => coordinator.close());
  await takesOverNumbers(coordinator);
});

test('numbers as marks on disk', async (t) => {
  const root = await mkdtemp(join(tmpdir(), 'zring-format-'));
  t.after(() => rm(root, { recursive: true, force: true }));
  const before = await openEmbeddedCoordinator(root, embeddedOptions);
  await before.state();
  await before.close();
  const disk = await openDurableMap(join(root, HOST_FILES.state));
  const stored = { id: '0123456789abcdef'.repeat(2), mark: 7, instance: 'instance-1' };
  await disk.commit([{ key: 'disk/b', value: JSON.stringify(stored) }]);
  await disk.close();
  const coordinator = await openEmbeddedCoordinator(root, embeddedOptions);
  t.after(() => coordinator.close());
  await takesOverNumbers(coordinator);
});

test('version 1 on disk', async (t) => {
  const root = await mkdtemp(join(tmpdir(), 'zring-format-'));
  t.after(() => rm(root, { recursive: true, force: true }));
  const folder = join(root, 'coordinator');
  await mkdir(folder);
  const disk = await openDurableMap(join(folder, HOST_FILES.state), { create: true });
  const entries = Object.entries(golden.embedded).map(([key, value]) => {
    if (typeof value === 'string') return { key, value: fill(value) };
    const fields = Object.entries(value as object).map(([name, field]) => {
      if (field === '$info') return [name, JSON.parse(golden.info)];
      return [name, field === '$record' ? golden.record : field];
    });
    return { key, value: JSON.stringify(Object.fromEntries(fields)) };
  });
  await disk.commit(entries);
  await disk.close();
  const coordinator = await openEmbeddedCoordinator(folder, embeddedOptions);
  await readsVersionOne(coordinator);
  await coordinator.close();
});

test('this release still writes version 1: what it stores is what the golden file has', async (t) => {
  const root = await mkdtemp(join(tmpdir(), 'zring-format-'));
  t.after(() => rm(root, { recursive: true, force: true }));
  const coordinator = await openEmbeddedCoordinator(root, embeddedOptions);
  await coordinator.commitMap(0, JSON.parse(golden.map));
  await coordinator.casRecord('photos', null, JSON.parse(golden.record));
  await coordinator.acquireLease('a', 'instance-1', 10_000, JSON.parse(golden.info));
  await coordinator.markReported('a', (await coordinator.state()).incarnation);
  await coordinator.close();
  const disk = await openDurableMap(join(root, HOST_FILES.state));
  const stored = Object.fromEntries([...disk.entries('')].map(([key, text]) => [key, JSON.parse(text)]));
  await disk.close();
  assert.deepEqual(Object.keys(stored), ['lease/a', 'map', 'meta', 'record/photos']);
  for (const [key, value] of Object.entries(golden.embedded)) {
    if (typeof value === 'string') assert.deepEqual(stored[key], JSON.parse(golden.map));
    else assert.deepEqual(Object.keys(stored[key]).sort(), Object.keys(value as object).sort(), key);
  }
  assert.equal(stored['record/photos'].text, golden.record);
});

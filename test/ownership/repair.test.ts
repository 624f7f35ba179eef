// Damaged data files of an owner, mended with the bytes of a former owner's copy: after a read that broke off, and by a scrub.
// Over real ownership and `dir` storage; what is damaged is damaged on the disk.
import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { open, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import test, { afterEach } from 'node:test';
import type { Clock } from '../../src/common/clock.ts';
import { createSystemClock } from '../../src/common/system-clock.ts';
import type { OwnershipLimits } from '../../src/ownership/limits.ts';
import { isUnsound, type ScrubReport } from '../../src/ownership/repair/types.ts';
import { createMetrics, type Metrics } from '../../src/telemetry/metrics.ts';
import { TestCluster } from './cluster.ts';

const MIB = 1 << 20;
let cluster: TestCluster;
let metrics: Metrics;
/** Ahead of the clock of the system. */
let aheadMs = 0;
afterEach(async () => {
  await cluster.stop();
  metrics.stop();
  aheadMs = 0;
});

const content = (seed: string, bytes = MIB + 100_000) => seed.repeat(Math.ceil(bytes / seed.length)).slice(0, bytes);

async function start(members: string[], limits: Partial<OwnershipLimits> = {}, copies = 1): Promise<void> {
  metrics = createMetrics();
  const system = createSystemClock();
  const clock: Clock = { wallMs: () => system.wallMs(), monotonicMs: () => system.monotonicMs() + aheadMs };
  cluster = await TestCluster.start(members, { metrics, limits, clock, copies });
}

/** Objects that a former owner has too. @returns the owner now, and that one. */
async function moved(keys: readonly string[], members = ['a', 'b']): Promise<{ owner: string; former: string }> {
  await start(members);
  const former = await cluster.create('photos');
  for (const key of keys) await cluster.put(former, 'photos', key, content(key));
  const owner = members.find((member) => member !== former) ?? '';
  await cluster.own(former).move('photos', owner);
  await cluster.until('moved', () => cluster.ownerOf('photos') === owner);
  return { owner, former };
}

async function blobOf(node: string, key: string): Promise<string> {
  const held = await cluster.own(node).access.enter('photos', 'read');
  try {
    return held.store.head(key)?.blobs[0]?.id ?? assert.fail(`no blob of ${key}`);
  } finally {
    held.release();
  }
}

/** In the live folder, and with `dir` in all snapshots of that node. */
async function damage(node: string, blob: string, at = MIB + 5): Promise<string> {
  const path = join(cluster.root, node, 'photos', 'data', blob.slice(-2), blob);
  const file = await open(path, 'r+');
  const byte = Buffer.alloc(1);
  await file.read(byte, 0, 1, at);
  await file.write(Buffer.of((byte[0] ?? 0) ^ 1), 0, 1, at);
  await file.close();
  return path;
}

async function counted(): Promise<{ damaged: number; repaired: number; failures: number }> {
  const text = await metrics.text();
  const value = (name: string) => Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(text)?.[1]);
  return {
    damaged: value('zring_blobs_damaged_total'),
    repaired: value('zring_blobs_repaired_total'),
    failures: value('zring_repair_failures_total'),
  };
}

async function until<T>(what: string, look: () => Promise<T | null>): Promise<T> {
  for (let i = 0; i < 200; i++) {
    const seen = await look();
    if (seen !== null) return seen;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  return assert.fail(what);
}

const ended = (node: string): Promise<ScrubReport> =>
  until('the scrub ends', async () => {
    const report = await cluster.own(node).scrubs.show('photos');
    return report && report.state !== 'running' ? report : null;
  });

async function scrubbed(node: string): Promise<ScrubReport> {
  await cluster.own(node).scrubs.begin('photos');
  return ended(node);
}

test('a read that meets damage breaks off, and the next ones get it whole: repaired from a former owner’s copy', async () => {
  const { owner } = await moved(['one', 'two']);
  const blob = await blobOf(owner, 'one');
  await damage(owner, blob);
  await assert.rejects(cluster.get(owner, 'photos', 'one'), { code: 'STORAGE_CORRUPT' });
  await until('repaired', () => cluster.get(owner, 'photos', 'one').catch(() => null));
  assert.equal(await cluster.get(owner, 'photos', 'one'), content('one'));
  assert.deepEqual(await counted(), { damaged: 1, repaired: 1, failures: 0 });
  await cluster.restart(owner);
  await cluster.rounds(2);
  assert.equal(await cluster.get(owner, 'photos', 'one'), content('one'));
  const files = await readdir(join(cluster.root, owner, 'photos', 'data', blob.slice(-2)));
  assert.deepEqual(files, [blob]);
});

test('a replica helps as well', async () => {
  await start(['a', 'b'], {}, 2);
  const owner = await cluster.create('photos');
  const replica = owner === 'a' ? 'b' : 'a';
  await cluster.put(owner, 'photos', 'one', content('one'));
  await cluster.until('followed', () => (cluster.received.get(replica) ?? 0) > MIB);
  await cluster.rounds(2);
  await damage(owner, await blobOf(owner, 'one'));
  assert.equal((await scrubbed(owner)).repaired, 1);
  assert.equal(await cluster.get(owner, 'photos', 'one'), content('one'));
  await cluster.put(owner, 'photos', 'two', content('two'));
  await cluster.until('follows on', () => (cluster.received.get(replica) ?? 0) > 2 * MIB);
});

test('what nobody has whole stays damaged, is never served, and is not tried again at once', async () => {
  const { owner, former } = await moved(['one']);
  const blob = await blobOf(owner, 'one');
  const path = await damage(owner, blob);
  await damage(former, blob, 7);
  const before = await readFile(path);
  const fails = async () => {
    await assert.rejects(cluster.get(owner, 'photos', 'one'), { code: 'STORAGE_CORRUPT' });
  };
  await fails();
  await until('tried', async () => ((await counted()).failures > 0 ? true : null));
  let asked = 0;
  cluster.fault = (_from, _to, method) => {
    if (method === 'ownership.blob') asked += 1;
    return 'ok';
  };
  for (let i = 0; i < 3; i++) {
    await fails();
    await cluster.rounds(1);
  }
  assert.equal(asked, 0, 'nobody is asked again for a read');
  const report = await scrubbed(owner);
  assert.equal(report.faults[0]?.key, 'one');
  assert.match(report.faults[0]?.reason ?? '', /checksum; no other node has it whole/);
  assert.equal(isUnsound(report), true);
  assert.deepEqual(await counted(), { damaged: 1, repaired: 0, failures: 2 });
  assert.ok((await readFile(path)).equals(before), 'nothing was changed');

  await damage(former, blob, 7);
  aheadMs = 61_000;
  await fails();
  await until('repaired', () => cluster.get(owner, 'photos', 'one').catch(() => null));
  assert.deepEqual(await counted(), { damaged: 1, repaired: 1, failures: 2 });
});

test('the first node is asked whose bytes are right; one that has none, or wrong ones, is passed over', async () => {
  const { owner, former } = await moved(['one'], ['a', 'b', 'c']);
  const third = ['a', 'b', 'c'].find((id) => id !== owner && id !== former) ?? '';
  await cluster.own(owner).move('photos', third);
  await cluster.until('moved again', () => cluster.ownerOf('photos') === third);
  const blob = await blobOf(third, 'one');
  const asked: string[] = [];
  cluster.fault = (_from, to, method) => {
    if (method === 'ownership.blob') asked.push(to);
    return 'ok';
  };
  for (const bad of [owner, former]) {
    await damage(third, blob);
    await damage(bad, blob, 3);
    const report = await scrubbed(third);
    assert.deepEqual([report.damaged, report.repaired], [1, 1]);
    assert.equal(await cluster.get(third, 'photos', 'one'), content('one'));
    await damage(bad, blob, 3);
  }
  assert.deepEqual([...new Set(asked)].sort(), [owner, former].sort(), 'never itself');
  cluster.fault = (_from, to, method) => (to === owner && method === 'ownership.blob data' ? 'lost' : 'ok');
  await damage(third, blob);
  assert.deepEqual((await scrubbed(third)).repaired, 1, 'a stream that is cut is no end');
});

test('a scrub reads all, repairs what it can, and names the rest', async () => {
  const { owner } = await moved(['one', 'two', 'three', 'four']);
  await cluster.put(owner, 'photos', 'new', content('new'));
  await cluster.put(owner, 'photos', 'small', 'inline');
  for (const key of ['one', 'three', 'new']) await damage(owner, await blobOf(owner, key));
  await rm(await damage(owner, await blobOf(owner, 'four')));
  const report = await scrubbed(owner);
  assert.deepEqual([report.state, report.damaged, report.repaired, report.indexFaults], ['done', 4, 3, 0]);
  assert.deepEqual(report.files, { done: 5, total: 5 });
  assert.equal(report.bytes.done, report.bytes.total);
  assert.ok(report.bytes.done > 5 * MIB);
  assert.deepEqual(
    report.faults.map(({ key, repaired }) => [key, repaired]).slice(0, 1),
    [['new', false]],
    'what is damaged still stands first',
  );
  assert.deepEqual(report.faults.map(({ key }) => key).sort(), ['four', 'new', 'one', 'three']);
  for (const key of ['one', 'two', 'three', 'four']) {
    assert.equal(await cluster.get(owner, 'photos', key), content(key));
  }
  assert.equal(isUnsound(report), true);
  const held = await cluster.own(owner).access.enter('photos', 'write');
  await held.store.remove({ key: 'new' });
  held.release();
  assert.equal(isUnsound(await scrubbed(owner)), false);
});

test('there is one scrub of a bucket at a time; it can be stopped, and keeps nobody from moving the bucket', async () => {
  const slow = { scrubBytesPerSecond: 200_000 };
  await start(['a', 'b'], slow);
  const owner = await cluster.create('photos');
  const other = owner === 'a' ? 'b' : 'a';
  for (const key of ['one', 'two']) await cluster.put(owner, 'photos', key, content(key, 3 * MIB));
  const { scrubs } = cluster.own(owner);
  assert.equal(await scrubs.show('photos'), null);
  const first = await scrubs.begin('photos');
  assert.equal(first.state, 'running');
  assert.equal((await scrubs.begin('photos')).startedMs, first.startedMs);
  const stopped = await scrubs.end('photos');
  assert.equal(stopped?.state, 'stopped');
  assert.ok((stopped?.files.done ?? 9) < 2);
  await assert.rejects(cluster.own(other).scrubs.begin('photos'), { code: 'NOT_OWNER' });

  await scrubs.begin('photos');
  await cluster.own(owner).move('photos', other);
  await cluster.until('moved', () => cluster.ownerOf('photos') === other);
  assert.equal(await cluster.get(other, 'photos', 'one'), content('one', 3 * MIB));
  await assert.rejects(scrubs.show('photos'), { code: 'NOT_OWNER' });
  assert.equal(await cluster.own(other).scrubs.show('photos'), null);
});

test('a store that is opened again beneath a scrub does not end it', async () => {
  await start(['a'], { openStoresMax: 1, scrubBytesPerSecond: 10 * MIB });
  await cluster.create('photos');
  await cluster.create('other');
  for (const key of ['one', 'two', 'three']) await cluster.put('a', 'photos', key, content(key, 3 * MIB));
  const term = () =>
    cluster
      .own('a')
      .status()
      .copies.find(({ dataset }) => dataset === 'photos')?.term;
  await cluster.own('a').scrubs.begin('photos');
  const terms = new Set([term()]);
  const report = await until('the scrub ends', async () => {
    // The one store that may be open is another's for a moment.
    if (terms.size < 4) await cluster.put('a', 'other', 'k', 'v');
    terms.add(term());
    const seen = await cluster.own('a').scrubs.show('photos');
    return seen && seen.state !== 'running' ? seen : null;
  });
  assert.deepEqual([report.state, report.files.done, report.reason], ['done', 3, null]);
  assert.ok(terms.size > 1, 'it was opened again meanwhile');
});

test('a file is given only to who says exactly which, and only out of a copy that is not served', async () => {
  const { owner, former } = await moved(['one']);
  const blob = await blobOf(owner, 'one');
  const { id = '' } = cluster.own(owner).access.records().records[0] ?? {};
  const { signal } = new AbortController();
  const ask = async (node: string, request: unknown) => {
    const stream = cluster.own(node).methods.streams['ownership.blob'] ?? assert.fail('no such method');
    const { head, body } = await stream(request, owner, signal);
    const chunks: Buffer[] = [];
    for await (const chunk of body) chunks.push(chunk as Buffer);
    return { head, text: Buffer.concat(chunks).toString() };
  };
  const exact = { dataset: 'photos', id, blob };
  assert.deepEqual(await ask(former, exact), { head: { bytes: content('one').length }, text: content('one') });
  for (const blob of ['', '../../../etc/passwd', `${exact.blob}x`, exact.blob.toUpperCase(), 7, undefined]) {
    await assert.rejects(ask(former, { ...exact, blob }), { code: 'PEER_PROTOCOL' }, String(blob));
  }
  await assert.rejects(ask(former, { ...exact, dataset: '../x' }), { code: 'PEER_PROTOCOL' });
  await assert.rejects(ask(former, { ...exact, id: 'f'.repeat(32) }), { code: 'DATASET_NOT_FOUND' });
  await assert.rejects(ask(former, { ...exact, blob: 'f'.repeat(26) }), { code: 'OBJECT_MISSING' });
  await assert.rejects(ask(owner, exact), { code: 'DATASET_NOT_FOUND' });
  // Nothing is left mounted that would keep the copy from being received into, or destroyed.
  await cluster.node(former).driver.destroy('photos');
});

test('after a repair the bucket moves on by increments, with what was repaired', async () => {
  const { owner, former } = await moved(['one', 'two']);
  await damage(owner, await blobOf(owner, 'one'));
  assert.equal((await scrubbed(owner)).repaired, 1);
  const received = cluster.received.get(former) ?? 0;
  await cluster.own(owner).move('photos', former);
  await cluster.until('back', () => cluster.ownerOf('photos') === former);
  for (const key of ['one', 'two']) assert.equal(await cluster.get(former, 'photos', key), content(key));
  assert.ok((cluster.received.get(former) ?? 0) - received < 2 * MIB, 'an increment');
});

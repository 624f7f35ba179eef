// The end of service on real stores: what is inside a gate when it closes, what is promised, and what a commit is asked.
import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import test, { afterEach } from 'node:test';
import type { HeldDataset } from '../../src/ownership/access.ts';
import { TestCluster } from './cluster.ts';

let cluster: TestCluster;
afterEach(() => cluster.stop());

const other = (node: string) => (node === 'a' ? 'b' : 'a');
const turn = () => new Promise((resolve) => setImmediate(resolve));

async function putInto(held: HeldDataset, key: string): Promise<void> {
  const writer = held.store.beginBlob(1);
  await writer.write(Buffer.from('v'));
  await held.store.put({ key, blob: await writer.finish(), etag: 'e', attributes: {} });
}

test('a write that is inside when the drain begins is in the snapshot that is promised', async () => {
  const finals: string[] = [];
  cluster = await TestCluster.start(['a', 'b'], {
    wrapDriver: (driver) =>
      new Proxy(driver, {
        get(target, name) {
          const value: unknown = Reflect.get(target, name);
          if (typeof value !== 'function') return value;
          return (...args: unknown[]) => {
            if (name === 'snapshot' && String(args[1]).startsWith('zring-final-')) finals.push(String(args[1]));
            return value.apply(target, args);
          };
        },
      }),
  });
  const from = await cluster.create('photos');
  const to = other(from);
  const held = await cluster.own(from).access.enter('photos', 'write');
  let draining = false;
  cluster.fault = (_from, _to, method) => {
    draining ||= method === 'ownership.drain';
    return 'ok';
  };
  await cluster.own(from).move('photos', to);
  const moved = cluster.until('moved', () => cluster.ownerOf('photos') === to);
  const phase = () => cluster.own(from).status().copies[0]?.phase;
  while (!draining || phase() === 'idle' || phase() === 'verifying') await turn();
  await putInto(held, 'last');
  assert.deepEqual(finals, [], 'somebody is inside: no final snapshot yet');
  held.release();
  await moved;
  assert.equal(finals.length, 1);
  assert.equal(await cluster.get(to, 'photos', 'last'), 'v');
});

test('what is promised is read-only, and its snapshot is held until the other side has spoken', async () => {
  cluster = await TestCluster.start(['a', 'b']);
  const from = await cluster.create('photos');
  const to = other(from);
  await cluster.put(from, 'photos', 'k', 'v');
  cluster.fault = (_from, _to, method) => (method === 'ownership.drain answer' ? 'lost' : 'ok');
  await cluster.own(from).move('photos', to);
  await cluster.until('promised', () => cluster.own(from).status().copies[0]?.promisedTo === to);
  const { driver } = cluster.node(from);
  assert.equal((await driver.get('photos'))?.readonly, true);
  const final = (await driver.snapshots('photos')).at(-1);
  assert.match(final?.name ?? '', /^zring-final-/);
  assert.equal(final?.holds, 1);
  await assert.rejects(driver.destroySnapshot('photos', final?.name ?? ''), { code: 'SNAPSHOT_HELD' });
});

test('a write that is inside when its owner is deposed is refused at the commit', async () => {
  let resume = () => {};
  let blocked: Promise<void> | null = null;
  cluster = await TestCluster.start(['a', 'b'], {
    wrapDriver: (driver) =>
      new Proxy(driver, {
        get(target, name) {
          const value: unknown = Reflect.get(target, name);
          if (typeof value !== 'function') return value;
          return async (...args: unknown[]) => {
            if (name === 'snapshot') await blocked;
            return value.apply(target, args);
          };
        },
      }),
  });
  const owner = await cluster.create('photos');
  await cluster.put(owner, 'photos', 'k', 'before');
  await cluster.rounds(1);
  const held = await cluster.own(owner).access.enter('photos', 'write');
  const writer = held.store.beginBlob(1);
  await writer.write(Buffer.from('v'));
  const blob = await writer.finish();
  // Work on the disk stands still, so the store stays open while the news arrive.
  blocked = new Promise((resolve) => {
    resume = resolve;
  });
  const snapshot = cluster.own(owner).methods.calls['ownership.snapshot'];
  const asked = { dataset: 'photos', id: held.id, have: null, takesAll: true };
  const step = snapshot?.(asked, other(owner)).catch(() => undefined);
  const thief = cluster.memory.connect();
  const current = await thief.readRecord('photos');
  assert.ok(current, 'a record');
  const stolen = { n: current.record.term.n + 5, node: other(owner) };
  const next = { ...current.record, owner: other(owner), inSync: [other(owner)], term: stolen };
  assert.ok((await thief.casRecord('photos', current.tag, next)).ok, 'the record is another node’s now');
  await cluster.own(owner).access.freshen(60_000);
  await assert.rejects(cluster.own(owner).access.enter('photos', 'read'), { code: 'NOT_OWNER' });
  await assert.rejects(held.store.put({ key: 'k', blob, etag: 'e', attributes: {} }), { code: 'DATASET_UNAVAILABLE' });
  held.release();
  resume();
  await step;
  await cluster.rounds(3);
  const names = (await cluster.node(owner).driver.list()).map(({ name }) => name);
  assert.equal(names.filter((name) => name.startsWith('_deposed-')).length, 1, names.join());
});

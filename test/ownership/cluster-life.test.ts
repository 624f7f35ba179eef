// A cluster's life on real stores: coordinator lost and flushed, nodes drained and added, datasets deleted while they move,
// copies retired, limits kept.
import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import test, { afterEach } from 'node:test';
import { ZringError } from '../../src/common/errors.ts';
import { MACHINE_LIMITS } from '../../src/ownership/state.ts';
import { TestCluster } from './cluster.ts';

let cluster: TestCluster;
afterEach(() => cluster.stop());

const other = (node: string) => (node === 'a' ? 'b' : 'a');

test('coordinator down: what exists is read and written, an owner restarts and serves; creation and moves wait', async () => {
  cluster = await TestCluster.start(['a', 'b']);
  const owner = await cluster.create('photos');
  await cluster.put(owner, 'photos', 'k1', 'v');
  cluster.memory.setAvailable(false);
  await cluster.rounds(2);
  await cluster.put(owner, 'photos', 'k2', 'v');
  await cluster.restart(owner);
  assert.equal(await cluster.get(owner, 'photos', 'k2'), 'v');
  await cluster.put(owner, 'photos', 'k3', 'v');
  await assert.rejects(cluster.own(owner).access.create('another', {}), { code: 'COORDINATOR_UNAVAILABLE' });
  await assert.rejects(cluster.own(owner).access.remove('photos'), (error: { code: string }) =>
    ['COORDINATOR_UNAVAILABLE', 'DATASET_NOT_EMPTY'].includes(error.code),
  );
  await assert.rejects(cluster.own(owner).move('photos', other(owner)), { code: 'COORDINATOR_UNAVAILABLE' });
  const termBefore = cluster.own(owner).status().copies[0]?.term;
  cluster.memory.setAvailable(true);
  await cluster.rounds(3);
  // The term taken during the outage is in the record now.
  const record = cluster.own(other(owner)).access.records().records[0];
  assert.equal(`${record?.term.n}@${record?.term.node}`, termBefore);
  assert.equal(await cluster.get(owner, 'photos', 'k3'), 'v');
});

test('what another node has made or removed is known after asking; without the coordinator nothing waits for ever', async () => {
  cluster = await TestCluster.start(['a', 'b']);
  const owner = await cluster.create('photos');
  const asker = cluster.own(other(owner)).access;
  const seen = () => asker.records().records.map(({ dataset }) => dataset);
  assert.deepEqual(seen(), []);
  await asker.freshen(60_000);
  assert.deepEqual(seen(), ['photos']);
  await cluster.own(owner).access.remove('photos');
  await asker.freshen(60_000);
  assert.deepEqual(seen(), []);
  cluster.memory.setAvailable(false);
  await asker.freshen(1);
  assert.deepEqual(seen(), []);
});

test('an empty dataset whose removal cannot reach the coordinator serves on', async () => {
  cluster = await TestCluster.start(['a', 'b']);
  const owner = await cluster.create('photos');
  await cluster.put(owner, 'photos', 'k', 'v');
  const held = await cluster.own(owner).access.enter('photos', 'delete');
  await held.store.remove({ key: 'k' });
  held.release();
  cluster.memory.setAvailable(false);
  await assert.rejects(cluster.own(owner).access.remove('photos'), { code: 'COORDINATOR_UNAVAILABLE' });
  await cluster.put(owner, 'photos', 'k', 'again');
  assert.equal(await cluster.get(owner, 'photos', 'k'), 'again');
});

test('a removal whose mark cannot be written is answered, and the dataset serves on', async () => {
  let full = false;
  cluster = await TestCluster.start(['a'], {
    wrapDriver: (driver) =>
      new Proxy(driver, {
        get(target, name) {
          if (name === 'setProperties' && full) {
            return () => Promise.reject(new ZringError('STORAGE_FULL', 'no space left'));
          }
          const value: unknown = Reflect.get(target, name);
          return typeof value === 'function' ? value.bind(target) : value;
        },
      }),
  });
  await cluster.create('photos');
  (await cluster.own('a').access.enter('photos', 'read')).release();
  full = true;
  // It may have reached the disk.
  const unknown = { code: 'STORAGE_OUTCOME_UNKNOWN', message: 'no space left' };
  await assert.rejects(cluster.own('a').access.remove('photos'), unknown);
  full = false;
  await cluster.put('a', 'photos', 'k', 'v');
  assert.equal(await cluster.get('a', 'photos', 'k'), 'v');
});

test('a flushed coordinator: nobody says *absent* before all have reported; records, pins and terms come back', async () => {
  cluster = await TestCluster.start(['a', 'b']);
  const owner = await cluster.create('photos');
  await cluster.put(owner, 'photos', 'k', 'v');
  await cluster.own(owner).move('photos', owner);
  await cluster.rounds(2);
  const before = cluster.own('a').access.records().records[0];
  const missing =
    ['xxx1', 'xxx2', 'xxx3', 'xxx4', 'xxx5', 'xxx6'].find((name) => cluster.own('a').home(name) === other(owner)) ?? '';
  assert.deepEqual(cluster.own(other(owner)).access.locate(missing), { kind: 'absent' });
  await cluster.kill(owner);
  cluster.memory.flush();
  await cluster.rounds(3);
  // The owner of something may be silent: no conclusion from an empty coordinator.
  assert.equal(cluster.own(other(owner)).access.locate(missing).kind, 'unavailable');
  await assert.rejects(cluster.own(other(owner)).access.create(missing, {}), { code: 'CATALOG_INCOMPLETE' });
  assert.deepEqual(cluster.own(other(owner)).access.locate('photos'), { kind: 'remote', node: owner, certain: true });
  await cluster.startNode(owner);
  await cluster.until('complete', () => cluster.own(other(owner)).status().catalog.complete);
  assert.deepEqual(cluster.own(other(owner)).access.locate(missing), { kind: 'absent' });
  const after = cluster.own(other(owner)).access.records().records[0];
  assert.equal(after?.pin, owner);
  assert.equal(after?.id, before?.id);
  assert.ok((after?.term.n ?? 0) >= (before?.term.n ?? 0));
  assert.equal(await cluster.get(owner, 'photos', 'k'), 'v');
});

test('who asked for a dataset is known through a move, a restart, and from the pools alone', async () => {
  cluster = await TestCluster.start(['a', 'b']);
  const home = cluster.own('a').home('photos') ?? '';
  const creatorSeenBy = (node: string) => cluster.own(node).access.records().records[0]?.creator;
  const made = await cluster.own(home).access.create('photos', {}, { creator: 'testx$9876' });
  assert.equal(made.creator, 'testx$9876');
  await cluster.rounds(2);
  assert.equal(creatorSeenBy(other(home)), 'testx$9876');
  const to = other(home);
  await cluster.own(home).move('photos', to);
  await cluster.until('moved', () => cluster.ownerOf('photos') === to);
  assert.equal(creatorSeenBy(to), 'testx$9876');
  // Everything but the pools is gone: the coordinator's records, and what the nodes remembered of them.
  for (const id of ['a', 'b']) await cluster.kill(id);
  cluster.memory.flush();
  for (const id of ['a', 'b']) await rm(join(cluster.root, id, '_zring'), { recursive: true });
  for (const id of ['a', 'b']) await cluster.startNode(id);
  await cluster.until('complete', () => cluster.own('a').status().catalog.complete);
  await cluster.until('heard', () => creatorSeenBy('a') !== undefined && creatorSeenBy('b') !== undefined);
  assert.equal(creatorSeenBy('a'), 'testx$9876');
  assert.equal(creatorSeenBy('b'), 'testx$9876');
});

test('a dataset of the same name, made while the deleted one is being put away, waits for that', async () => {
  let putAway = () => {};
  const held = new Promise<void>((resolve) => {
    putAway = resolve;
  });
  cluster = await TestCluster.start(['a'], {
    wrapDriver: (driver) =>
      new Proxy(driver, {
        get(target, name) {
          const value: unknown = Reflect.get(target, name);
          if (typeof value !== 'function') return value;
          return name === 'rename'
            ? (...names: unknown[]) => held.then(() => value.apply(target, names))
            : value.bind(target);
        },
      }),
  });
  await cluster.create('photos');
  const first = cluster.own('a').access.records().records[0];
  await cluster.own('a').access.remove('photos');
  let settled = false;
  const again = cluster
    .own('a')
    .access.create('photos', {})
    .finally(() => {
      settled = true;
    });
  again.catch(() => undefined);
  for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve));
  assert.equal(settled, false);
  putAway();
  assert.notEqual((await again).id, first?.id);
  await cluster.put('a', 'photos', 'k', 'v');
  assert.equal(await cluster.get('a', 'photos', 'k'), 'v');
});

test('a coordinator restored from an old dump does not bring back a deleted dataset, nor an old owner', async () => {
  cluster = await TestCluster.start(['a', 'b']);
  const owner = await cluster.create('photos');
  const kept = ['yyy1', 'yyy2', 'yyy3', 'yyy4'].find((name) => cluster.own('a').home(name) === owner) ?? '';
  await cluster.create(kept);
  await cluster.put(owner, kept, 'k', 'v');
  await cluster.rounds(2);
  const dump = cluster.memory.dump();
  await cluster.own(owner).access.remove('photos');
  await cluster.own(owner).move(kept, other(owner));
  await cluster.until('moved', () => cluster.ownerOf(kept) === other(owner));
  await cluster.put(other(owner), kept, 'k2', 'v2');
  cluster.memory.restore(dump);
  await cluster.rounds(6);
  for (const node of ['a', 'b']) {
    assert.ok(
      !cluster
        .own(node)
        .access.records()
        .records.some((record) => record.dataset === 'photos'),
      node,
    );
    assert.equal(
      cluster
        .own(node)
        .access.records()
        .records.find((record) => record.dataset === kept)?.owner,
      other(owner),
    );
  }
  assert.equal(cluster.ownerOf(kept), other(owner));
  assert.equal(await cluster.get(other(owner), kept, 'k2'), 'v2');
});

test('a failover that lost a creation only its owner had seen: the owner tells it again, for nobody else knows', async () => {
  cluster = await TestCluster.start(['a', 'b']);
  const names = Array.from({ length: 16 }, (_, i) => `failover${i}`);
  const homeOf = (name: string) => cluster.own('a').home(name);
  const lost = names.find((name) => homeOf(name) === 'a') ?? '';
  const next = names.find((name) => homeOf(name) === 'b') ?? '';
  const behind = cluster.memory.dump();
  await cluster.create(lost);
  await cluster.put('a', lost, 'k', 'v');
  // The counter passes what had been seen of the lost writes, so it tells nothing.
  cluster.memory.setAvailable(false);
  cluster.memory.restore(behind);
  cluster.memory.setAvailable(true);
  await cluster.create(next);
  for (const to of ['a', 'b', 'a', 'b']) await cluster.own('b').move(next, to);
  await cluster.rounds(4);
  const known = () => cluster.own('b').access.records().records;
  assert.deepEqual(
    known()
      .map((record) => record.dataset)
      .sort(),
    [lost, next].sort(),
  );
  assert.equal(await cluster.get('a', lost, 'k'), 'v');
});

for (const step of ['ownership.snapshot', 'ownership.drain answer', 'ownership.stream', 'ownership.released']) {
  test(`the coordinator is flushed in the middle of a move (${step}): the move ends, nothing is lost`, async () => {
    cluster = await TestCluster.start(['a', 'b']);
    const from = await cluster.create('photos');
    const to = other(from);
    await cluster.put(from, 'photos', 'k', 'v');
    let flushed = false;
    cluster.fault = (_from, _to, method) => {
      if (method === step && !flushed) {
        flushed = true;
        cluster.memory.flush();
      }
      return 'ok';
    };
    await cluster.own(from).move('photos', to);
    await cluster.until('flushed', () => flushed);
    // The pin may be gone with the flush if no other node had heard of it; the claim or the catalog brings the move on.
    await cluster.until('complete again', () => cluster.own(to).status().catalog.complete);
    if (cluster.own(to).home('photos') !== to) await cluster.own(to).move('photos', to);
    await cluster.until('moved', () => cluster.ownerOf('photos') === to);
    assert.equal(await cluster.get(to, 'photos', 'k'), 'v');
  });
}

test('a lost reply of the drain is asked again and answered the same', async () => {
  cluster = await TestCluster.start(['a', 'b'], {
    limits: { machine: { ...MACHINE_LIMITS, promiseSilenceMs: 3_600_000 } },
  });
  const from = await cluster.create('photos');
  const to = other(from);
  await cluster.put(from, 'photos', 'k', 'v');
  let lost = 0;
  cluster.fault = (_from, _to, method) => (method === 'ownership.drain answer' && lost++ < 2 ? 'lost' : 'ok');
  await cluster.own(from).move('photos', to);
  await cluster.until('moved', () => cluster.ownerOf('photos') === to);
  assert.ok(lost > 2);
  assert.equal(await cluster.get(to, 'photos', 'k'), 'v');
});

test('streams cut in every copying round end in a whole copy or none', async () => {
  cluster = await TestCluster.start(['a', 'b']);
  const from = await cluster.create('photos');
  const to = other(from);
  for (let i = 0; i < 10; i++) await cluster.put(from, 'photos', `k${i}`, 'x'.repeat(200_000));
  let cuts = 0;
  cluster.fault = (_from, _to, method) => (method === 'ownership.stream data' && cuts++ < 3 ? 'unreached' : 'ok');
  await cluster.own(from).move('photos', to);
  await cluster.until('moved', () => cluster.ownerOf('photos') === to);
  assert.ok(cuts > 3);
  for (let i = 0; i < 10; i++) assert.equal((await cluster.get(to, 'photos', `k${i}`))?.length, 200_000);
});

test('deleted and made again while it moves: the new one is served, nothing of the old one comes back', async () => {
  cluster = await TestCluster.start(['a', 'b']);
  const from = await cluster.create('photos');
  const to = other(from);
  // The puller never gets beyond its first copy.
  cluster.fault = (_from, _to, method) => (method === 'ownership.drain' ? 'unreached' : 'ok');
  await cluster.own(from).move('photos', to);
  await cluster.until('copied', () =>
    cluster
      .own(to)
      .status()
      .copies.some((copy) => copy.role === 'receiving'),
  );
  await cluster.own(from).access.remove('photos');
  await cluster.rounds(1);
  cluster.fault = () => 'ok';
  const home = cluster.own(from).home('photos') ?? '';
  const first = cluster
    .own(to)
    .status()
    .copies.find((copy) => copy.dataset === 'photos')?.id;
  await cluster.until(
    'the half-moved copy is gone',
    () =>
      !cluster
        .own(to)
        .status()
        .copies.some((copy) => copy.id === first),
  );
  await cluster.rounds(3);
  await cluster.own(home).access.create('photos', {});
  await cluster.put(home, 'photos', 'k', 'new');
  await cluster.rounds(4);
  assert.equal(cluster.ownerOf('photos'), home);
  assert.equal(await cluster.get(home, 'photos', 'k'), 'new');
});

test('a draining node is emptied, also in lazy mode; only then may it leave the map', async () => {
  cluster = await TestCluster.start(['a', 'b', 'c']);
  const names = Array.from({ length: 9 }, (_, i) => `bucket-${i}`);
  for (const name of names) {
    const home = await cluster.create(name);
    await cluster.put(home, name, 'k', name);
  }
  const leaving = cluster.own('a').home('bucket-0') ?? '';
  const staying = ['a', 'b', 'c'].filter((node) => node !== leaving);
  await cluster.rounds(2);
  await cluster.reconfigure(staying);
  const refusal = cluster.own(staying[0] ?? '').status().refusal;
  assert.equal(refusal?.code, 'CONFIG_REFUSED');
  assert.ok(JSON.stringify(refusal?.details).includes('bucket-0'));
  await cluster.reconfigure(['a', 'b', 'c'], [leaving]);
  await cluster.until('emptied', () => names.every((name) => staying.includes(cluster.ownerOf(name) ?? '')), 120);
  await cluster.reconfigure(staying);
  await cluster.rounds(3);
  assert.equal(cluster.own(staying[0] ?? '').status().refusal, null);
  assert.deepEqual(
    cluster
      .own(staying[0] ?? '')
      .map()
      ?.nodes.map((node) => node.id),
    staying,
  );
  for (const name of names) assert.equal(await cluster.get(cluster.ownerOf(name) ?? '', name, 'k'), name);
});

test('a new node: lazily what is touched moves there, in the background everything that should', async () => {
  for (const mode of ['lazy', 'background'] as const) {
    cluster = await TestCluster.start(['a', 'b'], { mode, limits: { pokeEveryMs: 0 } });
    const names = Array.from({ length: 12 }, (_, i) => `bucket-${i}`);
    for (const name of names) await cluster.put(await cluster.create(name), name, 'k', name);
    await cluster.rounds(2);
    cluster.members = ['a', 'b', 'c'];
    await cluster.startNode('c');
    await cluster.reconfigure(['a', 'b', 'c']);
    await cluster.rounds(3);
    const moving = names.filter((name) => cluster.own('a').home(name) === 'c');
    assert.ok(moving.length > 0 && moving.length < names.length, 'some names fall to the new node');
    if (mode === 'lazy') {
      const touched = moving[0] ?? '';
      await cluster.rounds(3);
      assert.notEqual(cluster.ownerOf(touched), 'c');
      // Through any entry node: the owner tells the home.
      await cluster.get(cluster.ownerOf(touched) ?? '', touched, 'k');
      await cluster.until('the touched one moved', () => cluster.ownerOf(touched) === 'c');
      for (const name of moving.slice(1)) assert.notEqual(cluster.ownerOf(name), 'c', name);
    } else {
      await cluster.until('all moved', () =>
        names.every((name) => (cluster.ownerOf(name) === 'c') === moving.includes(name)),
      );
      for (const name of moving) assert.equal(await cluster.get('c', name, 'k'), name);
    }
    if (mode === 'lazy') await cluster.stop();
  }
});

test('a prior copy is destroyed after its time, and only when the owner says that it has the dataset', async () => {
  cluster = await TestCluster.start(['a', 'b'], { priorCopyMs: 0 });
  const from = await cluster.create('photos');
  const to = other(from);
  await cluster.put(from, 'photos', 'k', 'v');
  cluster.fault = (asker, _to, method) => (asker === from && method === 'ownership.describe' ? 'unreached' : 'ok');
  await cluster.own(from).move('photos', to);
  await cluster.until('moved', () => cluster.ownerOf('photos') === to);
  await cluster.rounds(4);
  assert.equal(
    cluster
      .own(from)
      .status()
      .copies.find((copy) => copy.dataset === 'photos')?.role,
    'prior',
  );
  cluster.fault = () => 'ok';
  await cluster.until('retired', () => cluster.own(from).status().copies.length === 0);
  await cluster.rounds(2);
  assert.deepEqual(await cluster.node(from).driver.list(), []);
  assert.equal(await cluster.get(to, 'photos', 'k'), 'v');
  await cluster.rounds(2);
  const left = (await cluster.node(to).driver.snapshots('photos')).map((snapshot) => snapshot.name);
  assert.deepEqual(left, [], 'no snapshot of the move holds space for ever');
});

test('below minFree writes and creation are refused, reads and deletions go on', async () => {
  let minFreeBytes = 0;
  cluster = await TestCluster.start(['a'], {
    get minFreeBytes() {
      return minFreeBytes;
    },
  });
  await cluster.create('photos');
  await cluster.put('a', 'photos', 'k', 'v');
  minFreeBytes = Number.MAX_SAFE_INTEGER;
  await cluster.own('a').applyConfig(cluster.config());
  await assert.rejects(cluster.put('a', 'photos', 'k2', 'v'), { code: 'STORAGE_FULL' });
  await assert.rejects(cluster.own('a').access.create('more', {}), { code: 'STORAGE_FULL' });
  assert.equal(await cluster.get('a', 'photos', 'k'), 'v');
  (await cluster.own('a').access.enter('photos', 'delete')).release();
});

test('stores above the bound are closed, and opened again at a new term', async () => {
  cluster = await TestCluster.start(['a'], { limits: { openStoresMax: 2 } });
  for (const name of ['one', 'two', 'three']) {
    await cluster.create(name);
    await cluster.put('a', name, 'k', name);
    await cluster.rounds(1);
  }
  assert.equal(cluster.own('a').status().storesOpen, 2);
  const term = (name: string) =>
    cluster
      .own('a')
      .status()
      .copies.find((copy) => copy.dataset === name)?.term;
  const before = term('one');
  assert.equal(await cluster.get('a', 'one', 'k'), 'one');
  assert.notEqual(term('one'), before);
});

test('a second process under the same node id: the one without the lease serves nothing', async () => {
  cluster = await TestCluster.start(['a']);
  await cluster.create('photos');
  const thief = cluster.memory.connect();
  const instance = 'another-process';
  await cluster
    .own('a')
    .access.enter('photos', 'read')
    .then((held) => held.release());
  // Its lease ran out, and another machine took it.
  const [lease] = await thief.leases();
  await thief.releaseLease('a', lease?.instance ?? '');
  assert.ok(lease);
  await thief.acquireLease('a', instance, 60_000, lease.info);
  await cluster.rounds(1);
  await assert.rejects(cluster.own('a').access.enter('photos', 'read'), { code: 'NODE_ID_TAKEN' });
  assert.equal(cluster.own('a').status().lease.taken, true);
  await thief.releaseLease('a', instance);
  await cluster.rounds(1);
  (await cluster.own('a').access.enter('photos', 'read')).release();
});

test('a restarted node has its lease at once: its predecessor is dead', async () => {
  cluster = await TestCluster.start(['a']);
  await cluster.restart('a');
  assert.ok(cluster.own('a').status().lease.remainingMs > 0);
  assert.equal(cluster.own('a').status().lease.taken, false);
});

test('stopping: no new requests, those inside finish, the lease is given back', async () => {
  cluster = await TestCluster.start(['a', 'b']);
  const owner = await cluster.create('photos');
  const held = await cluster.own(owner).access.enter('photos', 'write');
  const stopped = cluster.own(owner).stop();
  await assert.rejects(cluster.own(owner).access.enter('photos', 'read'), { code: 'SHUTTING_DOWN' });
  const writer = held.store.beginBlob(1);
  await writer.write(Buffer.from('x'));
  await held.store.put({ key: 'k', blob: await writer.finish(), etag: 'e', attributes: {} });
  held.release();
  await stopped;
  cluster.node(owner).up = false;
  const leases = await cluster.node(other(owner)).coordinator.leases();
  assert.deepEqual(
    leases.map((lease) => lease.node),
    [other(owner)],
  );
  await cluster.startNode(owner);
  assert.equal(await cluster.get(owner, 'photos', 'k'), 'x');
});

test('a long request makes the handoff wait without closing the gate; in the end it is told to stop', async () => {
  let forceDrainMs = 3_600_000;
  cluster = await TestCluster.start(['a', 'b'], {
    limits: {
      longHoldMs: -1,
      get machine() {
        return {
          ...MACHINE_LIMITS,
          promiseSilenceMs: 0,
          get forceDrainMs() {
            return forceDrainMs;
          },
        };
      },
    },
  });
  const from = await cluster.create('photos');
  const to = other(from);
  const held = await cluster.own(from).access.enter('photos', 'read');
  let told = false;
  held.signal?.addEventListener('abort', () => {
    told = true;
    held.release();
  });
  await cluster.own(from).move('photos', to);
  await cluster.rounds(8);
  assert.equal(cluster.ownerOf('photos'), from);
  await cluster.put(from, 'photos', 'k', 'v');
  forceDrainMs = 0;
  await cluster.until('moved', () => cluster.ownerOf('photos') === to);
  assert.ok(told);
  assert.equal(await cluster.get(to, 'photos', 'k'), 'v');
});

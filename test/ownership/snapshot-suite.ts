// Snapshots of a bucket over real ownership: made, read, destroyed, and where they are after moves. The same tests over
// `dir` storage and over ZFS.
import assert from 'node:assert/strict';
import test, { afterEach } from 'node:test';
import { isZringError } from '../../src/common/errors.ts';
import type { OpenSnapshot } from '../../src/ownership/access.ts';
import type { TestCluster } from './cluster.ts';

type Start = (options?: { readonly priorCopyMs?: number; readonly limits?: object }) => Promise<TestCluster>;

export function snapshotTests(where: string, start: Start): void {
  let cluster: TestCluster;
  afterEach(() => cluster.stop());

  const other = (node: string) => (node === 'a' ? 'b' : 'a');
  const names = async (node: string) => (await cluster.own(node).snapshots.list('photos')).map(({ name }) => name);

  async function opened<T>(node: string, snapshot: string, use: (open: OpenSnapshot) => Promise<T> | T): Promise<T> {
    const held = await cluster.own(node).access.enter('photos', 'read');
    try {
      assert.ok(held.snapshots);
      const open = await held.snapshots.open(snapshot);
      try {
        return await use(open);
      } finally {
        open.release();
      }
    } finally {
      held.release();
    }
  }

  const keysOf = (node: string, snapshot: string) =>
    opened(node, snapshot, ({ store }) =>
      store.list({ prefix: '', delimiter: '', after: '', limit: 100 }).entries.map(({ key }) => key),
    );

  async function move(from: string, to: string): Promise<void> {
    await cluster.own(from).move('photos', to);
    await cluster.until(`moved to ${to}`, () => cluster.ownerOf('photos') === to);
  }

  test(`${where}: a snapshot keeps what was there, and its bucket goes on`, async () => {
    cluster = await start();
    const node = await cluster.create('photos');
    await cluster.put(node, 'photos', 'one', 'first');
    const made = await cluster.own(node).snapshots.create('photos', 'before');
    assert.deepEqual([made.name, made.kept], ['before', true]);
    await cluster.put(node, 'photos', 'one', 'second');
    await cluster.put(node, 'photos', 'two', 'x'.repeat(100_000));
    await cluster.own(node).snapshots.create('photos', 'after');
    assert.deepEqual(await names(node), ['before', 'after']);
    assert.deepEqual(await keysOf(node, 'before'), ['one']);
    assert.deepEqual(await keysOf(node, 'after'), ['one', 'two']);
    await opened(node, 'before', async ({ store }) => {
      const entry = store.head('one');
      assert.ok(entry);
      const chunks: Buffer[] = [];
      for await (const chunk of store.read(entry)) chunks.push(chunk as Buffer);
      assert.equal(Buffer.concat(chunks).toString(), 'first');
    });
    assert.equal(await cluster.get(node, 'photos', 'one'), 'second');
  });

  test(`${where}: faults are told in words, and change nothing`, async () => {
    cluster = await start({ limits: { snapshotsMax: 2 } });
    const node = await cluster.create('photos');
    const { snapshots } = cluster.own(node);
    await snapshots.create('photos', 'one');
    const unnamed = await snapshots.create('photos', null);
    assert.match(unnamed.name, /^manual-\d{8}T\d{6}Z$/);
    await assert.rejects(snapshots.create('photos', 'three'), { code: 'LIMIT_EXCEEDED' });
    await assert.rejects(snapshots.create('photos', 'one'), { code: 'CONFIG_REFUSED' });
    for (const name of ['zring-x', 'a/b', 'a@b', '-r', '', '..', 'x'.repeat(101)]) {
      await assert.rejects(snapshots.create('photos', name), { code: 'DATASET_NAME_INVALID' }, name);
      await assert.rejects(snapshots.destroy('photos', name), { code: 'DATASET_NAME_INVALID' }, name);
    }
    await assert.rejects(snapshots.destroy('photos', 'never'), { code: 'SNAPSHOT_NOT_FOUND' });
    await assert.rejects(snapshots.list('nothing'), (error: unknown) => isZringError(error));
    assert.deepEqual(await names(node), ['one', unnamed.name]);
    await assert.rejects(keysOf(node, 'never'), { code: 'SNAPSHOT_NOT_FOUND' });
  });

  test(`${where}: one that is being read is not destroyed; one that was read is`, async () => {
    cluster = await start();
    const node = await cluster.create('photos');
    const { snapshots } = cluster.own(node);
    await snapshots.create('photos', 'one');
    await opened(node, 'one', async () => {
      await assert.rejects(snapshots.destroy('photos', 'one'), { code: 'DATASET_BUSY' });
    });
    await snapshots.destroy('photos', 'one');
    assert.deepEqual(await names(node), []);
    await snapshots.create('photos', 'one');
    await cluster.put(node, 'photos', 'k', 'v');
    assert.deepEqual(await keysOf(node, 'one'), [], 'another one of the same name');
  });

  test(`${where}: a bucket with snapshots is not deleted`, async () => {
    cluster = await start();
    const node = await cluster.create('photos');
    await cluster.own(node).snapshots.create('photos', 'one');
    await assert.rejects(cluster.own(node).access.remove('photos'), { code: 'DATASET_HAS_SNAPSHOTS' });
    await cluster.own(node).snapshots.destroy('photos', 'one');
    await cluster.own(node).access.remove('photos');
    await cluster.until('gone', () => cluster.own(node).access.locate('photos').kind === 'absent');
  });

  test(`${where}: snapshots move with the bucket, each as it was, also those of the storage’s own commands`, async () => {
    cluster = await start();
    const from = await cluster.create('photos');
    const to = other(from);
    await cluster.put(from, 'photos', 'one', '1');
    await cluster.own(from).snapshots.create('photos', 'first');
    await cluster.put(from, 'photos', 'two', '2');
    await cluster.node(from).driver.snapshot('photos', 'by-hand');
    await cluster.put(from, 'photos', 'three', '3');
    await cluster.own(from).snapshots.create('photos', 'last');
    await cluster.put(from, 'photos', 'four', '4');
    const before = await cluster.own(from).snapshots.list('photos');
    assert.deepEqual(
      before.map(({ name, kept }) => [name, kept]),
      [
        ['first', true],
        ['by-hand', false],
        ['last', true],
      ],
    );
    await move(from, to);
    const after = await cluster.own(to).snapshots.list('photos');
    assert.deepEqual(
      after.map(({ name, guid, kept }) => ({ name, guid, kept })),
      before.map(({ name, guid, kept }) => ({ name, guid, kept })),
    );
    assert.deepEqual(await keysOf(to, 'first'), ['one']);
    assert.deepEqual(await keysOf(to, 'last'), ['one', 'three', 'two']);
    assert.equal(await cluster.get(to, 'photos', 'four'), '4');
  });

  test(`${where}: back again, what was made meanwhile comes, and what was destroyed meanwhile stays gone`, async () => {
    cluster = await start({ priorCopyMs: 3_600_000 });
    const from = await cluster.create('photos');
    const to = other(from);
    await cluster.put(from, 'photos', 'big', 'x'.repeat(2_000_000));
    for (const name of ['kept', 'gone']) await cluster.own(from).snapshots.create('photos', name);
    await move(from, to);
    await cluster.put(to, 'photos', 'two', '2');
    await cluster.own(to).snapshots.create('photos', 'new');
    await cluster.own(to).snapshots.destroy('photos', 'gone');
    const received = cluster.received.get(from) ?? 0;
    await move(to, from);
    assert.deepEqual(await names(from), ['kept', 'new']);
    assert.deepEqual(await keysOf(from, 'new'), ['big', 'two']);
    assert.ok((cluster.received.get(from) ?? 0) - received < 1_500_000, 'an increment');
    await cluster.own(from).snapshots.destroy('photos', 'kept');
    await cluster.own(from).snapshots.destroy('photos', 'new');
    assert.deepEqual(await names(from), []);
  });

  test(`${where}: a snapshot that is made while the bucket moves is there afterwards`, async () => {
    cluster = await start();
    const from = await cluster.create('photos');
    const to = other(from);
    await cluster.put(from, 'photos', 'one', '1');
    let made: Promise<unknown> | null = null;
    cluster.fault = (_from, _to, method) => {
      // The puller knows what there was, and has not asked for its own snapshot yet.
      if (method === 'ownership.describe answer') made ??= cluster.own(from).snapshots.create('photos', 'between');
      return 'ok';
    };
    await move(from, to);
    assert.ok(made, 'it was asked what there is');
    await made;
    assert.deepEqual(await names(to), ['between']);
    assert.deepEqual(await keysOf(to, 'between'), ['one']);
  });

  test(`${where}: a move that is cut between two snapshots goes on where it was`, async () => {
    cluster = await start();
    const from = await cluster.create('photos');
    const to = other(from);
    await cluster.put(from, 'photos', 'big', 'x'.repeat(1_000_000));
    await cluster.own(from).snapshots.create('photos', 'first');
    await cluster.put(from, 'photos', 'two', '2');
    await cluster.own(from).snapshots.create('photos', 'second');
    let streams = 0;
    let cuts = 0;
    cluster.fault = (_from, _to, method) => {
      if (method === 'ownership.stream') streams += 1;
      if (method !== 'ownership.stream' || streams !== 2) return 'ok';
      cuts += 1;
      return 'unreached';
    };
    await move(from, to);
    assert.equal(cuts, 1);
    assert.deepEqual(await names(to), ['first', 'second']);
    assert.deepEqual(await keysOf(to, 'second'), ['big', 'two']);
    assert.ok((cluster.received.get(to) ?? 0) < 1_900_000, 'the first was not sent again');
  });

  test(`${where}: a bucket goes back to a snapshot, and on from there`, async () => {
    cluster = await start();
    const from = await cluster.create('photos');
    const to = other(from);
    await cluster.put(from, 'photos', 'one', 'first');
    await cluster.own(from).snapshots.create('photos', 'first');
    await cluster.put(from, 'photos', 'one', 'second');
    await cluster.put(from, 'photos', 'two', 'x'.repeat(100_000));
    await cluster.own(from).snapshots.create('photos', 'second');
    assert.deepEqual(await keysOf(from, 'second'), ['one', 'two']);
    const report = await cluster.own(from).snapshots.rollback('photos', 'first', false);
    assert.deepEqual([report.snapshot, report.later], ['first', ['second']]);
    assert.deepEqual(await names(from), ['first', 'second'], 'told, not done');
    await cluster.own(from).snapshots.rollback('photos', 'first', true);
    assert.deepEqual(await names(from), ['first']);
    assert.equal(await cluster.get(from, 'photos', 'one'), 'first');
    assert.equal(await cluster.get(from, 'photos', 'two'), null);
    await cluster.put(from, 'photos', 'three', '3');
    await move(from, to);
    assert.equal(await cluster.get(to, 'photos', 'three'), '3');
    assert.deepEqual(await keysOf(to, 'first'), ['one']);
    await cluster.own(to).snapshots.rollback('photos', 'first', true);
    assert.equal(await cluster.get(to, 'photos', 'three'), null);
    await cluster.restart(to);
    await cluster.rounds(2);
    assert.equal(await cluster.get(to, 'photos', 'one'), 'first');
    await assert.rejects(cluster.own(to).snapshots.rollback('photos', 'never', true), { code: 'SNAPSHOT_NOT_FOUND' });
  });

  test(`${where}: a request under way is cut when its bucket goes back; a snapshot that is read stops it`, async () => {
    cluster = await start();
    const node = await cluster.create('photos');
    await cluster.put(node, 'photos', 'one', 'first');
    for (const name of ['first', 'second']) await cluster.own(node).snapshots.create('photos', name);
    const held = await cluster.own(node).access.enter('photos', 'read');
    held.signal?.addEventListener('abort', () => held.release(), { once: true });
    await cluster.own(node).snapshots.rollback('photos', 'first', true);
    assert.equal(held.signal?.aborted, true);
    assert.equal(await cluster.get(node, 'photos', 'one'), 'first');
    await cluster.own(node).snapshots.create('photos', 'second');
    await opened(node, 'second', async () => {
      await assert.rejects(cluster.own(node).snapshots.rollback('photos', 'first', true), { code: 'DATASET_BUSY' });
    });
    assert.deepEqual(await names(node), ['first', 'second']);
  });

  test(`${where}: a name that was used again means the new one, wherever the bucket goes`, async () => {
    cluster = await start();
    const from = await cluster.create('photos');
    const to = other(from);
    await cluster.put(from, 'photos', 'big', 'x'.repeat(1_500_000));
    await cluster.own(from).snapshots.create('photos', 'daily');
    await move(from, to);
    await cluster.put(to, 'photos', 'two', '2');
    await cluster.own(to).snapshots.destroy('photos', 'daily');
    const made = await cluster.own(to).snapshots.create('photos', 'daily');
    const received = cluster.received.get(from) ?? 0;
    await move(to, from);
    assert.deepEqual(
      (await cluster.own(from).snapshots.list('photos')).map(({ name, guid }) => [name, guid]),
      [['daily', made.guid]],
    );
    assert.deepEqual(await keysOf(from, 'daily'), ['big', 'two']);
    assert.ok((cluster.received.get(from) ?? 0) - received < 1_000_000, 'an increment');
  });

  test(`${where}: of a name that the storage’s own commands gave, both are kept: one is set aside`, async () => {
    cluster = await start();
    const from = await cluster.create('photos');
    const to = other(from);
    await cluster.put(from, 'photos', 'one', '1');
    await cluster.node(from).driver.snapshot('photos', 'by-hand');
    await move(from, to);
    await cluster.node(to).driver.destroySnapshot('photos', 'by-hand', { held: true });
    await cluster.own(to).snapshots.create('photos', 'by-hand');
    await move(to, from);
    assert.deepEqual(await names(from), ['by-hand']);
    const aside = (await cluster.node(from).driver.list()).map(({ name }) => name).filter((name) => name !== 'photos');
    assert.deepEqual([aside.length, aside[0]?.startsWith('_deposed-')], [1, true], `${aside}`);
  });

  test(`${where}: while somebody copies the bucket, nothing that the copy may need is taken away`, async () => {
    cluster = await start();
    const from = await cluster.create('photos');
    const to = other(from);
    await cluster.put(from, 'photos', 'one', '1');
    for (const name of ['first', 'second']) await cluster.own(from).snapshots.create('photos', name);
    const { coordinator } = cluster.node(from);
    const known = await coordinator.readRecord('photos');
    assert.ok(known);
    await coordinator.casRecord('photos', known.tag, { ...known.record, phase: 'copying', target: to });
    await cluster.own(from).round();
    await assert.rejects(cluster.own(from).snapshots.destroy('photos', 'second'), { code: 'DATASET_BUSY' });
    await assert.rejects(cluster.own(from).snapshots.rollback('photos', 'first', true), { code: 'DATASET_BUSY' });
    await cluster.own(from).snapshots.create('photos', 'third');
    await move(from, to);
    assert.deepEqual(await names(to), ['first', 'second', 'third']);
    await cluster.own(to).snapshots.destroy('photos', 'second');
  });

  test(`${where}: a node of a release that would leave snapshots behind is given nothing`, async () => {
    cluster = await start();
    const from = await cluster.create('photos');
    const id = cluster.own(from).access.records().records[0]?.id;
    const ask = (method: string, more: object = {}) =>
      cluster.own(from).methods.calls[method]?.({ dataset: 'photos', id, have: null, ...more }, other(from));
    await cluster.own(from).snapshots.create('photos', 'first');
    const refused = { code: 'DATASET_BUSY', message: /first.*upgrade/ };
    await assert.rejects(async () => ask('ownership.snapshot'), refused);
    await assert.rejects(async () => ask('ownership.drain'), refused);
    await ask('ownership.snapshot', { takesAll: true });
    await cluster.own(from).snapshots.destroy('photos', 'first');
    await ask('ownership.snapshot');
  });

  test(`${where}: an owner of an earlier release sends what it always did`, async () => {
    cluster = await start();
    const from = await cluster.create('photos');
    const to = other(from);
    await cluster.put(from, 'photos', 'one', '1');
    const { calls } = cluster.own(from).methods;
    const now = calls['ownership.describe'];
    assert.ok(now);
    (calls as Record<string, unknown>)['ownership.describe'] = async (request: unknown, caller: string) => {
      const {
        sendsAll: _,
        snapshots,
        ...rest
      } = (await now(request, caller)) as { sendsAll: boolean; snapshots: object[] };
      return { ...rest, snapshots: snapshots.map((snapshot) => ({ ...snapshot, kept: undefined })) };
    };
    await cluster.node(from).driver.snapshot('photos', 'by-hand');
    await move(from, to);
    assert.equal(await cluster.get(to, 'photos', 'one'), '1');
    assert.deepEqual(await names(to), []);
  });

  test(`${where}: after a restart they are there, and what was open is not`, async () => {
    cluster = await start();
    const node = await cluster.create('photos');
    await cluster.put(node, 'photos', 'one', '1');
    await cluster.own(node).snapshots.create('photos', 'first');
    assert.deepEqual(await keysOf(node, 'first'), ['one']);
    await cluster.restart(node);
    await cluster.rounds(2);
    assert.deepEqual(await keysOf(node, 'first'), ['one']);
    await cluster.own(node).snapshots.destroy('photos', 'first');
    const left = (await cluster.node(node).driver.list()).map(({ name }) => name);
    assert.deepEqual(left, ['photos']);
  });

  test(`${where}: only so many are open at once; what nobody reads is closed`, async () => {
    cluster = await start({ limits: { openSnapshotsMax: 2, snapshotIdleMs: 0 } });
    const node = await cluster.create('photos');
    for (const name of ['one', 'two', 'three']) await cluster.own(node).snapshots.create('photos', name);
    await opened(node, 'one', async () => {
      await opened(node, 'two', async () => {
        await assert.rejects(keysOf(node, 'three'), { code: 'DATASET_BUSY' });
      });
      await keysOf(node, 'three');
      await cluster.rounds(1);
      await assert.rejects(cluster.own(node).snapshots.destroy('photos', 'one'), { code: 'DATASET_BUSY' });
    });
    await cluster.rounds(1);
    // Closed by the round: the driver lets it go.
    await cluster.node(node).driver.release('photos', 'three', 'keep');
    await cluster.node(node).driver.destroySnapshot('photos', 'three');
    assert.deepEqual(await names(node), ['one', 'two']);
  });
}

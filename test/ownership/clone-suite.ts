// Buckets cloned from a snapshot, over real ownership: made beside their source, known everywhere before anybody is let in,
// and independent of it. The same tests over `dir` storage and over ZFS.
import assert from 'node:assert/strict';
import test, { afterEach } from 'node:test';
import { isZringError } from '../../src/common/errors.ts';
import type { OwnershipLimits } from '../../src/ownership/limits.ts';
import type { TestCluster } from './cluster.ts';

interface Options {
  readonly priorCopyMs?: number;
  readonly limits?: Partial<OwnershipLimits>;
}

const FRESH_MS = 300;

export function cloneTests(where: string, start: (options: Options) => Promise<TestCluster>): void {
  let cluster: TestCluster;
  afterEach(() => cluster.stop());

  const other = (node: string) => (node === 'a' ? 'b' : 'a');
  const until = (what: string, condition: () => boolean) => cluster.until(what, condition);

  /** One whose home without a record is that node. */
  function nameAt(home: string, prefix = 'copy'): string {
    for (let i = 0; ; i++) if (cluster.own('a').home(`${prefix}-${i}`) === home) return `${prefix}-${i}`;
  }

  /** `photos`, which has changed since its snapshot `then`. */
  async function withSource(options: Options = {}): Promise<string> {
    cluster = await start({ ...options, limits: { catalogFreshMs: FRESH_MS, ...options.limits } });
    const node = await cluster.create('photos');
    await cluster.put(node, 'photos', 'one', 'first');
    await cluster.put(node, 'photos', 'big', 'x'.repeat(300_000));
    await cluster.own(node).snapshots.create('photos', 'then');
    await cluster.put(node, 'photos', 'one', 'second');
    return node;
  }

  const clone = (node: string, target: string, documents: Record<string, unknown> = {}) =>
    cluster.own(node).snapshots.clone('photos', { snapshot: 'then', target, documents });

  const contentOf = async (node: string, dataset: string) => [
    await cluster.get(node, dataset, 'one'),
    (await cluster.get(node, dataset, 'big'))?.length,
  ];

  async function assertTidy(node: string, ...expected: string[]): Promise<void> {
    await cluster.rounds(3);
    assert.deepEqual(
      (await cluster.node(node).driver.list()).map(({ name }) => name),
      expected.sort(),
      `on ${node}`,
    );
  }

  async function move(dataset: string, from: string, to: string): Promise<void> {
    await cluster.own(from).move(dataset, to);
    await until(`moved to ${to}`, () => cluster.ownerOf(dataset) === to);
  }

  test(`${where}: a clone is what the snapshot was, under an id and a term of its own, and goes its own way`, async () => {
    const node = await withSource();
    const held = await cluster.own(node).access.enter('photos', 'write');
    await held.store.setDocument('policy', { of: 'then' });
    await held.store.setDocument('cors', { kept: true });
    await held.store.setDocument('storage-settings', { quotaBytes: 32 << 20, compression: 'off' });
    await held.store.createUpload('half', {});
    held.release();
    await cluster.own(node).snapshots.destroy('photos', 'then');
    await cluster.own(node).snapshots.create('photos', 'then');
    await cluster.put(node, 'photos', 'one', 'third');
    const away = nameAt(other(node));
    const record = await clone(node, away, { policy: undefined, block: { all: true } });
    const source = (await cluster.node(node).coordinator.readRecord('photos'))?.record;
    assert.deepEqual([record.owner, record.pin, record.phase], [node, node, 'stable']);
    assert.notEqual(record.id, source?.id);
    assert.equal(record.creator, source?.creator);
    assert.deepEqual(record.term, { n: 1, node });
    assert.deepEqual(await contentOf(node, away), ['second', 300_000]);
    assert.deepEqual(await contentOf(node, 'photos'), ['third', 300_000]);
    const copy = await cluster.own(node).access.enter(away, 'write');
    assert.equal(copy.id, record.id);
    const documents = ['policy', 'cors', 'block', 'storage-settings'].map((name) => copy.store.document(name));
    assert.deepEqual(documents, [undefined, { kept: true }, { all: true }, { compression: 'off' }]);
    assert.equal(copy.store.stats().uploads, 0);
    copy.release();
    await cluster.put(node, away, 'one', 'its own');
    assert.deepEqual(await contentOf(node, 'photos'), ['third', 300_000]);
    assert.deepEqual(await cluster.own(node).snapshots.list(away), []);
    assert.equal((await cluster.own(node).snapshots.list('photos')).length, 1);
    // At home it is no different.
    const here = nameAt(node, 'own');
    assert.equal((await clone(node, here)).pin, node);
    assert.deepEqual(await contentOf(node, here), ['second', 300_000]);
    await cluster.restart(node);
    await cluster.rounds(2);
    assert.deepEqual(await contentOf(node, away), ['its own', 300_000]);
    await assertTidy(node, 'photos', away, here);
    await assertTidy(other(node));
  });

  test(`${where}: when a clone can be used, its home does not say that it is not there`, async () => {
    const node = await withSource();
    const away = nameAt(other(node));
    const home = cluster.own(other(node)).access;
    await cluster.rounds(1);
    assert.equal(home.locate(away).kind, 'absent');
    const beganMs = performance.now();
    let made = false;
    const making = clone(node, away).then(() => {
      made = true;
    });
    while (home.locate(away).kind === 'absent') {
      assert.ok(!made, 'told that it is made');
      const where = cluster.own(node).access.locate(away);
      assert.notEqual(where.kind, 'local', 'somebody is let in');
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    await making;
    assert.ok(performance.now() - beganMs >= FRESH_MS);
    assert.equal(cluster.own(node).access.locate(away).kind, 'local');
    await cluster.rounds(1);
    assert.deepEqual(home.locate(away), { kind: 'remote', node, certain: true });
  });

  test(`${where}: a name that is taken, or is being taken at its home: one wins, and nothing is lost`, async () => {
    const node = await withSource();
    const home = other(node);
    for (let i = 0; i < 3; i++) {
      const name = nameAt(home, `contended${i}`);
      const [cloned, created] = await Promise.allSettled([
        clone(node, name),
        cluster.own(home).access.create(name, { made: 'empty' }),
      ]);
      const isCloned = cloned.status === 'fulfilled';
      assert.notEqual(isCloned, created.status === 'fulfilled', `${JSON.stringify([cloned, created])}`);
      const lost = isCloned ? created : cloned;
      assert.ok(lost.status === 'rejected' && isZringError(lost.reason, 'DATASET_EXISTS'), `${JSON.stringify(lost)}`);
      await cluster.rounds(2);
      const owner = isCloned ? node : home;
      assert.equal(cluster.ownerOf(name), owner);
      assert.equal(await cluster.get(owner, name, 'one'), isCloned ? 'first' : null);
      await assert.rejects(clone(node, name), { code: 'DATASET_EXISTS' });
    }
    // Its record stands, and nobody has been let in yet.
    const name = nameAt(home, 'late');
    const making = clone(node, name);
    while ((await cluster.node(home).coordinator.readRecord(name)) === null)
      await new Promise((resolve) => setTimeout(resolve, 5));
    await assert.rejects(cluster.own(home).access.create(name, {}), { code: 'DATASET_EXISTS' });
    await making;
    assert.equal(await cluster.get(node, name, 'one'), 'first');
    await assert.rejects(clone(node, 'photos'), { code: 'DATASET_EXISTS' });
  });

  test(`${where}: faults are told in words, and change nothing`, async () => {
    const node = await withSource();
    const { snapshots } = cluster.own(node);
    const asked = (snapshot: string, target: string) => snapshots.clone('photos', { snapshot, target, documents: {} });
    await assert.rejects(asked('never', 'copy'), { code: 'SNAPSHOT_NOT_FOUND' });
    await assert.rejects(asked('zring-x', 'copy'), { code: 'DATASET_NAME_INVALID' });
    for (const name of ['_copy', 'A', 'a/b', '..', '']) {
      await assert.rejects(asked('then', name), { code: 'DATASET_NAME_INVALID' }, name);
    }
    await assert.rejects(snapshots.clone('nothing', { snapshot: 'then', target: 'copy', documents: {} }));
    await cluster.reconfigure(['a', 'b'], [node]);
    await assert.rejects(asked('then', 'copy'), { code: 'CONFIG_REFUSED' });
    await cluster.reconfigure(['a', 'b'], []);
    await cluster.rounds(1);
    assert.deepEqual(
      (await cluster.node(node).driver.list()).map(({ name }) => name),
      ['photos'],
    );
  });

  test(`${where}: the source is deleted, and the clone stays; a clone of a clone too; and each is deleted`, async () => {
    const node = await withSource();
    const { access, snapshots } = cluster.own(node);
    await clone(node, 'copy');
    await snapshots.create('copy', 'own');
    await snapshots.clone('copy', { snapshot: 'own', target: 'copy-of-copy', documents: {} });
    const remove = async (dataset: string) => {
      for (const key of ['one', 'big']) {
        const held = await access.enter(dataset, 'delete');
        await held.store.remove({ key });
        held.release();
      }
      for (const { name } of await snapshots.list(dataset)) await snapshots.destroy(dataset, name);
      await access.remove(dataset);
      await until(`${dataset} is gone`, () => access.locate(dataset).kind === 'absent');
    };
    await remove('photos');
    await assertTidy(node, 'copy', 'copy-of-copy');
    assert.deepEqual(await contentOf(node, 'copy'), ['first', 300_000]);
    assert.deepEqual(
      (await snapshots.list('copy')).map(({ name }) => name),
      ['own'],
      'none of the other one',
    );
    await remove('copy');
    await assertTidy(node, 'copy-of-copy');
    assert.deepEqual(await contentOf(node, 'copy-of-copy'), ['first', 300_000]);
    await remove('copy-of-copy');
    await assertTidy(node);
  });

  test(`${where}: the source moves away and its prior copy is retired; the clone stays, moves, and comes back`, async () => {
    const node = await withSource({ priorCopyMs: 0 });
    const there = other(node);
    await clone(node, 'copy');
    await cluster.put(node, 'copy', 'two', 'its own');
    await move('photos', node, there);
    await assertTidy(node, 'copy');
    assert.deepEqual(await contentOf(there, 'photos'), ['second', 300_000]);
    assert.deepEqual(await contentOf(node, 'copy'), ['first', 300_000]);
    await move('copy', node, there);
    await assertTidy(node);
    assert.deepEqual(
      [...(await contentOf(there, 'copy')), await cluster.get(there, 'copy', 'two')],
      ['first', 300_000, 'its own'],
    );
    await move('copy', there, node);
    assert.deepEqual(await contentOf(node, 'copy'), ['first', 300_000]);
    assert.deepEqual(
      await cluster
        .own(there)
        .snapshots.list('photos')
        .then((all) => all.map(({ name }) => name)),
      ['then'],
    );
  });

  test(`${where}: the source comes back to a copy that was cloned, after its snapshot was destroyed elsewhere`, async () => {
    const node = await withSource({ priorCopyMs: 3_600_000 });
    const there = other(node);
    await cluster.own(node).snapshots.create('photos', 'later');
    await clone(node, 'copy');
    await move('photos', node, there);
    await cluster.own(there).snapshots.destroy('photos', 'then');
    await cluster.put(there, 'photos', 'two', '2');
    const made = await cluster.own(there).snapshots.create('photos', 'then');
    await move('photos', there, node);
    assert.deepEqual(
      (await cluster.own(node).snapshots.list('photos')).map(({ name }) => name),
      ['later', 'then'],
    );
    assert.equal((await cluster.own(node).snapshots.list('photos')).at(-1)?.guid, made.guid);
    assert.equal(await cluster.get(node, 'photos', 'two'), '2');
    assert.deepEqual(await contentOf(node, 'copy'), ['first', 300_000]);
    await assertTidy(node, 'photos', 'copy');
  });

  test(`${where}: a bucket goes back to before it was cloned only where that leaves the clone; nobody is cut for a refusal`, async () => {
    const node = await withSource();
    const { access, snapshots } = cluster.own(node);
    await snapshots.create('photos', 'later');
    await snapshots.clone('photos', { snapshot: 'later', target: 'copy', documents: {} });
    const held = await access.enter('photos', 'read');
    held.signal?.addEventListener('abort', () => held.release(), { once: true });
    const isBound = cluster.node(node).driver.kind === 'zfs';
    const told = await snapshots.rollback('photos', 'then', false).catch((error: unknown) => error);
    const done = await snapshots.rollback('photos', 'then', true).catch((error: unknown) => error);
    for (const outcome of [told, done]) assert.equal(isZringError(outcome, 'DATASET_BUSY'), isBound, `${outcome}`);
    assert.equal(held.signal?.aborted, !isBound);
    held.release();
    assert.equal(await cluster.get(node, 'copy', 'one'), 'second');
    assert.equal(await cluster.get(node, 'photos', 'one'), isBound ? 'second' : 'first');
    await access.enter('copy', 'delete').then(async (all) => {
      for (const key of ['one', 'big']) await all.store.remove({ key });
      all.release();
    });
    await access.remove('copy');
    await assertTidy(node, 'photos');
    await snapshots.rollback('photos', 'then', true);
    assert.deepEqual(await contentOf(node, 'photos'), ['first', 300_000]);
  });

  test(`${where}: cloned while it is written; what was acknowledged before is there`, async () => {
    const node = await withSource();
    let writing = true;
    const acked: string[] = [];
    const writer = (async () => {
      for (let i = 0; writing; i++) {
        await cluster.put(node, 'photos', `k${i}`, `v${i}`);
        acked.push(`k${i}`);
      }
    })();
    while (acked.length < 20) await new Promise((resolve) => setTimeout(resolve, 5));
    const had = [...acked];
    await cluster.own(node).snapshots.create('photos', 'busy');
    await cluster.own(node).snapshots.clone('photos', { snapshot: 'busy', target: 'copy', documents: {} });
    writing = false;
    await writer;
    for (const key of had) assert.equal(await cluster.get(node, 'copy', key), `v${key.slice(1)}`);
    const held = await cluster.own(node).access.enter('copy', 'read');
    assert.deepEqual((await held.store.verify()).damaged, []);
    held.release();
    assert.ok(acked.length > had.length, 'the writer went on');
  });
}

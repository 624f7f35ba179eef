// Storage settings of datasets in a cluster, over `dir` and over ZFS: quotas under load, a full dataset that can still be
// emptied, settings that move with the data, settings that one of two storages cannot do.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import type { Readable } from 'node:stream';
import { afterEach, test as nodeTest } from 'node:test';
import { isZringError } from '../../src/common/errors.ts';
import type { DatasetDriver } from '../../src/dataset/driver.ts';
import type { HeldDataset } from '../../src/ownership/access.ts';
import { TestCluster } from './cluster.ts';

const MiB = 1 << 20;
const DATASET = 'photos';
const exceeded = { code: 'QUOTA_EXCEEDED' };

export function storageSuite(
  title: string,
  openDriver: (node: string, run: number, root: string) => Promise<DatasetDriver>,
  /** Where everything is slow: only the tests that it matches. */
  pick = /^/,
): void {
  const test = (name: string, run: () => Promise<void>) => {
    if (pick.test(name)) nodeTest(name, run);
  };
  let cluster: TestCluster;
  let runs = 0;
  afterEach(() => cluster.stop());

  const other = (node: string) => (node === 'a' ? 'b' : 'a');
  const desk = (node: string) => cluster.own(node).storage;
  const enforced = (node: string) => cluster.node(node).driver.capabilities.settings.quota === 'enforced';

  async function start(options: Parameters<typeof TestCluster.start>[1] = {}): Promise<string> {
    const run = ++runs;
    cluster = await TestCluster.start(['a', 'b'], {
      ...options,
      openDriver: (node, root) => openDriver(node, run, root),
    });
    return cluster.create(DATASET);
  }

  async function inside<T>(node: string, mode: 'read' | 'write' | 'delete', task: (held: HeldDataset) => Promise<T>) {
    const held = await cluster.own(node).access.enter(DATASET, mode);
    try {
      return await task(held);
    } finally {
      held.release();
    }
  }

  /** As a handler does it: nothing is left of a body that fails. */
  const put = (node: string, key: string, bytes: number) =>
    inside(node, 'write', async ({ store }) => {
      const writer = store.beginBlob(bytes);
      try {
        for (let left = bytes; left > 0; left -= MiB) await writer.write(randomBytes(Math.min(MiB, left)));
        await store.put({ key, blob: await writer.finish(), etag: 'e', attributes: {} });
      } catch (error) {
        await writer.abort().catch(() => {});
        throw error;
      }
    });

  const remove = (node: string, key: string) => inside(node, 'delete', async ({ store }) => store.remove({ key }));

  const sizeOf = (node: string, key: string) =>
    inside(node, 'read', async ({ store }) => {
      const entry = store.head(key);
      if (!entry) return null;
      let bytes = 0;
      for await (const chunk of store.read(entry) as Readable) bytes += (chunk as Buffer).length;
      return bytes;
    });

  /** Puts until the quota stops it. */
  async function fill(node: string, prefix: string, bytes: number): Promise<string[]> {
    const keys: string[] = [];
    for (;;) {
      const key = `${prefix}${keys.length}`;
      try {
        await put(node, key, bytes);
        keys.push(key);
      } catch (error) {
        if (!isZringError(error, 'QUOTA_EXCEEDED')) throw error;
        return keys;
      }
    }
  }

  test(`${title}: nothing is set at first, and what is set is described`, async () => {
    const owner = await start();
    const none = { quotaBytes: null, reservationBytes: null, compression: null };
    const first = await desk(owner).describe(DATASET);
    assert.deepEqual(first.wanted, none);
    assert.deepEqual(first.notApplied, []);
    assert.equal(first.encryption, null);
    const set = await desk(owner).configure(DATASET, { quotaBytes: 32 * MiB });
    assert.deepEqual(set.wanted, { ...none, quotaBytes: 32 * MiB });
    assert.equal(set.applied.quotaBytes, 32 * MiB);
    assert.ok(set.usedBytes < 8 * MiB);
    assert.ok(set.availableBytes > 16 * MiB && set.availableBytes <= 32 * MiB - set.usedBytes, `${set.availableBytes}`);
    await put(owner, 'k', 8 * MiB);
    const full = await desk(owner).describe(DATASET);
    assert.ok(full.usedBytes >= set.usedBytes + 8 * MiB && full.availableBytes <= set.availableBytes - 8 * MiB);
    const cleared = await desk(owner).configure(DATASET, { quotaBytes: null });
    assert.deepEqual(cleared.wanted, none);
    assert.equal(cleared.applied.quotaBytes, null);
    assert.equal(await inside(owner, 'read', async ({ store }) => store.document('storage-settings')), undefined);
  });

  test(`${title}: a full dataset refuses bodies, keeps what it has, and can be emptied and filled again`, async () => {
    const owner = await start();
    await desk(owner).configure(DATASET, { quotaBytes: 24 * MiB });
    const keys = await fill(owner, 'k', MiB);
    assert.ok(keys.length >= 14 && keys.length <= 23, `${keys.length} bodies`);
    await assert.rejects(put(owner, 'one-more', MiB), exceeded);
    await assert.rejects(put(owner, 'much-more', 100 * MiB), exceeded);
    assert.equal(await sizeOf(owner, 'one-more'), null);
    await inside(owner, 'write', (held) => assert.rejects(held.requireRoom?.(MiB) ?? Promise.resolve(), exceeded));
    // What brings no body goes on.
    await inside(owner, 'write', ({ store }) => store.setDocument('lifecycle', { rules: [] }));
    const { usedBytes } = await desk(owner).describe(DATASET);
    assert.ok(usedBytes <= 24 * MiB, `${usedBytes}`);
    for (const key of keys) assert.equal(await sizeOf(owner, key), MiB, key);
    for (const key of keys) await remove(owner, key);
    const again = await fill(owner, 'again', MiB);
    assert.ok(again.length >= keys.length - 2, `${again.length} after ${keys.length}`);
    await inside(owner, 'read', async ({ store }) => assert.deepEqual((await store.verify()).damaged, []));
  });

  test(`${title}: small objects fill it too, and every one of them can be deleted`, async () => {
    const owner = await start();
    await desk(owner).configure(DATASET, { quotaBytes: 16 * MiB });
    const keys = await fill(owner, 'k', 12_000);
    assert.ok(keys.length > 300, `${keys.length}`);
    for (const key of keys) await remove(owner, key);
    assert.equal(await inside(owner, 'read', async ({ store }) => store.isEmpty()), true);
    await put(owner, 'k', 12_000);
  });

  test(`${title}: many writers at once do not pass the quota, and nothing half written stays`, async () => {
    const owner = await start();
    await desk(owner).configure(DATASET, { quotaBytes: 32 * MiB });
    const results = await Promise.allSettled(Array.from({ length: 24 }, (_, i) => put(owner, `k${i}`, 4 * MiB)));
    const codes = new Set(results.map((result) => (result.status === 'rejected' ? result.reason.code : 'ok')));
    assert.deepEqual(codes, new Set(['ok', 'QUOTA_EXCEEDED']));
    for (const [i, { status }] of results.entries()) {
      assert.equal(await sizeOf(owner, `k${i}`), status === 'fulfilled' ? 4 * MiB : null);
    }
    assert.ok(results.filter(({ status }) => status === 'fulfilled').length >= 5);
    const { usedBytes } = await desk(owner).describe(DATASET);
    assert.ok(usedBytes <= 32 * MiB, `${usedBytes}`);
  });

  test(`${title}: a quota set below what is there stops bodies, never deletions, also after a restart`, async () => {
    const owner = await start();
    for (let i = 0; i < 30; i++) await put(owner, `k${i}`, MiB);
    const set = await desk(owner).configure(DATASET, { quotaBytes: 16 * MiB });
    assert.equal(set.wanted.quotaBytes, 16 * MiB);
    assert.deepEqual(set.notApplied, []);
    assert.equal(set.availableBytes, 0);
    await assert.rejects(put(owner, 'new', MiB), exceeded);
    await inside(owner, 'write', ({ store }) => store.setDocument('lifecycle', { rules: [] }));
    await cluster.restart(owner);
    await cluster.rounds(2);
    await assert.rejects(put(owner, 'new', MiB), exceeded);
    for (let i = 0; i < 28; i++) await remove(owner, `k${i}`);
    await put(owner, 'new', MiB);
    // With room again, the file system's limit is the quota itself.
    await cluster.rounds(2);
    assert.equal((await desk(owner).describe(DATASET)).applied.quotaBytes, 16 * MiB);
  });

  test(`${title}: what is not accepted changes nothing`, async () => {
    const owner = await start();
    await desk(owner).configure(DATASET, { quotaBytes: 64 * MiB });
    const before = await desk(owner).describe(DATASET);
    const refused = { code: 'CONFIG_REFUSED' };
    await assert.rejects(desk(owner).configure(DATASET, { quotaBytes: MiB }), refused);
    await assert.rejects(desk(owner).configure(DATASET, { reservationBytes: 65 * MiB }), refused);
    await assert.rejects(desk(owner).configure(DATASET, { compression: 'bogus-1', quotaBytes: 32 * MiB }), {
      ...refused,
      message: enforced(owner) ? /accepts: on, off/ : /need(s|) ZFS/,
    });
    const after = await desk(owner).describe(DATASET);
    assert.deepEqual(after.wanted, before.wanted);
    assert.deepEqual(after.applied, before.applied);
    await assert.rejects(desk(other(owner)).configure(DATASET, { quotaBytes: 64 * MiB }), { code: 'NOT_OWNER' });
    await assert.rejects(desk(other(owner)).describe(DATASET), { code: 'NOT_OWNER' });
  });

  test(`${title}: settings move with the dataset and bind at once; the copy left behind has none`, async () => {
    const from = await start();
    const to = other(from);
    const wanted = {
      quotaBytes: 24 * MiB,
      ...(enforced(from) ? { compression: 'gzip-9', reservationBytes: 20 * MiB } : {}),
    };
    await desk(from).configure(DATASET, wanted);
    await put(from, 'k', 12 * MiB);
    await cluster.own(from).move(DATASET, to);
    await cluster.until('moved', () => cluster.ownerOf(DATASET) === to);
    await assert.rejects(put(to, 'k2', 12 * MiB), exceeded);
    const there = await desk(to).describe(DATASET);
    assert.deepEqual(there.wanted, { reservationBytes: null, compression: null, ...wanted });
    assert.deepEqual({ ...there.applied, ...wanted }, there.applied);
    const { settings } = await cluster.node(from).driver.facts(DATASET);
    assert.equal(settings.reservationBytes, null);
    // Raised there, filled beyond what was known here, and back.
    await desk(to).configure(DATASET, { quotaBytes: 48 * MiB });
    await put(to, 'k2', 20 * MiB);
    await cluster.own(to).move(DATASET, from);
    await cluster.until('moved back', () => cluster.ownerOf(DATASET) === from);
    assert.equal((await desk(from).describe(DATASET)).applied.quotaBytes, 48 * MiB);
    assert.equal(await sizeOf(from, 'k2'), 20 * MiB);
  });

  test(`${title}: a full dataset moves`, async () => {
    const from = await start();
    const to = other(from);
    await desk(from).configure(DATASET, { quotaBytes: 16 * MiB });
    const keys = await fill(from, 'k', MiB);
    await cluster.own(from).move(DATASET, to);
    await cluster.until('moved', () => cluster.ownerOf(DATASET) === to);
    await assert.rejects(put(to, 'new', MiB), exceeded);
    for (const key of keys) await remove(to, key);
    await put(to, 'new', MiB);
  });

  test(`${title}: what the new storage cannot do is told, and hinders nothing`, async () => {
    // One of the two does not know what the other does.
    const lacks = new Set(['compression', 'reservation']);
    let poor = '';
    const from = await start({
      wrapDriver: (driver, node) =>
        new Proxy(driver, {
          get(target, property) {
            if (property === 'configure') {
              return async (name: string, settings: Parameters<DatasetDriver['configure']>[1]) => {
                const { quotaBytes, ...rest } = settings;
                if (node === poor) {
                  await target.configure(name, quotaBytes === undefined ? {} : { quotaBytes });
                  return Object.entries(rest)
                    .filter(([, value]) => value !== null)
                    .map(([key]) => ({ setting: key.replace('Bytes', '') as 'compression', reason: 'not known here' }));
                }
                return enforced(node)
                  ? target.configure(name, settings)
                  : target.configure(name, { quotaBytes: quotaBytes ?? null });
              };
            }
            const value = Reflect.get(target, property, target);
            return typeof value === 'function' ? value.bind(target) : value;
          },
        }),
    });
    const to = other(from);
    poor = to;
    await desk(from).configure(DATASET, { compression: 'gzip-9', reservationBytes: 2 * MiB, quotaBytes: 32 * MiB });
    assert.deepEqual((await desk(from).describe(DATASET)).notApplied, []);
    await put(from, 'k', MiB);
    await cluster.own(from).move(DATASET, to);
    await cluster.until('moved', () => cluster.ownerOf(DATASET) === to);
    assert.equal(await sizeOf(to, 'k'), MiB);
    const there = await desk(to).describe(DATASET);
    assert.deepEqual(new Set(there.notApplied.map(({ setting }) => setting)), lacks);
    assert.equal(there.wanted.compression, 'gzip-9');
    // Changing something else is not refused for it; setting it again is.
    await desk(to).configure(DATASET, { quotaBytes: 40 * MiB });
    await assert.rejects(desk(to).configure(DATASET, { compression: 'gzip-9' }), { code: 'CONFIG_REFUSED' });
    assert.equal((await desk(to).describe(DATASET)).wanted.quotaBytes, 40 * MiB);
    await cluster.own(to).move(DATASET, from);
    await cluster.until('moved back', () => cluster.ownerOf(DATASET) === from);
    const back = await desk(from).describe(DATASET);
    assert.deepEqual(back.notApplied, []);
    assert.deepEqual(back.wanted, { compression: 'gzip-9', reservationBytes: 2 * MiB, quotaBytes: 40 * MiB });
  });

  test(`${title}: settings that fail to be applied do not keep a dataset shut`, async () => {
    let failing = false;
    const owner = await start({
      wrapDriver: (driver) =>
        new Proxy(driver, {
          get(target, property) {
            if (property === 'configure' && failing) return () => Promise.reject(new Error('no such command'));
            const value = Reflect.get(target, property, target);
            return typeof value === 'function' ? value.bind(target) : value;
          },
        }),
    });
    await desk(owner).configure(DATASET, { quotaBytes: 16 * MiB });
    await put(owner, 'k', MiB);
    failing = true;
    await assert.rejects(desk(owner).configure(DATASET, { quotaBytes: 32 * MiB }), /no such command/);
    assert.equal((await desk(owner).describe(DATASET)).wanted.quotaBytes, 16 * MiB);
    await cluster.restart(owner);
    await cluster.rounds(2);
    assert.equal(await sizeOf(owner, 'k'), MiB);
    const { notApplied, wanted } = await desk(owner).describe(DATASET);
    assert.equal(wanted.quotaBytes, 16 * MiB);
    assert.deepEqual(
      notApplied.map(({ setting, reason }) => `${setting}: ${reason}`),
      ['quota: no such command'],
    );
    // It is counted all the same.
    await assert.rejects(put(owner, 'large', 20 * MiB), exceeded);
    failing = false;
  });
}

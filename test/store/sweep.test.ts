// Deleting what nobody refers to: leftovers of every crash point, never what is referred to, never while paused.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { copyFile, cp, link, mkdir, mkdtemp, readdir, readFile, rm, watch, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { fanOutFolders } from '../../src/store/ids.ts';
import { type LocalStore, openStore } from '../../src/store/store.ts';
import { bytesOf, dataFiles, get, putBlob, StoreFixture, TERM } from './fixture.ts';

let fixture: StoreFixture;
let crashed: string;
beforeEach(async () => {
  fixture = await StoreFixture.make();
  crashed = await mkdtemp(join(tmpdir(), 'zring-store-crashed-'));
});
afterEach(async () => {
  await fixture.remove();
  await rm(crashed, { recursive: true, force: true });
});

/** The folder as a crash at this moment would leave it. */
async function crash(): Promise<string> {
  await rm(crashed, { recursive: true });
  await cp(fixture.folder, crashed, { recursive: true });
  await rm(join(crashed, 'index'));
  await fixture.store.copyIndex(join(crashed, 'index'));
  return crashed;
}

async function recovered(): Promise<LocalStore> {
  const store = await openStore(crashed, { term: TERM });
  await store.sweepNow();
  return store;
}

describe('after a crash', () => {
  it('a body without its commit is deleted; files with foreign names are not', async () => {
    await fixture.put('kept', bytesOf(50_000));
    const kept = await dataFiles(fixture.folder);
    const writing = fixture.store.beginBlob(null);
    await writing.write(bytesOf(900_000));
    await putBlob(fixture.store, bytesOf(100_000));
    await crash();
    await writeFile(join(crashed, 'data', '00', 'README'), 'not ours');
    assert.ok((await dataFiles(crashed)).length >= 3);
    const store = await recovered();
    assert.deepEqual(await dataFiles(crashed), [...kept, 'README'].sort());
    assert.ok((await get(store, 'kept'))?.equals(bytesOf(50_000)));
    assert.deepEqual(
      (await store.verify()).damaged.map(({ reason }) => reason),
      ['data/00/README belongs to no object'],
    );
    await store.close();
    await writing.abort();
  });

  it('a file whose object was dropped is deleted, with or without its unlink', async () => {
    for (const size of [50_000, 60_000]) await fixture.put(`k${size}`, bytesOf(size));
    const release = await fixture.store.pauseSweep();
    await fixture.store.remove({ key: 'k50000' });
    await fixture.put('k60000', 'small');
    for (const unlinked of [0, 1, 2]) {
      await crash();
      for (const name of (await dataFiles(crashed)).slice(0, unlinked)) {
        await rm(join(crashed, 'data', name.slice(-2), name));
      }
      const store = await recovered();
      assert.deepEqual(await dataFiles(crashed), []);
      assert.deepEqual((await store.verify()).damaged, []);
      assert.equal((await get(store, 'k60000'))?.toString(), 'small');
      await store.close();
    }
    release();
  });

  it('the search runs again when it was not finished, and not after a clean stop', async () => {
    await fixture.put('k', bytesOf(50_000));
    await fixture.store.close();
    const stray = join(fixture.folder, 'data', '01', `${'0'.repeat(8)}ffffffff0000000001`);
    await writeFile(stray, 'stray');
    // A clean stop vouches for the folder: nothing is searched.
    await fixture.reopen();
    await fixture.store.sweepNow();
    assert.ok(existsSync(stray));
    await crash();
    const first = await openStore(crashed, { term: TERM });
    const release = await first.pauseSweep();
    await first.close();
    release();
    const second = await recovered();
    assert.ok(!existsSync(join(crashed, 'data', '01', `${'0'.repeat(8)}ffffffff0000000001`)));
    await second.close();
  });

  it('of a stopped disk image older than its files, what the older index names is kept', async () => {
    // A snapshot pairs an index with files that are newer: index first, then the files, with the sweep paused.
    await fixture.put('old', bytesOf(40_000));
    const release = await fixture.store.pauseSweep();
    const index = join(crashed, 'older-index');
    await fixture.store.copyIndex(index);
    await fixture.put('old', bytesOf(41_000));
    await fixture.put('new', bytesOf(42_000));
    const image = join(crashed, 'image');
    await cp(join(fixture.folder, 'data'), join(image, 'data'), { recursive: true });
    release();
    await copyFile(index, join(image, 'index'));
    const store = await openStore(image, { term: { n: 2, node: 'b' } });
    await store.sweepNow();
    assert.ok((await get(store, 'old'))?.equals(bytesOf(40_000)));
    assert.equal(store.head('new'), null);
    assert.equal((await dataFiles(image)).length, 1);
    assert.deepEqual((await store.verify()).damaged, []);
    await store.close();
  });
});

describe('the search for leftovers', () => {
  it('waits while paused, and never takes what this opening writes', async () => {
    await crash();
    const strays = fanOutFolders().map((path) =>
      join(crashed, path, `${'0'.repeat(8)}fffffffff0000000${path.slice(-2)}`),
    );
    for (const stray of strays) await writeFile(stray, 'stray');
    const store = await openStore(crashed, { term: TERM });
    const release = await store.pauseSweep();
    const before = strays.filter((stray) => existsSync(stray)).length;
    assert.ok(before > 200, 'the search has hardly begun');
    const blobs = [];
    for (let n = 0; n < 256; n++) blobs.push(await putBlob(store, bytesOf(17_000, n + 1)));
    assert.equal(strays.filter((stray) => existsSync(stray)).length, before);
    release();
    await store.sweepNow();
    assert.equal(strays.filter((stray) => existsSync(stray)).length, 0);
    for (const [n, blob] of blobs.entries()) await store.put({ key: `k${n}`, blob, etag: '', attributes: {} });
    assert.deepEqual((await store.verify()).damaged, []);
    await store.close();
  });
});

describe('in use', () => {
  it('what was dropped goes away by itself', async () => {
    await fixture.put('k', bytesOf(50_000));
    const [name = ''] = await dataFiles(fixture.folder);
    const changes = watch(join(fixture.folder, 'data', name.slice(-2)));
    await fixture.store.remove({ key: 'k' });
    for await (const { filename } of changes) if (filename === name) break;
    assert.deepEqual(await dataFiles(fixture.folder), []);
  });

  it('nothing is deleted while paused, by any of several', async () => {
    await fixture.put('k', bytesOf(50_000));
    const blob = await putBlob(fixture.store, bytesOf(60_000));
    const releases = await Promise.all([fixture.store.pauseSweep(), fixture.store.pauseSweep()]);
    await fixture.store.remove({ key: 'k' });
    await assert.rejects(fixture.store.put({ key: 'k', blob, etag: '', attributes: {}, condition: { ifMatch: '*' } }));
    await fixture.store.sweepNow();
    assert.equal((await dataFiles(fixture.folder)).length, 2);
    releases[0]();
    releases[0]();
    await fixture.store.sweepNow();
    assert.equal((await dataFiles(fixture.folder)).length, 2);
    releases[1]();
    await fixture.store.sweepNow();
    assert.deepEqual(await dataFiles(fixture.folder), []);
  });

  it('a snapshot taken under load is a whole store', async () => {
    let running = true;
    let n = 0;
    const load = Array.from({ length: 8 }, async (_, worker) => {
      while (running) await fixture.put(`k${worker}/${n++ % 20}`, bytesOf(20_000 + (n % 50_000), n));
    });
    try {
      for (let round = 0; round < 3; round++) {
        const image = join(crashed, `image${round}`);
        const release = await fixture.store.pauseSweep();
        await fixture.store.copyIndex(join(crashed, `index${round}`));
        await linkData(join(fixture.folder, 'data'), join(image, 'data'));
        release();
        await copyFile(join(crashed, `index${round}`), join(image, 'index'));
        const reader = await openStore(image, { readonly: true });
        const { damaged, objects } = await reader.verify();
        // The copy of the folder goes on while files are written: only what the index does not name may be extra.
        assert.deepEqual(
          damaged.filter(({ reason }) => !reason.endsWith('belongs to no object')),
          [],
        );
        assert.equal(objects, reader.stats().objects);
        await reader.close();
        const writer = await openStore(image, { term: { n: 9, node: 'b' } });
        await writer.sweepNow();
        assert.deepEqual((await writer.verify()).damaged, []);
        await writer.close();
      }
    } finally {
      running = false;
      await Promise.all(load);
    }
    await fixture.store.sweepNow();
    assert.deepEqual((await fixture.store.verify()).damaged, []);
  });

  it('copyIndex refuses to write over something', async () => {
    const path = join(crashed, 'there');
    await writeFile(path, 'precious');
    await assert.rejects(fixture.store.copyIndex(path));
    assert.equal(await readFile(path, 'utf8'), 'precious');
  });
});

/** What is there now, as the dir driver takes it: links, file by file. A copy would never catch up with the writers. */
async function linkData(from: string, to: string): Promise<void> {
  for (const fan of await readdir(from)) {
    await mkdir(join(to, fan), { recursive: true });
    for (const name of await readdir(join(from, fan))) await link(join(from, fan, name), join(to, fan, name));
  }
}

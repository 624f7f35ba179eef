// A store that came with a cloned dataset becomes the clone's own: what is in it stays, whose it is changes, at once or not
// at all.
import assert from 'node:assert/strict';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { openStore, relabelStore } from '../../src/store/store.ts';
import { bytesOf, get, md5, put, putBlob, StoreFixture } from './fixture.ts';

const BEFORE = { n: 41, node: 'a' };
const AFTER = { n: 1, node: 'b' };

async function withClone(run: (folder: string, source: StoreFixture) => Promise<void>): Promise<void> {
  const source = await StoreFixture.make({ term: BEFORE });
  const folder = await mkdtemp(join(tmpdir(), 'zring-relabel-'));
  try {
    await source.put('small', 'one');
    await source.put('large', bytesOf(200_000, 1));
    await source.store.setVersioning('enabled');
    await source.put('small', 'two');
    await source.store.remove({ key: 'large' });
    await source.store.setDocument('rules', { x: 1 });
    const upload = await source.store.createUpload('half', {});
    const part = await putBlob(source.store, bytesOf(50_000, 2));
    await source.store.putPart(upload.id, 'half', 1, part, md5('part'), {});
    await source.store.close();
    await cp(source.folder, folder, { recursive: true });
    await run(folder, source);
  } finally {
    await source.remove();
    await rm(folder, { recursive: true, force: true });
  }
}

test('objects, versions, documents and sequence numbers stay; id and term are its own', async () => {
  await withClone(async (folder, source) => {
    await relabelStore(folder, { from: 'test', id: 'clone' });
    await assert.rejects(openStore(folder, { id: 'test', term: AFTER }), { code: 'MOUNT_INVALID' });
    const store = await openStore(folder, { id: 'clone', term: AFTER });
    const was = await source.reopen();
    assert.equal((await get(store, 'small'))?.toString(), 'two');
    assert.equal(store.head('large'), null);
    assert.equal(store.versioning(), 'enabled');
    const listed = (one: typeof store) =>
      one
        .listVersions({ prefix: '', delimiter: '', afterKey: '', limit: 100 })
        .versions.map(({ entry }) => [entry.key, entry.versionId, entry.sequence, entry.deleteMarker]);
    assert.deepEqual(listed(store), listed(was));
    assert.deepEqual(store.document('rules'), { x: 1 });
    assert.deepEqual({ ...store.stats() }, { ...was.stats() });
    assert.ok(store.stats().sequence > 0);
    await put(store, 'new', bytesOf(100_000, 3));
    await put(was, 'other', bytesOf(100_000, 4));
    assert.deepEqual((await store.verify()).damaged, []);
    assert.equal(was.head('new'), null);
    await store.close();
    await assert.rejects(openStore(folder, { id: 'clone', term: { n: 1, node: 'a' } }), { code: 'TERM_REFUSED' });
  });
});

test('done twice it is the same; what is neither of the two is refused', async () => {
  await withClone(async (folder) => {
    await assert.rejects(relabelStore(folder, { from: 'another', id: 'clone' }), { code: 'MOUNT_INVALID' });
    await relabelStore(folder, { from: 'test', id: 'clone' });
    await relabelStore(folder, { from: 'test', id: 'clone' });
    const store = await openStore(folder, { id: 'clone', term: AFTER });
    assert.equal((await get(store, 'small'))?.toString(), 'two');
    await store.close();
  });
});

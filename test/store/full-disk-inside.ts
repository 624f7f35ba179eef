// Run by full-disk.test.ts with a 24 MiB tmpfs on ZRING_TEST_FULL_FOLDER, in a mount namespace of its own.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { it } from 'node:test';
import type { ZringError } from '../../src/common/errors.ts';
import { createStore, type LocalStore, openStore } from '../../src/store/store.ts';
import { bytesOf, dataFiles, get, put, TERM } from './fixture.ts';

const mount = process.env.ZRING_TEST_FULL_FOLDER ?? '';
assert.ok(mount, 'started by full-disk.test.ts');

async function make(name: string): Promise<{ folder: string; store: LocalStore }> {
  const folder = join(mount, name);
  mkdirSync(folder);
  await createStore(folder, { id: name });
  return { folder, store: await openStore(folder, { term: TERM }) };
}

/** Puts until one fails; resolves with that error's code and what was acknowledged. */
async function fill(store: LocalStore, size: number): Promise<{ code: string; acknowledged: Set<string> }> {
  const acknowledged = new Set<string>();
  for (let n = 0; n < 100_000; n++) {
    try {
      await put(store, `k${n}`, bytesOf(size, n));
      acknowledged.add(`k${n}`);
    } catch (error) {
      return { code: (error as ZringError).code, acknowledged };
    }
  }
  return assert.fail('the disk never got full');
}

async function checked(store: LocalStore, size: number, acknowledged: Set<string>): Promise<void> {
  for (const key of acknowledged) {
    assert.ok((await get(store, key))?.equals(bytesOf(size, Number(key.slice(1)))), key);
  }
  assert.equal(store.stats().objects, acknowledged.size);
  assert.deepEqual((await store.verify()).damaged, []);
}

for (const size of [300_000, 3000]) {
  it(`full of bodies of ${size} bytes`, async () => {
    const { folder, store } = await make(`full-${size}`);
    const { code, acknowledged } = await fill(store, size);
    assert.equal(code, 'STORAGE_FULL');
    assert.ok(acknowledged.size > 10);
    assert.equal((await fill(store, size)).code, 'STORAGE_FULL');
    await store.sweepNow();
    assert.equal((await dataFiles(folder)).length, size > 16_384 ? acknowledged.size : 0);
    await checked(store, size, acknowledged);
    // Room is made by somebody else (minFree keeps it in production); then deleting frees the rest.
    const ballast = join(mount, `ballast-${size}`);
    await rm(ballast, { force: true });
    await store.close();
    const again = await openStore(folder, { term: TERM }).catch((error: ZringError) => error.code);
    if (typeof again === 'string') assert.equal(again, 'STORAGE_FULL');
    else {
      await checked(again, size, acknowledged);
      await again.close();
    }
    await rm(folder, { recursive: true });
  });
}

it('a store that shares a full disk deletes as soon as there is a little room, and writes again', async () => {
  const { folder, store } = await make('room');
  for (let n = 0; n < 20; n++) await put(store, `k${n}`, bytesOf(200_000, n));
  const reserve = join(mount, 'reserve');
  await writeFile(reserve, Buffer.alloc(1 << 20));
  const ballast = join(mount, 'ballast');
  await writeFile(ballast, Buffer.alloc(64 << 20)).catch(() => {});
  await assert.rejects(put(store, 'new', bytesOf(200_000)), { code: 'STORAGE_FULL' });
  assert.ok((await get(store, 'k3'))?.equals(bytesOf(200_000, 3)));
  await rm(reserve);
  for (let n = 0; n < 20; n += 2) await store.remove({ key: `k${n}` });
  await store.sweepNow();
  assert.equal((await dataFiles(folder)).length, 10);
  await put(store, 'new', bytesOf(200_000));
  assert.deepEqual((await store.verify()).damaged, []);
  await store.close();
  await rm(ballast);
  await rm(folder, { recursive: true });
});

it('a damaged file is not repaired on a full disk, stays as it is, and is repaired once there is room', async () => {
  const { folder, store } = await make('repair');
  const body = bytesOf(300_000);
  const { blobs } = await put(store, 'k', body);
  const id = blobs[0]?.id ?? assert.fail('no blob');
  const file = join(folder, 'data', id.slice(-2), id);
  const damaged = Buffer.from(body).fill(0, 100, 200);
  await writeFile(file, damaged);
  const ballast = join(mount, 'ballast');
  await writeFile(ballast, Buffer.alloc(64 << 20)).catch(() => {});
  const repair = () => store.upkeep.repairFile(id, Readable.from([body]));
  await assert.rejects(repair(), { code: 'STORAGE_FULL' });
  await store.sweepNow();
  assert.ok((await readFile(file)).equals(damaged));
  assert.deepEqual(await dataFiles(folder), [id]);
  await rm(ballast);
  assert.equal(await repair(), 'repaired');
  assert.ok((await get(store, 'k'))?.equals(body));
  await store.close();
  await rm(folder, { recursive: true });
});

it('a read-only file system, where not even a lock file can be made, is readable', async () => {
  const { folder, store } = await make('readonly');
  await put(store, 'small', 'v');
  await put(store, 'large', bytesOf(300_000));
  // As a snapshot: not stopped cleanly.
  const release = await store.pauseSweep();
  const image = join(mount, 'image');
  execFileSync('cp', ['-a', folder, image]);
  release();
  await store.close();
  execFileSync('mount', ['--bind', image, image]);
  execFileSync('mount', ['-o', 'remount,ro,bind', image]);
  await assert.rejects(openStore(image, { term: TERM }), { code: 'STORAGE_UNAVAILABLE' });
  const reader = await openStore(image, { readonly: true });
  assert.equal((await get(reader, 'small'))?.toString(), 'v');
  assert.ok((await get(reader, 'large'))?.equals(bytesOf(300_000)));
  assert.deepEqual(
    reader.list({ prefix: '', delimiter: '', after: '', limit: 10 }).entries.map(({ key }) => key),
    ['large', 'small'],
  );
  assert.deepEqual((await reader.verify()).damaged, []);
  await assert.rejects(reader.remove({ key: 'small' }), { code: 'STORAGE_UNAVAILABLE' });
  assert.throws(() => reader.beginBlob(1), { code: 'STORAGE_UNAVAILABLE' });
  await reader.close();
});

// Finding what a disk has damaged, and mending it, while the store is in use: each kind of damage, each kind of reference, and
// what goes on meanwhile.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { open, readdir, readFile, readlink, rm, stat, symlink, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { afterEach, beforeEach, describe, it } from 'node:test';
import type { ObjectEntry } from '../../src/store/types.ts';
import { bytesOf, dataFiles, putBlob, read, StoreFixture } from './fixture.ts';

const BLOCK = 1 << 20;
let fixture: StoreFixture;
let told: string[];
beforeEach(async () => {
  told = [];
  fixture = await StoreFixture.make({ onDamage: (id) => told.push(id) });
});
afterEach(() => fixture.remove());

const idOf = (entry: ObjectEntry | null): string => entry?.blobs[0]?.id ?? assert.fail('no blob');
const pathOf = (id: string): string => join(fixture.folder, 'data', id.slice(-2), id);

async function flip(id: string, at: number): Promise<void> {
  const file = await open(pathOf(id), 'r+');
  const byte = Buffer.alloc(1);
  await file.read(byte, 0, 1, at);
  await file.write(Buffer.of((byte[0] ?? 0) ^ 1), 0, 1, at);
  await file.close();
}

/** Every data file by id, in pages of two, with why it is damaged. */
async function scrub(): Promise<Record<string, string | null>> {
  const { upkeep } = fixture.store;
  const found: Record<string, string | null> = {};
  for (let after = ''; ; ) {
    const page = upkeep.filesAfter(after, 2);
    for (const { id } of page) {
      assert.ok(!(id in found), 'each once');
      found[id] = (await upkeep.checkFile(id))?.message ?? null;
      after = id;
    }
    if (page.length === 0) return found;
  }
}

describe('the walk over data files', () => {
  it('meets each once: copies, versions, parts and manifests', async () => {
    const { store } = fixture;
    await store.setVersioning('enabled');
    const first = await fixture.put('k', bytesOf(50_000, 1));
    const second = await fixture.put('k', bytesOf(60_000, 2));
    await fixture.put('small', 'inline');
    await store.copy({ source: 'k', sourceSequence: second.sequence, key: 'copy', attributes: {} });
    const upload = await store.createUpload('large', {});
    for (const number of [1, 2]) {
      await store.putPart(upload.id, 'large', number, await putBlob(store, bytesOf(70_000, number)), `e${number}`, {});
    }
    const open = await store.createUpload('open', {});
    await store.putPart(open.id, 'open', 1, await putBlob(store, bytesOf(80_000)), 'e', {});
    const large = await store.completeUpload({
      uploadId: upload.id,
      key: 'large',
      parts: [1, 2].map((number) => ({ number, etag: `e${number}` })),
      partBytesMin: 0,
      finish: () => ({ etag: 'whole', attributes: {} }),
    });
    const found = await scrub();
    assert.deepEqual(Object.keys(found).sort(), await dataFiles(fixture.folder));
    assert.equal(Object.keys(found).length, 5);
    assert.deepEqual(new Set(Object.values(found)), new Set([null]));
    const ids = new Set(Object.keys(found));
    const keys = await store.upkeep.keysOf(ids);
    assert.equal(keys.get(idOf(first)), `k (version ${first.versionId})`);
    assert.ok(['k', 'copy'].some((key) => keys.get(idOf(second))?.startsWith(key)));
    for (const { id } of large.blobs) assert.match(keys.get(id) ?? '', /^large/);
    const [part] = [...ids].filter((id) => keys.get(id)?.startsWith('upload'));
    assert.equal(keys.get(part ?? ''), `upload ${open.id} part 1`);
  });

  it('finds changed, shortened, missing and unreadable files, and nothing else', async () => {
    const [changed, short, missing, unreadable, sound] = await Promise.all(
      ['changed', 'short', 'missing', 'unreadable', 'sound'].map((key) => fixture.put(key, bytesOf(2 * BLOCK + 5))),
    );
    for (const [entry, damage] of [
      [changed, (id: string) => flip(id, 2 * BLOCK + 1)],
      [short, (id: string) => truncate(pathOf(id), BLOCK)],
      [missing, (id: string) => rm(pathOf(id))],
      // A read there fails with EIO, as one of a sector that is gone.
      [unreadable, (id: string) => rm(pathOf(id)).then(() => symlink('/proc/self/mem', pathOf(id)))],
    ] as const) {
      await damage(idOf(entry ?? null));
    }
    const found = await scrub();
    assert.match(found[idOf(changed ?? null)] ?? '', /block 2 does not match its checksum/);
    assert.match(found[idOf(short ?? null)] ?? '', /ends at byte 1048576/);
    assert.match(found[idOf(missing ?? null)] ?? '', /has no file/);
    assert.match(found[idOf(unreadable ?? null)] ?? '', /EIO|i\/o error/i);
    assert.equal(found[idOf(sound ?? null)], null);
    assert.deepEqual(told, [], 'what it meets itself is its caller’s to tell');
  });

  it('reads at the pace it is given, and an object that goes meanwhile is no fault', async () => {
    const entry = await fixture.put('k', bytesOf(3 * BLOCK));
    const { upkeep } = fixture.store;
    const steps: number[] = [];
    assert.equal(await upkeep.checkFile(idOf(entry), (bytes) => void steps.push(bytes)), null);
    assert.deepEqual(steps, [BLOCK, BLOCK, BLOCK]);
    await flip(idOf(entry), 2 * BLOCK);
    const pace = async () => {
      if (fixture.store.head('k')) await fixture.store.remove({ key: 'k' });
    };
    assert.equal(await upkeep.checkFile(idOf(entry), pace), null);
    assert.equal(await upkeep.checkFile(idOf(entry)), null);
    await fixture.store.sweepNow();
    assert.deepEqual(upkeep.filesAfter('', 10), []);
    assert.equal(await upkeep.checkFile(idOf(entry)), null);
  });

  it('ends when the store is closed, and calls nothing damaged for it', async () => {
    const entry = await fixture.put('k', bytesOf(3 * BLOCK));
    const checking = fixture.store.upkeep.checkFile(idOf(entry), () => void fixture.store.close());
    await assert.rejects(checking, { code: 'STORAGE_UNAVAILABLE', message: /is closed/ });
  });
});

describe('the check of the index', () => {
  it('finds a small body that changed, by its key', async () => {
    const marker = 'a body that can be found in the index file';
    await fixture.put('bad', marker);
    await fixture.put('good', 'another one');
    assert.deepEqual(await fixture.store.upkeep.checkIndex(), []);
    await fixture.store.close();
    const path = join(fixture.folder, 'index');
    const bytes = await readFile(path);
    for (let at = bytes.indexOf(marker); at >= 0; at = bytes.indexOf(marker, at + 1)) bytes[at] = 0x41;
    await writeFile(path, bytes);
    await fixture.reopen();
    const faults = await fixture.store.upkeep.checkIndex();
    assert.deepEqual(
      faults.map(({ key }) => key),
      ['bad'],
    );
    assert.match(faults[0]?.reason ?? '', /checksum/);
  });

  it('tells what the disk cannot read instead of touching it in memory', async () => {
    await fixture.put('k', 'v');
    const path = join(fixture.folder, 'index');
    // Beside the open map, so that only reading the file meets it.
    await rm(path);
    await symlink('/proc/self/mem', path);
    const [fault, more] = await fixture.store.upkeep.checkIndex();
    assert.equal(fault?.key, null);
    assert.match(fault?.reason ?? '', /cannot be read/);
    assert.equal(more, undefined);
    await rm(path);
  });

  it('holds up nobody who closes the store, however slow it is', async () => {
    const slow = () => new Promise<void>(() => {});
    const checking = fixture.store.upkeep.checkIndex(slow);
    await new Promise((resolve) => setTimeout(resolve, 20));
    const ended = assert.rejects(checking, { code: 'STORAGE_UNAVAILABLE', message: /is closed/ });
    await fixture.store.close();
    const open = await Promise.all(
      (await readdir('/proc/self/fd')).map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => '')),
    );
    assert.deepEqual(
      open.filter((path) => path.startsWith(fixture.folder)),
      [],
    );
    await ended;
  });

  it('reads it at the pace it is given', async () => {
    let bytes = 0;
    await fixture.store.upkeep.checkIndex((step) => {
      bytes += step;
    });
    assert.equal(bytes, (await stat(join(fixture.folder, 'index'))).size);
  });
});

describe('a repair', () => {
  const body = bytesOf(2 * BLOCK + 77);
  let entry: ObjectEntry;
  let id: string;
  beforeEach(async () => {
    entry = await fixture.put('k', body);
    id = idOf(entry);
    await flip(id, BLOCK + 3);
  });
  const source = (bytes: Buffer) => Readable.from([bytes.subarray(0, 100_000), bytes.subarray(100_000)]);

  it('puts good bytes in place: who read before has failed, who reads later has all', async () => {
    await assert.rejects(read(fixture.store, entry), { code: 'STORAGE_CORRUPT' });
    assert.deepEqual(told, [id]);
    assert.equal(await fixture.store.upkeep.repairFile(id, source(body)), 'repaired');
    assert.ok((await read(fixture.store, entry)).equals(body));
    assert.equal(await fixture.store.upkeep.repairFile(id, source(body)), 'repaired', 'again is no harm');
    await fixture.store.sweepNow();
    assert.deepEqual(await dataFiles(fixture.folder), [id]);
    await fixture.reopen();
    assert.ok((await read(fixture.store, fixture.store.head('k') ?? assert.fail())).equals(body));
  });

  it('works where the file is missing or cannot be read', async () => {
    for (const damage of [() => rm(pathOf(id)), () => rm(pathOf(id)).then(() => symlink(id, pathOf(id)))]) {
      await damage();
      assert.equal(await fixture.store.upkeep.repairFile(id, source(body)), 'repaired');
      assert.ok((await read(fixture.store, entry)).equals(body));
    }
  });

  it('takes nothing but what was written, and leaves all as it was', async () => {
    const damaged = await readFile(pathOf(id));
    const cut = Readable.from(
      (function* () {
        yield body.subarray(0, BLOCK);
        throw new Error('cut');
      })(),
    );
    for (const [offered, error] of [
      [source(damaged), /something else/],
      [source(body.subarray(0, -1)), /too short/],
      [source(Buffer.concat([body, Buffer.of(0)])), /too long/],
      [cut, /cut/],
    ] as const) {
      await assert.rejects(fixture.store.upkeep.repairFile(id, offered), { message: error });
      assert.ok(offered.destroyed);
      assert.ok((await readFile(pathOf(id))).equals(damaged));
    }
    await fixture.store.sweepNow();
    assert.deepEqual(await dataFiles(fixture.folder), [id]);
  });

  it('of what is deleted meanwhile leaves no file behind', async () => {
    const slow = new PassThrough();
    const repairing = fixture.store.upkeep.repairFile(id, slow);
    slow.write(body.subarray(0, BLOCK));
    await fixture.store.remove({ key: 'k' });
    await fixture.store.sweepNow();
    assert.ok(existsSync(pathOf(id)), 'kept while it is being repaired');
    slow.end(body.subarray(BLOCK));
    assert.equal(await repairing, 'gone');
    await fixture.store.sweepNow();
    assert.deepEqual(await dataFiles(fixture.folder), []);
    assert.equal(await fixture.store.upkeep.repairFile(id, source(body)), 'gone');
  });

  it('is given up when the store is closed, and when this process may not write any more', async () => {
    const slow = new PassThrough();
    const repairing = fixture.store.upkeep.repairFile(id, slow);
    slow.write(body.subarray(0, BLOCK));
    await Promise.all([assert.rejects(repairing, { code: 'STORAGE_UNAVAILABLE' }), fixture.store.close()]);
    const guard = () => {
      throw new Error('not ours any more');
    };
    await fixture.reopen({ guard });
    assert.deepEqual(await dataFiles(fixture.folder), [id]);
    await assert.rejects(fixture.store.upkeep.repairFile(id, source(body)), /not ours any more/);
    await fixture.reopen({ readonly: true });
    await assert.rejects(fixture.store.upkeep.repairFile(id, source(body)), { message: /read-only/ });
    await fixture.reopen({ readonly: false });
  });
});

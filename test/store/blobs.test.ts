// Bodies on disk: ranges across blocks and parts, damage, deletion while reading, aborts, descriptors.
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { open, rm, truncate, watch } from 'node:fs/promises';
import { join } from 'node:path';
import { finished } from 'node:stream/promises';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { ZringError } from '../../src/common/errors.ts';
import type { ObjectEntry } from '../../src/store/types.ts';
import { bytesOf, dataFiles, putBlob, read, SEED, StoreFixture } from './fixture.ts';

const BLOCK = 1 << 20;
let fixture: StoreFixture;
beforeEach(async () => {
  fixture = await StoreFixture.make();
});
afterEach(() => fixture.remove());

/** Parts of these sizes, as one object. */
async function multipart(key: string, sizes: readonly number[]): Promise<{ entry: ObjectEntry; body: Buffer }> {
  const { store } = fixture;
  const upload = await store.createUpload(key, {});
  const bodies = sizes.map((size, i) => bytesOf(size, i + 7));
  for (const [i, body] of bodies.entries()) {
    await store.putPart(upload.id, key, i + 1, await putBlob(store, body), `e${i + 1}`, {});
  }
  const parts = sizes.map((_, i) => ({ number: i + 1, etag: `e${i + 1}` }));
  const finish = () => ({ etag: 'whole', attributes: {} });
  const entry = await store.completeUpload({ uploadId: upload.id, key, parts, partBytesMin: 0, finish });
  return { entry, body: Buffer.concat(bodies) };
}

function fileOf(entry: ObjectEntry | null, blob = 0): string {
  const id = entry?.blobs[blob]?.id ?? assert.fail('no such blob');
  return join(fixture.folder, 'data', id.slice(-2), id);
}

function descriptors(): string[] {
  return readdirSync('/proc/self/fd');
}

describe('ranges', () => {
  it('give exactly these bytes, across blocks, parts, inline and empty ones', async () => {
    const sizes = [2 * BLOCK + 17, 5, 0, BLOCK, 300_000, 1, 20_000];
    const { entry, body } = await multipart('k', sizes);
    assert.deepEqual(entry.partSizes, sizes);
    assert.equal(entry.size, body.length);
    assert.ok((await read(fixture.store, entry)).equals(body));
    const edges = [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, body.length - 1];
    for (let at = 0, i = 0; i < sizes.length; at += sizes[i++] ?? 0) edges.push(at - 1, at, at + 1);
    const inside = edges.filter((edge) => edge >= 0 && edge < body.length);
    for (const start of inside) {
      for (const end of inside.filter((edge) => edge >= start)) {
        const got = await read(fixture.store, entry, { start, end });
        assert.ok(got.equals(body.subarray(start, end + 1)), `${start}-${end}`);
      }
    }
  });

  it('outside of the object are refused', async () => {
    const entry = await fixture.put('k', 'four');
    const empty = await fixture.put('empty', '');
    for (const [start, end] of [
      [0, 4],
      [4, 4],
      [2, 1],
      [-1, 2],
    ] as const) {
      assert.throws(() => fixture.store.read(entry, { start, end }), { code: 'RANGE_INVALID' });
    }
    assert.throws(() => fixture.store.read(empty, { start: 0, end: 0 }), { code: 'RANGE_INVALID' });
    assert.equal((await read(fixture.store, empty)).length, 0);
    assert.equal(fixture.store.readInline(empty)?.length, 0);
  });
});

describe('damage', () => {
  it('of any byte ends the stream with STORAGE_CORRUPT before that block is given out', async () => {
    const body = bytesOf(3 * BLOCK + 1000);
    const entry = await fixture.put('k', body);
    for (const at of [0, BLOCK, 2 * BLOCK + 5, 3 * BLOCK + 999]) {
      const file = await open(fileOf(entry), 'r+');
      const original = Buffer.alloc(1);
      await file.read(original, 0, 1, at);
      await file.write(Buffer.of((original[0] ?? 0) ^ 1), 0, 1, at);
      const block = Math.floor(at / BLOCK);
      const chunks: Buffer[] = [];
      const stream = fixture.store.read(entry).on('data', (chunk) => chunks.push(chunk));
      await assert.rejects(finished(stream), { code: 'STORAGE_CORRUPT' });
      assert.ok(Buffer.concat(chunks).equals(body.subarray(0, block * BLOCK)));
      // Blocks that the range does not touch are still served.
      if (block > 0) assert.equal((await read(fixture.store, entry, { start: 3, end: 9 })).length, 7);
      const { damaged } = await fixture.store.verify();
      assert.equal(damaged.length, 1);
      assert.equal(damaged[0]?.key, 'k');
      await file.write(original, 0, 1, at);
      await file.close();
    }
    assert.ok((await read(fixture.store, entry)).equals(body));
  });

  it('as a shorter or missing file is found too', async () => {
    const body = bytesOf(2 * BLOCK);
    const entry = await fixture.put('k', body);
    await truncate(fileOf(entry), BLOCK + 10);
    await assert.rejects(read(fixture.store, entry), { code: 'STORAGE_CORRUPT' });
    await truncate(fileOf(entry), BLOCK);
    await assert.rejects(read(fixture.store, entry), { code: 'STORAGE_CORRUPT' });
    await rm(fileOf(entry));
    await assert.rejects(read(fixture.store, entry), { code: 'STORAGE_CORRUPT' });
    assert.equal((await fixture.store.verify()).damaged.length, 1);
    await fixture.store.remove({ key: 'k' });
  });

  it('of an inline object is found by its checksum', async () => {
    const marker = 'a body that can be found in the index file';
    await fixture.put('k', marker);
    await fixture.store.close();
    const index = await open(join(fixture.folder, 'index'), 'r+');
    const bytes = await index.readFile();
    let found = 0;
    for (let at = bytes.indexOf(marker); at >= 0; at = bytes.indexOf(marker, at + 1)) {
      await index.write(Buffer.from('A'), 0, 1, at);
      found++;
    }
    await index.close();
    assert.ok(found > 0);
    await fixture.reopen();
    const entry = fixture.store.head('k') ?? assert.fail();
    assert.throws(() => fixture.store.readInline(entry), { code: 'STORAGE_CORRUPT' });
    assert.throws(() => fixture.store.read(entry), { code: 'STORAGE_CORRUPT' });
    assert.equal((await fixture.store.verify()).damaged.length, 1);
  });
});

describe('a reader', () => {
  it('goes on when its object is replaced and swept, in every part', async () => {
    const { entry, body } = await multipart('k', [2 * BLOCK, 2 * BLOCK, 2 * BLOCK]);
    const stream = fixture.store.read(entry);
    await new Promise((resolve) => stream.once('readable', resolve));
    await fixture.put('k', 'another');
    await fixture.store.sweepNow();
    assert.ok((await dataFiles(fixture.folder)).length >= 1, 'what is still to be opened is kept');
    const chunks: Buffer[] = [];
    for await (const chunk of stream) chunks.push(chunk);
    assert.ok(Buffer.concat(chunks).equals(body));
    await fixture.store.sweepNow();
    assert.deepEqual(await dataFiles(fixture.folder), []);
  });

  it('of an entry that is long gone fails as missing, never as short', async () => {
    for (const size of [100, 100_000]) {
      const entry = await fixture.put('k', bytesOf(size));
      await fixture.store.remove({ key: 'k' });
      await fixture.store.sweepNow();
      await assert.rejects(async () => read(fixture.store, entry), { code: 'OBJECT_MISSING' });
    }
  });

  it('reads no more than two blocks ahead of its consumer', async () => {
    const entry = await fixture.put('k', bytesOf(8 * BLOCK));
    const stream = fixture.store.read(entry);
    await new Promise((resolve) => stream.once('readable', resolve));
    // The read-ahead settles: the length stops growing once the high-water mark is passed.
    for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve));
    assert.ok(stream.readableLength <= 2 * BLOCK, `${stream.readableLength} bytes buffered`);
    stream.destroy();
    await finished(stream).catch(() => {});
  });

  it('leaves no descriptor behind, wherever it is destroyed', async () => {
    const { entry } = await multipart('k', [2 * BLOCK, BLOCK, 20_000]);
    const before = descriptors().length;
    for (let turns = 0; turns < 40; turns++) {
      const stream = fixture.store.read(entry);
      stream.on('data', () => {});
      for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve));
      stream.destroy();
      await new Promise((resolve) => (stream.closed ? resolve(null) : stream.once('close', resolve)));
    }
    const rejected = await fixture.store
      .read(entry)
      .destroy()
      .toArray()
      .catch((error: ZringError) => error.code);
    assert.equal(rejected, 'ERR_STREAM_PREMATURE_CLOSE');
    await read(fixture.store, entry);
    assert.equal(descriptors().length, before);
  });
});

describe('a writer', () => {
  it('leaves nothing when aborted, at any point', async () => {
    const before = descriptors().length;
    for (const size of [0, 100, 20_000, 300_000, 3 * BLOCK]) {
      const writer = fixture.store.beginBlob(null);
      await writer.write(bytesOf(size));
      await writer.abort();
      await writer.abort();
      const done = fixture.store.beginBlob(size);
      await done.write(bytesOf(size));
      await done.finish();
      await done.abort();
      const racing = fixture.store.beginBlob(size);
      const writing = racing.write(bytesOf(size));
      const finishing = Promise.resolve(writing).then(() => racing.finish());
      await Promise.all([finishing.catch(() => {}), finishing.then(() => racing.abort())]);
    }
    await fixture.store.sweepNow();
    assert.deepEqual(await dataFiles(fixture.folder), []);
    assert.equal(descriptors().length, before);
  });

  it('copies what it is given: the buffer may be used again', async () => {
    const body = bytesOf(2 * BLOCK + 100);
    const writer = fixture.store.beginBlob(null);
    const buffer = Buffer.alloc(9973);
    for (let at = 0; at < body.length; at += buffer.length) {
      const length = body.copy(buffer, 0, at);
      await writer.write(buffer.subarray(0, length));
      buffer.fill(0xee);
    }
    await fixture.store.put({ key: 'k', blob: await writer.finish(), etag: '', attributes: {} });
    assert.ok((await fixture.get('k'))?.equals(body));
  });

  it('keeps up with pieces of any size', async () => {
    let state = SEED;
    const random = (below: number): number => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return state % below;
    };
    for (let round = 0; round < 10; round++) {
      const body = bytesOf(random(3 * BLOCK), round);
      const writer = fixture.store.beginBlob(random(2) ? null : body.length);
      for (let at = 0; at < body.length; ) {
        const piece = random(3) ? random(2000) : random(700_000);
        await writer.write(body.subarray(at, at + piece));
        at += piece;
      }
      await fixture.store.put({ key: 'k', blob: await writer.finish(), etag: '', attributes: {} });
      assert.ok((await fixture.get('k'))?.equals(body), `seed ${SEED} round ${round}`);
    }
  });

  it('whose blob is lost before a commit gives its file up once that is noticed', async () => {
    await putBlob(fixture.store, bytesOf(100_000));
    await fixture.put('kept', bytesOf(50_000));
    const [name = ''] = (await dataFiles(fixture.folder)).filter(
      (file) => file !== fixture.store.head('kept')?.blobs[0]?.id,
    );
    const changes = watch(join(fixture.folder, 'data', name.slice(-2)));
    setFlagsFromString('--expose-gc');
    const collect: () => void = runInNewContext('gc');
    // Finalizers run some time after a collection, so collect until the file goes.
    const collecting = setInterval(collect, 20);
    for await (const { filename } of changes) if (filename === name) break;
    clearInterval(collecting);
    assert.equal((await dataFiles(fixture.folder)).length, 1);
    assert.ok((await fixture.get('kept'))?.equals(bytesOf(50_000)));
  });

  it('refuses a blob twice', async () => {
    const blob = await putBlob(fixture.store, 'v');
    await fixture.store.put({ key: 'k', blob, etag: '', attributes: {} });
    await assert.rejects(fixture.store.put({ key: 'k2', blob, etag: '', attributes: {} }), /bug/);
  });
});

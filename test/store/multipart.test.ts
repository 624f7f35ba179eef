// Multipart uploads: parts, listing, completing and its repetition, aborting; nothing is lost or left.
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import fc from 'fast-check';
import type { CompleteRequest, ObjectEntry, UploadInfo } from '../../src/store/types.ts';
import { byBytes, bytesOf, dataFiles, md5, putBlob, SEED, StoreFixture } from './fixture.ts';

let fixture: StoreFixture;
beforeEach(async () => {
  fixture = await StoreFixture.make();
});
afterEach(() => fixture.remove());

async function putPart(upload: UploadInfo, number: number, body: Buffer | string) {
  const blob = await putBlob(fixture.store, body);
  return fixture.store.putPart(upload.id, upload.key, number, blob, md5(body), { part: number });
}

function complete(
  upload: UploadInfo,
  parts: readonly { number: number; etag: string }[],
  more: Partial<CompleteRequest> = {},
): Promise<ObjectEntry> {
  return fixture.store.completeUpload({
    uploadId: upload.id,
    key: upload.key,
    parts,
    partBytesMin: 0,
    finish: (begun, chosen) => ({
      etag: `${chosen.map(({ etag }) => etag.slice(0, 4)).join('')}-${chosen.length}`,
      attributes: { ...begun.attributes },
    }),
    ...more,
  });
}

async function nothingLeft(): Promise<void> {
  await fixture.store.sweepNow();
  assert.deepEqual(await dataFiles(fixture.folder), []);
  assert.deepEqual((await fixture.store.verify()).damaged, []);
}

describe('completing', () => {
  it('makes an object of the chosen parts, moves no bytes, and frees the rest', async () => {
    const upload = await fixture.store.createUpload('k', { type: 'x' });
    const bodies = new Map<number, Buffer>();
    for (const [number, size] of [
      [3, 200_000],
      [1, 100_000],
      [2, 50_000],
      [7, 30],
      [10_000, 10],
    ] as const) {
      bodies.set(number, bytesOf(size, number));
      await putPart(upload, number, bodies.get(number) ?? '');
    }
    const replaced = bytesOf(120_000, 99);
    await putPart(upload, 1, replaced);
    bodies.set(1, replaced);
    await fixture.put('k', bytesOf(80_000));
    const filesBefore = await dataFiles(fixture.folder);
    const chosen = [1, 3, 7].map((number) => ({ number, etag: md5(bodies.get(number) ?? '') }));
    const seen: unknown[] = [];
    const entry = await complete(upload, chosen, {
      finish: (begun, parts) => {
        seen.push(begun, ...parts.map(({ number, size, attributes }) => [number, size, attributes]));
        return { etag: 'etag-3', attributes: { type: begun.attributes.type } };
      },
    });
    assert.deepEqual(seen, [upload, [1, 120_000, { part: 1 }], [3, 200_000, { part: 3 }], [7, 30, { part: 7 }]]);
    assert.deepEqual(
      [entry.etag, entry.attributes, entry.partSizes],
      ['etag-3', { type: 'x' }, [120_000, 200_000, 30]],
    );
    const whole = Buffer.concat([replaced, bodies.get(3) ?? replaced, bodies.get(7) ?? replaced]);
    assert.ok((await fixture.get('k'))?.equals(whole));
    await fixture.store.sweepNow();
    assert.equal((await dataFiles(fixture.folder)).length, 2);
    for (const name of await dataFiles(fixture.folder)) assert.ok(filesBefore.includes(name));
    const { objects, bytes, uploads } = fixture.store.stats();
    assert.deepEqual({ objects, bytes, uploads }, { objects: 1, bytes: 320_030, uploads: 0 });
    assert.deepEqual((await fixture.store.verify()).damaged, []);
    await fixture.store.remove({ key: 'k' });
    await nothingLeft();
  });

  it('again with the same parts gives the same object, also after it was replaced and after reopening', async () => {
    const upload = await fixture.store.createUpload('k', {});
    const { etag } = await putPart(upload, 1, 'one');
    const entry = await complete(upload, [{ number: 1, etag }]);
    assert.deepEqual(await complete(upload, [{ number: 1, etag }]), entry);
    const { sequence } = await fixture.put('k', 'replaced');
    await fixture.reopen();
    const repeated = await complete(upload, [{ number: 1, etag }]);
    assert.deepEqual([repeated.etag, repeated.sequence, repeated.size], [entry.etag, entry.sequence, 3]);
    assert.equal((await fixture.get('k'))?.toString(), 'replaced');
    assert.equal(fixture.store.stats().sequence, sequence);
    await assert.rejects(complete(upload, [{ number: 2, etag }]), { code: 'UPLOAD_MISSING' });
    await assert.rejects(complete({ ...upload, key: 'other' }, [{ number: 1, etag }]), { code: 'UPLOAD_MISSING' });
  });

  it('by many at once is done once', async () => {
    const upload = await fixture.store.createUpload('k', {});
    const { etag } = await putPart(upload, 1, bytesOf(100_000));
    const entries = await Promise.all(Array.from({ length: 20 }, () => complete(upload, [{ number: 1, etag }])));
    assert.equal(new Set(entries.map(({ sequence }) => sequence)).size, 1);
    assert.equal(fixture.store.stats().objects, 1);
  });

  it('is forgotten after a day', async () => {
    let now = 1e12;
    await fixture.reopen({ nowMs: () => now });
    const uploads: [UploadInfo, string][] = [];
    for (let i = 0; i < 6; i++) {
      const upload = await fixture.store.createUpload(`k${i}`, {});
      const { etag } = await putPart(upload, 1, 'one');
      if (i === 5) now += 25 * 3600 * 1000;
      await complete(upload, [{ number: 1, etag }]);
      uploads.push([upload, etag]);
    }
    const outcomes = await Promise.allSettled(uploads.map(([upload, etag]) => complete(upload, [{ number: 1, etag }])));
    // Four old ones go with each new one.
    assert.deepEqual(
      outcomes.map(({ status }) => status),
      [...Array(4).fill('rejected'), 'fulfilled', 'fulfilled'],
    );
  });

  it('is refused for parts that are wrong, and the upload goes on', async () => {
    const upload = await fixture.store.createUpload('k', {});
    const one = await putPart(upload, 1, bytesOf(1000, 1));
    const two = await putPart(upload, 2, bytesOf(10, 2));
    const three = await putPart(upload, 3, bytesOf(1000, 3));
    const part = ({ number, etag }: { number: number; etag: string }) => ({ number, etag });
    await assert.rejects(complete(upload, []), { code: 'PART_INVALID' });
    await assert.rejects(complete(upload, [part(two), part(one)]), { code: 'PART_ORDER_INVALID' });
    await assert.rejects(complete(upload, [part(one), part(one)]), { code: 'PART_ORDER_INVALID' });
    await assert.rejects(complete(upload, [{ number: 0, etag: one.etag }]), { code: 'PART_ORDER_INVALID' });
    await assert.rejects(complete(upload, [part(one), { number: 4, etag: 'x' }]), { code: 'PART_INVALID' });
    await assert.rejects(complete(upload, [{ number: 1, etag: 'x' }]), { code: 'PART_INVALID' });
    await assert.rejects(complete(upload, [part(one), part(two), part(three)], { partBytesMin: 100 }), {
      code: 'PART_TOO_SMALL',
    });
    await assert.rejects(
      complete(upload, [part(one)], {
        finish: () => {
          throw new RangeError('checksum of the whole');
        },
      }),
      RangeError,
    );
    await fixture.put('k', 'there');
    await assert.rejects(complete(upload, [part(one)], { condition: { ifNoneMatch: '*' } }), {
      code: 'PRECONDITION_FAILED',
    });
    assert.equal(fixture.store.listParts(upload.id, 'k', 0, 100).parts.length, 3);
    const entry = await complete(upload, [part(one), part(two)], { partBytesMin: 100 });
    assert.equal(entry.size, 1010);
  });

  it('allows empty parts', async () => {
    const upload = await fixture.store.createUpload('k', {});
    const { etag } = await putPart(upload, 1, '');
    const entry = await complete(upload, [{ number: 1, etag }]);
    assert.deepEqual([entry.size, entry.partSizes], [0, [0]]);
    assert.equal((await fixture.get('k'))?.length, 0);
    await fixture.put('k', 'v');
    await nothingLeft();
  });

  it('of ten thousand parts', async () => {
    const upload = await fixture.store.createUpload('k', {});
    const etags: string[] = [];
    for (let at = 0; at < 10_000; at += 500) {
      const numbers = Array.from({ length: 500 }, (_, i) => at + i + 1);
      const parts = await Promise.all(numbers.map((number) => putPart(upload, number, `part ${number};`)));
      etags.push(...parts.map(({ etag }) => etag));
    }
    await assert.rejects(putPart(upload, 10_001, 'x'), { code: 'LIMIT_EXCEEDED' });
    await assert.rejects(putPart(upload, 0, 'x'), { code: 'LIMIT_EXCEEDED' });
    const { parts, next } = fixture.store.listParts(upload.id, 'k', 9_000, 1000);
    assert.deepEqual([parts.length, parts[0]?.number, next], [1000, 9001, null]);
    const entry = await complete(
      upload,
      etags.map((etag, i) => ({ number: i + 1, etag })),
    );
    const text = Array.from({ length: 10_000 }, (_, i) => `part ${i + 1};`).join('');
    assert.equal((await fixture.get('k'))?.toString(), text);
    const start = text.indexOf('part 7777;');
    assert.equal((await fixture.get('k', { start, end: start + 9 }))?.toString(), 'part 7777;');
    const copy = await fixture.store.copy({ source: 'k', sourceSequence: entry.sequence, key: 'c', attributes: {} });
    assert.equal(copy.partSizes?.length, 10_000);
    await fixture.store.remove({ key: 'k' });
    assert.equal((await fixture.get('c'))?.length, text.length);
    await fixture.store.remove({ key: 'c' });
    await nothingLeft();
  });
});

describe('an upload', () => {
  it('that is aborted frees its parts and is gone', async () => {
    const upload = await fixture.store.createUpload('k', {});
    await putPart(upload, 1, bytesOf(100_000));
    await putPart(upload, 2, 'small');
    await fixture.store.abortUpload(upload.id, 'k');
    await nothingLeft();
    assert.equal(fixture.store.stats().uploads, 0);
    assert.equal(fixture.store.upload(upload.id, 'k'), null);
    await assert.rejects(putPart(upload, 3, bytesOf(100_000)), { code: 'UPLOAD_MISSING' });
    await assert.rejects(fixture.store.abortUpload(upload.id, 'k'), { code: 'UPLOAD_MISSING' });
    await assert.rejects(complete(upload, [{ number: 1, etag: 'x' }]), { code: 'UPLOAD_MISSING' });
    assert.throws(() => fixture.store.listParts(upload.id, 'k', 0, 10), { code: 'UPLOAD_MISSING' });
    await nothingLeft();
  });

  it('is found by id and key alone', async () => {
    const upload = await fixture.store.createUpload('k', { a: 1 });
    assert.deepEqual(fixture.store.upload(upload.id, 'k'), upload);
    assert.equal(fixture.store.upload(upload.id, 'K'), null);
    for (const id of ['', 'x', '../..', 'f'.repeat(26), upload.id.toUpperCase(), `${upload.id}00`]) {
      if (id !== upload.id) assert.equal(fixture.store.upload(id, 'k'), null);
      if (id !== upload.id) await assert.rejects(fixture.store.abortUpload(id, 'k'), { code: 'UPLOAD_MISSING' });
    }
  });

  it('lists its parts page by page, the last of each number', async () => {
    const upload = await fixture.store.createUpload('k', {});
    for (const number of [5, 1, 3, 2, 9]) await putPart(upload, number, `body ${number}`);
    const again = await putPart(upload, 3, 'replaced');
    const found: number[] = [];
    for (let after = 0, next: number | null = 0; next !== null; after = next ?? 0) {
      const page = fixture.store.listParts(upload.id, 'k', after, 2);
      found.push(...page.parts.map(({ number }) => number));
      if (page.parts.some(({ number }) => number === 3))
        assert.deepEqual(
          page.parts.find((p) => p.number === 3),
          again,
        );
      next = page.next;
    }
    assert.deepEqual(found, [1, 2, 3, 5, 9]);
  });
});

describe('listUploads', () => {
  it('is in order of key, then of beginning, page by page, rolled up below a delimiter', async () => {
    const unit = fc.constantFrom('a', 'b', '/', '\u0000', '\u0001', '\u0002', '\u{10000}', '\uffff', '\u00ff');
    const keys = fc.array(
      fc.array(unit, { minLength: 1, maxLength: 4 }).map((units) => units.join('')),
      { maxLength: 15 },
    );
    const text = fc.array(unit, { maxLength: 2 }).map((units) => units.join(''));
    await fc.assert(
      fc.asyncProperty(keys, text, fc.constantFrom('', '/', '\u0000'), async (names, prefix, delimiter) => {
        const uploads: UploadInfo[] = [];
        for (const name of names) uploads.push(await fixture.store.createUpload(name, {}));
        const expected = new Set<string>();
        const sorted = [...uploads].sort((a, b) => byBytes(a.key, b.key) || byBytes(a.id, b.id));
        for (const { key, id } of sorted) {
          if (!key.startsWith(prefix)) continue;
          const at = delimiter === '' ? -1 : key.indexOf(delimiter, prefix.length);
          expected.add(at < 0 ? `${key} ${id}` : `${key.slice(0, at + delimiter.length)} prefix`);
        }
        for (const limit of [1, 2, 1000]) {
          const found: string[] = [];
          let after = { key: '', uploadId: '' };
          for (let pages = 0; ; pages++) {
            assert.ok(pages < 100, 'the listing advances');
            const request = { prefix, delimiter, afterKey: after.key, afterUploadId: after.uploadId, limit };
            const page = fixture.store.listUploads(request);
            const items: [string, string][] = page.uploads.map(({ key, id }) => [key, `${key} ${id}`]);
            items.push(...page.commonPrefixes.map((name): [string, string] => [name, `${name} prefix`]));
            found.push(...items.sort(([a], [b]) => byBytes(a, b)).map(([, name]) => name));
            if (!page.next) break;
            after = page.next;
          }
          assert.deepEqual(found, [...expected], JSON.stringify({ prefix, delimiter, limit }));
        }
        for (const { id, key } of uploads) await fixture.store.abortUpload(id, key);
      }),
      { seed: SEED, numRuns: 25, includeErrorInReport: true },
    );
  });

  it('goes on behind all uploads of a key when no id is given', async () => {
    const ids: string[] = [];
    for (const key of ['a', 'a', 'b']) ids.push((await fixture.store.createUpload(key, {})).id);
    const page = fixture.store.listUploads({ prefix: '', delimiter: '', afterKey: 'a', afterUploadId: '', limit: 10 });
    assert.deepEqual(
      page.uploads.map(({ id }) => id),
      [ids[2]],
    );
  });
});

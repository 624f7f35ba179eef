// Listing against a model: every key that matches, rolled up below the delimiter, in byte order, page by page.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, beforeEach, describe, it } from 'node:test';
import fc from 'fast-check';
import { listPage } from '../../src/store/listing.ts';
import type { LocalStore } from '../../src/store/store.ts';
import { byBytes, listAll, put, SEED, StoreFixture } from './fixture.ts';

/** What S3 says, as plainly as possible. */
function model(
  keys: Iterable<string>,
  { prefix, delimiter, after }: { prefix: string; delimiter: string; after: string },
) {
  const found = new Set<string>();
  for (const key of keys) {
    if (!key.startsWith(prefix)) continue;
    const at = delimiter === '' ? -1 : key.indexOf(delimiter, prefix.length);
    const common = at < 0 ? null : key.slice(0, at + delimiter.length);
    if (byBytes(key, after) <= 0 || common === after) continue;
    found.add(common === null ? key : `${common}\tprefix`);
  }
  return [...found].sort((a, b) => byBytes(a.replace('\tprefix', ''), b.replace('\tprefix', '')));
}

const unit = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.constantFrom('a', 'b', '/', '//', '-', '.', '..', '\u0000', '\u0001', '\u007f', 'é', 'e\u0301'),
  },
  {
    weight: 2,
    arbitrary: fc.constantFrom(
      '\uffff',
      '\ud7ff',
      '\ue000',
      '\u{10000}',
      '\u{10ffff}',
      '\ufeff',
      '\u2028',
      '%',
      '+',
      ' ',
    ),
  },
  { weight: 1, arbitrary: fc.string({ unit: 'binary', minLength: 1, maxLength: 2 }) },
);
const text = (max: number) => fc.array(unit, { maxLength: max }).map((units) => units.join(''));
const key = fc
  .array(unit, { minLength: 1, maxLength: 8 })
  .map((units) => units.join(''))
  .filter((candidate) => Buffer.byteLength(candidate) <= 1024);

describe('list', () => {
  let fixture: StoreFixture;
  let store: LocalStore;
  before(async () => {
    fixture = await StoreFixture.make();
    store = fixture.store;
  });
  after(() => fixture.remove());
  beforeEach(async () => {
    for (const name of listAll(store, { limit: 1000 })) await store.remove({ key: name });
  });

  it('is the model, for any keys, prefix, delimiter, start and page size', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uniqueArray(key, { maxLength: 40 }), fc.infiniteStream(text(3)), async (keys, texts) => {
        const present = listAll(store, { limit: 1000 });
        await Promise.all(present.filter((name) => !keys.includes(name)).map((name) => store.remove({ key: name })));
        await Promise.all(keys.map((name) => put(store, name, name)));
        const next = (): string => texts.next().value;
        for (let i = 0; i < 12; i++) {
          // Starts that matter: anything, keys, common prefixes, and keys inside of them.
          const near = keys.length > 0 ? [...(keys[i % keys.length] ?? '')] : [];
          const request = {
            prefix: i % 3 === 0 ? '' : i % 3 === 1 ? near.slice(0, 2).join('') : next(),
            delimiter: i % 4 === 0 ? '' : i % 4 === 3 ? next() : '/',
            after: i % 2 === 0 ? '' : i % 3 === 0 ? near.join('') : i % 3 === 1 ? near.slice(0, 3).join('') : next(),
          };
          const expected = model(keys, request);
          for (const limit of [1, 2, 3, 1000]) {
            const found = listAll(store, { ...request, limit });
            assert.deepEqual(found, expected, JSON.stringify({ ...request, limit }));
          }
        }
      }),
      { seed: SEED, numRuns: 60, includeErrorInReport: true },
    );
  });

  it('gives every field of an object', async () => {
    const entry = await fixture.put('a/b', 'body');
    assert.deepEqual(store.list({ prefix: 'a/', delimiter: '/', after: '', limit: 10 }).entries, [entry]);
  });

  it('returns nothing for a limit of 0, and for a prefix longer than any key', async () => {
    await fixture.put('a', 'body');
    assert.deepEqual(store.list({ prefix: '', delimiter: '', after: '', limit: 0 }), {
      entries: [],
      commonPrefixes: [],
      next: null,
    });
    assert.deepEqual(listAll(store, { prefix: 'a'.repeat(3000), limit: 10 }), []);
    assert.deepEqual(listAll(store, { after: 'a'.repeat(3000), limit: 10 }), []);
    assert.deepEqual(listAll(store, { after: 'A'.repeat(3000), limit: 10 }), ['a']);
  });

  it('takes the longest key, also of bytes that need escaping, and refuses a longer one', async () => {
    for (const longest of ['k'.repeat(1024), '\0'.repeat(1024), '\u{10ffff}'.repeat(256)]) {
      await fixture.put(longest, 'x');
      assert.equal(store.head(longest)?.key, longest);
      const upload = await store.createUpload(longest, {});
      assert.equal(store.upload(upload.id, longest)?.key, longest);
      await store.abortUpload(upload.id, longest);
      await assert.rejects(fixture.put(`${longest}x`, 'x'), { code: 'LIMIT_EXCEEDED' });
    }
    await assert.rejects(fixture.put('', 'x'), { code: 'LIMIT_EXCEEDED' });
    await assert.rejects(fixture.put('half a pair \ud800', 'x'), { code: 'LIMIT_EXCEEDED' });
    assert.equal(store.head(''), null);
    assert.equal(store.head('k'.repeat(5000)), null);
  });
});

describe('a page', () => {
  it('reads what it returns and nothing below a common prefix', () => {
    // 1000 folders of a million keys each, made as they are asked for.
    let reads = 0;
    const keyAt = (folder: number, n: number): string =>
      `f${String(folder).padStart(4, '0')}/${createHash('md5').update(String(n)).digest('hex').slice(0, 4)}`;
    const scan = {
      *range(start: Buffer): Generator<string> {
        const [, digits = '0', rest] = /^f?(\d*)(.*)$/s.exec(start.toString('latin1')) ?? [];
        // `behind('f0007/')` is 'f00070': a start behind a whole folder.
        const from = digits.length > 4 || rest === '0' ? Number(digits.slice(0, 4)) + 1 : Number(digits);
        for (let folder = from; folder < 1000; folder++) {
          for (let n = 0; n < 1_000_000; n++) {
            reads++;
            yield keyAt(folder, n);
          }
        }
      },
      keyOf: (item: string) => item,
      bytesOf: (prefix: string) => Buffer.from(prefix),
    };
    const page = listPage(scan, { prefix: '', delimiter: '/', start: null, limit: 100 });
    assert.equal(page.commonPrefixes.length, 100);
    assert.ok(page.truncated);
    assert.ok(reads <= 101, `${reads} reads for a page of 100`);
  });
});

// Pages of versions: what they cost, and that a walk goes on at its place whatever is removed meanwhile. Content and order
// against a model: versions-model.test.ts.
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import fc from 'fast-check';
import type { Entry } from '../../src/common/lmdb.ts';
import { type Commit, StoreIndex } from '../../src/store/index.ts';
import type { LocalStore } from '../../src/store/store.ts';
import type { ListVersionsRequest } from '../../src/store/types.ts';
import { listVersions } from '../../src/store/version-listing.ts';
import { findVersion, type IndexReads, latestVersion } from '../../src/store/version-reads.ts';
import { annotateVersion, prepareVersion, removeVersion } from '../../src/store/versions.ts';
import { put, SEED, StoreFixture, TERM } from './fixture.ts';

let fixture: StoreFixture;
let store: LocalStore;
beforeEach(async () => {
  fixture = await StoreFixture.make();
  store = fixture.store;
});
afterEach(() => fixture.remove());

const everything: ListVersionsRequest = { prefix: '', delimiter: '', afterKey: '', limit: 1000 };

/** Counts look-ups and rows. */
function counting(reads: IndexReads): { reads: IndexReads; count: () => number } {
  let count = 0;
  function* counted(rows: Iterable<Entry>): Generator<Entry> {
    count++;
    for (const row of rows) {
      count++;
      yield row;
    }
  }
  return {
    reads: {
      get: (table, key) => {
        count++;
        return reads.get(table, key);
      },
      range: (table, options) => counted(reads.range(table, options)),
      checksums: reads.checksums,
    },
    count: () => count,
  };
}

async function withIndex<Result>(use: (index: StoreIndex) => Promise<Result>): Promise<Result> {
  await store.close();
  const index = await StoreIndex.open(fixture.folder, {
    readonly: false,
    term: TERM,
    guard: () => {},
    nowMs: Date.now,
  });
  try {
    return await use(index);
  } finally {
    await index.close();
  }
}

/** Versions of one key, and a few other keys around it. */
async function pile(versions: number): Promise<void> {
  await put(store, 'k', 'the null version');
  await store.setVersioning('enabled');
  const all = [put(store, 'a', 'x'), put(store, 'k/b', 'x'), put(store, 'z', 'x')];
  for (let n = 0; n < versions; n++) all.push(put(store, 'k', String(n)));
  await Promise.all(all);
}

describe('the cost', () => {
  it('of a change does not grow with the versions of its key', async () => {
    const changes: Record<string, (commit: Commit) => unknown> = {
      put: (commit) =>
        prepareVersion(commit, 'k', { ifMatch: '*' })({
          size: 0,
          etag: 'e',
          blobs: [],
          partSizes: null,
          attributes: {},
        }),
      'plain delete': (commit) => removeVersion(commit, { key: 'k' }),
      'removal of the null version': (commit) => removeVersion(commit, { key: 'k', version: null }),
      annotation: (commit) => annotateVersion(commit, { key: 'k', version: null, change: () => ({}) }),
    };
    const measure = () =>
      withIndex(async (index) => {
        const costs: Record<string, number> = {};
        for (const [name, change] of Object.entries(changes)) {
          for (const versioning of ['enabled', 'suspended'] as const) {
            const refused = new Error('measured');
            const attempt = index.commit((commit) => {
              const { reads, count } = counting(commit.reads);
              change({ ...commit, reads, versioning });
              costs[`${name}, ${versioning}`] = count();
              throw refused;
            });
            await assert.rejects(attempt, refused);
          }
        }
        return costs;
      });
    await pile(2);
    const few = await measure();
    store = await fixture.reopen();
    await Promise.all(Array.from({ length: 500 }, (_, n) => put(store, 'k', String(n))));
    assert.deepEqual(await measure(), few);
    for (const [name, cost] of Object.entries(few)) assert.ok(cost <= 8, `${name} costs ${cost} reads`);
  });

  it('of a change while versioning is off is one look-up, as without versions', async () => {
    await put(store, 'k', 'x');
    await withIndex(async (index) => {
      const refused = new Error('measured');
      for (const key of ['k', 'none']) {
        for (const change of [
          (commit: Commit) => prepareVersion(commit, key, undefined),
          (commit: Commit) => removeVersion(commit, { key }),
        ]) {
          const attempt = index.commit((commit) => {
            const { reads, count } = counting(commit.reads);
            change({ ...commit, reads });
            assert.equal(count(), 1);
            throw refused;
          });
          await assert.rejects(attempt, refused);
        }
      }
    });
  });

  it('of looking up a version, and the latest, does not either', async () => {
    await pile(200);
    const all = store.listVersions(everything).versions.filter(({ entry }) => entry.key === 'k');
    const oldest = all.at(-2)?.entry ?? assert.fail();
    await store.remove({ key: 'k' });
    await withIndex(async (index) => {
      const { reads, count } = counting(index);
      assert.equal(findVersion(reads, 'k', oldest.versionId)?.entry.sequence, oldest.sequence);
      assert.equal(findVersion(reads, 'k', null)?.entry.versionId, null);
      assert.equal(latestVersion(reads, 'k')?.deleteMarker, true);
      assert.ok(count() <= 8, `${count()} reads`);
    });
  });

  it('of a page is what it returns, not what lies below its common prefixes or before its start', async () => {
    await store.setVersioning('enabled');
    const all: Promise<unknown>[] = [];
    for (let n = 0; n < 2000; n++) all.push(put(store, `f${n % 40}/${n % 5}`, String(n)));
    for (let n = 0; n < 40; n++) all.push(store.remove({ key: `f${n}/1` }));
    await Promise.all(all);
    await withIndex(async (index) => {
      const cost = (request: Partial<ListVersionsRequest>, found: number): number => {
        const { reads, count } = counting(index);
        const page = listVersions(reads, { ...everything, ...request });
        assert.equal(page.versions.length + page.commonPrefixes.length, found);
        return count();
      };
      // Of a common prefix: one row of each table, and a scan begun on each.
      assert.ok(cost({ delimiter: '/' }, 40) <= 41 * 4);
      assert.ok(cost({ delimiter: '/', limit: 5 }, 5) <= 6 * 4);
      assert.ok(cost({ limit: 100 }, 100) <= 105);
      assert.ok(cost({ limit: 10, afterKey: 'f39/2' }, 10) <= 15);
      const middle = listVersions(index, { ...everything, afterKey: 'f20/4', limit: 3 }).next;
      assert.ok(middle?.version);
      assert.ok(cost({ limit: 10, afterKey: middle.key, afterVersion: middle.version }, 10) <= 18);
    });
  });
});

describe('a walk', () => {
  it('meets each version that stays exactly once, whatever is removed, put or marked on its way', async () => {
    const kinds = fc.constantFrom('put', 'marker', 'suspend', 'enable');
    const keys = fc.constantFrom('a', 'a/b', 'b');
    const interference = fc.array(fc.tuple(fc.nat({ max: 40 }), fc.boolean()), { maxLength: 3 });
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(kinds, keys), { minLength: 5, maxLength: 40 }),
        fc.integer({ min: 1, max: 4 }),
        fc.infiniteStream(interference),
        async (steps, limit, interferences) => {
          await fixture.remove();
          fixture = await StoreFixture.make();
          store = fixture.store;
          await put(store, 'a', 'null');
          for (const [kind, key] of steps) {
            if (kind === 'put') await put(store, key, 'x');
            else if (kind === 'marker') await store.remove({ key });
            else await store.setVersioning(kind === 'enable' ? 'enabled' : 'suspended');
          }
          await store.setVersioning('enabled');
          const staying = new Set(sequences());
          const met: number[] = [];
          let start: Pick<ListVersionsRequest, 'afterKey' | 'afterVersion'> = { afterKey: '' };
          for (;;) {
            const page = store.listVersions({ ...everything, ...start, limit });
            met.push(...page.versions.map(({ entry }) => entry.sequence));
            if (!page.next) break;
            const { key: afterKey, version } = page.next;
            start = { afterKey, ...(version !== undefined && { afterVersion: version }) };
            // The one that the walk goes on from is removed most often.
            for (const [pick, last] of interferences.next().value) {
              const { versions } = store.listVersions(everything);
              const listed = page.versions.at(-1)?.entry;
              const victim = last ? listed : versions[pick % Math.max(versions.length, 1)]?.entry;
              if (!victim) continue;
              await store.remove({ key: victim.key, version: victim.versionId });
              staying.delete(victim.sequence);
              if (pick % 3 === 0) await put(store, victim.key, 'a new one, above');
            }
          }
          assert.equal(new Set(met).size, met.length, 'nothing is met twice');
          const expected = sequences().filter((sequence) => staying.has(sequence));
          assert.deepEqual(
            met.filter((sequence) => staying.has(sequence)),
            expected,
          );
        },
      ),
      { seed: SEED, numRuns: 40, includeErrorInReport: true },
    );
  });

  function sequences(): number[] {
    return store.listVersions(everything).versions.map(({ entry }) => entry.sequence);
  }

  it('begins again with the versions of a key whose null version is named and gone', async () => {
    await put(store, 'k', 'null');
    await store.setVersioning('enabled');
    await put(store, 'k', 'x');
    await put(store, 'k2', 'x');
    const from = { ...everything, afterKey: 'k', afterVersion: null };
    const keys = () => store.listVersions(from).versions.map(({ entry }) => entry.key);
    assert.deepEqual(keys(), ['k2']);
    await store.remove({ key: 'k', version: null });
    assert.deepEqual(keys(), ['k', 'k2']);
  });

  it('takes the longest keys and starts', async () => {
    await store.setVersioning('enabled');
    for (const key of ['\0'.repeat(1024), 'a'.repeat(1024), '\u{10ffff}'.repeat(256)]) {
      await put(store, key, 'x');
      await put(store, key, 'y');
    }
    const walk = (request: Partial<ListVersionsRequest>) =>
      store.listVersions({ ...everything, ...request }).versions.map(({ entry }) => entry.key.slice(0, 2));
    assert.deepEqual(walk({}), ['\0\0', '\0\0', 'aa', 'aa', '\u{10ffff}', '\u{10ffff}']);
    assert.deepEqual(walk({ afterKey: '\0'.repeat(1024) }), ['aa', 'aa', '\u{10ffff}', '\u{10ffff}']);
    assert.deepEqual(walk({ afterKey: 'a'.repeat(5000) }), ['\u{10ffff}', '\u{10ffff}']);
    assert.deepEqual(walk({ afterKey: 'A'.repeat(5000), prefix: 'a'.repeat(1024) }), ['aa', 'aa']);
    assert.deepEqual(walk({ afterKey: 'ü'.repeat(5000) }), ['\u{10ffff}', '\u{10ffff}']);
    assert.deepEqual(walk({ prefix: 'a'.repeat(5000) }), []);
    assert.deepEqual(walk({ limit: 0 }), []);
    await assert.rejects(store.remove({ key: 'a'.repeat(1025) }), { code: 'LIMIT_EXCEEDED' });
  });
});

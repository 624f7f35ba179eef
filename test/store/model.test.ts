// Random changes against a plain model: every body, listing and total agrees with it, and the data folder holds exactly
// the files that objects and parts name, over reopenings.
import assert from 'node:assert/strict';
import { it } from 'node:test';
import fc from 'fast-check';
import { bytesOf, dataFiles, get, listAll, md5, put, putBlob, SEED, StoreFixture } from './fixture.ts';

const KEYS = ['a', 'a/b', 'a/c', 'b', 'ü'];

interface Model {
  readonly objects: Map<string, Buffer>;
  readonly uploads: Map<string, { key: string; parts: Map<number, Buffer> }>;
}

type Step = (fixture: StoreFixture, model: Model) => Promise<void>;

const key = fc.constantFrom(...KEYS);
const body = fc
  .tuple(fc.constantFrom(0, 1, 500, 16_384, 16_385, 40_000), fc.integer({ min: 1, max: 1e6 }))
  .map(([size, seed]) => bytesOf(size, seed));
const pick = fc.nat({ max: 1000 });

function chosen<Value>(from: Map<string, Value>, n: number): [string, Value] | null {
  return [...from][n % Math.max(from.size, 1)] ?? null;
}

const puts: fc.Arbitrary<Step> = fc.tuple(key, body).map(([target, bytes]) => async (fixture, model) => {
  await put(fixture.store, target, bytes);
  model.objects.set(target, bytes);
});

const removes: fc.Arbitrary<Step> = key.map((target) => async (fixture, model) => {
  const { removed } = await fixture.store.remove({ key: target });
  assert.equal(removed !== null, model.objects.delete(target));
});

const copies: fc.Arbitrary<Step> = fc.tuple(key, key).map(([source, target]) => async (fixture, model) => {
  const entry = fixture.store.head(source);
  if (!entry) return;
  await fixture.store.copy({ source, sourceSequence: entry.sequence, key: target, attributes: {} });
  model.objects.set(target, model.objects.get(source) ?? assert.fail());
});

const begins: fc.Arbitrary<Step> = key.map((target) => async (fixture, model) => {
  const { id } = await fixture.store.createUpload(target, {});
  model.uploads.set(id, { key: target, parts: new Map() });
});

const parts: fc.Arbitrary<Step> = fc
  .tuple(pick, fc.integer({ min: 1, max: 4 }), body)
  .map(([n, number, bytes]) => async (fixture, model) => {
    const [id, upload] = chosen(model.uploads, n) ?? [];
    if (!id || !upload) return;
    await fixture.store.putPart(id, upload.key, number, await putBlob(fixture.store, bytes), md5(bytes), {});
    upload.parts.set(number, bytes);
  });

const completes: fc.Arbitrary<Step> = fc.tuple(pick, pick).map(([n, mask]) => async (fixture, model) => {
  const [id, upload] = chosen(model.uploads, n) ?? [];
  if (!id || !upload) return;
  const used = [...upload.parts].filter(([number]) => (mask >> number) & 1).sort(([a], [b]) => a - b);
  if (used.length === 0) return;
  await fixture.store.completeUpload({
    uploadId: id,
    key: upload.key,
    parts: used.map(([number, bytes]) => ({ number, etag: md5(bytes) })),
    partBytesMin: 0,
    finish: () => ({ etag: 'm', attributes: {} }),
  });
  model.uploads.delete(id);
  model.objects.set(upload.key, Buffer.concat(used.map(([, bytes]) => bytes)));
});

const aborts: fc.Arbitrary<Step> = pick.map((n) => async (fixture, model) => {
  const [id, upload] = chosen(model.uploads, n) ?? [];
  if (!id || !upload) return;
  await fixture.store.abortUpload(id, upload.key);
  model.uploads.delete(id);
});

const reopens: fc.Arbitrary<Step> = fc.constant(async (fixture) => {
  await fixture.reopen();
});

const step = fc.oneof(
  { weight: 6, arbitrary: puts },
  { weight: 3, arbitrary: removes },
  { weight: 4, arbitrary: copies },
  { weight: 2, arbitrary: begins },
  { weight: 4, arbitrary: parts },
  { weight: 3, arbitrary: completes },
  { weight: 1, arbitrary: aborts },
  { weight: 1, arbitrary: reopens },
);

async function agree(fixture: StoreFixture, { objects, uploads }: Model): Promise<void> {
  const { store } = fixture;
  for (const target of KEYS) {
    const expected = objects.get(target);
    const found = await get(store, target);
    assert.ok(expected ? found?.equals(expected) : found === null, target);
  }
  assert.deepEqual(listAll(store, { limit: 2 }), [...objects.keys()].sort());
  for (const [id, upload] of uploads) {
    const listed = store.listParts(id, upload.key, 0, 100).parts.map(({ number, etag, size }) => [number, etag, size]);
    const expected = [...upload.parts]
      .sort(([a], [b]) => a - b)
      .map(([number, bytes]) => [number, md5(bytes), bytes.length]);
    assert.deepEqual(listed, expected);
  }
  const { sequence: _, ...totals } = store.stats();
  const bytes = [...objects.values()].reduce((sum, { length }) => sum + length, 0);
  assert.deepEqual(totals, { objects: objects.size, versions: 0, bytes, uploads: uploads.size });
  assert.equal(store.isEmpty(), objects.size === 0);
  await store.sweepNow();
  // Counts the index against itself, and finds every file that nothing names.
  assert.deepEqual((await store.verify()).damaged, []);
}

it('any sequence of changes is what the model says', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), async (steps) => {
      const fixture = await StoreFixture.make();
      const model: Model = { objects: new Map(), uploads: new Map() };
      try {
        for (const act of steps) await act(fixture, model);
        await agree(fixture, model);
        await fixture.reopen();
        await agree(fixture, model);
        for (const target of model.objects.keys()) await fixture.store.remove({ key: target });
        for (const [id, upload] of model.uploads) await fixture.store.abortUpload(id, upload.key);
        await fixture.store.sweepNow();
        assert.deepEqual(await dataFiles(fixture.folder), []);
      } finally {
        await fixture.remove();
      }
    }),
    { seed: SEED, numRuns: 15, includeErrorInReport: true },
  );
});

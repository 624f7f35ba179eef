// Random changes of a bucket with versions against a plain model: after each step the keys that it touched, and from time
// to time every listing, total and byte, are what the model says. ZRING_TEST_LONG=1: 100,000 steps.
import assert from 'node:assert/strict';
import { it } from 'node:test';
import fc from 'fast-check';
import { isZringError } from '../../src/common/errors.ts';
import type { LocalStore } from '../../src/store/store.ts';
import type { ListVersionsRequest, ObjectEntry, WriteCondition } from '../../src/store/types.ts';
import { byBytes, dataFiles, putBlob, read, SEED, StoreFixture } from './fixture.ts';
import { listedName, type ModelVersion, VersionModel } from './version-model.ts';

const LONG = process.env.ZRING_TEST_LONG === '1';
const RUNS = LONG ? { numRuns: 25, steps: 4000 } : { numRuns: 30, steps: 100 };
const KEYS = ['a', 'a/', 'a/b', 'a/b/c', 'a/\0', 'a\0', 'a\u0001', 'b', 'b//', 'ü', '\uffff', '\u{10348}'];

interface Bucket {
  readonly fixture: StoreFixture;
  readonly model: VersionModel;
  readonly ids: Set<string>;
  clock: { nowMs: number };
}

interface Step {
  /** The keys that it touched. */
  run(bucket: Bucket): Promise<readonly string[]>;
}

/** With its name, for a failed run prints its steps. */
function steps<Value>(
  name: string,
  values: fc.Arbitrary<Value>,
  run: (value: Value, bucket: Bucket) => Promise<readonly string[]>,
): fc.Arbitrary<Step> {
  return values.map((value) => {
    const text = `${name} ${JSON.stringify(value)}`;
    return { run: (bucket) => run(value, bucket), [fc.toStringMethod]: () => text.slice(0, 200) };
  });
}

// Few keys get most of the changes, so that their stacks grow.
const key = fc.oneof({ weight: 4, arbitrary: fc.constantFrom('a', 'a/b', 'b') }, fc.constantFrom(...KEYS));
/** The body is its own etag. Some are files of their own. */
const etag = fc.oneof(
  { weight: 12, arbitrary: fc.constantFrom('', 'x', 'y', 'z') },
  { weight: 1, arbitrary: fc.nat({ max: 999 }).map((n) => String(n).repeat(8000)) },
);
const condition: fc.Arbitrary<WriteCondition | undefined> = fc.oneof(
  { weight: 5, arbitrary: fc.constant(undefined) },
  fc.constant({ ifMatch: '*' as const }),
  fc.constant({ ifNoneMatch: '*' as const }),
  etag.map((one) => ({ ifMatch: [one, 'x'] })),
  etag.map((one) => ({ ifNoneMatch: [one] })),
);
const bag = fc.nat({ max: 9 }).map((tag): Record<string, unknown> => (tag === 0 ? {} : { tag }));
/** Of a key: the nth version, the null version, none at all; absent = the current one. */
const which = fc.oneof(
  { weight: 6, arbitrary: fc.nat({ max: 30 }) },
  fc.constantFrom('null' as const, 'none' as const, 'current' as const),
);

function versionOf(model: VersionModel, of: string, pick: number | 'null' | 'none' | 'current') {
  if (pick === 'null') return null;
  if (pick === 'none') return 'f'.repeat(32);
  const all = model.of(of);
  return pick === 'current' || all.length === 0 ? undefined : all[pick % all.length]?.id;
}

/** Both sides do it, and both give the same or refuse alike. */
async function both<Result>(
  ofModel: () => Result,
  ofStore: () => Promise<unknown>,
  same: (a: Result, b: never) => void,
) {
  let expected: { result: Result } | { code: string };
  try {
    expected = { result: ofModel() };
  } catch (error) {
    if (!isZringError(error)) throw error;
    expected = { code: error.code };
  }
  if ('code' in expected) await assert.rejects(ofStore(), { code: expected.code });
  else same(expected.result, (await ofStore()) as never);
}

/** The model learns the id from the store. */
function learn({ ids }: Bucket, version: ModelVersion, entry: ObjectEntry, enabled: boolean): void {
  if (enabled) {
    assert.ok(entry.versionId && !ids.has(entry.versionId), `${entry.versionId} is a new id`);
    ids.add(entry.versionId);
  }
  version.id = entry.versionId;
  sameVersion(version, entry);
}

function sameVersion(version: ModelVersion, entry: ObjectEntry): void {
  const { id, marker, ...content } = version;
  const { versionId, deleteMarker, etag: tag, sequence, modifiedMs, attributes } = entry;
  assert.deepEqual({ etag: tag, sequence, modifiedMs, attributes }, content);
  assert.deepEqual([versionId, deleteMarker], [id, marker]);
}

const puts = steps('puts', fc.tuple(key, etag, condition, bag), async ([target, body, cond, attributes], bucket) => {
  const { model, fixture, clock } = bucket;
  const blob = await putBlob(fixture.store, body, body.length);
  const request = { key: target, blob, etag: body, attributes, ...(cond && { condition: cond }) };
  await both(
    () => model.put(target, { etag: body, attributes }, clock.nowMs, cond),
    () => fixture.store.put(request),
    (version, entry: ObjectEntry) => learn(bucket, version, entry, model.versioning === 'enabled'),
  );
  return [target];
});

const uploads = steps('uploads', fc.tuple(key, etag, bag), async ([target, body, attributes], bucket) => {
  const { model, fixture, clock } = bucket;
  const { id } = await fixture.store.createUpload(target, {});
  await fixture.store.putPart(id, target, 1, await putBlob(fixture.store, body), 'part', {});
  model.sequence += 2;
  const parts = [{ number: 1, etag: 'part' }];
  const finish = () => ({ etag: body, attributes });
  const request = { uploadId: id, key: target, parts, partBytesMin: 0, finish };
  const version = model.put(target, { etag: body, attributes }, clock.nowMs);
  const entry = await fixture.store.completeUpload(request);
  learn(bucket, version, entry, model.versioning === 'enabled');
  assert.equal((await fixture.store.completeUpload(request)).versionId, entry.versionId);
  return [target];
});

const removes = steps('removes', fc.tuple(key, condition), async ([target, cond], bucket) => {
  const { model, fixture, clock } = bucket;
  let victim: ObjectEntry | null = null;
  const check = (entry: ObjectEntry) => {
    victim = entry;
  };
  await both(
    () => model.remove(target, cond, clock.nowMs),
    () => fixture.store.remove({ key: target, ...(cond && { condition: cond }), check }),
    (expected, found: { removed: ObjectEntry | null; marker: ObjectEntry | null }) => {
      assert.deepEqual([found.removed?.sequence, found.removed], [expected.removed?.sequence, victim]);
      assert.equal(found.marker === null, expected.marker === null);
      if (expected.marker && found.marker) {
        learn(bucket, expected.marker, found.marker, model.versioning === 'enabled');
      }
    },
  );
  return [target];
});

const removesVersion = steps(
  'removesVersion',
  fc.tuple(key, which, condition),
  async ([target, pick, cond], { model, fixture }) => {
    const version = versionOf(model, target, pick) ?? null;
    await both(
      () => model.removeVersion(target, version, cond),
      () => fixture.store.remove({ key: target, version, ...(cond && { condition: cond }) }),
      (expected, found: { removed: ObjectEntry | null; marker: null }) => {
        assert.equal(found.marker, null);
        assert.equal(found.removed === null, expected.removed === null);
        if (expected.removed && found.removed) sameVersion(expected.removed, found.removed);
      },
    );
    return [target];
  },
);

const copies = steps('copies', fc.tuple(key, which, key, bag), async ([source, pick, target, attributes], bucket) => {
  const { model, fixture, clock } = bucket;
  const version = versionOf(model, source, pick);
  const found = version === undefined ? model.current(source) : model.version(source, version);
  const from = {
    source,
    ...(version !== undefined && { sourceVersion: version }),
    sourceSequence: found?.sequence ?? 0,
  };
  await both(
    () => model.copy(source, version, target, { etag: '', attributes }, clock.nowMs),
    () => fixture.store.copy({ ...from, key: target, attributes }),
    (expected, entry: ObjectEntry) => learn(bucket, expected, entry, model.versioning === 'enabled'),
  );
  return [source, target];
});

const annotates = steps(
  'annotates',
  fc.tuple(key, which, bag),
  async ([target, pick, attributes], { model, fixture }) => {
    const version = versionOf(model, target, pick);
    await both(
      () => model.annotate(target, version, attributes),
      () =>
        fixture.store.annotate({ key: target, ...(version !== undefined && { version }), change: () => attributes }),
      sameVersion as (version: ModelVersion, entry: never) => void,
    );
    return [target];
  },
);

const renames = steps('renames', fc.tuple(key, key, condition), async ([source, target, cond], { model, fixture }) => {
  await both(
    () => model.rename(source, target, cond),
    () => fixture.store.rename({ source, key: target, ...(cond && { condition: cond }) }),
    sameVersion as (version: ModelVersion, entry: never) => void,
  );
  return [source, target];
});

const switches = steps(
  'switches',
  fc.constantFrom('enabled' as const, 'enabled' as const, 'suspended' as const),
  async (state, { model, fixture }) => {
    model.setVersioning(state);
    await fixture.store.setVersioning(state);
    assert.equal(fixture.store.versioning(), state);
    return [];
  },
);

const ticks = steps('ticks', fc.integer({ min: -5, max: 20 }), async (by, { clock }) => {
  clock.nowMs += by;
  return [];
});

const text = fc.constantFrom('', '', '/', 'a', 'a/', 'b', 'a/b', '\0', '\u0001', 'ü', '\u{10348}', 'a/b/c/d', 'zzz');
const lists = steps(
  'lists',
  fc.tuple(text, fc.constantFrom('', '/', '//', 'b', '\0'), fc.oneof(text, key), which, fc.integer({ min: 1, max: 7 })),
  async ([prefix, delimiter, afterKey, pick, limit], { model, fixture }) => {
    const version = pick === 'none' ? 'not an id' : versionOf(model, afterKey, pick);
    const request = { prefix, delimiter, afterKey, ...(version !== undefined && { afterVersion: version }) };
    const found = walk(fixture.store, { ...request, limit });
    assert.deepEqual(found, model.list(request), JSON.stringify({ ...request, limit }));
    return [];
  },
);

const reopens = steps('reopens', fc.constant(null), async (_, { fixture }) => {
  await fixture.reopen();
  return [];
});

const step = fc.oneof(
  { weight: 30, arbitrary: puts },
  { weight: 3, arbitrary: uploads },
  { weight: 12, arbitrary: removes },
  { weight: 20, arbitrary: removesVersion },
  { weight: 12, arbitrary: copies },
  { weight: 6, arbitrary: annotates },
  { weight: 4, arbitrary: renames },
  { weight: 3, arbitrary: switches },
  { weight: 5, arbitrary: ticks },
  { weight: 10, arbitrary: lists },
  { weight: 1, arbitrary: reopens },
);

/** All pages, as the model writes them. */
function walk(store: LocalStore, request: ListVersionsRequest): string[] {
  const found: string[] = [];
  let start: Pick<ListVersionsRequest, 'afterKey' | 'afterVersion'> = request;
  const { prefix, delimiter, limit } = request;
  for (;;) {
    const page = store.listVersions({ prefix, delimiter, limit, ...start });
    assert.ok(page.versions.length + page.commonPrefixes.length <= limit, 'a page keeps its limit');
    const names = page.commonPrefixes.map((prefix): [string, string] => [prefix, `${prefix}\t/`]);
    for (const { entry, isLatest, noncurrentSinceMs } of page.versions) {
      assert.equal(isLatest, noncurrentSinceMs === null);
      names.push([entry.key, listedName(entry.key, entry.versionId, noncurrentSinceMs)]);
    }
    // Stable: versions of one key stay in their order.
    found.push(...names.sort(([a], [b]) => byBytes(a, b)).map(([, name]) => name));
    if (page.next === null) return found;
    const { key: afterKey, version } = page.next;
    start = { afterKey, ...(version !== undefined && { afterVersion: version }) };
  }
}

function agreeOn({ fixture: { store }, model }: Bucket, target: string): void {
  const versions = model.of(target);
  const current = store.head(target);
  assert.equal(current === null, model.current(target) === null);
  assert.equal(store.latest(target)?.sequence, versions[0]?.sequence);
  if (current) assert.equal(current.sequence, versions[0]?.sequence);
  for (const version of versions) {
    sameVersion(version, store.version(target, version.id) ?? assert.fail(`no version ${version.id} of ${target}`));
  }
  if (versions.every(({ id }) => id !== null)) assert.equal(store.version(target, null), null);
}

async function agree(bucket: Bucket): Promise<void> {
  const { store } = bucket.fixture;
  const { model } = bucket;
  for (const target of KEYS) agreeOn(bucket, target);
  const everything = { prefix: '', delimiter: '', afterKey: '' };
  assert.deepEqual(walk(store, { ...everything, limit: 3 }), model.list(everything));
  const objects = store.list({ prefix: '', delimiter: '', after: '', limit: 100 }).entries;
  assert.deepEqual(
    objects.map(({ key: name }) => name),
    model.keys().filter((name) => model.current(name)),
  );
  assert.deepEqual(store.stats(), model.stats());
  assert.equal(store.isEmpty(), model.keys().length === 0);
  const { versions } = store.listVersions({ ...everything, limit: 10_000 });
  for (const { entry } of versions) {
    if (entry.size > 0) assert.equal((await read(store, entry)).toString(), entry.etag);
  }
  await store.sweepNow();
  assert.deepEqual((await store.verify()).damaged, []);
}

it('any sequence of changes is what the model says', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: LONG ? RUNS.steps : 1, maxLength: RUNS.steps, size: 'max' }),
      fc.boolean(),
      async (taken, versioned) => {
        const clock = { nowMs: 1_000_000 };
        const fixture = await StoreFixture.make({ nowMs: () => clock.nowMs });
        const bucket: Bucket = { fixture, model: new VersionModel(), ids: new Set(), clock };
        try {
          if (versioned) {
            bucket.model.setVersioning('enabled');
            await fixture.store.setVersioning('enabled');
          }
          for (const [n, act] of taken.entries()) {
            for (const target of await act.run(bucket)) agreeOn(bucket, target);
            if (n % 500 === 499) await agree(bucket);
          }
          await agree(bucket);
          await fixture.reopen();
          await agree(bucket);
          for (const target of bucket.model.keys()) {
            for (const { id } of bucket.model.of(target)) await fixture.store.remove({ key: target, version: id });
          }
          assert.ok(fixture.store.isEmpty());
          await fixture.store.sweepNow();
          assert.deepEqual(await dataFiles(fixture.folder), []);
        } finally {
          await fixture.remove();
        }
      },
    ),
    { seed: SEED, numRuns: RUNS.numRuns, endOnFailure: LONG, includeErrorInReport: true },
  );
});

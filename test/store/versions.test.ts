// Versions of one key: what each change does to the stack, in each state of versioning. The stack is written newest first:
// `3` a version with an id and this body, `3n` the null version, `-` a delete marker, `-n` the null marker.
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import type { LocalStore } from '../../src/store/store.ts';
import type { ListedVersion, ObjectEntry } from '../../src/store/types.ts';
import { bytesOf, dataFiles, get, md5, put, putBlob, read, StoreFixture } from './fixture.ts';

let fixture: StoreFixture;
let store: LocalStore;
beforeEach(async () => {
  let now = 1_000_000;
  fixture = await StoreFixture.make({ nowMs: () => now++ });
  store = fixture.store;
});
afterEach(() => fixture.remove());

function versionsOf(key: string): readonly ListedVersion[] {
  const { versions } = store.listVersions({ prefix: key, delimiter: '', afterKey: '', limit: 1000 });
  return versions.filter(({ entry }) => entry.key === key);
}

async function stack(key = 'k'): Promise<string> {
  const names: string[] = [];
  for (const { entry } of versionsOf(key)) {
    const name = entry.deleteMarker ? '-' : (await read(store, entry)).toString();
    names.push(entry.versionId === null ? `${name}n` : name);
  }
  return names.join(' ');
}

/** Every step of it, from the body of a put to what the whole thing leaves. */
async function build(steps: string, key = 'k'): Promise<ObjectEntry[]> {
  const made: ObjectEntry[] = [];
  for (const step of steps.split(' ').filter(Boolean)) {
    if (step === 'on') await store.setVersioning('enabled');
    else if (step === 'suspend') await store.setVersioning('suspended');
    else if (step === 'del') {
      const { marker } = await store.remove({ key });
      if (marker) made.push(marker);
    } else made.push(await put(store, key, step));
  }
  return made;
}

function versionIds(key = 'k'): (string | null)[] {
  return versionsOf(key).map(({ entry }) => entry.versionId);
}

describe('a change', () => {
  const cases: readonly [steps: string, leaves: string, current: string | null][] = [
    ['1 2', '2n', '2'],
    ['1 del', '', null],
    ['on 1 2 3', '3 2 1', '3'],
    ['1 on 2', '2 1n', '2'],
    ['on 1 del', '- 1', null],
    ['on del', '-', null],
    ['on 1 del del', '- - 1', null],
    ['on 1 del 2', '2 - 1', '2'],
    ['on 1 suspend 2', '2n 1', '2'],
    ['on 1 suspend 2 3', '3n 1', '3'],
    ['1 on 2 suspend 3', '3n 2', '3'],
    ['1 on 2 3 suspend del', '-n 3 2', null],
    ['1 on suspend del', '-n', null],
    ['1 on suspend del del', '-n', null],
    ['on 1 suspend del 2', '2n 1', '2'],
    ['on 1 suspend del on 2', '2 -n 1', '2'],
    ['on 1 suspend del on 2 suspend 3', '3n 2 1', '3'],
    ['on 1 suspend 2 on del', '- 2n 1', null],
    ['1 on del suspend del', '-n -', null],
  ];
  for (const [steps, leaves, current] of cases) {
    it(`${steps}: leaves ${leaves || 'nothing'}`, async () => {
      await build(steps);
      assert.equal(await stack(), leaves);
      assert.equal((await get(store, 'k'))?.toString() ?? null, current);
      const { entries } = store.list({ prefix: '', delimiter: '', after: '', limit: 10 });
      assert.deepEqual(
        entries.map(({ etag }) => etag),
        current === null ? [] : [md5(current)],
      );
      assert.equal(store.isEmpty(), leaves === '');
      assert.deepEqual((await store.verify()).damaged, []);
    });
  }

  it('gives each version its own id, kept over a reopening, and found by it', async () => {
    const made = await build('on 1 2 del 3');
    store = await fixture.reopen();
    const ids = made.map(({ versionId }) => versionId ?? assert.fail('a null version'));
    assert.equal(new Set(ids).size, 4);
    for (const id of ids) assert.match(id, /^[0-9a-f]{32}$/);
    for (const entry of made) assert.deepEqual(found(entry), plain(entry));
    assert.deepEqual(plain(store.latest('k') ?? assert.fail()), plain(made[3] ?? assert.fail()));
    assert.equal(store.version('k', null), null);
    assert.equal(store.version('other', ids[0] ?? ''), null);
    assert.equal(store.version('k', (ids[0] ?? '').toUpperCase().replace(/^./, 'x')), null);
    // The place is the same, the name is not: a version of another history.
    assert.equal(store.version('k', `${'0'.repeat(20)}${(ids[0] ?? '').slice(20)}`), null);
  });

  it('finds the null version wherever it is', async () => {
    const [one] = await build('1 on 2 3');
    assert.deepEqual(plain(store.version('k', null) ?? assert.fail()), plain(one ?? assert.fail()));
    await build('suspend 4');
    assert.equal(store.version('k', null)?.etag, md5('4'));
    await build('del');
    assert.equal(store.version('k', null)?.deleteMarker, true);
  });

  it('is younger than the latest, and says since when that is noncurrent', async () => {
    await store.close();
    store = await fixture.reopen({ nowMs: () => 5000 });
    await build('on 1 del 2');
    const listed = versionsOf('k');
    assert.deepEqual(
      listed.map(({ entry, isLatest, noncurrentSinceMs }) => [entry.modifiedMs, isLatest, noncurrentSinceMs]),
      [
        [5002, true, null],
        [5001, false, 5002],
        [5000, false, 5001],
      ],
    );
  });

  it('keeps every byte of a version that is not current, and frees it when it goes', async () => {
    await build('on');
    const bodies = [bytesOf(50_000, 1), bytesOf(40_000, 2), bytesOf(3_000_000, 3)];
    const made = [];
    for (const body of bodies) made.push(await put(store, 'k', body));
    await store.remove({ key: 'k' });
    await store.sweepNow();
    assert.equal((await dataFiles(fixture.folder)).length, 3);
    for (const [i, entry] of made.entries()) {
      const stored = store.version('k', entry.versionId) ?? assert.fail();
      assert.ok((await read(store, stored)).equals(bodies[i] ?? assert.fail()));
    }
    assert.deepEqual(totals(), { objects: 0, versions: 4, bytes: 3_090_000 });
    for (const { versionId } of made) await store.remove({ key: 'k', version: versionId });
    await store.sweepNow();
    assert.deepEqual(await dataFiles(fixture.folder), []);
    assert.deepEqual(totals(), { objects: 0, versions: 1, bytes: 0 });
  });
});

function totals() {
  const { objects, versions, bytes } = store.stats();
  return { objects, versions, bytes };
}

function plain({ blobs: _, ...entry }: ObjectEntry) {
  return entry;
}

function found({ key, versionId }: ObjectEntry) {
  return plain(store.version(key, versionId) ?? assert.fail(`no version ${versionId}`));
}

describe('removing a version for good', () => {
  const cases: readonly [steps: string, nth: number, leaves: string][] = [
    ['on 1 2 3', 0, '2 1'],
    ['on 1 2 3', 1, '3 1'],
    ['on 1 2 3', 2, '3 2'],
    ['on 1 2 del', 0, '2 1'],
    ['on 1 del', 1, '-'],
    ['on 1 del del', 0, '- 1'],
    ['on 1 del del', 1, '- 1'],
    ['on 1 del 2', 0, '- 1'],
    ['on 1 del 2', 1, '2 1'],
    ['1 on 2', 0, '1n'],
    ['1 on 2', 1, '2'],
    ['on 1 suspend del', 0, '1'],
    ['1 on suspend del', 0, ''],
    ['on 1', 0, ''],
    ['1', 0, ''],
    ['on del', 0, ''],
  ];
  for (const [steps, nth, leaves] of cases) {
    it(`${steps}, without the ${['newest', 'second', 'third'][nth]}: leaves ${leaves || 'nothing'}`, async () => {
      await build(steps);
      const [victim] = versionsOf('k').slice(nth);
      const { removed, marker } = await store.remove({ key: 'k', version: victim?.entry.versionId ?? null });
      assert.deepEqual(plain(removed ?? assert.fail()), plain(victim?.entry ?? assert.fail()));
      assert.equal(marker, null);
      assert.equal(await stack(), leaves);
      assert.equal(versionsOf('k')[0]?.isLatest ?? true, true);
      assert.deepEqual((await store.verify()).damaged, []);
    });
  }

  it('is nothing when there is no such version', async () => {
    await build('on 1');
    const { sequence } = store.stats();
    for (const version of [null, 'f'.repeat(32), 'x', '']) {
      assert.deepEqual(await store.remove({ key: 'k', version }), { removed: null, marker: null });
    }
    assert.equal(store.stats().sequence, sequence);
    assert.equal(await stack(), '1');
  });
});

describe('checks inside the commit', () => {
  const refuse = new Error('kept');
  const check = () => {
    throw refuse;
  };

  it('are asked for what would be destroyed, and only then', async () => {
    const seen: string[] = [];
    const note = (victim: ObjectEntry) => void seen.push(victim.deleteMarker ? 'marker' : victim.etag);
    await build('1');
    await store.remove({ key: 'k', check: note });
    assert.deepEqual(seen.splice(0), [md5('1')]);
    await build('2 on 3');
    await store.remove({ key: 'k', check });
    await build('suspend');
    await store.remove({ key: 'k', check: note });
    assert.deepEqual(seen.splice(0), [md5('2')]);
    const [, , three] = versionIds();
    await store.remove({ key: 'k', version: three ?? null, check: note });
    assert.deepEqual(seen.splice(0), [md5('3')]);
    await store.remove({ key: 'k', version: null, check: note });
    assert.deepEqual(seen.splice(0), ['marker']);
  });

  it('keep what they refuse', async () => {
    await build('1');
    await assert.rejects(store.remove({ key: 'k', check }), refuse);
    await build('on 2');
    for (const version of versionIds()) await assert.rejects(store.remove({ key: 'k', version, check }), refuse);
    await build('suspend');
    await assert.rejects(store.remove({ key: 'k', check }), refuse);
    assert.equal(await stack(), '2 1n');
  });

  it('see the version that the request is about first', async () => {
    const seen: unknown[] = [];
    const inspect = (subject: ObjectEntry | null) => void seen.push(subject && plain(subject));
    await build('on 1 del');
    const [marker, one] = versionsOf('k').map(({ entry }) => plain(entry));
    await assert.rejects(store.remove({ key: 'k', inspect, condition: { ifMatch: '*' } }), { code: 'OBJECT_MISSING' });
    await store.remove({ key: 'k', version: one?.versionId ?? null, inspect });
    await store.remove({ key: 'none', version: null, inspect });
    assert.deepEqual(seen, [marker, one, null]);
    await assert.rejects(store.remove({ key: 'k', inspect: check }), refuse);
    assert.equal(await stack(), '-');
  });

  it('compare a condition with the current object, a marker being none, or with the named version', async () => {
    const one = { ifMatch: [md5('1')] };
    await build('on 1 2');
    const [, first] = versionIds();
    await assert.rejects(store.remove({ key: 'k', condition: one }), { code: 'PRECONDITION_FAILED' });
    await assert.rejects(store.remove({ key: 'k', version: first ?? null, condition: { ifMatch: [md5('2')] } }), {
      code: 'PRECONDITION_FAILED',
    });
    await assert.rejects(store.remove({ key: 'k', version: null, condition: one }), { code: 'OBJECT_MISSING' });
    await store.remove({ key: 'k', condition: { ifMatch: [md5('2')] } });
    await assert.rejects(store.remove({ key: 'k', condition: { ifMatch: '*' } }), { code: 'OBJECT_MISSING' });
    const [marker] = versionIds();
    await assert.rejects(store.remove({ key: 'k', version: marker ?? null, condition: { ifMatch: '*' } }), {
      code: 'OBJECT_MISSING',
    });
    await assert.rejects(put(store, 'k', '3', { ifMatch: '*' }), { code: 'OBJECT_MISSING' });
    await put(store, 'k', '3', { ifNoneMatch: '*' });
    await assert.rejects(put(store, 'k', '4', { ifNoneMatch: '*' }), { code: 'PRECONDITION_FAILED' });
    await store.remove({ key: 'k', version: first ?? null, condition: one });
    assert.equal(await stack(), '3 - 2');
  });
});

describe('copy', () => {
  it('takes a version that is not current, also onto its own key', async () => {
    const [one] = await build('on 1 2 del');
    const source = { source: 'k', sourceVersion: one?.versionId ?? null, sourceSequence: one?.sequence ?? 0 };
    await store.copy({ ...source, key: 'k', attributes: { copied: true } });
    await store.copy({ ...source, key: 'other', attributes: {} });
    assert.equal(await stack(), '1 - 2 1');
    assert.equal(await stack('other'), '1');
    await store.remove({ key: 'k', version: one?.versionId ?? null });
    assert.equal(await stack(), '1 - 2');
    assert.deepEqual((await store.verify()).damaged, []);
  });

  it('of the null version onto its own key under suspension replaces it', async () => {
    const body = bytesOf(40_000, 4);
    const one = await put(store, 'k', body);
    await build('on 2 suspend');
    await store.copy({ source: 'k', sourceVersion: null, sourceSequence: one.sequence, key: 'k', attributes: {} });
    assert.deepEqual(versionIds().length, 2);
    await store.sweepNow();
    assert.ok((await get(store, 'k'))?.equals(body));
    assert.deepEqual((await store.verify()).damaged, []);
  });

  it('has no delete marker and no missing version as its source', async () => {
    const [one, marker] = await build('on 1 del');
    const request = { source: 'k', key: 'other', attributes: {} };
    for (const [sourceVersion, sourceSequence] of [
      [undefined, marker?.sequence],
      [marker?.versionId, marker?.sequence],
      [null, one?.sequence],
    ] as const) {
      const source = sourceVersion === undefined ? {} : { sourceVersion };
      await assert.rejects(store.copy({ ...request, ...source, sourceSequence: sourceSequence ?? 0 }), {
        code: 'OBJECT_MISSING',
      });
    }
    await assert.rejects(store.copy({ ...request, sourceVersion: one?.versionId ?? null, sourceSequence: 99 }), {
      code: 'PRECONDITION_FAILED',
    });
  });
});

describe('completing an upload', () => {
  it('puts a version on top, and a repetition names the same one, as long as it lives and after', async () => {
    await build('on 1');
    const { id } = await store.createUpload('k', {});
    await store.putPart(id, 'k', 1, await putBlob(store, bytesOf(40_000)), 'e', {});
    const request = {
      uploadId: id,
      key: 'k',
      parts: [{ number: 1, etag: 'e' }],
      partBytesMin: 0,
      finish: () => ({ etag: 'whole-1', attributes: {} }),
    };
    const done = await store.completeUpload(request);
    assert.deepEqual(versionIds(), [done.versionId, versionIds()[1]]);
    assert.ok(done.versionId);
    await build('2 del');
    assert.deepEqual(plain(await store.completeUpload(request)), plain(done));
    assert.equal(versionIds().length, 4);
    await store.remove({ key: 'k', version: done.versionId });
    assert.deepEqual(plain(await store.completeUpload(request)), plain(done));
    assert.equal(versionIds().length, 3);
    assert.deepEqual((await store.verify()).damaged, []);
  });
});

describe('annotate', () => {
  it('changes the bag of one version and nothing else', async () => {
    const [one, two] = await build('on 1 2');
    const { sequence } = store.stats();
    const tagged = await store.annotate({ key: 'k', change: ({ attributes }) => ({ ...attributes, tag: 'current' }) });
    await store.annotate({ key: 'k', version: one?.versionId ?? null, change: () => ({ tag: 'first' }) });
    assert.equal(store.stats().sequence, sequence + 2);
    store = await fixture.reopen();
    assert.deepEqual(found(two ?? assert.fail()), { ...plain(two ?? assert.fail()), attributes: tagged.attributes });
    assert.deepEqual(tagged.attributes, { type: 'text/plain', tag: 'current' });
    assert.deepEqual(found(one ?? assert.fail()), { ...plain(one ?? assert.fail()), attributes: { tag: 'first' } });
    assert.equal(await stack(), '2 1');
  });

  it('has no marker and nothing missing as its subject, and changes nothing when refused', async () => {
    await build('on 1 del');
    const [marker, one] = versionIds();
    const change = () => ({ never: true });
    await assert.rejects(store.annotate({ key: 'k', change }), { code: 'OBJECT_MISSING' });
    await assert.rejects(store.annotate({ key: 'k', version: marker ?? null, change }), { code: 'OBJECT_MISSING' });
    await assert.rejects(store.annotate({ key: 'k', version: null, change }), { code: 'OBJECT_MISSING' });
    const refuse = () => {
      throw new Error('no');
    };
    await assert.rejects(store.annotate({ key: 'k', version: one ?? null, change: refuse }), /no/);
    assert.deepEqual(store.version('k', one ?? null)?.attributes, { type: 'text/plain' });
  });
});

describe('rename', () => {
  it('moves the object with its blobs and time, and replaces what was there', async () => {
    const body = bytesOf(50_000, 1);
    const from = await put(store, 'k', body);
    await put(store, 'to', bytesOf(30_000, 2));
    const renamed = await store.rename({ source: 'k', key: 'to' });
    assert.equal(store.head('k'), null);
    assert.ok((await get(store, 'to'))?.equals(body));
    assert.equal(renamed.etag, from.etag);
    assert.deepEqual(renamed.attributes, from.attributes);
    assert.ok(renamed.sequence > from.sequence);
    const away = await store.rename({ source: 'to', key: 'away' });
    assert.equal(away.modifiedMs, renamed.modifiedMs);
    await store.sweepNow();
    assert.equal((await dataFiles(fixture.folder)).length, 1);
    assert.deepEqual(totals(), { objects: 1, versions: 0, bytes: 50_000 });
    assert.deepEqual((await store.verify()).damaged, []);
  });

  it('onto itself changes nothing', async () => {
    const from = await put(store, 'k', 'x');
    const { sequence } = store.stats();
    assert.deepEqual(plain(await store.rename({ source: 'k', key: 'k' })), plain(from));
    assert.equal(store.stats().sequence, sequence);
  });

  it('keeps everything when a condition does not hold, or versions are kept', async () => {
    await put(store, 'k', '1');
    await put(store, 'to', '2');
    const rename = (more: object, source = 'k') => store.rename({ source, key: 'to', ...more });
    await assert.rejects(rename({}, 'none'), { code: 'OBJECT_MISSING' });
    await assert.rejects(rename({ condition: { ifNoneMatch: '*' } }), { code: 'PRECONDITION_FAILED' });
    await assert.rejects(rename({ sourceCondition: { ifMatch: [md5('2')] } }), { code: 'PRECONDITION_FAILED' });
    const inspect = (source: ObjectEntry, previous: ObjectEntry | null) => {
      throw new Error(`${source.key} over ${previous?.key}`);
    };
    await assert.rejects(rename({ inspect }), /k over to/);
    await build('on');
    await assert.rejects(rename({}), { code: 'VERSIONING_CONFLICT' });
    await build('suspend');
    await assert.rejects(rename({}), { code: 'VERSIONING_CONFLICT' });
    assert.equal(await stack('k'), '1n');
    assert.equal(await stack('to'), '2n');
  });
});

describe('versioning', () => {
  it('is off, enabled or suspended, durably, and never off again', async () => {
    assert.equal(store.versioning(), 'off');
    await store.setVersioning('enabled');
    const { sequence } = store.stats();
    await store.setVersioning('enabled');
    assert.equal(store.stats().sequence, sequence);
    store = await fixture.reopen();
    assert.equal(store.versioning(), 'enabled');
    await store.setVersioning('suspended');
    store = await fixture.reopen();
    assert.equal(store.versioning(), 'suspended');
  });
});

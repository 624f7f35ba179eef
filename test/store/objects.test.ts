// Objects of one store: what a put, copy and delete mean, under conditions, races, guards and terms.
import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { ZringError } from '../../src/common/errors.ts';
import { createStore, openStore } from '../../src/store/store.ts';
import { bytesOf, dataFiles, get, md5, putBlob, StoreFixture, TERM } from './fixture.ts';

let fixture: StoreFixture;
beforeEach(async () => {
  fixture = await StoreFixture.make();
});
afterEach(() => fixture.remove());

describe('put', () => {
  it('keeps bodies of every size, and every field, over reopening', async () => {
    const sizes = [0, 1, 4096, 16384, 16385, 262_144, 1 << 20, (1 << 20) + 1, 3_500_000];
    const entries = [];
    for (const size of sizes) entries.push(await fixture.put(`k${size}`, bytesOf(size, size)));
    for (const reopened of [false, true]) {
      if (reopened) await fixture.reopen();
      for (const [i, size] of sizes.entries()) {
        assert.ok((await fixture.get(`k${size}`))?.equals(bytesOf(size, size)), `${size} bytes`);
        const entry = fixture.store.head(`k${size}`);
        assert.deepEqual(
          { ...entry, blobs: entry?.blobs.map(({ id, blockChecksums }) => [id, blockChecksums]) },
          { ...entries[i], blobs: entries[i]?.blobs.map(({ id, blockChecksums }) => [id, blockChecksums]) },
        );
        assert.equal(entry?.etag, md5(bytesOf(size, size)));
        assert.deepEqual(entry?.attributes, { type: 'text/plain' });
      }
    }
    assert.equal((await dataFiles(fixture.folder)).length, 5);
  });

  it('takes a body of unknown length, or of another length than announced', async () => {
    for (const hint of [null, 0, 10, 100_000, 10_000_000]) {
      for (const size of [0, 10, 20_000, 700_000]) {
        const blob = await putBlob(fixture.store, bytesOf(size), hint);
        await fixture.store.put({ key: 'k', blob, etag: 'e', attributes: {} });
        assert.ok((await fixture.get('k'))?.equals(bytesOf(size)), `hint ${hint}, ${size} bytes`);
      }
    }
  });

  it('replaces, and frees what it replaced', async () => {
    await fixture.put('k', bytesOf(200_000, 1));
    await fixture.put('k', bytesOf(300_000, 2));
    await fixture.put('k', 'small');
    await fixture.put('k', 'smaller');
    assert.equal((await fixture.get('k'))?.toString(), 'smaller');
    await fixture.store.sweepNow();
    assert.deepEqual(await dataFiles(fixture.folder), []);
    const { objects, bytes } = fixture.store.stats();
    assert.deepEqual({ objects, bytes }, { objects: 1, bytes: 7 });
    assert.deepEqual((await fixture.store.verify()).damaged, []);
  });

  it('numbers commits, and never lets the time of one key go back', async () => {
    let now = 1000;
    await fixture.reopen({ nowMs: () => now });
    const first = await fixture.put('k', 'a');
    const second = await fixture.put('k', 'b');
    now = 500;
    const third = await fixture.put('k', 'c');
    const other = await fixture.put('other', 'd');
    assert.deepEqual(
      [first, second, third, other].map(({ sequence, modifiedMs }) => [sequence, modifiedMs]),
      [
        [1, 1000],
        [2, 1001],
        [3, 1002],
        [4, 500],
      ],
    );
    await fixture.reopen();
    assert.equal((await fixture.put('k', 'e')).sequence, 5);
    assert.equal(fixture.store.stats().sequence, 5);
  });

  it('is read by who comes after its promise, and by nobody before it is durable', async () => {
    const pending = fixture.put('k', 'v');
    assert.equal(fixture.store.head('k'), null);
    await pending;
    assert.equal((await fixture.get('k'))?.toString(), 'v');
  });
});

describe('conditions', () => {
  it('are checked against what is current in the commit', async () => {
    const entry = await fixture.put('k', 'v');
    const none = { ifNoneMatch: '*' } as const;
    await assert.rejects(fixture.put('k', 'w', none), { code: 'PRECONDITION_FAILED' });
    await assert.rejects(fixture.put('k', 'w', { ifMatch: ['x'] }), { code: 'PRECONDITION_FAILED' });
    await assert.rejects(fixture.put('k', 'w', { ifNoneMatch: ['x', entry.etag] }), { code: 'PRECONDITION_FAILED' });
    await assert.rejects(fixture.put('new', 'w', { ifMatch: '*' }), { code: 'OBJECT_MISSING' });
    await assert.rejects(fixture.put('new', 'w', { ifMatch: [entry.etag] }), { code: 'OBJECT_MISSING' });
    await assert.rejects(fixture.store.remove({ key: 'k', condition: { ifMatch: ['x'] } }), {
      code: 'PRECONDITION_FAILED',
    });
    assert.equal((await fixture.get('k'))?.toString(), 'v');
    assert.equal(fixture.store.stats().sequence, entry.sequence);
    await fixture.put('k', 'w', { ifMatch: ['x', entry.etag] });
    await fixture.put('new', 'w', none);
    await fixture.put('k', 'v', { ifNoneMatch: ['x'] });
    assert.ok(await fixture.store.remove({ key: 'k', condition: { ifMatch: '*' } }));
  });

  for (const size of [10, 100_000]) {
    it(`let exactly one of a hundred create a key (${size} bytes), and leave nothing of the others`, async () => {
      const bodies = Array.from({ length: 100 }, (_, i) => bytesOf(size, i + 1));
      const outcomes = await Promise.allSettled(bodies.map((body) => fixture.put('k', body, { ifNoneMatch: '*' })));
      const winners = outcomes.flatMap((outcome, i) => (outcome.status === 'fulfilled' ? [i] : []));
      assert.equal(winners.length, 1);
      for (const outcome of outcomes) {
        if (outcome.status === 'rejected') assert.equal(outcome.reason.code, 'PRECONDITION_FAILED');
      }
      assert.ok((await fixture.get('k'))?.equals(bodies[winners[0] ?? -1] ?? Buffer.alloc(0)));
      await fixture.store.sweepNow();
      assert.equal((await dataFiles(fixture.folder)).length, size > 16384 ? 1 : 0);
    });
  }

  it('let a chain of compare-and-set count without losing one', async () => {
    await fixture.put('n', '0');
    const add = async (): Promise<void> => {
      for (;;) {
        const entry = fixture.store.head('n');
        const next = Number(await get(fixture.store, 'n')) + 1;
        try {
          await fixture.put('n', String(next), { ifMatch: [entry?.etag ?? ''] });
          return;
        } catch (error) {
          if (!(error instanceof ZringError && error.code === 'PRECONDITION_FAILED')) throw error;
        }
      }
    };
    await Promise.all(Array.from({ length: 20 }, add));
    assert.equal((await fixture.get('n'))?.toString(), '20');
  });
});

describe('copy', () => {
  it('shares the bytes, and keeps them until the last one is gone', async () => {
    for (const size of [100, 400_000]) {
      const source = await fixture.put('source', bytesOf(size));
      const copy = await fixture.store.copy({
        source: 'source',
        sourceSequence: source.sequence,
        key: 'copy',
        attributes: { type: 'other' },
      });
      assert.equal(copy.etag, source.etag);
      assert.deepEqual(copy.attributes, { type: 'other' });
      assert.equal(copy.blobs[0]?.id, source.blobs[0]?.id);
      await fixture.store.remove({ key: 'source' });
      await fixture.store.sweepNow();
      assert.ok((await fixture.get('copy'))?.equals(bytesOf(size)));
      assert.equal(fixture.store.stats().bytes, size);
      await fixture.store.remove({ key: 'copy' });
      await fixture.store.sweepNow();
      assert.deepEqual(await dataFiles(fixture.folder), []);
      assert.deepEqual((await fixture.store.verify()).damaged, []);
    }
  });

  it('onto itself replaces the attributes', async () => {
    for (const size of [100, 400_000]) {
      const { sequence } = await fixture.put('k', bytesOf(size));
      const copy = await fixture.store.copy({
        source: 'k',
        sourceSequence: sequence,
        key: 'k',
        attributes: { a: 1 },
        etag: 'new',
      });
      assert.deepEqual([copy.etag, copy.attributes, copy.sequence], ['new', { a: 1 }, sequence + 1]);
      await fixture.store.sweepNow();
      assert.ok((await fixture.get('k'))?.equals(bytesOf(size)));
      assert.deepEqual((await fixture.store.verify()).damaged, []);
    }
  });

  it('is refused when the source is gone or another one', async () => {
    const { sequence } = await fixture.put('k', 'v');
    const request = { source: 'k', sourceSequence: sequence, key: 'copy', attributes: {} };
    await assert.rejects(fixture.store.copy({ ...request, source: 'none' }), { code: 'OBJECT_MISSING' });
    await fixture.put('k', 'w');
    await assert.rejects(fixture.store.copy(request), { code: 'PRECONDITION_FAILED' });
    assert.equal(fixture.store.head('copy'), null);
  });
});

describe('remove', () => {
  it('returns what was there, or null without a commit', async () => {
    const entry = await fixture.put('k', 'v');
    assert.equal((await fixture.store.remove({ key: 'k' })).removed?.sequence, entry.sequence);
    assert.equal(fixture.store.head('k'), null);
    const { sequence } = fixture.store.stats();
    assert.equal((await fixture.store.remove({ key: 'k' })).removed, null);
    assert.equal(fixture.store.stats().sequence, sequence);
    assert.ok(fixture.store.isEmpty());
  });
});

describe('documents', () => {
  it('are kept, replaced, removed, and count as commits', async () => {
    assert.equal(fixture.store.document('settings'), undefined);
    await fixture.store.setDocument('settings', { a: [1, null] });
    await fixture.store.setDocument('null', null);
    await fixture.reopen();
    assert.deepEqual(fixture.store.document('settings'), { a: [1, null] });
    assert.equal(fixture.store.document('null'), null);
    await fixture.store.setDocument('settings', undefined);
    assert.equal(fixture.store.document('settings'), undefined);
    assert.equal(fixture.store.stats().sequence, 3);
  });
});

describe('the guard', () => {
  it('is asked inside every commit, and nothing is written when it throws', async () => {
    let asked = 0;
    let closed = false;
    const guard = (): void => {
      asked++;
      if (closed) throw new ZringError('DATASET_BUSY', 'the gate is closed');
    };
    await fixture.reopen({ guard });
    const { sequence } = await fixture.put('k', 'v');
    const upload = await fixture.store.createUpload('k', {});
    assert.equal(asked, 2);
    closed = true;
    const before = fixture.store.stats();
    const refused: readonly (() => Promise<unknown>)[] = [
      () => fixture.put('k', 'w'),
      () => fixture.put('big', bytesOf(100_000)),
      () => fixture.store.remove({ key: 'k' }),
      () => fixture.store.copy({ source: 'k', sourceSequence: sequence, key: 'c', attributes: {} }),
      () => fixture.store.createUpload('k', {}),
      () => fixture.store.abortUpload(upload.id, 'k'),
      () => fixture.store.setDocument('d', 1),
    ];
    for (const act of refused) await assert.rejects(act(), { code: 'DATASET_BUSY' });
    assert.deepEqual(fixture.store.stats(), before);
    assert.equal((await fixture.get('k'))?.toString(), 'v');
    assert.ok(fixture.store.upload(upload.id, 'k'));
    await fixture.store.sweepNow();
    assert.deepEqual(await dataFiles(fixture.folder), []);
  });

  it('is asked when the commit is made, not when it was asked for', async () => {
    let closed = false;
    await fixture.reopen({
      guard: () => {
        if (closed) throw new ZringError('DATASET_BUSY', 'the gate is closed');
      },
    });
    const pending = [fixture.store.createUpload('k', {}), fixture.store.setDocument('settings', 1)];
    closed = true;
    for (const change of pending) await assert.rejects(change, { code: 'DATASET_BUSY' });
    assert.equal(fixture.store.stats().sequence, 0);
  });

  it('stops those that wait for the commit when it closes', async () => {
    let left = 10;
    await fixture.reopen({
      guard: () => {
        if (left-- <= 0) throw new ZringError('DATASET_BUSY', 'the gate is closed');
      },
    });
    const outcomes = await Promise.allSettled(Array.from({ length: 40 }, (_, i) => fixture.put(`k${i}`, 'v')));
    const kept = outcomes.flatMap((outcome, i) => (outcome.status === 'fulfilled' ? [`k${i}`] : []));
    assert.equal(kept.length, 10);
    const listed = fixture.store.list({ prefix: '', delimiter: '', after: '', limit: 100 }).entries;
    assert.deepEqual(listed.map(({ key }) => key).sort(), kept.sort());
    assert.equal(fixture.store.stats().sequence, 10);
  });
});

describe('opening', () => {
  it('takes a term that is not lower than any it has seen', async () => {
    await fixture.reopen({ term: { n: 5, node: 'b' } });
    assert.deepEqual((await fixture.put('k', 'v')).term, { n: 5, node: 'b' });
    await fixture.store.close();
    for (const term of [TERM, { n: 5, node: 'a' }, { n: 4, node: 'z' }]) {
      await assert.rejects(openStore(fixture.folder, { term }), { code: 'TERM_REFUSED' });
    }
    await assert.rejects(openStore(fixture.folder, {}), { code: 'TERM_REFUSED' });
    const reader = await openStore(fixture.folder, { readonly: true });
    assert.deepEqual(reader.term, { n: 5, node: 'b' });
    await reader.close();
    for (const term of [
      { n: 5, node: 'b' },
      { n: 5, node: 'c' },
      { n: 6, node: 'a' },
    ]) {
      await (await openStore(fixture.folder, { term })).close();
    }
    // Opening alone binds, before anything is written under the term.
    await assert.rejects(openStore(fixture.folder, { term: { n: 5, node: 'c' } }), { code: 'TERM_REFUSED' });
  });

  it('is strict: no index, or that of another dataset, is no empty store', async () => {
    await fixture.store.close();
    await assert.rejects(openStore(fixture.folder, { term: TERM, id: 'another' }), { code: 'MOUNT_INVALID' });
    await assert.rejects(createStore(fixture.folder, { id: 'test' }), { code: 'DATASET_ALREADY_EXISTS' });
    await rm(join(fixture.folder, 'index'));
    await assert.rejects(openStore(fixture.folder, { term: TERM }), { code: 'MOUNT_INVALID' });
    await assert.rejects(openStore(join(fixture.folder, 'nothing'), { readonly: true }), { code: 'MOUNT_INVALID' });
  });

  it('excludes a second one for writing', async () => {
    await assert.rejects(openStore(fixture.folder, { term: { n: 2, node: 'a' } }), { code: 'LOCKED' });
    await fixture.put('k', 'v');
  });
});

describe('close', () => {
  it('finishes commits that are under way, gives up bodies that are not, and refuses what comes later', async () => {
    const { store } = fixture;
    const puts = Array.from({ length: 30 }, (_, i) => fixture.put(`k${i}`, 'v'));
    const writer = store.beginBlob(null);
    await writer.write(bytesOf(500_000));
    const finished = await putBlob(store, bytesOf(100_000));
    await fixture.put('big', bytesOf(3_000_000));
    const reader = store.read(store.head('big') ?? assert.fail());
    const cut = new Promise<unknown>((resolve) => reader.once('error', resolve));
    await new Promise((resolve) => reader.once('readable', resolve));
    await store.close();
    assert.equal(((await cut) as ZringError).code, 'STORAGE_UNAVAILABLE');
    const outcomes = await Promise.allSettled(puts);
    await assert.rejects(async () => writer.write(Buffer.from('x')));
    await assert.rejects(store.put({ key: 'late', blob: finished, etag: '', attributes: {} }), {
      code: 'STORAGE_UNAVAILABLE',
    });
    assert.throws(() => store.head('k1'), { code: 'STORAGE_UNAVAILABLE' });
    assert.throws(() => store.beginBlob(1), { code: 'STORAGE_UNAVAILABLE' });
    await store.close();
    await fixture.reopen();
    for (const [i, { status }] of outcomes.entries()) {
      assert.equal(fixture.store.head(`k${i}`) !== null, status === 'fulfilled');
    }
    assert.equal((await dataFiles(fixture.folder)).length, 1);
    assert.deepEqual((await fixture.store.verify()).damaged, []);
  });
});

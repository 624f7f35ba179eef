// A commit whose outcome is unknown: the index, asked again, decides what becomes of the body. No fault of a disk can be
// made to carry a change out and fail all the same, so the commit of the index is told to.
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { it, type TestContext } from 'node:test';
import { ZringError } from '../../src/common/errors.ts';
import { StoreIndex } from '../../src/store/index.ts';
import { createStore, type LocalStore, openStore } from '../../src/store/store.ts';
import { bytesOf, dataFiles, get, put, TERM } from './fixture.ts';

const BODY = bytesOf(100_000);

/** A store that says *unknown* of every commit, after it was made, or in place of making it. */
async function doubtful(t: TestContext, done: boolean): Promise<{ folder: string; store: LocalStore }> {
  const folder = await mkdtemp(join(tmpdir(), 'zring-store-unknown-'));
  await createStore(folder, { id: 'unknown' });
  const store = await openStore(folder, { term: TERM });
  const { commit } = StoreIndex.prototype;
  t.mock.method(
    StoreIndex.prototype,
    'commit',
    async function (this: StoreIndex, change: Parameters<typeof commit>[0]) {
      if (done) await commit.call(this, change);
      throw new ZringError('STORAGE_OUTCOME_UNKNOWN', 'the disk gave no answer');
    },
  );
  t.after(async () => {
    await store.close();
    await rm(folder, { recursive: true, force: true });
  });
  return { folder, store };
}

it('an object that was committed after all keeps its body', async (t) => {
  const { store } = await doubtful(t, true);
  await assert.rejects(put(store, 'k', BODY), { code: 'STORAGE_OUTCOME_UNKNOWN' });
  await store.sweepNow();
  assert.ok((await get(store, 'k'))?.equals(BODY), 'the body is there');
  assert.deepEqual((await store.verify()).damaged, []);
});

it('a body that no commit names is given up', async (t) => {
  const { folder, store } = await doubtful(t, false);
  await assert.rejects(put(store, 'k', BODY), { code: 'STORAGE_OUTCOME_UNKNOWN' });
  await store.sweepNow();
  assert.equal(store.head('k'), null);
  assert.deepEqual(await dataFiles(folder), []);
});

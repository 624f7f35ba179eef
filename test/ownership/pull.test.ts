// What a puller takes for the promised snapshot: the one with its GUID, whatever it is called. Real `dir` storage at both
// ends, an owner that says what the test wants.
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { ZringError } from '../../src/common/errors.ts';
import { createSystemClock } from '../../src/common/system-clock.ts';
import { openDirDriver } from '../../src/dataset/dir.ts';
import type { DatasetDriver } from '../../src/dataset/driver.ts';
import { copyProperties } from '../../src/ownership/copy-properties.ts';
import { OWNERSHIP_LIMITS } from '../../src/ownership/limits.ts';
import { METHODS } from '../../src/ownership/peer-messages.ts';
import { Puller } from '../../src/ownership/pull.ts';
import type { Copy } from '../../src/ownership/state.ts';
import { TokenBucket } from '../../src/ownership/token-bucket.ts';
import { silentLogger } from '../../src/telemetry/log.ts';

const ID = 'ab'.repeat(16);
const FINAL = 'zring-final-3-x';
const PRIOR_COPY_MS = 3_600_000;

async function setUp(t: TestContext, { promised = true } = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'zring-pull-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const owner = await openDirDriver(join(folder, 'owner'), 'test');
  const here = await openDirDriver(join(folder, 'here'), 'test');
  await owner.create('photos', { id: ID }, (path) => writeFile(join(path, 'index'), 'everything acknowledged'));
  const { guid } = await owner.snapshot('photos', FINAL);
  const puller = new Puller({
    self: 'b',
    cluster: 'test',
    driver: here,
    peers: {
      call: async (_node, method) => {
        if (method === METHODS.snapshot) return { name: FINAL, guid };
        assert.equal(method, METHODS.describe);
        const snapshots = (await owner.snapshots('photos')).map((one) => ({ name: one.name, guid: one.guid }));
        return { role: 'owner', term: '3@a', promised, createdMs: 1, creator: null, snapshots };
      },
      stream: async (_node, _method, request) => {
        const { snapshot, fromGuid } = request as { snapshot: string; fromGuid: string | null };
        const { stream } = await owner.send('photos', { snapshot, fromGuid });
        return { head: {}, body: stream };
      },
    },
    clock: createSystemClock(),
    logger: silentLogger(),
    limits: OWNERSHIP_LIMITS,
    priorCopyMs: () => PRIOR_COPY_MS,
    bucket: new TokenBucket(null, () => performance.now()),
    salt: () => 'salt',
  });
  const job = { dataset: 'photos', id: ID, source: 'a', atLeast: null, signal: new AbortController().signal };
  const final = (promisedGuid: string, snapshot = FINAL) =>
    puller.pullFinal(job, { node: 'a', term: { n: 3, node: 'a' }, snapshot, guid: promisedGuid });
  return { here, owner, guid, final, rounds: () => puller.pullRounds(job) };
}

function copyOf(changes: Partial<Copy>): Copy {
  const plain = { id: ID, role: 'receiving' as const, term: { n: 2, node: 'b' }, createdMs: 1, creator: null };
  return { ...plain, promise: null, source: null, deleting: false, priorSinceMs: null, ...changes };
}

/** What a former owner has left of its copy, after the owner dropped the snapshot that the two had in common. */
async function leavePrior(here: DatasetDriver, copy: { n: number; ageMs: number }): Promise<void> {
  const state = copyOf({ role: 'prior', term: { n: copy.n, node: 'b' }, priorSinceMs: Date.now() - copy.ageMs });
  await here.create('photos', copyProperties('photos', 'test', state), (path) =>
    writeFile(join(path, 'index'), 'before'),
  );
  await here.snapshot('photos', 'zring-final-2-y');
}

for (const [role, aside] of [
  ['receiving', null],
  ['prior', '_deposed-'],
] as const) {
  const then = aside === null ? 'goes back to it, and on from there' : `becomes ${aside}…, and all is pulled again`;
  test(`a ${role} copy that changed after its snapshot ${then}`, async (t) => {
    const { here, owner, guid, final } = await setUp(t);
    await owner.snapshot('photos', 'zring-step-b-1');
    const base = await owner.send('photos', { snapshot: FINAL, fromGuid: null });
    await here.receive('_recv-photos', base.stream, { incremental: false });
    await base.done;
    const term = { n: 2, node: 'b' };
    await here.setProperties('_recv-photos', copyProperties('photos', 'test', copyOf({ role, term })));
    await here.rename('_recv-photos', 'photos');
    // As after a crash in the midst of an increment: its content is there, its snapshot is not.
    const { path } = await here.open('photos', { id: ID, readonly: false });
    await writeFile(join(path, 'index'), 'something of an increment');
    await here.close('photos');
    const target = (await owner.snapshots('photos')).at(-1)?.guid ?? '';
    assert.notEqual(target, guid);
    await assert.rejects(final(target, 'zring-step-b-1'), { code: 'DATASET_DIVERGED' });
    await final(target, 'zring-step-b-1');
    assert.equal((await here.snapshots('photos')).at(-1)?.guid, target);
    const others = (await here.list()).map(({ name }) => name).filter((name) => name !== 'photos');
    assert.deepEqual(
      others.map((name) => name.slice(0, '_deposed-'.length)),
      aside === null ? [] : [aside],
    );
  });
}

test('a received copy that takes no increment any more is kept until there is another', async (t) => {
  const { here, owner, final } = await setUp(t);
  await owner.snapshot('photos', 'zring-step-b-1');
  const base = await owner.send('photos', { snapshot: FINAL, fromGuid: null });
  await here.receive('_recv-photos', base.stream, { incremental: false });
  await base.done;
  await here.setProperties('_recv-photos', copyProperties('photos', 'test', copyOf({})));
  await here.rename('_recv-photos', 'photos');
  const receive = here.receive.bind(here);
  const seen: string[][] = [];
  here.receive = async (name, stream, options) => {
    seen.push((await here.list()).map((dataset) => dataset.name.slice(0, '_deposed-'.length)).sort());
    if (!options.incremental) return receive(name, stream, options);
    stream.resume();
    throw new ZringError('DATASET_DIVERGED', 'broken for good');
  };
  const target = (await owner.snapshots('photos')).at(-1)?.guid ?? '';
  await assert.rejects(final(target, 'zring-step-b-1'), { code: 'DATASET_DIVERGED' });
  await assert.rejects(final(target, 'zring-step-b-1'), { code: 'DATASET_DIVERGED' });
  await final(target, 'zring-step-b-1');
  assert.deepEqual(seen, [['photos'], ['photos'], ['_deposed-']], 'the old one stands while the new one comes');
  assert.equal((await here.snapshots('photos')).at(-1)?.guid, target);
  const others = (await here.list()).map(({ name }) => name.slice(0, '_deposed-'.length)).sort();
  assert.deepEqual(others, ['_deleted-', 'photos']);
});

for (const [what, copy, promised, aside] of [
  ['whose time is over', { n: 2, ageMs: PRIOR_COPY_MS }, false, '_deleted-'],
  ['that is still to be kept', { n: 2, ageMs: PRIOR_COPY_MS / 2 }, false, '_deposed-'],
  ['that is not below its owner', { n: 3, ageMs: PRIOR_COPY_MS }, false, '_deposed-'],
  ['whose owner has promised the dataset', { n: 2, ageMs: PRIOR_COPY_MS }, true, '_deposed-'],
] as const) {
  test(`a prior copy without a base, ${what}, becomes ${aside}…`, async (t) => {
    const { here, guid, rounds } = await setUp(t, { promised });
    await leavePrior(here, copy);
    await rounds();
    assert.equal((await here.snapshots('photos')).at(-1)?.guid, guid);
    const others = (await here.list()).map(({ name }) => name).filter((name) => name !== 'photos');
    assert.deepEqual([others.length, others[0]?.startsWith(aside)], [1, true], `${others}`);
  });
}

test('a stream whose snapshot has another GUID than the promise is not taken, and nothing of it is published', async (t) => {
  const { here, guid, final } = await setUp(t);
  await assert.rejects(final('4711'), { code: 'STREAM_INVALID' });
  assert.equal(await here.get('photos'), null);
  await final(guid);
  assert.equal((await here.snapshots('photos')).at(-1)?.guid, guid);
});

test('a snapshot here that only has the name of the promised one is not taken for it', async (t) => {
  const { guid, final } = await setUp(t);
  await final(guid);
  await assert.rejects(final('4711'), (error: Error) => error instanceof Error);
  await final(guid);
});

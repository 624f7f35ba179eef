// What a puller takes for the promised snapshot: the one with its GUID, whatever it is called. Real `dir` storage at both
// ends, an owner that says what the test wants.
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { createSystemClock } from '../../src/common/system-clock.ts';
import { openDirDriver } from '../../src/dataset/dir.ts';
import { OWNERSHIP_LIMITS } from '../../src/ownership/limits.ts';
import { METHODS } from '../../src/ownership/peer-messages.ts';
import { Puller } from '../../src/ownership/pull.ts';
import { TokenBucket } from '../../src/ownership/token-bucket.ts';
import { silentLogger } from '../../src/telemetry/log.ts';

const ID = 'ab'.repeat(16);
const FINAL = 'zring-final-3-x';

async function setUp(t: TestContext) {
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
        assert.equal(method, METHODS.describe);
        const snapshots = (await owner.snapshots('photos')).map((one) => ({ name: one.name, guid: one.guid }));
        return { role: 'owner', term: '3@a', promised: true, createdMs: 1, creator: null, snapshots };
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
    bucket: new TokenBucket(null, () => performance.now()),
    salt: () => 'salt',
  });
  const job = { dataset: 'photos', id: ID, source: 'a', signal: new AbortController().signal };
  const final = (promisedGuid: string) =>
    puller.pullFinal(job, { node: 'a', term: { n: 3, node: 'a' }, snapshot: FINAL, guid: promisedGuid });
  return { here, guid, final };
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

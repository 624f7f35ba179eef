// Lifecycle in a cluster of two nodes with real ownership: a bucket that moves in the middle of a pass is finished by its
// new owner, and looking after rules moves nothing by itself.
import assert from 'node:assert/strict';
import test, { afterEach } from 'node:test';
import type { DatasetAccess } from '../../../src/ownership/access.ts';
import { LIFECYCLE_DOCUMENT } from '../../../src/s3/lifecycle/configuration.ts';
import { createLifecycleWorker, type LifecycleWorker } from '../../../src/s3/lifecycle/worker.ts';
import { silentLogger } from '../../../src/telemetry/log.ts';
import { createMetrics } from '../../../src/telemetry/metrics.ts';
import { TestCluster } from '../../ownership/cluster.ts';
import { DAY, document, rule } from './rules.ts';

let cluster: TestCluster;
afterEach(() => cluster.stop());

const BATCH = 3;
const other = (node: string) => (node === 'a' ? 'b' : 'a');

/** Ten days later. `beforeEnter` runs outside of the gate, before each batch. */
function workerOf(node: string, beforeEnter: (batch: number) => Promise<void> = async () => {}) {
  const { access } = cluster.own(node);
  const metrics = createMetrics();
  let batch = 0;
  const watched = new Proxy(access, {
    get(target, name: keyof DatasetAccess) {
      if (name !== 'enter') {
        const value: unknown = Reflect.get(target, name);
        return typeof value === 'function' ? value.bind(target) : value;
      }
      return async (...args: Parameters<DatasetAccess['enter']>) => {
        await beforeEnter(batch++);
        return target.enter(...args);
      };
    },
  });
  const worker = createLifecycleWorker({
    self: node,
    access: watched,
    clock: { wallMs: () => Date.now() + 10 * DAY, monotonicMs: () => 0 },
    metrics,
    log: silentLogger(),
    dayMs: () => DAY,
    limits: { batchVersions: BATCH },
    pause: async () => {},
  });
  return { worker, metrics, batches: () => batch };
}

async function keysAt(node: string): Promise<string[]> {
  const held = await cluster.own(node).access.enter('photos', 'read', { background: true });
  try {
    return held.store.list({ prefix: '', delimiter: '', after: '', limit: 100 }).entries.map(({ key }) => key);
  } finally {
    held.release();
  }
}

async function fill(node: string, count: number): Promise<void> {
  for (let i = 0; i < count; i++) await cluster.put(node, 'photos', `k${i}`, 'v');
  await cluster.put(node, 'photos', 'z', 'v');
  const held = await cluster.own(node).access.enter('photos', 'write');
  await held.store.setDocument(LIFECYCLE_DOCUMENT, document(rule({ expiration: { days: 1 } }, { prefix: 'k' })));
  held.release();
}

function runPasses(...workers: readonly { worker: LifecycleWorker }[]) {
  return Promise.all(workers.map(({ worker }) => worker.runPass()));
}

test('a bucket that moves in the middle of a pass is finished by its new owner', async () => {
  cluster = await TestCluster.start(['a', 'b']);
  const from = await cluster.create('photos');
  const to = other(from);
  await fill(from, 8);
  const before = workerOf(from, async (batch) => {
    if (batch !== 1) return;
    await cluster.own(from).move('photos', to);
    await cluster.until('moved', () => cluster.ownerOf('photos') === to);
  });
  await before.worker.runPass();
  assert.deepEqual(await keysAt(to), ['k3', 'k4', 'k5', 'k6', 'k7', 'z'], 'one batch before the move');
  const after = workerOf(to);
  // Both have heard of it.
  await cluster.rounds(3);
  await runPasses(before, after);
  assert.deepEqual(await keysAt(to), ['z']);
  assert.equal(before.batches(), 2, 'the former owner does not try again');
  const { values } = await before.metrics.lifecyclePasses.get();
  assert.deepEqual(
    values.map(({ labels, value }) => [labels.outcome, value]),
    [['moved', 1]],
  );
});

test('a handoff does not wait for a pass, only for a batch', async () => {
  cluster = await TestCluster.start(['a', 'b']);
  const from = await cluster.create('photos');
  const to = other(from);
  await fill(from, 20);
  let moving: Promise<unknown> = Promise.resolve();
  const { worker } = workerOf(from, async (batch) => {
    // The drain begins while the pass goes on.
    if (batch === 1) moving = cluster.own(from).move('photos', to);
    if (batch >= 1) await cluster.rounds(1);
  });
  await worker.runPass();
  await moving;
  await cluster.until('moved', () => cluster.ownerOf('photos') === to);
  await workerOf(to).worker.runPass();
  assert.deepEqual(await keysAt(to), ['z']);
});

test('an owner that is killed between two batches finishes after its restart', async () => {
  cluster = await TestCluster.start(['a', 'b']);
  const node = await cluster.create('photos');
  await fill(node, 8);
  const before = workerOf(node, async (batch) => {
    if (batch === 1) await cluster.kill(node);
  });
  await before.worker.runPass();
  await cluster.startNode(node);
  await cluster.rounds(3);
  await workerOf(node).worker.runPass();
  assert.deepEqual(await keysAt(node), ['z']);
});

test('looking after rules calls no bucket home; a request does', async () => {
  cluster = await TestCluster.start(['a', 'b'], { mode: 'lazy', limits: { pokeEveryMs: 0 } });
  const home = await cluster.create('photos');
  const owner = other(home);
  await fill(home, 8);
  await cluster.own(home).move('photos', owner);
  await cluster.until('moved', () => cluster.ownerOf('photos') === owner);
  await cluster.own(owner).move('photos', null);
  await cluster.until('unpinned', () => cluster.own(home).home('photos') === home);
  await workerOf(owner).worker.runPass();
  await cluster.rounds(6);
  assert.equal(cluster.ownerOf('photos'), owner);
  assert.deepEqual(await keysAt(owner), ['z']);
  await cluster.get(owner, 'photos', 'z');
  await cluster.until('called home', () => cluster.ownerOf('photos') === home);
});

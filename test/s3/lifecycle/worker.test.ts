// The worker over real stores: what a pass does to a bucket, what it leaves alone, what changes while it looks. Its clock
// is the test's; the store's is the real one, so `days` are counted from now.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, describe, test } from 'node:test';
import { ZringError } from '../../../src/common/errors.ts';
import { LIFECYCLE_DOCUMENT, type LifecycleRule } from '../../../src/s3/lifecycle/configuration.ts';
import type { LifecycleLimits } from '../../../src/s3/lifecycle/limits.ts';
import { createLifecycleWorker } from '../../../src/s3/lifecycle/worker.ts';
import type { ObjectEntry, RemoveRequest, Store } from '../../../src/store/types.ts';
import { silentLogger } from '../../../src/telemetry/log.ts';
import { createMetrics } from '../../../src/telemetry/metrics.ts';
import { MemoryAccess, overrideStore, temporaryFolder } from '../../support/memory-access.ts';
import { bucketName } from '../../support/s3-fixture.ts';
import { DAY, document, rule } from './rules.ts';

const folder = await temporaryFolder();
const accesses: MemoryAccess[] = [];
after(async () => {
  for (const access of accesses) {
    assert.equal(access.held, 0, 'the worker kept the gate of a dataset');
    await access.close();
  }
  await folder.remove();
});

/** A node with one bucket and a worker that runs when told to. */
async function setUp(limits: Partial<LifecycleLimits> = {}, versioning?: 'enabled') {
  const access = new MemoryAccess(folder.path, { self: bucketName('node') });
  accesses.push(access);
  const bucket = bucketName();
  await access.create(bucket, {}, versioning ? { versioning } : {});
  const store = await access.store(bucket);
  const clock = { days: 0, monotonic: 0 };
  const metrics = createMetrics();
  const pauses: number[] = [];
  const worker = createLifecycleWorker({
    self: access.self,
    access,
    clock: { wallMs: () => Date.now() + clock.days * DAY, monotonicMs: () => clock.monotonic },
    metrics,
    log: silentLogger(),
    dayMs: () => DAY,
    limits,
    pause: async (ms) => {
      pauses.push(ms);
    },
  });
  const rules = (...all: LifecycleRule[]) => store.setDocument(LIFECYCLE_DOCUMENT, document(...all));
  const pass = async (days: number) => {
    clock.days = days;
    await worker.runPass();
  };
  const count = async (name: 'lifecycleChanges' | 'lifecycleKept' | 'lifecyclePasses', label: string) => {
    const { values } = await metrics[name].get();
    return values.find(({ labels }) => Object.values(labels).includes(label))?.value ?? 0;
  };
  return { access, bucket, store, clock, metrics, pauses, worker, rules, pass, count };
}

async function put(store: Store, key: string, body = key, attributes: Record<string, unknown> = {}) {
  const writer = store.beginBlob(body.length);
  await writer.write(Buffer.from(body));
  const etag = createHash('md5').update(body).digest('hex');
  return store.put({ key, blob: await writer.finish(), etag, attributes });
}

/** Newest first: sizes, `-` for delete markers. */
function stack(store: Store, key: string): string {
  const { versions } = store.listVersions({ prefix: key, delimiter: '', afterKey: '', limit: 1000 });
  return versions
    .filter(({ entry }) => entry.key === key)
    .map(({ entry }) => (entry.deleteMarker ? '-' : entry.size))
    .join(' ');
}

function keys(store: Store): string[] {
  return store.list({ prefix: '', delimiter: '', after: '', limit: 1000 }).entries.map(({ key }) => key);
}

const expire = (days: number) => rule({ expiration: { days } });

describe('a pass', () => {
  test('removes what is due, and nothing before', async () => {
    const { store, rules, pass, metrics, count } = await setUp();
    await put(store, 'logs/a', 'aaaa');
    await put(store, 'logs/b', 'bb');
    await put(store, 'keep');
    await rules(rule({ expiration: { days: 1 } }, { prefix: 'logs/' }));
    await pass(0.9);
    assert.deepEqual(keys(store), ['keep', 'logs/a', 'logs/b']);
    await pass(2.1);
    assert.deepEqual(keys(store), ['keep']);
    assert.equal(await count('lifecycleChanges', 'object'), 2);
    assert.equal((await metrics.lifecycleRemovedBytes.get()).values[0]?.value, 6);
  });

  test('hides the current version where versions are kept, removes it where they never were', async () => {
    const { store, rules, pass } = await setUp({}, 'enabled');
    await put(store, 'k', '1');
    await put(store, 'k', '22');
    await rules(expire(1));
    await pass(3);
    assert.equal(stack(store, 'k'), '- 2 1');
    await pass(30);
    assert.equal(stack(store, 'k'), '- 2 1', 'a marker that hides versions is not hidden again');
  });

  test('suspended: the marker takes the place of the null version', async () => {
    const { store, rules, pass } = await setUp({}, 'enabled');
    await put(store, 'k', '1');
    await store.setVersioning('suspended');
    await put(store, 'k', '22');
    await rules(expire(1));
    await pass(3);
    assert.equal(stack(store, 'k'), '- 1');
  });

  test('keeps the newest noncurrent versions, over the borders of batches too', async () => {
    for (const batchVersions of [1, 2, 3, 100]) {
      const { store, rules, pass } = await setUp({ batchVersions }, 'enabled');
      for (let size = 1; size <= 7; size++) await put(store, 'k', 'x'.repeat(size));
      await put(store, 'l', '1');
      await rules(rule({ noncurrentExpiration: { noncurrentDays: 1, newerNoncurrentVersions: 2 } }));
      await pass(3);
      assert.equal(stack(store, 'k'), '7 6 5', `batches of ${batchVersions}`);
      assert.equal(stack(store, 'l'), '1');
    }
  });

  test('versions that another rule takes do not count among the newest that stay', async () => {
    const { store, rules, pass } = await setUp({}, 'enabled');
    for (let size = 1; size <= 5; size++) {
      await put(store, 'k', 'x'.repeat(size), size === 4 ? { tags: { drop: 'me' } } : {});
    }
    await rules(
      rule({ noncurrentExpiration: { noncurrentDays: 1, newerNoncurrentVersions: 2 } }),
      rule({ noncurrentExpiration: { noncurrentDays: 1 } }, { tags: [{ key: 'drop', value: 'me' }] }),
    );
    await pass(3);
    assert.equal(stack(store, 'k'), '5 3 2');
  });

  test('a version that only its lock keeps counts among the newest that stay', async () => {
    const { store, rules, pass } = await setUp({}, 'enabled');
    for (let size = 1; size <= 5; size++) {
      await put(store, 'k', 'x'.repeat(size), size === 3 ? { tags: { drop: 'me' }, legalHold: true } : {});
    }
    await rules(
      rule({ noncurrentExpiration: { noncurrentDays: 1, newerNoncurrentVersions: 2 } }),
      rule({ noncurrentExpiration: { noncurrentDays: 1 } }, { tags: [{ key: 'drop', value: 'me' }] }),
    );
    await pass(3);
    assert.equal(stack(store, 'k'), '5 4 3');
  });

  test('clears what is noncurrent below a marker, then the marker that hides nothing any more', async () => {
    const { store, rules, pass } = await setUp({}, 'enabled');
    await put(store, 'k', '1');
    await store.remove({ key: 'k' });
    await put(store, 'kk', '1');
    await rules(
      rule({ noncurrentExpiration: { noncurrentDays: 1 } }),
      rule({ expiration: { expiredObjectDeleteMarker: true } }),
    );
    await pass(0);
    assert.equal(stack(store, 'k'), '- 1');
    await pass(3);
    await pass(3);
    assert.equal(stack(store, 'k'), '');
    assert.equal(stack(store, 'kk'), '1');
  });

  test('gives up uploads by age and prefix, in several batches', async () => {
    const { store, rules, pass } = await setUp({ batchVersions: 2 });
    for (const key of ['a/1', 'a/2', 'a/3', 'b']) await store.createUpload(key, {});
    await rules(rule({ abortUpload: { daysAfterInitiation: 2 } }, { prefix: 'a/' }));
    const left = () =>
      store
        .listUploads({ prefix: '', delimiter: '', afterKey: '', afterUploadId: '', limit: 10 })
        .uploads.map(({ key }) => key);
    await pass(1.9);
    assert.equal(left().length, 4);
    await pass(3.1);
    assert.deepEqual(left(), ['b']);
  });

  test('changes the class that a version shows, and nothing else of it', async () => {
    const { store, rules, pass } = await setUp();
    const before = await put(store, 'k', 'x'.repeat(1000), { tags: { a: '1' } });
    await rules(rule({ transitions: [{ days: 1, storageClass: 'GLACIER_IR' }] }, { sizeGreaterThan: 1 }));
    await pass(3);
    const after = store.head('k');
    assert.deepEqual(after?.attributes, { tags: { a: '1' }, storageClass: 'GLACIER_IR' });
    assert.equal(after?.etag, before.etag);
    assert.equal(after?.modifiedMs, before.modifiedMs);
  });

  test('does not destroy what is locked, and does once the lock has run out', async () => {
    const { store, rules, pass, count } = await setUp({}, 'enabled');
    const until = Date.now() + 20 * DAY;
    await put(store, 'compliance', '1', { retention: { mode: 'COMPLIANCE', untilMs: until } });
    await put(store, 'governance', '1', { retention: { mode: 'GOVERNANCE', untilMs: until } });
    await put(store, 'held', '1', { legalHold: true });
    for (const key of ['compliance', 'governance', 'held']) await put(store, key, '22');
    await rules(rule({ noncurrentExpiration: { noncurrentDays: 1 } }));
    await pass(10);
    for (const key of ['compliance', 'governance', 'held']) assert.equal(stack(store, key), '2 1', key);
    assert.equal(await count('lifecycleKept', 'locked'), 3);
    await pass(21);
    assert.equal(stack(store, 'compliance'), '2');
    assert.equal(stack(store, 'governance'), '2');
    assert.equal(stack(store, 'held'), '2 1');
  });

  test('visits every key once, whatever the size of a batch', async () => {
    const { store, rules, pass, access } = await setUp({ batchVersions: 7 });
    const all = Array.from({ length: 50 }, (_, i) => `k${String(i).padStart(3, '0')}`);
    for (const key of all) await put(store, key, '', { tags: { n: key.endsWith('7') ? 'keep' : 'drop' } });
    let entered = 0;
    access.onEnter = () => {
      entered += 1;
    };
    await rules(rule({ expiration: { days: 1 } }, { tags: [{ key: 'n', value: 'drop' }] }));
    await pass(3);
    assert.deepEqual(keys(store), ['k007', 'k017', 'k027', 'k037', 'k047']);
    assert.equal(entered, Math.ceil(50 / 7), 'one hold for each batch');
  });

  test('leaves time for requests after each batch', async () => {
    const { store, rules, pass, pauses } = await setUp({
      batchVersions: 5,
      changesPerSecond: 100,
      versionsPerSecond: 1000,
    });
    for (let i = 0; i < 12; i++) await put(store, `k${i}`, '');
    await rules(expire(1));
    await pass(0);
    assert.deepEqual(pauses, [5, 5, 2]);
    pauses.length = 0;
    await pass(3);
    assert.deepEqual(pauses, [50, 50, 20]);
  });

  test('takes no more than half of the time, however long a batch takes', async () => {
    const { access, store, clock, rules, pass, pauses } = await setUp({ batchVersions: 5, versionsPerSecond: 1000 });
    for (let i = 0; i < 8; i++) await put(store, `k${i}`, '');
    await rules(expire(1));
    const enter = access.enter.bind(access);
    access.enter = async (...request) => {
      // As if its rules were many.
      clock.monotonic += 70;
      return enter(...request);
    };
    await pass(0);
    assert.deepEqual(pauses, [70, 70]);
  });
});

describe('what changes between the page and the commit', () => {
  /** Does `meanwhile` once, right before the first commit of the worker. */
  function interrupt(access: MemoryAccess, meanwhile: (store: Store) => Promise<unknown>): void {
    let done = false;
    access.wrapStore = (store) => {
      const first = async () => {
        if (done) return;
        done = true;
        await meanwhile(store);
      };
      return overrideStore(store, {
        remove: async (request: RemoveRequest) => {
          await first();
          return store.remove(request);
        },
        annotate: async (request) => {
          await first();
          return store.annotate(request);
        },
      });
    };
  }

  const cases: readonly {
    name: string;
    rules: LifecycleRule[];
    before: (store: Store) => Promise<unknown>;
    meanwhile: (store: Store) => Promise<unknown>;
    leaves: string;
  }[] = [
    {
      name: 'an object that was overwritten, with the same bytes, stays',
      rules: [expire(1)],
      before: (store) => put(store, 'k', '1'),
      meanwhile: (store) => put(store, 'k', '1'),
      leaves: '1',
    },
    {
      name: 'an object whose tags were changed stays',
      rules: [rule({ expiration: { days: 1 } }, { tags: [{ key: 'a', value: '1' }] })],
      before: (store) => put(store, 'k', '1', { tags: { a: '1' } }),
      meanwhile: (store) => store.annotate({ key: 'k', change: () => ({ tags: { a: '2' } }) }),
      leaves: '1',
    },
    {
      name: 'a version that came back to the top stays',
      rules: [rule({ noncurrentExpiration: { noncurrentDays: 1 } })],
      before: async (store) => {
        await store.setVersioning('enabled');
        await put(store, 'k', '1');
        await put(store, 'k', '22');
      },
      meanwhile: (store) => store.remove({ key: 'k', version: store.head('k')?.versionId ?? null }),
      leaves: '1',
    },
    {
      name: 'a marker that came back to the top stays, and goes on hiding',
      rules: [
        rule({ noncurrentExpiration: { noncurrentDays: 99 } }),
        rule({ noncurrentExpiration: { noncurrentDays: 1, newerNoncurrentVersions: 1 } }),
      ],
      before: async (store) => {
        await store.setVersioning('enabled');
        await put(store, 'k', '1');
        await store.remove({ key: 'k' });
        await put(store, 'k', '22');
        await put(store, 'k', '333');
      },
      meanwhile: async (store) => {
        for (let i = 0; i < 2; i++) await store.remove({ key: 'k', version: store.head('k')?.versionId ?? null });
      },
      leaves: '-',
    },
    {
      name: 'a marker that something new lies on stays',
      rules: [rule({ expiration: { expiredObjectDeleteMarker: true } })],
      before: async (store) => {
        await store.setVersioning('enabled');
        await store.remove({ key: 'k' });
      },
      meanwhile: (store) => put(store, 'k', '1'),
      leaves: '1 -',
    },
    {
      name: 'a version that was locked stays',
      rules: [rule({ noncurrentExpiration: { noncurrentDays: 1 } })],
      before: async (store) => {
        await store.setVersioning('enabled');
        await put(store, 'k', '1');
        await put(store, 'k', '22');
      },
      meanwhile: (store) => {
        const old = store.listVersions({ prefix: 'k', delimiter: '', afterKey: '', limit: 2 }).versions[1]
          ?.entry as ObjectEntry;
        return store.annotate({ key: 'k', version: old.versionId, change: () => ({ legalHold: true }) });
      },
      leaves: '2 1',
    },
    {
      name: 'an object that is gone is no failure',
      rules: [expire(1)],
      before: (store) => put(store, 'k', '1'),
      meanwhile: (store) => store.remove({ key: 'k' }),
      leaves: '',
    },
  ];
  for (const { name, rules: all, before, meanwhile, leaves } of cases) {
    test(name, async () => {
      const { access, store, rules, pass, count } = await setUp();
      await before(store);
      await rules(...all);
      interrupt(access, meanwhile);
      await pass(10);
      assert.equal(stack(store, 'k'), leaves);
      assert.equal((await count('lifecycleKept', 'changed')) + (await count('lifecycleKept', 'locked')), 1);
      assert.equal(await count('lifecyclePasses', 'done'), 1);
    });
  }
});

describe('a dataset', () => {
  test('without rules is looked at once, and again when rules are put', async () => {
    const { access, bucket, store, rules, worker, clock } = await setUp();
    await put(store, 'k', '1');
    clock.days = 10;
    const entered: string[] = [];
    access.onEnter = (_dataset, mode) => entered.push(mode);
    await worker.runPass();
    assert.deepEqual(entered, ['delete']);
    assert.deepEqual(worker.status(bucket), { rules: false, passing: false, lastPassMs: null });
    await rules(expire(1));
    worker.changed(bucket);
    await worker.runPass();
    assert.deepEqual(keys(store), []);
    assert.equal(worker.status(bucket)?.rules, true);
  });

  test('that is busy is tried again from the same batch; one that fails from the beginning', async () => {
    const { access, store, rules, worker, clock, count } = await setUp({ batchVersions: 2 });
    for (const key of ['a', 'b', 'c', 'd']) await put(store, key, '1');
    await rules(expire(1));
    clock.days = 10;
    for (const [code, left, outcome] of [
      ['DATASET_BUSY', ['c', 'd'], null],
      ['STORAGE_UNAVAILABLE', ['c', 'd'], 'failed'],
    ] as const) {
      let batches = 0;
      access.onEnter = () => {
        batches += 1;
        if (batches === (outcome ? 1 : 2)) throw new ZringError(code, 'no');
      };
      await worker.runPass();
      assert.deepEqual(keys(store), left);
      if (outcome) assert.equal(await count('lifecyclePasses', outcome), 1);
    }
    access.onEnter = () => undefined;
    await worker.runPass();
    assert.deepEqual(keys(store), []);
  });

  test('a commit of several that fails leaves the others done and the gate free', async () => {
    const { access, store, rules, pass, count } = await setUp();
    for (const key of ['a', 'b', 'c']) await put(store, key, '1');
    await rules(expire(1));
    access.wrapStore = (inner) =>
      overrideStore(inner, {
        remove: (request: RemoveRequest) =>
          request.key === 'b' ? Promise.reject(new ZringError('STORAGE_UNAVAILABLE', 'no')) : inner.remove(request),
      });
    await pass(10);
    assert.deepEqual(keys(store), ['b']);
    assert.equal(access.held, 0);
    assert.equal(await count('lifecyclePasses', 'failed'), 1);
    access.wrapStore = (inner) => inner;
    await pass(10);
    assert.deepEqual(keys(store), []);
  });

  test('of another node is not entered', async () => {
    const { access, bucket, rules, worker } = await setUp();
    await rules(expire(1));
    const record = access.catalog.records.get(bucket);
    assert(record);
    access.catalog.records.set(bucket, { ...record, owner: 'another' });
    access.onEnter = () => assert.fail('entered');
    await worker.runPass();
    assert.equal(worker.status(bucket), null);
  });
});

test('started, it hears of new rules, gives them a minute, passes again when the time has come, and stops', async () => {
  const access = new MemoryAccess(folder.path, { self: bucketName('node') });
  accesses.push(access);
  const bucket = bucketName();
  await access.create(bucket, {});
  const store = await access.store(bucket);
  const clock = { monotonicMs: 0 };
  /** The sleep that is under way, and who waits for one to begin. */
  let awake: () => void = () => undefined;
  let onSleep: () => void = () => undefined;
  const asleep = () =>
    new Promise<void>((resolve) => {
      onSleep = resolve;
    });
  const worker = createLifecycleWorker({
    self: access.self,
    access,
    clock: { wallMs: () => Date.now() + 10 * DAY, monotonicMs: () => clock.monotonicMs },
    metrics: createMetrics(),
    log: silentLogger(),
    dayMs: () => DAY,
    // Paces batches of nothing to no time, so what is left are the sleeps between turns.
    limits: { versionsPerSecond: Number.POSITIVE_INFINITY, changesPerSecond: Number.POSITIVE_INFINITY },
    pause: (_ms, signal) =>
      new Promise((resolve) => {
        awake = resolve;
        signal.addEventListener('abort', () => resolve(), { once: true });
        onSleep();
      }),
  });
  let sleeping = asleep();
  worker.start();
  await sleeping;
  assert.equal(worker.status(bucket)?.rules, null, 'a node that has just started looks at nothing yet');
  clock.monotonicMs += 60_000;
  sleeping = asleep();
  awake();
  await sleeping;
  assert.equal(worker.status(bucket)?.rules, false);

  await put(store, 'k', '1');
  await store.setDocument(LIFECYCLE_DOCUMENT, document(expire(1)));
  sleeping = asleep();
  worker.changed(bucket);
  await sleeping;
  assert.deepEqual(keys(store), ['k'], 'a minute to take them back');
  clock.monotonicMs += 60_000;
  sleeping = asleep();
  awake();
  await sleeping;
  assert.deepEqual(keys(store), [], 'new rules');

  await put(store, 'k', '1');
  for (const [hours, left] of [
    [1, ['k']],
    [2, []],
  ] as const) {
    clock.monotonicMs += hours * 3_600_000;
    sleeping = asleep();
    awake();
    await sleeping;
    assert.deepEqual(keys(store), left, 'every eighth of a day');
  }

  await worker.stop();
  await worker.stop();
  access.onEnter = () => assert.fail('entered after it stopped');
  worker.changed(bucket);
});

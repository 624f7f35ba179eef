// The small parts: copies as properties, the lease, the gate, plans of pulls, the byte cap, names, stock-taking.
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import type { NodeInfo } from '../../src/cluster/coordinator.ts';
import type { OwnershipRecord } from '../../src/cluster/record.ts';
import { SYSTEM_TIMERS } from '../../src/common/clock.ts';
import type { DurableMap } from '../../src/common/durable-map.ts';
import { openDirDriver } from '../../src/dataset/dir.ts';
import { isDatasetName } from '../../src/dataset/names.ts';
import {
  copyProperties,
  formatState,
  parseCopy,
  receivingName,
  setAsideName,
} from '../../src/ownership/copy-properties.ts';
import { Gate } from '../../src/ownership/gate.ts';
import { NodeLease } from '../../src/ownership/lease.ts';
import { NodeDisk } from '../../src/ownership/node-disk.ts';
import { type PullFacts, PullMemory, planPulls } from '../../src/ownership/rebalance.ts';
import { finalName, isOurs, isStepOf, stepName } from '../../src/ownership/snapshot-names.ts';
import { takeStock } from '../../src/ownership/startup.ts';
import type { Copy } from '../../src/ownership/state.ts';
import { TokenBucket } from '../../src/ownership/token-bucket.ts';
import { silentLogger } from '../../src/telemetry/log.ts';
import { createMemoryCluster } from '../support/memory-coordinator.ts';

const ID = 'ab'.repeat(16);
const owner: Copy = {
  id: ID,
  role: 'owner',
  term: { n: 3, node: 'a' },
  createdMs: 17,
  creator: null,
  promise: null,
  source: null,
  deleting: false,
  priorSinceMs: null,
};
const handoff = { term: { n: 3, node: 'a' }, snapshot: 'zring-final-3-x', guid: '123' };

test('a copy is one property, and comes back as it was', () => {
  const texts: [Copy, string][] = [
    [owner, 'owner 3@a'],
    [{ ...owner, promise: { to: 'b', ...handoff } }, 'owner 3@a promised b 3@a 123 zring-final-3-x'],
    [{ ...owner, deleting: true }, 'owner 3@a deleting'],
    [
      { ...owner, role: 'prepared', term: { n: 4, node: 'b' }, source: { node: 'a', ...handoff } },
      'prepared 4@b from a 3@a 123 zring-final-3-x',
    ],
    [{ ...owner, role: 'prior', priorSinceMs: 99 }, 'prior 3@a since 99'],
  ];
  for (const [copy, text] of texts) {
    assert.equal(formatState(copy), text);
    const properties = copyProperties('photos', 'lab', copy);
    assert.deepEqual(parseCopy({ name: '_recv-x', properties }), { dataset: 'photos', copy });
  }
  assert.equal(parseCopy({ name: 'x', properties: { id: ID } }), null);
  const properties = copyProperties('photos', 'lab', owner);
  assert.throws(() => parseCopy({ name: 'x', properties: { ...properties, version: '2' } }), {
    code: 'VERSION_UNSUPPORTED',
  });
  for (const state of ['king 3@a', 'owner', 'owner 3', 'owner 3@a promised b', 'owner 3@a maybe', '']) {
    assert.throws(
      () => parseCopy({ name: 'x', properties: { ...properties, state } }),
      { code: 'STORAGE_CORRUPT' },
      state,
    );
  }
});

test('names are allowed, and tell whose they are', () => {
  const longest = { id: ID, term: { n: 999_999_999_999_999, node: 'n'.repeat(63) } };
  for (const name of [
    receivingName(ID),
    setAsideName('deposed', longest, '0123456789ab'),
    setAsideName('deleted', longest, '0123456789ab'),
  ]) {
    assert.ok(isDatasetName(name), name);
  }
  assert.ok(isOurs(stepName('a-1', 'x')) && isOurs(finalName({ n: 1, node: 'a' }, 'x')) && !isOurs('daily-1'));
  assert.ok(isStepOf(stepName('a', 'x'), 'a'));
  assert.ok(!isStepOf(stepName('a-1', 'x'), 'a'), 'another node whose name begins the same');
});

test('the lease counts from before the call, ends by itself, and tells a predecessor from a stranger', async () => {
  const cluster = createMemoryCluster();
  let nowMs = 0;
  let delayMs = 0;
  const base = cluster.connect();
  const coordinator = new Proxy(base, {
    get: (target, key) => {
      const value = Reflect.get(target, key) as (...args: unknown[]) => Promise<unknown>;
      if (key !== 'acquireLease') return typeof value === 'function' ? value.bind(target) : value;
      return async (...args: unknown[]) => {
        const result = await value.apply(target, args);
        nowMs += delayMs;
        return result;
      };
    },
  });
  const info: NodeInfo = {
    release: '',
    formats: {},
    freeBytes: 0,
    totalBytes: 0,
    datasets: 0,
    moves: [],
    startedMs: 0,
  };
  // One storage root, which knows of one process before.
  const stored = new Map<string, string>();
  const map: DurableMap = {
    get: (key) => stored.get(key),
    entries: () => [],
    commit: async (changes) => {
      for (const change of changes) {
        const [key, value] = 'key' in change ? [change.key, change.value] : change;
        if (value === null) stored.delete(key);
        else stored.set(key, value);
      }
    },
    close: async () => {},
  };
  let random = 0;
  const hex = (bytes: number) => (bytes === 16 ? ID : `${++random}`.padStart(16, '0'));
  const make = async (instance: string, former: string | null) => {
    stored.delete('lease/instance');
    if (former !== null) stored.set('lease/instance', former);
    const disk = new NodeDisk(map, SYSTEM_TIMERS, { hex, fraction: () => 0 });
    await disk.begin(instance);
    return new NodeLease({
      node: 'a',
      instance,
      disk,
      coordinator,
      clock: { monotonicMs: () => nowMs, wallMs: () => 0 },
      logger: silentLogger(),
      ttlMs: () => 10_000,
      info: () => info,
    });
  };
  const lease = await make('one', null);
  assert.ok(!lease.mayServe(['a', 'b']));
  assert.ok(lease.mayServe(['a']), 'alone in the in-sync set: nobody else can own it');
  delayMs = 3_000;
  await lease.renew();
  assert.equal(lease.state().remainingMs, 7_000);
  assert.ok(lease.mayServe(['a', 'b']));
  nowMs += 7_000;
  assert.ok(!lease.mayServe(['a', 'b']));
  cluster.setAvailable(false);
  await lease.renew();
  assert.equal(lease.state().taken, false);
  cluster.setAvailable(true);
  const stranger = await make('two', null);
  await stranger.renew();
  assert.ok(stranger.state().taken && !stranger.mayServe(['a']));
  const heir = await make('three', 'one');
  await heir.renew();
  assert.equal(heir.state().taken, false);
  await heir.stop();
  assert.deepEqual(await base.leases(), []);
});

test('the gate counts: drained when the last one leaves, not before', async () => {
  let nowMs = 0;
  const gate = new Gate({ monotonicMs: () => nowMs, wallMs: () => 0 });
  assert.ok(await gate.drained(0));
  const first = gate.enter('read');
  nowMs = 50;
  const second = gate.enter('write');
  assert.equal(gate.oldestMs(), 50);
  assert.equal(await gate.drained(1), false);
  const drained = gate.drained(60_000);
  gate.leave(first);
  gate.leave(first);
  assert.equal(gate.inside, 1);
  gate.abortAll(new Error('enough'));
  assert.ok(second.controller.signal.aborted);
  gate.leave(second);
  assert.ok(await drained);
});

test('which pulls start: what was begun before what is touched, pinned, leaving, wanted in the background; capped', () => {
  const record = (dataset: string, change: Partial<OwnershipRecord> = {}): OwnershipRecord => ({
    version: 1,
    dataset,
    id: ID,
    owner: 'b',
    term: { n: 1, node: 'b' },
    phase: 'stable',
    target: null,
    pin: null,
    inSync: ['b'],
    createdMs: 1,
    creator: null,
    ...change,
  });
  const records = [
    record('background'),
    record('leaving', { owner: 'c' }),
    record('pinned', { pin: 'a' }),
    record('touched'),
    record('begun', { phase: 'copying', target: 'a' }),
    record('urgent', { phase: 'draining', target: 'a' }),
    record('failed', { pin: 'a' }),
    record('mine', { owner: 'a' }),
    record('elsewhere'),
    record('running'),
  ];
  const facts: PullFacts = {
    self: 'a',
    mode: 'background',
    concurrency: 99,
    nowMs: 10,
    records,
    home: (known) => (known.dataset === 'elsewhere' ? 'b' : 'a'),
    isLeaving: (node) => node === 'c',
    touched: new Set(['touched']),
    running: new Set(['running']),
    notBeforeMs: (dataset) => (dataset === 'failed' ? 11 : 0),
  };
  const order = ['urgent', 'begun', 'touched', 'pinned', 'leaving', 'background'];
  assert.deepEqual(planPulls(facts), { start: order, cancel: [] });
  assert.deepEqual(planPulls({ ...facts, mode: 'lazy' }).start, order.slice(0, -1));
  assert.deepEqual(planPulls({ ...facts, concurrency: 3 }).start, ['urgent', 'begun']);
  assert.deepEqual(planPulls({ ...facts, concurrency: 0 }).start, ['urgent'], 'clients wait for it: never held back');
  const elsewhere = { start: ['urgent'], cancel: ['begun', 'running'] };
  assert.deepEqual(
    planPulls({ ...facts, home: () => 'b' }),
    elsewhere,
    'what is asked for is seen through, claims are taken back',
  );
});

test('failed pulls wait longer each time, up to a bound', () => {
  const memory = new PullMemory(100);
  const waits = Array.from({ length: 7 }, () => {
    memory.ended('d', false, 0);
    return memory.notBeforeMs('d');
  });
  assert.deepEqual(waits, [100, 200, 400, 800, 1600, 1600, 1600]);
  memory.ended('d', true, 0);
  assert.ok(memory.notBeforeMs('d') < 0);
});

test('the byte cap holds over all streams, with a small burst', () => {
  let nowMs = 0;
  const bucket = new TokenBucket(1_000_000, () => nowMs);
  let waited = 0;
  for (let i = 0; i < 100; i++) {
    const waitMs = bucket.take(100_000);
    waited += waitMs;
    nowMs += waitMs;
  }
  assert.ok(Math.abs(waited - 10_000) < 200, `${waited} ms for 10 MB at 1 MB/s`);
  bucket.setRate(null);
  assert.equal(bucket.take(1e12), 0);
});

test('at start: half-received copies go, whole ones are published, set-aside ones and strangers stay', async () => {
  const root = await mkdtemp(join(tmpdir(), 'zring-stock-'));
  try {
    const driver = await openDirDriver(join(root, 'x'), 'lab');
    const make = (name: string, properties: Record<string, string>) => driver.create(name, properties, async () => {});
    const whole = 'cd'.repeat(16);
    await make('photos', copyProperties('photos', 'lab', owner));
    await make(receivingName(ID), { id: ID });
    await make(receivingName(whole), copyProperties('films', 'lab', { ...owner, id: whole, role: 'receiving' }));
    await make(setAsideName('deposed', owner, 'x'), copyProperties('old', 'lab', owner));
    await make(setAsideName('deleted', owner, 'x'), copyProperties('gone', 'lab', owner));
    await make('stranger', { id: 'ef'.repeat(16) });
    const found = await takeStock(driver, silentLogger());
    assert.deepEqual(found.copies.map((copy) => copy.dataset).sort(), ['films', 'photos']);
    assert.deepEqual(
      found.deposed.map((copy) => copy.dataset),
      ['old'],
    );
    assert.deepEqual([...found.leftovers].sort(), [setAsideName('deleted', owner, 'x'), receivingName(ID)].sort());
    assert.ok(await driver.get('films'));
  } finally {
    await rm(root, { recursive: true, force: true });
  }
});

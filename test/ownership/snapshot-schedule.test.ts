// Snapshots that are taken by themselves: which stay (pure), and when they are taken, over real ownership and stores.
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import test, { afterEach } from 'node:test';
import { createSystemClock } from '../../src/common/system-clock.ts';
import { isScheduled, type KeepPolicy, planRetention, scheduledName } from '../../src/ownership/snapshot-retention.ts';
import { TestCluster } from './cluster.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const START = Date.UTC(2026, 0, 1);
const at = (ms: number) => ({ name: scheduledName(ms), createdMs: ms });
const days = (count: number) => Array.from({ length: count }, (_, i) => at(START + i * DAY));
const kept = (all: { name: string; createdMs: number }[], keep: KeepPolicy) => {
  const gone = new Set(planRetention(all, keep));
  return all
    .filter(({ name }) => !gone.has(name))
    .map(({ createdMs }) => new Date(createdMs).toISOString().slice(0, 13));
};

test('names are of one form, in order of time, and of no other', () => {
  assert.equal(scheduledName(Date.UTC(2026, 0, 2, 3, 4, 5, 678)), 'auto-20260102T030405Z');
  assert.ok(isScheduled(scheduledName(START)));
  for (const name of ['auto-x', 'auto-20260102', 'before', 'manual-20260102T030405Z', 'auto-20260102T030405Z-']) {
    assert.equal(isScheduled(name), false, name);
  }
});

test('the newest few stay', () => {
  assert.deepEqual(kept(days(5), { last: 2, daily: 0, monthly: 0 }), ['2026-01-04T00', '2026-01-05T00']);
  assert.deepEqual(kept(days(1), { last: 0, daily: 0, monthly: 0 }), ['2026-01-01T00'], 'the newest always');
  assert.deepEqual(planRetention([], { last: 1, daily: 1, monthly: 1 }), []);
});

test('of a day and of a month the last one stays, for as many as are wanted', () => {
  const hourly = Array.from({ length: 49 }, (_, i) => at(START + i * HOUR));
  assert.deepEqual(kept(hourly, { last: 1, daily: 2, monthly: 0 }), ['2026-01-02T23', '2026-01-03T00']);
  assert.deepEqual(kept(days(70), { last: 1, daily: 0, monthly: 2 }), ['2026-02-28T00', '2026-03-11T00']);
  assert.deepEqual(kept(days(70), { last: 1, daily: 2, monthly: 3 }), [
    '2026-01-31T00',
    '2026-02-28T00',
    '2026-03-10T00',
    '2026-03-11T00',
  ]);
});

test('days without one do not count: a bucket that rests keeps what it has', () => {
  const rare = [0, 10, 20, 30].map((day) => at(START + day * DAY));
  assert.equal(kept(rare, { last: 1, daily: 4, monthly: 0 }).length, 4);
});

test('what a person has made is never destroyed', () => {
  const mine = { name: 'before', createdMs: START };
  assert.deepEqual(planRetention([mine, ...days(3)], { last: 1, daily: 0, monthly: 0 }), [
    scheduledName(START),
    scheduledName(START + DAY),
  ]);
});

test('at any time of a long life: bounded, and the bound of each kind is used (random walks)', () => {
  const seed = randomInt(2 ** 31);
  console.log(`seed ${seed}`);
  let state = seed;
  const random = () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return state / 2 ** 32;
  };
  const keep = { last: 3, daily: 5, monthly: 4 };
  let all: { name: string; createdMs: number }[] = [];
  let nowMs = START;
  for (let i = 0; i < 3_000; i++) {
    nowMs += Math.ceil(random() * 8 * HOUR);
    all.push(at(nowMs));
    const gone = new Set(planRetention(all, keep));
    all = all.filter(({ name }) => !gone.has(name));
    assert.ok(all.length <= keep.last + keep.daily + keep.monthly, `seed ${seed}: ${all.length}`);
    assert.equal(all.at(-1)?.createdMs, nowMs);
    const months = new Set(all.map(({ createdMs }) => new Date(createdMs).toISOString().slice(0, 7)));
    if (nowMs - START > 150 * DAY) assert.ok(months.size >= keep.monthly, `seed ${seed}: ${months.size} months`);
  }
});

let cluster: TestCluster;
let aheadMs = 0;
afterEach(() => cluster?.stop());

async function start(keep: Partial<KeepPolicy> = {}): Promise<string> {
  aheadMs = 0;
  const system = createSystemClock();
  const clock = { ...system, monotonicMs: () => system.monotonicMs(), wallMs: () => system.wallMs() + aheadMs };
  cluster = await TestCluster.start(['a'], { clock });
  await cluster.create('photos');
  cluster.snapshots = { everyMs: HOUR, keep: { last: 100, daily: 0, monthly: 0, ...keep } };
  await cluster.own('a').applyConfig(cluster.config());
  return 'a';
}

const names = async () => (await cluster.own('a').snapshots.list('photos')).map(({ name }) => name);
const later = async (ms: number) => {
  aheadMs += ms;
  await cluster.rounds(1);
  return names();
};

test('a bucket that changes gets one each time, one that rests gets none', async () => {
  await start();
  await cluster.put('a', 'photos', 'one', '1');
  assert.equal((await later(0)).length, 1, 'the first look: nothing is known');
  assert.equal((await later(2 * HOUR)).length, 1, 'nothing has changed');
  await cluster.put('a', 'photos', 'two', '2');
  assert.equal((await later(HOUR / 2)).length, 2, 'it was due');
  await cluster.put('a', 'photos', 'three', '3');
  assert.equal((await later(HOUR / 2)).length, 2, 'it is not due yet');
  assert.equal((await later(HOUR / 2)).length, 3);
  await cluster.get('a', 'photos', 'one');
  assert.equal((await later(2 * HOUR)).length, 3, 'reading changes nothing');
  assert.ok((await names()).every(isScheduled));
});

test('what is over is destroyed with the next one; what a person has made stays', async () => {
  await start({ last: 2 });
  await cluster.own('a').snapshots.create('photos', 'mine');
  for (let i = 0; i < 5; i++) {
    await cluster.put('a', 'photos', `k${i}`, 'x');
    await later(HOUR);
  }
  const found = await names();
  assert.deepEqual([found.length, found[0]], [3, 'mine']);
});

test('off: none is taken, none destroyed', async () => {
  await start({ last: 1 });
  await cluster.put('a', 'photos', 'one', '1');
  const first = await later(HOUR);
  cluster.snapshots = { ...cluster.snapshots, everyMs: null };
  await cluster.own('a').applyConfig(cluster.config());
  await cluster.put('a', 'photos', 'two', '2');
  assert.deepEqual(await later(10 * HOUR), first);
});

test('an empty bucket gets no first one, for it could not be deleted any more', async () => {
  await start();
  await cluster.get('a', 'photos', 'none');
  assert.deepEqual(await later(HOUR), []);
  await cluster.put('a', 'photos', 'one', '1');
  assert.equal((await later(HOUR)).length, 1);
});

test('after a restart the last one is known, and whether something has changed since', async () => {
  await start();
  await cluster.put('a', 'photos', 'one', '1');
  assert.equal((await later(0)).length, 1);
  await cluster.restart('a');
  await cluster.rounds(2);
  assert.equal((await later(2 * HOUR)).length, 1, 'nobody has opened it');
  await cluster.get('a', 'photos', 'one');
  assert.equal((await later(HOUR)).length, 1, 'opened and not changed');
  await cluster.put('a', 'photos', 'two', '2');
  assert.equal((await later(HOUR)).length, 2);
});

test('what was written right before a restart is in the next one', async () => {
  await start();
  await cluster.put('a', 'photos', 'one', '1');
  await later(0);
  await cluster.put('a', 'photos', 'two', '2');
  await cluster.restart('a');
  await cluster.rounds(2);
  await cluster.get('a', 'photos', 'one');
  assert.equal((await later(2 * HOUR)).length, 2);
});

test('another bucket of the same name starts anew', async () => {
  await start();
  await cluster.put('a', 'photos', 'one', '1');
  await later(0);
  for (const name of await names()) await cluster.own('a').snapshots.destroy('photos', name);
  const held = await cluster.own('a').access.enter('photos', 'delete');
  await held.store.remove({ key: 'one' });
  held.release();
  await cluster.own('a').access.remove('photos');
  await cluster.until('gone', () => cluster.own('a').access.locate('photos').kind === 'absent');
  await cluster.create('photos');
  await cluster.put('a', 'photos', 'one', 'of another');
  assert.equal((await later(0)).length, 1);
});

test('one that fails to be held is not taken again and again', async () => {
  await start();
  await cluster.put('a', 'photos', 'one', '1');
  const { driver } = cluster.node('a');
  const hold = driver.hold.bind(driver);
  let refused = 0;
  driver.hold = async () => {
    refused += 1;
    throw new Error('holds do not work here');
  };
  assert.equal((await later(0)).length, 1);
  assert.equal((await later(1_000)).length, 1);
  assert.equal(refused, 1);
  driver.hold = hold;
});

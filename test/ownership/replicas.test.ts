// Replicas over `dir` storage, and the pure rules: who has one, which shared snapshots stay.
import assert from 'node:assert/strict';
import test from 'node:test';
import type { DatasetDriver } from '../../src/dataset/driver.ts';
import { Lent } from '../../src/ownership/replicas/lent.ts';
import { replicaNodes } from '../../src/ownership/replicas/replica-set.ts';
import { dropShared, planShared } from '../../src/ownership/replicas/shared-snapshots.ts';
import { sharedName } from '../../src/ownership/snapshot-names.ts';
import { silentLogger } from '../../src/telemetry/log.ts';
import { TestCluster } from './cluster.ts';
import { expireLease, keepDisk } from './old-disk.ts';
import { replicaTests } from './replica-suite.ts';

replicaTests('dir', (options) => TestCluster.start(['a', 'b', 'c'], options));

test('an owner whose disk went back gives its replicas nothing', async (t) => {
  const cluster = await TestCluster.start(['a', 'b'], { copies: 2 });
  t.after(() => cluster.stop());
  const owner = await cluster.create('photos');
  const replica = owner === 'a' ? 'b' : 'a';
  const newest = async () => (await cluster.node(replica).driver.snapshots('photos')).at(-1)?.guid;
  const role = (node: string) => cluster.own(node).status().copies[0];
  await cluster.put(owner, 'photos', 'one', '1');
  await cluster.until('a replica', () => role(owner)?.replicas[0]?.isCurrent === true);
  const putBack = await keepDisk(cluster, owner);
  await cluster.put(owner, 'photos', 'two', '2');
  await cluster.rounds(1);
  await cluster.until('current again', () => role(owner)?.replicas[0]?.isCurrent === true);
  const before = await newest();
  await putBack();
  cluster.memory.setAvailable(false);
  await cluster.startNode(owner);
  await cluster.rounds(10);
  assert.equal(await newest(), before, 'it follows nothing that is older');
  assert.equal(role(owner)?.replicas[0]?.isCurrent, false);
  cluster.memory.setAvailable(true);
  await cluster.rounds(5);
  assert.equal(await newest(), before);
  await cluster.kill(owner);
  await expireLease(cluster, owner);
  await cluster.rounds(2);
  await cluster.own(replica).takeover.accept('photos');
  assert.equal(await cluster.get(replica, 'photos', 'two'), '2');
});

const ZONES: Readonly<Record<string, string>> = { a: 'x', b: 'x', c: 'y', d: 'y', e: 'z' };
const wanted = (owner: string, copies: number, preference: string) =>
  replicaNodes({ owner, copies, preference: [...preference], zoneOf: (node) => ZONES[node] ?? null }).join('');

test('who has a replica: the best of the ring, one zone after the other, never the owner', () => {
  assert.equal(wanted('a', 1, 'abc'), '');
  assert.equal(wanted('a', 2, 'abc'), 'c', 'b shares the zone of the owner');
  assert.equal(wanted('a', 3, 'aceb'), 'ce');
  assert.equal(wanted('a', 3, 'abcd'), 'cb', 'fewer zones than copies: others, in the order of the ring');
  assert.equal(wanted('e', 3, 'acbd'), 'ac', 'a pinned owner that is not the first of the ring');
  assert.equal(wanted('a', 4, 'ab'), 'b', 'fewer nodes than copies');
});

const MINUTE = 60_000;

test('shared snapshots: few stay, and one that a replica has, however long it was away', () => {
  const maxAgeMs = 7 * 24 * 60 * MINUTE;
  let kept: { name: string; createdMs: number }[] = [];
  const leavers: { minute: number; has: ReadonlySet<string> }[] = [];
  let checked = 0;
  for (let minute = 0; minute < 20_000; minute++) {
    const nowMs = minute * MINUTE;
    kept.push({ name: sharedName(nowMs, String(minute)), createdMs: nowMs });
    const drop = new Set(planShared(kept, nowMs, maxAgeMs));
    kept = kept.filter(({ name }) => !drop.has(name));
    assert.ok(kept.length <= 20, `${kept.length} stay after ${minute} minutes`);
    assert.equal(kept.at(-1)?.createdMs, nowMs);
    // Replicas that go away now have all that stays now; they come back after a minute, an hour, a day, three days.
    if (minute % 977 === 0) leavers.push({ minute, has: new Set(kept.map(({ name }) => name)) });
    for (const { minute: at, has } of leavers) {
      if (![1, 60, 1440, 4320].includes(minute - at)) continue;
      assert.ok(
        kept.some(({ name }) => has.has(name)),
        `away from ${at} to ${minute}: nothing in common`,
      );
      checked++;
    }
  }
  assert.ok(checked > 60);
});

test('what another node goes on from stays, while it is sent and for some time after', async () => {
  let nowMs = 0;
  const lent = new Lent({ monotonicMs: () => nowMs, wallMs: () => nowMs }, () => 24 * 60 * MINUTE);
  const names = [0, 1, 2, 3].map((minute) => sharedName(minute * MINUTE, 's'));
  const snapshots = names.map((name, minute) => ({ name, createdMs: minute * MINUTE }));
  const dropped: string[] = [];
  const driver = {
    snapshots: async () => snapshots,
    release: async () => {},
    destroySnapshot: async (_dataset: string, name: string) => void dropped.push(name),
  } as unknown as DatasetDriver;
  const deps = { driver, logger: silentLogger(), nowMs: () => 10_000 * MINUTE, maxAgeMs: () => MINUTE };
  const drop = async () => {
    await dropShared(deps, { dataset: 'photos', lent });
    return dropped.splice(0);
  };
  const [first = '', second = ''] = names;
  const end = lent.begin('c', first);
  nowMs = 7 * 24 * 60 * MINUTE;
  assert.deepEqual(await drop(), [second], 'however long the stream takes');
  end();
  nowMs += 23 * 60 * MINUTE;
  assert.deepEqual(await drop(), [second]);
  lent.begin('c', second)();
  assert.deepEqual(await drop(), [first], 'it has gone on to the next');
  nowMs += 25 * 60 * MINUTE;
  assert.deepEqual(await drop(), [first, second], 'it does not come back');
});

test('shared snapshots that are too old go, but for the newest two; others are not touched', () => {
  const at = (minute: number) => ({ name: sharedName(minute * MINUTE, 's'), createdMs: minute * MINUTE });
  const own = { name: 'mine', createdMs: 0 };
  const all = [own, at(0), at(1), at(2), at(3)];
  assert.deepEqual(planShared(all, 10_000 * MINUTE, 60 * MINUTE), [all[1]?.name, all[2]?.name]);
});

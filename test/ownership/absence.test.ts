// Who may say that a dataset does not exist, while the map changes: never a 404 for what a client has just made.
import assert from 'node:assert/strict';
import test, { afterEach } from 'node:test';
import { TestCluster } from './cluster.ts';

let cluster: TestCluster;
afterEach(() => cluster.stop());

test('a new home reads what the former one made before it says absent, and creates only when that one is quiet', async () => {
  const catalogFreshMs = 400;
  cluster = await TestCluster.start(['a', 'b'], { limits: { catalogFreshMs } });
  cluster.members = ['a', 'b', 'c'];
  await cluster.startNode('c');
  const names = Array.from({ length: 40 }, (_, i) => `bucket-${i}`);
  const before = new Map(names.map((name) => [name, cluster.own('a').home(name) ?? '']));
  // Node c and one more know the new map; the other one sleeps on.
  cluster.revision++;
  await cluster.own('c').applyConfig(cluster.config());
  const name = names.find((candidate) => cluster.own('c').home(candidate) === 'c') ?? '';
  const former = before.get(name) ?? '';
  assert.equal(cluster.own('c').access.locate(name).kind, 'unavailable', 'nothing was read since the map changed');
  const created = cluster.own('c').access.create(name, {});
  // On a slow machine the knowledge of a round may be stale before it is looked at.
  for (let i = 0; i < 50 && cluster.own('c').access.locate(name).kind !== 'absent'; i++) await cluster.own('c').round();
  assert.equal(cluster.own('c').access.locate(name).kind, 'absent');
  assert.equal(cluster.own(former).home(name), former);
  await created;
  // The sleeper still thinks that it is the home; its knowledge is too old to deny anything.
  assert.equal(cluster.own(former).access.locate(name).kind, 'unavailable');
  await cluster.rounds(2);
  assert.deepEqual(cluster.own(former).access.locate(name), { kind: 'remote', node: 'c', certain: true });
});

test('a home of an old map creates nothing', async () => {
  cluster = await TestCluster.start(['a', 'b'], { limits: { catalogFreshMs: 0 } });
  const names = Array.from({ length: 40 }, (_, i) => `bucket-${i}`);
  const before = new Map(names.map((name) => [name, cluster.own('a').home(name) ?? '']));
  cluster.members = ['a', 'b', 'c'];
  await cluster.startNode('c');
  cluster.revision++;
  await cluster.own('c').applyConfig(cluster.config());
  const name = names.find((candidate) => cluster.own('c').home(candidate) === 'c') ?? '';
  const former = before.get(name) ?? '';
  await assert.rejects(
    cluster.own(former).access.create(name, {}),
    (error: { code: string; details: { owner: string } }) => {
      assert.equal(error.code, 'NOT_OWNER');
      assert.equal(error.details.owner, 'c');
      return true;
    },
  );
});

test('a node that has never known a map but the newest waits too: others may still go by the one before', async () => {
  cluster = await TestCluster.start(['a', 'b'], { limits: { catalogFreshMs: 400 } });
  const names = Array.from({ length: 40 }, (_, i) => `bucket-${i}`);
  const before = new Map(names.map((name) => [name, cluster.own('a').home(name) ?? '']));
  await cluster.rounds(1);
  // The file of the new node is the first with the new revision: it commits the map itself.
  cluster.members = ['a', 'b', 'c'];
  cluster.revision++;
  await cluster.startNode('c');
  await cluster.own('c').round();
  const name = names.find((candidate) => cluster.own('c').home(candidate) === 'c') ?? '';
  await cluster.own('c').access.create(name, {});
  assert.notEqual(cluster.own(before.get(name) ?? '').access.locate(name).kind, 'absent');
});

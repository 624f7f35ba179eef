// A second process under a node's id, as from a machine that was copied: what it may neither say nor take while the lease of
// that id is another's.
import assert from 'node:assert/strict';
import test, { afterEach } from 'node:test';
import { TestCluster } from './cluster.ts';

let cluster: TestCluster;
afterEach(() => cluster.stop());

/** Another process holds the lease of this node id from now on, and this one has not noticed yet. */
async function loseLease(node: string): Promise<void> {
  const thief = cluster.memory.connect();
  const lease = (await thief.leases()).find((one) => one.node === node);
  assert(lease);
  await thief.releaseLease(node, lease.instance);
  assert.deepEqual(await thief.acquireLease(node, 'another-process', 60_000, lease.info), { ok: true });
}

test('nobody says absent while the lease of its id is another’s', async () => {
  cluster = await TestCluster.start(['a', 'b']);
  const { access } = cluster.own('a');
  const name = ['p', 'q', 'r', 's', 't', 'u', 'v', 'w'].find((candidate) => cluster.own('a').home(candidate) === 'a');
  assert(name);
  assert.equal(access.locate(name).kind, 'absent');
  await loseLease('a');
  await cluster.own('a').round();
  assert.equal(access.locate(name).kind, 'unavailable');
});

test('nothing is taken back by a process whose lease is another’s', async () => {
  cluster = await TestCluster.start(['a']);
  await cluster.create('photos');
  await loseLease('a');
  await assert.rejects(cluster.own('a').takeover.accept('photos'), { code: 'NODE_ID_TAKEN' });
});

test('nothing is promised to a process whose lease is another’s', async () => {
  cluster = await TestCluster.start(['a', 'b'], { mode: 'lazy' });
  const owner = await cluster.create('photos');
  const other = owner === 'a' ? 'b' : 'a';
  await cluster.put(owner, 'photos', 'k', 'v');
  const asked: string[] = [];
  cluster.fault = (_from, _to, method) => {
    asked.push(method);
    return 'ok';
  };
  await loseLease(other);
  await cluster.own(owner).move('photos', other);
  await cluster.until('the copy is there', () => asked.includes('ownership.snapshot'));
  await cluster.rounds(20);
  assert.equal(asked.includes('ownership.drain'), false);
  assert.equal(cluster.ownerOf('photos'), owner);
  assert.equal(await cluster.get(owner, 'photos', 'k'), 'v');
});

// A copy kept for the way back, of a dataset that was deleted and made again while its node was down: the tombstone was
// overwritten before this node could read it, and yet the copy does not stay for ever.
import assert from 'node:assert/strict';
import test, { afterEach } from 'node:test';
import { TestCluster } from './cluster.ts';

let cluster: TestCluster;
afterEach(() => cluster.stop());

test('a prior copy of a dataset that was replaced meanwhile is destroyed after its time', async () => {
  const options = { priorCopyMs: 3_600_000 };
  cluster = await TestCluster.start(['a', 'b'], options);
  const home = await cluster.create('photos');
  const other = home === 'a' ? 'b' : 'a';
  for (const to of [other, home]) {
    await cluster.own(home).move('photos', to);
    await cluster.until(`owned by ${to}`, () => cluster.ownerOf('photos') === to);
  }
  const standsThere = () =>
    cluster
      .own(other)
      .status()
      .copies.some((copy) => copy.dataset === 'photos');
  assert.ok(standsThere());
  await cluster.kill(other);
  await cluster.own(home).access.remove('photos');
  await cluster.create('photos');
  await cluster.put(home, 'photos', 'k', 'new');
  await cluster.restart(other);
  await cluster.rounds(3);
  assert.ok(standsThere(), 'its time has not come');
  options.priorCopyMs = 0;
  await cluster.reconfigure(['a', 'b']);
  await cluster.until('retired', () => !standsThere());
  assert.equal(await cluster.get(home, 'photos', 'k'), 'new');
});

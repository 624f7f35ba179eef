// A process dies right before, or right after, each call that changes its disk or the coordinator, during a whole move and
// during creation, cloning and removal. After restarts the dataset is served by one node with everything that was acknowledged, and
// nothing is left lying around.
import assert from 'node:assert/strict';
import test from 'node:test';
import type { DatasetDriver } from '../../src/dataset/driver.ts';
import { type ClusterOptions, TestCluster } from './cluster.ts';

const CHANGES = [
  'create',
  'clone',
  'setReadonly',
  'setProperties',
  'rename',
  'snapshot',
  'hold',
  'release',
  'destroySnapshot',
  'receive',
  'open',
  'close',
  'destroy',
] as const;

/** Clusters of one test that run at a time; they mostly wait for the disk. */
const AT_ONCE = 6;

/** Dies at call number `at`; counts when it never gets there. */
class Bomb {
  count = 0;
  armedFor: string | null = null;
  exploded: Promise<void> | null = null;
  readonly at: number;
  readonly after: boolean;
  explode: (node: string) => Promise<void> = async () => {};

  constructor(at: number, after: boolean) {
    this.at = at;
    this.after = after;
  }

  wrap(driver: DatasetDriver, node: string): DatasetDriver {
    let dead = false;
    const die = (): void => {
      if (this.armedFor !== node) return;
      this.armedFor = null;
      dead = true;
      this.exploded = this.explode(node);
      throw new Error('the process is dead');
    };
    return new Proxy(driver, {
      get: (target, key) => {
        const value = Reflect.get(target, key) as unknown;
        if (typeof value !== 'function') return value;
        return async (...args: unknown[]) => {
          // Nothing of a dead process goes on.
          if (dead) throw new Error('the process is dead');
          const counts = (CHANGES as readonly unknown[]).includes(key) && this.armedFor === node;
          const mine = counts && ++this.count === this.at;
          if (mine && !this.after) die();
          const result = await value.apply(target, args);
          if (mine) die();
          return result;
        };
      },
    });
  }
}

async function withBomb(
  at: number,
  after: boolean,
  run: (cluster: TestCluster, bomb: Bomb) => Promise<void>,
  options: ClusterOptions = {},
): Promise<boolean> {
  const bomb = new Bomb(at, after);
  const cluster = await TestCluster.start(['a', 'b'], {
    ...options,
    wrapDriver: (driver, node) => bomb.wrap(driver, node),
  });
  bomb.explode = (node) => cluster.kill(node);
  try {
    await run(cluster, bomb);
    return bomb.exploded !== null;
  } finally {
    await cluster.stop();
  }
}

/** Runs for each call before and after which a process can die, several at once; returns how many there were. */
async function atEveryChange(
  run: (cluster: TestCluster, bomb: Bomb) => Promise<void>,
  options?: ClusterOptions,
): Promise<number> {
  let explosions = 0;
  for (const after of [false, true]) {
    for (let first = 1; ; first += AT_ONCE) {
      const points = Array.from({ length: AT_ONCE }, (_, i) => withBomb(first + i, after, run, options));
      const exploded = (await Promise.all(points)).filter(Boolean).length;
      explosions += exploded;
      if (exploded < AT_ONCE) break;
    }
  }
  return explosions;
}

async function recovered(cluster: TestCluster, bomb: Bomb, victim: string): Promise<void> {
  await bomb.exploded;
  bomb.armedFor = null;
  if (!cluster.node(victim).up) await cluster.startNode(victim);
}

async function assertTidy(cluster: TestCluster): Promise<void> {
  await cluster.rounds(3);
  for (const node of cluster.nodes.values()) {
    const names = (await node.driver.list()).map((info) => info.name);
    assert.deepEqual(
      names.filter((name) => name.startsWith('_recv') || name.startsWith('_deleted')),
      [],
      `leftovers on ${node.id}`,
    );
  }
}

for (const side of ['owner', 'puller'] as const) {
  test(`a move survives the death of the ${side} at every change`, async () => {
    const explosions = await atEveryChange(async (cluster, bomb) => {
      const from = await cluster.create('photos');
      const to = from === 'a' ? 'b' : 'a';
      await cluster.put(from, 'photos', 'k', 'v');
      const victim = side === 'owner' ? from : to;
      bomb.armedFor = victim;
      await cluster.own(cluster.node(from).up ? from : to).move('photos', to);
      await cluster.until('moved, or dead', () => bomb.exploded !== null || cluster.ownerOf('photos') === to);
      await recovered(cluster, bomb, victim);
      await cluster.until('moved in the end', () => cluster.ownerOf('photos') === to);
      assert.equal(await cluster.get(to, 'photos', 'k'), 'v', `died at change ${bomb.at}`);
      await assertTidy(cluster);
    });
    assert.ok(explosions > 10, `${explosions} crash points were tried`);
  });
}

test('creation survives a death at every change: there, or creatable', async () => {
  const explosions = await atEveryChange(async (cluster, bomb) => {
    const home = cluster.own('a').home('photos') ?? '';
    bomb.armedFor = home;
    let created = false;
    void cluster
      .own(home)
      .access.create('photos', { settings: { x: 1 } })
      .then(
        () => {
          created = true;
        },
        () => {},
      );
    await cluster.until('created, or dead', () => created || bomb.exploded !== null);
    await recovered(cluster, bomb, home);
    await cluster.rounds(4);
    if (!cluster.ownerOf('photos')) await cluster.own(home).access.create('photos', { settings: { x: 1 } });
    await cluster.put(home, 'photos', 'k', 'v');
    const held = await cluster.own(home).access.enter('photos', 'read');
    assert.deepEqual(held.store.document('settings'), { x: 1 });
    held.release();
    await assertTidy(cluster);
  });
  assert.ok(explosions > 2, `${explosions} crash points were tried`);
});

test('cloning survives a death at every change: the whole clone, or none; its source as it was', async () => {
  const explosions = await atEveryChange(
    async (cluster, bomb) => {
      const node = await cluster.create('photos');
      await cluster.put(node, 'photos', 'k', 'then');
      const { creator } = (await cluster.node(node).coordinator.readRecord('photos'))?.record ?? {};
      await cluster.own(node).snapshots.create('photos', 'then');
      await cluster.put(node, 'photos', 'k', 'now');
      // At home on the other node, which hears of it only by the record.
      const target = ['copy', 'copy-1', 'copy-2', 'copy-3', 'copy-4'].find(
        (name) => cluster.own('a').home(name) !== node,
      );
      assert.ok(target);
      const clone = () =>
        cluster.own(node).snapshots.clone('photos', { snapshot: 'then', target, documents: { x: 1 } });
      bomb.armedFor = node;
      let ended = false;
      clone()
        .catch(() => {})
        .finally(() => {
          ended = true;
        });
      await cluster.until('cloned, or dead', () => ended || bomb.exploded !== null);
      await recovered(cluster, bomb, node);
      await cluster.rounds(4);
      if (!cluster.ownerOf(target)) {
        assert.equal((await cluster.node(node).driver.list()).length, 1, 'nothing of it');
        await clone();
      }
      assert.equal(cluster.ownerOf(target), node);
      const record = (await cluster.node(node).coordinator.readRecord(target))?.record;
      assert.deepEqual([record?.pin, record?.creator], [node, creator]);
      assert.deepEqual([await cluster.get(node, target, 'k'), await cluster.get(node, 'photos', 'k')], ['then', 'now']);
      const held = await cluster.own(node).access.enter(target, 'read');
      assert.equal(held.store.document('x'), 1);
      held.release();
      await assertTidy(cluster);
    },
    { limits: { catalogFreshMs: 100 } },
  );
  assert.ok(explosions > 2, `${explosions} crash points were tried`);
});

test('removal survives a death at every change: gone for good, or all there', async () => {
  const explosions = await atEveryChange(async (cluster, bomb) => {
    const home = await cluster.create('photos');
    await cluster
      .own(home)
      .access.enter('photos', 'read')
      .then((held) => held.release());
    bomb.armedFor = home;
    let removed = false;
    void cluster
      .own(home)
      .access.remove('photos')
      .then(
        () => {
          removed = true;
        },
        () => {},
      );
    const gone = async () => !(await cluster.node(home).driver.list()).some((info) => info.name === 'photos');
    for (let i = 0; i < 20 && !bomb.exploded && !(removed && (await gone())); i++) await cluster.rounds(1);
    await recovered(cluster, bomb, home);
    await cluster.rounds(4);
    // Once the mark is on disk the removal goes on by itself.
    if (cluster.ownerOf('photos')) await cluster.own(home).access.remove('photos');
    await cluster.rounds(2);
    assert.deepEqual(cluster.own(home).access.locate('photos'), { kind: 'absent' });
    await assert.rejects(cluster.own(home).access.enter('photos', 'read'), { code: 'DATASET_MISSING' });
    await cluster.own(home).access.create('photos', {});
    await cluster.put(home, 'photos', 'k', 'v');
    await assertTidy(cluster);
  });
  assert.ok(explosions > 2, `${explosions} crash points were tried`);
});

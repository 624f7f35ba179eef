// Replicas over real ownership: where they are, what they hold, what they cost, and what they are good for when an owner is
// lost. The same tests over `dir` storage and over ZFS.
import assert from 'node:assert/strict';
import test, { afterEach } from 'node:test';
import { ZringError } from '../../src/common/errors.ts';
import { ACCEPTED_TERM_STEP } from '../../src/ownership/publication.ts';
import type { SuccessionReport } from '../../src/ownership/replicas/succession.ts';
import { openStore } from '../../src/store/store.ts';
import type { ClusterOptions, TestCluster } from './cluster.ts';
import { expireLease } from './old-disk.ts';

type Start = (options: ClusterOptions) => Promise<TestCluster>;

/** Far more than what else is sent, an index for each increment. */
const LARGE = 'x'.repeat(4_000_000);

export function replicaTests(where: string, start: Start): void {
  let cluster: TestCluster;
  // Other tests of the file have none.
  afterEach(() => (cluster as TestCluster | undefined)?.stop());

  const copiesOf = (node: string) =>
    cluster
      .own(node)
      .status()
      .copies.filter(({ dataset }) => dataset === 'photos');
  const holders = () => [...cluster.nodes.keys()].filter((node) => cluster.node(node).up && copiesOf(node).length > 0);
  const replicas = () => holders().filter((node) => copiesOf(node)[0]?.role === 'receiving');
  const namesOn = async (node: string) => (await cluster.node(node).driver.snapshots('photos')).map(({ name }) => name);
  const guidOn = async (node: string) => (await cluster.node(node).driver.snapshots('photos')).at(-1)?.guid;

  /** Rounds until every replica there is has what the owner last gave; false while one has not. */
  async function upToDate(owner: string, count: number): Promise<void> {
    let same = false;
    for (let i = 0; i < 60 && !same; i++) {
      await cluster.rounds(1);
      const found = replicas();
      const wanted = await guidOn(owner);
      const guids = await Promise.all(found.map(guidOn));
      const sights = (copiesOf(owner)[0]?.replicas ?? []).filter(({ node }) => cluster.node(node).up);
      same =
        found.length === count && guids.every((guid) => guid === wanted) && sights.every(({ isCurrent }) => isCurrent);
    }
    assert.ok(same, `${count} replicas up to date\n${cluster.describe()}`);
    // What is said is one thing, what stands there another.
    const wanted = await contentOf(owner);
    for (const node of replicas()) assert.deepEqual(await contentOf(node), wanted, `what ${node} holds`);
  }

  async function contentOf(node: string): Promise<Record<string, string>> {
    const { driver } = cluster.node(node);
    const [copy] = copiesOf(node);
    const held = copy?.role === 'owner' ? await cluster.own(node).access.enter('photos', 'read') : null;
    const newest = held ? '' : ((await driver.snapshots('photos')).at(-1)?.name ?? '');
    const store =
      held?.store ??
      (await openStore(await driver.mountSnapshot('photos', newest), { id: copy?.id ?? '', readonly: true }));
    try {
      const content: Record<string, string> = {};
      for (const { key } of store.list({ prefix: '', delimiter: '', after: '', limit: 100 }).entries) {
        const entry = store.head(key);
        const chunks: Buffer[] = [];
        if (entry) for await (const chunk of store.read(entry)) chunks.push(chunk as Buffer);
        content[key] = Buffer.concat(chunks).toString();
      }
      return content;
    } finally {
      if (held) held.release();
      else {
        await store.close();
        await driver.unmountSnapshot('photos', newest);
      }
    }
  }

  async function move(to: string): Promise<void> {
    await cluster.own(to).move('photos', to);
    await cluster.until(`moved to ${to}`, () => cluster.ownerOf('photos') === to);
  }

  async function lose(owner: string): Promise<void> {
    await cluster.kill(owner);
    await expireLease(cluster, owner);
    await cluster.rounds(2);
  }

  const reportOn = async (node: string): Promise<SuccessionReport> => {
    const report = await cluster.own(node).takeover.report('photos');
    assert.equal(report.kind, 'replica');
    return report as SuccessionReport;
  };

  test(`${where}: one replica, on the next node of the ring; what changes follows as an increment`, async () => {
    cluster = await start({ copies: 2 });
    const owner = await cluster.create('photos');
    await cluster.put(owner, 'photos', 'large', LARGE);
    await upToDate(owner, 1);
    const [replica = ''] = replicas();
    const [, second] = (await cluster.own(owner).explain('photos')).preference;
    assert.equal(replica, second);
    const first = cluster.received.get(replica) ?? 0;
    assert.ok(first > LARGE.length, 'all of it, once');
    await cluster.put(owner, 'photos', 'small', 'after');
    await upToDate(owner, 1);
    assert.ok((cluster.received.get(replica) ?? 0) - first < LARGE.length / 2, 'an increment');
    assert.deepEqual(holders().sort(), [owner, replica].sort(), 'and nowhere else');
  });

  test(`${where}: what does not change costs nothing`, async () => {
    cluster = await start({ copies: 2 });
    const owner = await cluster.create('photos');
    await cluster.put(owner, 'photos', 'one', '1');
    await upToDate(owner, 1);
    const [before, received] = [await namesOn(owner), [...cluster.received]];
    await cluster.rounds(5);
    assert.deepEqual(await namesOn(owner), before);
    assert.deepEqual([...cluster.received], received);
    // Nor does closing and opening it.
    assert.equal(await cluster.get(owner, 'photos', 'one'), '1');
    await cluster.rounds(2);
    assert.deepEqual(await namesOn(owner), before);
  });

  test(`${where}: a new owner goes on with the replicas that there are`, async () => {
    cluster = await start({ copies: 3 });
    const owner = await cluster.create('photos');
    await cluster.put(owner, 'photos', 'large', LARGE);
    await upToDate(owner, 2);
    const [next = '', third = ''] = replicas();
    cluster.received.clear();
    await cluster.put(owner, 'photos', 'more', '1');
    await cluster.own(owner).move('photos', next);
    await cluster.until('moved', () => cluster.ownerOf('photos') === next);
    assert.ok((cluster.received.get(next) ?? 0) < LARGE.length / 2, 'it took over with an increment');
    await cluster.put(next, 'photos', 'and more', '2');
    await upToDate(next, 2);
    assert.deepEqual(replicas().sort(), [owner, third].sort());
    for (const node of [owner, third])
      assert.ok((cluster.received.get(node) ?? 0) < LARGE.length / 2, `${node} goes on with an increment`);
  });

  test(`${where}: a new owner has what the other replicas begin with, though it missed that itself`, async () => {
    cluster = await start({ copies: 3 });
    const owner = await cluster.create('photos');
    await cluster.put(owner, 'photos', 'large', LARGE);
    await upToDate(owner, 2);
    const [next = '', third = ''] = replicas();
    cluster.fault = (from, _to, method) => (from === next && method === 'ownership.snapshot' ? 'unreached' : 'ok');
    // So often that of all that both have, nothing is kept.
    for (let i = 0; i < 4; i++) {
      await cluster.put(owner, 'photos', 'more', `${i}`);
      await cluster.rounds(3);
      for (const name of (await namesOn(third)).slice(0, -1)) {
        await cluster.node(third).driver.destroySnapshot('photos', name, { held: true });
      }
    }
    assert.notEqual(await guidOn(third), await guidOn(next));
    cluster.fault = () => 'ok';
    cluster.received.clear();
    await move(next);
    await upToDate(next, 2);
    for (const node of [next, third]) assert.ok((cluster.received.get(node) ?? 0) < LARGE.length / 2, node);
  });

  test(`${where}: a replica that was away goes on with an increment`, async () => {
    cluster = await start({ copies: 2 });
    const owner = await cluster.create('photos');
    await cluster.put(owner, 'photos', 'large', LARGE);
    await upToDate(owner, 1);
    const [replica = ''] = replicas();
    await cluster.kill(replica);
    for (let i = 0; i < 5; i++) {
      await cluster.put(owner, 'photos', `k${i}`, 'more');
      await cluster.rounds(1);
    }
    await cluster.startNode(replica);
    cluster.received.clear();
    await upToDate(owner, 1);
    assert.ok((cluster.received.get(replica) ?? 0) < LARGE.length / 2);
  });

  test(`${where}: a replica goes back with its owner`, async () => {
    cluster = await start({ copies: 2 });
    const owner = await cluster.create('photos');
    await cluster.put(owner, 'photos', 'large', LARGE);
    await cluster.own(owner).snapshots.create('photos', 'before');
    await upToDate(owner, 1);
    await cluster.put(owner, 'photos', 'k', 'given up');
    await upToDate(owner, 1);
    const [replica = ''] = replicas();
    cluster.received.clear();
    await cluster.own(owner).snapshots.rollback('photos', 'before', true);
    await cluster.put(owner, 'photos', 'k', 'written since');
    await upToDate(owner, 1);
    assert.ok((cluster.received.get(replica) ?? 0) < LARGE.length / 2, 'to what both have, and on from there');
    await lose(owner);
    await cluster.own(replica).takeover.accept('photos');
    assert.equal(await cluster.get(replica, 'photos', 'k'), 'written since');
    assert.ok((await namesOn(replica)).includes('before'));
  });

  test(`${where}: a replica that cannot go back, for a bucket was cloned from it, is sent anew`, async () => {
    cluster = await start({ copies: 2 });
    const owner = await cluster.create('photos');
    await cluster.put(owner, 'photos', 'k', '1');
    await cluster.own(owner).snapshots.create('photos', 'before');
    await cluster.put(owner, 'photos', 'k', '2');
    await upToDate(owner, 1);
    const [replica = ''] = replicas();
    const { driver } = cluster.node(replica);
    let refusals = 0;
    driver.rollback = async () => {
      refusals++;
      throw new ZringError('DATASET_BUSY', 'a clone needs it');
    };
    await cluster.own(owner).snapshots.rollback('photos', 'before', true);
    await cluster.put(owner, 'photos', 'k', '3');
    await upToDate(owner, 1);
    assert.equal(refusals, 1);
  });

  test(`${where}: an owner is lost: a replica takes its place, and says what is missing`, async () => {
    cluster = await start({ copies: 2 });
    const owner = await cluster.create('photos');
    await cluster.put(owner, 'photos', 'one', '1');
    await upToDate(owner, 1);
    const [replica = ''] = replicas();
    await cluster.put(owner, 'photos', 'two', 'not replicated');
    const alive = await reportOn(replica);
    assert.match(alive.refused ?? '', new RegExp(`node ${owner}, is alive`));
    await assert.rejects(cluster.own(replica).takeover.accept('photos'), { code: 'DATASET_BUSY' });
    await lose(owner);
    const report = await reportOn(replica);
    assert.deepEqual([report.owner, report.refused, report.node], [owner, null, replica]);
    assert.ok(report.currentMs !== null && report.currentMs >= report.snapshotMs - 60_000);
    const at = cluster.own(replica).access.locate('photos');
    assert.deepEqual([at.kind, 'node' in at && at.node], ['remote', owner], 'nobody takes over without a word');
    await cluster.own(replica).takeover.accept('photos');
    assert.equal(await cluster.get(replica, 'photos', 'one'), '1');
    assert.equal(await cluster.get(replica, 'photos', 'two'), null);
    await cluster.put(replica, 'photos', 'three', '3');
    const [copy] = copiesOf(replica);
    assert.ok(copy?.role === 'owner' && Number(copy.term.split('@')[0]) > ACCEPTED_TERM_STEP);
    // The lost one comes back: what it had is set aside, and it becomes a replica.
    await cluster.startNode(owner);
    await cluster.until('set aside', () => copiesOf(owner)[0]?.role !== 'owner');
    assert.equal(cluster.own(owner).status().deposed.length + (await setAside(owner)), 1);
    await upToDate(replica, 1);
    assert.equal(cluster.ownerOf('photos'), replica);
    assert.equal(await cluster.get(replica, 'photos', 'three'), '3');
  });

  const setAside = async (node: string) =>
    (await cluster.node(node).driver.list()).filter(({ name }) => name.startsWith('_deposed-')).length;

  test(`${where}: of two replicas that are told to take over, one does`, async () => {
    cluster = await start({ copies: 3 });
    const owner = await cluster.create('photos');
    await cluster.put(owner, 'photos', 'one', '1');
    await upToDate(owner, 2);
    const found = replicas();
    await lose(owner);
    const ends = await Promise.allSettled(found.map((node) => cluster.own(node).takeover.accept('photos')));
    assert.deepEqual(ends.map(({ status }) => status).sort(), ['fulfilled', 'rejected']);
    await cluster.rounds(3);
    const taken = cluster.ownerOf('photos');
    assert.ok(taken !== null && found.includes(taken));
    assert.equal(await cluster.get(taken, 'photos', 'one'), '1');
    const third = found.find((node) => node !== taken) ?? '';
    assert.match((await reportOn(third)).refused ?? '', new RegExp(`node ${taken}, is alive`));
  });

  test(`${where}: owner and coordinator lost at once: a replica takes over, at a term above all`, async () => {
    cluster = await start({ copies: 2 });
    const owner = await cluster.create('photos');
    await cluster.put(owner, 'photos', 'one', '1');
    await upToDate(owner, 1);
    const [replica = ''] = replicas();
    await cluster.kill(owner);
    cluster.memory.restore(new Map());
    await cluster.rounds(3);
    await expireLease(cluster, owner);
    assert.notEqual(cluster.own(replica).access.locate('photos').kind, 'absent', 'never 404');
    const report = await reportOn(replica);
    assert.deepEqual([report.owner, report.refused], [owner, null], 'what this node remembers counts');
    await cluster.own(replica).takeover.accept('photos');
    assert.equal(await cluster.get(replica, 'photos', 'one'), '1');
    await cluster.startNode(owner);
    await cluster.until('set aside', () => copiesOf(owner)[0]?.role !== 'owner');
    assert.equal(cluster.ownerOf('photos'), replica);
  });

  test(`${where}: deleted at its owner, a bucket leaves no replica behind`, async () => {
    cluster = await start({ copies: 3 });
    const owner = await cluster.create('photos');
    await upToDate(owner, 2);
    await cluster.own(owner).access.remove('photos');
    await cluster.until('gone everywhere', () => holders().length === 0);
    const again = await cluster.create('photos');
    await cluster.put(again, 'photos', 'one', 'of another life');
    await upToDate(again, 2);
    await lose(again);
    const [replica = ''] = replicas();
    await cluster.own(replica).takeover.accept('photos');
    assert.equal(await cluster.get(replica, 'photos', 'one'), 'of another life');
  });

  test(`${where}: one too many goes only when those that should be there are`, async () => {
    cluster = await start({ copies: 2, priorCopyMs: 0 });
    const owner = await cluster.create('photos');
    await cluster.put(owner, 'photos', 'one', '1');
    await upToDate(owner, 1);
    const [replica = ''] = replicas();
    const third = ['a', 'b', 'c'].find((node) => node !== owner && node !== replica) ?? '';
    // The replica's node is to be emptied: the third one takes its part, and gets nothing for some time.
    cluster.fault = (from, _to, method) =>
      from === third && ['ownership.snapshot', 'ownership.stream'].includes(method) ? 'unreached' : 'ok';
    await cluster.reconfigure(['a', 'b', 'c'], [replica]);
    await cluster.rounds(5);
    assert.deepEqual(replicas(), [replica], 'as long as it is the only one');
    cluster.fault = () => 'ok';
    await cluster.until('the other one', () => replicas().length === 1 && replicas()[0] === third);
  });

  test(`${where}: away and back: what was written meanwhile is not missed`, async () => {
    cluster = await start({ copies: 2 });
    const owner = await cluster.create('photos');
    await cluster.put(owner, 'photos', 'one', '1');
    await upToDate(owner, 1);
    const third = ['a', 'b', 'c'].find((node) => node !== owner && !replicas().includes(node)) ?? '';
    await move(third);
    await cluster.put(third, 'photos', 'two', '2');
    await move(owner);
    await upToDate(owner, 1);
    // The same with all three, where the base of a replica is newer than what its owner gave last.
    await cluster.reconfigure(['a', 'b', 'c']);
    await move(third);
    await move(owner);
    await upToDate(owner, 1);
  });

  test(`${where}: rolled back, and as many writes again: not taken for the same`, async () => {
    cluster = await start({ copies: 2 });
    const owner = await cluster.create('photos');
    await cluster.put(owner, 'photos', 'k', '1');
    await cluster.own(owner).snapshots.create('photos', 'before');
    await cluster.put(owner, 'photos', 'k', '2');
    await upToDate(owner, 1);
    await cluster.own(owner).snapshots.rollback('photos', 'before', true);
    await cluster.rounds(5);
    await cluster.put(owner, 'photos', 'k', '3');
    await upToDate(owner, 1);
  });

  test(`${where}: an owner that is given up for an older replica: what the newer one has is kept`, async () => {
    cluster = await start({ copies: 3 });
    const owner = await cluster.create('photos');
    await cluster.put(owner, 'photos', 'one', '1');
    await upToDate(owner, 2);
    const [older = '', newer = ''] = replicas();
    await cluster.kill(older);
    await cluster.put(owner, 'photos', 'two', '2');
    await upToDate(owner, 1);
    await lose(owner);
    await cluster.kill(newer);
    await cluster.startNode(older);
    await cluster.rounds(3);
    await cluster.own(older).takeover.accept('photos');
    await cluster.put(older, 'photos', 'three', '3');
    await cluster.startNode(newer);
    await upToDate(older, 1);
    assert.equal(await setAside(newer), 1, 'what it had beyond stands nowhere else');
  });

  test(`${where}: a handover that was prepared when its owner was given up ends in replicas`, async () => {
    cluster = await start({ copies: 3 });
    const owner = await cluster.create('photos');
    await cluster.put(owner, 'photos', 'one', '1');
    await upToDate(owner, 2);
    const [next = '', third = ''] = replicas();
    let prepared = false;
    const { coordinator } = cluster.node(next);
    const cas = coordinator.casRecord.bind(coordinator);
    coordinator.casRecord = async (dataset, tag, wanted) => {
      if (wanted.owner !== next) return cas(dataset, tag, wanted);
      prepared = true;
      throw new ZringError('COORDINATOR_UNAVAILABLE', 'cut off');
    };
    await cluster.own(owner).move('photos', next);
    await cluster.until('prepared', () => prepared);
    await cluster.kill(owner);
    await cluster.kill(next);
    for (const node of [owner, next]) await expireLease(cluster, node);
    await cluster.rounds(2);
    await cluster.own(third).takeover.accept('photos');
    await cluster.put(third, 'photos', 'two', '2');
    await cluster.own(third).move('photos', third);
    await cluster.startNode(owner);
    await cluster.startNode(next);
    await upToDate(third, 2);
    assert.equal(cluster.ownerOf('photos'), third);
  });

  test(`${where}: a coordinator that went back does not make a living owner a lost one`, async () => {
    cluster = await start({ copies: 3 });
    const owner = await cluster.create('photos');
    await cluster.put(owner, 'photos', 'one', '1');
    await upToDate(owner, 2);
    const dump = cluster.memory.dump();
    const [next = '', third = ''] = replicas();
    await move(next);
    await upToDate(next, 2);
    await cluster.kill(owner);
    cluster.memory.restore(dump);
    await expireLease(cluster, owner);
    await expireLease(cluster, next);
    assert.match((await reportOn(third)).refused ?? '', new RegExp(`node ${next}, answers`));
    await assert.rejects(cluster.own(third).takeover.accept('photos'), { code: 'DATASET_BUSY' });
    assert.equal(cluster.ownerOf('photos'), next);
  });

  test(`${where}: a replica that slept through deletion and making anew`, async () => {
    cluster = await start({ copies: 3 });
    const owner = await cluster.create('photos');
    await upToDate(owner, 2);
    const [sleeper = ''] = replicas();
    await cluster.kill(sleeper);
    await cluster.own(owner).access.remove('photos');
    await cluster.rounds(3);
    await cluster.create('photos');
    await cluster.put(owner, 'photos', 'one', 'new');
    await cluster.startNode(sleeper);
    await upToDate(owner, 2);
  });

  test(`${where}: while the final snapshot is taken, nothing is taken after it`, async () => {
    cluster = await start({ copies: 3 });
    const owner = await cluster.create('photos');
    await cluster.put(owner, 'photos', 'large', LARGE);
    await upToDate(owner, 2);
    const [next = '', third = ''] = replicas();
    const { driver } = cluster.node(owner);
    const snapshot = driver.snapshot.bind(driver);
    const asked: Promise<unknown>[] = [];
    driver.snapshot = async (dataset, name, source) => {
      const request = { dataset, id: copiesOf(owner)[0]?.id, shared: true, takesAll: true };
      const call = cluster.own(owner).methods.calls['ownership.snapshot'];
      if (name.startsWith('zring-final-') && call) asked.push(call(request, third).catch((error: unknown) => error));
      return snapshot(dataset, name, source);
    };
    await move(next);
    const [answer = {}] = (await Promise.all(asked)) as { code?: string; name?: string }[];
    assert.ok(answer.code === 'DATASET_BUSY' || answer.name?.startsWith('zring-final-'), JSON.stringify(answer));
    await upToDate(next, 2);
    assert.equal(await setAside(owner), 0);
  });
}

// The coordinator's contract, as one suite over every implementation. A harness brings a coordinator to life and knows how
// to hurt it; what callers may rely on is stated here and nowhere else.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setImmediate as tick } from 'node:timers/promises';
import type { Coordinator, Hint, NodeInfo } from '../../../src/cluster/coordinator.ts';
import { type DiskChain, OFFERS_MAX } from '../../../src/cluster/disk-chain.ts';
import { type ClusterMap, stampOf } from '../../../src/cluster/map.ts';
import type { OwnershipRecord, TaggedRecord } from '../../../src/cluster/record.ts';
import { mixTag, NO_RECORDS } from '../../../src/cluster/record-digest.ts';
import { ZringError } from '../../../src/common/errors.ts';

export interface Harness {
  /** A new connection, as another node would have. The harness closes it in `close`. */
  connect(): Promise<Coordinator>;
  /** Unreachable, with its data kept, until `start`. Abrupt. */
  stop(): Promise<void>;
  start(): Promise<void>;
  /** All data gone. */
  flush(): Promise<void>;
  /** Runs `work`, then puts the coordinator back to the data it had before: lost writes. Connections may break. */
  loseWritesOf(work: () => Promise<void>): Promise<void>;
  /** Runs `work` while changes are carried out but their replies are lost. */
  withoutReplies(work: (coordinator: Coordinator) => Promise<void>): Promise<void>;
  close(): Promise<void>;
}

export function coordinatorContract(name: string, open: () => Promise<Harness>): void {
  describe(`coordinator contract: ${name}`, () => {
    let harness: Harness;
    let a: Coordinator;
    let b: Coordinator;
    before(async () => {
      harness = await open();
      a = await harness.connect();
      b = await harness.connect();
    });
    after(() => harness?.close());

    test('a first touch creates an incarnation that stays', async () => {
      const state = await a.state();
      assert.ok(state.incarnation.length >= 16);
      assert.deepEqual(state, {
        incarnation: state.incarnation,
        counter: 0,
        complete: false,
        reported: [],
        mapEpoch: 0,
      });
      assert.deepEqual(await b.state(), state);
    });

    test('map: commits by epoch only', async () => {
      assert.equal(await a.readMap(), null);
      const first = mapOf(1, ['a', 'b']);
      assert.deepEqual(await a.commitMap(0, first), { ok: true, value: first });
      assert.deepEqual(await b.readMap(), first);
      assert.equal((await b.state()).mapEpoch, 1);
      assert.deepEqual(await b.commitMap(0, mapOf(2, ['x'])), { ok: false, current: first });
      assert.deepEqual(await b.commitMap(1, mapOf(1, ['x'])), { ok: false, current: first });
      assert.deepEqual(await b.commitMap(2, mapOf(3, ['x'])), { ok: false, current: first });
      const second = mapOf(7, ['b', 'a', 'c']);
      const sorted = mapOf(7, ['a', 'b', 'c']);
      assert.deepEqual(await b.commitMap(1, second), { ok: true, value: sorted });
      assert.deepEqual(await a.readMap(), sorted);
    });

    test('map: of many that race from the same epoch one wins, and all others see it', async () => {
      const epoch = (await a.readMap())?.epoch ?? 0;
      const results = await Promise.all(
        range(100).map((i) => (i % 2 ? a : b).commitMap(epoch, { ...mapOf(epoch + 1, ['a', 'b', 'c']), revision: i })),
      );
      const won = results.filter((result) => result.ok);
      assert.equal(won.length, 1);
      const stored = await a.readMap();
      for (const result of results) assert.deepEqual(result.ok ? result.value : result.current, stored);
    });

    test('map: its stamp says whether it is the one that is known', async () => {
      const map = await a.readMap();
      assert.ok(map);
      assert.equal(await b.mapStamp(), stampOf(map));
      const next = { ...map, epoch: map.epoch + 1 };
      await a.commitMap(map.epoch, next);
      assert.equal(await b.mapStamp(), stampOf(next));
      assert.notEqual(stampOf(next), stampOf(map));
    });

    test('map: one that nobody could read back is refused and changes nothing', async () => {
      const map = await a.readMap();
      const broken = { ...mapOf(99, ['a']), nodes: [] } as ClusterMap;
      await assert.rejects(a.commitMap(map?.epoch ?? 0, broken), coded('COORDINATOR_CORRUPT'));
      assert.deepEqual(await a.readMap(), map);
    });

    test('record: created once, changed by tag, readable by all', async () => {
      assert.equal(await a.readRecord('photos'), null);
      const record = recordOf('photos', 'a');
      const created = taken(await a.casRecord('photos', null, record));
      assert.deepEqual(created.record, record);
      assert.deepEqual(await b.readRecord('photos'), created);
      assert.deepEqual(await b.casRecord('photos', null, recordOf('photos', 'b')), { ok: false, current: created });
      assert.deepEqual(await b.casRecord('photos', 'other', recordOf('photos', 'b')), { ok: false, current: created });
      const changed = taken(await b.casRecord('photos', created.tag, { ...record, phase: 'copying', target: 'b' }));
      assert.notEqual(changed.tag, created.tag);
      assert.deepEqual(await a.readRecord('photos'), changed);
      // Back to the first content: another tag all the same, so a reader of the first cannot be fooled.
      const back = taken(await b.casRecord('photos', changed.tag, record));
      assert.ok(back.tag !== created.tag && back.tag !== changed.tag);
      assert.deepEqual(await a.casRecord('photos', created.tag, record), { ok: false, current: back });
    });

    test('record: a tag of what is not there finds nothing', async () => {
      assert.deepEqual(await a.casRecord('nowhere', 'tag', recordOf('nowhere', 'a')), { ok: false, current: null });
      assert.equal(await a.readRecord('nowhere'), null);
    });

    test('record: every field survives unchanged', async () => {
      const record: OwnershipRecord = {
        ...recordOf('every-field', 'a'),
        term: { n: 999_999_999_999_999, node: 'a-1' },
        phase: 'draining',
        target: 'b',
        pin: 'c',
        inSync: ['a', 'z', 'b'],
        createdMs: 1_763_000_000_123,
        creator: null,
      };
      await a.casRecord('every-field', null, record);
      assert.deepEqual((await b.readRecord('every-field'))?.record, record);
    });

    test('record: one that nobody could read back is refused and changes nothing', async () => {
      const before = await a.state();
      const broken = [
        { ...recordOf('broken', 'a'), inSync: [] },
        { ...recordOf('broken', 'a'), owner: '' },
        recordOf('other-name', 'a'),
        { ...recordOf('broken', 'a'), extra: 1 } as unknown as OwnershipRecord,
      ];
      for (const record of broken) {
        await assert.rejects(a.casRecord('broken', null, record), coded('COORDINATOR_CORRUPT'));
      }
      assert.equal(await a.readRecord('broken'), null);
      assert.equal((await a.state()).counter, before.counter);
    });

    test('record: of 100 that race to create and to change, one wins each', async () => {
      const race = async (tag: string | null) => {
        const results = await Promise.all(
          range(100).map((i) => (i % 2 ? a : b).casRecord('race', tag, recordOf('race', `n${i}`))),
        );
        const won = results.filter((result) => result.ok);
        assert.equal(won.length, 1);
        const stored = await a.readRecord('race');
        for (const result of results) assert.deepEqual(result.ok ? result.value : result.current, stored);
        return taken(won[0] ?? { ok: false, current: null }).tag;
      };
      await race(await race(null));
    });

    test('changes: every change once, in order, by pages; deleted ones too', async () => {
      const start = (await a.state()).counter;
      const names = range(25).map((i) => `page-${i}`);
      const tags = new Map<string, string>();
      for (const dataset of names)
        tags.set(dataset, taken(await a.casRecord(dataset, null, recordOf(dataset, 'a'))).tag);
      const gone = taken(
        await a.casRecord('page-3', tags.get('page-3') ?? null, { ...recordOf('page-3', 'a'), phase: 'deleted' }),
      );
      assert.equal((await a.state()).counter, start + 26);

      const seen: TaggedRecord[] = [];
      let cursor = start;
      for (let pages = 0; ; pages++) {
        const page = await b.changesSince(cursor, 10);
        assert.ok(page.records.length <= 10 && pages < 4);
        assert.equal(page.state.counter, start + 26);
        seen.push(...page.records);
        assert.ok(page.cursor >= cursor);
        cursor = page.cursor;
        if (page.records.length === 0) break;
      }
      assert.equal(cursor, start + 26);
      assert.deepEqual(
        seen.map((entry) => entry.record.dataset),
        [...names.filter((name) => name !== 'page-3'), 'page-3'],
      );
      assert.deepEqual(seen.at(-1), gone);
      assert.deepEqual((await b.changesSince(cursor, 10)).records, []);
      const all = await b.changesSince(0, 10_000);
      assert.equal(new Set(all.records.map((entry) => entry.record.dataset)).size, all.records.length);
      assert.ok(all.records.length > 25);
    });

    test('changes: the digest is that of all tags, whatever the page holds', async () => {
      const { records, digest } = await a.changesSince(0, 10_000);
      assert.equal(digest, digestOf(records));
      const [first] = records;
      assert.ok(first);
      const { dataset } = first.record;
      taken(await a.casRecord(dataset, first.tag, { ...first.record, pin: 'b' }));
      await a.casRecord(dataset, first.tag, first.record);
      await a.casRecord('digest-other', null, recordOf('digest-other', 'a'));
      const after = await b.changesSince(0, 10_000);
      assert.equal(after.digest, digestOf(after.records));
      assert.notEqual(after.digest, digest);
      assert.equal((await b.changesSince(after.cursor, 10)).digest, after.digest);
    });

    test('changes: a page cut while others write misses nothing', async () => {
      const start = (await a.state()).counter;
      const writing = Promise.all(range(200).map((i) => a.casRecord(`busy-${i}`, null, recordOf(`busy-${i}`, 'a'))));
      const seen = new Set<string>();
      let cursor = start;
      let done = false;
      void writing.then(() => (done = true));
      for (;;) {
        const wasDone = done;
        const page = await b.changesSince(cursor, 7);
        for (const entry of page.records) seen.add(entry.record.dataset);
        cursor = page.cursor;
        if (wasDone && page.records.length === 0) break;
      }
      assert.equal(seen.size, 200);
    });

    test('lease: held by one instance, renewed, shown, released', async () => {
      assert.deepEqual(await a.acquireLease('l1', 'one', 60_000, infoOf(1)), { ok: true });
      const refused = await b.acquireLease('l1', 'two', 60_000, infoOf(2));
      assert.ok(!refused.ok && 'holder' in refused && refused.holder === 'one');
      assert.ok(refused.remainingMs > 0 && refused.remainingMs <= 60_000);
      assert.deepEqual(await a.acquireLease('l1', 'one', 90_000, infoOf(3)), { ok: true });
      const lease = (await b.leases()).find((entry) => entry.node === 'l1');
      assert.deepEqual({ ...lease, remainingMs: 0 }, { node: 'l1', instance: 'one', remainingMs: 0, info: infoOf(3) });
      assert.ok(lease && lease.remainingMs > 60_000 && lease.remainingMs <= 90_000);
      await b.releaseLease('l1', 'two');
      assert.ok((await b.leases()).some((entry) => entry.node === 'l1'));
      await a.releaseLease('l1', 'one');
      await a.releaseLease('l1', 'one');
      assert.ok(!(await b.leases()).some((entry) => entry.node === 'l1'));
      assert.deepEqual(await b.acquireLease('l1', 'two', 60_000, infoOf(2)), { ok: true });
    });

    test('lease: runs out by itself, not before its time, and is then free', async () => {
      const ttlMs = 300;
      const startedMs = performance.now();
      assert.deepEqual(await a.acquireLease('l2', 'one', ttlMs, infoOf(1)), { ok: true });
      while (!(await b.acquireLease('l2', 'two', 60_000, infoOf(2))).ok) await tick();
      // 20 ms: two clocks with millisecond resolution, in two processes.
      assert.ok(performance.now() - startedMs >= ttlMs - 20);
      const refused = await a.acquireLease('l2', 'one', ttlMs, infoOf(1));
      assert.ok(!refused.ok && 'holder' in refused && refused.holder === 'two');
      await a.acquireLease('l3', 'one', 50, infoOf(1));
      while ((await b.leases()).some((entry) => entry.node === 'l3')) await tick();
    });

    test('lease: of 100 instances that want it one gets it', async () => {
      const results = await Promise.all(
        range(100).map((i) => (i % 2 ? a : b).acquireLease('l4', `instance-${i}`, 60_000, infoOf(i))),
      );
      assert.equal(results.filter((result) => result.ok).length, 1);
    });

    test('disk: goes on from what was heard, and from nothing else, beyond the lease too', async () => {
      const take = (instance: string, disk?: DiskChain) => a.acquireLease('d1', instance, 60_000, infoOf(1), disk);
      const known = (mark: string) => ({ ok: false, known: { id: DISK, mark } });
      assert.deepEqual(await take('one', chain('0', '1')), { ok: true });
      assert.deepEqual(await take('one', chain('1', '2')), { ok: true });
      // The answer was lost, or the flush of the next mark failed: the same process says the last one again.
      assert.deepEqual(await take('one', chain('1', '2')), { ok: true });
      assert.deepEqual(await take('one', chain('2')), { ok: true });
      // A copy of the disk of then says all that the disk said then, and another process does.
      assert.deepEqual(await take('two', chain('1', '2')), known(marked('2')));
      assert.deepEqual(await take('two', chain('2')), known(marked('2')));
      const early = await take('two', chain('1', '2', '3'));
      assert.ok(!early.ok && 'holder' in early && early.holder === 'one');
      await b.releaseLease('d1', 'one');
      assert.deepEqual(await b.acquireLease('d1', 'two', 60_000, infoOf(1), chain('1', '2')), known(marked('2')));
      assert.ok(!(await b.leases()).some((lease) => lease.node === 'd1'));
      // Counting proves nothing: neither a higher number, nor the number itself, nor ever so many.
      assert.deepEqual(await take('two', chain('0', '1', '3')), known(marked('2')));
      assert.deepEqual(await take('two', chain('1', '2 of a copy', '3')), known(marked('2')));
      const many = range(OFFERS_MAX).map((i) => `${i + 2} of an image`);
      assert.deepEqual(await take('two', chain('1', ...many)), known(marked('2')));
      // Said by a process before, heard without its knowing.
      assert.deepEqual(await take('two', chain('1', '2', '3', '4')), { ok: true });
      // A release that says nothing of its disk changes nothing of what is known.
      assert.deepEqual(await take('two'), { ok: true });
      await b.releaseLease('d1', 'two');
      assert.deepEqual(await take('three', chain('2', '3')), known(marked('4')));
      assert.deepEqual(await take('three', chain('4', '1000004')), { ok: true });
      assert.deepEqual(await take('three', chain('4', '1000003')), known(marked('1000004')));
    });

    test('disk: a coordinator that went back takes the disk that has been heard since, and no image of then', async () => {
      const take = (instance: string, disk: DiskChain) => b.acquireLease('d6', instance, 60_000, infoOf(1), disk);
      assert.deepEqual(await take('one', chain('4', '5')), { ok: true });
      assert.deepEqual(await take('one', chain('5 of a copy', '6')), {
        ok: false,
        known: { id: DISK, mark: marked('5') },
      });
      assert.deepEqual(await take('one', chain('9', '10', '11')), { ok: true });
      const behind = { ok: false, known: { id: DISK, mark: marked('11') } };
      assert.deepEqual(await take('one', chain('4', '5', '6', '20')), behind);
      assert.deepEqual(await take('one', { ...chain('12', '13'), id: OTHER }), {
        ok: false,
        known: { id: DISK, mark: marked('11') },
      });
    });

    test('disk: another one is told from an old one; a lease that is held comes first', async () => {
      const take = (instance: string, disk: DiskChain) => b.acquireLease('d2', instance, 60_000, infoOf(1), disk);
      const another = { ...chain('49', '50 of another'), id: OTHER };
      assert.deepEqual(await take('one', chain('4', '5')), { ok: true });
      const held = await take('two', another);
      assert.ok(!held.ok && 'holder' in held && held.holder === 'one');
      await b.releaseLease('d2', 'one');
      assert.deepEqual(await take('two', another), { ok: false, known: { id: DISK, mark: marked('5') } });
      assert.deepEqual(await take('one', chain('5', '6')), { ok: true });
    });

    test('disk: of 50 instances on one disk one is served', async () => {
      const results = await Promise.all(
        range(50).map((i) => (i % 2 ? a : b).acquireLease('d3', `instance-${i}`, 60_000, infoOf(i), chain('0', '1'))),
      );
      assert.equal(results.filter((result) => result.ok).length, 1);
    });

    test('disk: what is no chain is refused, and changes nothing', async () => {
      assert.deepEqual(await a.acquireLease('d7', 'one', 60_000, infoOf(1), chain('1', '2')), { ok: true });
      const wrong: unknown[] = [
        { ...chain('1', '2'), id: 'x' },
        { id: DISK, heard: '1', offers: [] },
        { id: DISK, heard: 'x', offers: [marked('2')] },
        { id: DISK, heard: marked('1'), offers: ['2'] },
        { id: DISK, heard: marked('1'), offers: [`${marked('2')} ${marked('3')}`] },
        chain('1', ...range(OFFERS_MAX + 1).map((i) => `${i + 2}`)),
        { id: DISK, mark: 3 },
      ];
      for (const disk of wrong) {
        await assert.rejects(a.acquireLease('d7', 'one', 60_000, infoOf(1), disk as DiskChain), JSON.stringify(disk));
      }
      assert.deepEqual(await a.acquireLease('d7', 'one', 60_000, infoOf(1), chain('2', '3')), { ok: true });
    });

    test('disk: forgotten with the node, when it leaves the map', async () => {
      const epoch = (await a.readMap())?.epoch ?? 0;
      const before = (await a.readMap())?.nodes.map((node) => node.id) ?? [];
      const another = { ...chain('0', '1'), id: OTHER };
      await a.commitMap(epoch, mapOf(epoch + 1, [...before, 'd4']));
      assert.deepEqual(await a.acquireLease('d4', 'one', 60_000, infoOf(1), chain('4', '5')), { ok: true });
      await a.releaseLease('d4', 'one');
      await a.commitMap(epoch + 1, mapOf(epoch + 2, [...before, 'd4']));
      const stays = await a.acquireLease('d4', 'two', 60_000, infoOf(1), another);
      assert.deepEqual(stays, { ok: false, known: { id: DISK, mark: marked('5') } });
      await a.commitMap(epoch + 2, mapOf(epoch + 3, before));
      // The process that left is still there for a moment.
      const lingering = await a.acquireLease('d4', 'one', 60_000, infoOf(1), chain('5', '6'));
      assert.deepEqual(lingering, { ok: true });
      await a.releaseLease('d4', 'one');
      await a.commitMap(epoch + 3, mapOf(epoch + 4, [...before, 'd4']));
      assert.deepEqual(await a.acquireLease('d4', 'two', 60_000, infoOf(1), another), { ok: true });
      await a.releaseLease('d4', 'two');
      await a.commitMap(epoch + 4, mapOf(epoch + 5, before));
    });

    test('complete once every node of the map has reported, and then for good', async () => {
      const { incarnation } = await a.state();
      assert.deepEqual((await a.markReported('a', incarnation)).reported, ['a']);
      assert.equal((await b.markReported('b', incarnation)).complete, false);
      const ignored = await b.markReported('c', 'another incarnation');
      assert.deepEqual([ignored.reported, ignored.complete], [['a', 'b'], false]);
      const done = await b.markReported('c', incarnation);
      assert.deepEqual([done.reported, done.complete], [[], true]);
      const epoch = (await a.readMap())?.epoch ?? 0;
      await a.commitMap(epoch, mapOf(epoch + 1, ['a', 'b', 'c', 'd']));
      assert.equal((await a.state()).complete, true);
    });

    test('no hints of records before all nodes have reported: that would be a hint to every node of every record', async () => {
      const { incarnation, counter } = await a.state();
      await a.declareRegress({ incarnation, counter: counter + 1 });
      const hinted: string[] = [];
      const arrived = deferred<void>();
      let isLast = false;
      const stop = b.onHint((hint) => {
        if (hint.kind === 'record') hinted.push(hint.dataset);
        if (hint.kind === 'map' && isLast) arrived.resolve();
      });
      await a.casRecord('not-hinted', null, recordOf('not-hinted', 'a'));
      const map = await a.readMap();
      assert.ok(map);
      isLast = true;
      await a.commitMap(map.epoch, { ...map, epoch: map.epoch + 1 });
      await arrived.promise;
      assert.ok(!hinted.includes('not-hinted'));
      stop();
      const begun = (await a.state()).incarnation;
      for (const { id } of map.nodes) await a.markReported(id, begun);
    });

    test('hints reach other connections, and stop when asked', async () => {
      const hints: Hint[] = [];
      const arrived = deferred<void>();
      const stop = b.onHint((hint) => {
        // A late hint of an earlier change may come first.
        if (hint.kind === 'map' && hints.length === 0) return;
        hints.push(hint);
        if (hint.kind === 'map') arrived.resolve();
      });
      await a.casRecord('hinted', null, recordOf('hinted', 'a'));
      const epoch = (await a.readMap())?.epoch ?? 0;
      await a.commitMap(epoch, mapOf(epoch + 1, ['a', 'b', 'c']));
      await arrived.promise;
      assert.deepEqual(hints, [{ kind: 'record', dataset: 'hinted' }, { kind: 'map' }]);
      stop();
      const other = deferred<void>();
      const stopOther = b.onHint(() => other.resolve());
      await a.casRecord('hinted-2', null, recordOf('hinted-2', 'a'));
      await other.promise;
      stopOther();
      assert.equal(hints.length, 2);
    });

    test('a lost reply is told apart from a call never made', async () => {
      await harness.withoutReplies(async (lossy) => {
        await assert.rejects(
          lossy.casRecord('unknown', null, recordOf('unknown', 'a')),
          coded('COORDINATOR_OUTCOME_UNKNOWN'),
        );
      });
      const found = await b.readRecord('unknown');
      assert.deepEqual(found?.record, recordOf('unknown', 'a'));
    });

    test('while it is down every call fails as never made; all is there when it is back', async () => {
      const before = await a.changesSince(0, 10_000);
      const map = await a.readMap();
      assert.ok((await a.acquireLease('d5', 'one', 60_000, infoOf(1), chain('2', '3'))).ok);
      const lost = [availability(a, false), availability(b, false)];
      await harness.stop();
      await Promise.all(lost);
      const calls: (() => Promise<unknown>)[] = [
        () => a.state(),
        () => a.declareRegress({ incarnation: 'x', counter: 1 }),
        () => a.markReported('a', 'x'),
        () => a.readMap(),
        () => a.commitMap(0, mapOf(1, ['a'])),
        () => a.acquireLease('a', 'one', 1000, infoOf(1)),
        () => a.releaseLease('a', 'one'),
        () => a.leases(),
        () => a.readRecord('photos'),
        () => a.casRecord('down', null, recordOf('down', 'a')),
        () => a.changesSince(0, 10),
      ];
      for (const call of calls) await assert.rejects(call(), coded('COORDINATOR_UNAVAILABLE'));
      const found = [availability(a, true), availability(b, true)];
      await harness.start();
      await Promise.all(found);
      assert.deepEqual(await b.changesSince(0, 10_000), before);
      assert.deepEqual(await a.readMap(), map);
      const old = await a.acquireLease('d5', 'two', 60_000, infoOf(1), chain('2', '3'));
      assert.deepEqual(old, { ok: false, known: { id: DISK, mark: marked('3') } });
      assert.equal((await a.casRecord('down', null, recordOf('down', 'a'))).ok, true);
    });

    test('lost writes: a node that remembers more starts a new incarnation, once', async () => {
      let seen = await a.state();
      await harness.loseWritesOf(async () => {
        await a.casRecord('lost', null, recordOf('lost', 'a'));
        seen = await a.state();
      });
      const restored = await retryUnavailable(() => a.state());
      assert.equal(restored.incarnation, seen.incarnation);
      assert.ok(restored.counter < seen.counter && restored.complete);
      // Nothing is wrong as far as this one can tell.
      assert.deepEqual(await a.declareRegress(restored), restored);
      const regressed = await a.declareRegress(seen);
      assert.notEqual(regressed.incarnation, seen.incarnation);
      assert.deepEqual([regressed.complete, regressed.reported], [false, []]);
      assert.ok(regressed.counter >= seen.counter);
      assert.deepEqual(await retryUnavailable(() => b.declareRegress(seen)), regressed);
      assert.equal(await b.readRecord('lost'), null);
      // What was kept is kept, and still found from the start.
      const photos = await b.readRecord('photos');
      assert.ok(photos);
      const all = await b.changesSince(0, 10_000);
      assert.ok(all.records.some((entry) => entry.record.dataset === 'photos' && entry.tag === photos.tag));
    });

    test('after a flush: a new incarnation, incomplete, empty; and no write lands in the old one', async () => {
      const before = await a.state();
      const stale = await a.readRecord('photos');
      await harness.flush();
      assert.deepEqual(await retryUnavailable(() => a.casRecord('photos', stale?.tag ?? '', recordOf('photos', 'a'))), {
        ok: false,
        current: null,
      });
      const created = taken(await b.casRecord('photos', null, recordOf('photos', 'b')));
      const after = await a.state();
      assert.notEqual(after.incarnation, before.incarnation);
      assert.deepEqual(after, { ...after, counter: 1, complete: false, reported: [], mapEpoch: 0 });
      const { reported: _, ...life } = after;
      const digest = mixTag(NO_RECORDS, created.tag);
      assert.deepEqual(await a.changesSince(0, 10), { state: life, digest, records: [created], cursor: 1 });
      assert.equal(await a.mapStamp(), '');
      assert.equal(await a.readMap(), null);
      assert.deepEqual(await a.leases(), []);
      const ignored = await a.markReported('a', before.incarnation);
      assert.deepEqual(ignored.reported, []);
    });

    test('a closed connection fails at once and leaves the others alone', async () => {
      const c = await harness.connect();
      await c.close();
      await c.close();
      await assert.rejects(c.state(), coded('COORDINATOR_UNAVAILABLE'));
      assert.ok((await a.state()).incarnation);
    });
  });
}

function digestOf(records: readonly TaggedRecord[]): string {
  return records.reduce((digest, { tag }) => mixTag(digest, tag), NO_RECORDS);
}

const DISK = '0123456789abcdef'.repeat(2);
const OTHER = 'f'.repeat(32);

/** `5` is a mark, `5 of a copy` another of the same number. `0` = none. */
function marked(word: string): string {
  const [number = '', ...random] = word.split(' ');
  if (number === '0') return number;
  return `${number}-${Buffer.from(random.join(' ').padEnd(8)).toString('hex').slice(-16)}`;
}

function chain(heard: string, ...offers: readonly string[]): DiskChain {
  return { id: DISK, heard: marked(heard), offers: offers.map(marked) };
}

export function mapOf(epoch: number, ids: readonly string[]): ClusterMap {
  return {
    version: 1,
    cluster: 'lab',
    epoch,
    revision: epoch,
    contentHash: `hash-${epoch}`,
    settings: { copies: 1, leaseMs: 10_000 },
    nodes: ids.map((id) => ({
      id,
      zone: `zone ${id}`,
      weight: 1.5,
      state: 'up',
      s3: '127.0.0.1:9000',
      peer: '[::1]:9001',
      admin: 'host:9002',
    })),
  };
}

export function recordOf(dataset: string, owner: string): OwnershipRecord {
  return {
    version: 1,
    dataset,
    id: '0123456789abcdef0123456789abcdef',
    owner,
    term: { n: 1, node: owner },
    phase: 'stable',
    target: null,
    pin: null,
    inSync: [owner],
    createdMs: 1,
    creator: null,
  };
}

export function infoOf(datasets: number): NodeInfo {
  return { release: '0', formats: { index: 1 }, freeBytes: 1, totalBytes: 2, datasets, moves: [], startedMs: 3 };
}

export function coded(code: string): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof ZringError, `not a ZringError: ${error}`);
    assert.equal(error.code, code, error.message);
    return true;
  };
}

function taken(result: { ok: true; value: TaggedRecord } | { ok: false; current: unknown }): TaggedRecord {
  assert.ok(result.ok);
  return result.value;
}

function range(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i);
}

export function deferred<T>(): { promise: Promise<T>; resolve(value: T): void } {
  let resolve: (value: T) => void = () => {};
  const promise = new Promise<T>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}

/** The next time the connection is reported to have come or gone. */
export function availability(coordinator: Coordinator, wanted: boolean): Promise<void> {
  const { promise, resolve } = deferred<void>();
  const stop = coordinator.onAvailability((available) => {
    if (available !== wanted) return;
    stop();
    resolve();
  });
  return promise;
}

/** For the moment in which a connection finds its way back; the test runner's own limit ends it. */
async function retryUnavailable<T>(call: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await call();
    } catch (error) {
      if (!(error instanceof ZringError) || error.code !== 'COORDINATOR_UNAVAILABLE') throw error;
      await tick();
    }
  }
}

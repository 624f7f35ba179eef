// When a storage counts as silent: the pure rules, and the watch that asks them, over a pulse that the test plays.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isZringError } from '../../src/common/errors.ts';
import type { Config } from '../../src/config/types.ts';
import type { DatasetDriver, Usage } from '../../src/dataset/driver.ts';
import type { StoragePulse } from '../../src/ownership/storage-pulse.ts';
import {
  countWaiting,
  judgeSilence,
  judgeStall,
  SILENCE_LIMITS,
  type StorageAnswer,
} from '../../src/ownership/storage-silence.ts';
import { StorageWatch } from '../../src/ownership/storage-watch.ts';

const L = SILENCE_LIMITS;

describe('silence of a storage', () => {
  it('is counted while it is watched, and an answer ends it', () => {
    let waitedMs = 0;
    for (let look = 0; look < 10; look++) waitedMs = countWaiting(waitedMs, 100, 100, true);
    assert.equal(waitedMs, 1000);
    assert.equal(countWaiting(waitedMs, 100, 100, false), 0);
  });

  it('is not proven by a gap in the clock of who watches', () => {
    assert.equal(countWaiting(0, 3_600_000, 100, true), 200);
    assert.equal(judgeSilence(countWaiting(0, 3_600_000, L.lookEveryMs, true), L), 'answering');
    assert.equal(countWaiting(500, -50, 100, true), 500);
  });

  it('is late first, then silent', () => {
    const cases: [number, StorageAnswer][] = [
      [0, 'answering'],
      [L.lateMs - 1, 'answering'],
      [L.lateMs, 'late'],
      [L.silentMs - 1, 'late'],
      [L.silentMs, 'silent'],
    ];
    for (const [waitedMs, answer] of cases) assert.equal(judgeSilence(waitedMs, L), answer, `${waitedMs} ms`);
  });

  it('ends a process that stands still with it, and one that stands still for very long', () => {
    assert.equal(judgeStall(0, L.silentMs * 10, L), 'fine');
    assert.equal(judgeStall(L.stallToldMs, 0, L), 'tell');
    assert.equal(judgeStall(L.stallEndMs, 0, L), 'tell');
    assert.equal(judgeStall(L.stallEndMs, L.silentMs, L), 'end');
    assert.equal(judgeStall(L.stallEndAnywayMs, 0, L), 'end');
  });
});

describe('the watch', () => {
  const usage: Usage = { totalBytes: 1 << 30, freeBytes: 1 << 29, health: 'ok' };
  const config = { storage: { minFreePercent: 2, minFreeBytes: 1 << 20 } } as Config;

  function played() {
    const listeners = new Set<(answer: StorageAnswer) => void>();
    let answer: StorageAnswer = 'answering';
    const pulse: StoragePulse = {
      get answer() {
        return answer;
      },
      waitedMs: 7_000,
      get lost() {
        return answer === 'gone' ? 'something else is mounted' : null;
      },
      onChange(listener) {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
    };
    const set = (next: StorageAnswer) => {
      answer = next;
      for (const listener of [...listeners]) listener(next);
    };
    return { pulse, set };
  }

  const driverOf = (read: () => Promise<Usage>) => ({ storage: 'zfs:tank/zring', usage: read }) as DatasetDriver;
  const unavailable = (error: unknown) =>
    isZringError(error, 'STORAGE_UNAVAILABLE') &&
    /tank\/zring: (has not answered for 7 s|was taken away: something)/.test(error.message);

  it('lets nobody near a silent storage, readers neither, and everybody again when it answers', async () => {
    const { pulse, set } = played();
    const watch = new StorageWatch(
      driverOf(async () => usage),
      () => config,
      pulse,
    );
    await watch.poll();
    await watch.admit('write');
    set('silent');
    for (const mode of ['read', 'write', 'delete'] as const) await assert.rejects(watch.admit(mode), unavailable);
    assert.match(watch.usage?.health ?? '', /has not answered/);
    set('answering');
    await watch.admit('write');
    assert.equal(watch.usage?.health, 'ok');
  });

  it('keeps requests waiting while an answer is late, until it is there or the storage is silent', async () => {
    for (const [end, admitted] of [
      ['answering', true],
      ['silent', false],
      ['gone', false],
    ] as const) {
      const { pulse, set } = played();
      const watch = new StorageWatch(
        driverOf(async () => usage),
        () => config,
        pulse,
      );
      await watch.poll();
      set('late');
      let settled = false;
      const entering = watch.admit('read').finally(() => {
        settled = true;
      });
      entering.catch(() => {});
      await new Promise((resolve) => setImmediate(resolve));
      assert.equal(settled, false);
      set(end);
      if (admitted) await entering;
      else await assert.rejects(entering, unavailable);
    }
  });

  it('asks the driver never twice at once, and a silent storage not at all', async () => {
    let asked = 0;
    let answer: (usage: Usage) => void = () => {};
    const read = () => {
      asked++;
      return new Promise<Usage>((resolve) => {
        answer = resolve;
      });
    };
    const { pulse, set } = played();
    const watch = new StorageWatch(driverOf(read), () => config, pulse);
    const polls = [watch.poll(), watch.poll()];
    assert.equal(asked, 1);
    answer(usage);
    await Promise.all(polls);
    set('silent');
    await watch.poll();
    assert.equal(asked, 1);
  });
});

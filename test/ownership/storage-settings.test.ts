import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  formatSettings,
  limitsOf,
  NO_SETTINGS,
  parseSettings,
  planFileLimit,
  QUOTA_BYTES_MIN,
  requireSettings,
  reserveOf,
} from '../../src/ownership/storage-settings.ts';

const MiB = 1 << 20;
const GiB = 1 << 30;

describe('storage settings', () => {
  it('what is written is read; what cannot be read is not set', () => {
    const settings = { quotaBytes: GiB, reservationBytes: MiB, compression: 'gzip-9' };
    assert.deepEqual(parseSettings(JSON.parse(JSON.stringify(formatSettings(settings)))), settings);
    assert.equal(formatSettings(NO_SETTINGS), undefined);
    for (const document of [
      undefined,
      null,
      'x',
      [],
      { quotaBytes: '5', reservationBytes: -1, compression: 'on -r' },
    ]) {
      assert.deepEqual(parseSettings(document), NO_SETTINGS);
    }
    assert.deepEqual(parseSettings({ quotaBytes: 2 ** 60, compression: 'lz4', later: true }), {
      ...NO_SETTINGS,
      compression: 'lz4',
    });
  });

  it('unsound ones are refused', () => {
    const cases: [Partial<typeof NO_SETTINGS> | object, RegExp][] = [
      [{ quotaBytes: QUOTA_BYTES_MIN - 1 }, /at least 16777216 \(16MiB\)/],
      [{ quotaBytes: 2 ** 60 }, /a quota/],
      [{ quotaBytes: 1.5 * GiB + 0.5 }, /a quota/],
      [{ reservationBytes: 0 }, /a reservation/],
      [{ quotaBytes: GiB, reservationBytes: GiB + 1 }, /larger than the quota/],
      [{ compression: 'gzip 9' }, /compression/],
      [{ compression: '-x' }, /compression/],
    ];
    for (const [change, message] of cases) {
      assert.throws(() => requireSettings({ ...NO_SETTINGS, ...change }), { code: 'CONFIG_REFUSED', message });
    }
    requireSettings(NO_SETTINGS);
    requireSettings({ quotaBytes: GiB, reservationBytes: GiB, compression: 'zstd-fast-10' });
  });

  it('the reserve is a 64th, and bodies stop before it where the file system enforces', () => {
    assert.equal(reserveOf(16 * MiB), 4 * MiB);
    assert.equal(reserveOf(GiB), 16 * MiB);
    assert.equal(reserveOf(1024 * GiB), 64 * MiB);
    assert.equal(limitsOf(null, 0, true), null);
    assert.deepEqual(limitsOf(GiB, 0, true), { bodyBytes: 1008 * MiB, writeBytes: 1016 * MiB });
    assert.deepEqual(limitsOf(GiB, 0, false), { bodyBytes: GiB, writeBytes: GiB + 8 * MiB });
    assert.deepEqual(limitsOf(GiB, 2 * GiB, true), { bodyBytes: 1008 * MiB, writeBytes: 2 * GiB + 8 * MiB });
  });

  it('the file system gets the quota itself, and more only while deletions need it', () => {
    assert.equal(planFileLimit(null, GiB), null);
    assert.equal(planFileLimit(GiB, 0), GiB);
    assert.equal(planFileLimit(GiB, 1008 * MiB), GiB);
    assert.equal(planFileLimit(GiB, 1016 * MiB), GiB);
    assert.equal(planFileLimit(GiB, 1017 * MiB), 1033 * MiB);
    assert.equal(planFileLimit(GiB, 5 * GiB), 5 * GiB + 16 * MiB);
    // Every limit that is planned leaves at least half a reserve.
    for (let used = 0; used < 3 * GiB; used += 7 * MiB) {
      assert.ok((planFileLimit(GiB, used) ?? 0) - used >= 8 * MiB);
    }
  });

  it('free room inside the index is added, once it is worth it', () => {
    assert.equal(planFileLimit(GiB, 0, MiB), GiB);
    assert.equal(planFileLimit(GiB, 0, 100 * MiB), GiB + 100 * MiB);
    assert.equal(planFileLimit(GiB, 1017 * MiB, 100 * MiB), 1133 * MiB);
  });

  it('one that was moved up is moved again only for a reason, and never leaves too little', () => {
    const moved = 5 * GiB + 16 * MiB;
    assert.equal(planFileLimit(GiB, 5 * GiB, 0, moved), moved);
    assert.equal(planFileLimit(GiB, 5 * GiB + MiB, 0, moved), moved);
    assert.equal(planFileLimit(GiB, 5 * GiB - MiB, 0, moved), moved);
    assert.equal(planFileLimit(GiB, 5 * GiB + 3 * MiB, 0, moved), moved + 3 * MiB);
    assert.equal(planFileLimit(GiB, 4 * GiB, 0, moved), 4 * GiB + 16 * MiB);
    assert.equal(planFileLimit(GiB, GiB / 2, 0, moved), GiB);
    assert.equal(planFileLimit(GiB, GiB / 2, 0, GiB + MiB), GiB, 'the quota itself is what it goes back to');
    let present: number | null = null;
    for (let step = 0; step < 2000; step++) {
      const used = 1.5 * GiB * Math.abs(Math.sin(step / 50));
      const reusable = 50 * MiB * Math.abs(Math.sin(step / 13));
      present = planFileLimit(GiB, used, reusable, present);
      assert.ok((present ?? 0) - used - reusable >= 4 * MiB, `step ${step}`);
    }
  });
});

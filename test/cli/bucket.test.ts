import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { formatBucket, parseSettingWords } from '../../src/cli/bucket.ts';

describe('zring bucket', () => {
  it('reads settings as people write them', () => {
    assert.deepEqual(parseSettingWords(['quota=10GiB']), { quotaBytes: 10 * 2 ** 30 });
    assert.deepEqual(parseSettingWords(['compression=zstd', 'reservation=1.5GB', 'quota=none']), {
      compression: 'zstd',
      reservationBytes: 1.5e9,
      quotaBytes: null,
    });
    assert.deepEqual(parseSettingWords(['compression=none']), { compression: null });
    assert.deepEqual(parseSettingWords(['compression=off']), { compression: 'off' });
  });

  const refused: [string[], RegExp][] = [
    [['quota=10'], /10 has no unit/],
    [['quota='], /nothing is not a number/],
    [['quota'], /is no setting; there are: quota=SIZE/],
    [['qouta=1GiB'], /is no setting/],
    [['compression='], /names no compression/],
    [['quota=1GiB', 'quota=2GiB'], /sets something twice/],
    [['quota=-1GiB'], /is not a number/],
  ];
  for (const [words, message] of refused) {
    it(`refuses ${words.join(' ')}`, () => {
      assert.throws(() => parseSettingWords(words), { code: 'CONFIG_INVALID', message });
    });
  }

  it('shows what is wanted, what is in force, and why not', () => {
    const text = formatBucket({
      bucket: 'photos',
      node: 'b',
      storage: 'zfs:tank/zring',
      wanted: { quotaBytes: 2 ** 30, reservationBytes: null, compression: 'zstd' },
      applied: { quotaBytes: 2 ** 30, reservationBytes: null, compression: 'lz4' },
      notApplied: [{ setting: 'compression', reason: 'zstd is not known here' }],
      usedBytes: 2 ** 20,
      snapshotBytes: 0,
      availableBytes: 2 ** 29,
      compressRatio: 1.5,
      encryption: null,
    });
    assert.match(text, /^photos on node b, zfs:tank\/zring\n/);
    assert.match(text, /quota +1\.0 GiB +1\.0 GiB\n/);
    assert.match(text, /reservation +none +none\n/);
    assert.match(text, /compression +zstd +lz4\n/);
    assert.match(text, /used 1\.0 MiB, compressed 1\.50x; 512\.0 MiB left/);
    assert.match(text, /encryption: off\nnot in force: compression: zstd is not known here$/);
  });
});

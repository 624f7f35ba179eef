import assert from 'node:assert/strict';
import test from 'node:test';
import { parseScrubChange } from '../../src/admin/bucket-scrubs.ts';
import { formatProgress, formatScrub } from '../../src/cli/scrub.ts';
import { isUnsound, type ScrubReport } from '../../src/ownership/repair/types.ts';

const SOUND: ScrubReport = {
  state: 'done',
  reason: null,
  startedMs: 1_000,
  endedMs: 4_000,
  files: { done: 7, total: 7 },
  bytes: { done: 3 << 20, total: 3 << 20 },
  damaged: 0,
  repaired: 0,
  indexFaults: 0,
  faults: [],
};
const told = (scrub: Partial<ScrubReport>) =>
  formatScrub({ bucket: 'photos', node: 'b', scrub: { ...SOUND, ...scrub } });

test('a scrub tells what it read, what is damaged and what was done about it', () => {
  assert.match(told({}), /photos on node b has read all: 7 of 7 files, 3\.0 MiB in 3\.0s\nall sound$/);
  const text = told({
    damaged: 3,
    repaired: 1,
    faults: [
      { key: 'a/b', blob: 'x', reason: 'no other node has it whole', repaired: false },
      { key: null, blob: 'y', reason: 'block 1', repaired: true },
    ],
  });
  assert.match(text, /3 damaged files, 1 of them repaired/);
  assert.match(text, /DAMAGED +a\/b +no other node has it whole/);
  assert.match(text, /repaired +\(no object\) +block 1/);
  assert.match(text, /… and 1 more/);
  assert.doesNotMatch(text, /all sound/);
  const index = told({ indexFaults: 1, faults: [{ key: null, blob: null, reason: 'EIO', repaired: false }] });
  assert.match(index, /\(the index\)[\s\S]*zring snapshot list photos/);
  assert.doesNotMatch(told({ state: 'stopped' }), /all sound/);
  assert.match(told({ state: 'failed', reason: 'it has moved' }), /could not go on \(it has moved\)/);
  assert.match(formatScrub({ bucket: 'photos', node: 'b', scrub: null }), /none is remembered/);
  assert.equal(
    formatProgress('photos', { ...SOUND, files: { done: 1, total: 7 }, damaged: 2, repaired: 1 }),
    'photos: 1 of 7 files, 3.0 MiB of 3.0 MiB, 2 damaged, 1 repaired',
  );
});

test('what is damaged still, or was not looked at, is no success', () => {
  assert.equal(isUnsound(SOUND), false);
  assert.equal(isUnsound({ ...SOUND, damaged: 2, repaired: 2 }), false);
  for (const bad of [{ damaged: 2, repaired: 1 }, { indexFaults: 1 }, { state: 'failed' as const }]) {
    assert.equal(isUnsound({ ...SOUND, ...bad }), true, JSON.stringify(bad));
  }
});

test('a change is one of two verbs', () => {
  for (const verb of ['begin', 'end'] as const) assert.equal(parseScrubChange({ verb }), verb);
  for (const wrong of [null, {}, { verb: 'show' }, 'begin']) {
    assert.throws(() => parseScrubChange(wrong), { code: 'CONFIG_REFUSED' });
  }
});

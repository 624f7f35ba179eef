// Closing and opening a store whose dataset changed beneath it: once at once, then ever more rarely, and never in silence.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Clock } from '../../src/common/clock.ts';
import { type ErrorCode, ZringError } from '../../src/common/errors.ts';
import type { DatasetRunner } from '../../src/ownership/runner.ts';
import { StorePlace } from '../../src/ownership/store-place.ts';
import { silentLogger } from '../../src/telemetry/log.ts';

function played(capable = true) {
  let nowMs = 0;
  const place = new StorePlace({ monotonicMs: () => nowMs } as Clock);
  const shown = { fault: null as string | null, looks: 0, closed: 0, aborted: 0 };
  const runner = {
    dataset: 'photos',
    store: {
      misplaced: async () => {
        shown.looks++;
        return shown.fault;
      },
    },
    state: { phase: { at: 'idle' }, openTerm: { n: 1, node: 'a' } },
    gate: { drained: async () => true, abortAll: () => shown.aborted++ },
    deps: { logger: silentLogger(), driver: { capabilities: { readonlyFencesOpenFiles: capable } } },
    dispatch: () => shown.closed++,
  } as unknown as DatasetRunner;
  const look = () => place.look(runner);
  return { place, shown, look, pass: (ms: number) => (nowMs += ms) };
}

const failure = (code: ErrorCode) => new ZringError(code, 'why');

describe('the place of an open store', () => {
  it('is looked at once a second at most, and a store that is in place is left alone', async () => {
    const { shown, look, pass } = played();
    for (let i = 0; i < 30; i++) {
      await look();
      pass(100);
    }
    assert.deepEqual(shown, { fault: null, looks: 3, closed: 0, aborted: 0 });
  });

  it('is closed when it is lost, rests before it is opened, and again only ever more rarely', async () => {
    const { place, shown, look, pass } = played();
    shown.fault = 'it is not mounted';
    await look();
    assert.equal(shown.closed, 1);
    assert.equal(shown.aborted, 1);
    assert.match(place.refusal('photos')?.message ?? '', /cannot be opened: it is not mounted/);
    pass(3_000);
    assert.equal(place.refusal('photos'), null);
    for (let i = 0; i < 600; i++) {
      place.opened();
      await look();
      pass(1_000);
    }
    // 1, 2, 4 … 10 seconds between them.
    assert.ok(shown.closed > 40 && shown.closed < 80, String(shown.closed));
  });

  it('is only told of where closing it would hang the storage', async () => {
    const { place, shown, look } = played(false);
    shown.fault = 'it is not mounted';
    await look();
    assert.equal(shown.closed, 0);
    assert.equal(place.fault, 'it is not mounted');
    assert.equal(place.refusal('photos'), null);
  });

  it('is not opened again and again when that fails; the reason stands until it succeeds', () => {
    const { place, pass } = played();
    let tries = 0;
    for (let i = 0; i < 6_000; i++) {
      if (!place.refusal('photos')) {
        tries++;
        place.openingFailed(failure('MOUNT_INVALID'));
      }
      assert.equal(place.fault, 'why');
      pass(100);
    }
    assert.ok(tries > 40 && tries < 80, String(tries));
    place.opened();
    assert.equal(place.fault, null);
    assert.equal(place.refusal('photos'), null);
  });

  it('has nothing to do with openings that fail for another reason', () => {
    const { place } = played();
    for (let i = 0; i < 5; i++) place.openingFailed(failure('TERM_REFUSED'));
    assert.equal(place.refusal('photos'), null);
  });
});

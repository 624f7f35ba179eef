// A claim in the record that its node did not live to take back: it holds that node in the map, and others from clearing up.
import assert from 'node:assert/strict';
import test from 'node:test';
import { type PullFacts, planPulls } from '../../src/ownership/rebalance.ts';
import { step } from '../../src/ownership/transitions.ts';
import { copyOf, recordOf, start, term } from './words.ts';

const facts: PullFacts = {
  self: 'b',
  mode: 'background',
  concurrency: 4,
  nowMs: 0,
  records: [],
  home: () => 'c',
  isLeaving: () => false,
  touched: new Set(),
  running: new Set(),
  notBeforeMs: () => 0,
};
const copying = recordOf({ phase: 'copying', target: 'b' });
const draining = recordOf({ phase: 'draining', target: 'b' });

test('a node that is not the home any more takes back what it claimed before its crash', () => {
  assert.deepEqual(planPulls({ ...facts, records: [copying] }), { start: [], cancel: [copying.dataset] });
  for (const copy of [null, copyOf({ role: 'receiving' }), copyOf({ role: 'prior', term: term(2, 'b') })]) {
    const { state, effects } = step(start({ self: 'b', copy, record: copying }), { on: 'cancel-pull' }, 0);
    assert.equal(state.phase.at, 'idle');
    const [publish] = effects;
    assert(publish?.do === 'publish', JSON.stringify(effects));
    assert.deepEqual(publish.next, { ...copying, phase: 'stable', target: null });
  }
});

test('a drain that was asked for is seen through, whoever is the home by now', () => {
  assert.deepEqual(planPulls({ ...facts, records: [draining] }), { start: [draining.dataset], cancel: [] });
  const running = new Set([draining.dataset]);
  assert.deepEqual(planPulls({ ...facts, running, records: [draining] }), { start: [], cancel: [] });
});

test('what others have claimed is theirs', () => {
  const records = [recordOf({ phase: 'copying', target: 'd' }), recordOf({ phase: 'draining', target: 'd' })];
  assert.deepEqual(planPulls({ ...facts, records }), { start: [], cancel: [] });
});

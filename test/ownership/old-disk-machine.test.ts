// The machine of one dataset, told or shown that its disk went back: what it does not do, what it does not say, and what an
// operator's acceptance makes of each kind of copy.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { OwnershipRecord } from '../../src/cluster/record.ts';
import { gateOf, mayCommit } from '../../src/ownership/gate-state.ts';
import { ACCEPTED_TERM_STEP, planPublication } from '../../src/ownership/publication.ts';
import type { Copy, CopyState, Effect, Event, Fence } from '../../src/ownership/state.ts';
import { recover, step } from '../../src/ownership/transitions.ts';

const ID = '0'.repeat(32);
const term = (n: number, node = 'a') => ({ n, node });
const promise = { to: 'b', term: term(3), snapshot: 's', guid: '77' };
const source = { node: 'b', term: term(3, 'b'), snapshot: 's', guid: '77' };

function copy(change: Partial<Copy> = {}): Copy {
  const base = {
    id: ID,
    createdMs: 1,
    creator: null,
    promise: null,
    source: null,
    deleting: false,
    priorSinceMs: null,
  };
  return { ...base, role: 'owner', term: term(3), ...change };
}

function record(change: Partial<OwnershipRecord> = {}): OwnershipRecord {
  const base = { version: 1 as const, dataset: 'd', id: ID, phase: 'stable' as const, target: null, pin: null };
  return { ...base, owner: 'a', term: term(3), inSync: [change.owner ?? 'a'], createdMs: 1, creator: null, ...change };
}

function on(here: Copy | null, known: OwnershipRecord | null, fences: Record<string, Fence> = {}): CopyState {
  return recover('a', 'd', here, fences, { record: known, tag: known ? 't' : null, behind: false, buried: false });
}

function does(state: CopyState, event: Event): readonly Effect[] {
  return step(state, event, 0).effects;
}

function told(state: CopyState, n = 3, from = 'b'): unknown {
  const [effect] = does(state, { on: 'refuse-asked', request: 'r', from, id: ID, n });
  if (effect?.do !== 'answer') return effect?.do;
  return effect.answer.ok ? effect.answer.value : effect.answer.failure.code;
}

test('a record of this node above the copy shuts it; at or below it, or with a promise to be taken back, it does not', () => {
  const cases: [Partial<Copy>, OwnershipRecord, string][] = [
    [{}, record({ term: term(4) }), 'went-back'],
    [{}, record({ term: term(3) }), 'current'],
    [{}, record({ term: term(2) }), 'put'],
    [{ promise }, record({ term: term(9) }), 'current'],
    [{}, record({ term: term(4, 'b'), owner: 'b' }), 'deposed'],
  ];
  for (const [here, known, expected] of cases) {
    assert.equal(planPublication('a', 'd', copy(here), false, known).kind, expected, JSON.stringify([here, known]));
  }
  const shut = on(copy(), record({ term: term(4) }));
  assert.deepEqual(gateOf(shut), { kind: 'shut', reason: 'went-back' });
  for (const event of [{ on: 'open' }, { on: 'tick' }] as const) assert.deepEqual(does(shut, event), []);
  const [refused] = does(shut, { on: 'drain', request: 'r', from: 'b', id: ID });
  assert.ok(refused?.do === 'answer' && !refused.answer.ok && refused.answer.failure.code === 'DATASET_UNAVAILABLE');
});

test('the record may be heard of while the copy is in use: nothing more is committed', () => {
  const serving: CopyState = { ...on(copy(), record()), openTerm: term(3) };
  assert.ok(mayCommit(serving, term(3)));
  const heard = step(
    serving,
    { on: 'record', record: record({ term: term(8) }), tag: 'u', behind: false, buried: false },
    0,
  ).state;
  assert.ok(!mayCommit(heard, term(3)));
  assert.equal(gateOf(heard).kind, 'shut');
});

test('asked about a promise without a fence: the record may show that the verdict is lost', () => {
  const cases: [OwnershipRecord | null, Record<string, Fence>, unknown][] = [
    // Nothing speaks against it: refused, durably, before the answer.
    [null, {}, 'store-fence'],
    [record({ owner: 'b', term: term(3, 'b') }), {}, 'store-fence'],
    // The promiser has taken it back already.
    [record({ owner: 'b', term: term(9, 'b') }), {}, 'store-fence'],
    // This node had adopted it: the writes since are not here, and the promiser does not have them either.
    [record({ owner: 'a', term: term(4) }), {}, 'DATASET_UNAVAILABLE'],
    // It had adopted it and handed it on.
    [record({ owner: 'c', term: term(9, 'c') }), {}, 'taken'],
    // A verdict that stands here is the truth, whatever a late commit left in the record.
    [record({ owner: 'a', term: term(4) }), { [ID]: { n: 3, verdict: 'refused' } }, 'store-fence'],
    [record({ owner: 'a', term: term(4) }), { [ID]: { n: 3, verdict: 'adopted' } }, 'taken'],
    // An older promise than the one decided.
    [record({ owner: 'a', term: term(4) }), { [ID]: { n: 9, verdict: 'refused' } }, 'taken'],
  ];
  for (const [known, fences, expected] of cases) {
    assert.equal(told(on(null, known, fences)), expected, JSON.stringify([known, fences]));
  }
});

test('told refused, but a third node owns it above the promise: the promise is not taken back, the copy is set aside', () => {
  const asked = step(
    on(copy({ promise }), record({ phase: 'draining', target: 'b' })),
    { on: 'told-refused', from: 'b', id: ID, n: 3 },
    0,
  );
  assert.deepEqual(
    asked.effects.map((effect) => effect.do),
    ['read-record'],
  );
  const read = (owner: string) => {
    const tagged = { record: record({ owner, term: term(6, owner), inSync: [owner] }), tag: 'u' };
    return does(asked.state, { on: 'record-read', tagged, ground: 'g', complete: true }).map((effect) => effect.do);
  };
  assert.deepEqual(read('c'), ['move-away', 'note']);
  assert.deepEqual(read('b'), ['cas'], 'a late commit of the refused term');
  assert.deepEqual(read('a'), ['cas']);
});

test('accepted: an owner goes on above everything, a removal is not gone on with by itself', () => {
  const accept = (here: Copy, known: OwnershipRecord | null, fences: Record<string, Fence> = {}) =>
    does(on(here, known, fences), { on: 'accept-disk' });
  const raised = (n: number) => [{ do: 'persist', copy: copy({ term: term(n + 1 + ACCEPTED_TERM_STEP) }) }];
  assert.deepEqual(accept(copy(), record({ term: term(8) })), raised(8));
  assert.deepEqual(accept(copy(), null), raised(3));
  assert.deepEqual(accept(copy(), null, { [ID]: { n: 20, verdict: 'refused' } }), raised(21));
  assert.deepEqual(accept(copy({ deleting: true }), record({ term: term(8) })), raised(8));
  // Not this copy's to decide.
  assert.deepEqual(accept(copy({ promise }), record()), []);
  assert.deepEqual(accept(copy(), record({ owner: 'b', term: term(9, 'b') })), []);
  assert.deepEqual(accept(copy(), record({ id: '1'.repeat(32), term: term(9) })), []);
  assert.deepEqual(accept(copy({ role: 'prior' }), record({ owner: 'b', term: term(9, 'b') })), []);
  const { state } = step(on(copy(), record({ term: term(8) })), { on: 'accept-disk' }, 0);
  const done = step(state, { on: 'persisted', copy: copy({ term: term(9 + ACCEPTED_TERM_STEP) }) }, 0).state;
  assert.deepEqual(gateOf(done), { kind: 'wait', open: true });
  assert.equal(planPublication('a', 'd', done.copy ?? copy(), false, done.record).kind, 'put');
});

test('accepted: a prepared copy goes on where the record says so, and refuses its promise elsewhere', () => {
  const prepared = copy({ role: 'prepared', term: term(4), source });
  const own = does(on(prepared, record({ term: term(4) })), { on: 'accept-disk' });
  assert.deepEqual(own, [{ do: 'persist', copy: { ...prepared, term: term(5 + ACCEPTED_TERM_STEP) } }]);
  const others = record({ owner: 'b', term: term(3, 'b'), phase: 'draining', target: 'a' });
  const { state, effects } = step(on(prepared, others), { on: 'accept-disk' }, 0);
  assert.deepEqual(effects, [
    { do: 'store-fence', id: ID, fence: { n: 3, verdict: 'refused' }, request: null, tell: null },
    { do: 'persist', copy: { ...prepared, role: 'receiving', source: null } },
  ]);
  const after = step(state, { on: 'persisted', copy: { ...prepared, role: 'receiving', source: null } }, 0).state;
  assert.equal(told(after), 'store-fence', 'refused, again and again');
  assert.equal(gateOf(after).kind, 'shut');
});

// The tables of docs/OWNERSHIP.md, row by row: state and event in, phase and effects out.
import assert from 'node:assert/strict';
import test from 'node:test';
import type { OwnershipRecord } from '../../src/cluster/record.ts';
import { gateOf, isQuiet, mayCommit } from '../../src/ownership/gate-state.ts';
import type { Copy, Effect, Event, Fence } from '../../src/ownership/state.ts';
import { copyOf as copy, ID, recordOf as record, run, type Start, start, term } from './words.ts';

const promise = { to: 'b', term: term(3), snapshot: 's', guid: '77' };
const promised = copy({ promise });
const prepared = copy({
  role: 'prepared',
  term: term(4, 'b'),
  source: { node: 'a', term: term(3), snapshot: 's', guid: '77' },
});
const draining = record({ phase: 'draining', target: 'b' });

test('every opening takes a term above record, copy and decided promises, on disk before the store opens', () => {
  const cases: [Start, number][] = [
    [{ copy: copy(), record: record() }, 4],
    [{ copy: copy(), record: record({ owner: 'b', term: term(2, 'b') }) }, 4],
    [{ copy: copy(), record: record(), fences: { [ID]: { n: 20, verdict: 'refused' } } }, 22],
    [{ copy: copy({ term: term(7) }), record: null }, 8],
  ];
  for (const [from, expected] of cases) {
    const { effects, state } = run(start(from), { on: 'open' });
    assert.deepEqual(effects, [{ do: 'persist', copy: copy({ term: term(expected) }) }]);
    const opened = run(state, { on: 'persisted', copy: copy({ term: term(expected) }) });
    assert.deepEqual(opened.effects, [{ do: 'open-store', id: ID, term: term(expected) }]);
    assert.equal(gateOf(opened.state).kind, 'wait');
    const serving = run(opened.state, { on: 'store-opened', term: term(expected) }).state;
    assert.deepEqual(gateOf(serving), { kind: 'open', term: term(expected) });
    assert.ok(mayCommit(serving, term(expected)));
    assert.ok(!mayCommit(serving, term(expected - 1)), 'a commit under an older opening is refused');
  }
});

test('what does not open: promised, deleting, deposed, of a buried id, another dataset in the record, not an owner', () => {
  const shut: Start[] = [
    { copy: promised, record: record() },
    { copy: copy({ deleting: true }), record: record() },
    { copy: copy(), record: record({ owner: 'b', term: term(4, 'b') }) },
    { copy: copy(), record: record({ phase: 'deleted' }) },
    { copy: copy(), record: record(), buried: true },
    // The disk went back: what was acknowledged since the record's term is not here.
    { copy: copy(), record: record({ term: term(9) }) },
    { copy: copy(), record: record({ id: '1'.repeat(32) }) },
    { copy: copy({ role: 'prior' }), record: record() },
    { copy: copy({ role: 'receiving' }), record: record() },
    { copy: prepared, record: record() },
    { copy: copy({ role: 'creating' }), record: record() },
    { copy: null, record: record() },
  ];
  for (const from of shut) {
    const { effects, state } = run(start(from), { on: 'open' });
    assert.deepEqual(effects, [], JSON.stringify(from));
    const gate = gateOf(state);
    assert.ok(gate.kind === 'shut' || (gate.kind === 'wait' && !gate.open), JSON.stringify(from));
  }
});

test('a drain is promised only to the target of a fresh record of this id', () => {
  const drain: Event = { on: 'drain', request: 'r', from: 'b', id: ID };
  const asked = run(start({ copy: copy(), record: record() }), drain);
  assert.deepEqual(asked.effects, [{ do: 'read-record' }]);
  const read = (tagged: OwnershipRecord | null): Event => ({
    on: 'record-read',
    tagged: tagged && { record: tagged, tag: 't2' },
    ground: 'i',
    complete: true,
  });
  for (const wrong of [
    record(),
    record({ phase: 'copying', target: 'b' }),
    record({ phase: 'draining', target: 'c' }),
    record({ phase: 'draining', target: 'b', id: '1'.repeat(32) }),
    record({ phase: 'draining', target: 'b', term: term(8) }),
    null,
  ]) {
    const { state, effects } = run(asked.state, read(wrong));
    assert.equal(effects[0]?.do, 'answer', JSON.stringify(wrong));
    assert.equal(state.phase.at, 'idle');
  }
  const sealing = run(asked.state, read(draining));
  assert.deepEqual(sealing.effects, [{ do: 'seal', id: ID, term: term(3), to: 'b', force: false }]);
  const failed = run(sealing.state, {
    on: 'seal-failed',
    failure: { code: 'DATASET_BUSY', message: '' },
    storeOpen: false,
  });
  assert.equal(failed.state.copy?.promise, null);
  const sealed = run(sealing.state, { on: 'sealed', snapshot: 's', guid: '77' });
  assert.deepEqual(sealed.effects, [{ do: 'persist', copy: promised }]);
  const done = run(sealed.state, { on: 'persisted', copy: promised });
  assert.deepEqual(done.effects, [{ do: 'answer', request: 'r', answer: { ok: true, value: promise } }]);
  // Asked again: the same answer. Asked by another node: busy.
  assert.deepEqual(run(done.state, { ...drain, request: 'r2' }).effects, [
    { do: 'answer', request: 'r2', answer: { ok: true, value: promise } },
  ]);
  assert.equal((run(done.state, { ...drain, from: 'c' }).effects[0] as { answer: { ok: boolean } }).answer.ok, false);
});

test('a promised owner asks after silence, and turns only on the word of the other side', () => {
  const at = start({ copy: promised, record: draining });
  const asked = run(at, { on: 'tick' });
  assert.deepEqual(asked.effects, [{ do: 'ask-refuse', to: 'b', id: ID, n: 3 }]);
  assert.equal(
    run(asked.state, { on: 'refuse-failed', failure: { code: 'NODE_UNREACHABLE', message: '' } }).state.copy?.promise,
    promise,
  );
  assert.equal(run(asked.state, { on: 'refuse-answered', verdict: 'pending' }).state.copy?.promise, promise);
  const taken = run(asked.state, { on: 'refuse-answered', verdict: 'taken' });
  assert.deepEqual(taken.effects, [
    { do: 'persist', copy: { ...promised, role: 'prior', promise: null, priorSinceMs: 0 } },
  ]);
  // Refused: the record first, at a term above the refused one, then the promise goes, then it may open.
  const refused = run(asked.state, { on: 'refuse-answered', verdict: 'refused' });
  assert.deepEqual(refused.effects, [{ do: 'read-record' }]);
  const late = record({ owner: 'b', term: term(4, 'b'), inSync: ['b'] });
  const cas = run(refused.state, {
    on: 'record-read',
    tagged: { record: late, tag: 'x' },
    ground: 'i',
    complete: true,
  });
  const next = record({ term: term(5) });
  assert.deepEqual(cas.effects, [{ do: 'cas', tag: 'x', next }]);
  const committed = run(cas.state, { on: 'cas-done', result: { ok: true, value: { record: next, tag: 'y' } } });
  assert.deepEqual(committed.effects, [{ do: 'persist', copy: copy({ term: term(5) }) }]);
  const back = run(committed.state, { on: 'persisted', copy: copy({ term: term(5) }) }, { on: 'open' });
  assert.deepEqual(back.effects, [{ do: 'open-store', id: ID, term: term(5) }]);
  // The words of others, or about other promises, count for nothing.
  for (const event of [
    { on: 'told-refused', from: 'c', id: ID, n: 3 },
    { on: 'told-refused', from: 'b', id: ID, n: 2 },
    { on: 'told-released', from: 'c', id: ID, n: 3 },
    { on: 'told-released', from: 'b', id: '1'.repeat(32), n: 3 },
  ] as const) {
    assert.deepEqual(run(at, event).effects, []);
  }
});

test('what the other side answers: fence, copy → taken, refused, pending', () => {
  const ask: Event = { on: 'refuse-asked', request: 'r', from: 'a', id: ID, n: 3 };
  const answerOf = (from: Start) => {
    const { effects } = run(start({ self: 'b', record: draining, ...from }), ask);
    const first = effects[0];
    return first?.do === 'answer' && first.answer.ok ? first.answer.value : first?.do;
  };
  const fence = (n: number, verdict: Fence['verdict']) => ({ [ID]: { n, verdict } });
  assert.equal(answerOf({ fences: fence(3, 'adopted') }), 'taken');
  assert.equal(answerOf({ fences: fence(9, 'refused') }), 'taken');
  assert.equal(answerOf({ copy: prepared }), 'pending');
  assert.equal(answerOf({ copy: copy({ role: 'receiving' }) }), 'store-fence');
  assert.equal(answerOf({}), 'store-fence');
  assert.equal(answerOf({ fences: fence(2, 'adopted') }), 'store-fence');
  // Refused before: only the disk's word is passed on.
  assert.equal(answerOf({ fences: fence(3, 'refused') }), 'store-fence');
  const stored = run(start({ self: 'b' }), ask, {
    on: 'fence-stored',
    id: ID,
    fence: { n: 3, verdict: 'refused' },
    request: 'r',
    tell: null,
  });
  assert.deepEqual(stored.effects, [{ do: 'answer', request: 'r', answer: { ok: true, value: 'refused' } }]);
});

test('a refused promise is never adopted: not when answered late, not when found prepared at start', () => {
  const fences = { [ID]: { n: 3, verdict: 'refused' as const } };
  const asking = run(
    start({ self: 'b', copy: copy({ role: 'receiving' }), record: draining, fences }),
    { on: 'pull' },
    { on: 'pulled', run: 1, copy: copy({ role: 'receiving' }) },
  );
  assert.deepEqual(asking.effects, [{ do: 'ask-drain', to: 'a', id: ID }]);
  const late = run(asking.state, { on: 'drain-answered', promise });
  const fence = { do: 'store-fence', id: ID, fence: { n: 3, verdict: 'refused' }, request: null, tell: 'a' };
  assert.ok(late.effects.some((effect) => effect.do === 'store-fence' && effect.tell === 'a'));
  assert.deepEqual(late.effects[0], fence, 'told from the disk, once it is there');
  assert.equal(late.state.phase.at, 'idle');
  const found = run(start({ self: 'b', copy: prepared, record: draining, fences }), { on: 'tick' });
  assert.deepEqual(found.effects, [{ do: 'persist', copy: { ...prepared, role: 'receiving', source: null } }]);
});

test('taking over: prepared, record, fence, owner, in this order; the prepared term is used once', () => {
  const asking = run(
    start({ self: 'b', copy: copy({ role: 'receiving' }), record: draining }),
    { on: 'pull' },
    { on: 'pulled', run: 1, copy: copy({ role: 'receiving' }) },
    { on: 'drain-answered', promise },
  );
  assert.equal(asking.effects[0]?.do, 'pull-final');
  const done = run(
    asking.state,
    { on: 'pulled', run: 1, copy: copy({ role: 'receiving' }) },
    { on: 'persisted', copy: prepared },
    {
      on: 'cas-done',
      result: { ok: true, value: { record: record({ owner: 'b', term: term(4, 'b'), inSync: ['b'] }), tag: 'x' } },
    },
    { on: 'fence-stored', id: ID, fence: { n: 3, verdict: 'adopted' }, request: null, tell: null },
    { on: 'persisted', copy: copy({ term: term(4, 'b') }) },
    { on: 'open' },
  );
  assert.deepEqual(done.all, ['persist', 'cas', 'store-fence', 'persist', 'tell note', 'open-store']);
  assert.deepEqual(done.effects, [{ do: 'open-store', id: ID, term: term(4, 'b') }]);
  const again = run(
    done.state,
    { on: 'store-opened', term: term(4, 'b') },
    { on: 'close' },
    { on: 'store-closed' },
    { on: 'open' },
  );
  assert.deepEqual(again.effects, [{ do: 'persist', copy: copy({ term: term(5, 'b') }) }]);
});

test('a prepared copy commits over a lost record, over its own lost reply, and refuses under a higher one', () => {
  const ticked = run(start({ self: 'b', copy: prepared, record: draining }), { on: 'tick' });
  assert.deepEqual(ticked.effects, [{ do: 'read-record' }]);
  const read = (found: OwnershipRecord | null) =>
    run(ticked.state, {
      on: 'record-read',
      tagged: found && { record: found, tag: 'x' },
      ground: 'i',
      complete: false,
    });
  assert.equal(read(null).effects[0]?.do, 'cas');
  assert.equal(read(draining).effects[0]?.do, 'cas');
  assert.equal(read(record({ phase: 'copying', target: 'c' })).effects[0]?.do, 'cas');
  assert.equal(read(record({ owner: 'b', term: term(4, 'b'), inSync: ['b'] })).effects[0]?.do, 'store-fence');
  const givenUp = read(record({ owner: 'c', term: term(6, 'c'), inSync: ['c'] })).effects[0];
  assert.deepEqual([givenUp?.do, givenUp?.do === 'store-fence' && givenUp.fence.verdict], ['store-fence', 'refused']);
  assert.equal(read(record({ phase: 'deleted' })).effects[0]?.do, 'note');
});

test('a failed property write is read back before anything else happens', () => {
  const opening = run(
    start({ copy: copy(), record: record() }),
    { on: 'open' },
    { on: 'persist-failed', failure: { code: 'STORAGE_UNAVAILABLE', message: '' } },
  );
  assert.equal(opening.state.phase.at, 'unsure');
  assert.equal(opening.effects[0]?.do, 'reload');
  assert.deepEqual(run(opening.state, { on: 'open' }).effects, []);
  const back = run(opening.state, { on: 'reloaded', copy: copy({ term: term(4) }) }, { on: 'open' });
  assert.deepEqual(back.effects, [{ do: 'persist', copy: copy({ term: term(5) }) }]);
});

test('deposed: serving stops with the news, the copy is set aside', () => {
  const serving = run(
    start({ copy: copy(), record: record() }),
    { on: 'open' },
    { on: 'persisted', copy: copy({ term: term(4) }) },
    { on: 'store-opened', term: term(4) },
  );
  const news: Event = {
    on: 'record',
    record: record({ owner: 'b', term: term(9, 'b'), inSync: ['b'] }),
    tag: 'x',
    behind: false,
    buried: false,
  };
  const deposed = run(serving.state, news);
  assert.equal(gateOf(deposed.state).kind, 'shut');
  assert.ok(!mayCommit(deposed.state, term(4)));
  assert.equal(deposed.effects[0]?.do, 'fence');
  const aside = run(deposed.state, { on: 'store-closed' });
  assert.deepEqual(aside.effects, [{ do: 'move-away', copy: copy({ term: term(4) }), how: 'deposed' }]);
});

test('while a step is under way a deposed owner commits nothing either', () => {
  const sealing = run(
    start({ copy: copy(), record: record() }),
    { on: 'open' },
    { on: 'persisted', copy: copy({ term: term(4) }) },
    { on: 'store-opened', term: term(4) },
    { on: 'drain', request: 'r', from: 'b', id: ID },
  ).state;
  assert.ok(mayCommit(sealing, term(4)));
  const news: Event = { on: 'record', record: record({ phase: 'deleted' }), tag: 'x', behind: false, buried: true };
  assert.ok(!mayCommit(run(sealing, news).state, term(4)));
});

test('removal: mark, tombstone, remember, answer; an unknown outcome is never taken back', () => {
  const serving = run(
    start({ copy: copy(), record: record() }),
    { on: 'open' },
    { on: 'persisted', copy: copy({ term: term(4) }) },
    { on: 'store-opened', term: term(4) },
  ).state;
  const marked = copy({ term: term(4), deleting: true });
  const burying = run(
    serving,
    { on: 'remove', request: 'r' },
    { on: 'emptiness', empty: true, failure: null },
    { on: 'persisted', copy: marked },
  );
  assert.deepEqual(burying.all, ['probe-empty', 'persist', 'cas']);
  const tombstone = (burying.effects[0] as { next: OwnershipRecord }).next;
  assert.equal(tombstone.phase, 'deleted');
  const done = run(
    burying.state,
    { on: 'cas-done', result: { ok: true, value: { record: tombstone, tag: 'x' } } },
    { on: 'remembered' },
  );
  assert.deepEqual(done.all, ['remember', 'answer fence']);
  const unknown = run(burying.state, {
    on: 'coordinator-failed',
    failure: { code: 'COORDINATOR_OUTCOME_UNKNOWN', message: '' },
  });
  assert.equal(unknown.effects[0]?.do, 'answer');
  assert.equal(gateOf(unknown.state).kind, 'wait');
  const again = run(
    unknown.state,
    { on: 'tick' },
    { on: 'record-read', tagged: { record: record(), tag: 't' }, ground: 'i', complete: true },
  );
  assert.deepEqual(again.all, ['read-record', 'cas']);
  // Certainly not asked: it serves again.
  const unavailable = run(burying.state, {
    on: 'coordinator-failed',
    failure: { code: 'COORDINATOR_UNAVAILABLE', message: '' },
  });
  assert.deepEqual(unavailable.effects, [{ do: 'persist', copy: copy({ term: term(4) }) }]);
});

test('creation: nothing without completeness; taken back when the coordinator forgot meanwhile', () => {
  const create: Event = { on: 'create', request: 'r', id: ID, createdMs: 1, creator: 'me' };
  const read = (found: OwnershipRecord | null, ground = 'i', complete = true): Event => ({
    on: 'record-read',
    tagged: found && { record: found, tag: 'x' },
    ground,
    complete,
  });
  const checking = run(start({}), create).state;
  const codeOf = (effects: readonly Effect[]) => {
    const found = effects.find((effect) => effect.do === 'answer');
    return found?.do === 'answer' && !found.answer.ok ? found.answer.failure.code : null;
  };
  assert.equal(codeOf(run(checking, read(null, 'i', false)).effects), 'CATALOG_INCOMPLETE');
  assert.equal(
    codeOf(run(checking, read(record({ phase: 'deleted', id: '1'.repeat(32) }), 'i', false)).effects),
    'CATALOG_INCOMPLETE',
  );
  assert.equal(codeOf(run(checking, read(record({ id: '1'.repeat(32) }))).effects), 'DATASET_EXISTS');
  // Above the tombstone's term.
  const over = run(checking, read(record({ phase: 'deleted', id: '1'.repeat(32), term: term(8, 'b') })));
  const made = (over.effects[0] as { copy: Copy }).copy;
  assert.deepEqual(made.term, term(9));
  const first = { ...record({ term: term(9) }) };
  const confirming = run(
    over.state,
    { on: 'copy-created', copy: made },
    { on: 'cas-done', result: { ok: true, value: { record: first, tag: 'y' } } },
  );
  assert.deepEqual(confirming.all, ['cas', 'read-record']);
  assert.deepEqual(run(confirming.state, read(first)).effects, [{ do: 'persist', copy: { ...made, role: 'owner' } }]);
  const voided = run(confirming.state, read(first, 'another', false));
  assert.deepEqual((voided.effects[0] as { next: OwnershipRecord }).next, {
    ...first,
    phase: 'deleted',
    term: { n: 8, node: 'a' },
  });
});

test('quiet means that nothing is left to do without news', () => {
  assert.ok(isQuiet(start({ copy: copy(), record: record() })));
  assert.ok(isQuiet(start({ copy: copy({ role: 'prior' }), record: record({ owner: 'b', term: term(4, 'b') }) })));
  for (const from of [
    { copy: promised, record: draining },
    { copy: prepared, record: draining },
    { copy: copy({ role: 'creating' }), record: null },
    { copy: copy({ term: term(5) }), record: record() },
    { copy: copy(), record: null },
    { copy: copy({ role: 'prior' }), record: record(), buried: true },
  ]) {
    assert.ok(!isQuiet(start(from)), JSON.stringify(from));
  }
});

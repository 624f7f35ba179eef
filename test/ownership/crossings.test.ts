// What happens where two stories of one dataset cross: a removal and a creation of the same name, a refusal and a crash, a
// creation taken back and a restart, a handoff and a coordinator that forgets. Each was a hole once, or looked like one.
import assert from 'node:assert/strict';
import test from 'node:test';
import type { OwnershipRecord } from '../../src/cluster/record.ts';
import { applyPage, EMPTY_CATALOG, learnAll, presence, unpublishedTombstones } from '../../src/ownership/catalog.ts';
import { planPublication } from '../../src/ownership/publication.ts';
import { report } from '../../src/ownership/report.ts';
import type { Event } from '../../src/ownership/state.ts';
import {
  copyOf,
  effect,
  failed,
  ID,
  lost,
  OTHER,
  PREPARED,
  PROMISE,
  read,
  recordOf,
  run,
  start,
  term,
  wrote,
} from './words.ts';

const draining = recordOf({ phase: 'draining', target: 'b' });
const receiving = copyOf({ role: 'receiving' });
const serving = run(
  start({ copy: copyOf(), record: recordOf() }),
  { on: 'open' },
  { on: 'persisted', copy: copyOf({ term: term(4) }) },
  { on: 'store-opened', term: term(4) },
).state;

// --- refusal -------------------------------------------------------------------------------------------------------

test('refusal × crash: a refusal whose write failed is not passed on until it is on disk', () => {
  const gaveUp = run(start({ self: 'b', copy: receiving, record: draining }), {
    on: 'refuse-asked',
    request: 'r',
    from: 'a',
    id: ID,
    n: 3,
  });
  const unsure = run(gaveUp.state, {
    on: 'fence-failed',
    request: 'r',
    failure: { code: 'STORAGE_UNAVAILABLE', message: '' },
  });
  const again = run(
    unsure.state,
    { on: 'pull' },
    { on: 'pulled', run: 1, copy: receiving },
    { on: 'drain-answered', promise: PROMISE },
  );
  assert.equal(effect(again.effects, 'tell'), undefined);
  const store = effect(again.effects, 'store-fence');
  assert.ok(store);
  const stored = run(again.state, { on: 'fence-stored', id: ID, fence: store.fence, request: null, tell: store.tell });
  assert.deepEqual(stored.effects, [{ do: 'tell', to: 'a', what: 'refused', id: ID, n: 3 }]);
});

test('refusal × a promise long decided: nothing is said that would wake its owner', () => {
  const fences = { [ID]: { n: 9, verdict: 'adopted' as const } };
  const answered = run(
    start({ self: 'b', copy: receiving, record: draining, fences }),
    { on: 'pull' },
    { on: 'pulled', run: 1, copy: receiving },
    { on: 'drain-answered', promise: PROMISE },
  );
  assert.deepEqual(
    answered.effects.map((one) => one.do),
    ['note'],
  );
  assert.equal(answered.state.phase.at, 'idle');
});

test('refusal × refusal: an earlier write that arrives late does not undo a later intention', () => {
  const both = run(
    start({ self: 'b', record: draining }),
    { on: 'refuse-asked', request: 'r', from: 'a', id: ID, n: 3 },
    { on: 'refuse-asked', request: 's', from: 'a', id: ID, n: 5 },
    { on: 'fence-stored', id: ID, fence: { n: 3, verdict: 'refused' }, request: 'r', tell: null },
  );
  assert.deepEqual(both.state.fences[ID], { n: 5, verdict: 'refused' });
});

test('refusal × the next handoff: a late question about an old promise does not end the pull of a new one', () => {
  const promise = { ...PROMISE, term: term(5) };
  const finishing = run(
    start({ self: 'b', copy: receiving, record: draining, fences: { [ID]: { n: 3, verdict: 'refused' } } }),
    { on: 'pull' },
    { on: 'pulled', run: 1, copy: receiving },
    { on: 'drain-answered', promise },
  );
  assert.equal(finishing.state.phase.at, 'finishing');
  const asked = run(finishing.state, { on: 'refuse-asked', request: 'r', from: 'a', id: ID, n: 3 });
  assert.equal(asked.state.phase.at, 'finishing');
  const prepared = run(asked.state, { on: 'pulled', run: 1, copy: receiving });
  assert.equal(effect(prepared.effects, 'persist')?.copy.role, 'prepared');
});

// --- removal and the next dataset of the name -----------------------------------------------------------------------

const remake = recordOf({ id: OTHER, owner: 'c', term: term(5, 'c') });
const marked = copyOf({ term: term(4), deleting: true });

test('removal × re-creation: after a lost reply, a tombstone is never written over the next dataset of the name', () => {
  const burying = run(
    serving,
    { on: 'remove', request: 'r' },
    { on: 'emptiness', empty: true, failure: null },
    { on: 'persisted', copy: marked },
    failed('COORDINATOR_OUTCOME_UNKNOWN'),
    { on: 'tick' },
  );
  for (const found of [remake, { ...remake, phase: 'deleted' as const }, { ...remake, term: term(4, 'c') }]) {
    for (const news of [read(found), lost(found)]) {
      const went = run(burying.state, news);
      assert.equal(effect(went.effects, 'cas'), undefined, JSON.stringify(news));
      assert.equal(effect(went.effects, 'remember')?.record.id, ID);
    }
  }
  // What is older than this dataset, or void, is no obstacle.
  for (const older of [recordOf({ id: OTHER, term: term(2, 'c') }), null])
    assert.equal(effect(run(burying.state, read(older)).effects, 'cas')?.next.id, ID);
});

test('removal × crash × re-creation: with the tombstone known, only the putting away is left', () => {
  const found = run(start({ copy: marked, record: remake, buried: true }), { on: 'tick' });
  assert.deepEqual(found.effects, [{ do: 'move-away', copy: marked, how: 'deleted' }]);
  const failing = run(found.state, { on: 'move-failed', failure: { code: 'DATASET_BUSY', message: '' } });
  assert.deepEqual(run(failing.state, { on: 'tick' }).effects, found.effects);
});

test('removal × a higher term elsewhere: a dataset that others serve is not buried', () => {
  const burying = run(start({ copy: marked, record: recordOf() }), { on: 'tick' });
  const taken = run(burying.state, read(recordOf({ owner: 'c', term: term(7, 'c') })));
  assert.deepEqual(taken.effects, [{ do: 'persist', copy: copyOf({ term: term(4) }) }]);
  const back = run(taken.state, { on: 'persisted', copy: copyOf({ term: term(4) }) }, { on: 'tick' });
  assert.equal(effect(back.effects, 'move-away')?.how, 'deposed');
});

// --- creation -------------------------------------------------------------------------------------------------------

const create: Event = { on: 'create', request: 'r', id: ID, createdMs: 1, creator: null };
const creating = copyOf({ role: 'creating', term: term(6) });
const registered = recordOf({ term: term(6) });

test('creation × taking back: the terms of a name do not start again below its tombstone', () => {
  const tombstone = recordOf({ id: OTHER, phase: 'deleted', term: term(5) });
  const confirming = run(start({}), create, read(tombstone), { on: 'copy-created', copy: creating }, wrote(registered));
  const back = run(confirming.state, read(registered, { ground: 'another map' }));
  const taken = effect(back.effects, 'publish')?.next;
  assert.deepEqual(taken, { ...registered, phase: 'deleted', term: term(5) });
  // So a node that saw the tombstone, and nothing of all this, does not take the next dataset for the past.
  const seen = learnAll({ ...EMPTY_CATALOG, incarnation: 'i' }, [{ record: tombstone, tag: 't1' }]).catalog;
  const next = run(start({}), create, read(taken ?? null));
  const made = effect(next.effects, 'create-copy')?.copy.term;
  assert.deepEqual(made, term(6));
  const heard = learnAll(seen, [{ record: recordOf({ id: '2'.repeat(32), term: term(6) }), tag: 't2' }]).catalog;
  assert.equal(presence(heard, 'd', true), 'present');
  assert.deepEqual(unpublishedTombstones(heard), []);
});

test('creation × taking back × crash: what is on its way cannot land on the dataset once it is in use', () => {
  const found = run(start({ copy: creating, record: registered }), { on: 'tick' }, read(registered, { tag: 'old' }));
  const rewrite = effect(found.effects, 'cas');
  assert.deepEqual(rewrite, { do: 'cas', tag: 'old', next: registered }, 'the tag of the late call is used up first');
  const settled = run(found.state, wrote(registered, 'new'), read(registered, { tag: 'new' }));
  assert.equal(effect(settled.effects, 'persist')?.copy.role, 'owner');
  // And if it was quicker, the creation is over.
  const beaten = run(found.state, lost({ ...registered, phase: 'deleted', term: term(5) }));
  const gone = run(beaten.state, read({ ...registered, phase: 'deleted', term: term(5) }), { on: 'tick' });
  const last = run(gone.state, read({ ...registered, phase: 'deleted', term: term(5) }));
  assert.equal(effect(last.effects, 'move-away')?.how, 'deleted');
});

test('creation × void: a true owner publishes over it, whoever made it', () => {
  for (const id of [ID, OTHER]) {
    const voided = recordOf({ id, phase: 'deleted', term: term(0) });
    assert.equal(planPublication('a', 'd', copyOf(), false, voided).kind, 'put', id);
  }
});

test('creation × cancelled pull: what the pull left is seen before anything is made over it', () => {
  const cancelled = run(
    start({ record: recordOf({ owner: 'b', term: term(3, 'b') }) }),
    { on: 'pull' },
    wrote(recordOf({ owner: 'b', term: term(3, 'b'), phase: 'copying', target: 'a' })),
    { on: 'cancel-pull' },
    { on: 'record', record: recordOf({ owner: 'b', phase: 'deleted' }), tag: 'z', behind: false, buried: false },
    { on: 'published', result: null },
    create,
    { on: 'pull-failed', run: 1, copy: receiving, failure: { code: 'ABORTED', message: '' } },
  );
  assert.equal(cancelled.state.copy, receiving);
  const checked = run(cancelled.state, read(recordOf({ owner: 'b', phase: 'deleted' })));
  assert.equal(effect(checked.effects, 'create-copy'), undefined);
  assert.equal(effect(checked.effects, 'answer')?.answer.ok, false);
});

test('cancelled pull × the next one: an old completion does not leave the copy of before', () => {
  const record = recordOf({ owner: 'b', term: term(3, 'b') });
  const copying = recordOf({ owner: 'b', term: term(3, 'b'), phase: 'copying', target: 'a' });
  const claiming = run(
    start({ copy: copyOf({ role: 'prior' }), record }),
    { on: 'pull' },
    wrote(copying),
    { on: 'cancel-pull' },
    { on: 'published', result: { ok: true, value: { record, tag: 'z' } } },
    { on: 'pull' },
  );
  assert.equal(claiming.state.phase.at, 'claiming');
  const fresh = { ...receiving, term: term(3, 'b') };
  const late: Event = { on: 'pull-failed', run: 1, copy: fresh, failure: { code: 'ABORTED', message: '' } };
  assert.deepEqual(run(claiming.state, late).state.copy, fresh);
});

// --- handoff and a coordinator that forgets --------------------------------------------------------------------------

test('handoff × restored dump: a prepared copy commits over an older dataset of the name, and over a void', () => {
  const committing = run(start({ self: 'b', copy: PREPARED, record: null }), { on: 'tick' });
  for (const older of [
    recordOf({ id: OTHER, phase: 'deleted', term: term(2) }),
    recordOf({ id: OTHER, term: term(2) }),
    recordOf({ phase: 'deleted', term: term(0) }),
    null,
  ]) {
    const next = effect(run(committing.state, read(older)).effects, 'cas')?.next;
    assert.deepEqual(next && [next.owner, next.term], ['b', term(4, 'b')], JSON.stringify(older));
  }
  for (const above of [
    recordOf({ id: OTHER, owner: 'c', term: term(4, 'c') }),
    recordOf({ phase: 'deleted' }),
    recordOf({ owner: 'c', term: term(5, 'c') }),
  ])
    assert.equal(effect(run(committing.state, read(above)).effects, 'cas'), undefined, JSON.stringify(above));
});

test('handoff × removal: a node asked to drain a dataset that is being removed says no, and the puller gives up', () => {
  const drain: Event = { on: 'drain', request: 'r', from: 'b', id: ID };
  const burying = start({ copy: marked, record: draining });
  const answered = effect(run(burying, drain).effects, 'answer')?.answer;
  assert.ok(answered && !answered.ok);
  const tombstone = recordOf({ phase: 'deleted' });
  const puller = run(
    start({ self: 'b', copy: receiving, record: draining }),
    { on: 'pull' },
    { on: 'record', record: tombstone, tag: 'z', behind: false, buried: true },
    { on: 'pulled', run: 1, copy: receiving },
  );
  assert.equal(puller.state.phase.at, 'idle');
  const away = run({ ...puller.state, buried: true }, { on: 'tick' });
  assert.equal(effect(away.effects, 'move-away')?.how, 'deleted');
});

test('absence × restored dump: the tombstone of an earlier dataset of the name proves nothing by itself', () => {
  const tombstone = recordOf({ id: OTHER, phase: 'deleted', term: term(2) });
  const state = { incarnation: 'i', counter: 1, complete: false, reported: [], mapEpoch: 1 };
  const page = { state, records: [{ record: tombstone, tag: 't' }], cursor: 1 };
  const known = applyPage({ ...EMPTY_CATALOG, incarnation: 'i' }, page).catalog;
  assert.equal(presence(known, 'd', true), 'unknown');
  const complete = applyPage(known, { state: { ...state, complete: true }, records: [], cursor: 1 }).catalog;
  assert.equal(presence(complete, 'd', true), 'absent');
});

test('taking back × restored dump: what returns under a buried id is buried again, whatever else this node believes', () => {
  const known = learnAll({ ...EMPTY_CATALOG, incarnation: 'i', tombstones: new Set([ID]) }, [
    { record: recordOf({ id: OTHER, owner: 'c' }), tag: 't1' },
  ]).catalog;
  const restored = learnAll(known, [{ record: recordOf(), tag: 't2' }]).catalog;
  assert.equal(presence(restored, 'd', true), 'present');
  assert.deepEqual(unpublishedTombstones(restored), [{ record: recordOf({ phase: 'deleted' }), tag: 't2' }]);
});

test('refusal × crash × restored dump: a resumption cut short has used its term, whatever the coordinator remembers', () => {
  const promised = copyOf({ promise: PROMISE });
  const inquired = run(
    start({ copy: promised, record: recordOf({ term: term(8) }) }),
    { on: 'tick' },
    { on: 'refuse-answered', verdict: 'refused' },
    read(draining),
  );
  assert.deepEqual(effect(inquired.effects, 'cas')?.next.term, term(9));
  // The machine has heard of its own lower publication since; its node still knows better.
  const asked = run(start({ copy: promised, record: draining }), { on: 'told-refused', from: 'b', id: ID, n: 3 });
  const knowing = { ...read(draining), known: recordOf({ term: term(8) }) } as Event;
  assert.deepEqual(effect(run(asked.state, knowing).effects, 'cas')?.next.term, term(9));
});

test('accepted disk × handoff: an adopted promise stays adopted, though the coordinator has forgotten its commit', () => {
  const fences = { [ID]: { n: 3, verdict: 'adopted' as const } };
  const accepted = run(start({ self: 'b', copy: PREPARED, record: draining, fences }), { on: 'accept-disk' });
  assert.equal(effect(accepted.effects, 'store-fence'), undefined);
  assert.equal(effect(accepted.effects, 'persist')?.copy.role, 'prepared');
  assert.deepEqual(accepted.state.fences, fences);
  // And nothing is accepted under an open store: it would go on under its old term.
  assert.deepEqual(run(serving, { on: 'accept-disk' }).effects, []);
});

test('handoff × flush: a node has not reported while its prepared copy is missing in the coordinator', async () => {
  const reportOver = async (record: OwnershipRecord | null, copy = PREPARED): Promise<boolean> => {
    let reported = false;
    const catalog = {
      catalog: { ...EMPTY_CATALOG, incarnation: 'i' },
      entry: () => null,
      isBuried: () => false,
      unpublishedTombstones: () => [],
      learn() {},
      async reported() {
        reported = true;
      },
    };
    const deps = {
      coordinator: { readRecord: async () => record && { record, tag: 't' } },
      catalog,
      logger: { info() {} },
      runners: () => [{ dataset: 'd', state: start({ self: 'b', copy }) }],
    };
    await report(deps as unknown as Parameters<typeof report>[0]);
    return reported;
  };
  for (const gone of [
    null,
    recordOf({ id: OTHER, phase: 'deleted', term: term(2) }),
    recordOf({ phase: 'deleted', term: term(0) }),
  ])
    assert.equal(await reportOver(gone), false, JSON.stringify(gone));
  // Something speaks for the name, or nothing that this node does will ever change it: it does not hold up the others.
  for (const settled of [draining, recordOf({ phase: 'deleted' }), recordOf({ id: OTHER, term: term(9, 'c') })])
    assert.equal(await reportOver(settled), true, JSON.stringify(settled));
  assert.equal(await reportOver(null, copyOf({ role: 'prior' })), true);
});

test('creation × flush: a tombstone that was told again meanwhile is no bucket that exists', () => {
  const making = { copy: null, record: recordOf({ phase: 'deleted' }) };
  const dead = recordOf({ phase: 'deleted' });
  const create: Event = { on: 'create', request: 'r', id: OTHER, createdMs: 1, creator: null };
  const made = copyOf({ id: OTHER, role: 'creating', term: term(4) });
  const registering = run(start(making), create, read(dead), { on: 'copy-created', copy: made });
  const codeAfter = (record: OwnershipRecord | null) => {
    const answered = effect(run(registering.state, lost(record)).effects, 'answer')?.answer;
    return answered && !answered.ok ? answered.failure.code : null;
  };
  assert.equal(codeAfter(dead), 'DATASET_BUSY');
  assert.equal(codeAfter(null), 'DATASET_BUSY');
  assert.equal(codeAfter(recordOf({ id: '2'.repeat(32), term: term(9) })), 'DATASET_EXISTS');
});

// What a node believes of records: it never goes back, whatever the coordinator forgot.
import assert from 'node:assert/strict';
import test from 'node:test';
import type { CoordinatorState } from '../../src/cluster/coordinator.ts';
import type { OwnershipRecord } from '../../src/cluster/record.ts';
import {
  applyPage,
  type Catalog,
  EMPTY_CATALOG,
  enterIncarnation,
  judgeContinuity,
  learnAll,
  liveRecords,
  presence,
  unpublishedTombstones,
} from '../../src/ownership/catalog.ts';
import { planPublication } from '../../src/ownership/publication.ts';
import type { Copy } from '../../src/ownership/state.ts';
import { recordOf } from './words.ts';

const id = (digit: string) => digit.repeat(32);

function record(change: Partial<OwnershipRecord> = {}): OwnershipRecord {
  return recordOf({ id: id('1'), inSync: ['a'], ...change });
}

const state = (change: Partial<CoordinatorState> = {}): CoordinatorState => ({
  incarnation: 'i1',
  counter: 5,
  complete: true,
  reported: [],
  mapEpoch: 1,
  ...change,
});
const base: Catalog = { ...EMPTY_CATALOG, incarnation: 'i1' };
const learn = (catalog: Catalog, ...records: [OwnershipRecord, string][]) =>
  learnAll(
    catalog,
    records.map(([r, tag]) => ({ record: r, tag })),
  ).catalog;

test('continuity: same, new, lost records, a life that was left before', () => {
  const known = { ...base, counter: 5, left: ['i0'] };
  assert.equal(judgeContinuity(known, state()).kind, 'same');
  assert.deepEqual(judgeContinuity(known, state({ counter: 4 })), {
    kind: 'regress',
    seen: { incarnation: 'i1', counter: 5 },
  });
  assert.equal(judgeContinuity(known, state({ incarnation: 'i2', counter: 0 })).kind, 'new');
  const back = judgeContinuity(known, state({ incarnation: 'i0', counter: 9 }));
  // Above what it has, or it would not count as lost.
  assert.deepEqual(back, { kind: 'regress', seen: { incarnation: 'i0', counter: 10 } });
});

test('complete only when the coordinator says so and everything was read', () => {
  const partly = applyPage(base, { state: state(), records: [{ record: record(), tag: 't' }], cursor: 3 }).catalog;
  assert.equal(partly.complete, false);
  assert.equal(applyPage(partly, { state: state(), records: [], cursor: 5 }).catalog.complete, true);
  assert.equal(
    applyPage(partly, { state: state({ complete: false }), records: [], cursor: 5 }).catalog.complete,
    false,
  );
  const next = enterIncarnation(applyPage(partly, { state: state(), records: [], cursor: 5 }).catalog, 'i2');
  assert.deepEqual([next.complete, next.cursor, next.counter, next.left], [false, 0, 0, ['i1']]);
  assert.deepEqual(next.entries.get('d'), { record: record(), tag: null, behind: true });
});

test('what is believed after something else was heard', () => {
  const tomb = record({ phase: 'deleted', term: { n: 4, node: 'a' } });
  const reborn = record({ id: id('2'), term: { n: 5, node: 'b' }, owner: 'b', inSync: ['b'] });
  const voided = record({ id: id('3'), phase: 'deleted', term: { n: 0, node: 'c' } });
  const cases: [string, OwnershipRecord, OwnershipRecord, OwnershipRecord][] = [
    [
      'a higher term',
      record(),
      record({ term: { n: 4, node: 'b' }, owner: 'b', inSync: ['b'] }),
      record({ term: { n: 4, node: 'b' }, owner: 'b', inSync: ['b'] }),
    ],
    [
      'the same term, another phase',
      record(),
      record({ phase: 'copying', target: 'b' }),
      record({ phase: 'copying', target: 'b' }),
    ],
    ['a lower term is the past', record(), record({ term: { n: 2, node: 'a' } }), record()],
    ['a tombstone', record(), tomb, tomb],
    ['a tombstone at a lower term', record({ term: { n: 9, node: 'a' } }), tomb, tomb],
    ['a living record under a buried id', tomb, record({ term: { n: 9, node: 'a' } }), tomb],
    ['made again', tomb, reborn, reborn],
    ['the old life under a reborn name', reborn, record({ term: { n: 4, node: 'a' } }), reborn],
    ['a void over something alive', record(), voided, record()],
    ['anything over a void', voided, record({ term: { n: 1, node: 'a' } }), record({ term: { n: 1, node: 'a' } })],
  ];
  for (const [what, known, heard, believed] of cases) {
    const catalog = learn(learn(base, [known, 't1']), [heard, 't2']);
    const entry = catalog.entries.get('d');
    assert.deepEqual(entry?.record, believed, what);
    assert.equal(entry?.tag, 't2', `${what}: the tag is what the coordinator holds`);
    assert.equal(entry?.behind, believed !== heard && JSON.stringify(believed) !== JSON.stringify(heard), what);
  }
});

test('absence: a fresh and complete catalog, whatever tombstone is in sight', () => {
  const tomb = record({ phase: 'deleted' });
  const cases: [string, Catalog, boolean, string][] = [
    ['alive', learn(base, [record(), 't']), true, 'present'],
    ['alive, stale', learn(base, [record(), 't']), false, 'present'],
    ['tombstone, complete', { ...learn(base, [tomb, 't']), complete: true }, true, 'absent'],
    ['tombstone, perhaps out of an old dump', learn(base, [tomb, 't']), true, 'unknown'],
    ['tombstone, stale', { ...learn(base, [tomb, 't']), complete: true }, false, 'unknown'],
    ['tombstone of an earlier life', enterIncarnation(learn(base, [tomb, 't']), 'i2'), true, 'unknown'],
    ['void', learn(base, [record({ phase: 'deleted', term: { n: 0, node: 'a' } }), 't']), true, 'unknown'],
    ['never heard of', base, true, 'unknown'],
    ['never heard of, complete', { ...base, complete: true }, true, 'absent'],
    ['never heard of, complete, stale', { ...base, complete: true }, false, 'unknown'],
  ];
  for (const [what, catalog, fresh, expected] of cases) assert.equal(presence(catalog, 'd', fresh), expected, what);
});

test('deletions are told again to a coordinator that lost them, or that brings back what was deleted', () => {
  const tomb = record({ phase: 'deleted' });
  const known = learn(base, [tomb, 't']);
  assert.deepEqual(unpublishedTombstones(known), []);
  assert.deepEqual(unpublishedTombstones(enterIncarnation(known, 'i2')), [{ record: tomb, tag: null }]);
  const restored = learn(enterIncarnation(known, 'i2'), [record(), 't9']);
  assert.deepEqual(unpublishedTombstones(restored), [{ record: tomb, tag: 't9' }]);
  assert.deepEqual(liveRecords(restored), []);
});

test('what an owner copy means for the record', () => {
  const copy: Copy = {
    id: id('1'),
    role: 'owner',
    term: { n: 3, node: 'a' },
    createdMs: 1,
    creator: null,
    promise: null,
    source: null,
    deleting: false,
    priorSinceMs: null,
  };
  const promise = { to: 'b', term: { n: 3, node: 'a' }, snapshot: 's', guid: '7' };
  const kinds: [string, Copy, boolean, OwnershipRecord | null, string][] = [
    ['nothing there', copy, false, null, 'put'],
    ['mine, lower', copy, false, record({ term: { n: 2, node: 'a' } }), 'put'],
    ['mine, same', copy, false, record(), 'current'],
    ['mine, higher', copy, false, record({ term: { n: 5, node: 'a' } }), 'went-back'],
    [
      'mine, higher (a resumption cut short)',
      { ...copy, promise },
      false,
      record({ term: { n: 5, node: 'a' } }),
      'current',
    ],
    ['another owner, lower', copy, false, record({ owner: 'b', inSync: ['b'], term: { n: 2, node: 'b' } }), 'put'],
    ['another owner, higher', copy, false, record({ owner: 'b', inSync: ['b'], term: { n: 4, node: 'b' } }), 'deposed'],
    [
      'another owner, higher, but I promised',
      { ...copy, promise },
      false,
      record({ owner: 'b', inSync: ['b'], term: { n: 4, node: 'b' } }),
      'current',
    ],
    ['a tombstone of my id', copy, false, record({ phase: 'deleted' }), 'deposed'],
    ['my id is buried', copy, true, null, 'deposed'],
    ['another dataset, lower', copy, false, record({ id: id('2'), term: { n: 1, node: 'b' } }), 'put'],
    ['another dataset, same number', copy, false, record({ id: id('2'), term: { n: 3, node: 'b' } }), 'conflict'],
    ['another dataset, higher', copy, false, record({ id: id('2'), term: { n: 4, node: 'b' } }), 'conflict'],
    ['my creation, taken back too late', copy, false, record({ phase: 'deleted', term: { n: 0, node: 'a' } }), 'put'],
    ['a void', copy, false, record({ id: id('2'), phase: 'deleted', term: { n: 0, node: 'b' } }), 'put'],
  ];
  for (const [what, here, buried, current, expected] of kinds)
    assert.equal(planPublication('a', 'd', here, buried, current).kind, expected, what);
  const put = planPublication('a', 'd', { ...copy, promise }, false, null);
  assert.ok(put.kind === 'put' && put.next.phase === 'draining' && put.next.target === 'b');
  const kept = planPublication(
    'a',
    'd',
    copy,
    false,
    record({ term: { n: 2, node: 'a' }, pin: 'c', phase: 'copying', target: 'b' }),
  );
  assert.ok(kept.kind === 'put' && kept.next.pin === 'c' && kept.next.target === 'b');
});

// What a promise and its refusal bind, and from when: the moments between a word and the disk that holds it.
import assert from 'node:assert/strict';
import test from 'node:test';
import type { Effect, Event } from '../../src/ownership/state.ts';
import { copyOf, effect, ID, PROMISE, read, recordOf, run, start, term } from './words.ts';

const promised = copyOf({ promise: PROMISE });
const draining = recordOf({ phase: 'draining', target: 'b' });
const kinds = (effects: readonly Effect[]) => effects.map((one) => one.do).filter((kind) => kind !== 'note');

test('silence and *pending* begin nothing: the owner goes on waiting', () => {
  const asking = run(start({ copy: promised, record: draining }), { on: 'tick' });
  const nothing: Event[] = [
    { on: 'refuse-failed', failure: { code: 'NODE_UNREACHABLE', message: '' } },
    { on: 'refuse-answered', verdict: 'pending' },
  ];
  for (const event of nothing) {
    const { state, effects } = run(asking.state, event);
    assert.deepEqual(kinds(effects), [], event.on);
    assert.equal(state.phase.at, 'idle', event.on);
    assert.deepEqual(state.copy, promised, event.on);
  }
});

test('a resumption takes a term above the one that was refused, also where no record tells of it', () => {
  const refused = run(
    start({ copy: promised, record: draining }),
    { on: 'tick' },
    { on: 'refuse-answered', verdict: 'refused' },
  );
  // The other side would have committed 4@b, which is above 4@a.
  for (const found of [null, draining, recordOf({ phase: 'copying', target: 'b' })]) {
    const { effects } = run(refused.state, read(found));
    assert.deepEqual(effect(effects, 'cas')?.next.term, term(5), JSON.stringify(found));
  }
});

test('a refusal binds from the moment it is meant, while the disk still writes it', () => {
  const copy = copyOf({ role: 'receiving' });
  const meant = run(start({ self: 'b', copy, record: draining }), {
    on: 'refuse-asked',
    request: 'r',
    from: 'a',
    id: ID,
    n: 3,
  });
  assert.deepEqual(kinds(meant.effects), ['store-fence'], 'not said before it is on disk');
  const late = run(
    meant.state,
    { on: 'pull' },
    { on: 'pulled', run: 1, copy },
    { on: 'drain-answered', promise: PROMISE },
  );
  assert.ok(!kinds(late.effects).includes('pull-final'), 'the promise is not taken up any more');
  assert.equal(late.state.phase.at, 'idle');
});

test('the term of a takeover is above the promise, the record, and what was decided here before', () => {
  const copy = copyOf({ role: 'receiving', term: term(2) });
  const cases: [Parameters<typeof start>[0], number][] = [
    [{ record: draining }, 4],
    [{ record: recordOf({ phase: 'draining', target: 'b', term: term(8) }) }, 9],
    [{ record: draining, fences: { [ID]: { n: 2, verdict: 'refused' } } }, 4],
  ];
  for (const [given, n] of cases) {
    const { effects } = run(
      start({ self: 'b', copy, ...given }),
      { on: 'pull' },
      { on: 'pulled', run: 1, copy },
      { on: 'drain-answered', promise: PROMISE },
      { on: 'pulled', run: 1, copy },
    );
    assert.deepEqual(effect(effects, 'persist')?.copy.term, term(n, 'b'), JSON.stringify(given));
  }
});

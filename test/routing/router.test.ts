// The router, exhaustively: every combination of scope, origin, whereabouts and history of two attempts is asked, and
// the answers are compared with the rules stated independently here. Named cases say what matters to people.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Whereabouts } from '../../src/ownership/access.ts';
import { type Attempt, type Decision, decide, FORWARDS_MAX, type RouteQuestion } from '../../src/routing/router.ts';

const SELF = 'a';
const local: Whereabouts = { kind: 'local' };
const at = (node: string, certain = true): Whereabouts => ({ kind: 'remote', node, certain });
const absent: Whereabouts = { kind: 'absent' };
const unknown: Whereabouts = { kind: 'unavailable', reason: 'no proof' };
const refusedBy = (node: string, owner: string | null): Attempt => ({ node, refusal: { epoch: 3, owner, term: null } });
const unreached = (node: string): Attempt => ({ node, refusal: null });

const base: RouteQuestion = {
  scope: 'dataset',
  origin: 'client',
  self: SELF,
  whereabouts: local,
  tried: [],
  replayable: true,
  buffered: false,
};

const cases: [string, Partial<RouteQuestion>, Decision['kind'], string?][] = [
  ['own dataset', {}, 'serve'],
  ['ListBuckets, wherever datasets are', { scope: 'node', whereabouts: null }, 'serve'],
  ['known owner', { whereabouts: at('b') }, 'forward', 'b'],
  ['only the ring says so', { whereabouts: at('b', false) }, 'forward', 'b'],
  ['proven absent', { whereabouts: absent }, 'absent'],
  ['no proof', { whereabouts: unknown }, 'unavailable'],
  [
    're-route to the owner that the refusal names',
    { whereabouts: at('b'), tried: [refusedBy('b', 'c')] },
    'forward',
    'c',
  ],
  [
    'refusal without knowledge, we still think the same',
    { whereabouts: at('b'), tried: [refusedBy('b', null)] },
    'unavailable',
  ],
  [
    'refusal without knowledge, we learned meanwhile',
    { whereabouts: at('c'), tried: [refusedBy('b', null)] },
    'forward',
    'c',
  ],
  ['refusal names this node, and it has become the owner', { tried: [refusedBy('b', SELF)] }, 'serve'],
  ['the same, but the body was read for forwarding', { tried: [refusedBy('b', SELF)], buffered: true }, 'unavailable'],
  [
    'refusal names this node, which does not know',
    { whereabouts: at('b'), tried: [refusedBy('b', SELF)] },
    'unavailable',
  ],
  [
    'two nodes point at each other',
    { whereabouts: at('b'), tried: [refusedBy('b', 'c'), refusedBy('c', 'b')] },
    'unavailable',
  ],
  [
    'one re-route, no second',
    { whereabouts: at('d'), tried: [refusedBy('b', 'c'), refusedBy('c', 'd')] },
    'unavailable',
  ],
  ['owner down, nobody else known', { whereabouts: at('b'), tried: [unreached('b')] }, 'unavailable'],
  ['owner down, takeover seen meanwhile', { whereabouts: at('c'), tried: [unreached('b')] }, 'forward', 'c'],
  ['bytes of the body left', { whereabouts: at('c'), tried: [refusedBy('b', 'c')], replayable: false }, 'unavailable'],
  ['own gate knew better than locate', { whereabouts: local, tried: [refusedBy(SELF, 'b')] }, 'forward', 'b'],
  ['own gate refused and knows nobody', { whereabouts: local, tried: [refusedBy(SELF, null)] }, 'unavailable'],
  [
    'own gate refused, then one re-route is left',
    { whereabouts: local, tried: [refusedBy(SELF, 'b'), refusedBy('b', 'c')] },
    'forward',
    'c',
  ],
  ['forwarded to the owner', { origin: 'peer' }, 'serve'],
  ['forwarded to a node that knows the owner', { origin: 'peer', whereabouts: at('b') }, 'not-owner'],
  ['forwarded to a node that guesses', { origin: 'peer', whereabouts: at('b', false) }, 'not-owner'],
  ['forwarded, own gate refused', { origin: 'peer', tried: [refusedBy(SELF, 'b')] }, 'not-owner'],
  ['forwarded, proven absent', { origin: 'peer', whereabouts: absent }, 'absent'],
  ['forwarded, no proof', { origin: 'peer', whereabouts: unknown }, 'unavailable'],
];

for (const [name, question, kind, node] of cases) {
  test(`${name}: ${kind}${node ? ` ${node}` : ''}`, () => {
    const decision = decide({ ...base, ...question });
    assert.equal(decision.kind, kind);
    if (decision.kind === 'forward') assert.equal(decision.node, node);
  });
}

test('silence after the request was sent leaves its outcome unknown; a refusal does not', () => {
  const lost = decide({ ...base, whereabouts: at('b'), tried: [unreached('b')], replayable: false });
  assert.equal(lost.kind === 'unavailable' && lost.outcomeUnknown, true);
  const refused = decide({ ...base, whereabouts: at('c'), tried: [refusedBy('b', 'c')], replayable: false });
  assert.equal(refused.kind === 'unavailable' && refused.outcomeUnknown, undefined);
});

test('a typed refusal names an owner only when it is known, not guessed', () => {
  const peer = { ...base, origin: 'peer' as const };
  assert.deepEqual(decide({ ...peer, whereabouts: at('b') }), { kind: 'not-owner', owner: 'b' });
  assert.deepEqual(decide({ ...peer, whereabouts: at('b', false) }), { kind: 'not-owner', owner: null });
  assert.deepEqual(decide({ ...peer, tried: [refusedBy(SELF, 'c')] }), { kind: 'not-owner', owner: 'c' });
});

test('every combination keeps the rules', () => {
  const nodes = ['a', 'b', 'c'];
  const whereabouts = [local, absent, unknown, ...nodes.slice(1).flatMap((node) => [at(node), at(node, false)])];
  const attempts = nodes.flatMap((node) => [
    unreached(node),
    refusedBy(node, null),
    ...nodes.map((o) => refusedBy(node, o)),
  ]);
  const histories = [
    [],
    ...attempts.map((one) => [one]),
    ...attempts.flatMap((one) => attempts.map((two) => [one, two])),
  ];
  let asked = 0;
  for (const origin of ['client', 'peer'] as const) {
    for (const where of whereabouts) {
      for (const tried of histories) {
        for (const replayable of [true, false]) {
          for (const buffered of [true, false]) {
            checkRules({ ...base, origin, whereabouts: where, tried, replayable, buffered });
            asked += 1;
          }
        }
      }
    }
  }
  assert.equal(asked, 2 * whereabouts.length * histories.length * 4);
});

function checkRules(question: RouteQuestion): void {
  const { origin, tried, whereabouts, replayable, buffered } = question;
  const decision = decide(question);
  const where = JSON.stringify(question);
  const others = tried.filter((attempt) => attempt.node !== SELF).map((attempt) => attempt.node);
  if (decision.kind === 'forward') {
    assert.equal(origin, 'client', `a forwarded request was forwarded again: ${where}`);
    assert.notEqual(decision.node, SELF, `forwarded to itself: ${where}`);
    assert.ok(!others.includes(decision.node), `forwarded twice to one node: ${where}`);
    assert.ok(others.length < FORWARDS_MAX, `too many forwards: ${where}`);
    assert.ok(replayable || tried.length === 0, `forwarded a request whose body is gone: ${where}`);
  }
  if (decision.kind === 'serve') {
    assert.equal(whereabouts?.kind, 'local', `served without being the owner: ${where}`);
    assert.ok(!tried.some((attempt) => attempt.node === SELF), `served after its own gate refused: ${where}`);
    if (tried.length > 0) assert.ok(replayable && !buffered, `served without the body: ${where}`);
  }
  if (decision.kind === 'absent') assert.equal(whereabouts?.kind, 'absent', `absent without proof: ${where}`);
  if (decision.kind === 'not-owner') assert.equal(origin, 'peer', `typed refusal to a client: ${where}`);
}

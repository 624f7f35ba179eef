import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Action, mayAct, mayCreate, maySee } from '../../../src/s3/authorize.ts';
import type { Identity } from '../../../src/s3/types.ts';

function identity(...allow: Identity['allow'][number][]): Identity {
  return { accessKey: 'k', displayName: 'k', canonicalId: 'c', account: 'c', allow };
}

const CASES: { name: string; allow: Identity['allow']; bucket: string; action: Action; expected: boolean }[] = [
  { name: 'no rule', allow: [], bucket: 'a', action: 'read', expected: false },
  { name: 'everything', allow: [{ buckets: '*', actions: '*' }], bucket: 'a.b', action: 'write', expected: true },
  {
    name: 'read is not write',
    allow: [{ buckets: '*', actions: 'read' }],
    bucket: 'a',
    action: 'write',
    expected: false,
  },
  {
    name: 'write is not read',
    allow: [{ buckets: '*', actions: 'write' }],
    bucket: 'a',
    action: 'read',
    expected: false,
  },
  {
    name: 'list of actions',
    allow: [{ buckets: '*', actions: 'read, write' }],
    bucket: 'a',
    action: 'write',
    expected: true,
  },
  { name: 'prefix', allow: [{ buckets: 'logs-*', actions: '*' }], bucket: 'logs-1', action: 'read', expected: true },
  {
    name: 'not only a prefix',
    allow: [{ buckets: 'logs', actions: '*' }],
    bucket: 'logs-1',
    action: 'read',
    expected: false,
  },
  { name: 'anchored', allow: [{ buckets: 'ogs-*', actions: '*' }], bucket: 'logs-1', action: 'read', expected: false },
  { name: 'dot is a dot', allow: [{ buckets: 'a.b', actions: '*' }], bucket: 'axb', action: 'read', expected: false },
  { name: 'one character', allow: [{ buckets: 'a?c', actions: '*' }], bucket: 'abc', action: 'read', expected: true },
  {
    name: 'one character, not two',
    allow: [{ buckets: 'a?c', actions: '*' }],
    bucket: 'abbc',
    action: 'read',
    expected: false,
  },
  {
    name: 'rules add up',
    allow: [
      { buckets: 'a', actions: 'read' },
      { buckets: 'b', actions: 'write' },
    ],
    bucket: 'b',
    action: 'write',
    expected: true,
  },
  {
    name: 'bucket of one rule with the action of another',
    allow: [
      { buckets: 'a', actions: 'read' },
      { buckets: 'b', actions: 'write' },
    ],
    bucket: 'a',
    action: 'write',
    expected: false,
  },
];

for (const { name, allow, bucket, action, expected } of CASES) {
  test(`credential rules: ${name}`, () => assert.equal(mayAct(identity(...allow), bucket, action), expected));
}

test('a bucket is shown to a credential with any rule for it', () => {
  const who = identity({ buckets: 'mine-*', actions: 'write' });
  assert.equal(maySee(who, 'mine-1'), true);
  assert.equal(maySee(who, 'other'), false);
  assert.equal(maySee(identity({ buckets: '*', actions: 'create' }), 'mine-1'), false);
});

for (const [actions, expected] of [
  ['create', true],
  ['write', true],
  ['*', true],
  ['read', false],
  ['read, create', true],
] as const) {
  test(`a rule ${actions} ${expected ? 'makes' : 'does not make'} buckets of its names`, () => {
    const who = identity({ buckets: 'mine-*', actions });
    assert.deepEqual([mayCreate(who, 'mine-1'), mayCreate(who, 'other')], [expected, false]);
  });
}

test('only `*` is everything', () => {
  for (const actions of ['read', 'write', 'create', 'read,write,create']) {
    assert.equal(mayAct(identity({ buckets: '*', actions }), 'a', '*'), false, actions);
  }
  assert.equal(mayAct(identity({ buckets: '*', actions: 'create' }), 'a', 'write'), false);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { holds, PENDING, parseCondition } from '../../../src/s3/access/conditions.ts';

type Request = Readonly<Record<string, readonly string[]>>;

function ask(operator: string, values: readonly string[], request: Request, key = 'k') {
  const condition = parseCondition(operator, key, values, true);
  assert.ok(condition, operator);
  return holds(condition, (name) => request[name]);
}

const NONE: Request = {};
const k = (...values: string[]): Request => ({ k: values });

/** [operator, policy values, request, expected] */
const CASES: readonly (readonly [string, readonly string[], Request, boolean])[] = [
  ['StringEquals', ['a', 'b'], k('b'), true],
  ['StringEquals', ['a'], k('A'), false],
  ['StringEquals', ['a*'], k('ab'), false],
  ['StringEquals', ['a'], NONE, false],
  ['StringNotEquals', ['a', 'b'], k('b'), false],
  ['StringNotEquals', ['a', 'b'], k('c'), true],
  ['StringNotEquals', ['a'], NONE, true],
  ['StringEqualsIgnoreCase', ['aB'], k('Ab'), true],
  ['StringNotEqualsIgnoreCase', ['aB'], k('Ab'), false],
  ['StringLike', ['a*'], k('ab'), true],
  ['StringLike', ['a*'], k('ba'), false],
  ['StringNotLike', ['a*', 'c*'], k('b'), true],
  ['StringNotLike', ['a*'], k('ab'), false],
  ['StringEqualsIfExists', ['a'], NONE, true],
  ['StringEqualsIfExists', ['a'], k('b'), false],
  ['StringNotEqualsIfExists', ['a'], k('a'), false],
  ['StringEquals', ['${aws:username}'], { k: ['ann'], 'aws:username': ['ann'] }, true],
  ['StringEquals', ['${aws:username}'], k('ann'), false],
  ['NumericEquals', ['10'], k('10.0'), true],
  ['NumericNotEquals', ['10'], k('10'), false],
  ['NumericLessThan', ['10'], k('9'), true],
  ['NumericLessThan', ['10'], k('10'), false],
  ['NumericLessThanEquals', ['10'], k('10'), true],
  ['NumericGreaterThan', ['10'], k('11'), true],
  ['NumericGreaterThanEquals', ['10'], k('9'), false],
  ['NumericLessThan', ['10'], k('many'), false],
  ['NumericLessThan', ['10'], NONE, false],
  ['DateLessThan', ['2030-01-01T00:00:00Z'], k('2029-12-31T23:59:59Z'), true],
  ['DateGreaterThan', ['2030-01-01'], k('2029-12-31T23:59:59Z'), false],
  ['DateEquals', ['1893456000'], k('2030-01-01T00:00:00Z'), true],
  ['DateGreaterThan', ['2030-01-01T02:00:00+02:00'], k('2030-01-01T00:00:01Z'), true],
  ['Bool', ['true'], k('true'), true],
  ['Bool', ['false'], k('true'), false],
  ['Bool', ['true'], NONE, false],
  ['BoolIfExists', ['true'], NONE, true],
  ['IpAddress', ['10.0.0.0/8', '2001:db8::/32'], k('10.1.2.3'), true],
  ['IpAddress', ['10.0.0.0/8', '2001:db8::/32'], k('2001:db8::1'), true],
  ['IpAddress', ['10.0.0.0/8'], k('11.0.0.1'), false],
  ['IpAddress', ['192.0.2.7'], k('192.0.2.7'), true],
  ['IpAddress', ['192.0.2.7'], k('192.0.2.8'), false],
  ['IpAddress', ['0.0.0.0/0'], k('not an address'), false],
  ['NotIpAddress', ['10.0.0.0/8'], k('10.1.2.3'), false],
  ['NotIpAddress', ['10.0.0.0/8'], k('11.0.0.1'), true],
  ['ArnLike', ['arn:aws:iam::*:user/a*'], k('arn:aws:iam::1:user/ann'), true],

  ['ArnEquals', ['arn:aws:iam::${aws:PrincipalAccount}:user/ann'], k('arn:aws:iam::1:user/ann'), false],
  [
    'ArnEquals',
    ['arn:aws:iam::${aws:PrincipalAccount}:user/ann'],
    { k: ['arn:aws:iam::1:user/ann'], 'aws:principalaccount': ['1'] },
    true,
  ],
  ['ArnNotEquals', ['arn:aws:iam::1:user/ann'], k('arn:aws:iam::1:user/bob'), true],
  ['Null', ['true'], NONE, true],
  ['Null', ['true'], k('a'), false],
  ['Null', ['false'], k('a'), true],
  ['ForAllValues:StringEquals', ['a', 'b'], k('a', 'b'), true],
  ['ForAllValues:StringEquals', ['a', 'b'], k('a', 'c'), false],
  ['ForAllValues:StringEquals', ['a'], NONE, true],
  ['ForAnyValue:StringEquals', ['a', 'b'], k('c', 'b'), true],
  ['ForAnyValue:StringEquals', ['a'], k('c', 'b'), false],
  ['ForAnyValue:StringEquals', ['a'], NONE, false],
  ['ForAnyValue:StringNotEquals', ['a'], k('a', 'b'), true],
  ['ForAnyValue:StringNotEquals', ['a'], NONE, false],
  ['ForAllValues:StringNotEquals', ['a'], k('a', 'b'), false],
  ['ForAllValues:StringLikeIfExists', ['a*'], k('ab', 'ac'), true],
];

for (const [operator, values, request, expected] of CASES) {
  test(`${operator} ${values.join(' ')} of ${JSON.stringify(request)}: ${expected}`, () => {
    assert.equal(ask(operator, values, request), expected);
  });
}

const REFUSED: readonly (readonly [string, string])[] = [
  ['StringIs', 'a'],
  ['Stringequals', 'a'],
  ['Stringconstructor', 'a'],
  ['StringtoString', 'a'],
  ['Numericconstructor', '1'],
  ['NumericEquals', 'ten'],
  ['NumericNotLessThan', '1'],
  ['DateEquals', 'tomorrow'],
  ['Bool', 'maybe'],
  ['BoolEquals', 'true'],
  ['IpAddress', '10.0.0.0/33'],
  ['IpAddress', '10.0.0'],
  ['IpAddress', 'example.com'],
  ['ArnLike', 'user/ann'],
  ['ArnLike', 'arn:aws:*:user/a*'],
  ['NullIfExists', 'true'],
  ['ForAllValues:Null', 'true'],
  ['ForSomeValues:StringEquals', 'a'],
  ['StringLike', '${'],
];

for (const [operator, value] of REFUSED) {
  test(`${operator} with ${value} is refused`, () => assert.equal(parseCondition(operator, 'k', [value], true), null));
}

test('a key whose values are still to come leaves the answer open', () => {
  const condition = parseCondition('StringEquals', 'K', ['a'], true);
  assert.ok(condition);
  assert.equal(condition.key, 'k');
  assert.equal(
    holds(condition, () => PENDING),
    PENDING,
  );
});

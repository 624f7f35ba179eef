import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type ConditionHeaders,
  evaluateCopySource,
  evaluateRead,
  parseEtags,
  rangeStillValid,
  writeCondition,
} from '../../../src/s3/handlers/conditions.ts';

const MODIFIED = 'Wed, 21 Oct 2015 07:28:00 GMT';
const BEFORE = 'Wed, 21 Oct 2015 07:27:59 GMT';
const AFTER = 'Wed, 21 Oct 2015 07:28:01 GMT';
/** Milliseconds are stored but cannot be said in a header: 07:28:00.900 was "modified at 07:28:00". */
const SUBJECT = { etag: 'abc', modifiedMs: Date.parse(MODIFIED) + 900 };

const READS: [headers: ConditionHeaders, expected: string][] = [
  [{}, 'go'],
  [{ ifMatch: '"abc"' }, 'go'],
  [{ ifMatch: 'abc' }, 'go'],
  [{ ifMatch: '*' }, 'go'],
  [{ ifMatch: '"x", "abc"' }, 'go'],
  [{ ifMatch: '"x"' }, 'failed If-Match'],
  [{ ifNoneMatch: '"abc"' }, 'not-modified'],
  [{ ifNoneMatch: 'W/"abc"' }, 'not-modified'],
  [{ ifNoneMatch: '*' }, 'not-modified'],
  [{ ifNoneMatch: '"x"' }, 'go'],
  [{ ifModifiedSince: BEFORE }, 'go'],
  [{ ifModifiedSince: MODIFIED }, 'not-modified'],
  [{ ifModifiedSince: AFTER }, 'not-modified'],
  [{ ifModifiedSince: 'yesterday-ish' }, 'go'],
  [{ ifUnmodifiedSince: BEFORE }, 'failed If-Unmodified-Since'],
  [{ ifUnmodifiedSince: MODIFIED }, 'go'],
  [{ ifUnmodifiedSince: AFTER }, 'go'],
  [{ ifUnmodifiedSince: 'yesterday-ish' }, 'go'],
  // RFC 9110 §13.2.2, and AWS says so for GetObject: entity tags override dates.
  [{ ifMatch: '"abc"', ifUnmodifiedSince: BEFORE }, 'go'],
  [{ ifMatch: '"x"', ifUnmodifiedSince: AFTER }, 'failed If-Match'],
  [{ ifNoneMatch: '"abc"', ifModifiedSince: BEFORE }, 'not-modified'],
  [{ ifNoneMatch: '"x"', ifModifiedSince: AFTER }, 'go'],
  [{ ifMatch: '"abc"', ifNoneMatch: '"abc"' }, 'not-modified'],
];

for (const [headers, expected] of READS) {
  test(`read with ${JSON.stringify(headers)}`, () => {
    const verdict = evaluateRead(headers, SUBJECT);
    assert.equal(verdict.kind === 'failed' ? `failed ${verdict.condition}` : verdict.kind, expected);
  });
}

test('a copy source has no "not modified"', () => {
  const failed = (condition: string) => ({ kind: 'failed', condition: `x-amz-copy-source-${condition}` });
  assert.deepEqual(evaluateCopySource({ ifNoneMatch: '"abc"' }, SUBJECT), failed('If-None-Match'));
  assert.deepEqual(evaluateCopySource({ ifModifiedSince: AFTER }, SUBJECT), failed('If-Modified-Since'));
  assert.deepEqual(evaluateCopySource({ ifMatch: '"x"' }, SUBJECT), failed('If-Match'));
  assert.deepEqual(evaluateCopySource({ ifMatch: '"abc"' }, SUBJECT), { kind: 'go' });
});

test('entity tags: lists, quotes, weak prefix, star', () => {
  assert.deepEqual(parseEtags('"a", b ,W/"c"'), ['a', 'b', 'c']);
  assert.equal(parseEtags(' * '), '*');
});

test('write conditions: only what was sent', () => {
  assert.equal(writeCondition({}), undefined);
  assert.deepEqual(writeCondition({ 'if-none-match': '*' }), { ifNoneMatch: '*' });
  assert.deepEqual(writeCondition({ 'if-match': '"abc"' }), { ifMatch: ['abc'] });
});

test('If-Range: the same entity or no range', () => {
  assert.equal(rangeStillValid(undefined, SUBJECT), true);
  assert.equal(rangeStillValid('"abc"', SUBJECT), true);
  assert.equal(rangeStillValid('"x"', SUBJECT), false);
  assert.equal(rangeStillValid('W/"abc"', SUBJECT), false);
  assert.equal(rangeStillValid(MODIFIED, SUBJECT), true);
  assert.equal(rangeStillValid(BEFORE, SUBJECT), false);
});

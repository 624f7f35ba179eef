import assert from 'node:assert/strict';
import { test } from 'node:test';
import { suggest } from '../../src/config/suggest.ts';

const KNOWN = ['accessKey', 'secretKey', 'up', 'draining', 'read', 'write', '*', 'weight'];

const CASES: readonly (readonly [string, string | null])[] = [
  ['accessKye', 'accessKey'],
  ['access-key', 'accessKey'],
  ['SecretKey', 'secretKey'],
  ['wieght', 'weight'],
  ['drain', 'draining'],
  ['reed', 'read'],
  ['ups', 'up'],
  ['x', null],
  ['shards', null],
  ['', null],
  ['w'.repeat(1000), null],
];

for (const [word, nearest] of CASES) {
  test(`"${word.slice(0, 20)}" → ${nearest}`, () => assert.equal(suggest(word, KNOWN), nearest));
}

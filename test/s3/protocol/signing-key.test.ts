import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deriveSigningKey, SigningKeyCache, sameSignature } from '../../../src/s3/sigv4/signing-key.ts';

function scope(accessKey: string, day: string) {
  return { accessKey, day, region: 'us-east-1', scope: `${day}/us-east-1/s3/aws4_request` };
}

test('a signing key is derived once, per secret, key and day', () => {
  const cache = new SigningKeyCache(10);
  const key = cache.get('secret', 0, scope('a', '20240101'));
  assert.deepEqual(key, deriveSigningKey('secret', scope('a', '20240101')));
  assert.equal(cache.get('secret', 0, scope('a', '20240101')), key);
  assert.notDeepEqual(cache.get('other', 1, scope('a', '20240101')), key);
  assert.notDeepEqual(cache.get('secret', 0, scope('a', '20240102')), key);
  cache.clear();
  assert.equal(cache.size, 0);
});

test('the cache is bounded: the oldest goes first', () => {
  const cache = new SigningKeyCache(2);
  const first = cache.get('s', 0, scope('a', '20240101'));
  const second = cache.get('s', 0, scope('b', '20240101'));
  cache.get('s', 0, scope('c', '20240101'));
  assert.equal(cache.size, 2);
  assert.equal(cache.get('s', 0, scope('b', '20240101')), second);
  assert.notEqual(cache.get('s', 0, scope('a', '20240101')), first);
});

test('signatures: equal only when every character is', () => {
  const hex = 'a'.repeat(64);
  assert.equal(sameSignature(hex, hex), true);
  for (const other of ['', 'a', `${'a'.repeat(63)}b`, `${hex}a`, hex.toUpperCase(), '\u0161'.repeat(64)]) {
    assert.equal(sameSignature(hex, other), false, other);
  }
});

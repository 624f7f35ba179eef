import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseRedisUrl } from '../../src/cluster/redis-url.ts';
import { parseCoordinator } from '../../src/config/storage-root.ts';
import { coded } from '../contract/coordinator/suite.ts';

const plain = { sentinelMaster: null, tls: false, username: null, password: null, db: 0 };
const at = (host: string, port: number) => ({ hosts: [{ host, port }] });

const valid: Record<string, unknown> = {
  'redis://h': { ...plain, ...at('h', 6379) },
  'redis://h:1/': { ...plain, ...at('h', 1) },
  'redis://10.0.0.5:6379/7': { ...plain, ...at('10.0.0.5', 6379), db: 7 },
  'redis://[::1]:6380/1': { ...plain, ...at('::1', 6380), db: 1 },
  'rediss://u:p%40ss%2F@h': { ...plain, ...at('h', 6379), tls: true, username: 'u', password: 'p@ss/' },
  'redis://:secret@h': { ...plain, ...at('h', 6379), password: 'secret' },
  'redis+sentinel://u:p@a,b:5,[::1]:6/mymaster/2': {
    hosts: [
      { host: 'a', port: 26_379 },
      { host: 'b', port: 5 },
      { host: '::1', port: 6 },
    ],
    sentinelMaster: 'mymaster',
    tls: false,
    username: 'u',
    password: 'p',
    db: 2,
  },
  'rediss+sentinel://a/m': { ...plain, ...at('a', 26_379), tls: true, sentinelMaster: 'm' },
};

const invalid = [
  'http://h',
  'redis://',
  'redis://a,b',
  'redis://h/x',
  'redis://h/1/2',
  'redis+sentinel://a,b',
  'redis+sentinel://a/m/x',
  'redis+sentinel://a/m/1/2',
  'redis://:%zz@h',
  'redis://::1',
];

describe('Redis addresses', () => {
  for (const [url, endpoint] of Object.entries(valid)) {
    test(url, () => {
      assert.deepEqual(parseRedisUrl(url), endpoint);
      // What the configuration accepts and what is read here must be the same language.
      assert.ok('value' in parseCoordinator(url, '/'));
    });
  }
  for (const url of invalid) {
    test(`refused: ${url}`, () => {
      assert.throws(() => parseRedisUrl(url), coded('CONFIG_INVALID'));
      assert.ok('problem' in parseCoordinator(url, '/'));
    });
  }
  test('a fault does not quote the address, which may carry a password', () => {
    assert.throws(
      () => parseRedisUrl('redis://u:hunter2@h/x'),
      (error: Error) => !error.message.includes('hunter2'),
    );
  });
});

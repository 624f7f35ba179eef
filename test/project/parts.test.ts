// The rule of parts: missing and not required = skipped with the reason; missing and required = failed.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { part, partIn, partsRequired } from '../support/parts.ts';

test('a part that is there does not skip', () => {
  assert.deepEqual(partIn({ ZRING_TEST_PARTS: 'aws,rclone', CI: 'true' }, 'rclone', 'aws'), { skip: false });
});

test('a missing part skips with its name and reason', () => {
  const { skip } = partIn({ ZRING_TEST_PARTS: 'aws' }, 'aws', 'zfs-fuse');
  assert.match(String(skip), /^missing zfs-fuse: /);
});

test('no part at all is available when the list is empty', () => {
  assert.match(String(partIn({ ZRING_TEST_PARTS: '' }, 'aws').skip), /missing aws/);
});

for (const env of [{ CI: 'true' }, { ZRING_TEST_REQUIRE: '1' }]) {
  test(`a missing part fails under ${JSON.stringify(env)}`, () => {
    assert.throws(() => partIn({ ...env, ZRING_TEST_PARTS: '' }, 'redis-server'), /required test part.*redis-server/);
  });
}

test('ZRING_TEST_REQUIRE=0 allows skipping even in CI', () => {
  assert.equal(partsRequired({ CI: 'true', ZRING_TEST_REQUIRE: '0' }), false);
});

test('a misspelt part is a fault of the test, not a skip', () => {
  assert.throws(() => part('zfsfuse'), /unknown test part "zfsfuse".*zfs-fuse/);
});

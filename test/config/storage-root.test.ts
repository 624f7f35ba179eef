import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseCoordinator, parseStorage, ZFS_ROOT_BYTES_MAX } from '../../src/config/storage-root.ts';

const FOLDER = '/etc/zring';

const STORAGE: readonly (readonly [string, object])[] = [
  ['zfs:tank/zring', { kind: 'zfs', location: 'tank/zring' }],
  ['zfs:Tank-1.x_y:z/a/b', { kind: 'zfs', location: 'Tank-1.x_y:z/a/b' }],
  ['dir:/srv/zring/', { kind: 'dir', location: '/srv/zring' }],
  ['dir:./data/a', { kind: 'dir', location: '/etc/zring/data/a' }],
  ['dir:../x', { kind: 'dir', location: '/etc/x' }],
];
for (const [text, value] of STORAGE) {
  test(`storage ${text}`, () => assert.deepEqual(parseStorage(text, FOLDER), { value }));
}

const STORAGE_BAD: readonly (readonly [string, RegExp])[] = [
  ['tank/zring', /neither "zfs:" nor "dir:"/],
  ['zfs:', /not a ZFS dataset name/],
  ['zfs:/tank', /not a ZFS dataset name/],
  ['zfs:tank/', /not a ZFS dataset name/],
  ['zfs:tank//a', /not a ZFS dataset name/],
  ['zfs:tank/..', /not a ZFS dataset name/],
  ['zfs:tank/a@snap', /not a ZFS dataset name/],
  ['zfs:tank/a#mark', /not a ZFS dataset name/],
  ['zfs:tank/a b', /not a ZFS dataset name/],
  ['zfs:-rf', /not a ZFS dataset name/],
  ['zfs:tank/-o', /not a ZFS dataset name/],
  ['zfs:tank', /is a whole pool; name a dataset/],
  ['zfs:1tank/a', /begin with a letter/],
  ['zfs:mirror1/a', /reserves/],
  ['zfs:raidz/a', /reserves/],
  ['zfs:log/a', /reserves/],
  ['zfs:c0t0/a', /reserves/],
  [`zfs:tank/${'a'.repeat(ZFS_ROOT_BYTES_MAX)}`, /longer than/],
  ['dir:', /names no folder/],
  ['dir:/', /root of the file system/],
  ['dir:a\0b', /names no folder/],
];
for (const [text, problem] of STORAGE_BAD) {
  test(`not a storage root: ${JSON.stringify(text)}`, () => {
    const parsed = parseStorage(text, FOLDER);
    assert.match('problem' in parsed ? parsed.problem : JSON.stringify(parsed), problem);
  });
}

const REDIS = [
  'redis://10.0.0.5:6379/0',
  'redis://redis',
  'redis://[::1]:6379/3',
  'rediss://user:p%40ss@redis.example.org:6380',
  'redis+sentinel://h1,h2/mymaster',
  'redis+sentinel://:pw@h1:26379,h2:26380,[::1]:26381/my-master/2',
];
for (const url of REDIS) {
  test(`coordinator ${url}`, () => assert.deepEqual(parseCoordinator(url, FOLDER), { value: { kind: 'redis', url } }));
}

test('coordinator embedded', () => {
  const embedded = (folder: string) => ({ value: { kind: 'embedded', folder } });
  assert.deepEqual(parseCoordinator('embedded', FOLDER), embedded('/etc/zring/coordinator'));
  assert.deepEqual(parseCoordinator('embedded:/var/lib/x', FOLDER), embedded('/var/lib/x'));
  assert.deepEqual(parseCoordinator('embedded:state', FOLDER), embedded('/etc/zring/state'));
});

const COORDINATOR_BAD: readonly (readonly [string, RegExp])[] = [
  ['http://x', /neither a Redis URL nor "embedded"/],
  ['redis:/10.0.0.5', /neither a Redis URL/],
  ['redis://', /neither a Redis URL/],
  ['redis://a b', /neither a Redis URL/],
  ['redis://h1,h2/0', /only redis\+sentinel/],
  ['redis://h/zero', /database that is not a number/],
  ['redis://h:70000', /outside 1 to 65535/],
  ['redis://%zz@h', /percent-encoded/],
  ['redis+sentinel://h1,h2', /no name of the master/],
  ['redis+sentinel://h1,,h2/m', /names a host that/],
  ['embedded:', /names no folder/],
];
for (const [text, problem] of COORDINATOR_BAD) {
  test(`not a coordinator: ${text}`, () => {
    const parsed = parseCoordinator(text, FOLDER);
    assert.match('problem' in parsed ? parsed.problem : JSON.stringify(parsed), problem);
  });
}

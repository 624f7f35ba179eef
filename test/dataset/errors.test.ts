import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ErrorCode } from '../../src/common/errors.ts';
import { folderError, zfsError } from '../../src/dataset/errors.ts';

/** What the commands printed, word for word: zfs-fuse 0.7.0 and OpenZFS 2.1.11. */
const SAID: readonly (readonly [ErrorCode, string])[] = [
  ['DATASET_ALREADY_EXISTS', "cannot create 'p1/r/a': dataset already exists"],
  ['DATASET_ALREADY_EXISTS', "cannot create snapshot 'p1/r/a@s1': dataset already exists"],
  [
    'DATASET_ALREADY_EXISTS',
    "cannot receive new filesystem stream: destination 't/r/b' exists\nmust specify -F to overwrite it",
  ],
  ['DATASET_NOT_FOUND', "cannot open 'p1/nope': dataset does not exist"],
  ['DATASET_NOT_FOUND', 'could not find any snapshots to destroy; check snapshot names.'],
  ['DATASET_NOT_FOUND', "cannot receive incremental stream: destination 't/r/nope' does not exist"],
  [
    'DATASET_BUSY',
    "umount: /mnt/p1/r/a: target is busy.\ncannot unmount '/mnt/p1/r/a': umount failed: umount child process failed",
  ],
  ['DATASET_BUSY', "cannot unmount '/t/r/a': pool or dataset is busy"],
  ['DATASET_BUSY', "cannot destroy 'p1/r/a@s1': dataset is busy"],
  ['DATASET_BUSY', 'cannot destroy snapshot t/r/a@s1: dataset is busy'],
  [
    'DATASET_DIVERGED',
    'cannot receive incremental stream: destination p1/r/b has been modified\nsince most recent snapshot',
  ],
  [
    'DATASET_DIVERGED',
    'cannot receive incremental stream: most recent snapshot of p1/r/b does not\nmatch incremental source',
  ],
  ['STREAM_INVALID', 'cannot receive: failed to read from stream'],
  ['STREAM_INVALID', 'cannot receive new filesystem stream: invalid backup stream'],
  ['STREAM_INVALID', 'cannot receive new filesystem stream: incomplete stream'],
  ['STREAM_INVALID', 'cannot receive new filesystem stream: invalid stream (checksum mismatch)'],
  ['STREAM_INVALID', 'cannot receive new filesystem stream: checksum mismatch'],
  ['STREAM_INVALID', 'cannot receive: invalid stream (bad magic number)'],
  ['STREAM_INVALID', 'cannot receive: stream has unsupported feature, feature flags = 4'],
  [
    'STORAGE_UNAVAILABLE',
    'connect: Connection refused\nPlease make sure that the zfs-fuse daemon is running.\ninternal error: failed to initialize ZFS library',
  ],
  ['STORAGE_UNAVAILABLE', "cannot open 'nope': no such pool"],
  ['STORAGE_UNAVAILABLE', 'something that nobody has seen'],
];

describe('what ZFS says', () => {
  for (const [code, said] of SAID) {
    it(`${code}: ${said.split('\n')[0]}`, () => {
      const error = zfsError('zfs x', `${said}\n`, 'bucket');
      assert.equal(error.code, code);
      assert.equal(error.subject, 'bucket');
      assert.ok(error.message.includes(said.split('\n')[0] ?? ''));
    });
  }
});

describe('what the system says', () => {
  const cases: readonly (readonly [string, string | undefined])[] = [
    ['ENOSPC', 'STORAGE_FULL'],
    ['EDQUOT', 'QUOTA_EXCEEDED'],
    ['EROFS', 'STORAGE_UNAVAILABLE'],
    ['EIO', 'STORAGE_UNAVAILABLE'],
    ['EACCES', 'STORAGE_PERMISSION'],
    ['EBUSY', 'DATASET_BUSY'],
    ['ENOENT', 'MOUNT_INVALID'],
    ['EINVAL', 'EINVAL'],
  ];
  for (const [system, code] of cases) {
    it(`${system} is ${code}`, () => {
      const error = folderError(Object.assign(new Error('x'), { code: system }), 'bucket');
      assert.equal((error as { code?: string }).code, code);
    });
  }

  it('a quota is known by its number, for libuv has no name for it', () => {
    const errno = process.platform === 'linux' ? -122 : -69;
    const said = Object.assign(new Error('x'), { code: `Unknown system error ${errno}`, errno });
    assert.equal((folderError(said, 'bucket') as { code?: string }).code, 'QUOTA_EXCEEDED');
  });
});

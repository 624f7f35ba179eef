import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { OperationName } from '../../../src/s3/operation.ts';
import { addressOf, requirePresent, snapshotAddress } from '../../../src/s3/snapshots/address.ts';
import { parseTarget } from '../../../src/s3/target.ts';

const at = (operation: OperationName, target: string) => snapshotAddress(operation, parseTarget(target, 'host', []));

test('a key or a prefix is split into the snapshot and what is inside', () => {
  const cases: [text: string, address: ReturnType<typeof addressOf>][] = [
    ['cat.jpg', null],
    ['.zfs', null],
    ['.zfs/', null],
    ['.zfs/snapshot', null],
    ['a/.zfs/snapshot/one/k', null],
    ['.zfs/snapshot/', { snapshot: '', key: null }],
    ['.zfs/snapshot/on', { snapshot: 'on', key: null }],
    ['.zfs/snapshot/one/', { snapshot: 'one', key: '' }],
    ['.zfs/snapshot/one/k', { snapshot: 'one', key: 'k' }],
    ['.zfs/snapshot/one//k/', { snapshot: 'one', key: '/k/' }],
    ['.zfs/snapshot//k', { snapshot: '', key: 'k' }],
  ];
  for (const [text, address] of cases) assert.deepEqual(addressOf(text), address, text);
});

test('reading is about the key, listing about the prefix, everything else is refused', () => {
  const one = { snapshot: 'one', key: 'k' };
  const reads: OperationName[] = ['GetObject', 'HeadObject', 'GetObjectAttributes', 'GetObjectTagging', 'GetObjectAcl'];
  for (const operation of reads) assert.deepEqual(at(operation, '/photos/.zfs/snapshot/one/k'), one, operation);
  assert.deepEqual(at('ListObjectsV2', '/photos?list-type=2&prefix=.zfs%2Fsnapshot%2Fone%2Fk'), one);
  assert.deepEqual(at('ListObjects', '/photos?prefix=.zfs/snapshot/one/k'), one);
  assert.equal(at('ListObjectVersions', '/photos?versions&prefix=.zfs/snapshot/one/k'), null);
  assert.equal(at('GetObject', '/photos/k'), null);
  const writes: OperationName[] = [
    'PutObject',
    'DeleteObject',
    'CopyObject',
    'RenameObject',
    'CreateMultipartUpload',
    'UploadPart',
    'UploadPartCopy',
    'CompleteMultipartUpload',
    'AbortMultipartUpload',
    'PutObjectTagging',
    'PutObjectAcl',
    'PutObjectRetention',
  ];
  for (const operation of writes) {
    assert.throws(() => at(operation, '/photos/.zfs/snapshot/one/k'), { code: 'MethodNotAllowed' }, operation);
    assert.equal(at(operation, '/photos/k'), null, operation);
  }
  assert.throws(() => requirePresent('.zfs/snapshot/one/k'), { code: 'MethodNotAllowed' });
  requirePresent('.zfs/other');
});

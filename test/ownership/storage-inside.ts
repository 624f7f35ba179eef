// Run by storage-zfs.test.ts inside a namespace with two pools, and by test/openzfs in the guest; not a test file of its own.
import { openZfsDriver } from '../../src/dataset/zfs-open.ts';
import { storageSuite } from './storage-suite.ts';

const pools = (process.env.ZRING_TEST_POOLS ?? '').split(',');

storageSuite('storage settings on zfs', (node, run) =>
  openZfsDriver(`${pools[node === 'a' ? 0 : 1]}/storage${run}`, 'test'),
);

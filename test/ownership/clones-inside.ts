// Run by clones-zfs.test.ts inside a namespace with two pools; not a test file of its own.
import { openZfsDriver } from '../../src/dataset/zfs-open.ts';
import { cloneTests } from './clone-suite.ts';
import { TestCluster } from './cluster.ts';

const pools = (process.env.ZRING_TEST_POOLS ?? '').split(',');
let serial = 0;

cloneTests('zfs', (options) => {
  const run = ++serial;
  const openDriver = (node: string) => openZfsDriver(`${pools[node === 'a' ? 0 : 1]}/run${run}`, 'test');
  return TestCluster.start(['a', 'b'], { ...options, openDriver });
});

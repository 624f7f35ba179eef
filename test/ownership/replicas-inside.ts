// Run by replicas-zfs.test.ts inside a namespace with two pools; not a test file of its own.
import { openZfsDriver } from '../../src/dataset/zfs-open.ts';
import { TestCluster } from './cluster.ts';
import { replicaTests } from './replica-suite.ts';

const pools = (process.env.ZRING_TEST_POOLS ?? '').split(',');
let serial = 0;

replicaTests('zfs', (options) => {
  const run = ++serial;
  const openDriver = (node: string) => openZfsDriver(`${pools[node === 'a' ? 0 : 1]}/run${run}-${node}`, 'test');
  return TestCluster.start(['a', 'b', 'c'], { ...options, openDriver });
});

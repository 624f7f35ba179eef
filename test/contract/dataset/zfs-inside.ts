// Run by zfs-fuse.test.ts inside a namespace, and by test/openzfs in the guest; not a test file of its own.
import { cloneContract } from './clone-suite.ts';
import { settingsContract } from './settings-suite.ts';
import { snapshotContract } from './snapshot-suite.ts';
import { datasetContract } from './suite.ts';
import { startZfsHarness } from './zfs-harness.ts';
import { zfsSuite } from './zfs-suite.ts';

datasetContract('dataset driver contract: zfs', startZfsHarness);
zfsSuite('dataset driver on zfs', startZfsHarness);
settingsContract('dataset settings contract: zfs', startZfsHarness);
snapshotContract('snapshots as folders: zfs', startZfsHarness);
cloneContract('datasets cloned from a snapshot: zfs', startZfsHarness);

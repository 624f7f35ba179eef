// Run by zfs-fuse.test.ts inside a namespace; not a test file of its own.
import { storeSuite } from './store-suite.ts';
import { startZfsHarness } from './zfs-harness.ts';

storeSuite('store on the driver: zfs', startZfsHarness);

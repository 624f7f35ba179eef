// Imported for its effect by tests of many small writes that prove nothing about disks: their folders are made in memory
// where there is a tmpfs, so that they do not wait for flushes. ZRING_TEST_DISK=1 uses the disk.
import { existsSync } from 'node:fs';

if (process.env.ZRING_TEST_DISK !== '1' && existsSync('/dev/shm')) process.env.TMPDIR = '/dev/shm';

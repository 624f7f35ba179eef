import { join } from 'node:path';
import { openDirDriver } from '../../src/dataset/dir.ts';
import { storageSuite } from './storage-suite.ts';

storageSuite('storage settings on dir', (node, _run, root) => openDirDriver(join(root, node), 'test'));

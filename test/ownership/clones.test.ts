import { cloneTests } from './clone-suite.ts';
import { TestCluster } from './cluster.ts';

cloneTests('dir', (options) => TestCluster.start(['a', 'b'], options));

// The in-memory coordinator that other tests build on keeps the contract too.
import { createMemoryCluster } from '../../support/memory-coordinator.ts';
import { credentialContract } from './credential-suite.ts';
import { coordinatorContract, type Harness } from './suite.ts';

coordinatorContract('memory', open);
credentialContract('memory', open);

async function open(): Promise<Harness> {
  const cluster = createMemoryCluster();
  return {
    connect: async () => cluster.connect(),
    stop: async () => cluster.setAvailable(false),
    start: async () => cluster.setAvailable(true),
    flush: async () => cluster.flush(),
    loseWritesOf: async (work) => {
      const dump = cluster.dump();
      await work();
      cluster.restore(dump);
    },
    withoutReplies: async (work) => {
      cluster.loseReplies(1);
      await work(cluster.connect());
    },
    close: async () => {},
  };
}

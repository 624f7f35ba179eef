// Carries out planned faults on the lab, and says of each whether it really fired. Every injector heals what it broke
// before it returns; what it must not know is what comes before or after it in the plan.
import type { Fault } from '../plan.ts';
import { injectConfig } from './config.ts';
import type { Injection, InjectionContext } from './injection.ts';
import { injectNetwork } from './network.ts';
import { injectNodes } from './nodes.ts';
import { injectRedis } from './redis.ts';
import { injectStorage } from './storage.ts';
import { injectCut } from './streams.ts';

export function inject(fault: Fault, context: InjectionContext): Promise<Injection> {
  switch (fault.kind) {
    case 'node-kill':
    case 'node-pause':
    case 'zombie':
    case 'cluster-kill':
      return injectNodes(fault, context);
    case 'partition-nodes':
    case 'partition-redis':
    case 'isolate':
      return injectNetwork(fault, context);
    case 'redis-kill':
    case 'redis-stop':
    case 'redis-flush':
    case 'redis-restore':
    case 'redis-failover':
      return injectRedis(fault, context);
    case 'power-cut':
    case 'disk-full':
    case 'dataset-readonly':
    case 'pool-hang':
    case 'old-disk':
      return injectStorage(fault, context);
    case 'cut-stream':
      return injectCut(fault, context);
    case 'move':
    case 'move-many':
    case 'drain':
    case 'config-churn':
    case 'duplicate-id':
      return injectConfig(fault, context);
  }
}

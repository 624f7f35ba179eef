// The coordinator in a real Redis, under the contract.
import { test } from 'node:test';
import type { Coordinator } from '../../../src/cluster/coordinator.ts';
import { openRedisCoordinator } from '../../../src/cluster/redis-coordinator.ts';
import { silentLogger } from '../../../src/telemetry/log.ts';
import { hasRedis, startProxy, startRedis } from '../../support/redis.ts';
import { credentialContract } from './credential-suite.ts';
import { availability, coordinatorContract, type Harness } from './suite.ts';

const TIMES = { commandTimeoutMs: 10_000, connectTimeoutMs: 10_000, retryMinMs: 5, retryMaxMs: 20 };
const options = { cluster: 'lab', logger: silentLogger(), times: TIMES };

if (await hasRedis()) {
  coordinatorContract('redis', openHarness);
  credentialContract('redis', openHarness);
} else test('coordinator contract: redis', { skip: 'needs redis-server' });

async function openHarness(): Promise<Harness> {
  const server = await startRedis();
  const connections: Coordinator[] = [];
  async function connect(url = server.url, times = TIMES): Promise<Coordinator> {
    const coordinator = await openRedisCoordinator(url, { ...options, times });
    connections.push(coordinator);
    return coordinator;
  }
  return {
    connect: () => connect(),
    stop: () => server.kill(),
    start: () => server.start(),
    async flush() {
      await server.command('FLUSHALL');
    },
    async loseWritesOf(work) {
      const keys = (await server.command('--raw', 'KEYS', '*')).split('\n');
      for (const key of keys) await server.command('COPY', key, `old:${key}`);
      await work();
      for (const key of keys) await server.command('COPY', `old:${key}`, key, 'REPLACE');
      for (const key of keys) await server.command('DEL', `old:${key}`);
    },
    async withoutReplies(work) {
      const proxy = await startProxy(server.port);
      const coordinator = await connect(`redis://127.0.0.1:${proxy.port}`, { ...TIMES, commandTimeoutMs: 1500 });
      const lost = availability(coordinator, false);
      proxy.swallowReplies();
      await work(coordinator);
      await lost;
      await coordinator.close();
      await proxy.close();
    },
    async close() {
      await Promise.all(connections.map((connection) => connection.close()));
      await server.close();
    },
  };
}

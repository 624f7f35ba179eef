// Sentinels: the coordinator finds the master through them, follows it to another server, and is told apart from lost
// writes there by what its users remember.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Coordinator } from '../../src/cluster/coordinator.ts';
import { openRedisCoordinator } from '../../src/cluster/redis-coordinator.ts';
import { silentLogger } from '../../src/telemetry/log.ts';
import { coded, recordOf } from '../contract/coordinator/suite.ts';
import { hasRedis, type RedisServer, startRedis, startSentinel } from '../support/redis.ts';

const TIMES = { commandTimeoutMs: 10_000, connectTimeoutMs: 10_000, retryMinMs: 5, retryMaxMs: 50 };

describe('Redis behind sentinels', { skip: (await hasRedis()) ? false : 'needs redis-server' }, () => {
  let master: RedisServer;
  let replica: RedisServer;
  let sentinel: RedisServer;
  let coordinator: Coordinator;
  before(async () => {
    master = await startRedis(['--repl-diskless-sync-delay', '0']);
    replica = await startRedis(['--replicaof', `127.0.0.1 ${master.port}`]);
    // A sentinel looks for replicas when it starts, and then every ten seconds only.
    await until(async () => (await master.command('INFO', 'replication')).includes('state=online'));
    sentinel = await startSentinel('mymaster', master.port);
    const dead = await startRedis();
    await dead.close();
    coordinator = await openRedisCoordinator(
      `redis+sentinel://127.0.0.1:${dead.port},127.0.0.1:${sentinel.port}/mymaster/3`,
      { cluster: 'lab', logger: silentLogger(), times: TIMES },
    );
  });
  after(async () => {
    await coordinator?.close();
    await Promise.all([sentinel, replica, master].map((server) => server?.close()));
  });

  test('finds the master, past a sentinel that is down, and follows a failover', async () => {
    const before = await coordinator.state();
    assert.ok((await coordinator.casRecord('x', null, recordOf('x', 'a'))).ok);
    // A failover before the replica has everything would lose it, as it does in life; that is another test's matter.
    await until(async () => (await replica.command('-n', '3', 'HEXISTS', '{zring:lab}:records', 'x')) === '1');
    await until(async () => (await sentinel.command('SENTINEL', 'REPLICAS', 'mymaster')).includes(`${replica.port}`));
    await until(async () => (await sentinel.command('SENTINEL', 'FAILOVER', 'mymaster')) === 'OK');
    await until(async () => (await replica.command('ROLE')).startsWith('master'));
    // Until it has noticed, calls fail as not made or in doubt; the old server refuses to write.
    await until(async () => {
      const current = await coordinator.readRecord('x').catch(() => null);
      if (!current) return false;
      const result = await coordinator
        .casRecord('x', current.tag, recordOf('x', 'b'))
        .catch((error) => assert.match(error.code, /^COORDINATOR_/));
      return (
        result?.ok === true &&
        (await replica.command('-n', '3', 'HGET', '{zring:lab}:records', 'x')).includes('"owner":"b"')
      );
    });
    assert.equal((await coordinator.state()).incarnation, before.incarnation);
    await master.kill();
    assert.ok(await coordinator.readRecord('x'));
  });

  test('no sentinel answers: unavailable', async () => {
    const nobody = await openRedisCoordinator(`redis+sentinel://127.0.0.1:1/mymaster`, {
      cluster: 'lab',
      logger: silentLogger(),
      times: TIMES,
    });
    await assert.rejects(nobody.state(), coded('COORDINATOR_UNAVAILABLE'));
    await nobody.close();
  });
});

/** For what other processes do in their own time; the test runner's limit ends it. */
async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((done) => setTimeout(done, 20));
}

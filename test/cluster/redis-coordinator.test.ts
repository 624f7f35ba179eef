// What the coordinator in Redis promises beyond the contract: how it lives with a Redis that is slow, loading, locked,
// evicting, failing over or of a newer release.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { after, before, describe, test } from 'node:test';
import type { Coordinator } from '../../src/cluster/coordinator.ts';
import { openRedisCoordinator } from '../../src/cluster/redis-coordinator.ts';
import { createLogger, silentLogger } from '../../src/telemetry/log.ts';
import { availability, coded, deferred, infoOf, mapOf, recordOf } from '../contract/coordinator/suite.ts';
import { hasRedis, type RedisServer, startProxy, startRedis } from '../support/redis.ts';

const TIMES = { commandTimeoutMs: 10_000, connectTimeoutMs: 10_000, retryMinMs: 5, retryMaxMs: 20 };
const options = { cluster: 'lab', logger: silentLogger(), times: TIMES };

describe('coordinator in Redis', { skip: (await hasRedis()) ? false : 'needs redis-server' }, () => {
  let server: RedisServer;
  const opened: Coordinator[] = [];
  const servers: RedisServer[] = [];
  /** One more server, of this test alone. */
  async function start(args: readonly string[] = []): Promise<RedisServer> {
    const started = await startRedis(args);
    servers.push(started);
    return started;
  }
  async function open(url = server.url, changes: Partial<typeof options> = {}): Promise<Coordinator> {
    const coordinator = await openRedisCoordinator(url, { ...options, ...changes });
    opened.push(coordinator);
    return coordinator;
  }
  before(async () => {
    server = await startRedis();
  });
  after(async () => {
    await Promise.all(opened.map((coordinator) => coordinator.close()));
    await Promise.all([server, ...servers].map((started) => started.close()));
  });

  test('two clusters share a server and see nothing of each other', async () => {
    const lab = await open();
    const other = await open(server.url, { cluster: 'other' });
    await lab.casRecord('shared', null, recordOf('shared', 'a'));
    assert.equal(await other.readRecord('shared'), null);
    assert.notEqual((await other.state()).incarnation, (await lab.state()).incarnation);
    const keys = (await server.command('--raw', 'KEYS', '*')).split('\n');
    assert.ok(keys.every((key) => key.startsWith('{zring:lab}:') || key.startsWith('{zring:other}:')));
  });

  test('starts without a server, and is there once the server is', async () => {
    const late = await start();
    await late.kill();
    const coordinator = await open(late.url);
    await assert.rejects(coordinator.state(), coded('COORDINATOR_UNAVAILABLE'));
    const found = availability(coordinator, true);
    await late.start();
    await found;
    assert.ok((await coordinator.state()).incarnation);
    await coordinator.close();
  });

  test('restarts of the server forget the scripts, not the calls', async () => {
    const coordinator = await open();
    await coordinator.state();
    await server.command('SCRIPT', 'FLUSH');
    assert.ok((await coordinator.casRecord('flushed', null, recordOf('flushed', 'a'))).ok);
  });

  test('hints come again after the connection was cut', async () => {
    const proxy = await startProxy(server.port);
    const listening = await open(`redis://127.0.0.1:${proxy.port}`);
    const writing = await open();
    const epoch = (await writing.readMap())?.epoch ?? 0;
    await writing.commitMap(epoch, mapOf(epoch + 1, ['a']));
    // Records are not hinted before everybody has reported.
    assert.ok((await writing.markReported('a', (await writing.state()).incarnation)).complete);
    const heard = async () => {
      const hint = deferred<void>();
      const stop = listening.onHint(() => hint.resolve());
      let isHeard = false;
      void hint.promise.then(() => {
        isHeard = true;
      });
      // The subscription follows the connection in its own time, so one hint may be missed, but not all.
      for (let i = 0; !isHeard; i++) {
        const current = await writing.readRecord('hinting');
        await writing.casRecord('hinting', current?.tag ?? null, recordOf('hinting', `n${i}`));
      }
      stop();
    };
    await heard();
    const found = availability(listening, true);
    proxy.cut();
    await found;
    await heard();
    await listening.close();
    await proxy.close();
  });

  test('a server that hangs: calls end with their time limit, in doubt or unavailable, and the connection is made again', async () => {
    const hung = await start();
    const coordinator = await open(hung.url, { times: { ...TIMES, commandTimeoutMs: 1000 } });
    await coordinator.state();
    const lost = availability(coordinator, false);
    hung.pause();
    const write = coordinator.casRecord('doubt', null, recordOf('doubt', 'a'));
    const read = coordinator.readRecord('doubt');
    await assert.rejects(write, coded('COORDINATOR_OUTCOME_UNKNOWN'));
    await assert.rejects(read, coded('COORDINATOR_UNAVAILABLE'));
    await lost;
    await assert.rejects(coordinator.state(), coded('COORDINATOR_UNAVAILABLE'));
    const found = availability(coordinator, true);
    hung.resume();
    await found;
    // In doubt means: read. Now there is an answer, whichever it is.
    await coordinator.readRecord('doubt');
    await coordinator.close();
  });

  test('closing waits for calls under way, and fails those that come after', async () => {
    const slow = await start();
    const coordinator = await open(slow.url);
    await coordinator.state();
    slow.pause();
    const calls = Array.from({ length: 50 }, (_, i) => {
      return coordinator.casRecord(`closing-${i}`, null, recordOf(`closing-${i}`, 'a'));
    });
    const closed = coordinator.close();
    await assert.rejects(coordinator.readMap(), coded('COORDINATOR_UNAVAILABLE'));
    // Longer than a closing connection lingers, shorter than the time limit of a call.
    setTimeout(() => slow.resume(), 500);
    assert.ok((await Promise.all(calls)).every((result) => result.ok));
    await closed;
  });

  test('closing while the server is away ends at once', async () => {
    const away = await start();
    const coordinator = await open(away.url);
    const lost = availability(coordinator, false);
    await away.kill();
    await lost;
    await coordinator.close();
    const never = await open(`redis://127.0.0.1:${away.port}`);
    await never.close();
  });

  test('a peer that accepts and says nothing is not connected to', async () => {
    const silent = createServer((socket) => socket.on('error', () => {})).listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const { port } = silent.address() as { port: number };
    const coordinator = await open(`redis://127.0.0.1:${port}`, { times: { ...TIMES, commandTimeoutMs: 100 } });
    await assert.rejects(coordinator.state(), coded('COORDINATOR_UNAVAILABLE'));
    await coordinator.close();
    silent.close();
  });

  test('passwords, databases and a database that is not there', async () => {
    const locked = await start(['--requirepass', 'p@ss', '--databases', '4']);
    const base = `127.0.0.1:${locked.port}`;
    const right = await open(`redis://:p%40ss@${base}/2`);
    assert.ok((await right.state()).incarnation);
    const otherDatabase = await open(`redis://:p%40ss@${base}/3`);
    assert.notEqual((await otherDatabase.state()).incarnation, (await right.state()).incarnation);
    for (const url of [`redis://${base}`, `redis://:wrong@${base}`, `redis://:p%40ss@${base}/9`]) {
      const refused = await open(url);
      await assert.rejects(refused.state(), coded('COORDINATOR_UNAVAILABLE'), url);
      await refused.close();
    }
    await right.close();
    await otherDatabase.close();
  });

  test('the password is in no log line', async () => {
    const lines: string[] = [];
    const logger = createLogger({ level: 'trace', destination: { write: (line) => void lines.push(line) } });
    const coordinator = await open(`redis://user:hunter2@127.0.0.1:${server.port}`, { logger });
    await assert.rejects(coordinator.state(), coded('COORDINATOR_UNAVAILABLE'));
    await coordinator.close();
    assert.ok(lines.length > 0);
    assert.ok(!lines.join().includes('hunter2'), lines.join());
  });

  test('a server that became a replica is left: nothing is written to it', async () => {
    const replica = await start();
    const coordinator = await open(replica.url);
    await coordinator.state();
    const lost = availability(coordinator, false);
    await replica.command('REPLICAOF', '127.0.0.1', '1');
    await assert.rejects(coordinator.casRecord('x', null, recordOf('x', 'a')), coded('COORDINATOR_UNAVAILABLE'));
    await lost;
    await replica.command('REPLICAOF', 'NO', 'ONE');
    await coordinator.close();
  });

  test('out of memory: refused as not done', async () => {
    const full = await start();
    const coordinator = await open(full.url);
    await coordinator.state();
    await full.command('CONFIG', 'SET', 'maxmemory', '1');
    await assert.rejects(coordinator.casRecord('x', null, recordOf('x', 'a')), coded('COORDINATOR_UNAVAILABLE'));
    await full.command('CONFIG', 'SET', 'maxmemory', '0');
    assert.equal(await coordinator.readRecord('x'), null);
    assert.equal((await coordinator.state()).counter, 0);
    await coordinator.close();
  });

  test('a server that may evict records is warned about', async () => {
    for (const policy of ['allkeys-lru', 'noeviction']) {
      const evicting = await start(['--maxmemory', '100mb', '--maxmemory-policy', policy]);
      const warned = deferred<boolean>();
      const write = (line: string) => line.includes('maxmemory-policy') && warned.resolve(true);
      const logger = createLogger({ destination: { write: (line) => void write(line) } });
      const coordinator = await open(evicting.url, { logger });
      // Answers come in the order of the questions, so the policy has been looked at.
      await coordinator.state().then(() => coordinator.state());
      warned.resolve(false);
      assert.equal(await warned.promise, policy === 'allkeys-lru');
    }
  });

  test('data of a newer release is refused by name', async () => {
    const coordinator = await open(server.url, { cluster: 'newer' });
    await coordinator.state();
    await server.command('HSET', '{zring:newer}:meta', 'version', '2');
    await assert.rejects(coordinator.state(), coded('VERSION_UNSUPPORTED'));
    await assert.rejects(coordinator.casRecord('x', null, recordOf('x', 'a')), coded('VERSION_UNSUPPORTED'));
    await assert.rejects(coordinator.readMap(), coded('VERSION_UNSUPPORTED'));
  });

  test('data that nobody can read is named, and never taken for absence', async () => {
    const coordinator = await open(server.url, { cluster: 'damaged' });
    const other = await open(server.url, { cluster: 'damaged' });
    const created = await coordinator.casRecord('x', null, recordOf('x', 'a'));
    assert.ok(created.ok);
    await coordinator.commitMap(0, mapOf(1, ['a']));
    await server.command('HSET', '{zring:damaged}:records', 'x', `${created.value.tag} {}`);
    await server.command('HSET', '{zring:damaged}:map', 'text', 'no json');
    await assert.rejects(other.readRecord('x'), coded('COORDINATOR_CORRUPT'));
    await assert.rejects(other.changesSince(0, 10), coded('COORDINATOR_CORRUPT'));
    await assert.rejects(other.readMap(), coded('COORDINATOR_CORRUPT'));
  });

  const losses: Record<string, (key: (name: string) => string) => string[][]> = {
    'meta alone': (key) => [['DEL', key('meta')]],
    'records alone': (key) => [['DEL', key('records')]],
    'changes alone': (key) => [['DEL', key('changes')]],
    'one record': (key) => [['HDEL', key('records'), 'kept']],
    'all records with their changes': (key) => [['DEL', key('records'), key('changes')]],
  };
  for (const [title, commands] of Object.entries(losses)) {
    test(`evicted or deleted by hand: ${title}: a new incarnation, never a catalog that only looks complete`, async () => {
      const cluster = `evicted-${title.replaceAll(' ', '-')}`;
      const coordinator = await open(server.url, { cluster });
      await coordinator.commitMap(0, mapOf(4, ['a']));
      await coordinator.casRecord('kept', null, recordOf('kept', 'a'));
      await coordinator.casRecord('other', null, recordOf('other', 'a'));
      const { incarnation } = await coordinator.state();
      const whole = await coordinator.markReported('a', incarnation);
      assert.ok(whole.complete);
      for (const command of commands((name) => `{zring:${cluster}}:${name}`)) await server.command(...command);
      const { state, records } = await coordinator.changesSince(0, 10);
      assert.notEqual(state.incarnation, incarnation);
      assert.deepEqual([state.complete, (await coordinator.state()).reported, records], [false, [], []]);
      // The map and the leases are their own keys and were not lost.
      assert.equal(state.mapEpoch, 4);
      assert.ok((await coordinator.casRecord('kept', null, recordOf('kept', 'a'))).ok);
      assert.equal((await coordinator.changesSince(0, 10)).records.length, 1);
      assert.ok((await coordinator.markReported('a', state.incarnation)).complete);
    });
  }

  test('a map that drops the last node not heard of makes the catalog complete', async () => {
    const coordinator = await open(server.url, { cluster: 'dropping' });
    await coordinator.commitMap(0, mapOf(1, ['a', 'b']));
    const { incarnation } = await coordinator.state();
    assert.equal((await coordinator.markReported('a', incarnation)).complete, false);
    await coordinator.commitMap(1, mapOf(2, ['a']));
    assert.equal((await coordinator.state()).complete, true);
  });

  test('node information comes back as it was given, whatever is in it', async () => {
    const coordinator = await open(server.url, { cluster: 'leases' });
    const info = { ...infoOf(1), release: 'a "b" \\ \n ü ☃ ', formats: {}, freeBytes: 2 ** 52 + 1 };
    await coordinator.acquireLease('a', 'one', 60_000, info);
    assert.deepEqual((await coordinator.leases())[0]?.info, info);
  });

  test('counters stay exact far beyond what 32 bits hold', async () => {
    const coordinator = await open(server.url, { cluster: 'large' });
    const { incarnation } = await coordinator.state();
    const counter = 2 ** 53 - 1000;
    assert.equal((await coordinator.declareRegress({ incarnation, counter })).counter, counter);
    await coordinator.casRecord('x', null, recordOf('x', 'a'));
    await coordinator.casRecord('y', null, recordOf('y', 'a'));
    const page = await coordinator.changesSince(counter + 1, 10);
    assert.deepEqual([page.cursor, page.records.map((entry) => entry.record.dataset)], [counter + 2, ['y']]);
  });
});

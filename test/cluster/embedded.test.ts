// What the embedded coordinator promises beyond the contract: one host, a successor when it dies, and what was acknowledged
// survives that.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, rm, stat } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Coordinator } from '../../src/cluster/coordinator.ts';
import { openEmbeddedCoordinator } from '../../src/cluster/embedded-coordinator.ts';
import { HOST_FILES, openEmbeddedHost } from '../../src/cluster/embedded-host.ts';
import { LINE_BYTES_MAX } from '../../src/cluster/embedded-protocol.ts';
import { type DurableMap, openDurableMap } from '../../src/common/durable-map.ts';
import { isZringError, ZringError } from '../../src/common/errors.ts';
import { availability, coded, deferred, infoOf, mapOf, recordOf } from '../contract/coordinator/suite.ts';
import { embeddedOptions, openClientOnly, startHostProcess } from '../support/embedded.ts';

let root: string;
let count = 0;
before(async () => {
  root = await mkdtemp(join(tmpdir(), 'zring-embedded-'));
});
after(() => rm(root, { recursive: true, force: true }));

function freshFolder(): string {
  return join(root, `c${++count}`);
}

async function eventually<T>(call: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await call();
    } catch (error) {
      if (!isZringError(error, 'COORDINATOR_UNAVAILABLE')) throw error;
      await new Promise((done) => setTimeout(done, 5));
    }
  }
}

describe('one host', () => {
  test('a second host of the same folder is refused; it takes over as soon as the first is closed', async () => {
    const folder = freshFolder();
    await mkdir(folder);
    const host = await openEmbeddedHost(folder, embeddedOptions);
    await assert.rejects(openEmbeddedHost(folder, embeddedOptions), coded('LOCKED'));
    await host.submit({ method: 'casRecord', args: ['x', null, recordOf('x', 'a')] });
    await host.close();
    await host.close();
    await assert.rejects(host.submit({ method: 'state', args: [] }), coded('COORDINATOR_UNAVAILABLE'));
    const next = await openEmbeddedHost(folder, embeddedOptions);
    assert.ok(await next.submit({ method: 'readRecord', args: ['x'] }));
    await next.close();
  });

  test('of many that start together all are connected, to the same one', async () => {
    const folder = freshFolder();
    const all = await Promise.all(Array.from({ length: 8 }, () => openEmbeddedCoordinator(folder, embeddedOptions)));
    const states = await Promise.all(all.map((coordinator) => coordinator.state()));
    assert.equal(new Set(states.map((state) => state.incarnation)).size, 1);
    await Promise.all(all.map((coordinator) => coordinator.close()));
  });

  test('the folder is closed to others, also when it was open before', async () => {
    const folder = freshFolder();
    await mkdir(folder);
    await chmod(folder, 0o755);
    const coordinator = await openEmbeddedCoordinator(folder, embeddedOptions);
    assert.equal((await stat(folder)).mode & 0o777, 0o700);
    await coordinator.close();
  });

  test('works below a path that is too long for a socket', async () => {
    const folder = join(freshFolder(), 'd'.repeat(100), 'e'.repeat(100));
    const host = await openEmbeddedCoordinator(folder, embeddedOptions);
    const client = await openClientOnly(folder);
    assert.deepEqual(await client.state(), await host.state());
    await client.close();
    await host.close();
  });
});

describe('a host that is gone', () => {
  test('is followed by another participant, with everything, again and again', async () => {
    const folder = freshFolder();
    const participants = await Promise.all(
      Array.from({ length: 4 }, () => openEmbeddedCoordinator(folder, embeddedOptions)),
    );
    const { incarnation } = await (participants[0] as Coordinator).state();
    while (participants.length > 1) {
      // Whoever is host: closing them one after the other passes the role on.
      const leaving = participants.shift() as Coordinator;
      const name = `left-${participants.length}`;
      await eventually(() => leaving.casRecord(name, null, recordOf(name, 'a')));
      await leaving.close();
      for (const stays of participants) {
        assert.equal((await eventually(() => stays.readRecord(name)))?.record.dataset, name);
        assert.equal((await eventually(() => stays.state())).incarnation, incarnation);
      }
    }
    await participants[0]?.close();
  });

  test('killed with -9 in the middle of writes, five times: whatever was acknowledged is there, once', async () => {
    const folder = freshFolder();
    const tags = new Map<string, string>();
    let doubtful = 0;
    for (let round = 0; round < 5; round++) {
      const host = await startHostProcess(folder);
      const client = await openClientOnly(folder);
      const enough = deferred<void>();
      let acknowledged = 0;
      const writing = Array.from({ length: 8 }, async (_, writer) => {
        for (let i = 0; ; i++) {
          const dataset = `r${round}-w${writer}-${i}`;
          try {
            const result = await client.casRecord(dataset, null, recordOf(dataset, 'a'));
            assert.ok(result.ok);
            tags.set(dataset, result.value.tag);
            if (++acknowledged === 20 + 13 * round) enough.resolve();
          } catch (error) {
            if (isZringError(error, 'COORDINATOR_OUTCOME_UNKNOWN')) doubtful++;
            else assert.ok(isZringError(error, 'COORDINATOR_UNAVAILABLE'), `${error}`);
            return;
          }
        }
      });
      await enough.promise;
      await host.kill('SIGKILL');
      await Promise.all(writing);
      await client.close();
    }
    const coordinator = await openEmbeddedCoordinator(folder, embeddedOptions);
    const found = new Map<string, string>();
    for (let cursor = 0; ; ) {
      const page = await coordinator.changesSince(cursor, 500);
      for (const { record, tag } of page.records) found.set(record.dataset, tag);
      if (page.records.length === 0) break;
      cursor = page.cursor;
    }
    for (const [dataset, tag] of tags) assert.equal(found.get(dataset), tag, dataset);
    assert.ok(found.size <= tags.size + doubtful, 'more than was ever written');
    assert.equal((await coordinator.state()).counter, found.size);
    await coordinator.close();
  });

  test('a host process that is stopped answers nobody: reads are unavailable, writes in doubt', async () => {
    const folder = freshFolder();
    const host = await startHostProcess(folder);
    const client = await openClientOnly(folder, { callTimeoutMs: 1000 });
    await client.state();
    process.kill(host.pid, 'SIGSTOP');
    const lost = availability(client, false);
    const write = assert.rejects(client.casRecord('x', null, recordOf('x', 'a')), coded('COORDINATOR_OUTCOME_UNKNOWN'));
    const read = assert.rejects(client.readRecord('x'), coded('COORDINATOR_UNAVAILABLE'));
    await Promise.all([write, read, lost]);
    const found = availability(client, true);
    process.kill(host.pid, 'SIGCONT');
    await found;
    assert.ok(await client.readRecord('x'), 'it was carried out after all');
    await client.close();
    await host.kill();
  });
});

describe('a disk that fails', () => {
  /** The real disk, until `error` is set; then commits fail with it, `after` the real thing or instead of it. */
  function failingDisk() {
    const fault: { error: ZringError | null; after: boolean } = { error: null, after: false };
    const openDisk = async (path: string): Promise<DurableMap> => {
      const disk = await openDurableMap(path, { create: true });
      return {
        get: (key) => disk.get(key),
        entries: (prefix) => disk.entries(prefix),
        async commit(changes) {
          if (!fault.error || fault.after) await disk.commit(changes);
          if (fault.error) throw fault.error;
        },
        close: () => disk.close(),
      };
    };
    return { fault, openDisk };
  }

  test('full: nothing has happened, nobody is told otherwise, and it goes on when there is room', async () => {
    const folder = freshFolder();
    await mkdir(folder);
    const { fault, openDisk } = failingDisk();
    const host = await openEmbeddedHost(folder, { ...embeddedOptions, openDisk });
    const client = await openClientOnly(folder);
    await client.casRecord('kept', null, recordOf('kept', 'a'));
    const before = await client.state();
    fault.error = new ZringError('STORAGE_FULL', 'no space');
    const write = client.casRecord('x', null, recordOf('x', 'a'));
    // In the same batch: what it saw of the failed write must not get out.
    const read = client.readRecord('x');
    await assert.rejects(write, coded('COORDINATOR_UNAVAILABLE'));
    await assert.rejects(read, coded('COORDINATOR_UNAVAILABLE'));
    assert.equal(await client.readRecord('x'), null);
    assert.deepEqual(await client.state(), before);
    assert.deepEqual(
      await client.acquireLease('a', 'i', 1000, infoOf(1)).catch((error) => error.code),
      'COORDINATOR_UNAVAILABLE',
    );
    fault.error = null;
    assert.ok((await client.casRecord('x', null, recordOf('x', 'a'))).ok);
    assert.ok(await client.readRecord('kept'));
    await client.close();
    await host.close();
  });

  test('in doubt: the host ends, and its successor says what is true', async () => {
    for (const after of [true, false]) {
      const folder = freshFolder();
      await mkdir(folder);
      const { fault, openDisk } = failingDisk();
      const host = await openEmbeddedHost(folder, { ...embeddedOptions, openDisk });
      const client = await openClientOnly(folder);
      await client.state();
      Object.assign(fault, { error: new ZringError('STORAGE_OUTCOME_UNKNOWN', 'I/O error'), after });
      const lost = availability(client, false);
      await assert.rejects(client.casRecord('x', null, recordOf('x', 'a')), coded('COORDINATOR_OUTCOME_UNKNOWN'));
      await host.ended;
      await lost;
      const found = availability(client, true);
      const next = await openEmbeddedHost(folder, embeddedOptions);
      await found;
      assert.equal((await client.readRecord('x')) !== null, after);
      await client.close();
      await next.close();
    }
  });
});

describe('leases and restarts', () => {
  test('a holder keeps its lease for a full term after the host was restarted, and no longer', async () => {
    const folder = freshFolder();
    let nowMs = 1000;
    const clock = { wallMs: () => 0, monotonicMs: () => nowMs };
    const open = () => openEmbeddedCoordinator(folder, { ...embeddedOptions, clock });
    const first = await open();
    await first.acquireLease('a', 'one', 10_000, infoOf(1));
    nowMs += 8000;
    await first.acquireLease('a', 'one', 10_000, infoOf(2));
    await first.acquireLease('b', 'one', 10_000, infoOf(1));
    await first.releaseLease('b', 'one');
    await first.close();
    // A restart may take any time, on any clock.
    nowMs = 5;
    const second = await open();
    const refused = await second.acquireLease('a', 'two', 10_000, infoOf(1));
    assert.deepEqual(refused, { ok: false, holder: 'one', remainingMs: 10_000 });
    assert.deepEqual(
      (await second.leases()).map((lease) => lease.node),
      ['a'],
    );
    nowMs += 9999;
    assert.equal((await second.acquireLease('a', 'two', 10_000, infoOf(1))).ok, false);
    nowMs += 1;
    assert.equal((await second.acquireLease('a', 'two', 10_000, infoOf(1))).ok, true);
    await second.close();
  });
});

describe('what it refuses', () => {
  test('a client of another cluster', async () => {
    const folder = freshFolder();
    const host = await openEmbeddedCoordinator(folder, embeddedOptions);
    await assert.rejects(openClientOnly(folder, { cluster: 'other' }), coded('CONFIG_INVALID'));
    await host.close();
  });

  test('data of a newer release, and damaged data, by name', async () => {
    const cases = [
      ['meta', { version: 2 }, 'VERSION_UNSUPPORTED'],
      ['map', { ...mapOf(1, ['a']), version: 9 }, 'VERSION_UNSUPPORTED'],
      ['map', { version: 1 }, 'COORDINATOR_CORRUPT'],
    ] as const;
    for (const [key, value, code] of cases) {
      const folder = freshFolder();
      await (await openEmbeddedCoordinator(folder, embeddedOptions)).close();
      const host = await openEmbeddedHost(folder, embeddedOptions);
      await host.submit({ method: 'state', args: [] });
      await host.close();
      const disk = await openDurableMap(join(folder, HOST_FILES.state));
      await disk.commit([{ key, value: JSON.stringify(value) }]);
      await disk.close();
      await assert.rejects(openEmbeddedCoordinator(folder, embeddedOptions), coded(code));
      // A refusal leaves nothing behind that would keep the right release out.
      await assert.rejects(openEmbeddedHost(folder, embeddedOptions), coded(code));
    }
  });

  const garbage: Record<string, string | Buffer> = {
    'no JSON': 'hello\n',
    'another version': '{"hello":1,"cluster":"lab"}\n',
    'a call before the hello': '{"id":1,"call":{"method":"state","args":[]}}\n',
    'an unknown method': '{"hello":2,"cluster":"lab"}\n{"id":1,"call":{"method":"__proto__","args":[]}}\n',
    'too few arguments': '{"hello":2,"cluster":"lab"}\n{"id":1,"call":{"method":"casRecord","args":[]}}\n',
    'no id': '{"hello":2,"cluster":"lab"}\n{"call":{"method":"state","args":[]}}\n',
    'a line without end': Buffer.alloc(LINE_BYTES_MAX + 1, 'x'),
  };
  for (const [title, bytes] of Object.entries(garbage)) {
    test(`on its socket: ${title}`, async () => {
      const folder = freshFolder();
      const host = await openEmbeddedCoordinator(folder, embeddedOptions);
      const socket = connect(join(folder, HOST_FILES.socket));
      socket.on('error', () => {});
      socket.resume();
      socket.write(bytes);
      await once(socket, 'close');
      assert.equal((await host.state()).counter, 0);
      await host.close();
    });
  }

  test('a call whose arguments are nonsense is answered, and changes nothing', async () => {
    const folder = freshFolder();
    const client = await openEmbeddedCoordinator(folder, embeddedOptions);
    const other = await openClientOnly(folder);
    const before = await client.state();
    await assert.rejects(other.casRecord('x', null, null as never), coded('COORDINATOR_CORRUPT'));
    await assert.rejects(other.commitMap(0, 'map' as never), coded('COORDINATOR_CORRUPT'));
    await assert.rejects(other.declareRegress(null as never), coded('COORDINATOR_CORRUPT'));
    await assert.rejects(
      other.acquireLease(5 as never, {} as never, 'x' as never, infoOf(1)),
      coded('COORDINATOR_CORRUPT'),
    );
    assert.deepEqual(await other.state(), before);
    assert.deepEqual(await other.leases(), []);
    await other.close();
    await client.close();
  });
});

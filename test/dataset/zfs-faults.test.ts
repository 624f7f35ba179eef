// The zfs driver when the pool is not as it should be, on a zfs-fuse whose daemon these tests stop and kill. The driver
// runs out here and its commands inside the namespace: everything but mounting works that way.
import assert from 'node:assert/strict';
import * as fs from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { after, before, describe, it } from 'node:test';
import { type ErrorCode, isZringError } from '../../src/common/errors.ts';
import { type CommandRunner, systemCommands } from '../../src/dataset/command.ts';
import type { DatasetDriver } from '../../src/dataset/driver.ts';
import { openZfsDriver } from '../../src/dataset/zfs-open.ts';
import { collect, streamOf } from '../contract/dataset/content.ts';
import { part } from '../support/parts.ts';
import { startZfsNamespace, type ZfsNamespace } from '../support/zfs-fuse.ts';

const ROOT = 'tank/zring';
const rejects = (promise: Promise<unknown>, code: ErrorCode) =>
  assert.rejects(promise, (error: unknown) => {
    assert.ok(isZringError(error, code), `want ${code}, got ${error instanceof Error ? error.stack : error}`);
    return true;
  });

describe('zfs driver and a pool in trouble', part('zfs-fuse'), () => {
  let dir: string;
  let namespace: ZfsNamespace;
  let driver: DatasetDriver;

  /** What was asked, newest last. */
  const streams: (readonly string[])[] = [];
  const inside: CommandRunner = {
    run: (args, options) => systemCommands.run(prefix(args), options),
    stream: (args, direction) => {
      streams.push(args);
      return systemCommands.stream(prefix(args), direction);
    },
  };
  const prefix = (args: readonly string[]) => ['nsenter', `--mount=/proc/${namespace.pid}/ns/mnt`, '--', ...args];
  const zfs = (...args: string[]) => namespace.runInside('zfs', args);
  const open = (options: { cluster?: string; usageTimeoutMs?: number } = {}) =>
    openZfsDriver(ROOT, options.cluster ?? 'test', {
      runner: inside,
      usageTimeoutMs: options.usageTimeoutMs ?? 10_000,
    });

  before(async () => {
    dir = await fs.mkdtemp(join(tmpdir(), 'zring-faults-'));
    namespace = await startZfsNamespace({ dir, poolName: 'tank', sizeMiB: 128 });
    driver = await open();
  });
  after(async () => {
    await namespace?.stop();
    await fs.rm(dir, { recursive: true, force: true });
  });

  it('keeps properties over the death of the daemon', async () => {
    await zfs('create', '-o', 'zring:id=x', `${ROOT}/kept`);
    await driver.setProperties('kept', { term: '7@a' });
    await namespace.kill9Daemon();
    await rejects(driver.list(), 'STORAGE_UNAVAILABLE');
    await rejects(driver.get('kept'), 'STORAGE_UNAVAILABLE');
    await rejects(driver.destroy('kept'), 'STORAGE_UNAVAILABLE');
    assert.match((await driver.usage()).health, /Connection refused/);
    await namespace.restartDaemon();
    assert.deepEqual((await driver.get('kept'))?.properties, { id: 'x', term: '7@a' });
    assert.equal((await driver.usage()).health, 'ok');
  });

  it('says when the pool does not answer, instead of waiting for it', async () => {
    const impatient = await open({ usageTimeoutMs: 100 });
    namespace.signalDaemon('SIGSTOP');
    try {
      assert.match((await impatient.usage()).health, /not answering/);
      // Nor does a start: it fails.
      await rejects(openZfsDriver(ROOT, 'test', { runner: inside, timeoutMs: 100 }), 'STORAGE_UNAVAILABLE');
    } finally {
      namespace.signalDaemon('SIGCONT');
    }
    assert.equal((await driver.usage()).health, 'ok');
  });

  it('does not take an exported pool for an empty one', async () => {
    await zfs('create', '-o', 'zring:id=e', `${ROOT}/exported`);
    await namespace.runInside('zpool', ['export', 'tank']);
    await rejects(driver.list(), 'STORAGE_UNAVAILABLE');
    await rejects(driver.get('exported'), 'STORAGE_UNAVAILABLE');
    await rejects(driver.destroy('exported'), 'STORAGE_UNAVAILABLE');
    await rejects(open(), 'STORAGE_UNAVAILABLE');
    assert.notEqual((await driver.usage()).health, 'ok');
    await namespace.runInside('zpool', ['import', '-d', join(dir, 'disks', 'tank'), 'tank']);
    assert.notEqual(await driver.get('exported'), null);
    await driver.destroy('exported');
  });

  it('refuses the root of another cluster and of a newer format', async () => {
    await rejects(open({ cluster: 'another' }), 'CONFIG_REFUSED');
    await zfs('set', 'zring:format=99', ROOT);
    await rejects(open(), 'VERSION_UNSUPPORTED');
    await zfs('set', 'zring:format=1', ROOT);
  });

  it('clears what a dead process left of creating, and leaves a living one alone', async () => {
    const stat = await fs.readFile('/proc/self/stat', 'utf8');
    const start = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
    await zfs('create', '-o', 'zring:creating=999999999-1', `${ROOT}/half-made`);
    await zfs('create', '-o', `zring:creating=${process.pid}-${start}`, `${ROOT}/being-made`);
    await zfs('create', '-o', 'zring:creating=999999999-1', '-o', 'zring:id=y', `${ROOT}/made`);
    assert.equal(await driver.get('half-made'), null);
    const names = (await (await open()).list()).map((info) => info.name);
    assert.deepEqual(names, ['kept', 'made']);
    const left = (await zfs('list', '-H', '-o', 'name', '-r', ROOT)).trim().split('\n');
    assert.deepEqual(left.sort(), [ROOT, `${ROOT}/being-made`, `${ROOT}/kept`, `${ROOT}/made`]);
    assert.deepEqual((await driver.get('made'))?.properties, { id: 'y' });
  });

  it('destroys nothing of a dataset that somebody else holds, or has put one into', async () => {
    await zfs('create', '-o', 'zring:id=z', `${ROOT}/shared`);
    await driver.snapshot('shared', 'one');
    await driver.snapshot('shared', 'two');
    await driver.hold('shared', 'one', 'move-1');
    await zfs('hold', 'keep', `${ROOT}/shared@two`);
    await rejects(driver.destroy('shared'), 'SNAPSHOT_HELD');
    assert.deepEqual(
      (await driver.snapshots('shared')).map((snapshot) => snapshot.name),
      ['one', 'two'],
    );
    await zfs('release', 'keep', `${ROOT}/shared@two`);
    await zfs('create', '-o', 'canmount=off', `${ROOT}/shared/theirs`);
    await rejects(driver.destroy('shared'), 'DATASET_BUSY');
    await zfs('list', `${ROOT}/shared/theirs`);
    await zfs('destroy', `${ROOT}/shared/theirs`);
    await driver.destroy('shared');
    assert.equal(await driver.get('shared'), null);
  });

  it('passes no package of several streams on to zfs receive', async () => {
    await zfs('create', '-o', 'zring:id=p', `${ROOT}/packed`);
    await driver.snapshot('packed', 's1');
    for (const flag of ['-R', '-p']) {
      const file = join(dir, `package${flag}`);
      await namespace.runInside('sh', ['-c', 'zfs send "$1" "$2" > "$3"', 'sh', flag, `${ROOT}/packed@s1`, file]);
      const outcome = driver.receive('_packed', streamOf(await fs.readFile(file)), { incremental: false });
      await rejects(outcome, 'STREAM_INVALID');
    }
    assert.equal(await driver.get('_packed'), null);
  });

  it('leaves a copy as it was when the daemon dies in the middle of receiving', async () => {
    await zfs('create', '-o', 'zring:id=d', '-o', 'recordsize=8K', `${ROOT}/dying`);
    const folder = `${namespace.mountpoint('tank')}/zring/dying`;
    const write = (size: string) =>
      namespace.runInside('sh', ['-c', 'head -c "$1" /dev/urandom > "$2/f"', 'sh', size, folder]);
    await write('300000');
    const first = await driver.snapshot('dying', 's1');
    await write('3000000');
    await driver.snapshot('dying', 's2');
    const full = await driver.send('dying', { snapshot: 's1', fromGuid: null });
    await driver.receive('_dying', full.stream, { incremental: false });
    const step = await collect((await driver.send('dying', { snapshot: 's2', fromGuid: first.guid })).stream);

    for (const [name, incremental] of [
      ['_dying', true],
      ['_new', false],
    ] as const) {
      const bytes = incremental
        ? step
        : await collect((await driver.send('dying', { snapshot: 's2', fromGuid: null })).stream);
      const source = new PassThrough();
      const outcome = driver.receive(name, source, { incremental });
      outcome.catch(() => {});
      await new Promise<void>((resolve) => source.write(bytes.subarray(0, bytes.length / 2), () => resolve()));
      await namespace.kill9Daemon();
      source.end(bytes.subarray(bytes.length / 2));
      await assert.rejects(outcome, (error: unknown) => isZringError(error));
      await namespace.restartDaemon();
      if (!incremental) assert.equal(await driver.get(name), null);
    }
    assert.deepEqual(
      (await driver.snapshots('_dying')).map((snapshot) => snapshot.name),
      ['s1'],
    );
    await driver.receive('_dying', streamOf(step), { incremental: true });
    assert.equal((await driver.snapshots('_dying')).at(-1)?.name, 's2');
  });

  it('never rolls back a copy that was written: the increment is refused, and both sides stay', async () => {
    await zfs('create', '-o', 'zring:id=w', `${ROOT}/source`);
    const first = await driver.snapshot('source', 's1');
    await driver.snapshot('source', 's2');
    const full = await driver.send('source', { snapshot: 's1', fromGuid: null });
    await driver.receive('_written', full.stream, { incremental: false });
    await zfs('set', 'readonly=off', `${ROOT}/_written`);
    await zfs('mount', `${ROOT}/_written`);
    const precious = `${namespace.mountpoint('tank')}/zring/_written/precious`;
    await namespace.runInside('sh', ['-c', 'echo acknowledged > "$1" && sync', 'sh', precious]);
    const step = await driver.send('source', { snapshot: 's2', fromGuid: first.guid });
    await assert.rejects(driver.receive('_written', step.stream, { incremental: true }), isZringError);
    // Whether zfs-fuse would have rolled back depends on what it had flushed: it is not even asked to.
    assert.equal(streams.at(-1)?.includes('receive'), true);
    assert.equal(streams.at(-1)?.includes('-F'), false);
    await zfs('mount', `${ROOT}/_written`).catch(() => undefined);
    assert.equal((await namespace.runInside('cat', [precious])).trim(), 'acknowledged');
    assert.deepEqual(
      (await driver.snapshots('_written')).map((snapshot) => snapshot.name),
      ['s1'],
    );
  });

  it('lists any number of datasets with the same two commands', async () => {
    let commands = 0;
    const counted = await openZfsDriver(ROOT, 'test', {
      runner: {
        run: (args, options) => {
          commands++;
          return inside.run(args, options);
        },
        stream: inside.stream,
      },
    });
    commands = 0;
    const few = await counted.list();
    assert.equal(commands, 2);
    for (let n = 0; n < 20; n++) await zfs('create', '-o', `zring:id=many-${n}`, `${ROOT}/many-${n}`);
    commands = 0;
    assert.equal((await counted.list()).length, few.length + 20);
    assert.equal(commands, 2);
  });
});

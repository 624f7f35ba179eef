// Snapshots of a store that is open: what the driver asks of it, and files that are still being written.
import assert from 'node:assert/strict';
import * as fs from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { openDirDriver } from '../../src/dataset/dir.ts';
import type { DatasetDriver, SnapshotSource } from '../../src/dataset/driver.ts';
import { bytesOf, readStore, writeStore, writeSynced } from '../contract/dataset/content.ts';

async function setUp(t: TestContext) {
  const folder = await fs.mkdtemp(join(tmpdir(), 'zring-snapshot-'));
  t.after(() => fs.rm(folder, { recursive: true, force: true }));
  const [a, b] = [await openDirDriver(join(folder, 'a'), 'test'), await openDirDriver(join(folder, 'b'), 'test')];
  await a.create('bucket', { id: 'x' }, (path) =>
    writeStore(path, { aa1: bytesOf('aa1', 5000) }, bytesOf('index', 9000)),
  );
  const { path } = await a.open('bucket', { id: 'x', readonly: false });
  return { a, b, path };
}

async function transfer(a: DatasetDriver, b: DatasetDriver, snapshot: string, fromGuid: string | null) {
  const sent = await a.send('bucket', { snapshot, fromGuid });
  await b.receive('_copy', sent.stream, { incremental: fromGuid !== null });
  await sent.done;
  await b.setProperties('_copy', { id: 'x' });
  return (await b.open('_copy', { id: 'x', readonly: true })).path;
}

/** What an open store would do; the log tells the order of calls. */
function sourceOf(index: Buffer, log: string[], onCopy: () => Promise<void> = () => Promise.resolve()): SnapshotSource {
  return {
    async copyIndex(path) {
      log.push('copy');
      await fs.writeFile(path, index, { flag: 'wx' });
      await onCopy();
    },
    async pauseSweep() {
      log.push('pause');
      return () => void log.push('resume');
    },
  };
}

describe('snapshot of an open store', () => {
  it('takes the index from the store, with the sweep paused', async (t) => {
    const { a, b } = await setUp(t);
    const log: string[] = [];
    const index = bytesOf('copied by the store', 7000);
    await a.snapshot('bucket', 's1', sourceOf(index, log));
    assert.deepEqual(log, ['pause', 'copy', 'resume']);
    const copy = await transfer(a, b, 's1', null);
    assert.deepEqual(await fs.readFile(join(copy, 'index')), index);
  });

  it('lets the sweep go on, and keeps nothing, when the store fails', async (t) => {
    const { a, path } = await setUp(t);
    const log: string[] = [];
    const failing = sourceOf(bytesOf('x', 10), log, () => Promise.reject(new Error('no room')));
    await assert.rejects(a.snapshot('bucket', 's1', failing), /no room/);
    assert.deepEqual(log, ['pause', 'copy', 'resume']);
    assert.deepEqual(await a.snapshots('bucket'), []);
    assert.deepEqual(await fs.readdir(join(path, '.zring')), ['meta.json']);
  });

  it('has every file that was there when the index was copied', async (t) => {
    const { a, b, path } = await setUp(t);
    const late = bytesOf('late', 3000);
    const source = sourceOf(bytesOf('index', 9000), [], () => writeStore(path, { bb1: late }, bytesOf('newer', 9000)));
    await a.snapshot('bucket', 's1', source);
    const copy = await transfer(a, b, 's1', null);
    assert.deepEqual(await fs.readFile(join(copy, 'data/bb/bb1')), late);
    assert.deepEqual(await fs.readFile(join(copy, 'index')), bytesOf('index', 9000));
  });

  it('sends a file again that was still being written', async (t) => {
    const { a, b, path } = await setUp(t);
    const whole = bytesOf('growing', 200_000);
    await fs.mkdir(join(path, 'data/cc'), { recursive: true });
    const file = await fs.open(join(path, 'data/cc/cc1'), 'wx');
    await file.write(whole, 0, 60_000, 0);
    const { guid } = await a.snapshot('bucket', 's1', sourceOf(bytesOf('index', 9000), []));
    const first = await transfer(a, b, 's1', null);
    assert.equal((await fs.stat(join(first, 'data/cc/cc1'))).size, 60_000);
    await file.write(whole, 60_000, 140_000, 60_000);
    await file.sync();
    await file.close();
    await a.snapshot('bucket', 's2', sourceOf(bytesOf('index two', 9000), []));
    const second = await transfer(a, b, 's2', guid);
    assert.deepEqual(await fs.readFile(join(second, 'data/cc/cc1')), whole);
    assert.deepEqual(Object.keys(await readStore(second)), Object.keys(await readStore(path)));
  });

  it('of a closed one that is written meanwhile is whole, or refused', async (t) => {
    const { a, path } = await setUp(t);
    const versions = Array.from({ length: 400 }, (_, n) => bytesOf(`n ${n}`, 50_000));
    versions.push(bytesOf('index', 9000));
    const writing = (async () => {
      for (const version of versions) await writeSynced(join(path, 'index'), version);
    })();
    const outcomes = await Promise.allSettled(Array.from({ length: 20 }, (_, n) => a.snapshot('bucket', `s${n}`)));
    await writing;
    for (const outcome of outcomes) {
      if (outcome.status === 'rejected') assert.equal(outcome.reason.code, 'DATASET_BUSY');
      else {
        const index = await fs.readFile(join(path, '.zring/snapshots', outcome.value.name, 'index'));
        assert.ok(
          versions.some((version) => version.equals(index)),
          `${outcome.value.name} is torn: ${index.length} bytes`,
        );
      }
    }
  });

  it('is unaffected by what is written afterwards', async (t) => {
    const { a, b, path } = await setUp(t);
    const before = await readStore(path);
    await a.snapshot('bucket', 's1');
    await writeStore(path, { dd1: bytesOf('dd1', 100) }, bytesOf('later', 9000));
    await fs.rm(join(path, 'data/aa/aa1'));
    assert.deepEqual(await readStore(await transfer(a, b, 's1', null)), before);
  });

  it('never takes the lock file of the index along', async (t) => {
    const { a, b, path } = await setUp(t);
    await fs.writeFile(join(path, 'index-lock'), 'readers of this machine');
    await a.snapshot('bucket', 's1');
    const copy = await transfer(a, b, 's1', null);
    assert.deepEqual((await fs.readdir(copy)).sort(), ['.zring', 'data', 'index']);
  });
});

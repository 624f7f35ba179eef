// kill -9 in the middle of receiving, and what a crash leaves at each step, made by hand.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import * as fs from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { openDirDriver } from '../../src/dataset/dir.ts';
import type { DatasetDriver } from '../../src/dataset/driver.ts';
import { bytesOf, collect, readStore, removeData, streamOf, writeStore } from '../contract/dataset/content.ts';

const STEPS = 36;

async function temporary(t: TestContext): Promise<string> {
  const folder = await fs.mkdtemp(join(tmpdir(), 'zring-crash-'));
  t.after(() => fs.rm(folder, { recursive: true, force: true }));
  return folder;
}

/** Streams 1 … STEPS (the first full) in a folder, and the content after each. */
async function prepare(folder: string): Promise<{ streams: string; contents: Record<string, string>[] }> {
  const driver = await openDirDriver(join(folder, 'source'), 'test');
  const streams = join(folder, 'streams');
  await fs.mkdir(streams);
  await driver.create('bucket', { id: 'x' }, (path) => writeStore(path, {}, bytesOf('index 0', 30_000)));
  const { path } = await driver.open('bucket', { id: 'x', readonly: false });
  const contents: Record<string, string>[] = [{}];
  let fromGuid: string | null = null;
  for (let step = 1; step <= STEPS; step++) {
    const added = {
      [`${step % 10}a${step}`]: bytesOf(`a ${step}`, 3000),
      [`${step % 10}b${step}`]: bytesOf(`b ${step}`, 10),
    };
    await writeStore(path, added, bytesOf(`index ${step}`, 30_000 + step));
    if (step > 2) await removeData(path, `${(step - 2) % 10}a${step - 2}`);
    const { guid } = await driver.snapshot('bucket', `s${step}`);
    const sent = await driver.send('bucket', { snapshot: `s${step}`, fromGuid });
    await fs.writeFile(join(streams, String(step)), await collect(sent.stream));
    await sent.done;
    contents.push(await readStore(path));
    fromGuid = guid;
  }
  return { streams, contents };
}

/** Runs a receiver until it has finished `steps` of them and a little more; resolves with the last step it reported. */
async function receiveUntilKilled(root: string, streams: string, first: number, steps: number, extraMs: number) {
  const script = fileURLToPath(new URL('dir-receiver.ts', import.meta.url));
  const child = spawn(process.execPath, ['--import', 'tsx', script, root, streams, String(first), String(STEPS)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let done = first - 1;
  await new Promise<void>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', () => resolve());
    child.stdout.on('data', (chunk: Buffer) => {
      done = Number(chunk.toString().trim().split('\n').at(-1));
      // Not a wait for anything: it only spreads the moment of the kill over the steps of a receive.
      if (done >= first - 1 + steps) setTimeout(() => child.kill('SIGKILL'), extraMs);
    });
  });
  return done;
}

async function stateOf(driver: DatasetDriver): Promise<{ step: number; content: Record<string, string> }> {
  await driver.setProperties('_copy', { id: 'x' });
  const { path } = await driver.open('_copy', { id: 'x', readonly: true });
  const names = (await driver.snapshots('_copy')).map((snapshot) => snapshot.name);
  assert.deepEqual(
    names,
    names.map((_, n) => `s${n + 1}`),
  );
  return { step: names.length, content: await readStore(path) };
}

describe('receiving into folders', () => {
  it('is whole or not at all when the process is killed', async (t) => {
    const folder = await temporary(t);
    const { streams, contents } = await prepare(folder);
    const root = join(folder, 'copy');
    await fs.mkdir(root);
    let reached = 0;
    for (let run = 0; run < 8 && reached < STEPS; run++) {
      const reported = await receiveUntilKilled(root, streams, reached + 1, 1 + run, run * 1.7);
      const driver = await openDirDriver(root, 'test');
      const { step, content } = await stateOf(driver);
      assert.ok(step >= reported, `run ${run}: ${step} is there, ${reported} was reported`);
      assert.deepEqual(content, contents[step], `run ${run}: content after step ${step}`);
      reached = step;
    }
    const driver = await openDirDriver(root, 'test');
    for (let step = reached + 1; step <= STEPS; step++) {
      await driver.receive('_copy', streamOf(await fs.readFile(join(streams, String(step)))), { incremental: true });
    }
    assert.deepEqual((await stateOf(driver)).content, contents[STEPS]);
    assert.deepEqual((await fs.readdir(root)).sort(), ['.zring-root', '_copy']);
    const inside = await fs.readdir(join(root, '_copy', '.zring'));
    assert.deepEqual(inside.sort(), ['meta.json', 'snapshots']);
  });

  it('is finished when the crash came after the snapshot and before the live folder', async (t) => {
    const folder = await temporary(t);
    const { streams, contents } = await prepare(folder);
    const root = join(folder, 'copy');
    const driver = await openDirDriver(root, 'test');
    await driver.receive('_copy', streamOf(await fs.readFile(join(streams, '1'))), { incremental: false });
    const live = join(root, '_copy');
    const old = await fs.readFile(join(live, 'index'));
    await driver.receive('_copy', streamOf(await fs.readFile(join(streams, '2'))), { incremental: true });
    // Back to the moment after the rename that publishes the snapshot.
    await fs.writeFile(join(live, '.zring/snapshots/s2/pending'), '');
    await fs.writeFile(join(live, 'index'), old);
    await removeData(live, '2a2');
    await fs.mkdir(join(live, '.zring/tmp-left'));
    assert.deepEqual((await stateOf(await openDirDriver(root, 'test'))).content, contents[2]);
    assert.deepEqual((await fs.readdir(join(live, '.zring'))).sort(), ['meta.json', 'snapshots']);
    await driver.receive('_copy', streamOf(await fs.readFile(join(streams, '3'))), { incremental: true });
    assert.deepEqual((await stateOf(driver)).content, contents[3]);
  });
});

describe('a root of folders', () => {
  it('is cleared of what a dead process was building, not of what a living one is', async (t) => {
    const root = join(await temporary(t), 'root');
    const driver = await openDirDriver(root, 'test');
    await fs.mkdir(join(root, '.new-999999999-1-abcdef'));
    const stat = await fs.readFile('/proc/self/stat', 'utf8');
    const start = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
    const living = `.new-${process.pid}-${start}-abcdef`;
    await fs.mkdir(join(root, living));
    await openDirDriver(root, 'test');
    assert.deepEqual((await fs.readdir(root)).sort(), [living, '.zring-root'].sort());
    assert.deepEqual(await driver.list(), []);
  });

  it('of another cluster, or of a newer format, is refused', async (t) => {
    const root = join(await temporary(t), 'root');
    await openDirDriver(root, 'one');
    await assert.rejects(openDirDriver(root, 'two'), { code: 'CONFIG_REFUSED' });
    await fs.writeFile(join(root, '.zring-root'), '{"format":99,"cluster":"one"}');
    await assert.rejects(openDirDriver(root, 'one'), { code: 'VERSION_UNSUPPORTED' });
  });

  it('that was swapped under the driver is not an empty one', async (t) => {
    const folder = await temporary(t);
    const driver = await openDirDriver(join(folder, 'root'), 'test');
    await driver.create('bucket', { id: 'x' }, () => Promise.resolve());
    await fs.rename(join(folder, 'root'), join(folder, 'elsewhere'));
    await fs.mkdir(join(folder, 'root'));
    await assert.rejects(driver.list(), { code: 'STORAGE_UNAVAILABLE' });
    await assert.rejects(driver.get('bucket'), { code: 'STORAGE_UNAVAILABLE' });
    await assert.rejects(driver.destroy('bucket'), { code: 'STORAGE_UNAVAILABLE' });
    assert.match((await driver.usage()).health, /not the folder/);
  });

  it('with a parent that is missing is not made', async (t) => {
    await assert.rejects(openDirDriver(join(await temporary(t), 'no', 'root'), 'test'), {
      code: 'STORAGE_UNAVAILABLE',
      message: /parent folder does not exist/,
    });
  });
});

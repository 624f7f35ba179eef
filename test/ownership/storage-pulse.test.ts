// The threads that watch the storage, on a folder: that they ask and end, and that a process which stands still is told of
// and ended. The storage that hangs is in test/e2e/storage-hang.test.ts.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { startStoragePulse } from '../../src/ownership/storage-pulse.ts';
import { silentLogger } from '../../src/telemetry/log.ts';

const MODULE = fileURLToPath(new URL('../../src/ownership/storage-pulse.ts', import.meta.url));

describe('storage pulse', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'zring-pulse-'));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  it('asks the storage again and again, and ends', async () => {
    const limits = { askEveryMs: 5 };
    const pulse = startStoragePulse({ node: 'a', storage: 'dir:x', folder, logger: silentLogger(), limits });
    const asked = async () => Number(await readFile(join(folder, 'pulse'), 'utf8').catch(() => '0'));
    while ((await asked()) < 3) await new Promise((resolve) => setImmediate(resolve));
    await pulse.stop();
    const last = await asked();
    assert.equal(pulse.answer, 'answering');
    assert.equal(await asked(), last);
  });

  it('says for good that another folder is there now, and writes nothing into that', async () => {
    const limits = { askEveryMs: 5, lookEveryMs: 5 };
    const inside = join(folder, 'state');
    await mkdir(inside);
    const pulse = startStoragePulse({ node: 'a', storage: 'dir:x', folder: inside, logger: silentLogger(), limits });
    while (!existsSync(join(inside, 'pulse'))) await new Promise((resolve) => setImmediate(resolve));
    assert.equal(pulse.lost, null);
    const gone = new Promise((resolve) => pulse.onChange(resolve));
    // Prepared first: in one step the path leads to another folder, as it does with a mount.
    await mkdir(join(folder, 'another'));
    await rename(inside, join(folder, 'former'));
    await rename(join(folder, 'another'), inside);
    // Held until here, or the thread could not end before this does.
    const held = setInterval(() => {}, 1_000);
    assert.equal(await gone, 'gone');
    clearInterval(held);
    assert.match(pulse.lost ?? '', /mounted where it was opened|not there any more/);
    await rename(inside, join(folder, 'another'));
    await rename(join(folder, 'former'), inside);
    await pulse.stop();
    assert.equal(pulse.answer, 'gone');
    assert.deepEqual(await readdir(join(folder, 'another')), []);
  });

  it('ends a process whose event loop stands still, says so, and cuts its connections first', async () => {
    const code = `
      const { startStoragePulse } = await import(${JSON.stringify(MODULE)});
      const { createServer } = await import('node:net');
      const limits = { lookEveryMs: 20, stallToldMs: 200, stallEndAnywayMs: 600 };
      const logger = { info() {}, warn() {}, error(...all) { console.error(...all); } };
      startStoragePulse({ node: 'a', storage: 'dir:x', folder: ${JSON.stringify(folder)}, logger, limits });
      const server = createServer().listen(0, '127.0.0.1', () => {
        console.log('port ' + server.address().port);
        setTimeout(() => { for (;;); }, 300);
      });`;
    const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', code]);
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk) => {
        output += chunk;
      });
    const [exit, signal] = (await once(child, 'close')) as [number | null, string | null];
    assert.deepEqual([exit, signal], [null, 'SIGKILL'], output);
    assert.match(output, /"level":50.*the event loop stands still/);
    assert.match(output, /"level":60.*this process ends itself/);
  });
});

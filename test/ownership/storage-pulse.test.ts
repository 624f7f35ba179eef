// The threads that watch the storage, on a folder: that they ask and end, and that a process which stands still is told of
// and ended. The storage that hangs is in test/e2e/storage-hang.test.ts.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
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

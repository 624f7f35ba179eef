// kill -9 at many points: every acknowledged change is there with the right bytes, one that was not acknowledged is there
// whole or not at all, nothing is torn, nothing is left over. The same store goes through all of it.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { createStore, openStore } from '../../src/store/store.ts';
import { Expectation } from './crash-expectation.ts';
import { bytesOf, read, SEED } from './fixture.ts';

const POINTS = 50;
const WRITER = fileURLToPath(new URL('./crash-writer.ts', import.meta.url));

/** Resolves when the process is gone and all that it said is noted. */
async function runAndKill(
  folder: string,
  run: number,
  lines: number,
  turns: number,
  expect: Expectation,
): Promise<void> {
  const args = ['--import', 'tsx', WRITER, folder, String(SEED), String(run)];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let errors = '';
  child.stderr.on('data', (chunk) => {
    errors += chunk;
  });
  let said = 0;
  for await (const text of createInterface({ input: child.stdout })) {
    expect.note(JSON.parse(text));
    if (++said !== lines) continue;
    for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve));
    child.kill('SIGKILL');
  }
  if (child.exitCode === null && child.signalCode === null) await new Promise((resolve) => child.once('exit', resolve));
  assert.equal(child.signalCode, 'SIGKILL', `the writer ended by itself: ${errors}`);
}

it(`a store survives ${POINTS} kills`, async () => {
  const folder = await mkdtemp(join(tmpdir(), 'zring-store-crash-'));
  const expect = new Expectation();
  let state = SEED >>> 0;
  const random = (below: number): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  try {
    await createStore(folder, { id: 'crash' });
    for (let run = 0; run < POINTS; run++) {
      await runAndKill(folder, run, 1 + random(random(2) ? 10 : 120), random(200), expect);
      // Some crashes follow one another, so that a sweep and an opening are cut short too.
      if (random(3) === 0 && run < POINTS - 1) continue;
      const hint = `seed ${SEED}, run ${run}`;
      const store = await openStore(folder, { term: { n: run + 1, node: 'a' } });
      await store.sweepNow();
      const found = new Map<string, string>();
      for (const entry of store.list({ prefix: '', delimiter: '', after: '', limit: 1000 }).entries) {
        found.set(entry.key, entry.etag);
        const [size = '', from = ''] = entry.etag.split('-');
        assert.ok((await read(store, entry)).equals(bytesOf(Number(size), Number(from))), `${entry.key} (${hint})`);
      }
      expect.check(found, hint);
      assert.ok(store.stats().sequence >= expect.sequence, hint);
      // Counts files that belong to no object, too: uploads that were cut off keep theirs, nothing else does.
      assert.deepEqual((await store.verify()).damaged, [], hint);
      await store.close();
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

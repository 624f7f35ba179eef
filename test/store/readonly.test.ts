// Reading beside a live store from another process (`zring store ls`), and a snapshot of one.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { afterEach, beforeEach, it } from 'node:test';
import { bytesOf, StoreFixture } from './fixture.ts';

let fixture: StoreFixture;
beforeEach(async () => {
  fixture = await StoreFixture.make();
});
afterEach(() => fixture.remove());

const STORE = new URL('../../src/store/store.ts', import.meta.url).href;

/** Opens the store read-only in another process, verifies it a few times, and answers with what it saw. */
async function readElsewhere(folder: string, rounds: number): Promise<{ objects: number[]; damaged: unknown[] }> {
  const code = `
    import { openStore } from ${JSON.stringify(STORE)};
    (async () => {
      const objects = [], damaged = [];
      for (let round = 0; round < ${rounds}; round++) {
        const store = await openStore(${JSON.stringify(folder)}, { readonly: true });
        const result = await store.verify();
        objects.push(store.list({ prefix: '', delimiter: '', after: '', limit: 1000 }).entries.length);
        damaged.push(...result.damaged);
        await store.close();
      }
      console.log(JSON.stringify({ objects, damaged }));
    })();`;
  const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', code]);
  let output = '';
  let errors = '';
  child.stderr.on('data', (chunk) => {
    errors += chunk;
  });
  for await (const chunk of child.stdout) output += chunk;
  if (output === '') assert.fail(errors);
  return JSON.parse(output);
}

it('another process reads a store that is being written', async () => {
  for (let n = 0; n < 30; n++) await fixture.put(`k${n}`, bytesOf(n % 2 ? 100 : 30_000, n));
  let running = true;
  const load = Array.from({ length: 4 }, async (_, worker) => {
    for (let n = worker; running; n += 4) await fixture.put(`k${n % 30}`, bytesOf(n % 3 ? 200 : 40_000, n));
  });
  const { objects, damaged } = await readElsewhere(fixture.folder, 5);
  running = false;
  await Promise.all(load);
  assert.deepEqual(objects, [30, 30, 30, 30, 30]);
  // A file is there before the commit that names it: seen between the two it belongs to no object yet.
  const real = damaged.filter((found) => !(found as { reason: string }).reason.endsWith('belongs to no object'));
  assert.deepEqual(real, []);
  await fixture.put('after', 'the reader has left no lock that hinders');
  assert.deepEqual((await fixture.store.verify()).damaged, []);
});

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
import { createStore, type LocalStore, openStore } from '../../src/store/store.ts';
import type { ObjectEntry } from '../../src/store/types.ts';
import { Expectation, type StackedVersion, VersionExpectation } from './crash-expectation.ts';
import { bytesOf, read, SEED } from './fixture.ts';

const path = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

/** What a writer says, and what of it must be found. */
interface Crashed {
  note(line: object): void;
  /** Looks at everything, bodies included. */
  check(store: LocalStore, hint: string): Promise<void>;
  readonly sequence: number;
}

/** Resolves when the process is gone and all that it said is noted. */
async function runAndKill(
  writer: string,
  folder: string,
  run: number,
  { lines, turns }: { lines: number; turns: number },
  expect: Crashed,
): Promise<void> {
  const args = ['--import', 'tsx', path(writer), folder, String(SEED), String(run)];
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

async function survives(points: number, writer: string, expect: Crashed): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'zring-store-crash-'));
  let state = SEED >>> 0;
  const random = (below: number): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  try {
    await createStore(folder, { id: 'crash' });
    for (let run = 0; run < points; run++) {
      const at = { lines: 1 + random(random(2) ? 10 : 120), turns: random(200) };
      await runAndKill(writer, folder, run, at, expect);
      const hint = `seed ${SEED}, run ${run}`;
      // Some crashes follow one another, so that a sweep and an opening are cut short too: a reader changes nothing.
      if (random(3) === 0 && run < points - 1) {
        const reader = await openStore(folder, { readonly: true });
        await expect.check(reader, hint);
        await reader.close();
        continue;
      }
      const store = await openStore(folder, { term: { n: run + 1, node: 'a' } });
      await store.sweepNow();
      await expect.check(store, hint);
      assert.ok(store.stats().sequence >= expect.sequence, hint);
      // Counts files that belong to no object, too: uploads that were cut off keep theirs, nothing else does.
      assert.deepEqual((await store.verify()).damaged, [], hint);
      await store.close();
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Bodies follow from their etag. */
async function checkBody(store: LocalStore, entry: ObjectEntry, hint: string): Promise<void> {
  const [size = '', from = ''] = entry.etag.split('-');
  assert.ok((await read(store, entry)).equals(bytesOf(Number(size), Number(from))), `${entry.key} (${hint})`);
}

it('a store survives 50 kills', async () => {
  const expect = new Expectation();
  await survives(50, './crash-writer.ts', {
    note: (line) => expect.note(line),
    async check(store, hint) {
      const found = new Map<string, string>();
      for (const entry of store.list({ prefix: '', delimiter: '', after: '', limit: 1000 }).entries) {
        found.set(entry.key, entry.etag);
        await checkBody(store, entry, hint);
      }
      expect.check(found, hint);
    },
    get sequence() {
      return expect.sequence;
    },
  });
});

it('a store with versions survives 30 kills: each key has the versions that were acknowledged, in their order', async () => {
  const expect = new VersionExpectation();
  await survives(30, './crash-versions-writer.ts', {
    note: (line) => expect.note(line),
    async check(store, hint) {
      const found = new Map<string, StackedVersion[]>();
      const everything = { prefix: '', delimiter: '', afterKey: '', limit: 10_000 };
      for (const { entry } of store.listVersions(everything).versions) {
        const { key, versionId, deleteMarker, etag, attributes } = entry;
        const tag = attributes.tag as number | undefined;
        found.set(key, [...(found.get(key) ?? []), { id: versionId, etag: deleteMarker ? null : etag, tag }]);
        if (!deleteMarker) await checkBody(store, entry, hint);
      }
      expect.check(found, hint);
    },
    get sequence() {
      return expect.sequence;
    },
  });
});

// I/O errors of the index and of data files, injected by strace: nothing crashes or hangs, what failed is not there, what
// is unknown is said to be unknown, and the store goes on by itself where it can.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { createStore, openStore } from '../../src/store/store.ts';
import { part, program } from '../support/parts.ts';
import { bytesOf, get } from './fixture.ts';

const WRITER = fileURLToPath(new URL('./fault-writer.ts', import.meta.url));
const RETRYABLE = ['STORAGE_UNAVAILABLE', 'STORAGE_FULL', 'STORAGE_OUTCOME_UNKNOWN'];

interface Line {
  readonly key?: string;
  readonly i?: number;
  readonly size?: number;
  readonly code?: string | null;
  readonly head?: string;
  readonly failed?: string;
  readonly closed?: boolean;
}

async function runWithFault(folder: string, inject: string, output: string): Promise<Line[]> {
  const strace = ['-f', '-qq', '-o', output, '-P', join(folder, 'index'), '-e', `inject=${inject}`];
  const child = promisify(execFile)(
    program('strace'),
    [...strace, process.execPath, '--import', 'tsx', WRITER, folder],
    // One thread does all the I/O, so that "the n-th call" is the n-th of the process.
    { env: { ...process.env, UV_THREADPOOL_SIZE: '1' } },
  );
  const { stdout } = await child;
  return stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
}

/** The store afterwards is what the lines say. */
async function check(folder: string, lines: readonly Line[], hint: string): Promise<void> {
  const allowed = new Map<string, (number | null)[]>();
  for (const { key, i, size, code } of lines) {
    if (key === undefined || i === undefined || size === undefined) continue;
    const before = allowed.get(key) ?? [null];
    if (code === null) allowed.set(key, [i]);
    else if (code === 'STORAGE_OUTCOME_UNKNOWN') allowed.set(key, [...before, i]);
    else assert.ok(RETRYABLE.includes(code ?? ''), `${code} (${hint})`);
  }
  const store = await openStore(folder, { term: { n: 2, node: 'a' } });
  await store.sweepNow();
  for (const [key, candidates] of allowed) {
    const body = await get(store, key);
    const found = candidates.some((i) =>
      i === null ? body === null : body?.equals(bytesOf(i % 3 === 1 ? 40_000 : 2000, i)),
    );
    assert.ok(found, `${key} is none of ${candidates} (${hint})`);
  }
  assert.deepEqual((await store.verify()).damaged, [], hint);
  await store.close();
}

const faults = [
  ...[2, 3, 5, 8, 13].map((n) => `pwrite64:error=EIO:when=${n}`),
  ...[7].map((n) => `pwrite64:error=ENOSPC:when=${n}`),
  ...[1, 3].map((n) => `pwritev,writev:error=EIO:when=${n}`),
  ...[1, 4].map((n) => `fdatasync:error=EIO:when=${n}`),
  'pwrite64:error=EIO:when=5+',
];

describe('a failing call on the index', part('strace'), () => {
  for (const fault of faults) {
    it(fault, async () => {
      const folder = await mkdtemp(join(tmpdir(), 'zring-store-fault-'));
      try {
        await createStore(folder, { id: 'fault' });
        const lines = await runWithFault(folder, fault, join(folder, 'trace'));
        const last = lines.at(-1);
        assert.ok(last?.closed || RETRYABLE.includes(last?.failed ?? ''), JSON.stringify(lines));
        if (!fault.endsWith('+') && last?.closed) {
          // One fault costs one commit: all that follow succeed.
          const failed = lines.filter(({ code }) => typeof code === 'string');
          assert.ok(failed.length <= 1, JSON.stringify(lines));
          assert.deepEqual(
            lines.filter(({ head }) => head),
            [],
          );
        }
        await check(folder, lines, JSON.stringify(lines));
      } finally {
        await rm(folder, { recursive: true, force: true });
      }
    });
  }
});

it('a sector that cannot be read is found before the file is mapped', part('strace'), async () => {
  const folder = await mkdtemp(join(tmpdir(), 'zring-store-sector-'));
  try {
    await createStore(folder, { id: 'sector' });
    await rm(join(folder, 'index-clean'));
    for (const n of [1, 2, 3, 5]) {
      const lines = await runWithFault(folder, `pread64:error=EIO:when=${n}+`, join(folder, 'trace'));
      assert.deepEqual(lines, [{ failed: 'STORAGE_CORRUPT' }], `read ${n}`);
    }
    assert.ok((await runWithFault(folder, 'pread64:error=EIO:when=1000', join(folder, 'trace'))).at(-1)?.closed);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

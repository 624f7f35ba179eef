// What a reader sees is on stable storage: the order of system calls, as strace saw them. A kill cannot show this, for the
// page cache outlives the process; a power failure would.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { createStore } from '../../src/store/store.ts';
import { part, program } from '../support/parts.ts';

const WRITER = fileURLToPath(new URL('./visible-writer.ts', import.meta.url));

type Step =
  | 'page' // a page of the index begins to be written
  | 'sync' // fdatasync of the index has returned
  | 'meta' // the write of a meta page, through O_DSYNC, has returned
  | 'body' // a data file begins to be written
  | 'flush' // fsync of a data file has returned
  | 'visible';

/** One step per line of the trace; a call that another thread interrupts counts when it ends, if its end is what matters. */
function steps(trace: string, folder: string): Step[] {
  const found: Step[] = [];
  const unfinished = new Map<string, string>();
  let metaDescriptor = '';
  for (const line of trace.split('\n')) {
    const [, thread = '', rest = ''] = /^(\d+) +(.*)$/.exec(line) ?? [];
    const resumed = /^<\.\.\. \w+ resumed>/.test(rest);
    const call = resumed ? (unfinished.get(thread) ?? '') + rest : rest;
    const ended = !rest.endsWith('<unfinished ...>');
    if (!ended) unfinished.set(thread, rest);
    const [, name = '', descriptor = '', path = ''] = /^(\w+)\((\d+)<([^>]*)>/.exec(call) ?? [];
    const opened = /^openat\(.*"[^"]*\/index", [^)]*O_DSYNC.* = (\d+)/.exec(call);
    if (opened) metaDescriptor = opened[1] ?? '';
    const index = path === join(folder, 'index');
    const body = path.startsWith(join(folder, 'data/'));
    const written = /^pwrite|^write/.test(name);
    if (written && index && descriptor !== metaDescriptor && !resumed) found.push('page');
    if (written && index && descriptor === metaDescriptor && ended) found.push('meta');
    if (name === 'fdatasync' && index && ended) found.push('sync');
    if (written && body && !resumed) found.push('body');
    if (name === 'fsync' && body && ended) found.push('flush');
    if (/"visible k\d/.test(call) && !resumed) found.push('visible');
  }
  return found;
}

it(
  'an object is seen only after its body, its pages and the meta page that names them are flushed',
  part('strace'),
  async () => {
    const folder = await mkdtemp(join(tmpdir(), 'zring-store-durable-'));
    try {
      await createStore(folder, { id: 'durable' });
      const output = join(folder, 'trace');
      const calls = 'trace=openat,write,writev,pwrite64,pwritev,fsync,fdatasync';
      const strace = ['-f', '-y', '-qq', '-s', '32', '-e', calls, '-o', output];
      await promisify(execFile)(program('strace'), [...strace, process.execPath, '--import', 'tsx', WRITER, folder]);
      const all = steps(await readFile(output, 'utf8'), folder);
      const commits = all.join(' ').split('visible');
      // Opening, and closing after the last one.
      assert.equal(commits.length, 6);
      for (const [i, commit] of commits.slice(0, 5).entries()) {
        const large = i === 1 || i === 3;
        assert.match(commit, /(page )+sync meta ?$/, `commit ${i}: ${commit}`);
        if (large) assert.match(commit, /^ ?(body )+flush (page )+sync meta/, `commit ${i}: ${commit}`);
      }
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  },
);

/** What was flushed, in its order, below the folder. */
function flushed(trace: string, folder: string): string[] {
  return [...trace.matchAll(/ fsync\(\d+<([^>]*)>/g)].map(([, path = '']) => path.slice(folder.length));
}

it(
  'a new store is flushed whole: its folders, its index under its name, and the folder that names it',
  part('strace'),
  async () => {
    const folder = await mkdtemp(join(tmpdir(), 'zring-store-made-'));
    try {
      const output = `${folder}.trace`;
      const source = fileURLToPath(new URL('../../src/store/store.ts', import.meta.url));
      const script = `import { createStore } from ${JSON.stringify(source)};
        await createStore(${JSON.stringify(folder)}, { id: 'made' });`;
      const strace = ['-f', '-y', '-qq', '-e', 'trace=fsync,rename', '-o', output];
      const node = [process.execPath, '--import', 'tsx', '--input-type=module', '-e', script];
      await promisify(execFile)(program('strace'), [...strace, ...node]);
      const trace = await readFile(output, 'utf8');
      await rm(output);
      const renamed = trace.search(/rename\([^)]*\/index"/);
      assert.ok(renamed > 0, 'the index gets its name by a rename');
      const [before, after] = [flushed(trace.slice(0, renamed), folder), flushed(trace.slice(renamed), folder)];
      assert.deepEqual(before.slice(0, 2), ['/data', ''], 'the fan-out folders, and the folder that names them');
      assert.deepEqual(after.slice(0, 2), ['/index', ''], 'the index, and the folder that names it now');
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  },
);

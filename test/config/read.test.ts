// Files: reading, secret files beside the configuration, watching for changes. Real files, no sleeps.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { isZringError, type ZringError } from '../../src/common/errors.ts';
import {
  type ConfigWatcher,
  loadConfig,
  restartReasons,
  type WatchOptions,
  watchConfig,
} from '../../src/config/load.ts';
import type { Config, ConfigFault } from '../../src/config/types.ts';
import { ENV, edit, good, SAMPLE } from './sample.ts';

function folder(context: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'zring-config-'));
  context.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

function thrown(work: () => unknown): ZringError {
  try {
    work();
  } catch (error) {
    assert.ok(isZringError(error), String(error));
    return error;
  }
  throw new Error('did not throw');
}

test('relative paths and secret files start at the folder of the file', (context) => {
  const at = folder(context);
  writeFileSync(join(at, 'cluster.secret'), `${ENV.ZRING_SECRET}\n`, { mode: 0o600 });
  const text = edit('secret: ${ZRING_SECRET}', 'secret: file:./cluster.secret');
  writeFileSync(join(at, 'z.yaml'), edit('redis://10.0.0.5:6379/0', 'embedded', text));
  const config = loadConfig(join(at, 'z.yaml'), ENV);
  assert.deepEqual(config.cluster.secrets, [ENV.ZRING_SECRET]);
  assert.deepEqual(config.cluster.coordinator, { kind: 'embedded', folder: join(at, 'coordinator') });
});

test('a file that is not there, or is a folder, is CONFIG_INVALID with a fault', (context) => {
  const at = folder(context);
  for (const [path, reason] of [
    [join(at, 'none.yaml'), /no such file/],
    [at, /it is a folder/],
  ] as const) {
    const error = thrown(() => loadConfig(path, ENV));
    assert.equal(error.code, 'CONFIG_INVALID');
    assert.match(error.message, reason);
    assert.equal((error.details as ConfigFault[]).length, 1);
  }
});

test('CONFIG_INVALID carries every fault, and says them in its message', (context) => {
  const path = join(folder(context), 'z.yaml');
  writeFileSync(path, edit('name: lab', 'name: L', edit('lease: 10s', 'lease: 1')));
  const error = thrown(() => loadConfig(path, {}));
  assert.equal(error.code, 'CONFIG_INVALID');
  const paths = (error.details as ConfigFault[]).map((fault) => fault.path);
  assert.deepEqual(paths, ['cluster.name', 'cluster.secret', 'cluster.lease', 'credentials[0].secretKey']);
  for (const name of paths) assert.ok(error.message.includes(name));
});

/** Events of a watcher, awaited one by one. */
function watching(context: TestContext, path: string, options: Partial<WatchOptions> = {}) {
  const events: (Config | ZringError)[] = [];
  let wake: (() => void) | null = null;
  const push = (event: Config | ZringError) => {
    events.push(event);
    wake?.();
  };
  const watcher: ConfigWatcher = watchConfig(path, ENV, { onChange: push, onFault: push, ...options });
  context.after(() => watcher.close());
  const next = async () => {
    // The poll and the settling timer do not keep a process alive on purpose; a test has to.
    const alive = setInterval(() => {}, 1000);
    while (events.length === 0) await new Promise<void>((resolve) => (wake = resolve));
    clearInterval(alive);
    return events.shift() as Config | ZringError;
  };
  return { watcher, next, events };
}

function replaceFile(path: string, text: string): void {
  writeFileSync(`${path}.new`, text);
  renameSync(`${path}.new`, path);
}

test('a replaced file is noticed; one with faults keeps the old configuration and is reported', async (context) => {
  const path = join(folder(context), 'z.yaml');
  writeFileSync(path, SAMPLE);
  // A poll that never comes: the folder's events alone.
  const { watcher, next } = watching(context, path, { pollMs: 2 ** 30 });
  assert.equal(watcher.current?.cluster.revision, 1);
  replaceFile(path, edit('revision: 1', 'revision: 2'));
  assert.equal(((await next()) as Config).cluster.revision, 2);
  replaceFile(path, edit('revision: 1', 'revision: x'));
  assert.equal(((await next()) as ZringError).code, 'CONFIG_INVALID');
  assert.equal(watcher.current?.cluster.revision, 2);
  replaceFile(path, edit('revision: 1', 'revision: 3'));
  assert.equal(((await next()) as Config).cluster.revision, 3);
});

test('the poll alone finds a change', async (context) => {
  const at = folder(context);
  const path = join(at, 'z.yaml');
  writeFileSync(join(at, 'cluster.secret'), 'the-first-secret-of-all\n');
  writeFileSync(path, edit('${ZRING_SECRET}', 'file:sub/cluster.secret'));
  // The secret's folder is not watched, so only the poll can see it.
  const { next } = watching(context, path, { pollMs: 20, current: good(SAMPLE) });
  assert.match(((await next()) as ZringError).message, /no such file/);
  writeFileSync(path, edit('${ZRING_SECRET}', 'file:cluster.secret'));
  assert.deepEqual(((await next()) as Config).cluster.secrets, ['the-first-secret-of-all']);
});

test('a rotated secret file is a change, though the configuration file is the same', async (context) => {
  const at = folder(context);
  mkdirSync(join(at, 'secrets'));
  writeFileSync(join(at, 'secrets', 'cluster'), 'the-first-secret-of-all\n');
  const path = join(at, 'z.yaml');
  writeFileSync(path, edit('${ZRING_SECRET}', 'file:secrets/cluster'));
  const { next } = watching(context, path, { pollMs: 20 });
  writeFileSync(join(at, 'secrets', 'cluster'), 'the-second-secret-of-all\n');
  const event = await next();
  assert.ok(!isZringError(event), String(event));
  assert.deepEqual(event.cluster.secrets, ['the-second-secret-of-all']);
});

test('a comment is no change', (context) => {
  const path = join(folder(context), 'z.yaml');
  writeFileSync(path, SAMPLE);
  const { watcher, events } = watching(context, path, { pollMs: 2 ** 30 });
  writeFileSync(path, `${SAMPLE}# a comment\n`);
  watcher.reload();
  assert.equal(events.length, 0);
});

test('reload looks at once, and repeats a fault that was reported before', (context) => {
  const path = join(folder(context), 'z.yaml');
  writeFileSync(path, SAMPLE);
  let repairs = 0;
  const onRepair = () => {
    repairs += 1;
  };
  const { watcher, events } = watching(context, path, { pollMs: 2 ** 30, onRepair });
  watcher.reload();
  assert.equal(events.length, 0, 'nothing has changed');
  writeFileSync(path, edit('revision: 1', 'revision: 5'));
  watcher.reload();
  assert.equal((events.shift() as Config).cluster.revision, 5);
  writeFileSync(path, 'nonsense');
  watcher.reload();
  watcher.reload();
  assert.deepEqual(
    events.splice(0).map((event) => isZringError(event, 'CONFIG_INVALID')),
    [true, true],
  );
  assert.equal(repairs, 0);
  writeFileSync(path, edit('revision: 1', 'revision: 5'));
  watcher.reload();
  assert.equal(events.length, 0, 'back to what is in force is no change');
  assert.equal(repairs, 1, 'but it is the end of the fault');
});

test('a file that changed between loading and watching is a change', (context) => {
  const path = join(folder(context), 'z.yaml');
  writeFileSync(path, SAMPLE);
  const current = loadConfig(path, ENV);
  writeFileSync(path, edit('revision: 1', 'revision: 2'));
  const { events } = watching(context, path, { current, pollMs: 2 ** 30 });
  assert.equal((events[0] as Config | undefined)?.cluster.revision, 2);
});

test('what waits for a restart is named', () => {
  const before = good(SAMPLE);
  const after = (from: string, to: string) => restartReasons(before, good(edit(from, to)), 'b');
  assert.deepEqual(after('revision: 1', 'revision: 2'), []);
  assert.deepEqual(after('lease: 10s', 'lease: 20s'), []);
  assert.deepEqual(after('name: lab', 'name: lab2'), ['cluster.name']);
  assert.deepEqual(after('redis://10.0.0.5', 'redis://10.0.0.6'), ['cluster.coordinator']);
  assert.deepEqual(after('s3: 10.0.0.2:9000', 's3: 10.0.0.2:9090'), ['nodes[].listen.s3']);
  assert.deepEqual(after('s3: 10.0.0.1:9000', 's3: 10.0.0.1:9090'), [], 'of another node');
  assert.deepEqual(after('credentials:', 'tls: { s3: { certFile: a, keyFile: b } }\ncredentials:'), ['tls.s3']);
});

// From a clone to a running program: bootstrap.mjs and test/run.mjs in small projects of their own, as processes.
import assert from 'node:assert/strict';
import { type ChildProcessByStdio, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Readable } from 'node:stream';
import { describe, type TestContext, test } from 'node:test';
import { ROOT } from './repository.ts';

const bootstrap = (await import(String(new URL('../../src/bootstrap.mjs', import.meta.url)))) as {
  nodeFault(version: string): string | null;
  installReason(root: string): string | null;
};

function project(context: TestContext, files: Readonly<Record<string, string>>): string {
  const root = mkdtempSync(join(tmpdir(), 'zring-project-'));
  context.after(() => rmSync(root, { recursive: true, force: true }));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(join(root, name), text);
  }
  return root;
}

test('the version of Node is compared as numbers', () => {
  for (const version of ['20.19.0', '20.20.2', '22.1.0', '100.0.0']) assert.equal(bootstrap.nodeFault(version), null);
  for (const version of ['18.19.0', '20.9.0', '20.18.3', '9.99.0']) {
    assert.match(bootstrap.nodeFault(version) ?? '', /needs Node >=20\.19, this is/);
  }
});

describe('packages are installed when, and only when, the lock file asks for others', () => {
  const lock = (packages: object) => JSON.stringify({ packages: { '': { version: '0' }, ...packages } });
  const wanted = {
    'node_modules/a': { version: '1.0.0' },
    'node_modules/win': { version: '1.0.0', optional: true },
  };
  const CASES: readonly (readonly [string, object | null, RegExp | null])[] = [
    ['nothing installed', null, /node_modules is missing/],
    ['the same', { 'node_modules/a': { version: '1.0.0' } }, null],
    ['another version', { 'node_modules/a': { version: '1.0.1' } }, /node_modules\/a 1\.0\.0 is not installed/],
    ['one missing', {}, /node_modules\/a 1\.0\.0 is not installed/],
    ['optional of another version', { ...wanted, 'node_modules/win': { version: '0.9.0' } }, /win 1\.0\.0/],
  ];
  for (const [name, found, reason] of CASES) {
    test(name, (context) => {
      const root = project(context, {
        'package-lock.json': lock(wanted),
        ...(found === null ? {} : { 'node_modules/.package-lock.json': lock(found) }),
      });
      const result = bootstrap.installReason(root);
      if (reason === null) assert.equal(result, null);
      else assert.match(result ?? '', reason);
    });
  }
});

/** A project whose compiler notes each run and copies src/main.ts, or fails when that says so. */
function miniature(context: TestContext, main: string): string {
  const empty = JSON.stringify({ packages: {} });
  const root = project(context, {
    'package.json': JSON.stringify({ type: 'module', engines: { node: '>=20.19' } }),
    'package-lock.json': empty,
    'node_modules/.package-lock.json': empty,
    'node_modules/typescript/package.json': '{"type":"commonjs"}',
    'node_modules/typescript/bin/tsc': `
      const fs = require('node:fs');
      fs.appendFileSync('builds.txt', process.argv.slice(2).join(' ') + '\\n');
      const text = fs.readFileSync('src/main.ts', 'utf8');
      fs.mkdirSync('dist', { recursive: true });
      fs.writeFileSync('dist/main.js', text);
      if (text.includes('TYPE ERROR')) { console.log('TS0000'); process.exit(2); }`,
    'tsconfig.json': '{}',
    'tsconfig.build.json': '{}',
    'src/main.ts': main,
  });
  cpSync(join(ROOT, 'src/bootstrap.mjs'), join(root, 'src/bootstrap.mjs'));
  return root;
}

function runBootstrap(root: string, ...args: string[]) {
  return spawnSync(process.execPath, [join(root, 'src/bootstrap.mjs'), ...args], { cwd: tmpdir(), encoding: 'utf8' });
}

const builds = (root: string) => readFileSync(join(root, 'builds.txt'), 'utf8').split('\n').length - 1;

describe('bootstrap', () => {
  test('builds once, and becomes the program: arguments, output, exit code', (context) => {
    const root = miniature(context, 'console.log(process.argv.slice(1).join("|")); process.exitCode = 7;');
    for (let round = 0; round < 2; round++) {
      const { stdout, status } = runBootstrap(root, 'demo', '--nodes', '5');
      assert.equal(stdout, `${join(root, 'dist/main.js')}|demo|--nodes|5\n`, 'nothing else on stdout');
      assert.equal(status, 7);
    }
    assert.equal(builds(root), 1);
    assert.equal(readFileSync(join(root, 'builds.txt'), 'utf8'), '-p tsconfig.build.json\n');
  });

  test('builds again when a source changed, though its time did not', (context) => {
    const root = miniature(context, 'console.log("one")');
    runBootstrap(root);
    writeFileSync(join(root, 'src/main.ts'), 'console.log("two")');
    spawnSync('touch', ['-d', '2001-01-01', join(root, 'src/main.ts')]);
    assert.equal(runBootstrap(root).stdout, 'two\n');
  });

  test('a failed build starts nothing, though it left output behind, and is tried again', (context) => {
    const root = miniature(context, 'console.log("TYPE ERROR")');
    for (let round = 0; round < 2; round++) {
      const { stdout, stderr, status } = runBootstrap(root);
      assert.deepEqual([stdout, status], ['', 1]);
      assert.match(stderr, /TS0000[\s\S]*zring: .*tsc .*ended with exit code 2/);
    }
    assert.equal(builds(root), 2);
  });

  test('a signal reaches the program, once', async (context) => {
    const main = `let count = 0;
      setInterval(() => {}, 1000);
      process.on('SIGTERM', () => { count += 1; setImmediate(() => process.exit(10 + count)); });
      console.log('up');`;
    const root = miniature(context, main);
    const child: ChildProcessByStdio<null, Readable, null> = spawn(
      process.execPath,
      [join(root, 'src/bootstrap.mjs')],
      { stdio: ['ignore', 'pipe', 'ignore'] },
    );
    await once(child.stdout, 'data');
    child.kill('SIGTERM');
    assert.deepEqual(await once(child, 'exit'), [11, null]);
  });
});

// The limit is far above what it takes (1 s): without the rule the program would go on for ever.
test('under npm, a shell that was ended takes the program with it', { timeout: 120_000 }, async (context) => {
  const main = `process.on('SIGTERM', () => { console.log('stopping'); process.exit(0); });
    setInterval(() => {}, 1000);
    console.log('up', process.pid);`;
  const root = miniature(context, main);
  // What follows the command keeps the shell from becoming the command.
  const shell = spawn('/bin/sh', ['-c', `'${process.execPath}' src/bootstrap.mjs; true`], {
    cwd: root,
    env: { ...process.env, npm_lifecycle_event: 'start' },
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  let text = '';
  context.after(() => {
    const pid = Number(/^up (\d+)/.exec(text)?.[1]);
    try {
      if (pid > 0) process.kill(pid, 'SIGKILL');
    } catch {
      // Gone, as it should be.
    }
  });
  shell.stdout.on('data', (chunk: Buffer) => {
    text += chunk;
    if (text.startsWith('up')) shell.kill('SIGTERM');
  });
  await once(shell.stdout, 'close');
  assert.match(text, /^up \d+\nstopping\n$/);
});

/** A project with the real runner and the real packages, and tests of its own. */
function withTests(context: TestContext): { root: string; env: NodeJS.ProcessEnv } {
  const root = project(context, {
    'src/main.ts': '// Nothing.\nexport {};\n',
    'test/plain.test.ts': "import { test } from 'node:test';\ntest('plain', () => {});\n",
    'test/deep/zfs.test.ts': `import { test } from 'node:test';\nimport { part } from '../support/parts.ts';
test('with zfs', part('zfs-fuse'), () => { throw new Error('ran without it'); });\n`,
    'test/openzfs/vm.test.ts': "throw new Error('has its own command');\n",
  });
  for (const name of [
    'package.json',
    'package-lock.json',
    'tsconfig.json',
    'tsconfig.build.json',
    'src/bootstrap.mjs',
  ]) {
    cpSync(join(ROOT, name), join(root, name));
  }
  for (const name of ['test/run.mjs', 'test/support']) cpSync(join(ROOT, name), join(root, name), { recursive: true });
  symlinkSync(join(ROOT, 'node_modules'), join(root, 'node_modules'));
  // A PATH with nothing on it: every part is missing, apart from what stands in an sbin folder.
  mkdirSync(join(root, 'bin'));
  writeFileSync(join(root, 'bin/unshare'), '#!/bin/sh\nexit 1\n');
  chmodSync(join(root, 'bin/unshare'), 0o755);
  return { root, env: { PATH: join(root, 'bin'), ZRING_TEST_INSTALL: '0' } };
}

function runTests(root: string, env: NodeJS.ProcessEnv, ...args: string[]) {
  return spawnSync(process.execPath, [join(root, 'test/run.mjs'), ...args], { cwd: root, env, encoding: 'utf8' });
}

describe('test/run.mjs', () => {
  test('says what is missing and which tests that skips, and ends with the summary', (context) => {
    const { root, env } = withTests(context);
    const { stdout, stderr, status } = runTests(root, env);
    assert.equal(status, 0, stderr);
    assert.match(
      stderr,
      /MISSING zfs-fuse: .*\(not installed: ZRING_TEST_INSTALL=0\)\n.*\n.*skipped: test\/deep\/zfs\.test\.ts/,
    );
    assert.match(stdout, /with zfs .*# missing zfs-fuse/);
    assert.match(stdout, /ℹ tests 2\n[\s\S]*ℹ pass 1\n[\s\S]*ℹ skipped 1\n/);
  });

  for (const required of [{ CI: 'true' }, { ZRING_TEST_REQUIRE: '1' }]) {
    test(`a missing part fails under ${JSON.stringify(required)}`, (context) => {
      const { root, env } = withTests(context);
      const { stdout, status } = runTests(root, { ...env, ...required });
      assert.notEqual(status, 0);
      assert.match(stdout, /required test part is missing zfs-fuse/);
    });
  }

  test('words choose files, dashes go to node, and a word that chooses nothing is a fault', (context) => {
    const { root, env } = withTests(context);
    assert.match(runTests(root, env, 'plain').stdout, /ℹ tests 1\n/);
    const none = runTests(root, env, 'plain', '--test-name-pattern=nothing-like-it');
    assert.match(none.stdout, /ℹ (pass 0|tests 0|skipped 1)\n/);
    const wrong = runTests(root, env, 'nosuchfile');
    assert.equal(wrong.status, 1);
    assert.match(wrong.stderr, /no test file matches nosuchfile/);
  });
});

// `npm test`: from a bare clone to a full test run. Installs npm packages and, as root on Debian, the programs that
// tests talk to; builds; runs every test file with node:test. Plain JavaScript: nothing is installed when it starts.
//
//   npm test                        everything
//   npm test -- config store/       only files whose path contains one of the words
//   npm test -- --test-name-pattern=lease     arguments with dashes go to node
//
//   ZRING_TEST_INSTALL=0    install nothing on the system; say what is missing
//   ZRING_TEST_REQUIRE=1    a missing program fails its tests instead of skipping them (CI=true means the same)
//   ZRING_TEST_CONCURRENCY  test files at the same time
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { ensureBuilt, ensureInstalled, log, nodeFault, ROOT } from '../src/bootstrap.mjs';
import { boto3Python, detectParts, PARTS, which } from './support/detect.mjs';

/** Run on their own command (`npm run test:openzfs`), for they need a virtual machine. */
const SEPARATE = ['test/openzfs/'];
const POLICY = '/usr/sbin/policy-rc.d';

function canInstall() {
  if (process.env.ZRING_TEST_INSTALL === '0') return 'ZRING_TEST_INSTALL=0';
  if (process.getuid?.() !== 0) return 'not root';
  if (!existsSync('/etc/debian_version') || which('apt-get') === null) return 'not Debian';
  return null;
}

function apt(...args) {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  return spawnSync('apt-get', ['-q', '-y', '-o', 'Dpkg::Use-Pty=0', ...args], { env, stdio: ['ignore', 2, 2] });
}

/**
 * Debian starts a service right after its package is installed, unless this script says no. Tests start programs of
 * their own and never use system services, so none shall be left running.
 */
function withoutServices(work) {
  const ours = !existsSync(POLICY);
  if (ours) writeFileSync(POLICY, '#!/bin/sh\nexit 101\n', { mode: 0o755 });
  try {
    return work();
  } finally {
    if (ours) rmSync(POLICY, { force: true });
  }
}

function installPackages(parts) {
  const packages = [...new Set(parts.flatMap((name) => PARTS[name].packages))];
  log(`test: installing Debian packages (ZRING_TEST_INSTALL=0 prevents it): ${packages.join(' ')}`);
  withoutServices(() => {
    apt('update');
    if (apt('install', '--no-install-recommends', ...packages).status === 0) return;
    // One package that is not to be had must not cost the others.
    for (const name of packages) apt('install', '--no-install-recommends', name);
  });
}

/** Installs what is missing when it may, and says what stays missing. @returns names of the parts that can be used. */
function prepareParts() {
  let faults = detectParts();
  const missing = () => Object.keys(faults).filter((name) => faults[name] !== null);
  const refusal = canInstall();
  if (missing().length > 0 && refusal === null) {
    installPackages(missing());
    faults = detectParts();
  }
  for (const name of missing()) {
    const users = testFiles([]).filter((file) => mentionsPart(file, name));
    log(`test: MISSING ${name}: ${faults[name]}${refusal === null ? '' : ` (not installed: ${refusal})`}`);
    log(`      Debian packages: ${PARTS[name].packages.join(' ')}`);
    log(
      `      ${users.length === 0 ? 'no test file needs it' : `tests in these files are skipped: ${users.join(', ')}`}`,
    );
  }
  return Object.keys(faults).filter((name) => faults[name] === null);
}

function mentionsPart(file, name) {
  const calls = readFileSync(join(ROOT, file), 'utf8').match(/\bpart\([^)]*\)/g) ?? [];
  return calls.some((call) => call.includes(`'${name}'`));
}

function testFiles(words) {
  return readdirSync(join(ROOT, 'test'), { recursive: true })
    .map((name) => join('test', String(name)))
    .filter((name) => name.endsWith('.test.ts'))
    .filter((name) =>
      words.length === 0
        ? !SEPARATE.some((folder) => name.startsWith(folder))
        : words.some((word) => name.includes(word)),
    )
    .sort();
}

/** Ends with node's own summary on stdout, and with its exit code. */
function runTests(files, flags, parts) {
  const concurrency = process.env.ZRING_TEST_CONCURRENCY ?? String(Math.max(1, Math.min(4, availableParallelism())));
  const python = parts.includes('boto3') ? { ZRING_TEST_PYTHON: boto3Python() } : {};
  const child = spawn(
    process.execPath,
    ['--import', 'tsx', '--test', '--test-reporter=spec', `--test-concurrency=${concurrency}`, ...flags, ...files],
    {
      cwd: ROOT,
      stdio: 'inherit',
      env: { ...process.env, ZRING_TEST_PARTS: parts.join(','), ZRING_TEST_BUILT: '1', ...python },
    },
  );
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal));
  child.on('exit', (code, signal) => {
    process.exitCode = signal === null ? (code ?? 1) : 1;
  });
}

async function main(args) {
  const fault = nodeFault();
  if (fault) throw new Error(fault);
  const flags = args.filter((argument) => argument.startsWith('-'));
  const words = args.filter((argument) => !argument.startsWith('-'));
  const files = testFiles(words);
  if (files.length === 0) throw new Error(`no test file matches ${words.join(' ')}`);
  await ensureInstalled();
  const parts = prepareParts();
  await ensureBuilt();
  runTests(files, flags, parts);
}

main(process.argv.slice(2)).catch((error) => {
  log(`test: ${error instanceof Error ? error.message : error}`);
  process.exitCode = 1;
});

// `zring config check` and `config docs` as a user runs them: a process with output and exit code.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { CheckReport } from '../../src/cli/config.ts';
import { ENV, edit, SAMPLE } from './sample.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const FOLDER = mkdtempSync(join(tmpdir(), 'zring-config-'));
after(() => rmSync(FOLDER, { recursive: true, force: true }));

function zringConfig(args: readonly string[], env: NodeJS.ProcessEnv = {}) {
  const options = { cwd: ROOT, encoding: 'utf8', env: { PATH: process.env.PATH, ...env } } as const;
  return spawnSync(process.execPath, ['--import', 'tsx', 'src/main.ts', 'config', ...args], options);
}

function file(name: string, text: string): string {
  const path = join(FOLDER, name);
  writeFileSync(path, text);
  return path;
}

test('a good file: one line, exit 0', () => {
  const path = file('good.yaml', SAMPLE);
  const { stdout, status } = zringConfig(['check', path], ENV);
  assert.equal(stdout, `${path}: good. Cluster lab, revision 1, 2 nodes: a, b\n`);
  assert.equal(status, 0);
});

test('faults: all of them with lines, exit 1', () => {
  const path = file('bad.yaml', edit('name: lab', 'name: L', edit('copies: 2', 'copys: 2')));
  const { stdout, status } = zringConfig(['check', path]);
  assert.equal(status, 1);
  assert.match(stdout, /4 faults/);
  assert.match(stdout, /line 2: cluster\.name: "L" is not a cluster name/);
  assert.match(stdout, /line 6: cluster\.copys: .*did you mean "copies"/);
  assert.match(stdout, /line 12: credentials\[0\]\.secretKey: environment variable ZRING_ADMIN_KEY is not set/);
});

test('--json: for programs, good and bad', () => {
  const good = zringConfig(['check', '--json', file('good.yaml', SAMPLE)], ENV);
  const report = JSON.parse(good.stdout) as CheckReport;
  assert.deepEqual([good.status, report.ok, report.faults, report.summary?.nodes], [0, true, [], ['a', 'b']]);
  const bad = zringConfig(['check', file('bad.yaml', edit('name: lab', 'name: L')), '--json'], ENV);
  const { ok, faults } = JSON.parse(bad.stdout) as CheckReport;
  assert.equal(bad.status, 1);
  assert.equal(ok, false);
  assert.deepEqual(
    faults.map(({ path, line }) => [path, line]),
    [['cluster.name', 2]],
  );
});

test('the file can come from ZRING_CONFIG; one that is not there is a fault too', () => {
  const path = join(FOLDER, 'none.yaml');
  const { stdout, status } = zringConfig(['check'], { ZRING_CONFIG: path });
  assert.equal(status, 1);
  assert.ok(stdout.includes(path) && stdout.includes('no such file'), stdout);
});

test('config docs prints the page', () => {
  assert.equal(zringConfig(['docs']).stdout, readFileSync(join(ROOT, 'docs', 'CONFIG.md'), 'utf8'));
});

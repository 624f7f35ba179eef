// Runs test files where the outer test process cannot go (a mount namespace) and reports what failed in there.
import assert from 'node:assert/strict';
import type { ChildProcess, SpawnOptions } from 'node:child_process';

/** Resolves with the number of tests that passed; fails with the output when one failed or none ran. */
export async function runTestsInside(
  spawnInside: (command: string, args: readonly string[], options?: SpawnOptions) => ChildProcess,
  file: string,
  env: Record<string, string>,
): Promise<number> {
  // NODE_TEST_CONTEXT would make the inner runner speak the outer one's binary protocol.
  const { NODE_TEST_CONTEXT: _outer, ...inherited } = process.env;
  const child = spawnInside(process.execPath, ['--import', 'tsx', '--test-reporter=tap', file], {
    cwd: process.cwd(),
    env: { ...inherited, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (chunk) => {
      output += chunk;
    });
  }
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  const count = (what: string) => Number(new RegExp(`^# ${what} (\\d+)$`, 'm').exec(output)?.[1] ?? Number.NaN);
  assert.ok(code === 0 && count('fail') === 0 && count('pass') > 0, `tests inside ended with ${code}:\n${output}`);
  return count('pass');
}

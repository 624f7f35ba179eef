// The program as it is called: what it says, where it says it, and how it ends.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { formatError } from '../../src/cli/output.ts';
import { ZringError } from '../../src/common/errors.ts';
import { programArguments } from '../support/cluster.ts';

async function zring(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const child = spawn(process.execPath, [...programArguments(), ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  const [out, err, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
  return { code, out, err };
}

test('help is plain text where nobody sees colours, and names the whole command', async () => {
  const { code, out, err } = await zring('store', 'ls', '--help');
  assert.deepEqual([code, err], [0, '']);
  assert.match(out, /USAGE zring store ls \[OPTIONS\] <PATH>/);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: this is what must not be there.
  assert.doesNotMatch(out, /\x1b/);
});

for (const [args, words] of [
  [['nonsense'], /^zring: unknown command nonsense; there are: serve, .*See zring --help \[CONFIG_INVALID\]\n$/],
  [['toString'], /unknown command toString/],
  [['store'], /a command is missing; there are: ls, get, verify\. See zring store --help/],
  [['--json', 'status'], /--json stands where a command is expected/],
  [['explain'], /BUCKET/],
  [['status', 'extra'], /"extra" is one word too many/],
  [['store', 'ls', '/nonexistent'], /\/nonexistent.*\[MOUNT_INVALID\]/],
] as const) {
  test(`refused with words on stderr alone: ${args.join(' ')}`, async () => {
    const { code, out, err } = await zring(...args);
    assert.deepEqual([code, out], [1, '']);
    assert.match(err, words);
    assert.doesNotMatch(err, /\n {4}at /);
  });
}

test('a reader that leaves early is no failure', async () => {
  const child = spawn(process.execPath, [...programArguments(), 'config', 'docs'], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  child.stdout.destroy();
  const [err, [code]] = await Promise.all([text(child.stderr), once(child, 'close')]);
  assert.deepEqual([code, err], [0, '']);
});

test('each fault is printed once', () => {
  const fault = { path: 'nodes[0].id', message: 'is missing', expected: 'a name' };
  const line = 'nodes[0].id: is missing (expected a name)';
  const listed = new ZringError('CONFIG_INVALID', `z.yaml has one fault:\n  line 3: ${line}`, { details: [fault] });
  assert.equal(formatError(listed), `zring: z.yaml has one fault: [CONFIG_INVALID]\n  line 3: ${line}`);
  const short = new ZringError('CONFIG_INVALID', 'z.yaml has faults', { details: [fault, 'and more'] });
  assert.equal(formatError(short), `zring: z.yaml has faults [CONFIG_INVALID]\n  ${line}\n  and more`);
});

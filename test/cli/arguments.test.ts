import assert from 'node:assert/strict';
import { test } from 'node:test';
import { requireKnownOptions } from '../../src/cli/arguments.ts';

const definitions = {
  config: { type: 'string', alias: 'c' },
  json: { type: 'boolean' },
  bucket: { type: 'positional' },
} as const;

for (const args of [
  [],
  ['photos'],
  ['--json', 'photos'],
  ['--no-json'],
  ['-c', '--odd-name'],
  ['--config=x', 'b'],
  ['--', '--anything'],
]) {
  test(`options accepted: ${JSON.stringify(args)}`, () => requireKnownOptions(args, definitions));
}

for (const args of [
  ['--jsn'],
  ['-x'],
  ['photos', '--bucket', 'x'],
  ['--json', '--nodes=3'],
  ['-c', 'file', '--verbose'],
]) {
  test(`options refused: ${JSON.stringify(args)}`, () => {
    assert.throws(() => requireKnownOptions(args, definitions), { code: 'CONFIG_INVALID', message: /--config --json/ });
  });
}

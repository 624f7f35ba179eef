import assert from 'node:assert/strict';
import { test } from 'node:test';
import { requireKnownArguments } from '../../src/cli/arguments.ts';

const definitions = {
  config: { type: 'string', alias: 'c' },
  json: { type: 'boolean' },
  prefix: { type: 'string', default: '' },
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
  ['--prefix', ''],
  ['--prefix=', 'photos'],
]) {
  test(`options accepted: ${JSON.stringify(args)}`, () => requireKnownArguments(args, definitions));
}

for (const args of [
  ['--jsn'],
  ['-x'],
  ['photos', '--bucket', 'x'],
  ['--json', '--nodes=3'],
  ['-c', 'file', '--verbose'],
]) {
  test(`options refused: ${JSON.stringify(args)}`, () => {
    assert.throws(() => requireKnownArguments(args, definitions), {
      code: 'CONFIG_INVALID',
      message: /--config --json/,
    });
  });
}

for (const [args, message] of [
  [['photos', 'cats'], /"cats" is one word too many; expected are BUCKET/],
  [['photos', '--', 'cats'], /"cats" is one word too many/],
  [['photos', '--config'], /--config needs a value/],
  [['-c'], /-c needs a value/],
  [['--config='], /--config needs a value/],
  [['--config', ''], /--config needs a value/],
] as const) {
  test(`arguments refused: ${JSON.stringify(args)}`, () => {
    assert.throws(() => requireKnownArguments(args, definitions), { code: 'CONFIG_INVALID', message });
  });
}

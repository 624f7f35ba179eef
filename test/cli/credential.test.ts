// `zring credential`: rules as they are written on a command line, and no way to put a secret there.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { requireKnownArguments } from '../../src/cli/arguments.ts';
import { credentialCommand, formatRules, parseRules } from '../../src/cli/credential.ts';

test('rules: PATTERN:ACTION, several by commas', () => {
  const rules = [
    { buckets: 'photos-*', actions: 'read' },
    { buckets: '*', actions: '*' },
  ];
  assert.deepEqual(parseRules('photos-*:read,*:*'), rules);
  assert.deepEqual(parseRules(' photos-*:read , *:* '), rules);
  assert.equal(formatRules(rules), 'photos-*:read,*:*');
  assert.deepEqual(parseRules(''), []);
  assert.equal(formatRules([]), 'nothing by itself');
  for (const bad of ['photos', 'photos:', ':read', 'a:b:c', 'a:read,', ',']) {
    assert.throws(() => parseRules(bad), { code: 'CONFIG_INVALID' }, bad);
  }
});

test('no verb takes a secret as an argument', () => {
  const verbs = credentialCommand.subCommands as Record<string, { args: Parameters<typeof requireKnownArguments>[1] }>;
  assert.deepEqual(Object.keys(verbs).sort(), [
    'add',
    'disable',
    'enable',
    'list',
    'remove',
    'reseal',
    'rotate',
    'show',
  ]);
  for (const { args } of Object.values(verbs)) {
    for (const option of ['--secret', '--secret-key', '--password']) {
      assert.throws(() => requireKnownArguments([option, 'x'], args), { code: 'CONFIG_INVALID' });
    }
  }
});

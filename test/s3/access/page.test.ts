// docs/ACCESS.md says what the code does: actions of operations and condition keys, in both directions.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { CONDITION_KEY_PREFIXES, CONDITION_KEYS, isKnownKey } from '../../../src/s3/access/condition-keys.ts';
import { parseCondition } from '../../../src/s3/access/conditions.ts';
import { type AccessRow, OPERATION_ACTIONS } from '../../../src/s3/access/operation-actions.ts';
import { isImplemented, type OperationName } from '../../../src/s3/operation.ts';

const page = await readFile(new URL('../../../docs/ACCESS.md', import.meta.url), 'utf8');

function section(heading: string): string {
  const from = page.indexOf(`\n${heading}\n`);
  assert.ok(from >= 0, heading);
  const end = page.slice(from + 1).search(/\n#+ /);
  return end < 0 ? page.slice(from) : page.slice(from, from + 1 + end);
}

function cell(row: AccessRow): string {
  const all = row.actions.join(', ') || '–';
  return row.on === 'object' && row.versioned ? `${all}; of a version: ${row.versioned.join(', ')}` : all;
}

test('what each operation needs', () => {
  const table = [...section('## Actions').matchAll(/^\| `(\w+)` \| (.*?) \|/gm)].map(([, name, actions]) => [
    name,
    (actions ?? '').replaceAll('`', ''),
  ]);
  const code = Object.entries(OPERATION_ACTIONS)
    .filter(([name]) => isImplemented(name as OperationName))
    .map(([name, row]) => [name, cell(row)]);
  assert.deepEqual(table.sort(), code.sort());
});

test('condition keys', () => {
  const named = section('### Condition keys').matchAll(/`((?:aws|s3):[\w/-]+)(?:<[^>]*>)?`/g);
  const listed = [...new Set([...named].map(([, key]) => key))];
  const code = [...Object.keys(CONDITION_KEYS), ...CONDITION_KEY_PREFIXES, 's3:RequestObjectTagKeys'];
  assert.deepEqual(listed.sort(), code.sort());
  for (const key of code) assert.ok(isKnownKey(key.endsWith('/') ? `${key}x` : key), key);
});

test('condition operators', () => {
  const operators = [...page.matchAll(/`((?:String|Numeric|Date|Bool|Binary|Ip|NotIp|Arn|Null)[A-Za-z]*)`/g)].map(
    ([, o]) => o ?? '',
  );
  assert.ok(operators.length > 25);
  const values = ['x', '1', 'true', '10.0.0.0/8', 'arn:aws:iam::1:root'];
  for (const operator of operators) {
    assert.ok(
      values.some((value) => parseCondition(operator, 'k', [value], true) !== null),
      operator,
    );
  }
});

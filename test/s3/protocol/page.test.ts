// docs/S3.md says what the code does: operations and limits, in both directions.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { LIMITS } from '../../../src/s3/limits.ts';
import { isImplemented, OPERATIONS, type OperationName } from '../../../src/s3/operation.ts';

const names = Object.keys(OPERATIONS) as OperationName[];

async function section(heading: string): Promise<string> {
  const page = await readFile(new URL('../../../docs/S3.md', import.meta.url), 'utf8');
  const from = page.indexOf(`\n## ${heading}\n`);
  assert.ok(from >= 0, heading);
  const end = page.indexOf('\n## ', from + 1);
  return page.slice(from, end < 0 ? undefined : end);
}

function firstCells(text: string): string[] {
  return [...text.matchAll(/^\| `(\w+)` \|/gm)].map((match) => match[1] ?? '');
}

test('supported operations', async () => {
  const page = firstCells(await section('Supported operations'));
  assert.deepEqual(page.sort(), names.filter((name) => isImplemented(name)).sort());
});

test('operations that are not built', async () => {
  const [list = ''] = (await section('Not supported yet')).split('\nHeaders that');
  const page = [...list.matchAll(/`(\w+)`/g)].map((match) => match[1] ?? '');
  assert.deepEqual(page.sort(), names.filter((name) => !isImplemented(name)).sort());
});

test('limits: name, value, error and source', async () => {
  const page = [...(await section('Limits')).matchAll(/^\| `(\w+)` \| (.*?) \| (.*?) \| (.*?) \|$/gm)].map(
    ([, name, value, error, source]) => [name, value, error, source],
  );
  const code = Object.entries(LIMITS).map(([name, limit]) => [
    name,
    `${limit.value} ${limit.unit}`,
    limit.error ?? 'clamped',
    limit.source,
  ]);
  assert.deepEqual(page, code);
});

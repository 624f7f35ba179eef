// docs/CONFIG.md is what the schema says.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { z } from 'zod';
import { renderConfigPage } from '../../src/config/page.ts';
import { configSchema } from '../../src/config/schema.ts';
import { allFields } from '../../src/config/schema-walk.ts';

const FIELDS = allFields(configSchema({ folder: '/', readSecret: () => '' }));

test('the committed page is the generated one (zring config docs > docs/CONFIG.md)', () => {
  const committed = readFileSync(new URL('../../docs/CONFIG.md', import.meta.url), 'utf8');
  assert.equal(committed, renderConfigPage());
});

test('every key has a row', () => {
  const page = renderConfigPage();
  assert.ok(FIELDS.length >= 35, `only ${FIELDS.length} keys found in the schema`);
  for (const { key } of FIELDS) assert.ok(page.includes(`| \`${key}\` |`), key);
});

test('a key without documentation is a bug that shows', () => {
  assert.throws(() => allFields(z.strictObject({ a: z.strictObject({ b: z.string() }) })), /a\.b .*no documentation/);
});

test('a default that is written out passes its own parser', () => {
  const schema = configSchema({ folder: '/', readSecret: () => '' });
  const sections = ['storage', 'rebalance', 'retention', 'snapshots', 'defaults', 'log'] as const;
  for (const section of sections) {
    const written: Record<string, unknown> = {};
    for (const { key, defaultText } of FIELDS.filter((field) => field.key.startsWith(`${section}.`))) {
      const [name = '', inner] = key.slice(section.length + 1).split('.');
      written[name] = inner === undefined ? defaultText : { ...(written[name] as object), [inner]: defaultText };
    }
    assert.deepEqual(schema.shape[section].parse(written), schema.shape[section].parse({}));
  }
});

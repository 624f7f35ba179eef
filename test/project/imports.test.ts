// The rules of the source layout over src, and each rule seen to fail on an example that breaks it.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { importsOf, LINES_MAX, lengthFaults, type SourceFile, sourceFaults, TEST_LINES_MAX } from './rules.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

function filesBelow(folder: string): SourceFile[] {
  return readdirSync(join(ROOT, folder), { recursive: true })
    .map((name) => `${folder}/${String(name).replaceAll('\\', '/')}`)
    .filter((path) => /\.(ts|mjs)$/.test(path))
    .map((path) => ({ path, text: readFileSync(join(ROOT, path), 'utf8') }));
}

test('src keeps the rules', () => {
  const files = filesBelow('src');
  assert.ok(files.length > 30, `only ${files.length} files found`);
  assert.deepEqual(sourceFaults(files), []);
});

test('tests and benchmarks keep to the length of a file', () => {
  const files = [...filesBelow('test'), ...filesBelow('bench')];
  assert.deepEqual(
    files.flatMap((file) => lengthFaults(file, TEST_LINES_MAX)),
    [],
  );
});

test('the imports of this repository are all seen', () => {
  const [self] = filesBelow('src').filter(({ path }) => path === 'src/config/parse.ts');
  assert.deepEqual(
    importsOf(self?.text ?? '').map(({ specifier }) => specifier),
    [
      'node:path',
      'zod',
      '../common/errors.ts',
      './cross-checks.ts',
      './map-hash.ts',
      './schema.ts',
      './schema-credentials.ts',
      './schema-walk.ts',
      './secrets.ts',
      './suggest.ts',
      './tree.ts',
      './types.ts',
    ],
  );
});

test('every form of import is seen, and no other text', () => {
  const text = [
    "import a from 'a';",
    "import b, { c } from 'b';",
    "import {\n  d,\n  type D,\n} from 'd';",
    "import * as e from 'e';",
    "import type { F } from 'f';",
    "import { type G, type H } from 'g';",
    "import 'h';",
    "export { i } from 'i';",
    "export * from 'j';",
    "export type { K } from 'k';",
    "const l = await import('l');",
    "const m = require('m');",
    "// import('comment')",
    "export const n = 'not';",
    "export function o() { return 'not'; }",
    'const p = "import q from \'not\'";',
  ].join('\n');
  const seen = importsOf(text);
  assert.deepEqual(
    seen.map(({ specifier }) => specifier),
    [...'abdefghijklm'],
  );
  assert.deepEqual(
    seen.filter(({ typeOnly }) => typeOnly).map(({ specifier }) => specifier),
    ['f', 'g', 'k'],
  );
  assert.equal(seen.find(({ specifier }) => specifier === 'e')?.line, 7);
});

describe('each rule fails on what breaks it', () => {
  const file = (path: string, line: string): SourceFile => ({ path, text: `// A file.\n${line}\n` });
  const BAD: readonly (readonly [string, readonly SourceFile[], RegExp])[] = [
    ['upwards', [file('src/store/a.ts', "import { x } from '../s3/types.ts';")], /store must not import s3/],
    [
      'upwards, types too',
      [file('src/common/a.ts', "import type { X } from '../config/types.ts';")],
      /common must not/,
    ],
    ['upwards by re-export', [file('src/config/a.ts', "export * from '../cluster/map.ts';")], /config must not/],
    ['upwards, dynamically', [file('src/cluster/a.ts', "await import('../ownership/x.ts');")], /cluster must not/],
    [
      'sideways',
      [file('src/store/a.ts', "import { x } from '../dataset/driver.ts';")],
      /store must not import dataset/,
    ],
    [
      'sideways at the top',
      [file('src/s3/a.ts', "import { x } from '../admin/server.ts';")],
      /s3 must not import admin/,
    ],
    ['into main', [file('src/cli/a.ts', "import { x } from '../main.ts';")], /cli must not import main/],
    ['deep folder', [file('src/s3/xml/a.ts', "import { x } from '../../cli/x.ts';")], /s3 must not import cli/],
    ['out of src', [file('src/store/a.ts', "import { x } from '../../test/x.ts';")], /leaves src/],
    ['no extension', [file('src/store/a.ts', "import { x } from './b';")], /lacks its extension/],
    ['unknown folder', [file('src/utils/a.ts', '')], /utils has no place/],
    ['ioredis elsewhere', [file('src/ownership/a.ts', "import { Redis } from 'ioredis';")], /ioredis may only/],
    ['a subpath', [file('src/routing/a.ts', "import x from 'undici/lib/x.js';")], /undici may only/],
    ['http-proxy elsewhere', [file('src/routing/a.ts', "import x from 'http-proxy';")], /http-proxy may only/],
    ['lmdb elsewhere', [file('src/store/index.ts', "import { open } from 'lmdb';")], /lmdb may only/],
    [
      'child_process elsewhere',
      [file('src/s3/a.ts', "import { spawn } from 'node:child_process';")],
      /child_process may only/,
    ],
    ['pino elsewhere', [file('src/s3/a.ts', "import type { Logger } from 'pino';")], /pino may only/],
    ['prom-client elsewhere', [file('src/admin/a.ts', "import 'prom-client';")], /prom-client may only/],
    ['hashring elsewhere', [file('src/cluster/a.ts', "import x from 'hashring';")], /hashring may only/],
    [
      'two users of http-proxy',
      ['a', 'b'].map((n) => file(`src/admin/${n}.ts`, "import x from 'http-proxy';")),
      /imported by .*a\.ts and .*b\.ts/,
    ],
    [
      'network in the store',
      [file('src/store/a.ts', "import { request } from 'node:http';")],
      /must not know the network/,
    ],
    ['network in datasets', [file('src/dataset/a.ts', "import net from 'node:net';")], /must not know the network/],
    [
      'cycle',
      [
        file('src/store/a.ts', "import { b } from './b.ts';"),
        file('src/store/b.ts', "import { c } from './c.ts';"),
        file('src/store/c.ts', "import { a } from './a.ts';"),
      ],
      /import cycle: src\/store\/a\.ts → src\/store\/b\.ts → src\/store\/c\.ts → src\/store\/a\.ts/,
    ],
    ['too long', [file('src/store/a.ts', '\n'.repeat(LINES_MAX))], /at most 500/],
    ['machine path', [file('src/store/a.ts', `const x = '${['', 'home', 'me'].join('/')}';`)], /path of one machine/],
    ['no head', [{ path: 'src/store/a.ts', text: 'export const x = 1;\n' }], /does not open with a comment/],
  ];
  for (const [name, files, fault] of BAD) {
    test(name, () => {
      const faults = sourceFaults(files);
      assert.ok(
        faults.some((text) => fault.test(text)),
        `found only: ${faults.join('; ')}`,
      );
    });
  }

  const GOOD: readonly (readonly [string, string])[] = [
    ['src/s3/a.ts', "import type { X } from '../routing/exchange.ts';"],
    ['src/ownership/a.ts', "import { x } from '../cluster/map.ts';\nimport { y } from '../dataset/driver.ts';"],
    ['src/cli/serve.ts', "import { x } from '../s3/listener.ts';\nimport { y } from '../admin/server.ts';"],
    ['src/cluster/redis-coordinator-scripts.ts', "import type { Redis } from 'ioredis';"],
    ['src/dataset/command.ts', "import { spawn } from 'node:child_process';"],
    ['src/common/lmdb.ts', "import { open } from 'lmdb';"],
    ['src/store/a.ts', "const url = 'https://docs.aws.amazon.com/home/x'; // a.b/tmp/x is no folder of ours"],
  ];
  for (const [path, line] of GOOD) {
    test(`allowed: ${path}`, () => assert.deepEqual(sourceFaults([file(path, line)]), []));
  }

  test('types alone make no cycle', () => {
    const files = [
      file('src/store/a.ts', "import { b } from './b.ts';"),
      file('src/store/b.ts', "import type { A } from './a.ts';"),
    ];
    assert.deepEqual(sourceFaults(files), []);
  });
});

// The benchmark still works: a short run of both generators against both sides, and the parts that a wrong number
// would come from. What is measured is not looked at: a test's machine is busy.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { type LoadPlan, percentile, runLoad } from '../../bench/load.ts';
import { cpuSeconds, cpuSecondsOf } from '../../bench/proc.ts';
import { type Report, total, withTable } from '../../bench/report.ts';
import { ROWS, rowsNamed } from '../../bench/rows.ts';
import { content } from '../../bench/side.ts';
import { part } from '../support/parts.ts';
import { ROOT } from './repository.ts';

test(
  'a short run answers on both sides, prints the tables and leaves nothing',
  part('nginx', 'wrk'),
  async (context) => {
    const folder = mkdtempSync(join(tmpdir(), 'zring-bench-test-'));
    context.after(() => rmSync(folder, { recursive: true, force: true }));
    const page = join(folder, 'page.md');
    const json = join(folder, 'report.json');
    writeFileSync(page, '# Page\n\n<!-- table -->\n\nThe end.\n');
    const child = spawn(
      process.execPath,
      [
        ...['--import', 'tsx', join(ROOT, 'bench/run.ts'), '--rows', 'get-4k,hop-put-4k', '--seconds', '0.5'],
        ...['--rounds', '1', '--warm-up', '0', '--dir', folder, '--json', json, '--write', page],
      ],
      { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'] },
    );
    context.after(() => child.kill('SIGTERM'));
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk: Buffer) => {
      stdout += chunk;
    });
    child.stderr.on('data', (chunk: Buffer) => {
      stderr += chunk;
    });
    const [code] = await once(child, 'close');
    assert.equal(code, 0, stderr);

    const report = JSON.parse(readFileSync(json, 'utf8')) as Report;
    assert.deepEqual(
      report.rows.map(({ row }) => row.name),
      ['get-4k', 'hop-put-4k'],
    );
    for (const { row, zring, nginx } of report.rows) {
      for (const runs of [zring, nginx]) {
        assert.equal(runs.length, 1);
        for (const { requests } of runs) assert.ok(requests > 0, `${row.name}: no request was answered`);
      }
      for (const side of ['zring', 'nginx'])
        assert.match(stdout, new RegExp(`^\\| ${row.name} \\| ${side} \\| [\\d.]+ \\|`, 'm'));
      assert.match(stdout, new RegExp(`^\\| ${row.name} \\| [\\d.]+ \\|`, 'm'));
    }
    assert.equal(
      readFileSync(page, 'utf8'),
      `# Page\n\n<!-- table -->\n\n${stdout.trim()}\n\n<!-- /table -->\n\nThe end.\n`,
    );
    assert.deepEqual(readdirSync(folder).sort(), ['page.md', 'report.json'], 'what the run made is gone');
  },
);

async function serve(context: TestContext, listener: RequestListener): Promise<number> {
  const server = createServer(listener).listen(0, '127.0.0.1');
  await once(server, 'listening');
  context.after(() => server.close());
  return (server.address() as AddressInfo).port;
}

function plan(port: number, change: Partial<LoadPlan>): LoadPlan {
  const head = 'GET /x HTTP/1.1\r\nHost: x\r\n\r\n';
  return { port, connections: 2, seconds: 0.05, heads: [head], body: null, answerBytes: null, ...change };
}

describe('the load generator', () => {
  test('counts exactly what was answered, large bodies both ways', async (context) => {
    const bytes = 3_000_000;
    const expected = content('seed', bytes);
    let answered = 0;
    const port = await serve(context, async (request, response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      assert.ok(Buffer.concat(chunks).equals(expected), 'the body that was planned');
      answered += 1;
      response.setHeader('content-length', bytes).end(expected);
    });
    const heads = [`PUT /x HTTP/1.1\r\nHost: x\r\nContent-Length: ${bytes}\r\n\r\n`];
    const result = await runLoad(plan(port, { heads, body: { seed: 'seed', bytes }, answerBytes: bytes }));
    assert.deepEqual([result.errors, result.firstError], [0, null]);
    assert.ok(answered >= 1);
    assert.equal(result.requests, answered, 'what was under way at the end was finished and counted');
  });

  const FAULTS: readonly (readonly [string, RequestListener, RegExp])[] = [
    ['another status', (_, response) => response.writeHead(503, { 'content-length': 0 }).end(), /status 503/],
    ['another length', (_, response) => response.setHeader('content-length', 3).end('abc'), /answer of 3 bytes/],
    ['no length', (_, response) => void response.write('abc'), /chunked/],
    [
      'a cut answer',
      (_, response) => {
        response.setHeader('content-length', 4).write('abc', () => response.destroy());
      },
      /closed/,
    ],
  ];
  for (const [name, listener, fault] of FAULTS) {
    test(`${name} is a failure, never a request answered`, async (context) => {
      const port = await serve(context, listener);
      const result = await runLoad(plan(port, { answerBytes: 4 }));
      assert.equal(result.requests, 0);
      assert.ok(result.errors > 0);
      assert.match(result.firstError ?? '', fault);
    });
  }

  test('a percentile is a value that was seen', () => {
    const values = Array.from({ length: 100 }, (_, n) => n);
    assert.deepEqual([percentile(values, 0.5), percentile(values, 0.99), percentile([7], 0.99)], [50, 99, 7]);
  });
});

test('CPU time is read past a name with brackets, and grows with work', () => {
  assert.equal(cpuSecondsOf('7 (a) b (c)) S 1 7 7 0 -1 4194304 100 0 0 0 150 50 0 0 20 0 1 0 5 6 7'), 2);
  const before = cpuSeconds([process.pid]);
  while (cpuSeconds([process.pid]) === before) content('work', 1 << 20);
});

test('rounds are summed, not averaged', () => {
  const run = { errors: 0, firstError: null, p50Ms: 1, p99Ms: 2, generatorCpuSeconds: 0, otherCores: 0 };
  const { perSecond, cpuUs } = total([
    { ...run, requests: 300, seconds: 1, serverCpuSeconds: 0.3 },
    { ...run, requests: 100, seconds: 3, serverCpuSeconds: 0.1 },
  ]);
  assert.deepEqual([perSecond, Math.round(cpuUs)], [100, 1000]);
});

test('a later table takes the place of an earlier one', () => {
  const first = withTable('a\n<!-- table -->\nb\n', 'one');
  assert.equal(first, 'a\n<!-- table -->\n\none\n\n<!-- /table -->\nb\n');
  assert.equal(withTable(first, 'two'), 'a\n<!-- table -->\n\ntwo\n\n<!-- /table -->\nb\n');
  assert.throws(() => withTable('a page', 'x'), /no line <!-- table -->/);
});

test('rows: each size, method and way once; a misspelt one is refused with the list', () => {
  assert.equal(new Set(ROWS.map(({ name }) => name)).size, 12);
  assert.deepEqual(
    rowsNamed('hop-put-64m').map(({ hop, sizeBytes }) => [hop, sizeBytes]),
    [[true, 64 << 20]],
  );
  assert.throws(() => rowsNamed('get-5k'), /no row "get-5k"; rows: get-4k, /);
});

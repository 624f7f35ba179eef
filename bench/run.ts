// zring against nginx on this machine, in one run: `npm run bench`. Starts both, asks them in turns, checks what they
// answer, prints ratios, stops everything. docs/PERFORMANCE.md says how to read it.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm, statfs } from 'node:fs/promises';
import { availableParallelism, cpus, loadavg, release, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { type Body, Generators } from './generator.ts';
import { startNginx } from './nginx-side.ts';
import { type Machine, markdown, type Report, type RowResult, type SideRun, total, withTable } from './report.ts';
import { keyOf, ROWS, type Row, rowsNamed } from './rows.ts';
import { content, factsOf, putObject, requireObject, type Side } from './side.ts';
import { type Payload, startZring } from './zring-side.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const WARM_UP_STEP_SECONDS = 1;
/** A step that costs less CPU per request than the one before by more than this share calls for another one. */
const WARM_UP_GAIN = 0.1;
const USAGE = `npm run bench [-- options]
  --rows get-4k,hop-put-1m   rows to run; all: ${ROWS.map(({ name }) => name).join(',')}
  --seconds N                of one run of one side (default 2; wrk rounds up to whole seconds)
  --rounds N                 runs of each side (default 3), in turns
  --warm-up N                seconds at most (default 6, 0 = none) before the rounds, until a request costs no less
  --payload unsigned|signed  signed: zring also checks the SHA-256 of what is put (default unsigned)
  --dir FOLDER               where both keep their files (default: the folder for temporary files)
  --json FILE                everything that was measured
  --write FILE               puts the tables at the marker of this page (docs/PERFORMANCE.md)`;

interface Options {
  readonly rows: readonly Row[];
  readonly seconds: number;
  readonly rounds: number;
  readonly warmUpSeconds: number;
  readonly payload: Payload;
  readonly dir: string;
  readonly json: string | null;
  readonly write: string | null;
}

/** What must be ended, last first, also when something is only just being started. */
class Owned {
  readonly #closers: (() => Promise<unknown>)[] = [];

  start<Thing extends { close(): Promise<void> }>(starting: Promise<Thing>): Promise<Thing> {
    this.add(() =>
      starting.then(
        (thing) => thing.close(),
        () => {},
      ),
    );
    return starting;
  }

  add(close: () => Promise<unknown>): void {
    this.#closers.push(close);
  }

  async close(): Promise<void> {
    for (let close = this.#closers.pop(); close; close = this.#closers.pop()) {
      await close().catch((error) => log(`ending: ${error}`));
    }
  }
}

function log(text: string): void {
  process.stderr.write(`bench: ${text}\n`);
}

function readOptions(args: readonly string[]): Options | null {
  const text = { type: 'string' } as const;
  const { values } = parseArgs({
    args: [...args],
    options: {
      rows: text,
      seconds: text,
      rounds: text,
      'warm-up': text,
      payload: text,
      dir: text,
      json: text,
      write: text,
      help: { type: 'boolean' },
    },
  });
  if (values.help) return null;
  const payload = values.payload ?? 'unsigned';
  if (payload !== 'unsigned' && payload !== 'signed') throw new Error('--payload: expected unsigned or signed');
  return {
    rows: rowsNamed(values.rows ?? ''),
    seconds: positive('--seconds', values.seconds ?? '2'),
    rounds: Math.ceil(positive('--rounds', values.rounds ?? '3')),
    warmUpSeconds: values['warm-up'] === '0' ? 0 : positive('--warm-up', values['warm-up'] ?? '6'),
    payload,
    dir: values.dir ?? tmpdir(),
    json: values.json ?? null,
    write: values.write ?? null,
  };
}

function positive(name: string, text: string): number {
  const number = Number(text);
  if (!(number > 0)) throw new Error(`${name}: expected a number above 0, found "${text}"`);
  return number;
}

function bodyOf(seed: string, bytes: number): Body & { readonly buffer: Buffer } {
  const buffer = content(seed, bytes);
  return { seed, ...factsOf(buffer), buffer };
}

/** One side's turn of a row. A PUT run has content of its own, so that reading it back proves that run. */
async function turn(generators: Generators, side: Side, row: Row, seconds: number, seed: string, dir: string) {
  if (row.method === 'GET') return { ...(await generators.run(side, row, seconds, null)), writeBackSeconds: null };
  const { buffer: _, ...body } = bodyOf(seed, row.sizeBytes);
  const run = await generators.run(side, row, seconds, body);
  // Every connection begins with a key of its own, so that the first keys were certainly put.
  if (run.errors === 0) await requireObject(side, row, keyOf(row, 0), body);
  return { ...run, writeBackSeconds: await writeBack(dir) };
}

/** Writes all dirty pages of the file system: what one side left to the kernel shall not cost the other's turn. */
async function writeBack(dir: string): Promise<number | null> {
  const started = performance.now();
  const child = spawn('sync', ['-f', dir], { stdio: 'ignore' });
  const [code] = await once(child, 'exit').catch(() => [1]);
  return code === 0 ? (performance.now() - started) / 1000 : null;
}

/** V8 compiles what runs often; a cold node spends several times as much on a request. */
async function warmUp(generators: Generators, side: Side, row: Row, options: Options): Promise<void> {
  let before = Number.POSITIVE_INFINITY;
  for (let spent = 0; spent < options.warmUpSeconds; spent += WARM_UP_STEP_SECONDS) {
    const run = await turn(generators, side, row, WARM_UP_STEP_SECONDS, `${row.name} warm-up ${spent}`, options.dir);
    const { cpuUs } = total([run]);
    if (!(cpuUs < before * (1 - WARM_UP_GAIN))) return;
    before = cpuUs;
  }
}

async function runRow(generators: Generators, sides: readonly [Side, Side], row: Row, options: Options) {
  const runs: Record<Side['name'], SideRun[]> = { zring: [], nginx: [] };
  // A GET row needs its objects; a PUT row overwrites in its measured turns as well as in its first.
  const object = bodyOf(row.name, row.sizeBytes);
  for (const side of sides) {
    for (let n = 0; n < row.keys; n += 1) await putObject(side, row, keyOf(row, n), object.buffer);
    for (let n = 0; n < row.keys; n += 1) await requireObject(side, row, keyOf(row, n), object);
  }
  await writeBack(options.dir);
  for (const side of sides) await warmUp(generators, side, row, options);
  for (let round = 0; round < options.rounds; round += 1) {
    for (const side of sides) {
      const run = await turn(generators, side, row, options.seconds, `${row.name} ${round}`, options.dir);
      runs[side.name].push(run);
      const rate = `${(run.requests / run.seconds).toFixed(1)}/s`;
      log(`${row.name} round ${round + 1} ${side.name}: ${rate}${run.errors > 0 ? `, ${run.errors} failed` : ''}`);
    }
  }
  // What was read all the time is still what was put.
  if (row.method === 'GET') for (const side of sides) await requireObject(side, row, keyOf(row, 0), object);
  return { row, ...runs } satisfies RowResult;
}

async function machine(dir: string): Promise<Machine> {
  const types: Record<number, string> = {
    61267: 'ext4',
    1481003842: 'xfs',
    2435016766: 'btrfs',
    801189825: 'zfs',
    16914836: 'tmpfs (memory)',
    2035054128: 'overlay',
  };
  const { type } = await statfs(dir);
  return {
    cpus: availableParallelism(),
    model: cpus()[0]?.model ?? 'unknown',
    memoryMiB: Math.round(totalmem() / 1024 / 1024),
    kernel: release(),
    node: process.versions.node,
    fileSystem: types[type] ?? `type 0x${type.toString(16)}`,
  };
}

/** Uses dist where it is what the sources say (`npm run bench` sees to that), and says when it is not. */
async function chooseProgram(): Promise<Report['program']> {
  const bootstrap = (await import(String(new URL('../src/bootstrap.mjs', import.meta.url)))) as {
    isBuilt(): boolean;
  };
  if (!bootstrap.isBuilt()) {
    log('dist is not what the sources say: running the sources');
    return 'sources';
  }
  process.env.ZRING_TEST_BUILT = '1';
  return 'dist';
}

function commit(): string {
  const { stdout, status } = spawnSync('git', ['rev-parse', '--short', 'HEAD'], { cwd: ROOT, encoding: 'utf8' });
  return status === 0 ? ` at ${stdout.trim()}` : '';
}

async function measure(options: Options, owned: Owned): Promise<Report> {
  const startedAt = new Date().toISOString();
  const loadBefore = loadavg();
  const program = await chooseProgram();
  const folder = await mkdtemp(join(options.dir, 'zring-bench-'));
  owned.add(() => rm(folder, { recursive: true, force: true }));
  // The cluster, too, makes its folder where temporary files go.
  process.env.TMPDIR = folder;
  const zring = await owned.start(startZring(options.payload));
  const nginx = await owned.start(startNginx(join(folder, 'nginx')));
  const generators = await owned.start(Promise.resolve(new Generators(folder)));
  const rows: RowResult[] = [];
  for (const row of options.rows) rows.push(await runRow(generators, [zring, nginx], row, { ...options, dir: folder }));
  return {
    format: 1,
    startedAt,
    command: ['npm run bench', ...(process.argv.length > 2 ? ['--', ...process.argv.slice(2)] : [])].join(' '),
    machine: await machine(folder),
    versions: { zring: `${zring.version}${commit()}`, nginx: nginx.version },
    program,
    payload: options.payload,
    seconds: options.seconds,
    rounds: options.rounds,
    loadBefore,
    loadAfter: loadavg(),
    rows,
  };
}

async function main(): Promise<void> {
  const options = readOptions(process.argv.slice(2));
  if (options === null) {
    process.stdout.write(`${USAGE}\n`);
    return;
  }
  const owned = new Owned();
  const interrupted = new Promise<never>((_, reject) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => reject(new Error(signal)));
  });
  try {
    const report = await Promise.race([measure(options, owned), interrupted]);
    const text = markdown(report);
    process.stdout.write(text);
    if (options.json !== null) writeFileSync(options.json, `${JSON.stringify(report, null, 2)}\n`);
    if (options.write !== null) writeFileSync(options.write, withTable(readFileSync(options.write, 'utf8'), text));
  } finally {
    await owned.close();
  }
}

main().then(
  () => process.exit(0),
  (error) => {
    log(error instanceof Error ? error.message : String(error));
    process.exit(1);
  },
);

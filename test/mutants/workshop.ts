// A copy of the working tree in which mutants are made and tests are run, and the runs of node:test in it. Owns the folder
// and the processes that it starts; the tree that it was copied from is never changed.
import { spawn } from 'node:child_process';
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { applyEdit, type Catcher, editsOf, type Mutant } from './mutant.ts';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));
/** What tests read. */
const COPIED = ['src', 'test', 'config', 'docs', 'package.json', 'tsconfig.json'];
/** A test that has failed may leave what keeps its process alive; nobody waits for that. */
const FAILED_MS = 5_000;
/** Between asking a run that took too long to end, and killing it. */
const TERM_MS = 3_000;

export interface Outcome {
  readonly verdict: 'pass' | 'fail' | 'skipped';
  readonly name: string;
  /** Why it was skipped. */
  readonly reason: string;
  readonly kind: string | null;
  readonly message: string;
}

export interface TestRun {
  readonly outcomes: readonly Outcome[];
  readonly timedOut: boolean;
  readonly ms: number;
  /** The end of what the runner itself said. */
  readonly said: string;
}

export class Workshop {
  readonly #folder: string;
  /** Ends the run that is under way. */
  #kill: () => void = () => {};

  private constructor(folder: string) {
    this.#folder = folder;
  }

  static async make(): Promise<Workshop> {
    const folder = await mkdtemp(join(tmpdir(), 'zring-mutants-'));
    for (const name of COPIED) await cp(join(ROOT, name), join(folder, name), { recursive: true });
    await symlink(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
    await mkdir(join(folder, 't'));
    return new Workshop(folder);
  }

  /** Ends what runs in it. */
  remove(): Promise<void> {
    this.#kill();
    return rm(this.#folder, { recursive: true, force: true, maxRetries: 10 });
  }

  /** Makes the mutant, runs `task`, and puts the files back. */
  async with<Result>(mutant: Mutant, task: () => Promise<Result>): Promise<Result> {
    const before = new Map<string, string>();
    try {
      for (const edit of editsOf(mutant)) {
        const path = join(this.#folder, edit.file);
        const text = await readFile(path, 'utf8');
        if (!before.has(path)) before.set(path, text);
        await writeFile(path, applyEdit(text, edit));
      }
      return await task();
    } finally {
      for (const [path, text] of before) await writeFile(path, text);
    }
  }

  /** Runs these tests of one file; `catchers` share file, environment and `wholeFile`. */
  async run(catchers: readonly [Catcher, ...Catcher[]], limitMs: number): Promise<TestRun> {
    const [{ file, env, wholeFile }] = catchers;
    const wanted = new Set(catchers.map(({ test }) => test));
    const names = wholeFile ? [] : [...wanted];
    const patterns = names.map((name) => `--test-name-pattern=^${name.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&')}$`);
    const reporter = ['--test-reporter', join(this.#folder, 'test/mutants/reporter.mjs')];
    // A test of this command runs inside of node:test, whose children would speak its own protocol.
    const { NODE_TEST_CONTEXT: _outer, ...inherited } = process.env;
    const beganMs = performance.now();
    const preloads = ['--import', 'tsx', '--import', './test/mutants/quick-assert.mjs'];
    const child = spawn(process.execPath, [...preloads, '--test', ...reporter, ...patterns, file], {
      cwd: this.#folder,
      env: { ...inherited, TMPDIR: join(this.#folder, 't'), ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      // A group of its own, for a run that hangs is ended with all that it has started.
      detached: true,
    });
    let [out, said, timedOut] = ['', '', false];
    let failed: NodeJS.Timeout | undefined;
    child.stdout.on('data', (chunk) => {
      out += chunk;
      if (failed || !outcomesIn(out).some((one) => one.verdict === 'fail' && wanted.has(one.name))) return;
      failed = setTimeout(end, FAILED_MS);
    });
    child.stderr.on('data', (chunk) => {
      said = `${said}${chunk}`.slice(-2_000);
    });
    const signal = (name: NodeJS.Signals) => {
      try {
        if (child.pid !== undefined) process.kill(-child.pid, name);
      } catch {
        // Gone already.
      }
    };
    const end = () => {
      signal('SIGTERM');
      setTimeout(signal, TERM_MS, 'SIGKILL').unref();
    };
    const limit = setTimeout(() => {
      timedOut = true;
      end();
    }, limitMs);
    this.#kill = () => signal('SIGKILL');
    await new Promise((resolve, reject) => child.once('close', resolve).once('error', reject));
    clearTimeout(limit);
    clearTimeout(failed);
    // What a run left behind in its group has no business any more.
    signal('SIGKILL');
    this.#kill = () => {};
    return { outcomes: outcomesIn(out), timedOut, ms: performance.now() - beganMs, said: said || out.slice(-2_000) };
  }
}

function outcomesIn(out: string): Outcome[] {
  const whole = out.slice(0, out.lastIndexOf('\n') + 1);
  return whole
    .split('\n')
    .filter((line) => line.startsWith('{"verdict":'))
    .map((line) => JSON.parse(line) as Outcome);
}

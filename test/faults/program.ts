// The program under test and the run's own code, put into a folder of the campaign: what is built there cannot change
// under a run, whatever is edited or built elsewhere meanwhile. The program is that of a commit (`git archive`), so that a
// result belongs to something that can be found again; or, when asked, that of the working tree.
import { access, cp, mkdir, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { run } from './lab/commands.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const SOURCES = ['src', 'package.json', 'tsconfig.json', 'tsconfig.build.json'];

export interface Program {
  /** Short hash; `-dirty` when the sources are not those of the commit. */
  readonly commit: string;
  /** `node MAIN serve …` */
  readonly main: string;
  /** `node RUNNER OPTIONS` */
  readonly runner: string;
}

/** `commit` null: the working tree. */
export async function buildProgram(folder: string, options: { commit: string | null }): Promise<Program> {
  const program = join(folder, 'program');
  await mkdir(program, { recursive: true });
  const isCheckout = await access(join(ROOT, '.git')).then(
    () => true,
    () => false,
  );
  let commit = 'unknown';
  if (isCheckout) commit = (await git('rev-parse', '--short=10', options.commit ?? 'HEAD')).trim();
  if (isCheckout && options.commit !== null) {
    await run(
      'sh',
      '-c',
      'git -C "$1" archive "$3" -- src package.json tsconfig.json tsconfig.build.json | tar -x -C "$2"',
      'sh',
      ROOT,
      program,
      commit,
    );
  } else {
    if (isCheckout && (await git('status', '--porcelain', '--', ...SOURCES)) !== '') commit += '-dirty';
    for (const name of SOURCES) await cp(join(ROOT, name), join(program, name), { recursive: true });
  }
  await symlink(join(ROOT, 'node_modules'), join(program, 'node_modules'));
  await run(join(ROOT, 'node_modules/.bin/tsc'), '-p', join(program, 'tsconfig.build.json'));
  return { commit, main: join(program, 'dist/main.js'), runner: await bundleRunner(program) };
}

/** A program that is built already, for the normal tests. */
export async function bundleRunner(program: string): Promise<string> {
  const outfile = join(program, 'run.mjs');
  await build({
    entryPoints: [fileURLToPath(new URL('run.ts', import.meta.url))],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    packages: 'external',
    sourcemap: 'inline',
    logLevel: 'warning',
  });
  return outfile;
}

function git(...args: string[]): Promise<string> {
  return run('git', '-C', ROOT, ...args);
}

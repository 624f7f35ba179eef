// Starts one run in namespaces of its own (network, mounts, pids). Whatever ends the run or the one who asked for it, the
// kernel ends every process in them and removes every mount and every cable: nothing is left on the machine but the
// run's folder.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { openSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { which } from '../support/detect.mjs';
import type { Program } from './program.ts';
import type { RunOptions } from './run.ts';
import type { RunResult } from './verdict.ts';

const NAMESPACES = ['--net', '--mount', '--pid', '--fork', '--kill-child=SIGKILL', '--mount-proc'];

export type RunRequest = Omit<RunOptions, 'main' | 'zfsProgram'>;

export async function launchRun(program: Program, request: RunRequest, signal?: AbortSignal): Promise<RunResult> {
  const { folder } = request;
  await mkdir(folder, { recursive: true });
  const zfsProgram = which('zfs');
  if (zfsProgram === null) throw new Error('zfs is not installed');
  const options: RunOptions = { ...request, main: program.main, zfsProgram };
  const log = openSync(join(folder, 'run.log'), 'a');
  // The shell is the first process of the namespace: it takes in the orphans that the faults leave, which Node does not.
  const shell = ['sh', '-c', '"$@"; exit $?', 'sh', process.execPath, '--enable-source-maps', program.runner];
  const args = ['--pdeathsig', 'KILL', '--', 'unshare', ...NAMESPACES, '--', ...shell, JSON.stringify(options)];
  const child = spawn('setpriv', args, { stdio: ['ignore', log, log] });
  const abort = () => child.kill('SIGKILL');
  signal?.addEventListener('abort', abort, { once: true });
  const [code, killedBy] = (await once(child, 'exit')) as [number | null, string | null];
  signal?.removeEventListener('abort', abort);
  if (code !== 0) {
    const text = await readFile(join(folder, 'run.log'), 'utf8').catch(() => '');
    throw new Error(`the run in ${folder} ended with ${killedBy ?? code}: ${text.slice(-3_000)}`);
  }
  return JSON.parse(await readFile(join(folder, 'result.json'), 'utf8')) as RunResult;
}

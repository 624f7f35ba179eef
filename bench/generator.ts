// The two load generators as processes: wrk for small and middle GETs, bench/load.ts for the rest. One run at a time.
// Owns those processes; measures what the servers' processes spent between the first request and the last answer.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { which } from '../test/support/detect.mjs';
import type { LoadPlan, LoadResult } from './load.ts';
import { cpuSeconds, cpuSecondsOf, machineBusySeconds } from './proc.ts';
import { keyOf, type Row } from './rows.ts';
import { type BodyFacts, headText, type Side } from './side.ts';

const LOAD = fileURLToPath(new URL('load.ts', import.meta.url));
const ROOT = fileURLToPath(new URL('..', import.meta.url));

export interface Run {
  readonly requests: number;
  readonly errors: number;
  readonly firstError: string | null;
  readonly seconds: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Of the processes that worked on the requests, summed. */
  readonly serverCpuSeconds: number;
  readonly generatorCpuSeconds: number;
  /** Cores that anything else on the machine kept busy meanwhile (other programs, kernel threads). */
  readonly otherCores: number;
}

export interface Body extends BodyFacts {
  readonly seed: string;
}

export class Generators {
  readonly #folder: string;
  #load: ChildProcess | null = null;
  #wrk: ChildProcess | null = null;

  /** @param folder for wrk's script. */
  constructor(folder: string) {
    this.#folder = folder;
  }

  /** @param body of a PUT. */
  async run(side: Side, row: Row, seconds: number, body: Body | null): Promise<Run> {
    const heads = Array.from({ length: row.keys }, (_, n) =>
      headText(side.request(row, row.method, keyOf(row, n), body)),
    );
    const port = side.port(row);
    let before = { servers: 0, machine: 0 };
    const start = () => {
      before = { servers: cpuSeconds(side.pids(row)), machine: machineBusySeconds() };
    };
    const result =
      row.generator === 'wrk'
        ? await this.#runWrk(port, row, heads, seconds, start)
        : await this.#runLoad(
            {
              port,
              connections: row.connections,
              seconds,
              heads,
              body: body && { seed: body.seed, bytes: body.bytes },
              answerBytes: row.method === 'GET' ? row.sizeBytes : null,
            },
            start,
          );
    const serverCpuSeconds = cpuSeconds(side.pids(row)) - before.servers;
    const others = machineBusySeconds() - before.machine - serverCpuSeconds - result.generatorCpuSeconds;
    return { ...result, serverCpuSeconds, otherCores: Math.max(0, others / result.seconds) };
  }

  async close(): Promise<void> {
    const children = [this.#load, this.#wrk].filter((child) => child !== null);
    await Promise.all(children.map(end));
  }

  async #runWrk(port: number, row: Row, heads: string[], seconds: number, start: () => void): Promise<LoadResult> {
    const program = which('wrk');
    if (program === null) throw new Error('wrk not found on PATH (Debian: apt-get install wrk)');
    const script = join(this.#folder, 'wrk.lua');
    await writeFile(script, wrkScript(heads));
    // wrk counts in whole seconds.
    const duration = `${Math.max(1, Math.ceil(seconds))}s`;
    const args = ['-t1', `-c${row.connections}`, `-d${duration}`, '--timeout', '60s', '-s', script];
    start();
    const child = spawn(program, [...args, `http://127.0.0.1:${port}`], { stdio: ['ignore', 'pipe', 'inherit'] });
    this.#wrk = child;
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => {
      output += chunk;
    });
    await once(child, 'close');
    this.#wrk = null;
    return wrkResult(output, row);
  }

  async #runLoad(plan: LoadPlan, start: () => void): Promise<LoadResult> {
    this.#load ??= spawn(process.execPath, ['--import', 'tsx', LOAD], {
      cwd: ROOT,
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    const child = this.#load;
    return new Promise((resolve, reject) => {
      const ended = (code: number | null) => reject(new Error(`the load generator ended with ${code}`));
      const heard = (message: 'ready' | { result?: LoadResult; error?: string }) => {
        if (message === 'ready') {
          start();
          child.send('go');
          return;
        }
        child.off('exit', ended);
        child.off('message', heard);
        if (message.result) resolve(message.result);
        else reject(new Error(`load generator: ${message.error}`));
      };
      child.once('exit', ended);
      child.on('message', heard);
      child.send(plan);
    });
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
}

/** Requests that were signed before, in turn; at the end one line for us, with the CPU time of wrk itself. */
function wrkScript(heads: readonly string[]): string {
  // A JSON string of these heads (ASCII, no control characters but CR and LF) is a Lua string too.
  return `local heads = { ${heads.map((head) => JSON.stringify(head)).join(', ')} }
local n = 0
function request()
  n = n % #heads + 1
  return heads[n]
end
function done(summary, latency)
  local file = io.open('/proc/self/stat')
  local stat = file:read('*a'):gsub('%c', '')
  file:close()
  local e = summary.errors
  io.write(string.format('BENCH {"requests":%d,"bytes":%d,"us":%d,"status":%d,"broken":%d,"p50":%d,"p99":%d}|%s\\n',
    summary.requests, summary.bytes, summary.duration, e.status, e.connect + e.read + e.write + e.timeout,
    latency:percentile(50), latency:percentile(99), stat))
end
`;
}

/** wrk checks only the status of answers; their length is checked as a sum. */
function wrkResult(output: string, row: Row): LoadResult {
  const [, json, stat] = /^BENCH (\{.*\})\|(.*)$/m.exec(output) ?? [];
  if (json === undefined || stat === undefined) throw new Error(`wrk: ${output}`);
  const facts = JSON.parse(json) as Record<'requests' | 'bytes' | 'us' | 'status' | 'broken' | 'p50' | 'p99', number>;
  const requests = facts.requests - facts.status;
  const short = facts.bytes < requests * row.sizeBytes;
  const firstError = facts.status > 0 ? 'status above 399' : facts.broken > 0 ? 'connections broke' : null;
  return {
    requests,
    errors: facts.status + facts.broken + (short ? 1 : 0),
    firstError: short ? 'fewer bytes than the answers must have' : firstError,
    seconds: facts.us / 1e6,
    p50Ms: facts.p50 / 1000,
    p99Ms: facts.p99 / 1000,
    generatorCpuSeconds: cpuSecondsOf(stat),
  };
}

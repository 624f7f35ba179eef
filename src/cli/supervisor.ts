// The demo's supervisor: one child process a node of the configuration file, started when the file names it, restarted
// when it dies, stopped together on Ctrl-C. Owns the children; what a node does is the node's business.
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { request } from 'node:http';
import { join } from 'node:path';
import type { NodeConfig } from '../config/types.ts';

/** A child that died is started again after this long, doubled each time up to the maximum. */
const RESTART_MS = 500;
const RESTART_MS_MAX = 15_000;
/** A child that ran this long is started again as quickly as the first time. */
const STEADY_MS = 60_000;
/** A child gets this long to hand over and stop; after that it is killed. */
const STOP_MS_MAX = 45_000;
const READY_POLL_MS = 100;
/** Node's pool has 4 threads, and every flush of a store holds one: buckets would wait for each other's disk. */
const FLUSH_THREADS = '32';

interface Child {
  readonly id: string;
  process: ChildProcess;
  failures: number;
  startedMs: number;
  timer: NodeJS.Timeout | null;
}

export interface Supervisor {
  /** Starts what is missing; children are never stopped by this. */
  ensure(nodes: readonly NodeConfig[]): Promise<void>;
  /** Resolves when the node answers /ready with 200; rejects when the supervisor stops first. */
  ready(node: NodeConfig): Promise<void>;
  stopNode(id: string): Promise<void>;
  running(): readonly string[];
  stop(): Promise<void>;
}

export function createSupervisor(options: {
  /** Path of this program's main file. */
  main: string;
  configPath: string;
  logFolder: string;
  onExit: (id: string, reason: string) => void;
}): Supervisor {
  const children = new Map<string, Child>();
  let stopping = false;

  const launch = (id: string): ChildProcess => {
    const log = openSync(join(options.logFolder, `${id}.log`), 'a', 0o640);
    const args = [...process.execArgv, options.main, 'serve', '--config', options.configPath, '--node', id];
    // The channel lets the child notice that the supervisor is gone, however it went. A group of its own keeps the
    // terminal's Ctrl-C from reaching it twice.
    const env = { UV_THREADPOOL_SIZE: FLUSH_THREADS, ...process.env };
    const child = spawn(process.execPath, args, { stdio: ['ignore', log, log, 'ipc'], detached: true, env });
    closeSync(log);
    child.once('error', (error) => options.onExit(id, error.message));
    child.once('exit', (code, signal) => restartLater(id, child, signal ?? `exit code ${code}`));
    return child;
  };

  const restartLater = (id: string, exited: ChildProcess, reason: string) => {
    const child = children.get(id);
    if (stopping || child?.process !== exited) return;
    options.onExit(id, reason);
    // It had worked: this is not the same failure again.
    if (performance.now() - child.startedMs > STEADY_MS) child.failures = 0;
    child.timer = setTimeout(
      () => {
        child.failures += 1;
        child.startedMs = performance.now();
        child.process = launch(id);
      },
      Math.min(RESTART_MS * 2 ** child.failures, RESTART_MS_MAX),
    );
  };

  const stopChild = async (child: Child): Promise<void> => {
    children.delete(child.id);
    if (child.timer) clearTimeout(child.timer);
    const { process: running } = child;
    if (running.exitCode !== null || running.signalCode !== null) return;
    const exited = new Promise<void>((resolve) => running.once('exit', () => resolve()));
    running.kill('SIGTERM');
    const killer = setTimeout(() => running.kill('SIGKILL'), STOP_MS_MAX);
    await exited;
    clearTimeout(killer);
  };

  return {
    async ensure(nodes) {
      await mkdir(options.logFolder, { recursive: true });
      for (const { id } of nodes) {
        if (stopping || children.has(id)) continue;
        children.set(id, { id, process: launch(id), failures: 0, startedMs: performance.now(), timer: null });
      }
    },
    async ready(node) {
      while (!stopping) {
        if (await answersReady(node)) return;
        await new Promise((resolve) => setTimeout(resolve, READY_POLL_MS));
      }
      throw new Error('stopped before the nodes were ready');
    },
    async stopNode(id) {
      const child = children.get(id);
      if (child) await stopChild(child);
    },
    running: () => [...children.keys()],
    async stop() {
      stopping = true;
      await Promise.all([...children.values()].map(stopChild));
    },
  };
}

function answersReady(node: NodeConfig): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = request(
      { host: node.admin.host, port: node.admin.port, path: '/ready', timeout: 2_000, agent: false },
      (response) => {
        response.resume();
        response.once('close', () => resolve(response.statusCode === 200));
      },
    );
    probe.once('timeout', () => probe.destroy());
    probe.once('error', () => resolve(false));
    probe.end();
  });
}

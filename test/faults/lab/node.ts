// One machine of the lab: mount and network namespaces, a zfs-fuse daemon with a pool on a disk file, and the node's
// process, started again when it ends by itself, as systemd would. Owns all of these; ends them by pid.
//
// Who wants it down holds it down (`hold`): faults overlap, and the process runs again when nobody holds it any more.
import type { ChildProcess } from 'node:child_process';
import { openSync } from 'node:fs';
import { appendFile, mkdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { startZfsNamespace, type ZfsNamespace } from '../../support/zfs-fuse.ts';
import { isRunning, killed, run } from './commands.ts';
import { connectPort, type Port } from './network.ts';
import { createCutter, type StreamCutter } from './streams.ts';

const RESTART_MS = 200;

export interface LabNode extends Port {
  readonly id: string;
  readonly storage: string;
  readonly pool: string;
  readonly namespace: ZfsNamespace;
  readonly cutter: StreamCutter;
  /** How often its process ended without the lab having killed it. */
  readonly endedAlone: number;
  /** How often its process was started. */
  readonly starts: number;
  /** Does nothing while it runs or is held. */
  start(): void;
  isUp(): boolean;
  /** The process that runs now; null while there is none. */
  process(): ChildProcess | null;
  /** Nobody starts it until the returned function is called. A process that runs is left alone. */
  hold(): () => void;
  /** @returns whether there was a process to kill. */
  kill(): Promise<boolean>;
  signal(signal: 'SIGSTOP' | 'SIGCONT'): boolean;
  powerOff(): Promise<void>;
  powerOn(): Promise<void>;
  /** Of the disk, whose daemon must be down. */
  copyDisk(): Promise<string>;
  /** Puts the copy in the disk's place; the daemon must be down. @returns the disk that was there. */
  exchangeDisk(copy: string): Promise<string>;
  zfs(...args: string[]): Promise<string>;
  close(): Promise<void>;
}

export interface LabNodeOptions {
  readonly folder: string;
  readonly id: string;
  readonly ip: string;
  readonly poolMiB: number;
  /** The built program's main file. */
  readonly main: string;
  readonly configPath: string;
  readonly logFolder: string;
  readonly cutFolder: string;
  readonly zfsProgram: string;
}

export async function createLabNode(options: LabNodeOptions): Promise<LabNode> {
  const { id, ip, main, configPath, logFolder } = options;
  const dir = join(options.folder, id);
  await mkdir(dir);
  const pool = `tank${id}`;
  const namespace = await startZfsNamespace({
    dir,
    poolName: pool,
    sizeMiB: options.poolMiB,
    bootId: true,
    network: true,
  });
  const port = { ip, pid: namespace.pid };
  await connectPort(id, port);
  const cutter = await createCutter({ folder: options.cutFolder, node: id, zfs: options.zfsProgram });
  const logPath = join(logFolder, `${id}.log`);
  const disk = join(dir, 'disks', pool, 'disk');
  const holders = new Set<symbol>();
  let child: ChildProcess | null = null;
  let closed = false;
  let [endedAlone, starts, copies] = [0, 0, 0];
  const note = (text: string) => appendFile(logPath, `--- ${new Date().toISOString()} lab: ${text}\n`);

  function launch(): void {
    if (closed || holders.size > 0 || isRunning(child)) return;
    const log = openSync(logPath, 'a');
    const env = { ...process.env, PATH: `${cutter.binFolder}:${process.env.PATH}`, UV_THREADPOOL_SIZE: '32' };
    const stdio: ['ignore', number, number] = ['ignore', log, log];
    const started = namespace.spawnInside(process.execPath, [main, 'serve', '--config', configPath, '--node', id], {
      stdio,
      env,
    });
    child = started;
    starts += 1;
    started.once('exit', (code, signal) => {
      if (child !== started) return;
      endedAlone += 1;
      void note(`the process ended by itself: ${signal ?? `exit code ${code}`}`);
      setTimeout(launch, RESTART_MS);
    });
  }

  return {
    ...port,
    id,
    storage: `zfs:${pool}/zring`,
    pool,
    namespace,
    cutter,
    get endedAlone() {
      return endedAlone;
    },
    get starts() {
      return starts;
    },
    start: launch,
    isUp: () => isRunning(child),
    process: () => (isRunning(child) ? child : null),
    hold() {
      const holder = Symbol('held');
      holders.add(holder);
      return () => {
        holders.delete(holder);
        launch();
      };
    },
    async kill() {
      const victim = child;
      if (!isRunning(victim)) return false;
      child = null;
      await note('SIGKILL');
      await killed(victim);
      return true;
    },
    signal: (signal) => isRunning(child) && child.kill(signal),
    async powerOff() {
      await note('the storage has no power');
      await namespace.kill9Daemon();
    },
    async powerOn() {
      await namespace.restartDaemon();
      await note('the storage has power again');
    },
    async copyDisk() {
      copies += 1;
      const copy = `${disk}-copy-${copies}`;
      await run('cp', '--sparse=always', disk, copy);
      return copy;
    },
    async exchangeDisk(copy) {
      copies += 1;
      const before = `${disk}-before-${copies}`;
      await rename(disk, before);
      await rename(copy, disk);
      return before;
    },
    zfs: (...args) => namespace.runInside('zfs', args),
    async close() {
      closed = true;
      if (isRunning(child)) {
        const last = child;
        child = null;
        await killed(last);
      }
      await namespace.stop();
    },
  };
}

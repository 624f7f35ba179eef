// A zfs-fuse daemon of one's own: private mount namespace, one pool per file, own boot id when asked. For tests only.
// Owns the daemon, the namespace's anchor process and the folder's content; ends them by pid, also when a test fails.
//
// The daemon's socket and cache lie in /var/run/zfs, /var/lib/zfs and /var/lock/zfs: each namespace has its own tmpfs
// there, so any number of them live side by side. Mounts end with the last process of the namespace.
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import * as fs from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';

export interface ZfsNamespaceOptions {
  /** An empty folder for disk files, mount points and logs; the caller removes it. */
  readonly dir: string;
  /** One pool of this name, or several. */
  readonly poolName: string | readonly string[];
  readonly sizeMiB: number;
  /** LMDB keys what it may keep unflushed by the boot id: nodes of a test that crash on their own need their own. */
  readonly bootId?: string | true;
  /** A network of its own too, with nothing in it but a loopback that is up; the caller lays cables to `pid`. */
  readonly network?: true;
}

export interface ZfsNamespace {
  /** The process that keeps the namespace alive; /proc/<pid>/root shows its mounts. */
  readonly pid: number;
  readonly bootId: string | null;
  /** Where a pool is mounted. */
  mountpoint(pool: string): string;
  spawnInside(command: string, args: readonly string[], options?: SpawnOptions): ChildProcess;
  /** Runs to the end; rejects with what it printed when it fails. */
  runInside(command: string, args: readonly string[]): Promise<string>;
  /** As a power cut does it; restartDaemon imports the pools again and mounts them. */
  kill9Daemon(): Promise<void>;
  restartDaemon(): Promise<void>;
  /** SIGSTOP: the file system hangs, as a suspended pool does; SIGCONT: it goes on. */
  signalDaemon(signal: 'SIGSTOP' | 'SIGCONT'): void;
  /** Ends everything that runs in the namespace. Idempotent. */
  stop(): Promise<void>;
}

/** nsenter and setpriv exec: the child's pid is the command's, and the kernel ends it with us, however we end. */
const MOUNT_TRIES = 5;
const DIES_WITH_US = ['setpriv', '--pdeathsig', 'KILL', '--'];

const running = new Set<() => void>();
process.once('exit', () => {
  for (const end of running) end();
});

export async function startZfsNamespace(options: ZfsNamespaceOptions): Promise<ZfsNamespace> {
  const { dir, sizeMiB } = options;
  const pools = typeof options.poolName === 'string' ? [options.poolName] : options.poolName;
  const bootId = options.bootId === true ? randomUUID() : (options.bootId ?? null);
  const anchor = await startAnchor(dir, bootId, options.network === true);
  const pid = anchor.pid as number;
  let daemon: ChildProcess | null = null;

  const killSync = () => {
    for (const process of [daemon, anchor]) process?.kill('SIGKILL');
  };
  running.add(killSync);

  // Entering a mount namespace leads to its root folder: --wd leads back.
  const inside = (command: string, args: readonly string[], spawnOptions: SpawnOptions = {}) =>
    spawn(
      'nsenter',
      [
        `--mount=/proc/${pid}/ns/mnt`,
        ...(options.network ? [`--net=/proc/${pid}/ns/net`] : []),
        `--wd=${spawnOptions.cwd ?? process.cwd()}`,
        '--',
        ...DIES_WITH_US,
        command,
        ...args,
      ],
      spawnOptions,
    );

  const runInside = (command: string, args: readonly string[]) =>
    outputOf(inside(command, args, { stdio: ['ignore', 'pipe', 'pipe'] }), `${command} ${args.join(' ')}`);

  async function startDaemon(): Promise<void> {
    const log = await fs.open(join(dir, 'zfs-fuse.log'), 'a');
    daemon = inside('zfs-fuse', ['--no-daemon'], { stdio: ['ignore', log.fd, log.fd] });
    await log.close();
    // /var/run is a symbolic link on most systems, and an absolute one would lead out of /proc/<pid>/root.
    const socket = `/proc/${pid}/root${await fs.realpath('/var/run')}/zfs/zfs_socket`;
    await untilAnswering(socket, daemon, join(dir, 'zfs-fuse.log'));
  }

  /**
   * Under load FUSE refuses a mount now and then (EIO). What was mounted below it meanwhile stands in its way the next time,
   * as empty folders.
   */
  async function mountAll(): Promise<void> {
    for (let left = MOUNT_TRIES; ; left--) {
      try {
        await runInside('zfs', ['mount', '-a']);
        return;
      } catch (error) {
        if (left <= 1) throw error;
        for (const mount of await mountsBelow(pid, join(dir, 'mnt'))) {
          await runInside('umount', ['-l', mount]).catch(() => {});
        }
        for (const pool of pools) {
          const folder = namespace.mountpoint(pool);
          await runInside('find', [folder, '-mindepth', '1', '-xdev', '-depth', '-type', 'd', '-empty', '-delete']);
        }
      }
    }
  }

  const namespace: ZfsNamespace = {
    pid,
    bootId,
    mountpoint: (pool) => join(dir, 'mnt', pool),
    spawnInside: inside,
    runInside,
    async kill9Daemon() {
      if (!daemon) return;
      await ended(daemon, 'SIGKILL');
      daemon = null;
      // What the dead daemon served answers ENOTCONN until it is unmounted.
      for (const mount of await mountsBelow(pid, join(dir, 'mnt'))) {
        await runInside('umount', ['-l', mount]).catch(() => {});
      }
    },
    async restartDaemon() {
      if (daemon) await namespace.kill9Daemon();
      await startDaemon();
      // The daemon imports what its cache file names; it mounts nothing, as the system's start-up script would.
      const imported = (await runInside('zpool', ['list', '-H', '-o', 'name'])).split('\n');
      for (const pool of pools) {
        if (!imported.includes(pool)) await runInside('zpool', ['import', '-f', '-d', join(dir, 'disks', pool), pool]);
      }
      await mountAll();
    },
    signalDaemon(signal) {
      daemon?.kill(signal);
    },
    async stop() {
      if (!running.delete(killSync)) return;
      for (const inner of await pidsInNamespace(pid)) {
        if (inner !== pid && inner !== daemon?.pid) killIfThere(inner);
      }
      if (daemon) await ended(daemon, 'SIGKILL');
      for (const mount of await mountsBelow(pid, dir)) await runInside('umount', ['-l', mount]).catch(() => {});
      await ended(anchor, 'SIGKILL');
    },
  };

  try {
    await startDaemon();
    for (const pool of pools) {
      await fs.mkdir(join(dir, 'disks', pool), { recursive: true });
      const disk = join(dir, 'disks', pool, 'disk');
      await (await fs.open(disk, 'wx')).close();
      await fs.truncate(disk, sizeMiB * 1024 * 1024);
      await runInside('zpool', ['create', '-m', namespace.mountpoint(pool), pool, disk]);
    }
    return namespace;
  } catch (error) {
    await namespace.stop();
    throw error;
  }
}

/** A process that holds the namespace and says when its mounts are there. */
async function startAnchor(dir: string, bootId: string | null, network: boolean): Promise<ChildProcess> {
  const bootFile = join(dir, 'boot-id');
  if (bootId !== null) await fs.writeFile(bootFile, `${bootId}\n`);
  const script = [
    'set -e',
    'for d in /var/run/zfs /var/lib/zfs /var/lock/zfs; do mkdir -p $d; mount -t tmpfs -o mode=700 tmpfs $d; done',
    ...(bootId === null ? [] : ['mount --bind "$1" /proc/sys/kernel/random/boot_id']),
    ...(network ? ['ip link set lo up'] : []),
    'echo ready',
    // Ends when the test does, whatever ends that: its standard input closes.
    'exec cat',
  ].join('\n');
  const own = ['-m', '--propagation', 'private', ...(network ? ['-n'] : [])];
  const anchor = spawn('unshare', [...own, 'sh', '-c', script, 'sh', bootFile], { stdio: ['pipe', 'pipe', 'pipe'] });
  let errors = '';
  anchor.stderr?.on('data', (chunk) => {
    errors += chunk;
  });
  await new Promise<void>((resolve, reject) => {
    anchor.stdout?.once('data', () => resolve());
    anchor.once('error', reject);
    anchor.once('exit', (code) => reject(new Error(`the namespace did not start (${code}): ${errors}`)));
  });
  return anchor;
}

/** Resolves once somebody accepts on the daemon's socket. The daemon gives no sign, so this asks every 20 ms. */
async function untilAnswering(socket: string, daemon: ChildProcess, log: string): Promise<void> {
  for (;;) {
    const answered = await new Promise<boolean>((resolve) => {
      const client = connect(socket, () => {
        client.destroy();
        resolve(true);
      });
      client.once('error', () => resolve(false));
    });
    if (answered) return;
    if (daemon.exitCode !== null || daemon.signalCode !== null) {
      throw new Error(`zfs-fuse did not start: ${await fs.readFile(log, 'utf8')}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function ended(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  child.kill(signal);
  await exit;
}

function outputOf(child: ChildProcess, what: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let [output, errors] = ['', ''];
    child.stdout?.on('data', (chunk) => {
      output += chunk;
    });
    child.stderr?.on('data', (chunk) => {
      errors += chunk;
    });
    child.once('error', reject);
    child.once('close', (code) => {
      if (code === 0) resolve(output);
      else reject(new Error(`${what} ended with ${code}: ${errors}${output}`));
    });
  });
}

/** Deepest first. */
async function mountsBelow(pid: number, folder: string): Promise<string[]> {
  const mounts = await fs.readFile(`/proc/${pid}/mounts`, 'utf8').catch(() => '');
  const points = mounts.split('\n').map((line) => (line.split(' ')[1] ?? '').replaceAll('\\040', ' '));
  return points.filter((point) => point.startsWith(`${folder}/`)).reverse();
}

async function pidsInNamespace(pid: number): Promise<number[]> {
  const own = await fs.readlink(`/proc/${pid}/ns/mnt`).catch(() => null);
  const pids: number[] = [];
  for (const entry of await fs.readdir('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    const other = await fs.readlink(`/proc/${entry}/ns/mnt`).catch(() => null);
    if (own !== null && other === own) pids.push(Number(entry));
  }
  return pids;
}

function killIfThere(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

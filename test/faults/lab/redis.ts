// The lab's Redis: a real server in a network namespace of its own, with everything that can happen to it. Owns the
// process, its folder and the dumps taken from it.
//
// Every acknowledged write survives a kill (append-only file, flushed each time). A dump is what SAVE writes; to come back
// from one is what a restored backup does (an old dump) and what a failover to a lagging replica does (a dump of moments
// ago): the server that answers afterwards lacks what was written since.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { killed, run } from './commands.ts';
import { connectPort, type Port } from './network.ts';

const PORT = 6379;

export interface LabRedis extends Port {
  readonly url: string;
  kill(): Promise<void>;
  start(): Promise<void>;
  signal(signal: 'SIGSTOP' | 'SIGCONT'): void;
  flush(): Promise<void>;
  /** @returns the file. */
  dump(): Promise<string>;
  /** What is there now is lost. The server must be down; it is up afterwards. */
  startFrom(dump: string): Promise<void>;
  close(): Promise<void>;
}

export async function startLabRedis(folder: string, ip: string): Promise<LabRedis> {
  const data = join(folder, 'data');
  await mkdir(data, { recursive: true });
  const anchor = spawn('unshare', ['-n', 'sh', '-c', 'echo ready; exec cat'], { stdio: ['pipe', 'pipe', 'inherit'] });
  await once(anchor.stdout, 'data');
  const pid = anchor.pid as number;
  await connectPort('redis', { ip, pid });
  let server: ChildProcess | null = null;
  let dumps = 0;

  async function launch(appendOnly: boolean): Promise<void> {
    const settings = ['--port', String(PORT), '--bind', ip, '--dir', data, '--save', '', '--protected-mode', 'no'];
    const durable = ['--appendonly', appendOnly ? 'yes' : 'no', '--appendfsync', 'always'];
    const enter = [`--net=/proc/${pid}/ns/net`, '--', 'setpriv', '--pdeathsig', 'KILL', '--'];
    const child = spawn('nsenter', [...enter, 'redis-server', ...settings, ...durable], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    server = child;
    await new Promise<void>((ready, fail) => {
      let log = '';
      child.stdout.on('data', (chunk: Buffer) => {
        log = (log + chunk).slice(-8_192);
        if (log.includes('Ready to accept connections')) ready();
      });
      child.once('error', fail);
      child.once('exit', () => fail(new Error(`redis-server ended: ${log}`)));
    });
  }

  async function command(...words: string[]): Promise<string> {
    return (await run('redis-cli', '-h', ip, '-p', String(PORT), ...words)).trim();
  }

  await launch(true);
  return {
    ip,
    pid,
    url: `redis://${ip}:${PORT}/0`,
    async kill() {
      if (server) await killed(server);
      server = null;
    },
    start: () => launch(true),
    signal: (signal) => void server?.kill(signal),
    flush: async () => void (await command('FLUSHALL')),
    async dump() {
      await command('SAVE');
      dumps += 1;
      const file = join(folder, `dump-${dumps}.rdb`);
      await copyFile(join(data, 'dump.rdb'), file);
      return file;
    },
    async startFrom(dump) {
      await rm(data, { recursive: true });
      await mkdir(data);
      await copyFile(dump, join(data, 'dump.rdb'));
      // With an append-only file wished for, Redis would read that alone, and begin empty.
      await launch(false);
      await command('CONFIG', 'SET', 'appendonly', 'yes');
    },
    async close() {
      if (server) await killed(server);
      await killed(anchor);
    },
  };
}

// A real redis-server of this test's own, on a free port and in a folder of its own, and the ways to hurt it.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface RedisServer {
  readonly port: number;
  readonly url: string;
  /** Abrupt: SIGKILL. Data that was saved stays. */
  kill(): Promise<void>;
  start(): Promise<void>;
  /** Alive, and answering nobody, until `resume`. */
  pause(): void;
  resume(): void;
  /** Answers of one command, as redis-cli prints them raw; for what tests do behind the coordinator's back. */
  command(...words: string[]): Promise<string>;
  /** Ends it and removes its folder. */
  close(): Promise<void>;
}

/** `redis-server` is there; tests that need it skip otherwise. */
export async function hasRedis(): Promise<boolean> {
  const child = spawn('redis-server', ['--version'], { stdio: 'ignore' });
  return once(child, 'exit').then(
    ([code]) => code === 0,
    () => false,
  );
}

/** Everything acknowledged survives a kill: appendfsync always. `args`: further settings, e.g. ['--requirepass', 'x']. */
export async function startRedis(args: readonly string[] = []): Promise<RedisServer> {
  const settings = ['--appendonly', 'yes', '--appendfsync', 'always', '--save', '', '--enable-debug-command', 'yes'];
  return startServer('redis.conf', '', [...settings, ...args]);
}

/** A sentinel that watches one master on this machine, and decides alone. */
export async function startSentinel(master: string, port: number): Promise<RedisServer> {
  return startServer('sentinel.conf', `sentinel monitor ${master} 127.0.0.1 ${port} 1\n`, ['--sentinel']);
}

async function startServer(fileName: string, content: string, args: readonly string[]): Promise<RedisServer> {
  const folder = await mkdtemp(join(tmpdir(), 'zring-redis-'));
  const file = join(folder, fileName);
  await writeFile(file, content);
  const port = await freePort();
  let child: ChildProcess | null = null;

  async function start(): Promise<void> {
    const listening = ['--port', String(port), '--bind', '127.0.0.1', '--dir', folder];
    const server = spawn('redis-server', [file, ...listening, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
    child = server;
    await new Promise<void>((ready, fail) => {
      let log = '';
      server.stdout.on('data', (chunk: Buffer) => {
        log += chunk;
        if (log.includes('Ready to accept connections') || log.includes('Sentinel ID is')) ready();
      });
      server.once('error', fail);
      server.once('exit', () => fail(new Error(`redis-server ended: ${log}`)));
    });
  }

  async function kill(): Promise<void> {
    const server = child;
    child = null;
    if (!server || server.exitCode !== null || server.signalCode !== null) return;
    const exited = once(server, 'exit');
    server.kill('SIGKILL');
    await exited;
  }

  async function command(...words: string[]): Promise<string> {
    const client = spawn('redis-cli', ['-p', String(port), ...words], { stdio: ['ignore', 'pipe', 'inherit'] });
    let answer = '';
    client.stdout.on('data', (chunk: Buffer) => {
      answer += chunk;
    });
    await once(client, 'close');
    return answer.trim();
  }

  await start();
  return {
    port,
    url: `redis://127.0.0.1:${port}/0`,
    kill,
    start,
    pause: () => void child?.kill('SIGSTOP'),
    resume: () => void child?.kill('SIGCONT'),
    command,
    async close() {
      await kill();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

export interface TcpProxy {
  readonly port: number;
  /** From now on requests pass and replies are dropped, on connections that are open too. */
  swallowReplies(): void;
  /** Cuts all connections; with what is in flight. */
  cut(): void;
  close(): Promise<void>;
}

/** Between a client and a server on 127.0.0.1. */
export async function startProxy(target: number): Promise<TcpProxy> {
  let isSwallowing = false;
  const sockets = new Set<Socket>();
  const server = createServer((near) => {
    const far = connect(target, '127.0.0.1');
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => {
        sockets.delete(socket);
        other.destroy();
      });
    }
    near.on('data', (chunk) => far.write(chunk));
    far.on('data', (chunk) => {
      if (!isSwallowing) near.write(chunk);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const cut = () => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    port: portOf(server),
    swallowReplies: () => {
      isSwallowing = true;
    },
    cut,
    async close() {
      cut();
      server.close();
      await once(server, 'close');
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const port = portOf(server);
  server.close();
  await once(server, 'close');
  return port;
}

function portOf(server: ReturnType<typeof createServer>): number {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('not a TCP server');
  return address.port;
}

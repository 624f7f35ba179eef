// nginx under test: one that serves and stores files (static, DAV PUT) and one that proxies to it, each with one worker
// and everything it writes in a folder of this run. Owns the two processes.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { which } from '../test/support/detect.mjs';
import { childrenOf } from './proc.ts';
import { type Side, send } from './side.ts';

const READY_POLL_MS = 20;

interface Server {
  readonly port: number;
  readonly pids: readonly number[];
  stop(): Promise<void>;
}

export async function startNginx(folder: string): Promise<Side> {
  const program = which('nginx');
  if (program === null) throw new Error('nginx not found on PATH (Debian: apt-get install nginx-light)');
  const files = await startServer(program, join(folder, 'files'), null);
  try {
    const proxy = await startServer(program, join(folder, 'proxy'), files.port);
    return {
      name: 'nginx',
      version: /nginx\/(\S+)/.exec(String(spawnSync(program, ['-v']).stderr))?.[1] ?? 'unknown',
      port: (row) => (row.hop ? proxy : files).port,
      pids: (row) => (row.hop ? [...proxy.pids, ...files.pids] : files.pids),
      request: (row, method, key, body) => ({
        method,
        path: `/${row.hop ? 'far' : 'near'}/${key}`,
        headers: {
          Host: `127.0.0.1:${(row.hop ? proxy : files).port}`,
          ...(body === null ? {} : { 'Content-Length': String(body.bytes) }),
        },
      }),
      async close() {
        await Promise.all([proxy.stop(), files.stop()]);
      },
    };
  } catch (error) {
    await files.stop();
    throw error;
  }
}

/** As one would set it up for this work: sendfile, connections kept, nothing logged. open_file_cache is off (default). */
function configuration(folder: string, port: number, upstreamPort: number | null): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  const upstream = `upstream files { server 127.0.0.1:${upstreamPort}; keepalive 64; keepalive_requests 1000000000; }`;
  const files = `root "${join(folder, 'www')}"; dav_methods PUT; create_full_put_path on;`;
  const proxy = `proxy_pass http://files; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_buffering off; proxy_request_buffering off;`;
  return `${process.getuid?.() === 0 ? `user ${userInfo().username};` : ''}
daemon off;
worker_processes 1;
pid "${join(folder, 'pid')}";
error_log "${join(folder, 'error.log')}";
events { worker_connections 1024; }
http {
  ${temporary.map((name) => `${name}_temp_path "${join(folder, name)}";`).join('\n  ')}
  access_log off;
  default_type application/octet-stream;
  sendfile on;
  tcp_nopush on;
  keepalive_requests 1000000000;
  client_max_body_size 0;
  ${upstreamPort === null ? '' : upstream}
  server {
    listen 127.0.0.1:${port} backlog=1024;
    location / { ${upstreamPort === null ? files : proxy} }
  }
}
`;
}

/** @param upstreamPort null = serves and stores files itself. */
async function startServer(program: string, folder: string, upstreamPort: number | null): Promise<Server> {
  await mkdir(join(folder, 'www'), { recursive: true });
  const port = await freePort();
  const file = join(folder, 'nginx.conf');
  await writeFile(file, configuration(folder, port, upstreamPort));
  const args = ['-p', folder, '-c', file, '-e', join(folder, 'error.log')];
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'inherit'] });
  const failed = new Promise<never>((_, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`nginx ended with ${code}`)));
  });
  failed.catch(() => {});
  const stop = () => end(child);
  try {
    await Promise.race([answers(port, child), failed]);
    const master = child.pid ?? 0;
    return { port, pids: [master, ...childrenOf(master)], stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function answers(port: number, child: ChildProcess): Promise<void> {
  while (child.exitCode === null && child.signalCode === null) {
    const request = { method: 'HEAD', path: '/', headers: { Host: `127.0.0.1:${port}` } };
    // A proxy that starts answers 4xx of the server behind it; any answer shows that the worker is up.
    if (await send(port, request).catch(() => null)) return;
    await delay(READY_POLL_MS);
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGTERM');
  await exited;
}

/** Below the range that the kernel gives to outgoing connections, so that nobody takes it before nginx does. */
async function freePort(): Promise<number> {
  for (;;) {
    const port = 15_000 + Math.floor(Math.random() * 17_000);
    const server = createServer();
    const free = await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(false));
      server.listen({ port, host: '127.0.0.1', exclusive: true }, () => server.close(() => resolve(true)));
    });
    if (free) return port;
  }
}

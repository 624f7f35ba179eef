// config/haproxy.cfg with a real HAProxy in front of two stand-ins for nodes: it follows /ready, and hands on what S3
// clients sign untouched. Only addresses are replaced; everything else is the shipped file.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, request, type Server } from 'node:http';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { part, program } from '../support/parts.ts';
import { EXAMPLE, ROOT, repositoryText } from './repository.ts';

const CONFIG = repositoryText('config/haproxy.cfg');
const SERVER_LINE = /^ {4}server (\S+) (\S+) check port (\d+)$/gm;

test('haproxy.cfg names the nodes of the example with their S3 and admin ports', () => {
  const servers = [...CONFIG.matchAll(SERVER_LINE)].map(([, id, s3, admin]) => `${id} ${s3} ${admin}`);
  assert.deepEqual(
    servers,
    EXAMPLE.nodes.map(({ id, s3, admin }) => `${id} ${s3.host}:${s3.port} ${admin.port}`),
  );
});

test('haproxy accepts the file as it is', part('haproxy'), () => {
  const { status, stderr } = spawnSync(program('haproxy'), ['-c', '-f', join(ROOT, 'config/haproxy.cfg')]);
  assert.equal(status, 0, String(stderr));
  assert.doesNotMatch(String(stderr), /WARNING|ALERT/);
});

async function listen(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

async function freePort(): Promise<number> {
  const server = createTcpServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** A node as HAProxy sees it: an S3 listener that tells what it got, and /ready. */
class StandIn {
  readonly id: string;
  ready: boolean;
  s3Port = 0;
  adminPort = 0;
  #checks = 0;
  #waiters: (() => void)[] = [];
  readonly #servers: Server[] = [];

  constructor(id: string, ready: boolean) {
    this.id = id;
    this.ready = ready;
  }

  async start(context: TestContext): Promise<this> {
    const s3 = createServer((incoming, outgoing) => {
      incoming.resume().on('end', () => {
        outgoing.setHeader('x-node', this.id);
        outgoing.end(JSON.stringify({ url: incoming.url, headers: incoming.rawHeaders }));
      });
    });
    const admin = createServer((incoming, outgoing) => {
      assert.equal(incoming.url, '/ready');
      outgoing.writeHead(this.ready ? 200 : 503).end();
      this.#checks += 1;
      for (const wake of this.#waiters.splice(0)) wake();
    });
    this.#servers.push(s3, admin);
    context.after(() => {
      for (const server of this.#servers) server.close().closeAllConnections();
    });
    [this.s3Port, this.adminPort] = [await listen(s3), await listen(admin)];
    return this;
  }

  /** HAProxy wants two equal answers before it believes; when a third check comes in, two were understood. */
  async threeChecks(): Promise<void> {
    const goal = this.#checks + 3;
    while (this.#checks < goal) await new Promise<void>((resolve) => this.#waiters.push(resolve));
  }
}

interface Haproxy {
  readonly port: number;
  /** Rejects when it ends, so that nothing waits for a program that is gone. */
  readonly ended: Promise<never>;
}

async function startHaproxy(context: TestContext, nodes: readonly StandIn[]): Promise<Haproxy> {
  const folder = mkdtempSync(join(tmpdir(), 'zring-haproxy-'));
  const port = await freePort();
  let next = 0;
  const text = CONFIG.replace(/bind :8000/, `bind 127.0.0.1:${port}`).replace(SERVER_LINE, (_line, id: string) => {
    const node = nodes[next++];
    return node ? `    server ${id} 127.0.0.1:${node.s3Port} check port ${node.adminPort}` : '';
  });
  assert.equal(next, 3, 'every server line was replaced');
  // The shell that runs the tests may allow fewer open files than a server has.
  writeFileSync(join(folder, 'haproxy.cfg'), text.replace(/^ {4}maxconn \d+$/m, '    maxconn 100'));
  const child: ChildProcess = spawn(program('haproxy'), ['-db', '-f', join(folder, 'haproxy.cfg')], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  context.after(async () => {
    child.kill('SIGKILL');
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    rmSync(folder, { recursive: true, force: true });
  });
  const ended = once(child, 'exit').then(([code]) => {
    throw new Error(`haproxy ended with exit code ${code}`);
  });
  ended.catch(() => {});
  return { port, ended };
}

async function send(port: number, path: string, options: { headers?: Record<string, string>; body?: string } = {}) {
  const method = options.body === undefined ? 'GET' : 'PUT';
  const outgoing = request({ host: '127.0.0.1', port, path, method, headers: options.headers ?? {} });
  let continued = false;
  outgoing.on('continue', () => {
    continued = true;
    outgoing.end(options.body);
  });
  if (options.headers?.expect) outgoing.flushHeaders();
  else outgoing.end(options.body);
  const [response] = (await once(outgoing, 'response')) as [IncomingMessage];
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  return {
    status: response.statusCode,
    node: response.headers['x-node'],
    text: Buffer.concat(chunks).toString(),
    continued,
  };
}

// The limit is far above what it takes (8 s): without health checks it would wait for ever.
const FOLLOWS = { ...part('haproxy'), timeout: 180_000 };
test('requests go only to nodes that are ready, and arrive as they were sent', FOLLOWS, async (context) => {
  const a = await new StandIn('a', true).start(context);
  const b = await new StandIn('b', false).start(context);
  const { port, ended } = await startHaproxy(context, [a, b]);
  const settled = () => Promise.race([ended, Promise.all([a.threeChecks(), b.threeChecks()])]);
  await settled();
  for (let i = 0; i < 10; i++) assert.equal((await send(port, '/')).node, 'a');

  const path = '/photos/a%2Fb//../c%20d+e?list-type=2&prefix=%C3%BC&empty';
  const headers = { host: 'photos.s3.example.org', authorization: 'AWS4-HMAC-SHA256 x', 'x-amz-meta-t': 'a  b' };
  const seen = JSON.parse((await send(port, path, { headers })).text) as { url: string; headers: string[] };
  assert.equal(seen.url, path);
  for (const [name, value] of Object.entries(headers)) {
    const at = seen.headers.findIndex((header, i) => i % 2 === 0 && header.toLowerCase() === name);
    assert.equal(seen.headers[at + 1], value, name);
  }

  const put = await send(port, '/photos/k', {
    headers: { expect: '100-continue', 'content-length': '4' },
    body: 'body',
  });
  assert.deepEqual([put.status, put.continued], [200, true], 'Expect: 100-continue goes through to the node');

  [a.ready, b.ready] = [false, true];
  await settled();
  for (let i = 0; i < 10; i++) assert.equal((await send(port, '/')).node, 'b');
});

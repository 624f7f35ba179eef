// Connections to other nodes: made again when an address changes, dropped when a node leaves, kept apart by lane.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, test } from 'node:test';
import { isZringError } from '../../src/common/errors.ts';
import type { Exchange } from '../../src/routing/exchange.ts';
import { HOP_LIMITS } from '../../src/routing/limits.ts';
import { createTransport, type HopController, type Transport } from '../../src/routing/transport.ts';
import { startPair } from './pair.ts';

interface Upstream {
  readonly server: Server;
  readonly address: string;
  readonly connections: () => number;
  /** Answers that wait for the test. */
  readonly held: ServerResponse[];
}

const open: Upstream[] = [];
let transport: Transport;

async function upstream(answer: string): Promise<Upstream> {
  const held: ServerResponse[] = [];
  const sockets = new Set<unknown>();
  const server = createServer((request, response) => {
    if (request.url === '/hold') held.push(response.writeHead(200, { 'x-from': answer }));
    else response.end(answer);
    server.emit('seen');
  });
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => {
      sockets.delete(socket);
      server.emit('left');
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const made = { server, address, connections: () => sockets.size, held };
  open.push(made);
  return made;
}

afterEach(async () => {
  await transport?.close(0);
  for (const { server } of open.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

function get(path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    const handler = {
      onRequestStart(_controller: HopController) {},
      onResponseStart() {},
      onResponseData(_controller: HopController, chunk: Buffer) {
        text += chunk;
      },
      onResponseEnd: () => resolve(text),
      onResponseError: (_controller: unknown, error: Error) => reject(error),
    };
    const request = { method: 'GET', path, headers: [], body: null, headTimeoutMs: 60_000, bodyTimeoutMs: 60_000 };
    transport.dispatch('b', 'data', request, handler);
  });
}

async function until(emitter: Server, event: string, done: () => boolean): Promise<void> {
  while (!done()) await once(emitter, event);
}

test('a new address is used at once; what is under way finishes on the old one, whose connections then close', async () => {
  const [one, two] = [await upstream('one'), await upstream('two')];
  let address = one.address;
  transport = createTransport({ addressOf: () => address, tls: null, limits: HOP_LIMITS });
  assert.equal(await get('/'), 'one');
  const slow = get('/hold');
  await until(one.server, 'seen', () => one.held.length === 1);
  address = two.address;
  assert.equal(await get('/'), 'two');
  one.held[0]?.end('late');
  assert.equal(await slow, 'late');
  await until(one.server, 'left', () => one.connections() === 0);
  assert.equal(await get('/'), 'two');
});

test('a node that leaves the map loses its connections and is not reached any more', async () => {
  const one = await upstream('one');
  let address: string | null = one.address;
  transport = createTransport({ addressOf: () => address, tls: null, limits: HOP_LIMITS });
  assert.equal(await get('/'), 'one');
  transport.retain(new Set(['b']));
  assert.equal(one.connections(), 1);
  address = null;
  transport.retain(new Set());
  await until(one.server, 'left', () => one.connections() === 0);
  await assert.rejects(
    get('/'),
    (error) => isZringError(error, 'NODE_UNREACHABLE') && /no such node/.test(error.message),
  );
});

test('closing lets what is under way finish, and takes nothing new', async () => {
  const one = await upstream('one');
  transport = createTransport({ addressOf: () => one.address, tls: null, limits: HOP_LIMITS });
  const slow = get('/hold');
  await until(one.server, 'seen', () => one.held.length === 1);
  const closing = transport.close(60_000);
  await assert.rejects(get('/'), (error) => isZringError(error, 'NODE_UNREACHABLE') && /stopping/.test(error.message));
  one.held[0]?.end('late');
  assert.equal(await slow, 'late');
  await closing;
  await until(one.server, 'left', () => one.connections() === 0);
});

test('closing cuts what is under way after the grace', async () => {
  const one = await upstream('one');
  transport = createTransport({ addressOf: () => one.address, tls: null, limits: HOP_LIMITS });
  const slow = get('/hold');
  slow.catch(() => {});
  await until(one.server, 'seen', () => one.held.length === 1);
  await transport.close(20);
  await assert.rejects(slow);
});

test('control calls get through when every data connection is taken', async () => {
  let arrived = () => {};
  const taken = new Promise<void>((resolve) => {
    arrived = resolve;
  });
  const exchanges: Exchange[] = [];
  const owner = (exchange: Exchange) => {
    exchanges.push(exchange);
    arrived();
  };
  const methods = { calls: { ping: async () => 'pong' }, streams: {} };
  const pair = await startPair({ owner, methods, hopLimits: { requestsPerNodeMax: 1 } });
  const data = fetch(`http://127.0.0.1:${pair.s3.address.port}/`);
  await taken;
  assert.equal(await pair.control.call('owner', 'ping', {}), 'pong');
  exchanges[0]?.response.end('done');
  assert.equal(await (await data).text(), 'done');
  await pair.close();
});

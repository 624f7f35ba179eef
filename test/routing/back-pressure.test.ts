// A slow side holds the fast side back, through both processes' worth of buffers: memory stays bounded.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { test } from 'node:test';
import type { Exchange } from '../../src/routing/exchange.ts';
import { startPair } from './pair.ts';
import { rawClient } from './raw-client.ts';

const MIB = 1024 * 1024;
const TOTAL = 256 * MIB;
const CHUNK = Buffer.alloc(256 * 1024, 'back pressure ');
/** Kernel buffers of two connections and ours; far below the total. */
const LAG_MAX = 64 * MIB;

/** Resolves once the counter has begun and then stood still for a while, or has reached the total (then there was no back pressure). */
async function standstill(count: () => number): Promise<number> {
  for (let last = -1; ; ) {
    const now = count();
    if ((now > 0 && now === last) || now >= TOTAL) return now;
    last = now;
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
}

test('a client that does not read stops the owner', async () => {
  let produced = 0;
  const owner = async ({ response }: Exchange) => {
    response.writeHead(200, { 'Content-Length': String(TOTAL) });
    for (; produced < TOTAL; produced += CHUNK.length) if (!response.write(CHUNK)) await once(response, 'drain');
    response.end();
  };
  const pair = await startPair({ owner });
  const client = await rawClient(pair.s3.address.port);
  client.socket.pause();
  client.send('GET /b/k HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n');
  const stopped = await standstill(() => produced);
  assert.ok(stopped > 0 && stopped < LAG_MAX, `${stopped / MIB} MiB were produced for a client that reads nothing`);
  client.socket.removeAllListeners('data');
  let received = 0;
  client.socket.on('data', (chunk: Buffer) => {
    received += chunk.length;
  });
  client.socket.resume();
  await once(client.socket, 'end');
  assert.ok(received > TOTAL && received < TOTAL + 1000, 'all of it arrives');
  await pair.close();
});

test('an owner that does not read stops the client', async () => {
  let read = () => {};
  const asked = new Promise<void>((resolve) => {
    read = resolve;
  });
  const owner = async (exchange: Exchange) => {
    exchange.proceed();
    await asked;
    const hash = createHash('sha256');
    for await (const chunk of exchange.request as AsyncIterable<Buffer>) hash.update(chunk);
    exchange.response.end(hash.digest('hex'));
  };
  const pair = await startPair({ owner });
  const client = await rawClient(pair.s3.address.port);
  client.send(`PUT /b/k HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: ${TOTAL}\r\n\r\n`);
  const hash = createHash('sha256');
  let sent = 0;
  const pumped = (async () => {
    for (; sent < TOTAL; sent += CHUNK.length) {
      hash.update(CHUNK);
      if (!client.socket.write(CHUNK)) await once(client.socket, 'drain');
    }
  })();
  const stopped = await standstill(() => sent);
  assert.ok(stopped > 0 && stopped < LAG_MAX, `${stopped / MIB} MiB were taken for an owner that reads nothing`);
  read();
  await pumped;
  assert.ok((await client.closed).endsWith(hash.digest('hex')), 'all of it arrives');
  await pair.close();
});

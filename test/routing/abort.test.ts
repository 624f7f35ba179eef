// One side breaks off: the other side is torn down, a half answer never looks whole, and nothing is left behind.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { test } from 'node:test';
import type { Exchange } from '../../src/routing/exchange.ts';
import { CLIENT_GONE_STATUS } from '../../src/routing/forward.ts';
import { type Pair, type PairOptions, startPair } from './pair.ts';
import { rawClient, statuses } from './raw-client.ts';

async function withPair(options: PairOptions, run: (pair: Pair) => Promise<void>) {
  const pair = await startPair(options);
  try {
    await run(pair);
  } finally {
    await pair.close();
  }
}

function promised<T>() {
  let resolve: (value: T) => void = () => {};
  const promise = new Promise<T>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}

/** The owner's handler hands its exchange to the test and does nothing else. */
function held() {
  const { promise, resolve } = promised<Exchange>();
  return { owner: (exchange: Exchange) => resolve(exchange), exchange: promise };
}

/** Both ends of the hop are closed, and the entry knows. */
async function tornDown(pair: Pair, exchange: Exchange): Promise<void> {
  const { socket } = exchange.request;
  if (!socket.destroyed) await once(socket, 'close');
  if (!exchange.signal.aborted) await once(exchange.signal, 'abort');
  assert.equal(pair.peer.inFlight, 0);
}

test('the client goes before an answer: the owner is told', async () => {
  const { owner, exchange } = held();
  await withPair({ owner }, async (pair) => {
    const client = await rawClient(pair.s3.address.port);
    client.send('GET /b/k HTTP/1.1\r\nHost: h\r\n\r\n');
    const atOwner = await exchange;
    client.destroy();
    await tornDown(pair, atOwner);
    assert.deepEqual(pair.outcomes, [{ kind: 'done', status: CLIENT_GONE_STATUS }]);
  });
});

test('the client goes while the answer streams: the owner is told', async () => {
  const { owner, exchange } = held();
  await withPair({ owner }, async (pair) => {
    const client = await rawClient(pair.s3.address.port);
    client.send('GET /b/k HTTP/1.1\r\nHost: h\r\n\r\n');
    const atOwner = await exchange;
    atOwner.response.writeHead(200, { 'Content-Length': '1000000' });
    atOwner.response.write('first');
    await client.until(/first/);
    client.destroy();
    await tornDown(pair, atOwner);
    assert.deepEqual(pair.outcomes, [{ kind: 'done', status: 200 }]);
  });
});

for (const [name, head] of [
  ['Content-Length', 'Content-Length: 1000000\r\n\r\n'],
  ['chunked', 'Transfer-Encoding: chunked\r\n\r\nf4240\r\n'],
] as const) {
  test(`the client goes in the middle of its body (${name}): the owner never sees an end`, async () => {
    const { owner, exchange } = held();
    await withPair({ owner }, async (pair) => {
      const client = await rawClient(pair.s3.address.port);
      client.send(`PUT /b/k HTTP/1.1\r\nHost: h\r\n${head}`);
      client.send('x'.repeat(100_000));
      const atOwner = await exchange;
      let ended = false;
      atOwner.request.on('end', () => {
        ended = true;
      });
      atOwner.request.on('error', () => {});
      atOwner.proceed();
      await once(atOwner.request, 'data');
      client.destroy();
      await tornDown(pair, atOwner);
      assert.equal(ended, false);
      assert.equal(atOwner.request.complete, false);
      assert.deepEqual(pair.outcomes, [{ kind: 'done', status: CLIENT_GONE_STATUS }]);
    });
  });
}

test('the client goes in the middle of a small body, before anything was forwarded', async () => {
  const { owner } = held();
  await withPair({ owner }, async (pair) => {
    const client = await rawClient(pair.s3.address.port);
    client.send('PUT /b/k HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nhalf');
    client.socket.end();
    await client.closed;
    assert.deepEqual(pair.outcomes, [{ kind: 'done', status: CLIENT_GONE_STATUS }]);
    assert.equal(pair.peer.connections, 0);
  });
});

test('the client goes while the owner has not given the go-ahead', async () => {
  const { owner, exchange } = held();
  await withPair({ owner }, async (pair) => {
    const client = await rawClient(pair.s3.address.port);
    client.send('PUT /b/k HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 100000\r\n\r\n');
    const atOwner = await exchange;
    client.destroy();
    await tornDown(pair, atOwner);
    assert.deepEqual(pair.outcomes, [{ kind: 'done', status: CLIENT_GONE_STATUS }]);
  });
});

for (const [name, head, end] of [
  ['Content-Length', { 'Content-Length': '1000000' }, null],
  ['chunked', {}, null],
  ['an HTTP/1.0 client that reads to the end of the connection', {}, 'ECONNRESET'],
] as const) {
  test(`the owner dies in the middle of its answer (${name}): the client sees a cut`, async () => {
    const { owner, exchange } = held();
    await withPair({ owner }, async (pair) => {
      const client = await rawClient(pair.s3.address.port);
      client.send(end ? 'GET /b/k HTTP/1.0\r\nHost: h\r\n\r\n' : 'GET /b/k HTTP/1.1\r\nHost: h\r\n\r\n');
      const atOwner = await exchange;
      atOwner.response.writeHead(200, { ...head });
      atOwner.response.write('first');
      await client.until(/first/);
      atOwner.request.socket.destroy();
      const text = await client.closed;
      assert.doesNotMatch(text, /\r\n0\r\n\r\n$/, 'no last chunk');
      assert.equal(client.fault, 'ECONNRESET');
      assert.deepEqual(pair.outcomes, [{ kind: 'done', status: 200 }]);
    });
  });
}

test('the owner dies in the middle of the body: 503, and it may not be sent again', async () => {
  const { owner, exchange } = held();
  await withPair({ owner }, async (pair) => {
    const client = await rawClient(pair.s3.address.port);
    client.send('PUT /b/k HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\nbegin');
    const atOwner = await exchange;
    atOwner.proceed();
    await once(atOwner.request, 'data');
    atOwner.request.socket.destroy();
    await client.until(/^HTTP\/1.1 503/);
    const [outcome] = pair.outcomes;
    assert.equal(outcome?.kind === 'unreachable' && outcome.replayable, false);
    client.destroy();
  });
});

test('an early answer reaches a client that is still sending, and the rest of its body is thrown away', async () => {
  const { owner, exchange } = held();
  await withPair({ owner }, async (pair) => {
    const client = await rawClient(pair.s3.address.port);
    client.send('PUT /b/k HTTP/1.1\r\nHost: h\r\nContent-Length: 8000000\r\n\r\n');
    client.send(Buffer.alloc(4_000_000));
    const atOwner = await exchange;
    atOwner.proceed();
    await once(atOwner.request, 'data');
    atOwner.response.writeHead(400, { 'Content-Length': '7' }).end('no room');
    await client.until(/no room$/);
    client.send(Buffer.alloc(4_000_000));
    client.send('GET /next HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n');
    // The second request is held by the same owner; it is enough that it was understood as one.
    await new Promise((resolve) => {
      const check = () => (pair.peer.inFlight > 0 ? resolve(null) : setImmediate(check));
      check();
    });
    assert.deepEqual(statuses(client.text), [400]);
    client.destroy();
  });
});

test('a client that goes on sending after an early answer is cut at the limit', async () => {
  const owner = (exchange: Exchange) => void exchange.response.writeHead(403, { 'Content-Length': '0' }).end();
  await withPair({ owner, listenerLimits: { discardBytesMax: 1_000_000 } }, async (pair) => {
    const client = await rawClient(pair.s3.address.port);
    client.send('PUT /b/k HTTP/1.1\r\nHost: h\r\nContent-Length: 800000000\r\n\r\n');
    await client.until(/403/);
    const pump = () => {
      while (!client.socket.destroyed && client.socket.write(Buffer.alloc(100_000)));
    };
    client.socket.on('drain', pump);
    pump();
    await client.closed;
    assert.ok(client.socket.bytesWritten < 100_000_000);
  });
});

/** Small and fast, good enough to spread break-off points; printed so that a failure can be repeated. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

test('400 requests broken off anywhere leave no socket, no file handle and no exchange', async (t) => {
  const seed = Number(process.env.ZRING_TEST_SEED ?? Date.now() % 2 ** 31);
  t.diagnostic(`seed ${seed}`);
  const next = random(seed);
  const handles = () => readdirSync('/proc/self/fd').length;
  const before = handles();
  const owner = async (exchange: Exchange) => {
    const step = next();
    if (step < 0.1) return void exchange.request.socket.destroy();
    if (step < 0.2) return void exchange.response.writeHead(403, { 'Content-Length': '0' }).end();
    exchange.proceed();
    try {
      for await (const _ of exchange.request);
    } catch {
      return;
    }
    exchange.response.write(Buffer.alloc(Math.floor(next() * 300_000)));
    if (step < 0.3) exchange.request.socket.destroy();
    else exchange.response.end('end');
  };
  const pair = await startPair({ owner });
  const one = async () => {
    const client = await rawClient(pair.s3.address.port);
    const size = Math.floor(next() ** 3 * 500_000);
    const expect = next() < 0.3 ? 'Expect: 100-continue\r\n' : '';
    const request = `PUT /b/k HTTP/1.1\r\nHost: h\r\n${expect}Content-Length: ${size}\r\n\r\n${'x'.repeat(size)}`;
    client.send(request.slice(0, Math.floor(next() * 1.5 * request.length)));
    for (let turns = Math.floor(next() * 20); turns > 0; turns -= 1) await new Promise((done) => setImmediate(done));
    client.destroy();
    await client.closed;
  };
  for (let round = 0; round < 20; round += 1) await Promise.all(Array.from({ length: 20 }, one));
  // The last word of every exchange is an event on its socket; closing waits for all sockets.
  await pair.close();
  assert.equal(pair.s3.inFlight, 0);
  assert.equal(pair.peer.inFlight, 0);
  assert.equal(pair.s3.connections + pair.peer.connections, 0);
  await new Promise((done) => setImmediate(done));
  assert.ok(handles() <= before, `file handles: ${before} before, ${handles()} after`);
});

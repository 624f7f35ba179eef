// Expect: 100-continue end to end: the owner authorises before the client sends a byte of the body.
import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import type { Exchange } from '../../src/routing/exchange.ts';
import { type Pair, startPair } from './pair.ts';
import { rawClient, statuses } from './raw-client.ts';

let pair: Pair;
afterEach(() => pair.close());

const head = (length: number, more = '') =>
  `PUT /b/k HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: ${length}\r\n${more}\r\n`;

async function readAll(exchange: Exchange): Promise<string> {
  let body = '';
  for await (const chunk of exchange.request as AsyncIterable<Buffer>) body += chunk;
  return body;
}

/** Serves as the owner, straight or behind a hop. */
const ways = ['straight', 'hop'] as const;

async function start(way: (typeof ways)[number], owner: (exchange: Exchange) => Promise<void>): Promise<Pair> {
  pair = await startPair(way === 'hop' ? { owner } : { owner, entry: owner });
  return pair;
}

for (const way of ways) {
  for (const size of [5, 100_000]) {
    test(`${way}, ${size} bytes: 100 comes only once the owner has authorised, then the body`, async () => {
      let authorise = () => {};
      const authorised = new Promise<void>((resolve) => {
        authorise = resolve;
      });
      let arrived = () => {};
      const waiting = new Promise<void>((resolve) => {
        arrived = resolve;
      });
      const seen: unknown[] = [];
      await start(way, async (exchange) => {
        seen.push(exchange.awaitsContinue, exchange.request.headers.expect, exchange.request.readableLength);
        arrived();
        await authorised;
        exchange.proceed();
        exchange.proceed();
        const body = await readAll(exchange);
        exchange.response.writeHead(200, { 'Content-Length': '2' }).end('ok');
        seen.push(body.length);
      });
      const client = await rawClient(pair.s3.address.port);
      client.send(head(size));
      await waiting;
      assert.equal(client.text, '', 'nothing is said before the owner has decided');
      authorise();
      await client.until(/^HTTP\/1.1 100 Continue\r\n\r\n/);
      client.send('x'.repeat(size));
      const text = await client.until(/ok$/);
      assert.deepEqual(statuses(text), [100, 200]);
      assert.deepEqual(seen, [true, '100-continue', 0, size]);
      // The connection is good for another request.
      client.send(head(1));
      await client.until(/100 Continue[\s\S]*100 Continue/);
      client.send('x');
      assert.deepEqual(statuses(await client.until(/ok[\s\S]*ok$/)), [100, 200, 100, 200]);
      client.destroy();
    });
  }

  test(`${way}: a refusal is the final answer, without 100, and ends the connection`, async () => {
    const bodies: string[] = [];
    await start(way, async (exchange) => {
      exchange.response.writeHead(403, { 'Content-Length': '6' }).end('denied');
      exchange.request.on('data', (chunk) => bodies.push(String(chunk)));
    });
    const client = await rawClient(pair.s3.address.port);
    client.send(head(5));
    const text = await client.closed;
    assert.deepEqual(statuses(text), [403]);
    assert.match(text, /Connection: close/);
    assert.match(text, /denied$/);
    assert.deepEqual(bodies, []);
  });

  test(`${way}: what follows a refused expectation is not taken for a request`, async () => {
    const lines: string[] = [];
    await start(way, async (exchange) => {
      lines.push(exchange.request.url ?? '');
      exchange.response.writeHead(403, { 'Content-Length': '0' }).end();
    });
    const client = await rawClient(pair.s3.address.port);
    client.send(`${head(40)}GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n`);
    await client.closed;
    assert.deepEqual(lines, ['/b/k']);
  });

  test(`${way}: a client that does not wait for 100 is served all the same`, async () => {
    await start(way, async (exchange) => {
      exchange.proceed();
      exchange.response.end(await readAll(exchange));
    });
    const client = await rawClient(pair.s3.address.port);
    client.send(`${head(5, 'Connection: close\r\n')}hello`);
    const text = await client.closed;
    assert.deepEqual(statuses(text), [100, 200]);
    assert.match(text, /hello/);
  });
}

test('a large body without Expect waits at the entry until the owner gives the go-ahead', async () => {
  let decide = () => {};
  const decided = new Promise<void>((resolve) => {
    decide = resolve;
  });
  let arrived: (exchange: Exchange) => void = () => {};
  const arrival = new Promise<Exchange>((resolve) => {
    arrived = resolve;
  });
  await start('hop', async (exchange) => {
    arrived(exchange);
    await decided;
    exchange.proceed();
    exchange.response.end(String((await readAll(exchange)).length));
  });
  const client = await rawClient(pair.s3.address.port);
  client.send(
    `PUT /b/k HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 100000\r\n\r\n${'x'.repeat(100_000)}`,
  );
  const exchange = await arrival;
  assert.equal(exchange.awaitsContinue, true);
  assert.equal(exchange.request.headers.expect, undefined, 'the client did not send it');
  assert.equal(exchange.request.readableLength, 0, 'no byte of the body has left the entry');
  assert.equal(exchange.request.readableDidRead, false, 'the owner sees an untouched request');
  decide();
  const text = await client.closed;
  assert.deepEqual(statuses(text), [200], 'the client, which did not ask, gets no 100');
  assert.match(text, /100000/);
});

test('an owner at work for long says so, and is not given up', async () => {
  let finish = () => {};
  const finished = new Promise<void>((resolve) => {
    finish = resolve;
  });
  const owner = async (exchange: Exchange) => {
    await finished;
    exchange.response.end('late');
  };
  // undici counts in whole seconds: without a sign of life within 1 s (checked at up to 2 s) the hop would be cut.
  pair = await startPair({ owner, hopLimits: { headTimeoutMs: 1000, heartbeatMs: 100 } });
  const answer = fetch(`http://127.0.0.1:${pair.s3.address.port}/`);
  setTimeout(finish, 3000);
  assert.equal(await (await answer).text(), 'late');
});

test('an owner that says nothing is given up after the head timeout', async () => {
  pair = await startPair({ owner: () => {}, hopLimits: { headTimeoutMs: 1000, heartbeatMs: 3_600_000 } });
  assert.equal((await fetch(`http://127.0.0.1:${pair.s3.address.port}/`)).status, 503);
  const [outcome] = pair.outcomes;
  assert.ok(outcome?.kind === 'unreachable' && outcome.replayable);
});

// The S3 listener's own rules over real sockets: progress instead of fixed time-outs, limits, graceful close. Time-outs
// are short here and only ever end what is meant to stall; what must not be cut makes progress for longer than they last.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { afterEach, test } from 'node:test';
import type { Exchange } from '../../src/routing/exchange.ts';
import type { ListenerLimits } from '../../src/routing/limits.ts';
import { createS3Listener, type ExchangeHandler, type Listener } from '../../src/routing/listeners.ts';
import { refuseNotOwner } from '../../src/routing/refuse-not-owner.ts';
import { silentLogger } from '../../src/telemetry/log.ts';
import { createMetrics } from '../../src/telemetry/metrics.ts';
import { LOOPBACK } from './pair.ts';
import { rawClient, rawTalk, statuses } from './raw-client.ts';

let listener: Listener;
let metrics: ReturnType<typeof createMetrics>;

async function listen(handler: ExchangeHandler, limits: Partial<ListenerLimits> = {}): Promise<number> {
  metrics = createMetrics();
  listener = await createS3Listener({ listen: LOOPBACK, tls: null, handler, limits, metrics, log: silentLogger() });
  return listener.address.port;
}

afterEach(async () => {
  await listener.close(0);
  metrics.stop();
});

const ok: ExchangeHandler = ({ response }) => void response.writeHead(200, { 'Content-Length': '2' }).end('ok');
const GET = 'GET / HTTP/1.1\r\nHost: h\r\n\r\n';

const echo: ExchangeHandler = async ({ request, response }) => {
  let bytes = 0;
  try {
    for await (const chunk of request as AsyncIterable<Buffer>) bytes += chunk.length;
  } catch {
    return;
  }
  response.end(`got ${bytes}`);
};

function held() {
  let give: (exchange: Exchange) => void = () => {};
  const exchange = new Promise<Exchange>((resolve) => {
    give = resolve;
  });
  return { handler: (one: Exchange) => give(one), exchange };
}

test('a body that stops is cut with RequestTimeout, and the handler is told', async () => {
  const { handler, exchange } = held();
  const port = await listen(handler, { progressTimeoutMs: 100 });
  const client = await rawClient(port);
  client.send('PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nhalf');
  const stuck = await exchange;
  stuck.request.on('error', () => {}).resume();
  const text = await client.closed;
  assert.match(text, /^HTTP\/1.1 400 [\s\S]*<Code>RequestTimeout<\/Code>/);
  assert.ok(stuck.signal.aborted);
  assert.match(await metrics.text(), /zring_s3_malformed_requests_total\{reason="stalled-body"\} 1/);
});

test('a body that goes on slowly is not cut, however long it takes', async () => {
  const port = await listen(echo, { progressTimeoutMs: 400 });
  const client = await rawClient(port);
  client.send('PUT / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 12\r\n\r\n');
  // Three times the time-out in all; each pause is a quarter of it.
  for (let i = 0; i < 12; i += 1) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    client.send('x');
  }
  assert.match(await client.closed, /got 12/);
});

test('a reader that stops is cut', async () => {
  const port = await listen(({ response }) => void response.end(Buffer.alloc(64 * 1024 * 1024)), {
    progressTimeoutMs: 300,
  });
  const client = await rawClient(port);
  client.socket.pause();
  client.send(GET);
  await new Promise<void>((resolve) => {
    const check = () => (listener.connections === 0 ? resolve() : setTimeout(check, 20));
    setTimeout(check, 20);
  });
  client.destroy();
  assert.match(await metrics.text(), /reason="stalled-reader"\} 1/);
});

test('a handler that takes longer than the progress time-out is not the client’s fault', async () => {
  const { handler, exchange } = held();
  const port = await listen(handler, { progressTimeoutMs: 50 });
  const client = await rawClient(port);
  client.send(GET);
  const slow = await exchange;
  await new Promise((resolve) => setTimeout(resolve, 300));
  slow.response.end('late');
  await client.until(/late$/);
  client.destroy();
});

test('a client that waits for 100 is not blamed for sending nothing', async () => {
  const { handler, exchange } = held();
  const port = await listen(handler, { progressTimeoutMs: 50 });
  const client = await rawClient(port);
  client.send('PUT / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n');
  const slow = await exchange;
  await new Promise((resolve) => setTimeout(resolve, 300));
  slow.proceed();
  await client.until(/100 Continue/);
  client.send('x');
  await once(slow.request.resume(), 'end');
  slow.response.end('late');
  await client.until(/late$/);
  client.destroy();
});

test('a head that does not come, or comes byte by byte, is cut', async () => {
  const port = await listen(ok, { headTimeoutMs: 200 });
  const silent = await rawClient(port);
  const slow = await rawClient(port);
  slow.send('GET / HTTP/1.1\r\nHost: ');
  const drip = setInterval(() => slow.send('h'), 50);
  assert.match(await slow.closed, /<Code>RequestTimeout<\/Code>/);
  clearInterval(drip);
  await silent.closed;
});

test('an idle connection is closed after the keep-alive time', async () => {
  const port = await listen(ok, { keepAliveMs: 50 });
  const client = await rawClient(port);
  client.send(GET);
  assert.deepEqual(statuses(await client.closed), [200]);
});

test('more connections than allowed are dropped at once, and counted', async () => {
  const port = await listen(ok, { connectionsMax: 2 });
  const first = [await rawClient(port), await rawClient(port)];
  for (const client of first) client.send(GET);
  for (const client of first) await client.until(/ok$/);
  const third = await rawClient(port);
  assert.equal(await third.closed, '');
  assert.match(await metrics.text(), /reason="connections"\} 1/);
  for (const client of first) client.destroy();
});

test('more requests at once on one connection than allowed are refused, the earlier ones answered', async () => {
  const { handler, exchange } = held();
  const port = await listen(handler, { pipelinedMax: 1 });
  const client = await rawClient(port);
  client.send(`${GET}${GET}${GET}`);
  (await exchange).response.end('one');
  assert.deepEqual(statuses(await client.closed), [200, 400]);
});

test('close: idle connections at once, what is in flight finishes with Connection: close, nothing new', async () => {
  const { handler, exchange } = held();
  const port = await listen(handler);
  const untouched = await rawClient(port);
  const busy = await rawClient(port);
  busy.send(GET);
  const last = await exchange;
  const closing = listener.close(60_000);
  await untouched.closed;
  await assert.rejects(rawClient(port), { code: 'ECONNREFUSED' });
  last.response.end('finished');
  const text = await busy.closed;
  assert.match(text, /Connection: close/);
  assert.match(text, /finished$/);
  await closing;
  assert.equal(listener.connections, 0);
});

test('close: a request that comes on an open connection meanwhile is answered, and is the last', async () => {
  let answer = () => {};
  const lines: (string | undefined)[] = [];
  const port = await listen(({ request, response }) => {
    lines.push(request.url);
    if (request.url === '/1') answer = () => response.write('one');
    response.end(request.url === '/1' ? undefined : 'two');
  });
  answer();
  const client = await rawClient(port);
  client.send('GET /1 HTTP/1.1\r\nHost: h\r\n\r\nGET /2');
  await client.until(/200/);
  const closing = listener.close(60_000);
  client.send(' HTTP/1.1\r\nHost: h\r\n\r\n');
  const text = await client.closed;
  await closing;
  assert.deepEqual(lines, ['/1', '/2']);
  assert.match(text, /Connection: close[\s\S]*two$/);
});

test('close: after the grace the rest is cut', async () => {
  const { handler, exchange } = held();
  const port = await listen(handler);
  const client = await rawClient(port);
  client.send(GET);
  const stuck = await exchange;
  await listener.close(50);
  await client.closed;
  assert.ok(stuck.signal.aborted);
});

test('a handler that throws: 500 with the request id; after the head: a cut', async () => {
  const port = await listen(async ({ request, response }) => {
    if (request.url === '/late') response.writeHead(200, { 'Content-Length': '10' }).write('half');
    throw new Error('bug');
  });
  assert.match(
    await rawTalk(port, GET),
    /^HTTP\/1.1 500 [\s\S]*<Code>InternalError<\/Code>[\s\S]*<RequestId>[0-9A-F]{16}/,
  );
  assert.doesNotMatch(await rawTalk(port, GET), /bug/);
  assert.match(await rawTalk(port, GET.replace('/', '/late')), /half$/);
});

test('pipelined requests take turns: none begins before the one in front of it has ended', async () => {
  const begun: Exchange[] = [];
  const port = await listen(async (exchange) => {
    begun.push(exchange);
    for await (const _ of exchange.request);
    if (exchange.request.method === 'PUT') await new Promise((done) => setImmediate(() => setImmediate(done)));
    assert.equal(begun.at(-1), exchange, 'overtaken');
    exchange.response.end(`${exchange.request.url}`);
  });
  const put = 'PUT /1 HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nab';
  const text = await rawTalk(port, `${put}GET /2 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n`);
  assert.match(text, /\/1HTTP[\s\S]*\/2$/);
});

test('the signal fires when the sender goes; what waited behind is never begun', async () => {
  const exchanges: Exchange[] = [];
  const { handler, exchange } = held();
  const port = await listen((one) => {
    exchanges.push(one);
    handler(one);
  });
  const client = await rawClient(port);
  client.send(`${GET}${GET}`);
  const { signal } = await exchange;
  assert.equal(signal.aborted, false);
  client.destroy();
  if (!signal.aborted) await once(signal, 'abort');
  await listener.close(0);
  assert.equal(exchanges.length, 1);
});

test('request ids differ, and are S3’s 16 hex digits', async () => {
  const ids = new Set<string>();
  const port = await listen((exchange) => {
    ids.add(exchange.requestId);
    ok(exchange);
  });
  for (let i = 0; i < 30; i += 1)
    await rawTalk(port, GET.repeat(19) + GET.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n'));
  assert.equal(ids.size, 600);
  for (const id of ids) assert.match(id, /^[0-9A-F]{16}$/);
});

test('a typed refusal to a client is a bug, not an answer', async () => {
  let thrown: unknown;
  const port = await listen((exchange) => {
    try {
      refuseNotOwner(exchange, { epoch: 1, owner: null, term: null });
    } catch (error) {
      thrown = error;
    }
    ok(exchange);
  });
  await rawTalk(port, GET.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n'));
  assert.match(String(thrown), /for peers only/);
});

test('a port that is taken is named', async () => {
  const port = await listen(ok);
  const again = createS3Listener({
    listen: { host: '127.0.0.1', port },
    tls: null,
    handler: ok,
    metrics,
    log: silentLogger(),
  });
  await assert.rejects(again, {
    code: 'CONFIG_INVALID',
    message: `the s3 listener cannot bind 127.0.0.1:${port}: EADDRINUSE`,
  });
});

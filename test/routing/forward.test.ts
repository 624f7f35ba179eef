// The forwarder over real sockets: what arrives at the owner, what comes back, which outcomes can be tried again.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { test } from 'node:test';
import { isZringError } from '../../src/common/errors.ts';
import type { Exchange } from '../../src/routing/exchange.ts';
import { refuseNotOwner } from '../../src/routing/refuse-not-owner.ts';
import { route } from '../../src/routing/route.ts';
import { closedPort, type PairOptions, startPair } from './pair.ts';
import { rawClient, rawTalk, statuses } from './raw-client.ts';

async function withPair(options: PairOptions, run: (pair: Awaited<ReturnType<typeof startPair>>) => Promise<void>) {
  const pair = await startPair(options);
  try {
    await run(pair);
  } finally {
    await pair.close();
  }
}

const url = (pair: { s3: { address: { port: number } } }, path: string) =>
  `http://127.0.0.1:${pair.s3.address.port}${path}`;

async function digestOwner(exchange: Exchange): Promise<void> {
  exchange.proceed();
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const chunk of exchange.request as AsyncIterable<Buffer>) {
    hash.update(chunk);
    bytes += chunk.length;
  }
  const { headers } = exchange.request;
  const told = {
    bytes,
    sha256: hash.digest('hex'),
    length: headers['content-length'],
    coding: headers['transfer-encoding'],
  };
  exchange.response.writeHead(200, { 'x-told': JSON.stringify(told), 'Content-Length': '0' }).end();
}

const SIZES = [0, 1, 65_535, 65_536, 65_537, 1_000_003, 8 * 1024 * 1024];

test('bodies of every size arrive whole, framed as they were sent', async () => {
  await withPair({ owner: digestOwner }, async (pair) => {
    for (const size of SIZES) {
      const body = Buffer.alloc(size, `size ${size} `);
      const sha256 = createHash('sha256').update(body).digest('hex');
      const known = await fetch(url(pair, '/b/k'), { method: 'PUT', body });
      assert.deepEqual(JSON.parse(known.headers.get('x-told') ?? ''), { bytes: size, sha256, length: String(size) });
      // fetch sends an empty stream as Content-Length: 0; the raw-socket table has the empty chunked body.
      if (size === 0) continue;
      const streamed = await fetch(url(pair, '/b/k'), {
        method: 'PUT',
        body: new Blob([body]).stream(),
        duplex: 'half',
      } as RequestInit);
      assert.deepEqual(JSON.parse(streamed.headers.get('x-told') ?? ''), { bytes: size, sha256, coding: 'chunked' });
    }
  });
});

test('what the owner is told about the sender: id, address, entry node, epoch', async () => {
  const seen: Exchange[] = [];
  const owner = (exchange: Exchange) => {
    seen.push(exchange);
    exchange.response.writeHead(204, { 'x-amz-request-id': exchange.requestId }).end();
  };
  await withPair({ owner }, async (pair) => {
    const answer = await fetch(url(pair, '/b/k'));
    const [exchange] = seen;
    assert.match(exchange?.requestId ?? '', /^[0-9A-F]{16}$/);
    assert.equal(answer.headers.get('x-amz-request-id'), exchange?.requestId);
    assert.deepEqual(exchange?.origin, { kind: 'peer', node: 'entry', epoch: 7, address: '127.0.0.1', secure: false });
  });
});

test('answers without body: HEAD keeps its length, 304 and 204 have none, and the connection goes on', async () => {
  const owner = ({ request, response }: Exchange) => {
    if (request.method === 'HEAD') response.writeHead(200, { 'Content-Length': '12345' }).end();
    else if (request.url === '/304') response.writeHead(304, { ETag: '"e"' }).end();
    else if (request.url === '/204') response.writeHead(204).end();
    else response.writeHead(200, 'Fine Indeed', { 'Content-Length': '2' }).end('ok');
  };
  await withPair({ owner }, async (pair) => {
    const client = await rawClient(pair.s3.address.port);
    for (const line of ['HEAD /h', 'GET /304', 'GET /204', 'GET /last'])
      client.send(`${line} HTTP/1.1\r\nHost: h\r\n\r\n`);
    const text = await client.until(/\r\n\r\nok$/);
    assert.deepEqual(statuses(text), [200, 304, 204, 200]);
    const [head = '', notModified = '', noContent = ''] = text.split(/(?=HTTP\/1\.1)/);
    assert.match(head, /^HTTP\/1.1 200 OK\r\n[\s\S]*Content-Length: 12345\r\n[\s\S]*\r\n\r\n$/);
    assert.match(notModified, /ETag: "e"/);
    assert.doesNotMatch(notModified + noContent, /content-length|transfer-encoding/i);
    assert.match(text, /200 Fine Indeed/);
    client.destroy();
  });
});

test('connections to the owner are kept, after HEAD and after a body on DELETE too', async () => {
  const ports = new Set<number>();
  const owner = async (exchange: Exchange) => {
    ports.add(exchange.request.socket.remotePort ?? 0);
    await digestOwner(exchange);
  };
  await withPair({ owner }, async (pair) => {
    for (const method of ['GET', 'HEAD', 'DELETE', 'PUT', 'GET', 'HEAD', 'DELETE', 'GET']) {
      const body = method === 'DELETE' || method === 'PUT' ? 'abc' : null;
      await (await fetch(url(pair, '/b/k'), { method, body })).arrayBuffer();
    }
    assert.equal(ports.size, 1);
  });
});

test('an answer without length is chunked again, and its trailer fields are relayed', async () => {
  const owner = ({ response }: Exchange) => {
    response.writeHead(200, { Trailer: 'x-sum' });
    response.write('one');
    response.addTrailers({ 'x-sum': '42' });
    response.end('two');
  };
  await withPair({ owner }, async (pair) => {
    const text = await rawTalk(pair.s3.address.port, 'GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n');
    assert.match(text, /Transfer-Encoding: chunked/i);
    assert.match(text, /\r\n3\r\none\r\n3\r\ntwo\r\n0\r\nx-sum: 42\r\n\r\n$/);
  });
});

test('an answer without length to HTTP/1.0 ends with the connection', async () => {
  await withPair({ owner: ({ response }) => void response.end('whole') }, async (pair) => {
    const text = await rawTalk(pair.s3.address.port, 'GET / HTTP/1.0\r\nHost: h\r\n\r\n');
    assert.match(text, /\r\n\r\nwhole$/);
  });
});

const refusal = { epoch: 9, owner: 'c', term: '4@c' };

for (const [name, body, replayable] of [
  ['without body', null, true],
  ['with a small body', Buffer.alloc(100), true],
  ['with a large body', Buffer.alloc(1_000_000), true],
] as const) {
  test(`not owner, request ${name}: the details come back and it can be sent again`, async () => {
    await withPair({ owner: (exchange) => refuseNotOwner(exchange, refusal) }, async (pair) => {
      const answer = await fetch(url(pair, '/b/k'), { method: body ? 'PUT' : 'GET', body });
      assert.equal(answer.status, 503);
      assert.deepEqual(pair.outcomes, [{ kind: 'not-owner', details: refusal, replayable }]);
    });
  });
}

test('not owner after the go-ahead: bytes of the body are gone, so it is not replayable', async () => {
  const owner = async (exchange: Exchange) => {
    exchange.proceed();
    await once(exchange.request, 'data');
    refuseNotOwner(exchange, refusal);
  };
  await withPair({ owner }, async (pair) => {
    await fetch(url(pair, '/b/k'), { method: 'PUT', body: Buffer.alloc(1_000_000) });
    assert.deepEqual(pair.outcomes, [{ kind: 'not-owner', details: refusal, replayable: false }]);
  });
});

test('a 421 of another meaning is an answer like any other', async () => {
  await withPair(
    { owner: ({ response }) => void response.writeHead(421, { 'Content-Length': '0' }).end() },
    async (pair) => {
      assert.equal((await fetch(url(pair, '/'))).status, 421);
    },
  );
});

test('nobody listens at the owner: nothing was sent, it can go elsewhere', async () => {
  const upstream = `127.0.0.1:${await closedPort()}`;
  await withPair({ owner: digestOwner, upstream }, async (pair) => {
    await fetch(url(pair, '/b/k'), { method: 'DELETE' });
    const [outcome] = pair.outcomes;
    assert.ok(outcome?.kind === 'unreachable' && outcome.replayable);
    assert.ok(isZringError(outcome.cause, 'NODE_UNREACHABLE'));
  });
});

for (const [method, size, replayable] of [
  ['GET', 0, true],
  ['HEAD', 0, true],
  ['DELETE', 0, false],
  ['PUT', 100, false],
  ['PUT', 100_000, true],
  ['DELETE', 100_000, false],
] as const) {
  test(`the owner dies before an answer to ${method} with ${size} bytes: ${replayable ? '' : 'not '}replayable`, async () => {
    const owner = (exchange: Exchange) => void exchange.request.socket.destroy();
    await withPair({ owner }, async (pair) => {
      await fetch(url(pair, '/b/k'), { method, body: size > 0 ? Buffer.alloc(size) : null });
      const [outcome] = pair.outcomes;
      assert.equal(outcome?.kind === 'unreachable' && outcome.replayable, replayable);
    });
  });
}

test('too many requests to one node are refused, not queued', async () => {
  let release = () => {};
  const gate = new Promise<void>((resolve) => {
    release = resolve;
  });
  const owner = async (exchange: Exchange) => {
    await gate;
    exchange.response.end('ok');
  };
  await withPair({ owner, hopLimits: { requestsPerNodeMax: 2 } }, async (pair) => {
    const first = [fetch(url(pair, '/1')), fetch(url(pair, '/2'))];
    const third = Promise.race(Array.from({ length: 3 }, (_, i) => fetch(url(pair, `/${i + 3}`))));
    assert.equal((await third).status, 503);
    const [outcome] = pair.outcomes;
    assert.ok(outcome?.kind === 'unreachable' && isZringError(outcome.cause, 'LIMIT_EXCEEDED') && outcome.replayable);
    release();
    await Promise.all(first);
  });
});

test('route: one re-route with the same small body, then 503', async () => {
  const bodies: string[] = [];
  const owner = async (exchange: Exchange) => {
    for await (const chunk of exchange.request as AsyncIterable<Buffer>) bodies.push(String(chunk));
    refuseNotOwner(exchange, { epoch: 1, owner: 'other', term: null });
  };
  const decisions: unknown[] = [];
  const entry: NonNullable<PairOptions['entry']> = async (exchange, forwarder) => {
    // The same process stands for both nodes.
    const redirected = {
      ...forwarder,
      forward: (given: Exchange, node: string) => {
        assert.ok(node === 'owner' || node === 'other');
        return forwarder.forward(given, 'owner');
      },
    };
    const locate = () => ({ kind: 'remote', node: 'owner', certain: true }) as const;
    decisions.push(await route(exchange, 'b', { self: 'entry', locate, forwarder: redirected, metrics: pair.metrics }));
    exchange.response.writeHead(503, { 'Content-Length': '0' }).end();
  };
  const pair = await startPair({ owner, entry });
  try {
    await fetch(url(pair, '/b/k'), { method: 'PUT', body: 'small' });
    assert.deepEqual(bodies, ['small', 'small']);
    assert.deepEqual(decisions, [{ kind: 'unavailable', reason: 'node other is not the owner' }]);
    assert.match(await pair.metrics.text(), /zring_hop_reroutes_total 1/);
  } finally {
    await pair.close();
  }
});

test('a peer that is refused at the gate is not shown to the client, and nothing was applied', async () => {
  const secrets = { entry: ['one'], owner: ['other'] };
  await withPair({ owner: digestOwner, secrets }, async (pair) => {
    assert.equal((await fetch(url(pair, '/b/k'), { method: 'DELETE' })).status, 503);
    const [outcome] = pair.outcomes;
    assert.ok(
      outcome?.kind === 'unreachable' && outcome.replayable && isZringError(outcome.cause, 'PEER_UNAUTHENTICATED'),
    );
  });
});

test('the hop is counted: outcome, latency, bytes each way', async () => {
  await withPair(
    { owner: ({ request, response }) => void request.resume().on('end', () => response.end('12345')) },
    async (pair) => {
      await (await fetch(url(pair, '/b/k'), { method: 'PUT', body: 'abc' })).text();
      const text = await pair.metrics.text();
      assert.match(text, /zring_hop_requests_total\{node="owner",outcome="done"\} 1/);
      assert.match(text, /zring_hop_duration_seconds_count\{node="owner"\} 1/);
      assert.match(text, /zring_hop_bytes_total\{direction="to-owner"\} 3/);
      assert.match(text, /zring_hop_bytes_total\{direction="to-client"\} 5/);
    },
  );
});

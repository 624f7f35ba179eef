// Control calls and streams between nodes, and the gate of the peer listener, over real sockets.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { type ErrorCode, isZringError, ZringError } from '../../src/common/errors.ts';
import type { PeerMethods } from '../../src/common/peer.ts';
import { formatHop } from '../../src/routing/hop.ts';
import { createPeerAuth } from '../../src/routing/peer-auth.ts';
import { closedPort, type Pair, type PairOptions, startPair, systemClock } from './pair.ts';
import { rawClient, rawTalk } from './raw-client.ts';

const never = () => new Promise<never>(() => {});

async function withPair(options: Partial<PairOptions>, run: (pair: Pair) => Promise<void>) {
  const pair = await startPair({ owner: () => assert.fail('no S3 request was sent'), ...options });
  try {
    await run(pair);
  } finally {
    await pair.close();
  }
}

const calls = (table: PeerMethods['calls']): { methods: PeerMethods } => ({ methods: { calls: table, streams: {} } });
const streams = (table: PeerMethods['streams']): { methods: PeerMethods } => ({
  methods: { calls: {}, streams: table },
});

async function fails(promise: Promise<unknown>, code: ErrorCode, pattern = /./): Promise<ZringError> {
  let caught: unknown;
  await promise.catch((error) => {
    caught = error;
  });
  assert.ok(isZringError(caught, code), `expected ${code}, got ${caught instanceof Error ? caught.stack : caught}`);
  assert.match(caught.message, pattern);
  return caught;
}

test('a call: JSON both ways, and who calls', async () => {
  await withPair(
    calls({ echo: async (input, from) => ({ input, from }), nothing: async () => undefined }),
    async ({ control }) => {
      const input = { text: 'größe 文', list: [1, null, true] };
      assert.deepEqual(await control.call('owner', 'echo', input), { input, from: 'entry' });
      assert.equal(await control.call('owner', 'nothing', null), null);
    },
  );
});

test('the remote error comes back with code, message, subject and details', async () => {
  const thrown = new ZringError('NOT_OWNER', 'not mine', {
    subject: 'photos',
    details: { epoch: 4, owner: 'c', term: null },
  });
  const methods = calls({
    refuse: async () => Promise.reject(thrown),
    bug: async () => Promise.reject(new TypeError('secret detail')),
    alien: async () => Promise.reject(Object.assign(thrown, { code: 'FROM_THE_FUTURE' })),
  });
  await withPair(methods, async ({ control }) => {
    const error = await fails(control.call('owner', 'refuse', {}), 'NOT_OWNER', /^not mine$/);
    assert.equal(error.subject, 'photos');
    assert.deepEqual(error.details, { epoch: 4, owner: 'c', term: null });
    await fails(control.call('owner', 'bug', {}), 'INTERNAL', /^internal error$/);
    await fails(control.call('owner', 'alien', {}), 'PEER_PROTOCOL', /FROM_THE_FUTURE/);
  });
});

test('an unknown method, also one that every object has', async () => {
  await withPair(calls({}), async ({ control }) => {
    await fails(control.call('owner', 'missing', {}), 'PEER_PROTOCOL', /no control method "missing"/);
    await fails(control.call('owner', 'toString', {}), 'PEER_PROTOCOL');
    await fails(control.call('owner', '../../x', {}), 'PEER_PROTOCOL');
  });
});

test('a node that is not in the map, and one that does not listen', async () => {
  await withPair({ upstream: `127.0.0.1:${await closedPort()}` }, async ({ control }) => {
    await fails(control.call('owner', 'x', {}), 'NODE_UNREACHABLE', /ECONNREFUSED/);
    await fails(control.call('other', 'x', {}), 'NODE_UNREACHABLE', /no such node/);
  });
});

test('a call that takes too long', async () => {
  await withPair(calls({ slow: never }), async ({ control }) => {
    await fails(control.call('owner', 'slow', {}, { timeoutMs: 50 }), 'NODE_UNREACHABLE', /longer than 50 ms/);
  });
});

test('a call given up: before it began, and while it runs', async () => {
  let begun = () => {};
  const running = new Promise<void>((resolve) => {
    begun = resolve;
  });
  const slow = () => {
    begun();
    return never();
  };
  await withPair(calls({ slow }), async ({ control }) => {
    await fails(control.call('owner', 'slow', {}, { signal: AbortSignal.abort() }), 'ABORTED');
    const giveUp = new AbortController();
    const call = control.call('owner', 'slow', {}, { signal: giveUp.signal });
    await running;
    giveUp.abort();
    await fails(call, 'ABORTED');
  });
});

test('messages beyond the limit are refused on both sides', async () => {
  const big = 'x'.repeat(2000);
  await withPair({ ...calls({ grow: async () => big }), hopLimits: { controlBytesMax: 1000 } }, async ({ control }) => {
    await fails(control.call('owner', 'grow', big), 'LIMIT_EXCEEDED', /request of grow/);
    await fails(control.call('owner', 'grow', ''), 'LIMIT_EXCEEDED', /answer of grow/);
  });
});

test('a stream: head, then every byte, and the receiver sets the pace', async () => {
  const chunk = Buffer.alloc(64 * 1024, 'stream');
  const count = 1024;
  let produced = 0;
  const send = async (input: unknown, from: string) => ({
    head: { input, from, ö: '文' },
    body: Readable.from(
      (function* () {
        for (; produced < count; produced += 1) yield chunk;
      })(),
    ),
  });
  await withPair(streams({ send }), async ({ control }) => {
    const { head, body } = await control.stream('owner', 'send', { since: 's1' });
    assert.deepEqual(head, { input: { since: 's1' }, from: 'entry', ö: '文' });
    await once(body, 'readable');
    for (let last = -1; last !== produced; ) {
      last = produced;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    assert.ok(produced < count, 'it waits for a receiver that does not read');
    const hash = createHash('sha256');
    let bytes = 0;
    for await (const part of body as AsyncIterable<Buffer>) {
      hash.update(part);
      bytes += part.length;
    }
    assert.equal(bytes, count * chunk.length);
    const expected = createHash('sha256');
    for (let i = 0; i < count; i += 1) expected.update(chunk);
    assert.equal(hash.digest('hex'), expected.digest('hex'));
  });
});

test('an empty stream ends cleanly', async () => {
  await withPair(streams({ none: async () => ({ head: null, body: Readable.from([]) }) }), async ({ control }) => {
    const { head, body } = await control.stream('owner', 'none', {});
    assert.equal(head, null);
    for await (const _ of body) assert.fail('no bytes expected');
  });
});

test('a stream refused before it began', async () => {
  const refuse = async () => Promise.reject(new ZringError('SNAPSHOT_NOT_FOUND', 'no s1'));
  await withPair(streams({ refuse }), async ({ control }) => {
    await fails(control.stream('owner', 'refuse', {}), 'SNAPSHOT_NOT_FOUND', /no s1/);
  });
});

test('a stream whose source breaks is an error, never an end', async () => {
  const broken = async () => ({
    head: {},
    body: Readable.from(
      (async function* () {
        yield Buffer.alloc(100_000);
        throw new Error('pool suspended');
      })(),
    ),
  });
  await withPair(streams({ broken }), async ({ control }) => {
    const { body } = await control.stream('owner', 'broken', {});
    const ended = (async () => {
      for await (const _ of body);
    })();
    await fails(ended, 'NODE_UNREACHABLE');
  });
});

test('a receiver that gives up ends the source and the handler hears of it', async () => {
  let told: AbortSignal | undefined;
  const source = new Readable({ read() {} });
  source.push(Buffer.alloc(1000));
  source.on('error', () => {});
  const endless = async (_input: unknown, _from: string, signal: AbortSignal) => {
    told = signal;
    return { head: {}, body: source };
  };
  await withPair(streams({ endless }), async ({ control }) => {
    const { body } = await control.stream('owner', 'endless', {});
    await once(body, 'data');
    body.on('error', () => {});
    body.destroy();
    await new Promise((closed) => source.on('close', closed));
    if (!told?.aborted) await once(told as AbortSignal, 'abort');
  });
});

test('a signal ends a stream that is under way', async () => {
  const source = new Readable({ read() {} });
  await withPair(streams({ endless: async () => ({ head: {}, body: source }) }), async ({ control }) => {
    const giveUp = new AbortController();
    const { body } = await control.stream('owner', 'endless', {}, { signal: giveUp.signal });
    giveUp.abort();
    await fails(once(body, 'end'), 'ABORTED');
  });
});

test('a call of a stream, and a stream of a call', async () => {
  const methods: PeerMethods = {
    calls: { one: async () => 1 },
    streams: { many: async () => ({ head: {}, body: Readable.from(['x']) }) },
  };
  await withPair({ methods }, async ({ control }) => {
    await fails(control.stream('owner', 'one', {}), 'PEER_PROTOCOL', /without a stream/);
    await fails(control.call('owner', 'many', {}), 'PEER_PROTOCOL', /a stream, not a call/);
  });
});

test('other secrets: refused, and the caller is told', async () => {
  await withPair({ ...calls({ x: async () => 1 }), secrets: { entry: ['a'], owner: ['b'] } }, async ({ control }) => {
    await fails(control.call('owner', 'x', {}), 'PEER_UNAUTHENTICATED', /node entry does not fit any cluster secret/);
  });
});

test('clocks apart: refused, and the caller is told by how much', async () => {
  const entry = { wallMs: () => Date.now() - 600_000, monotonicMs: () => 0 };
  await withPair({ ...calls({ x: async () => 1 }), clocks: { entry } }, async ({ control }) => {
    await fails(control.call('owner', 'x', {}), 'PEER_UNAUTHENTICATED', /clock of node entry is 600 s behind/);
  });
});

test('releases N and N+1 talk in version N; a message in N+1 to N is refused by name', async () => {
  const version2Only: [number, number] = [2, 2];
  await withPair({ ...calls({ x: async () => 1 }), versions: { entry: [2, 1] } }, async ({ control }) => {
    assert.equal(await control.call('owner', 'x', {}), 1);
    assert.equal(await control.call('owner', 'x', {}), 1, 'also after it has heard of the other');
  });
  await withPair({ ...calls({ x: async () => 1 }), versions: { owner: [2, 1] } }, async ({ control }) => {
    assert.equal(await control.call('owner', 'x', {}), 1);
  });
  await withPair({ ...calls({ x: async () => 1 }), versions: { entry: version2Only } }, async ({ control }) => {
    await fails(control.call('owner', 'x', {}), 'VERSION_UNSUPPORTED', /node entry speaks version 2 .* understands 1/);
  });
});

function signedControl(body: string, options: { to?: string; sentBody?: string; target?: string } = {}): string {
  const target = '/_zring/v1/count';
  const hop = formatHop({
    kind: 'control',
    version: 1,
    versionMax: 1,
    from: 'entry',
    to: options.to ?? 'owner',
    requestId: '0123456789ABCDEF',
    bodySha256: createHash('sha256').update(body).digest('hex'),
  });
  const auth = createPeerAuth({ secrets: ['secret'], clock: systemClock, clockWindowMs: 300_000, noncesMax: 10 });
  const sent = options.sentBody ?? body;
  return (
    `POST ${options.target ?? target} HTTP/1.1\r\nHost: h\r\nContent-Length: ${sent.length}\r\nzring-hop: ${hop}\r\n` +
    `zring-auth: ${auth.sign({ method: 'POST', target, hop })}\r\nConnection: close\r\n\r\n${sent}`
  );
}

test('the gate: what is not signed for exactly this, by a node, once, is not done', async () => {
  let count = 0;
  const count_ = async () => {
    count += 1;
    return count;
  };
  await withPair(calls({ count: count_, other: count_ }), async (pair) => {
    const { port } = pair.peer.address;
    const good = signedControl('{}');
    assert.match(await rawTalk(port, good), /"result":1/);
    assert.match(await rawTalk(port, good), /401[\s\S]*second time/, 'a replay');
    assert.match(await rawTalk(port, signedControl('{}', { sentBody: '[]' })), /not the one signed/, 'another body');
    assert.match(await rawTalk(port, signedControl('{}', { target: '/_zring/v1/other' })), /401/, 'another method');
    assert.match(await rawTalk(port, signedControl('{}', { to: 'c' })), /meant node c and reached node owner/);
    const bare = good.replace(/zring-(hop|auth): [^\r]*\r\n/g, '');
    assert.match(await rawTalk(port, bare), /401[\s\S]*this listener is for nodes/);
    const twice = signedControl('{}').replace(/(zring-hop: [^\r]*\r\n)/, '$1$1');
    assert.match(await rawTalk(port, twice), /more than once/);
    const plain = await rawTalk(port, 'GET /bucket/key HTTP/1.1\r\nHost: h\r\n\r\n');
    assert.match(plain, /^HTTP\/1.1 401[\s\S]*Connection: close/, 'an S3 client at the peer listener');
    assert.equal(count, 1);
    assert.match(await pair.metrics.text(), /zring_peer_refused_requests_total\{reason="PEER_UNAUTHENTICATED"\} 4/);
  });
});

test('a forwarded body whose framing is not the announced one is refused', async () => {
  await withPair({}, async (pair) => {
    const hop = formatHop({
      kind: 'forward',
      version: 1,
      versionMax: 1,
      from: 'entry',
      to: 'owner',
      requestId: '0123456789ABCDEF',
      epoch: 1,
      address: '::1',
      secure: false,
      expects: false,
      body: { kind: 'stream', length: 10 },
    });
    const auth = createPeerAuth({ secrets: ['secret'], clock: systemClock, clockWindowMs: 300_000, noncesMax: 10 });
    const parts = { method: 'PUT', target: '/b/k', hop };
    const head = () =>
      `PUT /b/k HTTP/1.1\r\nHost: h\r\nzring-hop: ${hop}\r\nzring-auth: ${auth.sign(parts)}\r\nContent-Length: `;
    assert.match(await rawTalk(pair.peer.address.port, `${head()}10\r\n\r\n0123456789`), /framing of a forwarded body/);
    assert.match(await rawTalk(pair.peer.address.port, `${head()}11\r\n\r\n0123456789a`), /lacks its first byte/);
    const client = await rawClient(pair.peer.address.port);
    client.send(`${head()}11\r\n\r\n`);
    client.socket.end();
    await client.closed;
  });
});

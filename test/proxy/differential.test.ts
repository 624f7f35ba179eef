// Mutated requests, straight and through a hop: the owner must take the same requests on both ways, whatever the bytes.
// Seeded; the seed is printed, ZRING_TEST_SEED repeats a run, ZRING_TEST_ROUNDS makes it longer.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { createS3Listener, type Listener } from '../../src/routing/listeners.ts';
import { silentLogger } from '../../src/telemetry/log.ts';
import { createMetrics } from '../../src/telemetry/metrics.ts';
import { LOOPBACK, type Pair, startPair } from '../routing/pair.ts';
import { rawTalk, statuses } from '../routing/raw-client.ts';
import { Recorder } from './recorder.ts';

const ROUNDS = Number(process.env.ZRING_TEST_ROUNDS ?? 300);

const SEEDS = [
  'GET /b/k?x=1 HTTP/1.1\r\nHost: s3.test\r\nRange: bytes=0-1\r\n\r\n',
  'PUT /b/k HTTP/1.1\r\nHost: s3.test\r\nContent-Length: 11\r\nx-amz-meta-a: b\r\n\r\nhello world',
  'PUT /b/k HTTP/1.1\r\nHost: s3.test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;a=b\r\n world\r\n0\r\n\r\n',
  'DELETE /b/k HTTP/1.1\r\nHost: s3.test\r\nConnection: keep-alive, x-foo\r\nX-Foo: 1\r\nContent-Length: 0\r\n\r\n',
  'POST /b?delete HTTP/1.1\r\nHost: s3.test\r\nContent-Length: 3\r\nAuthorization: AWS4 SignedHeaders=host, a\r\n\r\n<a>',
];
const PIECES = [
  ...[
    '\r\n',
    '\n',
    '\r',
    ' ',
    '\t',
    '\0',
    ':',
    ',',
    ';',
    '0',
    '\x80',
    '/',
    '#',
    '?',
    '%',
    '\r\n ',
    'zring-hop: v=1\r\n',
  ],
  ...[
    'Content-Length: 5\r\n',
    'Transfer-Encoding: chunked\r\n',
    'Host: evil\r\n',
    'Connection: close\r\n',
    'Connection: host\r\n',
  ],
  ...[
    'chunked',
    'identity',
    'Expect: 100-continue\r\n',
    'HTTP/1.0',
    '0\r\n\r\n',
    'GET /evil HTTP/1.1\r\nHost: e\r\n\r\n',
  ],
];

/** Ends whatever the mutations left open: a chunked body, a length of a few hundred bytes; then asks for the end. */
const TAIL = `\r\n0\r\n\r\n${'GET /end HTTP/1.1\r\nHost: s3.test\r\nConnection: close\r\n\r\n'.repeat(20)}`;
/** Bodies that are longer still are cut by the listener; rare. */
const listenerLimits = { progressTimeoutMs: 3_000 };

function random(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

function mutate(next: (below: number) => number): string {
  let text = Array.from({ length: 1 + next(2) }, () => SEEDS[next(SEEDS.length)]).join('');
  for (let changes = 1 + next(3); changes > 0; changes -= 1) {
    const at = next(text.length);
    const end = at + next(8);
    const piece = PIECES[next(PIECES.length)] ?? '';
    const kind = next(4);
    if (kind === 0) text = text.slice(0, at) + text.slice(end);
    else if (kind === 1) text = text.slice(0, at) + piece + text.slice(at);
    else if (kind === 2) text = text.slice(0, at) + piece + text.slice(end);
    // At a line's start, where it is likely to mean something.
    else text = text.slice(0, text.indexOf('\r\n') + 2) + piece + text.slice(text.indexOf('\r\n') + 2);
  }
  return text + TAIL;
}

/** Whether the go-ahead was still sent before a body fell apart is a matter of time. */
const finals = (text: string) => statuses(text).filter((status) => status >= 200);

const recorder = { straight: new Recorder(), hop: new Recorder() };
const metrics = createMetrics();
let straight: Listener;
let pair: Pair;

before(async () => {
  const { handler } = recorder.straight;
  straight = await createS3Listener({
    listen: LOOPBACK,
    tls: null,
    handler,
    metrics,
    log: silentLogger(),
    limits: listenerLimits,
  });
  pair = await startPair({ owner: recorder.hop.handler, listenerLimits });
});

after(async () => {
  await straight.close(0);
  await pair.close();
  metrics.stop();
});

test(`${ROUNDS} mutated requests mean the same straight and through a hop`, async (t) => {
  const seed = Number(process.env.ZRING_TEST_SEED ?? Date.now() % 2 ** 31);
  t.diagnostic(`seed ${seed}`);
  const next = random(seed);
  let taken = 0;
  for (let round = 0; round < ROUNDS; round += 1) {
    const raw = mutate(next);
    const one = await rawTalk(straight.address.port, raw);
    const two = await rawTalk(pair.s3.address.port, raw);
    const seen = { straight: recorder.straight.take(), hop: recorder.hop.take() };
    const context = `seed ${seed}, round ${round}: ${JSON.stringify(raw.slice(0, -TAIL.length))}`;
    assert.deepEqual(seen.hop.whole, seen.straight.whole, context);
    assert.deepEqual(finals(two), finals(one), context);
    taken += seen.hop.whole.length;
  }
  assert.ok(
    taken > ROUNDS / 10 && taken < ROUNDS * 3,
    `${taken} requests were taken: the mutations are neither idle nor fatal`,
  );
});

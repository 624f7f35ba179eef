// A refusal while a large body is still arriving: the client gets the answer whenever it reads, even if it sends all of
// its body first; the connection serves the next request; what arrives after the refusal is kept nowhere. Straight, and
// through a node that does not own the bucket.
import '../../support/in-memory.ts';
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { type RawClient, rawClient, statuses } from '../../routing/raw-client.ts';
import type { MemoryAccess } from '../../support/memory-access.ts';
import { bucketName, s3Fixture } from '../../support/s3-fixture.ts';
import { s3Hop } from '../../support/s3-hop.ts';
import { encodeChunks } from '../protocol/chunks.ts';
import { type HeadRequest, type SignedHead, signedHead } from './signed-head.ts';

const MIB = 1 << 20;
/** Below what a listener discards after an early answer (64 MiB). */
const BODY_BYTES = 48 * MIB;
const PIECE = Buffer.alloc(256 << 10, 'a body that nobody wants ');
/** Buffers of sockets and streams of all clients at once; far below what they send. */
const KEPT_BYTES_MAX = 24 * MIB;
const CLIENTS = 6;

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

function keptBytes(): number {
  collectGarbage();
  return process.memoryUsage().arrayBuffers;
}

interface Way {
  readonly name: string;
  readonly port: number;
  readonly access: MemoryAccess;
}

const Bucket = bucketName('refusal');
const node = await s3Fixture();
const hop = await s3Hop();
const ways: Way[] = [
  { name: 'straight', port: node.port, access: node.access },
  { name: 'through a hop', port: hop.port, access: hop.access },
];
before(async () => {
  await node.raw({ method: 'PUT', path: `/${Bucket}` });
  await hop.create(Bucket);
});

function head(way: Way, request: HeadRequest): SignedHead {
  return signedHead(way.port, request);
}

async function send(client: RawClient, bytes: number, piece = PIECE): Promise<void> {
  for (let sent = 0; sent < bytes; sent += piece.length) {
    if (!client.socket.write(piece.subarray(0, bytes - sent))) await once(client.socket, 'drain');
  }
}

/** Closing an unread connection makes one that was never answered fail; one that was answered ends. */
async function closing(client: RawClient): Promise<string> {
  client.socket.resume();
  return client.closed;
}

const REFUSALS: [name: string, path: string, secret: string, status: number, code: string][] = [
  ['a wrong signature', `/${Bucket}/k`, 'another', 403, 'SignatureDoesNotMatch'],
  ['an upload that does not exist', `/${Bucket}/k?partNumber=1&uploadId=none`, 'admin-secret', 404, 'NoSuchUpload'],
  ['a key that is too long', `/${Bucket}/${'k'.repeat(1025)}`, 'admin-secret', 400, 'KeyTooLongError'],
];

for (const way of ways) {
  describe(way.name, () => {
    for (const [name, path, secret, status, code] of REFUSALS) {
      for (const framing of ['Content-Length', 'chunked'] as const) {
        test(`${name}, ${framing}: answered before the end, and read after it`, async () => {
          const client = await rawClient(way.port);
          const { text } = head(way, { method: 'PUT', path, secret });
          const wire = 8 * MIB;
          if (framing === 'Content-Length') {
            client.send(`${text}Content-Length: ${wire}\r\n\r\n`);
            await client.until(/<\/Error>/);
            client.socket.pause();
            await send(client, wire);
          } else {
            client.send(`${text}Transfer-Encoding: chunked\r\n\r\n`);
            client.socket.pause();
            const chunk = Buffer.concat([Buffer.from(`${PIECE.length.toString(16)}\r\n`), PIECE, Buffer.from('\r\n')]);
            for (let count = wire / PIECE.length; count > 0; count -= 1) await send(client, chunk.length, chunk);
            client.send('0\r\n\r\n');
          }
          const next = head(way, { method: 'GET', path: `/${Bucket}?location` });
          client.send(`${next.text}Connection: close\r\n\r\n`);
          const answers = await closing(client);
          assert.deepEqual(statuses(answers), [status, 200], answers);
          assert.match(answers, new RegExp(`<Code>${code}</Code>`));
        });
      }
    }

    test(`${CLIENTS} refused clients send ${BODY_BYTES / MIB} MiB each: nothing of it is kept`, async () => {
      const clients = await Promise.all(Array.from({ length: CLIENTS }, () => rawClient(way.port)));
      const { text } = head(way, { method: 'PUT', path: `/${Bucket}/k`, secret: 'another' });
      for (const client of clients) client.send(`${text}Content-Length: ${BODY_BYTES}\r\n\r\n`);
      await Promise.all(clients.map((client) => client.until(/<\/Error>/)));
      const before = keptBytes();
      // All but the last byte, so that the requests are still open when the memory is looked at.
      await Promise.all(clients.map((client) => send(client, BODY_BYTES - 1)));
      // What is on its way is gone a moment later; what is kept stays.
      let grown = Number.POSITIVE_INFINITY;
      for (let looks = 0; looks < 20; looks++) {
        grown = Math.min(grown, keptBytes() - before);
        await delay(10);
      }
      assert.ok(grown < KEPT_BYTES_MAX, `${Math.round(grown / MIB)} MiB are kept`);
      const next = head(way, { method: 'GET', path: `/${Bucket}?location` });
      for (const client of clients) client.send(`x${next.text}Connection: close\r\n\r\n`);
      for (const client of clients) assert.deepEqual(statuses(await client.closed), [403, 200]);
    });

    test('chunks that stop being signed in the middle: 403 meanwhile, the old object stays, nothing else does', async () => {
      const store = await way.access.store(Bucket);
      const path = `/${Bucket}/signed`;
      const payload = [Buffer.alloc(64 << 10, 'good'), Buffer.alloc(64 << 10, 'bad')];
      const headers = {
        'x-amz-content-sha256': 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD',
        'x-amz-decoded-content-length': String(payload.reduce((sum, { length }) => sum + length, 0) + 16 * MIB),
        'content-encoding': 'aws-chunked',
      };
      const signed = head(way, { method: 'PUT', path, headers });
      const body = encodeChunks(payload, { signing: signed.signing });
      body[body.indexOf('bad')] = 0x42;
      const client = await rawClient(way.port);
      const before = store.stats();
      client.send(`${signed.text}Content-Length: ${body.length + 16 * MIB}\r\n\r\n`);
      client.send(body.subarray(0, body.lastIndexOf('\r\n0;')));
      await client.until(/<Code>SignatureDoesNotMatch<\/Code>/);
      await send(client, 16 * MIB);
      client.destroy();
      await client.closed;
      assert.deepEqual(store.stats(), before);
      assert.equal(store.head('signed'), null);
    });
  });
}

// Bodies as SDKs frame them, byte by byte on the wire: over plain HTTP, over TLS (where boto3 sends trailers in HTTP chunks
// and no length), and through a node that does not own the bucket. What is refused leaves the object that was there.
import '../../support/in-memory.ts';
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { before, describe, test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { gzipSync } from 'node:zlib';
import { Crc64Nvme } from '@aws-sdk/crc64-nvme';
import { type RawClient, rawClient, statuses, wrapSocket } from '../../routing/raw-client.ts';
import type { MemoryAccess } from '../../support/memory-access.ts';
import { part } from '../../support/parts.ts';
import { bucketName, s3Fixture } from '../../support/s3-fixture.ts';
import { s3Hop } from '../../support/s3-hop.ts';
import { cut, encodeChunks } from '../protocol/chunks.ts';
import { signedHead } from './signed-head.ts';

const Bucket = bucketName('framing');
const withTls = part('openssl');
const plain = await s3Fixture();
const secure = withTls.skip ? null : await s3Fixture({ secure: true });
const hop = await s3Hop();

interface Way {
  readonly port: number;
  readonly access: MemoryAccess;
  connect(): Promise<RawClient>;
}

async function overTls(port: number, ca: Buffer | null): Promise<RawClient> {
  const socket = connectTls({ port, host: '127.0.0.1', ...(ca ? { ca } : {}) });
  await once(socket, 'secureConnect');
  return wrapSocket(socket);
}

const WAYS: Record<string, Way | null> = {
  'plain HTTP': { ...plain, connect: () => rawClient(plain.port) },
  TLS: secure && { ...secure, connect: () => overTls(secure.port, secure.ca) },
  'a hop': { ...hop, connect: () => rawClient(hop.port) },
};

before(async () => {
  for (const node of [plain, secure]) await node?.raw({ method: 'PUT', path: `/${Bucket}` });
  await hop.create(Bucket);
});

const TEXT = Buffer.from('hello');
const LARGE = Buffer.alloc(3 * 8192 + 5, 'three chunks and a bit ');
const CRC32 = 'NhCmhg==';
const OTHER_CRC32 = 'AAAAAA==';
const UNSIGNED_TRAILER = 'STREAMING-UNSIGNED-PAYLOAD-TRAILER';
const SIGNED = 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD';
const SIGNED_TRAILER = 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER';

interface Upload {
  readonly hash: string;
  /** What is uploaded; chunks of a streaming form. */
  readonly chunks: readonly Buffer[];
  readonly headers?: Readonly<Record<string, string>>;
  readonly trailers?: readonly (readonly [string, string])[];
  /** Length that the client claims; null = none is claimed. */
  readonly decoded?: number | null;
  /** What happens to the framed body. */
  readonly damage?: (body: Buffer) => Buffer;
  /** HTTP framing; chunks are cut anywhere. */
  readonly transfer?: 'length' | 'chunked' | 'none';
}

function http(body: Buffer): Buffer {
  // Odd sizes, so that headers of aws-chunked are cut.
  const pieces = cut(body, [1, 2, 40, 90, 100, 8200, body.length - 3, body.length - 1]);
  const framed = pieces.flatMap((one) => [Buffer.from(`${one.length.toString(16)}\r\n`), one, Buffer.from('\r\n')]);
  return Buffer.concat([...framed, Buffer.from('0\r\n\r\n')]);
}

async function talk(way: Way, text: string, body: Buffer = Buffer.alloc(0)): Promise<string> {
  const client = await way.connect();
  client.send(Buffer.concat([Buffer.from(`${text}Connection: close\r\n`, 'latin1'), body]));
  return client.closed;
}

async function put(way: Way, key: string, upload: Upload): Promise<string> {
  const size = upload.chunks.reduce((sum, { length }) => sum + length, 0);
  const streaming = upload.hash.startsWith('STREAMING');
  const decoded = upload.decoded === undefined ? size : upload.decoded;
  const headers = {
    'x-amz-content-sha256': upload.hash,
    ...(streaming && decoded !== null ? { 'x-amz-decoded-content-length': String(decoded) } : {}),
    ...(streaming ? { 'content-encoding': 'aws-chunked' } : {}),
    ...upload.headers,
  };
  const head = signedHead(way.port, { method: 'PUT', path: `/${Bucket}/${key}`, headers });
  const framed = streaming
    ? encodeChunks(upload.chunks, {
        ...(upload.hash === UNSIGNED_TRAILER
          ? {}
          : { signing: head.signing, signTrailer: upload.hash === SIGNED_TRAILER }),
        trailers: upload.trailers ?? [],
      })
    : Buffer.concat(upload.chunks);
  const body = upload.damage?.(framed) ?? framed;
  const { transfer = 'chunked' } = upload;
  if (transfer === 'none') return talk(way, head.text, Buffer.from('\r\n'));
  const line = transfer === 'length' ? `Content-Length: ${body.length}` : 'Transfer-Encoding: chunked';
  return talk(
    way,
    `${head.text}${line}\r\n`,
    Buffer.concat([Buffer.from('\r\n'), transfer === 'length' ? body : http(body)]),
  );
}

function get(way: Way, key: string): Promise<string> {
  const headers = { 'x-amz-checksum-mode': 'ENABLED' };
  return talk(
    way,
    signedHead(way.port, { method: 'GET', path: `/${Bucket}/${key}`, headers }).text,
    Buffer.from('\r\n'),
  );
}

function bodyOf(answer: string): Buffer {
  return Buffer.from(answer.slice(answer.indexOf('\r\n\r\n') + 4), 'latin1');
}

function headerOf(answer: string, name: string): string | null {
  return new RegExp(`^${name}: (.*)\r$`, 'im').exec(answer.slice(0, answer.indexOf('\r\n\r\n') + 2))?.[1] ?? null;
}

const CHUNKS = cut(LARGE, [8192, 8192 * 3]);
const crc32 = { 'x-amz-trailer': 'x-amz-checksum-crc32' };

/** Every form of a body, and the checksum that is told of it (header, value). */
const FORMS: readonly (readonly [name: string, upload: Upload, header?: string, value?: string])[] = [
  [
    'trailer of boto3 over TLS',
    {
      hash: UNSIGNED_TRAILER,
      chunks: [TEXT],
      headers: { ...crc32, 'x-amz-sdk-checksum-algorithm': 'CRC32' },
      trailers: [['x-amz-checksum-crc32', CRC32]],
    },
    'x-amz-checksum-crc32',
    CRC32,
  ],
  ['trailer form without a checksum', { hash: UNSIGNED_TRAILER, chunks: CHUNKS }],
  ['signed chunks', { hash: SIGNED, chunks: CHUNKS }],
  ['signed chunks with a length', { hash: SIGNED, chunks: CHUNKS, transfer: 'length' }],
  [
    'signed chunks and trailer',
    { hash: SIGNED_TRAILER, chunks: [TEXT], headers: crc32, trailers: [['x-amz-checksum-crc32', CRC32]] },
    'x-amz-checksum-crc32',
    CRC32,
  ],
  ['nothing, signed chunks', { hash: SIGNED, chunks: [] }],
  ['nothing, trailer form', { hash: UNSIGNED_TRAILER, chunks: [] }],
  [
    'nothing, with a trailer',
    { hash: UNSIGNED_TRAILER, chunks: [], headers: crc32, trailers: [['x-amz-checksum-crc32', 'AAAAAA==']] },
    'x-amz-checksum-crc32',
    'AAAAAA==',
  ],
  ['nothing, hashed', { hash: createHash('sha256').digest('hex'), chunks: [], transfer: 'length' }],
  ['nothing, in HTTP chunks', { hash: 'UNSIGNED-PAYLOAD', chunks: [] }],
  ['hashed', { hash: createHash('sha256').update(LARGE).digest('hex'), chunks: CHUNKS, transfer: 'length' }],
  ['not signed, in HTTP chunks', { hash: 'UNSIGNED-PAYLOAD', chunks: CHUNKS }],
];

async function crc64(bytes: Buffer): Promise<string> {
  const hash = new Crc64Nvme();
  hash.update(bytes);
  return Buffer.from(await hash.digest()).toString('base64');
}

/** What is sent, what is kept of it. S3 keeps what is not its own framing. */
const ENCODINGS: readonly (readonly [sent: string, kept: string | null])[] = [
  ['aws-chunked', null],
  ['AWS-Chunked', null],
  ['aws-chunked,gzip', 'gzip'],
  ['aws-chunked, gzip', 'gzip'],
  ['gzip,aws-chunked', 'gzip'],
  ['gzip, aws-chunked, br', 'gzip,br'],
];

type Fault = readonly [name: string, status: number, code: string, upload: Upload];

const trailered = (upload: Partial<Upload>): Upload => ({
  hash: UNSIGNED_TRAILER,
  chunks: [TEXT],
  headers: crc32,
  trailers: [['x-amz-checksum-crc32', CRC32]],
  ...upload,
});
const changed = (text: string, other: string) => (body: Buffer) =>
  Buffer.from(body.toString('latin1').replace(text, other), 'latin1');

const FAULTS: readonly Fault[] = [
  ['no trailer', 400, 'MalformedTrailerError', trailered({ trailers: [] })],
  [
    'another trailer than announced',
    400,
    'MalformedTrailerError',
    trailered({ trailers: [['x-amz-checksum-sha1', 'x']] }),
  ],
  ['a trailer that nobody announced', 400, 'MalformedTrailerError', trailered({ headers: {} })],
  [
    'a wrong checksum in the trailer',
    400,
    'BadDigest',
    trailered({ trailers: [['x-amz-checksum-crc32', OTHER_CRC32]] }),
  ],
  [
    'a small chunk in the middle',
    400,
    'InvalidChunkSizeError',
    trailered({ chunks: [TEXT, TEXT], headers: {}, trailers: [] }),
  ],
  ['fewer bytes than announced', 400, 'IncompleteBody', trailered({ decoded: 6 })],
  ['more bytes than announced', 400, 'IncompleteBody', trailered({ decoded: 4 })],
  ['no end of the chunks', 400, 'IncompleteBody', trailered({ damage: (body) => body.subarray(0, 8) })],
  ['no decoded length', 411, 'MissingContentLength', trailered({ decoded: null })],
  ['no length at all', 411, 'MissingContentLength', { hash: 'UNSIGNED-PAYLOAD', chunks: [], transfer: 'none' }],
  [
    'a changed chunk',
    403,
    'SignatureDoesNotMatch',
    { hash: SIGNED, chunks: [TEXT], damage: changed('hello', 'jello') },
  ],
  [
    'a chunk signature of another length',
    400,
    'IncompleteBody',
    { hash: SIGNED, chunks: CHUNKS, damage: changed('chunk-signature=', 'chunk-signature=0') },
  ],
  [
    'a changed trailer under a signature',
    403,
    'SignatureDoesNotMatch',
    trailered({ hash: SIGNED_TRAILER, damage: changed(CRC32, OTHER_CRC32) }),
  ],
  ['another SHA-256', 400, 'XAmzContentSHA256Mismatch', { hash: 'a'.repeat(64), chunks: [TEXT], transfer: 'length' }],
  ['a hash that is none', 400, 'InvalidArgument', { hash: 'STREAMING-SOMETHING', chunks: [TEXT], transfer: 'length' }],
  [
    'two checksums',
    400,
    'InvalidRequest',
    {
      hash: 'UNSIGNED-PAYLOAD',
      chunks: [TEXT],
      headers: {
        'x-amz-checksum-crc32': CRC32,
        'x-amz-checksum-sha1': createHash('sha1').update(TEXT).digest('base64'),
      },
    },
  ],
  [
    'an algorithm that is announced and nothing more',
    400,
    'InvalidRequest',
    { hash: 'UNSIGNED-PAYLOAD', chunks: [TEXT], headers: { 'x-amz-sdk-checksum-algorithm': 'CRC32' } },
  ],
];

for (const [name, way] of Object.entries(WAYS)) {
  describe(`over ${name}`, way ? {} : withTls, () => {
    if (!way) return;
    for (const [form, upload, header, value] of FORMS) {
      test(`${form}: what was meant is stored`, async () => {
        const sent = Buffer.concat(upload.chunks);
        const stored = await put(way, 'form', upload);
        assert.deepEqual(statuses(stored), [200], stored);
        const got = await get(way, 'form');
        assert.ok(bodyOf(got).equals(sent));
        assert.equal(headerOf(got, 'content-length'), String(sent.length));
        assert.equal(headerOf(got, 'content-encoding'), null);
        assert.equal(headerOf(got, 'etag'), `"${createHash('md5').update(sent).digest('hex')}"`);
        // Nobody gave a checksum: S3 computes this one.
        assert.equal(headerOf(got, header ?? 'x-amz-checksum-crc64nvme'), value ?? (await crc64(sent)));
        assert.equal(headerOf(got, 'x-amz-checksum-type'), 'FULL_OBJECT');
      });
    }

    test('Content-Encoding: its own framing goes, the rest stays, the bytes are not touched', async () => {
      const zipped = gzipSync('compressed by the client');
      for (const [sent, kept] of ENCODINGS) {
        const stored = await put(way, 'encoded', {
          hash: UNSIGNED_TRAILER,
          chunks: [zipped],
          headers: { 'content-encoding': sent },
        });
        assert.deepEqual(statuses(stored), [200], `${sent}: ${stored}`);
        const got = await get(way, 'encoded');
        assert.equal(headerOf(got, 'content-encoding')?.replaceAll(' ', '') ?? null, kept, sent);
        assert.ok(bodyOf(got).equals(zipped));
      }
    });

    for (const [fault, status, code, upload] of FAULTS) {
      test(`${fault}: ${status} ${code}, and the old object stays`, async () => {
        await put(way, 'kept', { hash: 'UNSIGNED-PAYLOAD', chunks: [Buffer.from('old')] });
        const refused = await put(way, 'kept', upload);
        assert.deepEqual([statuses(refused), /<Code>([^<]*)/.exec(refused)?.[1]], [[status], code], refused);
        assert.equal(bodyOf(await get(way, 'kept')).toString(), 'old');
      });
    }

    test('Expect: 100 comes after the request is authorised and before the trailer form is sent; a refusal has no 100', async () => {
      for (const [secret, expected] of [
        ['admin-secret', [100, 200]],
        ['another', [403]],
      ] as const) {
        const headers = { ...crc32, 'x-amz-content-sha256': UNSIGNED_TRAILER, 'x-amz-decoded-content-length': '5' };
        const path = `/${Bucket}/expected-${secret}`;
        const client = await way.connect();
        const { text } = signedHead(way.port, { method: 'PUT', path, secret, headers });
        client.send(`${text}Expect: 100-continue\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n`);
        await client.until(/^HTTP\/1\.1 \d{3}/);
        if (expected[0] === 100) {
          client.send(http(encodeChunks([TEXT], { trailers: [['x-amz-checksum-crc32', CRC32]] })));
        }
        await client.until(/^HTTP\/1\.1 [2-5]\d\d/m);
        client.socket.end();
        assert.deepEqual(statuses(await client.closed), expected);
      }
    });
  });
}

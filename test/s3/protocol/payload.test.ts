import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { createServer, request as httpRequest } from 'node:http';
import type { AddressInfo } from 'node:net';
import { connect } from 'node:net';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { S3Error } from '../../../src/s3/errors.ts';
import { openPayload, type PayloadRequest, type PayloadResult, readWhole } from '../../../src/s3/payload/reader.ts';
import type { Authenticated } from '../../../src/s3/types.ts';
import { encodeChunks, exampleSigning } from './chunks.ts';

type Headers = Record<string, string>;
type Kind = Authenticated['payload'];

const UNSIGNED: Kind = { kind: 'unsigned' };
const STREAMING: Kind = { kind: 'chunked', signed: null, trailer: true };
const TEXT = Buffer.from('hello');
const SHA256 = createHash('sha256').update(TEXT).digest('hex');
const MD5 = createHash('md5').update(TEXT).digest();
const CRC32 = 'NhCmhg==';
const CRC64NVME = 'M3eFcAZSQlc=';

function base64(algorithm: string): string {
  return createHash(algorithm).update(TEXT).digest('base64');
}

async function* yielding(...pieces: Buffer[]): AsyncGenerator<Buffer> {
  for (const piece of pieces) yield piece;
}

async function read(body: Buffer, payload: Kind, headers: Headers, options: Partial<PayloadRequest> = {}) {
  const opened = openPayload({
    source: yielding(body),
    payload,
    headers: { 'content-length': String(body.length), ...headers },
    bytesMax: 1000,
    defaultChecksum: null,
    ...options,
  });
  const data = await readWhole(opened);
  return { data, result: opened.result(), declared: opened.declaredBytes };
}

function chunked(trailers: readonly (readonly [string, string])[] = []): Buffer {
  return encodeChunks([TEXT], { trailers });
}

const FIVE = { 'x-amz-decoded-content-length': '5' };

/** The same body however it is protected: its bytes, its length, its MD5. */
const ACCEPTED: readonly (readonly [
  name: string,
  body: Buffer,
  payload: Kind,
  headers: Headers,
  Partial<PayloadResult>,
])[] = [
  ['plain', TEXT, UNSIGNED, {}, { sha256Hex: null, checksums: [] }],
  ['SHA-256', TEXT, { kind: 'sha256', hex: SHA256 }, {}, { sha256Hex: SHA256, checksums: [] }],
  ['Content-MD5', TEXT, UNSIGNED, { 'content-md5': MD5.toString('base64') }, { checksums: [] }],
  ['CRC32 header', TEXT, UNSIGNED, { 'x-amz-checksum-crc32': CRC32 }, given('CRC32', CRC32)],
  ['CRC32C header', TEXT, UNSIGNED, { 'x-amz-checksum-crc32c': 'mnG7TA==' }, given('CRC32C', 'mnG7TA==')],
  ['CRC64NVME header', TEXT, UNSIGNED, { 'x-amz-checksum-crc64nvme': CRC64NVME }, given('CRC64NVME', CRC64NVME)],
  ['SHA1 header', TEXT, UNSIGNED, { 'x-amz-checksum-sha1': base64('sha1') }, given('SHA1', base64('sha1'))],
  ['SHA256 header', TEXT, UNSIGNED, { 'x-amz-checksum-sha256': base64('sha256') }, given('SHA256', base64('sha256'))],
  ['SHA512 header', TEXT, UNSIGNED, { 'x-amz-checksum-sha512': base64('sha512') }, given('SHA512', base64('sha512'))],
  ['MD5 header', TEXT, UNSIGNED, { 'x-amz-checksum-md5': base64('md5') }, given('MD5', base64('md5'))],
  [
    'announced algorithm',
    TEXT,
    UNSIGNED,
    { 'x-amz-sdk-checksum-algorithm': 'crc32', 'x-amz-checksum-crc32': CRC32 },
    given('CRC32', CRC32),
  ],
  ['chunks without trailer', chunked(), STREAMING, FIVE, { checksums: [] }],
  [
    'chunks with trailer',
    chunked([['x-amz-checksum-crc32', CRC32]]),
    STREAMING,
    { ...FIVE, 'x-amz-trailer': 'x-amz-checksum-crc32', 'x-amz-sdk-checksum-algorithm': 'CRC32' },
    given('CRC32', CRC32),
  ],
  [
    'trailer and its announcement in other cases',
    chunked([['X-Amz-Checksum-Crc32', CRC32]]),
    STREAMING,
    { ...FIVE, 'x-amz-trailer': 'X-AMZ-Checksum-CRC32' },
    given('CRC32', CRC32),
  ],
  [
    'checksum header on a chunked body',
    chunked(),
    STREAMING,
    { ...FIVE, 'x-amz-checksum-crc32': CRC32 },
    given('CRC32', CRC32),
  ],
];

function given(algorithm: string, value: string): Partial<PayloadResult> {
  return { checksums: [{ algorithm, value, given: true }] as PayloadResult['checksums'] };
}

for (const [name, body, payload, headers, expected] of ACCEPTED) {
  test(`accepted: ${name}`, async () => {
    const { data, result, declared } = await read(body, payload, headers);
    assert.equal(data.toString(), 'hello');
    assert.equal(declared, 5);
    assert.equal(result.size, 5);
    assert.equal(result.md5Hex, MD5.toString('hex'));
    for (const [key, value] of Object.entries(expected)) {
      assert.deepEqual(result[key as keyof PayloadResult], value);
    }
  });
}

async function failure(run: () => Promise<unknown>): Promise<S3Error> {
  try {
    await run();
  } catch (error) {
    if (error instanceof S3Error) return error;
    throw error;
  }
  return assert.fail('it was accepted');
}

type Fault = readonly [name: string, code: string, body: Buffer, payload: Kind, headers: Headers];

const OTHER_CRC = 'AAAAAA==';
const BAD_BYTES: readonly Fault[] = [
  ['another SHA-256', 'XAmzContentSHA256Mismatch', TEXT, { kind: 'sha256', hex: 'a'.repeat(64) }, {}],
  ['another Content-MD5', 'BadDigest', TEXT, UNSIGNED, { 'content-md5': Buffer.alloc(16).toString('base64') }],
  ['another CRC32', 'BadDigest', TEXT, UNSIGNED, { 'x-amz-checksum-crc32': OTHER_CRC }],
  [
    'another CRC32 in the trailer',
    'BadDigest',
    chunked([['x-amz-checksum-crc32', OTHER_CRC]]),
    STREAMING,
    { ...FIVE, 'x-amz-trailer': 'x-amz-checksum-crc32' },
  ],
  [
    'a trailer that is no checksum',
    'BadDigest',
    chunked([['x-amz-checksum-crc32', 'nonsense']]),
    STREAMING,
    { ...FIVE, 'x-amz-trailer': 'x-amz-checksum-crc32' },
  ],
  ['no trailer', 'MalformedTrailerError', chunked(), STREAMING, { ...FIVE, 'x-amz-trailer': 'x-amz-checksum-crc32' }],
  [
    'another trailer than announced',
    'MalformedTrailerError',
    chunked([['x-amz-checksum-crc32', CRC32]]),
    STREAMING,
    { ...FIVE, 'x-amz-trailer': 'x-amz-checksum-crc64nvme' },
  ],
  [
    'a trailer that was not announced',
    'MalformedTrailerError',
    chunked([['x-amz-checksum-crc32', CRC32]]),
    STREAMING,
    FIVE,
  ],
  [
    'the trailer twice',
    'MalformedTrailerError',
    chunked([
      ['x-amz-checksum-crc32', CRC32],
      ['x-amz-checksum-crc32', CRC32],
    ]),
    STREAMING,
    { ...FIVE, 'x-amz-trailer': 'x-amz-checksum-crc32' },
  ],
  ['a body shorter than Content-Length', 'IncompleteBody', TEXT, UNSIGNED, { 'content-length': '6' }],
  ['a body longer than Content-Length', 'IncompleteBody', TEXT, UNSIGNED, { 'content-length': '4' }],
  ['chunks shorter than announced', 'IncompleteBody', chunked(), STREAMING, { 'x-amz-decoded-content-length': '6' }],
  ['chunks longer than announced', 'IncompleteBody', chunked(), STREAMING, { 'x-amz-decoded-content-length': '4' }],
  [
    'a wrong chunk signature',
    'SignatureDoesNotMatch',
    encodeChunks([TEXT], { signing: exampleSigning('0'.repeat(64)) }),
    { kind: 'chunked', signed: exampleSigning('1'.repeat(64)), trailer: false },
    FIVE,
  ],
];

for (const [name, code, body, payload, headers] of BAD_BYTES) {
  test(`${name}: ${code}, at the end of the body`, async () => {
    assert.equal((await failure(() => read(body, payload, headers))).code, code);
  });
}

/** Refused before a byte is read: the source must not be touched. */
const BAD_HEADERS: readonly (readonly [
  name: string,
  code: string,
  payload: Kind,
  headers: Headers,
  status?: number,
])[] = [
  ['no length', 'MissingContentLength', UNSIGNED, {}, 411],
  [
    'aws-chunked in HTTP chunks without a decoded length',
    'MissingContentLength',
    STREAMING,
    { 'transfer-encoding': 'chunked' },
    411,
  ],
  ['a length that is none', 'MissingContentLength', UNSIGNED, { 'content-length': '1e3' }, 411],
  ['no decoded length', 'MissingContentLength', STREAMING, { 'content-length': '5' }, 411],
  ['a decoded length that is none', 'MissingContentLength', STREAMING, { 'x-amz-decoded-content-length': '12x' }, 411],
  ['too long', 'EntityTooLarge', UNSIGNED, { 'content-length': '1001' }],
  ['decoded too long', 'EntityTooLarge', STREAMING, { 'x-amz-decoded-content-length': '1001' }],
  ['Content-MD5 that is none', 'InvalidDigest', UNSIGNED, { 'content-length': '5', 'content-md5': 'short' }],
  ['empty Content-MD5', 'InvalidDigest', UNSIGNED, { 'content-length': '5', 'content-md5': '' }],
  [
    'two checksum headers',
    'InvalidRequest',
    UNSIGNED,
    { 'content-length': '5', 'x-amz-checksum-crc32': CRC32, 'x-amz-checksum-sha1': base64('sha1') },
  ],
  [
    'a checksum header and a trailer',
    'InvalidRequest',
    STREAMING,
    { ...FIVE, 'x-amz-checksum-crc32': CRC32, 'x-amz-trailer': 'x-amz-checksum-crc32' },
  ],
  ['a checksum that is none', 'BadDigest', UNSIGNED, { 'content-length': '5', 'x-amz-checksum-crc32': 'x' }],
  ['an empty checksum', 'InvalidRequest', UNSIGNED, { 'content-length': '5', 'x-amz-checksum-crc32': '' }],
  ['an unknown checksum', 'InvalidRequest', UNSIGNED, { 'content-length': '5', 'x-amz-checksum-crc16': 'AAA=' }],
  ['an algorithm not built', 'NotImplemented', UNSIGNED, { 'content-length': '5', 'x-amz-checksum-xxhash3': 'x' }, 501],
  [
    'an algorithm announced and not given',
    'InvalidRequest',
    UNSIGNED,
    { 'content-length': '5', 'x-amz-sdk-checksum-algorithm': 'CRC32' },
  ],
  [
    'an algorithm announced and another given',
    'InvalidRequest',
    UNSIGNED,
    { 'content-length': '5', 'x-amz-sdk-checksum-algorithm': 'SHA1', 'x-amz-checksum-crc32': CRC32 },
  ],
  [
    'an unknown algorithm announced',
    'InvalidRequest',
    UNSIGNED,
    { 'content-length': '5', 'x-amz-sdk-checksum-algorithm': 'CRC16', 'x-amz-checksum-crc32': CRC32 },
  ],
  [
    'an algorithm announced that is not built',
    'NotImplemented',
    STREAMING,
    { ...FIVE, 'x-amz-trailer': 'x-amz-checksum-xxhash64' },
    501,
  ],
  ['a trailer that is no checksum', 'InvalidRequest', STREAMING, { ...FIVE, 'x-amz-trailer': 'content-type' }],
  [
    'a trailer for a body without',
    'InvalidRequest',
    UNSIGNED,
    { 'content-length': '5', 'x-amz-trailer': 'x-amz-checksum-crc32' },
  ],
];

for (const [name, code, payload, headers, status = 400] of BAD_HEADERS) {
  test(`${name}: ${status} ${code}, before the body`, () => {
    const source = yielding();
    source[Symbol.asyncIterator] = () => assert.fail('the body was touched');
    const open = () => openPayload({ source, payload, headers, bytesMax: 1000, defaultChecksum: null });
    assert.throws(open, (error: unknown) => error instanceof S3Error && error.code === code && error.status === status);
  });
}

test('without a checksum of the client the default one is computed', async () => {
  const { result } = await read(TEXT, UNSIGNED, {}, { defaultChecksum: 'CRC64NVME' });
  assert.deepEqual(result.checksums, [{ algorithm: 'CRC64NVME', value: CRC64NVME, given: false }]);
  const named = await read(TEXT, UNSIGNED, { 'x-amz-checksum-crc32': CRC32 }, { defaultChecksum: 'CRC64NVME' });
  assert.deepEqual(named.result.checksums, [{ algorithm: 'CRC32', value: CRC32, given: true }]);
});

test('algorithms of the upload are computed beside the one given', async () => {
  const { result } = await read(
    TEXT,
    UNSIGNED,
    { 'x-amz-checksum-crc32': CRC32 },
    { alsoCompute: ['CRC64NVME', 'CRC32'] },
  );
  assert.deepEqual(result.checksums, [
    { algorithm: 'CRC32', value: CRC32, given: true },
    { algorithm: 'CRC64NVME', value: CRC64NVME, given: false },
  ]);
});

test('a document may come without a length, and is empty then', async () => {
  const options = { source: yielding(), payload: UNSIGNED, bytesMax: 10, defaultChecksum: null } as const;
  const none = openPayload({ ...options, headers: {}, purpose: 'document' });
  assert.equal((await readWhole(none)).length, 0);
  assert.equal(none.declaredBytes, 0);
  const headers = { 'transfer-encoding': 'chunked' };
  const some = openPayload({ ...options, source: yielding(TEXT), headers, purpose: 'document' });
  assert.equal((await readWhole(some)).toString(), 'hello');
  const endless = openPayload({ ...options, source: yielding(TEXT, TEXT, TEXT), headers, purpose: 'document' });
  assert.equal((await failure(() => readWhole(endless))).code, 'MaxMessageLengthExceeded');
});

test('an object in HTTP chunks has no length beforehand, and still a largest one', async () => {
  const open = (...pieces: Buffer[]) =>
    openPayload({
      source: yielding(...pieces),
      payload: { kind: 'sha256', hex: SHA256 },
      headers: { 'transfer-encoding': 'chunked' },
      bytesMax: 10,
      defaultChecksum: null,
    });
  const payload = open(TEXT);
  assert.equal(payload.declaredBytes, null);
  assert.equal((await readWhole(payload)).toString(), 'hello');
  assert.equal(payload.result().size, 5);
  assert.equal((await failure(() => readWhole(open(TEXT, TEXT, TEXT)))).code, 'EntityTooLarge');
});

test('an empty object', async () => {
  const { result } = await read(Buffer.alloc(0), UNSIGNED, {}, { defaultChecksum: 'CRC64NVME' });
  assert.equal(result.size, 0);
  assert.equal(result.md5Hex, 'd41d8cd98f00b204e9800998ecf8427e');
  assert.equal(result.checksums[0]?.value, 'AAAAAAAAAAA=');
  const streamed = await read(encodeChunks([]), STREAMING, { 'x-amz-decoded-content-length': '0' });
  assert.equal(streamed.result.size, 0);
});

test('a client that goes away is an incomplete body, and so is a stream that fails', async () => {
  async function* broken(): AsyncGenerator<Buffer> {
    yield TEXT;
    throw new Error('ECONNRESET');
  }
  const payload = openPayload({
    source: broken(),
    payload: UNSIGNED,
    headers: { 'content-length': '10' },
    bytesMax: 100,
    defaultChecksum: null,
  });
  const error = await failure(() => readWhole(payload));
  assert.equal(error.code, 'IncompleteBody');
  assert.match(String(error.cause), /ECONNRESET/);
});

test('back pressure: nothing is read ahead of the consumer', async () => {
  let pulled = 0;
  const source = new Readable({
    highWaterMark: 1,
    read() {
      pulled += 1;
      this.push(pulled > 100 ? null : Buffer.alloc(1024));
    },
  });
  const payload = openPayload({
    source,
    payload: UNSIGNED,
    headers: { 'content-length': String(100 * 1024) },
    bytesMax: 1e6,
    defaultChecksum: null,
  });
  const iterator = payload[Symbol.asyncIterator]();
  await iterator.next();
  await iterator.next();
  await new Promise((resolve) => setImmediate(resolve));
  assert.ok(pulled < 10, `${pulled} pieces were read for two asked for`);
});

test('chunks are handed on as views of what arrived, not as copies', async () => {
  const body = chunked();
  const payload = openPayload({
    source: yielding(body),
    payload: STREAMING,
    headers: FIVE,
    bytesMax: 100,
    defaultChecksum: null,
  });
  for await (const piece of payload) assert.equal(piece.buffer, body.buffer);
});

/** A server that answers with the outcome of reading the body, on a real socket. */
async function withServer(payload: Kind, run: (port: number) => Promise<void>): Promise<void> {
  const server = createServer(async (request, response) => {
    try {
      const headers = request.headers as Headers;
      const data = await readWhole(
        openPayload({ source: request, payload, headers, bytesMax: 1e6, defaultChecksum: null }),
      );
      response.end(`read ${data.length}`);
    } catch (error) {
      const state = request.destroyed ? 'request destroyed' : 'request alive';
      const code = error instanceof S3Error ? error.code : String(error);
      response.writeHead(400, { connection: 'close' }).end(`${code}, ${state}`);
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    await run((server.address() as AddressInfo).port);
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}

test('an error in the middle of the body leaves the request alive, to be answered and drained', async () => {
  await withServer(STREAMING, async (port) => {
    const headers = { 'x-amz-decoded-content-length': '100000', 'transfer-encoding': 'chunked' };
    const request = httpRequest({ port, host: '127.0.0.1', method: 'PUT', path: '/abc/k', headers });
    request.on('error', () => {});
    const answered = new Promise<string>((resolve, reject) => {
      request.on('response', async (response) => {
        const parts: Buffer[] = [];
        for await (const part of response) parts.push(part as Buffer);
        resolve(Buffer.concat(parts).toString());
      });
      request.on('close', () => reject(new Error('closed without an answer')));
    });
    // The framing breaks, and more of the body is still to come.
    request.write('zz\r\nnonsense');
    assert.equal(await answered, 'IncompleteBody, request alive');
    request.destroy();
  });
});

test('aws-chunked inside HTTP chunks that cut its headers anywhere', async () => {
  await withServer(STREAMING, async (port) => {
    const body = encodeChunks([Buffer.alloc(9000, 'x'), TEXT], {});
    const socket = connect(port, '127.0.0.1');
    socket.setNoDelay(true);
    const answer: Buffer[] = [];
    socket.on('data', (data) => answer.push(data));
    socket.write(
      'PUT /abc/k HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nx-amz-decoded-content-length: 9005\r\nConnection: close\r\n\r\n',
    );
    for (let at = 0; at < body.length; ) {
      const size = at < 8 || at > body.length - 30 ? 1 : 1000;
      const piece = body.subarray(at, at + size);
      socket.write(Buffer.concat([Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from('\r\n')]));
      at += size;
    }
    socket.write('0\r\n\r\n');
    await new Promise((resolve) => socket.on('close', resolve));
    assert.match(Buffer.concat(answer).toString(), /read 9005/);
  });
});

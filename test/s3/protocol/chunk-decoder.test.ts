import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { S3Error } from '../../../src/s3/errors.ts';
import { LIMITS } from '../../../src/s3/limits.ts';
import { ChunkDecoder, type ChunkDecoderOptions } from '../../../src/s3/payload/chunk-decoder.ts';
import { cut, encodeChunks, exampleSigning } from './chunks.ts';

type Decoded = { data: Buffer; trailers: readonly (readonly [string, string])[] };

function decode(pieces: readonly Buffer[], options: Partial<ChunkDecoderOptions> & { decodedBytes: number }): Decoded {
  const decoder = new ChunkDecoder({ signing: null, trailer: false, ...options });
  const data = Buffer.concat(pieces.flatMap((piece) => decoder.push(piece)));
  return { data, trailers: decoder.finish() };
}

function code(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof S3Error) return error.code;
    throw error;
  }
  return 'none';
}

const A64K = Buffer.alloc(65536, 'a');
const A1K = Buffer.alloc(1024, 'a');

// Amazon S3 API Reference, "Example: PUT object" of the chunked upload, and its variant with trailing headers.
const SIGNED_EXAMPLE = Buffer.concat([
  Buffer.from('10000;chunk-signature=ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648\r\n'),
  A64K,
  Buffer.from('\r\n400;chunk-signature=0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497\r\n'),
  A1K,
  Buffer.from('\r\n0;chunk-signature=b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9\r\n\r\n'),
]);
const SIGNED_SEED = '4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9';

function trailerExample(lineEnd: string): Buffer {
  return Buffer.concat([
    Buffer.from('10000;chunk-signature=b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2\r\n'),
    A64K,
    Buffer.from('\r\n400;chunk-signature=1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7\r\n'),
    A1K,
    Buffer.from('\r\n0;chunk-signature=2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992\r\n'),
    Buffer.from(`x-amz-checksum-crc32c:sOO8/Q==${lineEnd}`),
    Buffer.from('x-amz-trailer-signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n\r\n'),
  ]);
}
const TRAILER_SEED = '106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e';

test('AWS example: signed chunks', () => {
  const found = decode([SIGNED_EXAMPLE], { signing: exampleSigning(SIGNED_SEED), decodedBytes: 66560 });
  assert.ok(found.data.equals(Buffer.alloc(66560, 'a')));
});

for (const [name, lineEnd] of [
  ['CRLF', '\r\n'],
  ['LF CRLF, as printed by AWS', '\n\r\n'],
] as const) {
  test(`AWS example: signed chunks with a trailer, line ended by ${name}`, () => {
    const options = { signing: exampleSigning(TRAILER_SEED), trailer: true, decodedBytes: 66560 };
    const found = decode([trailerExample(lineEnd)], options);
    assert.equal(found.data.length, 66560);
    assert.deepEqual(found.trailers, [['x-amz-checksum-crc32c', 'sOO8/Q==']]);
  });
}

test('every single and every double cut of a small body decodes to the same', () => {
  const body = encodeChunks([Buffer.from('hello')], {
    signing: exampleSigning(SIGNED_SEED),
    trailers: [['x-amz-checksum-crc32', 'NhCmhg==']],
  });
  const options = { signing: exampleSigning(SIGNED_SEED), trailer: true, decodedBytes: 5 };
  for (let a = 1; a < body.length; a++) {
    for (let b = a; b < body.length; b += 7) {
      const found = decode(cut(body, [a, b]), options);
      assert.equal(found.data.toString(), 'hello', `cut at ${a} and ${b}`);
      assert.deepEqual(found.trailers, [['x-amz-checksum-crc32', 'NhCmhg==']]);
    }
  }
  assert.equal(decode(cut(body, [...body.keys()]), options).data.toString(), 'hello');
});

test('any chunking and any cuts give back the payload', () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 8192, max: 20000 }), { maxLength: 4 }),
      fc.integer({ min: 0, max: 9000 }),
      fc.array(fc.nat(120_000), { maxLength: 40 }),
      fc.boolean(),
      fc.boolean(),
      (sizes, last, places, signed, trailer) => {
        const chunks = [...sizes, last].filter((size) => size > 0).map((size, index) => Buffer.alloc(size, index + 1));
        const payload = Buffer.concat(chunks);
        const signing = signed ? exampleSigning(SIGNED_SEED) : null;
        const body = encodeChunks(chunks, {
          ...(signing === null ? {} : { signing, signTrailer: trailer }),
          trailers: trailer ? [['x-amz-checksum-crc32', 'AAAAAA==']] : [],
        });
        const found = decode(cut(body, places), { signing, trailer, decodedBytes: payload.length });
        assert.ok(found.data.equals(payload));
        assert.equal(found.trailers.length, trailer ? 1 : 0);
      },
    ),
    { numRuns: 60 },
  );
});

test('whatever arrives, it decodes or fails with an S3 error, the same however it is cut', () => {
  const seeds = [
    encodeChunks([Buffer.from('hello')], { trailers: [['x-amz-checksum-crc32', 'NhCmhg==']] }),
    encodeChunks([Buffer.from('hello')], { signing: exampleSigning(SIGNED_SEED) }),
    encodeChunks([], {}),
  ];
  const outcome = (pieces: readonly Buffer[], signed: boolean) => {
    try {
      const signing = signed ? exampleSigning(SIGNED_SEED) : null;
      return decode(pieces, { signing, trailer: true, decodedBytes: 5 }).data.toString('latin1');
    } catch (error) {
      assert.ok(error instanceof S3Error, `not an S3 error: ${error}`);
      return error.code;
    }
  };
  fc.assert(
    fc.property(
      fc.constantFrom(...seeds),
      fc.array(fc.tuple(fc.nat(400), fc.constantFrom(0, 10, 13, 48, 53, 58, 59, 102, 255)), { maxLength: 4 }),
      fc.array(fc.nat(400), { maxLength: 10 }),
      fc.boolean(),
      (seed, changes, places, signed) => {
        const body = Buffer.from(seed);
        for (const [at, byte] of changes) if (at < body.length) body[at] = byte;
        assert.equal(outcome(cut(body, places), signed), outcome([body], signed));
      },
    ),
    { numRuns: 500 },
  );
});

const FAULTS: readonly (readonly [name: string, body: string, code: string, bytes?: number])[] = [
  ['line feed alone after the size', 'A\ndummy data\r\n0\r\n\r\n', 'IncompleteBody'],
  ['no line end after the data', 'A\r\ndummy data0\r\n\r\n', 'IncompleteBody'],
  ['a second size line', 'A\r\nA\r\ndummy data\r\n0\r\n\r\n', 'IncompleteBody'],
  ['size larger than the data', 'B\r\ndummy data\r\n0\r\n\r\n', 'IncompleteBody'],
  ['no empty line at the end', 'A\r\ndummy data\r\n0\r\n', 'IncompleteBody'],
  ['cut in the trailer', 'A\r\ndummy data\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n', 'IncompleteBody'],
  ['cut after the size', 'A\r\n', 'IncompleteBody'],
  ['nothing at all', '', 'IncompleteBody'],
  ['no last chunk', 'A\r\ndummy data\r\n', 'IncompleteBody'],
  ['size that is no number', 'J\r\ndummy data\r\n0\r\n\r\n', 'IncompleteBody'],
  ['negative size', '-A\r\ndummy data\r\n0\r\n\r\n', 'IncompleteBody'],
  ['size with 0x', '0xA\r\ndummy data\r\n0\r\n\r\n', 'IncompleteBody'],
  ['empty size', '\r\ndummy data\r\n0\r\n\r\n', 'IncompleteBody'],
  ['extension in an unsigned body', 'A;a=b\r\ndummy data\r\n0\r\n\r\n', 'IncompleteBody'],
  ['size beyond every body', 'FFFFFFFFFFFFFFFF\r\ndummy data\r\n0\r\n\r\n', 'IncompleteBody'],
  ['size line without an end', `${'0'.repeat(LIMITS.chunkHeaderBytesMax.value + 1)}`, 'IncompleteBody'],
  ['data after the end', 'A\r\ndummy data\r\n0\r\n\r\nx', 'IncompleteBody'],
  ['more than announced', 'B\r\ndummy data!\r\n0\r\n\r\n', 'IncompleteBody'],
  ['less than announced', '9\r\ndummy dat\r\n0\r\n\r\n', 'IncompleteBody'],
  ['small chunk that is not the last', '5\r\ndummy\r\n5\r\n data\r\n0\r\n\r\n', 'InvalidChunkSizeError'],
  ['trailer without a colon', 'A\r\ndummy data\r\n0\r\nnonsense\r\n\r\n', 'MalformedTrailerError'],
  ['trailer without a name', 'A\r\ndummy data\r\n0\r\n:AAAAAA==\r\n\r\n', 'MalformedTrailerError'],
  [
    'trailer line without an end',
    `A\r\ndummy data\r\n0\r\n${'x'.repeat(LIMITS.trailerBytesMax.value + 1)}`,
    'MalformedTrailerError',
  ],
  ['flood of trailers', `A\r\ndummy data\r\n0\r\n${'a:b\r\n'.repeat(9)}\r\n`, 'MalformedTrailerError'],
];

for (const [name, body, expected] of FAULTS) {
  test(`${name}: ${expected}`, () => {
    const options = { trailer: true, decodedBytes: 10 };
    assert.equal(
      code(() => decode([Buffer.from(body)], options)),
      expected,
    );
    assert.equal(
      code(() => decode(cut(Buffer.from(body), [...Buffer.from(body).keys()]), options)),
      expected,
    );
  });
}

test('a body in a form without trailer may have none', () => {
  const body = Buffer.from('A\r\ndummy data\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n');
  assert.equal(
    code(() => decode([body], { decodedBytes: 10 })),
    'MalformedTrailerError',
  );
});

const SIGNED_FAULTS: readonly (readonly [string, (body: Buffer) => Buffer, string])[] = [
  ['a changed byte', (body) => swap(body, body.indexOf('hello'), 'j'), 'SignatureDoesNotMatch'],
  ['a changed signature', (body) => swap(body, body.indexOf('=') + 1, '0'), 'SignatureDoesNotMatch'],
  ['a short signature', (body) => without(body, body.indexOf('=') + 1, 5), 'IncompleteBody'],
  ['no signature', (body) => without(body, 1, 81), 'IncompleteBody'],
  ['another separator', (body) => swap(body, 1, ':'), 'IncompleteBody'],
  ['a changed trailer', (body) => swap(body, body.indexOf('NhCmhg'), 'M'), 'SignatureDoesNotMatch'],
  ['no trailer signature', (body) => without(body, body.indexOf('x-amz-trailer-s'), 90), 'MalformedTrailerError'],
];

function swap(body: Buffer, at: number, text: string): Buffer {
  const copy = Buffer.from(body);
  // A digit that is another one than what stands there.
  const other = copy.toString('latin1', at, at + 1) === text ? '1' : text;
  copy.write(other, at, 'latin1');
  return copy;
}

function without(body: Buffer, at: number, length: number): Buffer {
  return Buffer.concat([body.subarray(0, at), body.subarray(at + length)]);
}

for (const [name, change, expected] of SIGNED_FAULTS) {
  test(`signed body with ${name}: ${expected}`, () => {
    const signing = exampleSigning(SIGNED_SEED);
    const body = encodeChunks([Buffer.from('hello')], { signing, trailers: [['x-amz-checksum-crc32', 'NhCmhg==']] });
    const options = { signing, trailer: true, decodedBytes: 5 };
    assert.equal(
      code(() => decode([body], options)),
      'none',
    );
    assert.equal(
      code(() => decode([change(body)], options)),
      expected,
    );
  });
}

test('chunks cannot change places', () => {
  const signing = exampleSigning(SIGNED_SEED);
  const chunk = (byte: number) => Buffer.alloc(8192, byte);
  const body = encodeChunks([chunk(1), chunk(2)], { signing });
  const frame = body.indexOf(Buffer.from('\r\n2000;')) + 2;
  const second = body.indexOf(Buffer.from('\r\n0;')) + 2;
  const swapped = Buffer.concat([body.subarray(frame, second), body.subarray(0, frame), body.subarray(second)]);
  assert.equal(
    code(() => decode([swapped], { signing, decodedBytes: 16384 })),
    'SignatureDoesNotMatch',
  );
});

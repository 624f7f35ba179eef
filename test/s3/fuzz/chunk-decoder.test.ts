// The chunk decoder under every split: small bodies of every form, whole and damaged, cut at every pair of places; what comes
// out (bytes, trailers, or which fault) is the same as for the body in one piece.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { S3Error } from '../../../src/s3/errors.ts';
import { ChunkDecoder } from '../../../src/s3/payload/chunk-decoder.ts';
import { cut, encodeChunks, exampleSigning } from '../protocol/chunks.ts';

const SEED = Number(process.env.ZRING_TEST_SEED ?? Date.now() % 2 ** 31);
const signing = exampleSigning('4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9');
const TRAILERS = [['x-amz-checksum-crc32', 'NhCmhg==']] as const;
const HELLO = Buffer.from('hello');

interface Form {
  readonly signed: boolean;
  readonly trailer: boolean;
  readonly decodedBytes: number;
  readonly body: Buffer;
}

function outcome({ signed, trailer, decodedBytes }: Form, pieces: readonly Buffer[]): string {
  const decoder = new ChunkDecoder({ signing: signed ? signing : null, trailer, decodedBytes });
  try {
    const data = Buffer.concat(pieces.flatMap((piece) => decoder.push(piece)));
    return JSON.stringify([data.toString('latin1'), decoder.finish()]);
  } catch (error) {
    assert.ok(error instanceof S3Error, String(error));
    return error.code;
  }
}

const unsigned = (body: Buffer, trailer: boolean, decodedBytes = 5): Form => ({
  signed: false,
  trailer,
  decodedBytes,
  body,
});
const WITH_TRAILER = encodeChunks([HELLO], { trailers: TRAILERS });

const FORMS: Record<string, Form> = {
  unsigned: unsigned(encodeChunks([HELLO]), false),
  'unsigned, with a trailer': unsigned(WITH_TRAILER, true),
  'unsigned, of nothing': unsigned(encodeChunks([]), true, 0),
  'a trailer whose lines end as AWS prints them': unsigned(
    Buffer.from('5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\n\r\n\r\n'),
    true,
  ),
  'cut short': unsigned(WITH_TRAILER.subarray(0, 30), true),
  'a wrong size': unsigned(Buffer.from('6\r\nhello\r\n0\r\n\r\n'), false, 6),
  'a bare line feed': unsigned(Buffer.from('5\nhello\r\n0\r\n\r\n'), false),
  'more behind the end': unsigned(Buffer.concat([WITH_TRAILER, Buffer.from('0\r\n\r\n')]), true),
  'a trailer where none may be': unsigned(WITH_TRAILER, false),
};

for (const [name, form] of Object.entries(FORMS)) {
  test(`${name}: every two cuts, and a cut before every byte`, () => {
    const expected = outcome(form, [form.body]);
    for (let a = 0; a <= form.body.length; a += 1) {
      for (let b = a; b <= form.body.length; b += 1) {
        assert.equal(outcome(form, cut(form.body, [a, b])), expected, `cut at ${a} and ${b}`);
      }
    }
    assert.equal(outcome(form, cut(form.body, [...form.body.keys()])), expected);
    // Empty pieces mean nothing.
    assert.equal(
      outcome(
        form,
        [...form.body].flatMap((byte) => [Buffer.of(byte), Buffer.alloc(0)]),
      ),
      expected,
    );
  });
}

for (const trailer of [false, true]) {
  test(`signed${trailer ? ', with a trailer' : ''}: every two cuts`, () => {
    const body = encodeChunks([HELLO], { signing, ...(trailer ? { trailers: TRAILERS } : {}) });
    const form: Form = { signed: true, trailer, decodedBytes: 5, body };
    const expected = outcome(form, [body]);
    assert.match(expected, /hello/);
    // The digits of a signature are alike: one cut of a pair stands for its neighbours there, none is left out elsewhere.
    const text = body.toString('latin1');
    const plain = (at: number) => !/[0-9a-f]{9}/.test(text.slice(Math.max(0, at - 4), at + 5)) || at % 5 === 0;
    const places = [...body.keys()].filter(plain);
    for (const a of body.keys()) assert.equal(outcome(form, cut(body, [a])), expected, `cut at ${a}`);
    for (const a of places) for (const b of places) if (a < b) assert.equal(outcome(form, cut(body, [a, b])), expected);
  });
}

test(`damaged bodies of several chunks, cut anywhere (seed ${SEED})`, () => {
  const change = fc.tuple(fc.nat(40_000), fc.constantFrom(0, 10, 13, 48, 53, 58, 59, 97, 255));
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 8190, max: 9000 }), { maxLength: 3 }),
      fc.array(change, { maxLength: 2 }),
      fc.array(fc.nat(40_000), { maxLength: 12 }),
      fc.boolean(),
      fc.boolean(),
      (sizes, changes, places, signed, trailer) => {
        const chunks = [...sizes, 5].map((size, index) => Buffer.alloc(size, 97 + index));
        const decodedBytes = chunks.reduce((sum, { length }) => sum + length, 0);
        const options = { ...(signed ? { signing, signTrailer: trailer } : {}), trailers: trailer ? TRAILERS : [] };
        const body = encodeChunks(chunks, options);
        for (const [at, byte] of changes) body[at % body.length] = byte;
        const form: Form = { signed, trailer, decodedBytes, body };
        // Around every line of the framing, for that is where decoders err.
        const lines = [...body.keys()].filter((at) => body[at] === 10).flatMap((at) => [at - 1, at, at + 1]);
        assert.equal(outcome(form, cut(body, [...places, ...lines])), outcome(form, [body]));
      },
    ),
    { seed: SEED, numRuns: 150 },
  );
});

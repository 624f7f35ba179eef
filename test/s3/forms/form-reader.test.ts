import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { S3Error } from '../../../src/s3/errors.ts';
import { openForm } from '../../../src/s3/forms/form-reader.ts';
import { type FormShape, formBody } from './form-bodies.ts';

async function* inPieces(pieces: readonly Buffer[]): AsyncGenerator<Buffer> {
  for (const piece of pieces) yield piece;
}

interface Read {
  readonly fields: readonly (readonly [string, string])[];
  readonly filename: string;
  readonly file: string;
}

/** What a form is read as, or the code it is refused with. */
async function read(pieces: readonly Buffer[], contentType: string): Promise<Read | string> {
  try {
    const form = await openForm(inPieces(pieces), contentType);
    const parts: Buffer[] = [];
    for await (const part of form.file.bytes) parts.push(part);
    const fields = form.fields.map(({ name, value }) => [name, value] as const);
    return { fields, filename: form.file.name, file: Buffer.concat(parts).toString('latin1') };
  } catch (error) {
    assert(error instanceof S3Error, String(error));
    return error.code;
  }
}

function cut(body: Buffer, ...places: number[]): Buffer[] {
  const ends = [...places, body.length];
  return ends.map((end, index) => body.subarray(ends[index - 1] ?? 0, end)).filter((piece) => piece.length > 0);
}

const FIELDS = [
  ['key', 'a/ü.txt'],
  ['empty', ''],
  ['lines', 'one\r\ntwo\r\n'],
] as const;
const FILE = 'hello\r\n--\r\n\r\n--bound\r\n-world\r\n';
const SHAPE: FormShape = { boundary: 'boundary', filename: 'C:\\dir\\x.bin', after: [['after', 'ignored']] };
const WHOLE: Read = { fields: FIELDS, filename: 'x.bin', file: FILE };

describe('every split of the body reads the same', () => {
  const { body, contentType } = formBody(FIELDS, FILE, SHAPE);

  test('in two and three pieces', async () => {
    for (let first = 0; first <= body.length; first++) {
      for (let second = first; second <= body.length; second += 13) {
        assert.deepEqual(await read(cut(body, first, second), contentType), WHOLE, `cut at ${first} and ${second}`);
      }
    }
  });

  test('byte by byte', async () => {
    const bytes = [...body].map((byte) => Buffer.from([byte]));
    assert.deepEqual(await read(bytes, contentType), WHOLE);
  });

  test('every prefix of it is refused, but for what follows the last boundary', async () => {
    const end = body.length - '\r\n'.length;
    for (let length = 0; length < end; length++) {
      assert.equal(
        await read([body.subarray(0, length)], contentType),
        'MalformedPOSTRequest',
        `after ${length} bytes`,
      );
    }
    assert.deepEqual(await read([body.subarray(0, end)], contentType), WHOLE);
  });
});

test('random fields, files, boundaries and splits come back as they were', async () => {
  const boundaryCharacter = fc.constantFrom(...'abcXYZ019-_');
  const boundaries = fc.string({ unit: boundaryCharacter, minLength: 1, maxLength: 60 });
  const bytes = fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array));
  // Bytes of which boundaries are made are what a splitter trips over.
  const nasty = fc
    .array(fc.constantFrom('\r', '\n', '-', '--', '\r\n', '\r\n-', '\r\n--', 'a', 'b'), { maxLength: 60 })
    .map((list) => Buffer.from(list.join('')));
  const names = fc.string({ unit: fc.constantFrom(...'abcdefgh-ABC'), minLength: 1, maxLength: 20 });
  await fc.assert(
    fc.asyncProperty(
      boundaries,
      fc.array(fc.tuple(names, fc.string({ unit: 'binary', maxLength: 50 })), { maxLength: 6 }),
      fc.oneof(bytes, nasty),
      fc.array(fc.nat(2000), { maxLength: 8 }),
      fc.boolean(),
      async (boundary, fields, file, places, named) => {
        const wanted = fields.filter(([name, value]) => {
          const holds = (text: string) => text.includes(`\r\n--${boundary}`) || text.includes('\ufffd');
          return name.toLowerCase() !== 'file' && !holds(`\r\n${value}`);
        });
        fc.pre(!Buffer.concat([Buffer.from('\r\n'), file]).includes(`\r\n--${boundary}`));
        const { body, contentType } = formBody(wanted, file, { boundary, filename: 'f', named });
        const pieces = cut(body, ...places.map((place) => place % body.length).sort((a, b) => a - b));
        const got = await read(pieces, contentType);
        assert.deepEqual(got, { fields: wanted, filename: 'f', file: file.toString('latin1') });
      },
    ),
    { numRuns: 300 },
  );
});

test('random bytes never end the process or hang, and never read as a form without its end', async () => {
  const { body, contentType } = formBody(FIELDS, FILE, SHAPE);
  const edits = fc.array(fc.tuple(fc.nat(body.length - 1), fc.constantFrom(...'\r\n-:;="\0b ')), { maxLength: 12 });
  await fc.assert(
    fc.asyncProperty(edits, fc.array(fc.nat(body.length), { maxLength: 5 }), async (changes, places) => {
      const damaged = Buffer.from(body);
      for (const [at, character] of changes) damaged.write(character, at, 'latin1');
      const outcome = await read(cut(damaged, ...places.sort((a, b) => a - b)), contentType);
      if (typeof outcome === 'string') assert.match(outcome, /^(MalformedPOSTRequest|InvalidArgument)$/);
    }),
    { numRuns: 500 },
  );
});

const HEADERS: [contentType: string, outcome: string][] = [
  ['application/x-www-form-urlencoded', 'PreconditionFailed'],
  ['multipart/form-dat', 'PreconditionFailed'],
  ['multipart/mixed; boundary=b', 'PreconditionFailed'],
  ['multipart/form-data', 'MalformedPOSTRequest'],
  ['multipart/form-data; boundary=', 'MalformedPOSTRequest'],
  ['multipart/form-data; boundary=""', 'MalformedPOSTRequest'],
  [`multipart/form-data; boundary=${'x'.repeat(201)}`, 'MalformedPOSTRequest'],
  ['multipart/form-data; boundary=other', 'MalformedPOSTRequest'],
];
for (const [contentType, outcome] of HEADERS) {
  test(`Content-Type ${contentType.slice(0, 60)}: ${outcome}`, async () => {
    const { body } = formBody(FIELDS, FILE, { boundary: 'b' });
    assert.equal(await read([body], contentType), outcome);
  });
}

test('a boundary in quotes, of characters that mean something to a regular expression', async () => {
  const boundary = "a+b.c(d)?e=f/g,h:i'";
  const { body } = formBody(FIELDS, FILE, { boundary, filename: 'x' });
  const outcome = await read(cut(body, 100), `Multipart/Form-Data; charset=utf-8; boundary="${boundary}"`);
  assert.deepEqual(outcome, { ...WHOLE, filename: 'x' });
});

test('a form without a file', async () => {
  const { body, contentType } = formBody(FIELDS, '', { fileField: null });
  assert.equal(await read([body], contentType), 'InvalidArgument');
});

test('the name of the file part has no case, and only its first one counts', async () => {
  const shape: FormShape = { fileField: 'FiLe', after: [['file', 'another']], named: true };
  const { body, contentType } = formBody([['key', 'k']], 'first', shape);
  assert.deepEqual(await read([body], contentType), { fields: [['key', 'k']], filename: 'FiLe', file: 'first' });
});

describe('limits', () => {
  const big = 'x'.repeat(20 * 1024 - 3);

  test('names and values before the file: 20 KiB and no byte more', async () => {
    const fits = formBody([['key', big]], 'f');
    const outcome = await read([fits.body], fits.contentType);
    assert.deepEqual(outcome, { fields: [['key', big]], filename: '', file: 'f' });
    const over = formBody([['key', `${big}x`]], 'f');
    assert.equal(await read([over.body], over.contentType), 'MaxPostPreDataLengthExceededError');
    const twice = formBody(
      [
        ['a', big.slice(0, 11_000)],
        ['b', big.slice(0, 11_000)],
      ],
      'f',
    );
    assert.equal(await read([twice.body], twice.contentType), 'MaxPostPreDataLengthExceededError');
  });

  test('fields before the file: 200', async () => {
    const fields = Array.from({ length: 201 }, (_, index) => [`f${index}`, ''] as const);
    const over = formBody(fields, 'f');
    assert.equal(await read([over.body], over.contentType), 'MaxPostPreDataLengthExceededError');
    const fits = formBody(fields.slice(1), 'f');
    assert.notEqual(typeof (await read([fits.body], fits.contentType)), 'string');
  });

  test('parts that are no fields count as fields do', async () => {
    const empty = Buffer.from('--b\r\n'.repeat(5000));
    let given = 0;
    async function* boundaries(): AsyncGenerator<Buffer> {
      for (let at = 0; at < empty.length; at += 1000) {
        given = at;
        yield empty.subarray(at, at + 1000);
      }
    }
    await assert.rejects(openForm(boundaries(), 'multipart/form-data; boundary=b'), {
      code: 'MaxPostPreDataLengthExceededError',
    });
    assert.ok(given < 3000, `${given} bytes were read`);
  });

  test('a body that never comes to its file is not read for ever', async () => {
    let given = 0;
    async function* endless(): AsyncGenerator<Buffer> {
      for (;;) {
        given += 1024;
        yield Buffer.alloc(1024, 'x');
      }
    }
    await assert.rejects(openForm(endless(), 'multipart/form-data; boundary=b'), {
      code: 'MaxPostPreDataLengthExceededError',
    });
    assert.ok(given < 1024 * 1024, `${given} bytes were read`);
  });

  test('any number of fields behind the file is ignored', async () => {
    const after = Array.from({ length: 500 }, (_, index) => [`f${index}`, 'x'] as const);
    const { body, contentType } = formBody([['key', 'k']], 'f', { after });
    assert.deepEqual(await read([body], contentType), { fields: [['key', 'k']], filename: '', file: 'f' });
    assert.deepEqual(await read(pieces(body), contentType), { fields: [['key', 'k']], filename: '', file: 'f' });
    assert.equal(await read([body.subarray(0, -8)], contentType), 'MalformedPOSTRequest');
  });

  test('fields behind the file are ignored, up to 1 MiB', async () => {
    const fits = formBody([['key', 'k']], 'f', { after: [['tail', 'x'.repeat(600_000)]] });
    assert.deepEqual(await read(pieces(fits.body), fits.contentType), {
      fields: [['key', 'k']],
      filename: '',
      file: 'f',
    });
    const over = formBody([['key', 'k']], 'f', { after: [['tail', 'x'.repeat(1_300_000)]] });
    assert.equal(await read(pieces(over.body), over.contentType), 'MalformedPOSTRequest');
  });

  function pieces(body: Buffer): Buffer[] {
    return cut(body, ...Array.from({ length: Math.floor(body.length / 65_536) }, (_, index) => (index + 1) * 65_536));
  }
});

test('names and values that are not UTF-8 are refused', async () => {
  const { body, contentType } = formBody([['key', Buffer.from([0x61, 0xff])]], 'f');
  assert.equal(await read([body], contentType), 'MalformedPOSTRequest');
});

test('the file is pulled as it is wanted, not before', async () => {
  const { body, contentType } = formBody([['key', 'k']], Buffer.alloc(4 * 1024 * 1024, 'x'));
  let given = 0;
  async function* counted(): AsyncGenerator<Buffer> {
    for (let at = 0; at < body.length; at += 65_536) {
      given += 65_536;
      yield body.subarray(at, at + 65_536);
    }
  }
  const form = await openForm(counted(), contentType);
  const file = form.file.bytes[Symbol.asyncIterator]();
  let read = (await file.next()).value?.length ?? 0;
  for (let turn = 0; turn < 50; turn++) await new Promise(setImmediate);
  assert.ok(given <= 5 * 65_536, `${given} bytes were pulled for ${read} that were asked for`);
  for (let next = await file.next(); next.done !== true; next = await file.next()) read += next.value.length;
  assert.equal(read, 4 * 1024 * 1024);
});

test('a source that fails in the middle fails the file', async () => {
  const { body, contentType } = formBody([['key', 'k']], 'x'.repeat(1000));
  async function* broken(): AsyncGenerator<Buffer> {
    yield body.subarray(0, body.length - 500);
    throw new Error('aborted');
  }
  const form = await openForm(broken(), contentType);
  await assert.rejects(
    async () => {
      for await (const _ of form.file.bytes);
    },
    { code: 'MalformedPOSTRequest' },
  );
});

test('a form that is let go lets go of its source', async () => {
  const { body, contentType } = formBody([['key', 'k']], 'x'.repeat(1000));
  let returned = false;
  const source: AsyncIterable<Buffer> = {
    [Symbol.asyncIterator]: () => ({
      next: async () => ({ done: false as const, value: body }),
      return: async () => {
        returned = true;
        return { done: true as const, value: undefined };
      },
    }),
  };
  const form = await openForm(source, contentType);
  form.close();
  form.close();
  assert.ok(returned);
});

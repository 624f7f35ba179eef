// The folder stream as bytes: whole it is read, and nothing else is: not its beginning (also one that ends between two
// records), not with a byte changed, not with more behind it.
import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { describe, it } from 'node:test';
import { isZringError } from '../../src/common/errors.ts';
import { decodeStream, encodeStream, type StreamSink } from '../../src/dataset/dir-stream.ts';

const FILES: Record<string, Buffer> = {
  index: Buffer.from('an index'),
  'data/aa/one': Buffer.from('the first body'),
  'data/bb/empty': Buffer.alloc(0),
};
const BEGIN = { version: 1, snapshot: 's1', guid: '17', fromGuid: null, createdMs: 5 };

/** The stream, as the records that it is made of. */
async function records(): Promise<Buffer[]> {
  const files = Object.entries(FILES).map(([path, content]) => ({ path, size: content.length }));
  const stream = encodeStream(BEGIN, files, ['data/cc/gone'], async function* ({ path }) {
    const content = FILES[path] ?? Buffer.alloc(0);
    if (content.length > 0) yield content;
  });
  const made: Buffer[] = [];
  for await (const record of stream) made.push(record);
  return made;
}

async function decode(bytes: Buffer): Promise<{ bytes: number; said: string[] }> {
  const said: string[] = [];
  const sink: StreamSink = {
    begin: async ({ snapshot }) => void said.push(snapshot),
    file: async ({ path }) => void said.push(path),
    data: async (chunk) => void said.push(chunk.toString()),
    remove: async (paths) => void said.push(`- ${paths}`),
  };
  const source = Readable.from(bytes.length > 0 ? [bytes] : [], { objectMode: false });
  return { bytes: await decodeStream(source, sink), said };
}

const invalid = (error: unknown) => isZringError(error, 'STREAM_INVALID');

describe('a folder stream', () => {
  it('that is whole comes out as it went in', async () => {
    const whole = Buffer.concat(await records());
    const { bytes, said } = await decode(whole);
    assert.equal(bytes, whole.length);
    assert.deepEqual(said, [
      's1',
      'index',
      'an index',
      'data/aa/one',
      'the first body',
      'data/bb/empty',
      '- data/cc/gone',
    ]);
  });

  it('that ends early is refused wherever it ends, between two records too', async () => {
    const made = await records();
    const whole = Buffer.concat(made);
    let at = 0;
    const boundaries = made.map((record) => {
      at += record.length;
      return at;
    });
    assert.equal(boundaries.pop(), whole.length);
    for (const boundary of boundaries)
      await assert.rejects(decode(whole.subarray(0, boundary)), invalid, `cut at the boundary ${boundary}`);
    for (let cut = 0; cut < whole.length; cut++)
      await assert.rejects(decode(whole.subarray(0, cut)), invalid, `cut at ${cut}`);
  });

  it('with any byte changed, or with more behind its end, is refused', async () => {
    const whole = Buffer.concat(await records());
    for (let at = 0; at < whole.length; at++) {
      const damaged = Buffer.from(whole);
      damaged[at] = (damaged[at] ?? 0) ^ 0x10;
      await assert.rejects(decode(damaged), (error: unknown) => isZringError(error), `byte ${at}`);
    }
    await assert.rejects(decode(Buffer.concat([whole, Buffer.of(0)])), invalid);
  });
});

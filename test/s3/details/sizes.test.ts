// Sizes up to 50 TB, where 32 bits, and doubles used as 32 bits, give wrong numbers: in the index, in lists, heads, ranges,
// parts, copies and checksums. The store's answers are changed to such sizes; what is computed from them is ours.
import '../../support/in-memory.ts';
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import {
  CreateMultipartUploadCommand,
  HeadObjectCommand,
  ListObjectsCommand,
  ListObjectsV2Command,
  ListObjectVersionsCommand,
  ListPartsCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { crc32 } from '@node-rs/crc32';
import { fullObjectChecksum } from '../../../src/s3/handlers/checksum-combine.ts';
import { LIMITS } from '../../../src/s3/limits.ts';
import { decodeObject, encodeObject } from '../../../src/store/codec.ts';
import type { ObjectEntry, Store } from '../../../src/store/types.ts';
import { overrideStore } from '../../support/memory-access.ts';
import { bucketName, s3Fixture } from '../../support/s3-fixture.ts';

const GIB = 2 ** 30;
const TIB = 2 ** 40;
const PARTS_MAX = LIMITS.partNumberMax.value;
/** Around every power of two that some integer type ends at, and the largest object: as many of the largest parts as there may be. */
const SIZES = [2 ** 31, 2 ** 32, 5 * GIB, TIB, 5 * TIB, PARTS_MAX * 5 * GIB].flatMap((size) => [
  size - 1,
  size,
  size + 1,
]);
const LARGEST = PARTS_MAX * 5 * GIB;

const node = await s3Fixture();
const client = node.client();
const Bucket = bucketName('sizes');
const path = `/${Bucket}/k`;
before(async () => {
  await node.raw({ method: 'PUT', path: `/${Bucket}` });
  await node.raw({ method: 'PUT', path, body: 'x' });
});

/** Until it ends, every object of the store has that size. */
function withSize(size: number, partSizes: readonly number[] | null = null): void {
  const grown = <Entry extends ObjectEntry | null>(entry: Entry): Entry => entry && { ...entry, size, partSizes };
  node.access.wrapStore = (store: Store) =>
    overrideStore(store, {
      head: (key) => grown(store.head(key)),
      readInline: () => null,
      list: (request) => {
        const page = store.list(request);
        return { ...page, entries: page.entries.map(grown) };
      },
      listVersions: (request) => {
        const page = store.listVersions(request);
        return { ...page, versions: page.versions.map((one) => ({ ...one, entry: grown(one.entry) })) };
      },
    });
}
after(() => {
  node.access.wrapStore = (store) => store;
});

test('a record keeps any size and any list of parts', async () => {
  const entry = (await node.access.store(Bucket)).head('k');
  assert.ok(entry);
  for (const size of [...SIZES, Number.MAX_SAFE_INTEGER]) {
    const partSizes = Array.from({ length: 3 }, () => Math.floor(size / 3));
    const record: ObjectEntry = { ...entry, size, partSizes, sequence: size, modifiedMs: size, blobs: [] };
    assert.deepEqual(
      decodeObject('k', encodeObject(record), () => []),
      record,
    );
  }
});

describe('an object of', () => {
  for (const size of SIZES) {
    test(`${size} bytes: lists and heads say so; ranges count from both ends`, async () => {
      withSize(size);
      assert.equal((await client.send(new HeadObjectCommand({ Bucket, Key: 'k' }))).ContentLength, size);
      const pages = [new ListObjectsCommand({ Bucket }), new ListObjectsV2Command({ Bucket })];
      for (const command of pages) {
        const page = await client.send(command as ListObjectsV2Command);
        assert.equal(page.Contents?.[0]?.Size, size);
      }
      const versions = await client.send(new ListObjectVersionsCommand({ Bucket }));
      assert.equal(versions.Versions?.[0]?.Size, size);
      const attributes = { 'x-amz-object-attributes': 'ObjectSize' };
      const described = await node.raw({ path: `${path}?attributes`, headers: attributes });
      assert.match(described.text, new RegExp(`<ObjectSize>${size}</ObjectSize>`));
      const rows: [range: string, status: number, content: string, length: number][] = [
        [`bytes=${size - 1}-`, 206, `${size - 1}-${size - 1}/${size}`, 1],
        [`bytes=${size - 7}-${size + 99}`, 206, `${size - 7}-${size - 1}/${size}`, 7],
        ['bytes=-5', 206, `${size - 5}-${size - 1}/${size}`, 5],
        ['bytes=1-', 206, `1-${size - 1}/${size}`, size - 1],
        [`bytes=${size}-`, 416, `*/${size}`, 0],
      ];
      for (const [range, status, content, length] of rows) {
        const head = await node.raw({ method: 'HEAD', path, headers: { range } });
        assert.deepEqual([head.status, head.headers['content-range']], [status, `bytes ${content}`], range);
        if (status === 206) assert.equal(head.headers['content-length'], String(length));
      }
      const conditions = { 'x-amz-if-match-size': String(size + 1) };
      assert.equal((await node.raw({ method: 'DELETE', path, headers: conditions })).status, 412);
    });
  }
});

test('the last of 10,000 parts of 5 GiB', async () => {
  withSize(LARGEST, new Array(PARTS_MAX).fill(5 * GIB));
  const head = await node.raw({ method: 'HEAD', path: `${path}?partNumber=${PARTS_MAX}` });
  assert.equal(head.headers['content-range'], `bytes ${LARGEST - 5 * GIB}-${LARGEST - 1}/${LARGEST}`);
  assert.deepEqual([head.status, head.headers['content-length']], [206, String(5 * GIB)]);
  assert.equal(head.headers['x-amz-mp-parts-count'], String(PARTS_MAX));
  const attributes = { 'x-amz-object-attributes': 'ObjectParts', 'x-amz-part-number-marker': String(PARTS_MAX - 1) };
  const { status } = await node.raw({ path: `${path}?attributes`, headers: attributes });
  assert.equal(status, 200);
});

describe('what is too large', () => {
  const put = (target: string, headers: Record<string, string>) => node.raw({ method: 'PUT', path: target, headers });
  const LENGTHS: [bytes: number, refused: boolean][] = [
    [5 * GIB + 1, true],
    [2 ** 32 * 4, true],
    [5 * TIB, true],
  ];
  for (const [bytes] of LENGTHS) {
    test(`a body of ${bytes} bytes, plain and in chunks: refused before it is sent`, async () => {
      node.access.wrapStore = (store) => store;
      const { UploadId } = await client.send(new CreateMultipartUploadCommand({ Bucket, Key: 'k' }));
      for (const target of [path, `${path}?partNumber=1&uploadId=${UploadId}`]) {
        const answer = await put(target, {
          'x-amz-content-sha256': 'STREAMING-UNSIGNED-PAYLOAD-TRAILER',
          'x-amz-decoded-content-length': String(bytes),
          'transfer-encoding': 'chunked',
        });
        assert.deepEqual([answer.status, answer.code], [400, 'EntityTooLarge']);
      }
      assert.equal((await node.raw({ path })).text, 'x');
    });
  }

  test('a copy beyond 5 GiB; a part by copy beyond 5 GiB', async () => {
    const source = { 'x-amz-copy-source': `${Bucket}/k` };
    node.access.wrapStore = (store) => store;
    const { UploadId } = await client.send(new CreateMultipartUploadCommand({ Bucket, Key: 'k' }));
    const target = `${path}?partNumber=1&uploadId=${UploadId}`;
    for (const size of [5 * GIB + 1, 5 * TIB]) {
      withSize(size);
      const copied = await put(`/${Bucket}/copy`, source);
      assert.deepEqual([copied.status, copied.code], [400, 'InvalidRequest'], `copy of ${size}`);
      const whole = await put(target, source);
      assert.deepEqual([whole.status, whole.code], [400, 'EntityTooLarge']);
      const range = { ...source, 'x-amz-copy-source-range': `bytes=0-${5 * GIB}` };
      assert.equal((await put(target, range)).code, 'EntityTooLarge');
      const beyond = { ...source, 'x-amz-copy-source-range': `bytes=${size - 1}-${size}` };
      assert.equal((await put(target, beyond)).code, 'InvalidRange');
    }
  });

  test('a part by copy from behind 2^32 takes these bytes', async () => {
    const { UploadId } = await client.send(new CreateMultipartUploadCommand({ Bucket, Key: 'k' }));
    const asked: unknown[] = [];
    withSize(5 * TIB);
    const { wrapStore } = node.access;
    node.access.wrapStore = (store) =>
      overrideStore(wrapStore(store), {
        read: (entry, range) => {
          asked.push(range);
          return store.read({ ...entry, size: 1 }, { start: 0, end: 0 });
        },
      });
    const range = `bytes=${5 * TIB - 1}-${5 * TIB - 1}`;
    const answer = await put(`${path}?partNumber=1&uploadId=${UploadId}`, {
      'x-amz-copy-source': `${Bucket}/k`,
      'x-amz-copy-source-range': range,
    });
    assert.equal(answer.status, 200, answer.text);
    assert.deepEqual(asked, [{ start: 5 * TIB - 1, end: 5 * TIB - 1 }]);
  });
});

test('an upload of 10,000 parts of 5 GiB: x-amz-mp-object-size is their sum', async () => {
  node.access.wrapStore = (store) => store;
  const { UploadId = '' } = await client.send(new CreateMultipartUploadCommand({ Bucket, Key: 'sum' }));
  const { ETag } = await client.send(new UploadPartCommand({ Bucket, Key: 'sum', UploadId, PartNumber: 1, Body: 'x' }));
  const store = await node.access.store(Bucket);
  const [part] = store.listParts(UploadId, 'sum', 0, 1).parts;
  assert.ok(part);
  const many = Array.from({ length: PARTS_MAX }, (_, index) => ({ ...part, number: index + 1, size: 5 * GIB }));
  let finished: unknown = null;
  node.access.wrapStore = (inner) =>
    overrideStore(inner, {
      listParts: () => ({ parts: many.slice(0, 2), next: null }),
      completeUpload: async (request) => {
        const upload = inner.upload(UploadId, 'sum');
        assert.ok(upload);
        finished = request.finish(upload, many);
        throw new Error('far enough');
      },
    });
  const listed = await client.send(new ListPartsCommand({ Bucket, Key: 'sum', UploadId }));
  assert.equal(listed.Parts?.[0]?.Size, 5 * GIB);
  const body = `<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>${ETag}</ETag></Part></CompleteMultipartUpload>`;
  const complete = (size: number) =>
    node.raw({
      method: 'POST',
      path: `/${Bucket}/sum?uploadId=${UploadId}`,
      body,
      headers: { 'x-amz-mp-object-size': String(size) },
    });
  for (const wrong of [LARGEST - 1, LARGEST + 1, LARGEST % 2 ** 32]) {
    const refused = await complete(wrong);
    assert.deepEqual([refused.status, refused.code, finished], [400, 'InvalidRequest', null]);
  }
  await complete(LARGEST);
  assert.ok(finished, 'the right sum is accepted');
});

test('checksums of parts combine beyond 2^32 bytes as they do below', () => {
  const base64 = (value: number) => {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32BE(value >>> 0);
    return bytes.toString('base64');
  };
  const combine = (...parts: { value: string; size: number }[]) => fullObjectChecksum('CRC32', parts)?.value ?? '';
  // Doubling: from a block that is hashed, only ever two equal halves of a size that was reached already.
  const block = Buffer.alloc(1 << 20);
  let zeros = { value: base64(crc32(block)), size: block.length };
  while (zeros.size < 8 * TIB) zeros = { value: combine(zeros, zeros), size: zeros.size * 2 };
  // The register after n zero bytes, x^(8n) times the start, by CRC32's own period: 2^32 - 1 bits are a whole turn.
  const bits = BigInt(zeros.size) * 8n;
  const turns = Number(bits % (2n ** 32n - 1n));
  assert.equal(turns % 8, 0, 'a whole number of bytes');
  assert.equal(zeros.value, base64(crc32(Buffer.alloc(turns / 8))));
});

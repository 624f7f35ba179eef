// Keys of every Unicode plane, with characters that XML has trouble with, and of 1024 bytes: put, read, listed (three lists,
// both encodings), copied, uploaded in parts and deleted, one by one and in a document; each is itself, byte for byte.
import '../../support/in-memory.ts';
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { before, describe, test } from 'node:test';
import { DeleteObjectsCommand, ListObjectsV2Command } from '@aws-sdk/client-s3';
import { bucketName, s3Fixture } from '../../support/s3-fixture.ts';

const node = await s3Fixture();

function codePoints(plane: number): number[] {
  const first = plane * 0x10000;
  // The surrogates of plane 0 are no characters; the last two of each plane are, for UTF-8.
  return [
    first || 0x21,
    first + 0x100,
    first + 0x4e00,
    first + 0xd7ff,
    first + 0xe000,
    first + 0xfffd,
    first + 0xfffe,
    first + 0xffff,
  ];
}

const PLANES = Array.from({ length: 17 }, (_, plane) => `${plane}/${String.fromCodePoint(...codePoints(plane))}`);
const CONTROLS = Array.from({ length: 0x21 }, (_, code) => `control ${String.fromCharCode(code)} inside`);
const XML = [
  '<Key>',
  '</Key></Contents></ListBucketResult>',
  '<![CDATA[x]]>',
  ']]>',
  '<!-- -->',
  '<?xml version="1.0"?>',
  '<!DOCTYPE a [<!ENTITY b "c">]>&b;',
  '&',
  '&amp;',
  '&amp;amp;',
  '&#x1;',
  '&#0;',
  '&lt;',
  `'"`,
  '\r',
  '\n',
  '\r\n',
  '\u0085\u2028\u2029',
  '\u007f\u0080\u009f',
  '\ufeff',
  ' leading and trailing ',
  '  two  spaces  ',
  '%41%zz%',
  'a+b c%20d',
];
const LONGEST = ['k', '&', '%', ' ', '\u0001', '/', 'é', '\uffff', '\u{10ffff}']
  .map((unit) => unit.repeat(1024 / Buffer.byteLength(unit)))
  .map((key) => key + 'k'.repeat(1024 - Buffer.byteLength(key)));
const NORMAL_FORMS = ['\u00e9', 'e\u0301', '\u212b', '\u00c5', 'A\u030a', 'ﬁ', 'fi', 'ß', 'SS', 'İ', 'i̇'];
const KEYS = [...new Set([...PLANES, ...CONTROLS, ...XML, ...LONGEST, ...NORMAL_FORMS])].sort((a, b) =>
  Buffer.compare(Buffer.from(a), Buffer.from(b)),
);

/** Characters that no XML can name, even as a reference: such keys are read from url-encoded lists. */
const UNSPEAKABLE = /[\0\ufffe\uffff]/;

function encodeKey(key: string): string {
  return encodeURIComponent(key)
    .replaceAll('%2F', '/')
    .replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
}

/** What a reader of XML makes of a text: references, and nothing that may not stand there. */
function fromXml(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: no document may hold one
  assert.doesNotMatch(text, /[<>"]|\r|[\0-\x08\x0b-\x1f]|&(?!(amp|lt|gt|quot|apos|#x[0-9A-F]+);)/, 'well-formed');
  const named: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };
  return text.replace(/&(?:#x([0-9A-F]+)|(\w+));/g, (_, hex?: string, name?: string) =>
    hex === undefined ? (named[name ?? ''] ?? '?') : String.fromCodePoint(Number.parseInt(hex, 16)),
  );
}

/** All of it as references, which is what a careful client can write. */
function toXml(key: string): string {
  return [...key].map((c) => `&#x${(c.codePointAt(0) ?? 0).toString(16)};`).join('');
}

describe(`${KEYS.length} keys`, () => {
  const Bucket = bucketName('keys');
  const at = (key: string, query = '') => `/${Bucket}/${encodeKey(key)}${query}`;
  before(async () => {
    await node.raw({ method: 'PUT', path: `/${Bucket}` });
    await node.raw({ method: 'PUT', path: `/${Bucket}-copies` });
    for (const key of KEYS) {
      const answer = await node.raw({ method: 'PUT', path: at(key), body: key });
      assert.equal(answer.status, 200, `${JSON.stringify(key)}: ${answer.text}`);
    }
  });

  test('each is read as what was put', async () => {
    for (const key of KEYS) assert.equal((await node.raw({ path: at(key) })).text, key);
  });

  for (const list of ['?', '?list-type=2&', '?versions&']) {
    for (const encoding of ['url', null]) {
      test(`${list} ${encoding ?? 'as they are'}: all, in the order of their bytes, whatever the page`, async () => {
        const found: string[] = [];
        let marker = '';
        do {
          const { text } = await node.raw({
            path: `/${Bucket}${list}max-keys=17${encoding ? '&encoding-type=url' : ''}${marker}`,
          });
          const read = encoding ? decodeURIComponent : fromXml;
          const page = [...text.matchAll(/<Key>([^<]*)<\/Key>/g)].map(([, key = '']) => read(key));
          assert.ok(page.length <= 17);
          found.push(...page);
          marker = text.includes('<IsTruncated>true') ? next(list, text, page.at(-1) ?? '') : '';
        } while (marker !== '');
        assert.deepEqual(found, KEYS);
      });
    }
  }

  function next(list: string, text: string, last: string): string {
    const token = /<NextContinuationToken>([^<]*)</.exec(text)?.[1];
    if (token !== undefined) return `&continuation-token=${encodeURIComponent(token)}`;
    if (list === '?') return `&marker=${encodeURIComponent(last)}`;
    return `&key-marker=${encodeURIComponent(last)}&version-id-marker=null`;
  }

  test('each is a prefix, a start and a delimiter of its own', async () => {
    for (const key of KEYS) {
      const name = encodeURIComponent(key);
      const { text } = await node.raw({
        path: `/${Bucket}?delimiter=${name}&encoding-type=url&list-type=2&prefix=${name}`,
      });
      // Behind its own end a key has no delimiter any more, so it is listed itself, and comes first.
      const [first = ''] = [...text.matchAll(/<Key>([^<]*)</g)].map(([, one = '']) => decodeURIComponent(one));
      assert.equal(first, key);
      assert.equal(decodeURIComponent(/<Prefix>([^<]*)</.exec(text)?.[1] ?? ''), key);
      assert.equal(decodeURIComponent(/<Delimiter>([^<]*)</.exec(text)?.[1] ?? ''), key);
      const after = await node.raw({ path: `/${Bucket}?encoding-type=url&list-type=2&max-keys=1&start-after=${name}` });
      const following = /<Key>([^<]*)</.exec(after.text)?.[1];
      assert.equal(following && decodeURIComponent(following), KEYS[KEYS.indexOf(key) + 1]);
    }
  });

  test('each is the source of a copy, the key of an upload, and named in an error', async () => {
    for (const key of KEYS) {
      const source = { 'x-amz-copy-source': `${Bucket}/${encodeKey(key)}` };
      const copied = await node.raw({ method: 'PUT', path: `/${Bucket}-copies/copy`, headers: source });
      assert.equal(copied.status, 200, `${JSON.stringify(key)}: ${copied.text}`);
      assert.equal((await node.raw({ path: `/${Bucket}-copies/copy` })).text, key);
      const upload = await node.raw({ method: 'POST', path: at(key, '?uploads') });
      const id = /<UploadId>([^<]*)</.exec(upload.text)?.[1];
      if (!UNSPEAKABLE.test(key)) assert.equal(fromXml(/<Key>([^<]*)</.exec(upload.text)?.[1] ?? ''), key);
      const uploads = await node.raw({ path: `/${Bucket}?encoding-type=url&uploads` });
      assert.equal(decodeURIComponent(/<Upload><Key>([^<]*)</.exec(uploads.text)?.[1] ?? ''), key);
      assert.equal((await node.raw({ method: 'DELETE', path: at(key, `?uploadId=${id}`) })).status, 204);
      const missing = await node.raw({ path: `/${Bucket}-copies/${encodeKey(key)}` });
      assert.deepEqual([missing.status, missing.code], [404, 'NoSuchKey']);
      if (!UNSPEAKABLE.test(key)) assert.equal(fromXml(/<Key>([^<]*)</.exec(missing.text)?.[1] ?? ''), key);
    }
  });

  test('they are deleted, in a document where XML has a word for them, and nothing else goes', async () => {
    const client = node.client();
    const [spoken, unspeakable] = [
      KEYS.filter((key) => !UNSPEAKABLE.test(key)),
      KEYS.filter((key) => UNSPEAKABLE.test(key)),
    ];
    const byReference = spoken.filter((_, index) => index % 2 === 0);
    const document = `<Delete>${byReference.map((key) => `<Object><Key>${toXml(key)}</Key></Object>`).join('')}</Delete>`;
    const headers = { 'content-md5': createHash('md5').update(document).digest('base64') };
    const { text } = await node.raw({ method: 'POST', path: `/${Bucket}?delete`, body: document, headers });
    const deleted = [...text.matchAll(/<Deleted><Key>([^<]*)<\/Key>/g)].map(([, key = '']) => fromXml(key));
    assert.deepEqual(deleted, byReference);
    // The SDK writes the rest its own way; what it cannot write is left to DeleteObject.
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is asked for
    const bySdk = spoken.filter((key) => !byReference.includes(key) && !/[\x01-\x1f]/.test(key));
    const Objects = bySdk.map((Key) => ({ Key }));
    const answer = await client.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects } }));
    assert.equal(answer.Deleted?.length, bySdk.length);
    const gone = new Set([...byReference, ...bySdk]);
    const left = KEYS.filter((key) => !gone.has(key));
    const page = await client.send(new ListObjectsV2Command({ Bucket, EncodingType: 'url' }));
    assert.deepEqual(page.Contents?.map(({ Key = '' }) => decodeURIComponent(Key)) ?? [], left);
    assert.ok(unspeakable.every((key) => left.includes(key)));
    for (const key of left) assert.equal((await node.raw({ method: 'DELETE', path: at(key) })).status, 204);
    assert.ok((await node.access.store(Bucket)).isEmpty());
  });
});

test('1025 bytes are refused, of whatever characters, and nothing is stored', async () => {
  const Bucket = bucketName('keys');
  await node.raw({ method: 'PUT', path: `/${Bucket}` });
  for (const key of ['k'.repeat(1025), 'é'.repeat(513), `k${'\u{10ffff}'.repeat(256)}`]) {
    const answer = await node.raw({ method: 'PUT', path: `/${Bucket}/${encodeKey(key)}`, body: 'x' });
    assert.deepEqual([answer.status, answer.code], [400, 'KeyTooLongError']);
  }
  assert.ok((await node.access.store(Bucket)).isEmpty());
});

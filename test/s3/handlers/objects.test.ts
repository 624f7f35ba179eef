import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { before, describe, test } from 'node:test';
import {
  CreateBucketCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  type GetObjectCommandOutput,
  HeadObjectCommand,
  type HeadObjectCommandOutput,
  PutObjectCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import { part } from '../../support/parts.ts';
import { bucketName, type Fixture, s3Fixture } from '../../support/s3-fixture.ts';

const plain = await s3Fixture();
const withTls = part('openssl');
const secure = withTls.skip ? null : await s3Fixture({ secure: true });
const md5 = (body: string | Buffer) => createHash('md5').update(body).digest('hex');
const body = async (output: { Body?: { transformToByteArray(): Promise<Uint8Array> } | undefined }) =>
  Buffer.from((await output.Body?.transformToByteArray()) ?? []);

/** SDKs frame bodies differently on each: a digest header on plain HTTP, a trailer over TLS. */
for (const [scheme, node] of [
  ['http', plain],
  ['https', secure],
] as [string, Fixture][]) {
  describe(`objects over ${scheme}`, node ? {} : withTls, () => {
    const Bucket = bucketName();
    let client: S3Client;
    before(async () => {
      client = node.client();
      await client.send(new CreateBucketCommand({ Bucket }));
    });

    // Empty, inline, around the inline limit, several HTTP chunks, several data blocks.
    for (const size of [0, 1, 8191, 8192, 16_384, 16_385, 65_536, 1 << 20, (5 << 20) + 7]) {
      test(`${size} bytes go in and come out, as buffer and as stream`, async () => {
        const sent = randomBytes(size);
        for (const streamed of [false, true]) {
          const Key = `size/${size}/${streamed}`;
          const Body = streamed ? Readable.from(chunks(sent, 10_007)) : sent;
          const put = await client.send(
            new PutObjectCommand({ Bucket, Key, Body, ...(streamed ? { ContentLength: size } : {}) }),
          );
          assert.equal(put.ETag, `"${md5(sent)}"`);
          const got = await client.send(new GetObjectCommand({ Bucket, Key, ChecksumMode: 'ENABLED' }));
          assert.equal(got.ContentLength, size);
          assert.equal(got.ETag, put.ETag);
          assert.ok(got.ChecksumCRC32, 'the checksum that the SDK sent is kept');
          assert.ok((await body(got)).equals(sent));
        }
      });
    }

    test('presigned GET and PUT', async () => {
      const Key = 'presigned';
      const put = await getSignedUrl(client, new PutObjectCommand({ Bucket, Key }), { expiresIn: 60 });
      const get = await getSignedUrl(client, new GetObjectCommand({ Bucket, Key }), { expiresIn: 60 });
      const path = (url: string) => url.slice(node.endpoint.length);
      const stored = await node.raw({ method: 'PUT', path: path(put), body: 'by URL', sign: false });
      assert.equal(stored.status, 200);
      const got = await node.raw({ path: path(get), sign: false });
      assert.deepEqual([got.status, got.text], [200, 'by URL']);
    });

    test('odd keys are themselves', async () => {
      const keys = [
        'a//b',
        './x',
        '../y',
        'a/..',
        'a',
        'a/',
        ' ',
        '+',
        'ü',
        'u\u0308',
        '%2F',
        'a?b#c',
        '\u{1f600}',
        'k'.repeat(1024),
      ];
      for (const Key of keys) await client.send(new PutObjectCommand({ Bucket, Key: Key, Body: `body of ${Key}` }));
      for (const Key of keys) {
        const got = await client.send(new GetObjectCommand({ Bucket, Key }));
        assert.equal((await body(got)).toString(), `body of ${Key}`);
      }
    });
  });
}

function* chunks(bytes: Buffer, size: number): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

describe('one object', () => {
  const Bucket = bucketName();
  const client = plain.client();
  const raw: typeof plain.raw = (request) => plain.raw({ ...request, path: `/${Bucket}/${request.path}` });
  before(() => client.send(new CreateBucketCommand({ Bucket })));

  test('headers and metadata come back, on GET and HEAD', async () => {
    const Key = 'described';
    await client.send(
      new PutObjectCommand({
        Bucket,
        Key,
        Body: 'x',
        ContentType: 'text/plain; charset=utf-8',
        CacheControl: 'max-age=3',
        ContentDisposition: 'attachment; filename="f"',
        ContentEncoding: 'gzip',
        ContentLanguage: 'de',
        Expires: new Date('2030-01-01T00:00:00Z'),
        StorageClass: 'STANDARD_IA',
        WebsiteRedirectLocation: '/elsewhere',
        Metadata: { one: '1', two: 'b b' },
      }),
    );
    for (const Command of [GetObjectCommand, HeadObjectCommand]) {
      const seen: GetObjectCommandOutput | HeadObjectCommandOutput = await client.send(
        new Command({ Bucket, Key }) as GetObjectCommand,
      );
      assert.equal(seen.ContentType, 'text/plain; charset=utf-8');
      assert.equal(seen.CacheControl, 'max-age=3');
      assert.equal(seen.ContentDisposition, 'attachment; filename="f"');
      assert.equal(seen.ContentEncoding, 'gzip');
      assert.equal(seen.ContentLanguage, 'de');
      assert.equal(seen.ExpiresString, 'Tue, 01 Jan 2030 00:00:00 GMT');
      assert.equal(seen.StorageClass, 'STANDARD_IA');
      assert.equal(seen.WebsiteRedirectLocation, '/elsewhere');
      assert.deepEqual(seen.Metadata, { one: '1', two: 'b b' });
      assert.equal(seen.AcceptRanges, 'bytes');
      assert.equal(seen.ContentLength, 1);
      assert.ok(seen.LastModified instanceof Date);
    }
    await client.send(new PutObjectCommand({ Bucket, Key, Body: 'x' }));
    const plainly = await client.send(new HeadObjectCommand({ Bucket, Key }));
    assert.deepEqual(
      [plainly.ContentType, plainly.Metadata, plainly.CacheControl],
      ['application/octet-stream', {}, undefined],
    );
  });

  test('without a Content-Type an object is binary/octet-stream', async () => {
    await raw({ method: 'PUT', path: 'untyped', body: 'x' });
    assert.equal((await raw({ method: 'HEAD', path: 'untyped' })).headers['content-type'], 'binary/octet-stream');
  });

  test('metadata that is not ASCII returns the bytes that were sent, UTF-8 or Latin-1', async () => {
    const cases = [
      { headerEncoding: 'utf8', text: 'Grüße 世界' },
      { headerEncoding: 'latin1', text: 'Grüße' },
    ] as const;
    for (const { headerEncoding, text } of cases) {
      const headers = { 'x-amz-meta-g': text };
      const stored = await raw({ method: 'PUT', path: 'umlaut', body: 'x', headers, headerEncoding });
      assert.equal(stored.status, 200, stored.text);
      const got = (await raw({ method: 'HEAD', path: 'umlaut' })).headers['x-amz-meta-g'];
      assert.deepEqual(Buffer.from(String(got), 'latin1'), Buffer.from(text, headerEncoding));
    }
  });

  test('too much metadata is refused', async () => {
    const answer = await raw({ method: 'PUT', path: 'k', body: 'x', headers: { 'x-amz-meta-a': 'v'.repeat(2048) } });
    assert.deepEqual([answer.status, answer.code], [400, 'MetadataTooLarge']);
  });

  const RANGES: [range: string, size: number, status: number, content: string | null, header: string | undefined][] = [
    ['bytes=4-7', 11, 206, '4567', 'bytes 4-7/11'],
    ['bytes=4-', 11, 206, '456789a', 'bytes 4-10/11'],
    ['bytes=-3', 11, 206, '89a', 'bytes 8-10/11'],
    ['bytes=0-99', 11, 206, '0123456789a', 'bytes 0-10/11'],
    ['bytes=11-', 11, 416, null, 'bytes */11'],
    ['bytes=40-50', 0, 416, null, 'bytes */0'],
    ['bytes=0-1,3-4', 11, 200, '0123456789a', undefined],
    ['bytes=9-2', 11, 200, '0123456789a', undefined],
    ['lines=1-2', 11, 200, '0123456789a', undefined],
  ];
  for (const [range, size, status, content, header] of RANGES) {
    test(`Range ${range} of ${size} bytes`, async () => {
      await raw({ method: 'PUT', path: 'ranged', body: '0123456789a'.slice(0, size) });
      const got = await raw({ path: 'ranged', headers: { range } });
      assert.equal(got.status, status);
      assert.equal(got.headers['content-range'], header);
      if (content === null) assert.equal(got.code, 'InvalidRange');
      else assert.deepEqual([got.text, got.headers['content-length']], [content, String(content.length)]);
      const head = await raw({ method: 'HEAD', path: 'ranged', headers: { range } });
      assert.deepEqual([head.status, head.body.length], [status, 0]);
      if (content !== null) assert.equal(head.headers['content-length'], String(content.length));
    });
  }

  test('a range in the middle of a large object', async () => {
    const sent = randomBytes(3 << 20);
    await client.send(new PutObjectCommand({ Bucket, Key: 'large', Body: sent }));
    const start = (1 << 20) - 3;
    const got = await raw({ path: 'large', headers: { range: `bytes=${start}-${start + 9}` } });
    assert.ok(got.body.equals(sent.subarray(start, start + 10)));
  });

  test('a checksum never comes with other bytes than it is of', async () => {
    const mode = { 'x-amz-checksum-mode': 'ENABLED' };
    await raw({ method: 'PUT', path: 'summed', body: '0123456789' });
    assert.ok((await raw({ path: 'summed', headers: mode })).headers['x-amz-checksum-crc64nvme']);
    assert.equal(
      (await raw({ path: 'summed', headers: { ...mode, range: 'bytes=0-3' } })).headers['x-amz-checksum-crc64nvme'],
      undefined,
    );
    assert.equal((await raw({ path: 'summed' })).headers['x-amz-checksum-crc64nvme'], undefined);
    assert.ok((await raw({ path: 'summed?partNumber=1', headers: mode })).headers['x-amz-checksum-crc64nvme']);
  });

  // Of 'abc', computed bit by bit outside of this program.
  const CHECKSUMS: [header: string, value: string][] = [
    ['x-amz-checksum-crc32', 'NSRBwg=='],
    ['x-amz-checksum-crc32c', 'Nks/tw=='],
    ['x-amz-checksum-crc64nvme', 'BeXKuz/B+us='],
    ['x-amz-checksum-sha1', 'qZk+NkcGgWq6PiVxeFDCbJzQ2J0='],
    ['x-amz-checksum-sha256', 'ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0='],
  ];
  for (const [header, value] of CHECKSUMS) {
    test(`${header} is verified, kept and returned`, async () => {
      const stored = await raw({ method: 'PUT', path: 'checked', body: 'abc', headers: { [header]: value } });
      assert.deepEqual([stored.status, stored.headers[header]], [200, value], stored.text);
      const seen = await raw({ method: 'HEAD', path: 'checked', headers: { 'x-amz-checksum-mode': 'ENABLED' } });
      assert.deepEqual([seen.headers[header], seen.headers['x-amz-checksum-type']], [value, 'FULL_OBJECT']);
      const wrong = await raw({ method: 'PUT', path: 'checked', body: 'abd', headers: { [header]: value } });
      assert.deepEqual([wrong.status, wrong.code], [400, 'BadDigest']);
      assert.equal((await raw({ path: 'checked' })).text, 'abc');
    });
  }

  test('a Content-MD5 that does not match leaves the old object', async () => {
    await raw({ method: 'PUT', path: 'md5', body: 'old' });
    const wrong = await raw({
      method: 'PUT',
      path: 'md5',
      body: 'new',
      headers: { 'content-md5': createHash('md5').update('other').digest('base64') },
    });
    assert.deepEqual([wrong.status, wrong.code], [400, 'BadDigest']);
    assert.equal((await raw({ path: 'md5' })).text, 'old');
  });

  test('conditional reads', async () => {
    await raw({ method: 'PUT', path: 'cond', body: 'abc', headers: { 'cache-control': 'no-store' } });
    const etag = `"${md5('abc')}"`;
    const match = await raw({ path: 'cond', headers: { 'if-match': etag } });
    assert.equal(match.status, 200);
    const failed = await raw({ path: 'cond', headers: { 'if-match': '"other"' } });
    assert.deepEqual([failed.status, failed.code], [412, 'PreconditionFailed']);
    assert.match(failed.text, /<Condition>If-Match<\/Condition>/);
    const same = await raw({ path: 'cond', headers: { 'if-none-match': etag } });
    assert.deepEqual([same.status, same.body.length, same.headers.etag], [304, 0, etag]);
    assert.equal(same.headers['cache-control'], 'no-store');
    assert.ok(same.headers['last-modified']);
    const since = await raw({ path: 'cond', headers: { 'if-modified-since': same.headers['last-modified'] ?? '' } });
    assert.equal(since.status, 304);
    const stale = await raw({ path: 'cond', headers: { 'if-range': '"other"', range: 'bytes=0-0' } });
    assert.deepEqual([stale.status, stale.text], [200, 'abc']);
  });

  test('conditional writes', async () => {
    const put = (headers: Record<string, string>) => raw({ method: 'PUT', path: 'cas', body: 'abc', headers });
    const none = await put({ 'if-match': '"x"' });
    assert.deepEqual([none.status, none.code], [404, 'NoSuchKey']);
    assert.equal((await put({ 'if-none-match': '*' })).status, 200);
    const exists = await put({ 'if-none-match': '*' });
    assert.deepEqual([exists.status, exists.code], [412, 'PreconditionFailed']);
    const etag = `"${md5('abc')}"`;
    assert.equal((await put({ 'if-match': etag })).status, 200);
    assert.equal((await put({ 'if-match': '"x"' })).status, 412);
    assert.equal((await put({ 'if-none-match': etag })).status, 412);
    assert.equal((await put({ 'if-unmodified-since': 'Wed, 21 Oct 2015 07:28:00 GMT' })).status, 501);
    const remove = (headers: Record<string, string>) => raw({ method: 'DELETE', path: 'cas', headers });
    assert.equal((await remove({ 'if-match': '"x"' })).status, 412);
    assert.equal((await remove({ 'if-match': etag })).status, 204);
    const gone = await remove({ 'if-match': etag });
    assert.deepEqual([gone.status, gone.code], [404, 'NoSuchKey']);
  });

  test('of many concurrent If-None-Match: * writers one wins', async () => {
    const answers = await Promise.all(
      Array.from({ length: 8 }, (_, n) =>
        raw({ method: 'PUT', path: 'race', body: `writer ${n}`, headers: { 'if-none-match': '*' } }),
      ),
    );
    assert.deepEqual(answers.map((answer) => answer.status).sort(), [200, ...Array(7).fill(412)]);
    const winner = answers.findIndex((answer) => answer.status === 200);
    assert.equal((await raw({ path: 'race' })).text, `writer ${winner}`);
  });

  test('response-* overrides', async () => {
    await raw({ method: 'PUT', path: 'over', body: 'x', headers: { 'content-type': 'text/plain' } });
    const got = await raw({
      path: 'over?response-cache-control=no-cache&response-content-disposition=bla&response-content-encoding=aaa&response-content-language=esperanto&response-content-type=foo%2Fbar&response-expires=123',
    });
    const { headers } = got;
    assert.deepEqual(
      [
        headers['cache-control'],
        headers['content-disposition'],
        headers['content-encoding'],
        headers['content-language'],
        headers['content-type'],
        headers.expires,
      ],
      ['no-cache', 'bla', 'aaa', 'esperanto', 'foo/bar', '123'],
    );
    const split = await raw({ path: 'over?response-content-type=a%0d%0aX-Injected:%20yes' });
    assert.deepEqual([split.status, split.code, split.headers['x-injected']], [400, 'InvalidArgument', undefined]);
  });

  test('part numbers of a simple object', async () => {
    await raw({ method: 'PUT', path: 'single', body: 'abc' });
    const first = await raw({ path: 'single?partNumber=1' });
    assert.deepEqual([first.status, first.text, first.headers['x-amz-mp-parts-count']], [206, 'abc', undefined]);
    const second = await raw({ path: 'single?partNumber=2' });
    assert.deepEqual([second.status, second.code], [416, 'InvalidPartNumber']);
    for (const number of ['0', '10001', 'x', '-1']) {
      assert.equal((await raw({ path: `single?partNumber=${number}` })).code, 'InvalidArgument', number);
    }
    const both = await raw({ path: 'single?partNumber=1', headers: { range: 'bytes=0-0' } });
    assert.equal(both.code, 'InvalidRequest');
  });

  test('versions: null is the object, others do not exist', async () => {
    await raw({ method: 'PUT', path: 'versioned', body: 'abc' });
    assert.equal((await raw({ path: 'versioned?versionId=null' })).text, 'abc');
    assert.equal((await raw({ path: 'versioned?versionId=abc' })).code, 'InvalidArgument');
    const removed = await raw({ method: 'DELETE', path: 'versioned?versionId=null' });
    assert.deepEqual([removed.status, removed.headers['x-amz-version-id']], [204, 'null']);
    assert.equal((await raw({ path: 'versioned' })).code, 'NoSuchKey');
  });

  test('a missing key: 404 with its name, DELETE succeeds, HEAD has no body', async () => {
    const got = await raw({ path: 'missing%20key' });
    assert.deepEqual([got.status, got.code], [404, 'NoSuchKey']);
    assert.match(got.text, /<Key>missing key<\/Key>/);
    assert.match(got.text, new RegExp(`<RequestId>${got.headers['x-amz-request-id']}</RequestId>`));
    assert.match(got.text, new RegExp(`<HostId>${got.headers['x-amz-id-2']}</HostId>`));
    assert.equal((await raw({ method: 'DELETE', path: 'missing' })).status, 204);
    const head = await raw({ method: 'HEAD', path: 'missing' });
    assert.deepEqual([head.status, head.body.length], [404, 0]);
  });

  const REFUSED: [headers: Record<string, string>, status: number, code: string][] = [
    [{ 'x-amz-server-side-encryption': 'AES256' }, 501, 'NotImplemented'],
    [{ 'x-amz-server-side-encryption-customer-algorithm': 'AES256' }, 501, 'NotImplemented'],
    [{ 'x-amz-object-lock-mode': 'GOVERNANCE' }, 400, 'InvalidArgument'],
    [{ 'x-amz-object-lock-legal-hold': 'ON' }, 400, 'InvalidRequest'],
    [{ 'x-amz-acl': 'public-read' }, 400, 'AccessControlListNotSupported'],
    [{ 'x-amz-acl': 'no-such-acl' }, 400, 'InvalidArgument'],
    [{ 'x-amz-grant-read': 'id="x"' }, 400, 'InvalidArgument'],
    [{ 'x-amz-tagging': 'a=b&a=c' }, 400, 'InvalidArgument'],
    [{ 'x-amz-write-offset-bytes': '3' }, 501, 'NotImplemented'],
    [{ 'x-amz-storage-class': 'GLACIER' }, 501, 'NotImplemented'],
    [{ 'x-amz-storage-class': 'COLD' }, 400, 'InvalidStorageClass'],
  ];
  for (const [headers, status, code] of REFUSED) {
    test(`PUT with ${JSON.stringify(headers)} is refused and stores nothing`, async () => {
      const answer = await raw({ method: 'PUT', path: 'refused', body: 'x', headers });
      assert.deepEqual([answer.status, answer.code], [status, code]);
      assert.equal((await raw({ path: 'refused' })).status, 404);
    });
  }

  test('what clients send by habit passes', async () => {
    const headers = {
      'x-amz-acl': 'bucket-owner-full-control',
      'x-amz-tagging': '',
      'x-amz-request-payer': 'requester',
    };
    assert.equal((await raw({ method: 'PUT', path: 'habit', body: 'x', headers })).status, 200);
  });
});

describe('DeleteObjects', () => {
  const Bucket = bucketName();
  const client = plain.client();
  before(() => client.send(new CreateBucketCommand({ Bucket })));
  const post = (
    body: string,
    headers: Record<string, string> = { 'content-md5': createHash('md5').update(body).digest('base64') },
  ) => plain.raw({ method: 'POST', path: `/${Bucket}?delete`, body, headers });

  test('each key has its own outcome; missing keys count as deleted', async () => {
    for (const Key of ['a', 'b', 'c']) await client.send(new PutObjectCommand({ Bucket, Key, Body: 'x' }));
    const answer = await client.send(
      new DeleteObjectsCommand({
        Bucket,
        Delete: {
          Objects: [
            { Key: 'a' },
            { Key: 'b', ETag: '"wrong"' },
            { Key: 'c', VersionId: 'other' },
            { Key: 'missing' },
            { Key: 'k'.repeat(1025) },
          ],
        },
      }),
    );
    assert.deepEqual(
      answer.Deleted?.map((item) => item.Key),
      ['a', 'missing'],
    );
    assert.deepEqual(
      answer.Errors?.map(({ Key, Code }) => [Key?.slice(0, 3), Code]),
      [
        ['b', 'PreconditionFailed'],
        ['c', 'NoSuchVersion'],
        ['kkk', 'KeyTooLongError'],
      ],
    );
    assert.equal((await plain.raw({ path: `/${Bucket}/b` })).text, 'x');
  });

  test('quiet leaves out what went well', async () => {
    const answer = await post('<Delete><Quiet>true</Quiet><Object><Key>z</Key></Object></Delete>');
    assert.equal(answer.status, 200);
    assert.doesNotMatch(answer.text, /Deleted/);
  });

  test('1000 keys go, 1001 are refused whole', async () => {
    const list = (count: number) =>
      `<Delete>${Array.from({ length: count }, (_, n) => `<Object><Key>n${n}</Key></Object>`).join('')}</Delete>`;
    await client.send(new PutObjectCommand({ Bucket, Key: 'n0', Body: 'x' }));
    const refused = await post(list(1001));
    assert.deepEqual([refused.status, refused.code], [400, 'MalformedXML']);
    assert.equal((await plain.raw({ path: `/${Bucket}/n0` })).status, 200);
    const done = await post(list(1000));
    assert.equal(done.text.match(/<Deleted>/g)?.length, 1000);
    assert.equal((await plain.raw({ path: `/${Bucket}/n0` })).status, 404);
  });

  test('a digest of the list is required, and checked', async () => {
    const list = '<Delete><Object><Key>n</Key></Object></Delete>';
    const without = await post(list, {});
    assert.deepEqual([without.status, without.code], [400, 'InvalidRequest']);
    const wrong = await post(list, { 'content-md5': createHash('md5').update('other').digest('base64') });
    assert.deepEqual([wrong.status, wrong.code], [400, 'BadDigest']);
  });

  test('the SDK takes a lone slash after the bucket for the bucket', async () => {
    const list = '<Delete><Object><Key>n</Key></Object></Delete>';
    const headers = { 'content-md5': createHash('md5').update(list).digest('base64') };
    const answer = await plain.raw({ method: 'POST', path: `/${Bucket}/?delete=`, body: list, headers });
    assert.equal(answer.status, 200);
  });
});

test('DeleteObject of the SDK', async () => {
  const Bucket = bucketName();
  const client = plain.client();
  await client.send(new CreateBucketCommand({ Bucket }));
  await client.send(new PutObjectCommand({ Bucket, Key: 'k', Body: 'x' }));
  assert.equal((await client.send(new DeleteObjectCommand({ Bucket, Key: 'k' }))).$metadata.httpStatusCode, 204);
  await assert.rejects(client.send(new HeadObjectCommand({ Bucket, Key: 'k' })), { name: 'NotFound' });
});

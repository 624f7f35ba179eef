import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import {
  CreateBucketCommand,
  DeleteObjectsCommand,
  ListObjectsCommand,
  type ListObjectsCommandOutput,
  ListObjectsV2Command,
  type ListObjectsV2CommandOutput,
  ListObjectVersionsCommand,
  PutObjectCommand,
} from '@aws-sdk/client-s3';
import { bucketName, s3Fixture } from '../../support/s3-fixture.ts';

const node = await s3Fixture();
const client = node.client();

async function filled(...keys: string[]): Promise<string> {
  const Bucket = bucketName();
  await client.send(new CreateBucketCommand({ Bucket }));
  await Promise.all(keys.map((Key) => client.send(new PutObjectCommand({ Bucket, Key, Body: Key }))));
  return Bucket;
}

interface Page {
  readonly Contents?: { Key?: string | undefined }[] | undefined;
  readonly CommonPrefixes?: { Prefix?: string | undefined }[] | undefined;
}

const keysOf = (page: Page) => page.Contents?.map((item) => item.Key) ?? [];
const prefixesOf = (page: Page) => page.CommonPrefixes?.map((item) => item.Prefix) ?? [];

const TREE = ['asdf', 'boo/bar', 'boo/baz/xyzzy', 'cquux/thud', 'cquux/bla', 'foo'];
let tree = '';
before(async () => {
  tree = await filled(...TREE);
});

test('keys come in the order of their UTF-8 bytes', async () => {
  // U+FF5E sorts before U+1F600 as UTF-8, and after it as UTF-16.
  const Bucket = await filled('b', 'a', 'a/', 'a0', 'A', '\u{1f600}', '\uff5e', 'a b', 'ä');
  const page = await client.send(new ListObjectsV2Command({ Bucket }));
  assert.deepEqual(keysOf(page), ['A', 'a', 'a b', 'a/', 'a0', 'b', 'ä', '\uff5e', '\u{1f600}']);
});

interface Case {
  readonly name: string;
  readonly input: { Prefix?: string; Delimiter?: string; MaxKeys?: number; After?: string };
  readonly keys: string[];
  readonly prefixes: string[];
  readonly truncated?: boolean;
}

const CASES: Case[] = [
  {
    name: 'first page without a delimiter',
    input: { MaxKeys: 2 },
    keys: ['asdf', 'boo/bar'],
    prefixes: [],
    truncated: true,
  },
  {
    name: 'all',
    input: {},
    keys: ['asdf', 'boo/bar', 'boo/baz/xyzzy', 'cquux/bla', 'cquux/thud', 'foo'],
    prefixes: [],
  },
  { name: 'delimiter', input: { Delimiter: '/' }, keys: ['asdf', 'foo'], prefixes: ['boo/', 'cquux/'] },
  {
    name: 'prefix and delimiter',
    input: { Prefix: 'boo/', Delimiter: '/' },
    keys: ['boo/bar'],
    prefixes: ['boo/baz/'],
  },
  { name: 'prefix without its slash', input: { Prefix: 'boo', Delimiter: '/' }, keys: [], prefixes: ['boo/'] },
  {
    name: 'another delimiter',
    input: { Delimiter: 'a' },
    keys: ['cquux/thud', 'foo'],
    prefixes: ['a', 'boo/ba', 'cquux/bla'],
  },
  {
    name: 'first page counts prefixes',
    input: { Delimiter: '/', MaxKeys: 2 },
    keys: ['asdf'],
    prefixes: ['boo/'],
    truncated: true,
  },
  { name: 'after a common prefix', input: { Delimiter: '/', After: 'boo/' }, keys: ['foo'], prefixes: ['cquux/'] },
  {
    name: 'after a key',
    input: { After: 'boo/bar' },
    keys: ['boo/baz/xyzzy', 'cquux/bla', 'cquux/thud', 'foo'],
    prefixes: [],
  },
  {
    name: 'after a name that is not there',
    input: { After: 'blah' },
    keys: ['boo/bar', 'boo/baz/xyzzy', 'cquux/bla', 'cquux/thud', 'foo'],
    prefixes: [],
  },
  { name: 'after everything', input: { After: 'zzz' }, keys: [], prefixes: [] },
  { name: 'none wanted', input: { MaxKeys: 0 }, keys: [], prefixes: [], truncated: false },
  { name: 'no such prefix', input: { Prefix: 'd' }, keys: [], prefixes: [] },
];

for (const { name, input, keys, prefixes, truncated = false } of CASES) {
  const { After, ...rest } = input;
  test(`ListObjects: ${name}`, async () => {
    const page = await client.send(new ListObjectsCommand({ Bucket: tree, ...rest, Marker: After }));
    assert.deepEqual([keysOf(page), prefixesOf(page), page.IsTruncated], [keys, prefixes, truncated]);
    assert.equal(page.Marker, After ?? '');
    // Without a delimiter the last key is the marker, and S3 does not repeat it.
    assert.equal(page.NextMarker, truncated && input.Delimiter ? (prefixes.at(-1) ?? keys.at(-1)) : undefined);
  });
  test(`ListObjectsV2: ${name}`, async () => {
    const page = await client.send(new ListObjectsV2Command({ Bucket: tree, ...rest, StartAfter: After }));
    assert.deepEqual([keysOf(page), prefixesOf(page), page.IsTruncated], [keys, prefixes, truncated]);
    assert.equal(page.KeyCount, keys.length + prefixes.length);
    assert.equal(page.StartAfter, After);
    assert.equal(page.NextContinuationToken !== undefined, truncated);
  });
}

async function pagesV2(Delimiter: string | undefined, MaxKeys: number): Promise<(string | undefined)[]> {
  const found: (string | undefined)[] = [];
  let ContinuationToken: string | undefined;
  do {
    // The token is stronger than start-after.
    const StartAfter = ContinuationToken && 'zzz';
    const input = { Bucket: tree, Delimiter, MaxKeys, ContinuationToken, StartAfter };
    const page: ListObjectsV2CommandOutput = await client.send(new ListObjectsV2Command(input));
    found.push(...keysOf(page), ...prefixesOf(page));
    ContinuationToken = page.NextContinuationToken;
  } while (ContinuationToken);
  return found.sort();
}

async function pagesV1(Delimiter: string | undefined, MaxKeys: number): Promise<(string | undefined)[]> {
  const found: (string | undefined)[] = [];
  let Marker: string | undefined;
  do {
    const input = { Bucket: tree, Delimiter, MaxKeys, Marker };
    const page: ListObjectsCommandOutput = await client.send(new ListObjectsCommand(input));
    found.push(...keysOf(page), ...prefixesOf(page));
    Marker = page.IsTruncated ? (page.NextMarker ?? keysOf(page).at(-1)) : undefined;
  } while (Marker);
  return found.sort();
}

test('pages of every size, with and without delimiter, give the whole list once', async () => {
  for (const Delimiter of [undefined, '/']) {
    const whole = await client.send(new ListObjectsV2Command({ Bucket: tree, Delimiter }));
    const expected = [...keysOf(whole), ...prefixesOf(whole)].sort();
    for (const size of [1, 2, 3, 4]) {
      assert.deepEqual(await pagesV2(Delimiter, size), expected, `v2 by ${size}, delimiter ${Delimiter}`);
      assert.deepEqual(await pagesV1(Delimiter, size), expected, `v1 by ${size}, delimiter ${Delimiter}`);
    }
  }
});

test('tokens are opaque: they carry no readable key, and a made-up one is refused', async () => {
  const page = await client.send(new ListObjectsV2Command({ Bucket: tree, MaxKeys: 1 }));
  assert.ok(!page.NextContinuationToken?.includes('asdf'));
  const refused = await node.raw({ path: `/${tree}?list-type=2&continuation-token=asdf` });
  assert.deepEqual([refused.status, refused.code], [400, 'InvalidArgument']);
});

test('encoding-type=url: keys, prefixes, delimiter and markers are encoded, the slash is not', async () => {
  const Bucket = await filled('a b/c+d', 'a b/\u0001', 'ü&<>"');
  const v2 = await node.raw({ path: `/${Bucket}?list-type=2&encoding-type=url&delimiter=%20&start-after=%21` });
  assert.match(v2.text, /<EncodingType>url<\/EncodingType>/);
  assert.match(v2.text, /<Delimiter>%20<\/Delimiter>/);
  assert.match(v2.text, /<StartAfter>%21<\/StartAfter>/);
  assert.match(v2.text, /<CommonPrefixes><Prefix>a%20<\/Prefix>/);
  assert.match(v2.text, /<Key>%C3%BC%26%3C%3E%22<\/Key>/);
  const v1 = await node.raw({ path: `/${Bucket}?encoding-type=url&prefix=a%20b/&marker=a%20b/` });
  assert.match(v1.text, /<Prefix>a%20b\/<\/Prefix>/);
  assert.match(v1.text, /<Marker>a%20b\/<\/Marker>/);
  assert.match(v1.text, /<Key>a%20b\/%01<\/Key>/);
  assert.match(v1.text, /<Key>a%20b\/c%2Bd<\/Key>/);
  const wrong = await node.raw({ path: `/${Bucket}?encoding-type=base64` });
  assert.deepEqual([wrong.status, wrong.code], [400, 'InvalidArgument']);
});

test('the empty elements that clients look for are there', async () => {
  const Bucket = await filled();
  const v1 = await node.raw({ path: `/${Bucket}` });
  assert.match(v1.text, /<Prefix\/>/);
  assert.match(v1.text, /<Marker\/>/);
  assert.match(v1.text, /<IsTruncated>false<\/IsTruncated>/);
  const v2 = await node.raw({ path: `/${Bucket}?list-type=2` });
  assert.match(v2.text, /<Prefix\/>/);
  assert.match(v2.text, /<KeyCount>0<\/KeyCount>/);
  assert.doesNotMatch(v2.text, /<Marker/);
});

test('max-keys: above 1000 is 1000, nonsense is refused', async () => {
  const page = await client.send(new ListObjectsV2Command({ Bucket: tree, MaxKeys: 5000 }));
  assert.equal(page.MaxKeys, 1000);
  for (const text of ['blah', '-1', '99999999999']) {
    const refused = await node.raw({ path: `/${tree}?max-keys=${text}` });
    assert.deepEqual([refused.status, refused.code], [400, 'InvalidArgument'], text);
  }
});

test('owners: always in v1, on request in v2', async () => {
  const v1 = await client.send(new ListObjectsCommand({ Bucket: tree }));
  assert.deepEqual(v1.Contents?.[0]?.Owner, { ID: 'id-admin', DisplayName: 'admin' });
  const plain = await client.send(new ListObjectsV2Command({ Bucket: tree }));
  assert.equal(plain.Contents?.[0]?.Owner, undefined);
  const fetched = await client.send(new ListObjectsV2Command({ Bucket: tree, FetchOwner: true }));
  assert.equal(fetched.Contents?.[0]?.Owner?.ID, 'id-admin');
});

test('what a listed object says of itself', async () => {
  const Bucket = await filled('k');
  const [item] = (await client.send(new ListObjectsV2Command({ Bucket }))).Contents ?? [];
  assert.equal(item?.Size, 1);
  assert.equal(item?.ETag, '"8ce4b16b22b58894aa86c421e8759df3"');
  assert.equal(item?.StorageClass, 'STANDARD');
  assert.deepEqual(item?.ChecksumAlgorithm, ['CRC32']);
  assert.equal(item?.ChecksumType, 'FULL_OBJECT');
});

test('versions of a bucket without versions: each object once, as null, and deletable by that id', async () => {
  const Bucket = await filled('a', 'b/c', 'd');
  const versions = await client.send(new ListObjectVersionsCommand({ Bucket }));
  assert.deepEqual(
    versions.Versions?.map(({ Key, VersionId, IsLatest }) => [Key, VersionId, IsLatest]),
    [
      ['a', 'null', true],
      ['b/c', 'null', true],
      ['d', 'null', true],
    ],
  );
  const first = await client.send(new ListObjectVersionsCommand({ Bucket, MaxKeys: 1 }));
  assert.deepEqual([first.IsTruncated, first.NextKeyMarker], [true, 'a']);
  assert.ok(first.NextVersionIdMarker);
  const rest = await client.send(
    new ListObjectVersionsCommand({
      Bucket,
      Delimiter: '/',
      KeyMarker: first.NextKeyMarker,
      VersionIdMarker: first.NextVersionIdMarker,
    }),
  );
  assert.deepEqual(
    rest.Versions?.map((item) => item.Key),
    ['d'],
  );
  assert.deepEqual(prefixesOf(rest), ['b/']);
  const orphan = await node.raw({ path: `/${Bucket}?versions&version-id-marker=null` });
  assert.deepEqual([orphan.status, orphan.code], [400, 'InvalidArgument']);
  const Objects = versions.Versions?.map(({ Key, VersionId }) => ({ Key, VersionId }));
  const deleted = await client.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects } }));
  assert.equal(deleted.Deleted?.length, 3);
  assert.deepEqual(keysOf(await client.send(new ListObjectsV2Command({ Bucket }))), []);
});

test('listing a bucket that does not exist', async () => {
  for (const path of [
    '/no-such-bucket',
    '/no-such-bucket?list-type=2',
    '/no-such-bucket?versions',
    '/no-such-bucket?uploads',
  ]) {
    const answer = await node.raw({ path });
    assert.deepEqual([answer.status, answer.code], [404, 'NoSuchBucket'], path);
  }
});

// Every header and parameter that some part of S3 reads, full of what parsers stumble over: each request is answered, none
// with a fault of the server, and none keeps the node busy. (A regular expression with `\s*` twice costs minutes on 16 KB
// of blanks, and a node has one thread.) What is allowed below is a hundred times what it takes.
import '../../support/in-memory.ts';
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { bucketName, s3Fixture } from '../../support/s3-fixture.ts';

const node = await s3Fixture();
const Bucket = bucketName('hostile');
const BYTES = 12_000;
const CPU_SECONDS_MAX = 5;

const fill = (unit: string) => unit.repeat(Math.floor(BYTES / unit.length));
const halves = (a: string, b: string, c: string) => `${fill(a).slice(BYTES / 2)}${b}${fill(a).slice(BYTES / 2)}${c}`;
const VALUES = [
  fill(' ').replace(/^ | $/g, 'x'),
  halves(' ', '-', 'x'),
  halves(' ', ',', 'x'),
  `x${halves(' ', '=', 'x')}`,
  fill(','),
  fill(', '),
  fill('"'),
  fill('\\"'),
  fill('",'),
  fill('="'),
  fill('a='),
  fill('a=b&'),
  fill('%20'),
  fill('%'),
  fill('0'),
  fill('9-'),
  fill(';'),
  fill('/'),
  fill('a,b'),
  fill('W/"a", '),
  fill('id="a", '),
  fill('\u00e9'),
  fill('('),
  fill('T'),
];
/** With what comes before the hostile part, so that it is reached. */
const HEADERS: readonly (readonly [name: string, ...starts: string[]])[] = [
  ['range', '', 'bytes=', 'bytes=0-'],
  ['if-range', '', '"'],
  ['if-match', '', '"'],
  ['if-none-match', '', 'W/"'],
  ['if-modified-since', '', 'Wed, 21 Oct 2015'],
  ['if-unmodified-since', ''],
  ['content-md5', ''],
  ['content-encoding', '', 'aws-chunked'],
  ['content-type', '', 'multipart/form-data; boundary='],
  ['expires', ''],
  ['origin', '', 'http://'],
  ['access-control-request-headers', '', 'x-a'],
  ['cookie', ''],
  ['x-amz-copy-source', '', `${Bucket}/k?versionId=`, `/${Bucket}/`],
  ['x-amz-copy-source-range', '', 'bytes='],
  ['x-amz-copy-source-if-match', ''],
  ['x-amz-copy-source-if-modified-since', ''],
  ['x-amz-grant-read', '', 'id=', 'emailAddress="'],
  ['x-amz-acl', ''],
  ['x-amz-tagging', '', 'a='],
  ['x-amz-checksum-crc32', ''],
  ['x-amz-checksum-algorithm', ''],
  ['x-amz-sdk-checksum-algorithm', ''],
  ['x-amz-trailer', '', 'x-amz-checksum-'],
  ['x-amz-decoded-content-length', ''],
  ['x-amz-object-lock-mode', ''],
  ['x-amz-object-lock-retain-until-date', '', '2030-01-01T'],
  ['x-amz-object-attributes', '', 'ETag,'],
  ['x-amz-meta-a', ''],
  ['x-amz-storage-class', ''],
  ['x-amz-rename-source', ''],
  ['x-amz-date', ''],
  ['x-amz-content-sha256', ''],
  ['authorization', '', 'AWS4-HMAC-SHA256 ', 'AWS4-HMAC-SHA256 Credential=', 'AWS '],
  ['date', '', 'Wed, 21'],
  ['referer', ''],
  ['user-agent', ''],
  ['x-forwarded-for', ''],
];
const PARAMETERS = ['prefix', 'delimiter', 'marker', 'max-keys', 'list-type=2&continuation-token', 'encoding-type'];
PARAMETERS.push('versionId', 'partNumber', 'uploadId', 'X-Amz-Credential', 'X-Amz-Date', 'X-Amz-Algorithm');

before(async () => {
  await node.raw({ method: 'PUT', path: `/${Bucket}` });
  // Rules whose patterns are compared with what requests say.
  const policy = {
    Version: '2012-10-17',
    Statement: [
      {
        Effect: 'Deny',
        Principal: '*',
        Action: 's3:GetObject',
        Resource: `arn:aws:s3:::${Bucket}/*a*a*a*a*b`,
        Condition: { StringLike: { 'aws:Referer': '*x*x*y*', 'aws:UserAgent': '* * * *z' } },
      },
    ],
  };
  await node.raw({ method: 'PUT', path: `/${Bucket}?policy`, body: JSON.stringify(policy) });
  const rule =
    '<AllowedOrigin>http://*.example</AllowedOrigin><AllowedMethod>GET</AllowedMethod><AllowedHeader>x-*</AllowedHeader>';
  const body = `<CORSConfiguration><CORSRule>${rule}</CORSRule></CORSConfiguration>`;
  assert.equal((await node.raw({ method: 'PUT', path: `/${Bucket}?cors`, body })).status, 200);
  await node.raw({ method: 'PUT', path: `/${Bucket}/k`, body: 'kept' });
});

async function cpuSecondsOf(run: () => Promise<unknown>): Promise<number> {
  const from = process.cpuUsage();
  await run();
  const { user, system } = process.cpuUsage(from);
  return (user + system) / 1e6;
}

for (const [name, ...starts] of HEADERS) {
  test(`header ${name}`, async () => {
    const seconds = await cpuSecondsOf(async () => {
      for (const start of starts) {
        for (const value of VALUES) {
          const headers = { [name]: start + value };
          // What is not signed is judged before the signature, or with nobody's.
          const sign = !['authorization', 'x-amz-date', 'x-amz-content-sha256', 'date'].includes(name);
          const requests = [
            { path: `/${Bucket}/k`, headers, sign },
            { method: 'PUT', path: `/${Bucket}/new`, headers, body: 'x', sign },
          ];
          for (const request of requests) {
            const { status, text } = await node.raw(request);
            assert.ok(status < 500 || status === 501, `${start}${value.slice(0, 20)}: ${text}`);
          }
        }
      }
    });
    assert.ok(seconds < CPU_SECONDS_MAX, `${seconds} s`);
  });
}

test('parameters', async () => {
  const seconds = await cpuSecondsOf(async () => {
    for (const name of PARAMETERS) {
      for (const value of VALUES) {
        const text = encodeURIComponent(value.slice(0, 3500)).slice(0, 10_000).replace(/%.?$/, '');
        for (const path of [`/${Bucket}`, `/${Bucket}/k`]) {
          const { status } = await node.raw({ path: `${path}?${name}=${text}`, sign: !name.startsWith('X-Amz') });
          assert.ok(status < 500, `${name} ${text.slice(0, 20)}`);
        }
      }
    }
  });
  assert.ok(seconds < 2 * CPU_SECONDS_MAX, `${seconds} s`);
});

test('the object is what it was', async () => {
  assert.equal((await node.raw({ path: `/${Bucket}/k` })).text, 'kept');
});

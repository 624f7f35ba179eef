import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Head, inspectHead } from '../../src/routing/inbound.ts';
import { S3_LISTENER_LIMITS } from '../../src/routing/limits.ts';

const limits = { ...S3_LISTENER_LIMITS, headersMax: 10, headerBytesMax: 300, targetBytesMax: 50 };
const head = (change: Partial<Head> = {}, ...more: string[]): Head => ({
  method: 'GET',
  target: '/b/k',
  version: '1.1',
  rawHeaders: ['Host', 's3.example.com', ...more],
  ...change,
});
const many = (count: number) => Array.from({ length: count }, (_, i) => [`a${i}`, '']).flat();

const refusals: [string, Head, string, string][] = [
  ['eleven headers', head({}, ...many(10)), 'header-count', 'RequestHeaderSectionTooLarge'],
  ['301 bytes of headers', head({}, 'a', 'x'.repeat(300)), 'header-bytes', 'RequestHeaderSectionTooLarge'],
  ['long target', head({ target: `/${'k'.repeat(50)}` }), 'target-length', 'InvalidURI'],
  ['no Host', head({ rawHeaders: [] }), 'host', 'InvalidRequest'],
  ['empty Host', head({ rawHeaders: ['Host', ''] }), 'host', 'InvalidRequest'],
  ['Host with user', head({ rawHeaders: ['Host', 'a@b'] }), 'host', 'InvalidRequest'],
  ['Host list', head({ rawHeaders: ['Host', 'a, b'] }), 'host', 'InvalidRequest'],
  ['Host with path', head({ rawHeaders: ['Host', 'a/b'] }), 'host', 'InvalidRequest'],
  ['two Hosts', head({}, 'host', 's3.example.com'), 'duplicate', 'InvalidRequest'],
  ['two Authorizations', head({}, 'Authorization', 'a', 'authorization', 'a'), 'duplicate', 'InvalidRequest'],
  ['two x-amz-date', head({}, 'X-Amz-Date', 'a', 'x-amz-date', 'b'), 'duplicate', 'InvalidRequest'],
  ['two Content-Lengths', head({}, 'Content-Length', '1', 'content-length', '1'), 'duplicate', 'InvalidRequest'],
  [
    'two Transfer-Encodings',
    head({}, 'Transfer-Encoding', 'identity', 'Transfer-Encoding', 'chunked'),
    'duplicate',
    'InvalidRequest',
  ],
  ['two Ranges', head({}, 'Range', 'bytes=0-1', 'range', 'bytes=0-1'), 'duplicate', 'InvalidRequest'],
  ['CL and TE', head({}, 'Content-Length', '1', 'Transfer-Encoding', 'chunked'), 'framing', 'InvalidRequest'],
  ['gzip, chunked', head({}, 'Transfer-Encoding', 'gzip, chunked'), 'framing', 'NotImplemented'],
  ['chunked on 1.0', head({ version: '1.0' }, 'Transfer-Encoding', 'chunked'), 'framing', 'InvalidRequest'],
  ['padded length', head({}, 'Content-Length', '007'), 'framing', 'InvalidRequest'],
  ['length of 16 digits', head({}, 'Content-Length', '1234567890123456'), 'framing', 'InvalidRequest'],
  ['HTTP/2.0 text', head({ version: '2.0' }), 'version', 'InvalidRequest'],
  ['HTTP/0.9', head({ version: '0.9' }), 'version', 'InvalidRequest'],
  ['TRACE', head({ method: 'TRACE' }), 'method', 'MethodNotAllowed'],
  ['PROPFIND', head({ method: 'PROPFIND' }), 'method', 'MethodNotAllowed'],
  ['Upgrade', head({}, 'Upgrade', 'h2c'), 'upgrade', 'InvalidRequest'],
  ['asterisk', head({ method: 'OPTIONS', target: '*' }), 'target', 'InvalidURI'],
  ['fragment', head({ target: '/a#b' }), 'target', 'InvalidURI'],
  ['absolute target of another host', head({ target: 'http://evil/b/k' }), 'target', 'InvalidURI'],
  ['absolute target with user', head({ target: 'http://u@s3.example.com/' }), 'target', 'InvalidURI'],
  ['other scheme', head({ target: 'ftp://s3.example.com/' }), 'target', 'InvalidURI'],
  ['raw high byte', head({ target: '/\xe9' }), 'target', 'InvalidURI'],
  ['nominated Host', head({}, 'Connection', 'close, Host'), 'nominated', 'InvalidRequest'],
  [
    'nominated header that is signed',
    head(
      {},
      'Connection',
      'x-foo',
      'X-Foo',
      '1',
      'Authorization',
      'AWS4 Credential=a, SignedHeaders=host;x-foo, Signature=0',
    ),
    'nominated',
    'InvalidRequest',
  ],
  [
    'nominated header that a presigned URL covers',
    head({ target: '/?X-Amz-SignedHeaders=host%3Bx-foo' }, 'Connection', 'x-foo'),
    'nominated',
    'InvalidRequest',
  ],
];
for (const [name, request, reason, code] of refusals) {
  test(`${name}: refused for ${reason}`, () => {
    const seen = inspectHead(request, limits, false);
    assert.equal(seen.kind, 'refused');
    if (seen.kind !== 'refused') return;
    assert.equal(seen.refusal.reason, reason);
    assert.equal(seen.refusal.code, code);
  });
}

const accepted: [string, Head, { target?: string; rawHeaders?: string[] | null; body?: number | 'chunked' | null }][] =
  [
    ['plain', head(), { target: '/b/k', rawHeaders: null, body: null }],
    ['ten headers', head({}, ...many(9)), {}],
    ['length', head({}, 'Content-Length', '123456789012345'), { body: 123456789012345 }],
    ['length 0', head({}, 'Content-Length', '0'), { body: 0 }],
    ['chunked in capitals', head({}, 'Transfer-Encoding', 'CHUNKED'), { body: 'chunked' }],
    ['HTTP/1.0', head({ version: '1.0' }), {}],
    ['IPv6 Host', head({ rawHeaders: ['Host', '[::1]:9000'] }), {}],
    [
      'nothing in the path is normalised',
      head({ target: '//a/../b/.%2f?x=%zz&y' }),
      { target: '//a/../b/.%2f?x=%zz&y' },
    ],
    ['absolute target of this host', head({ target: 'http://S3.example.com/b?x' }), { target: '/b?x' }],
    ['absolute target without path', head({ target: 'http://s3.example.com?x' }), { target: '/?x' }],
    ['repeated user metadata', head({}, 'x-amz-meta-a', '1', 'X-Amz-Meta-A', '2'), { rawHeaders: null }],
    ['repeated list header', head({}, 'x-amz-object-attributes', 'ETag', 'x-amz-object-attributes', 'Checksum'), {}],
    [
      'nominated unknown header is removed for everybody',
      head({}, 'Connection', 'X-Foo', 'x-foo', '1', 'X-Bar', '2'),
      { rawHeaders: ['Host', 's3.example.com', 'Connection', 'X-Foo', 'X-Bar', '2'] },
    ],
    [
      'our own headers are stripped',
      head({}, 'Zring-Hop', 'v=1', 'a', 'b'),
      { rawHeaders: ['Host', 's3.example.com', 'a', 'b'] },
    ],
  ];
for (const [name, request, expected] of accepted) {
  test(`${name}: accepted`, () => {
    const seen = inspectHead(request, limits, false);
    assert.equal(seen.kind, 'accepted');
    for (const [field, value] of Object.entries(expected)) assert.deepEqual(seen[field as keyof typeof seen], value);
  });
}

test('the peer listener keeps our own headers', () => {
  const seen = inspectHead(head({}, 'zring-hop', 'v=1'), limits, true);
  assert.equal(seen.kind === 'accepted' && seen.rawHeaders, null);
});

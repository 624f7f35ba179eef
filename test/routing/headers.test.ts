import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  forwardedRequestHeaders,
  nominatedByConnection,
  relayedAnswerHeaders,
  relayedTrailers,
  withoutHeaders,
} from '../../src/routing/headers.ts';

const raw = (...pairs: [string, string][]) => pairs.flat();
const buffers = (...pairs: [string, string][]) => pairs.flat().map((text) => Buffer.from(text, 'latin1'));

test('signed headers keep case, order, bytes and repetition; hop-by-hop, framing, Expect and ours are dropped', () => {
  const sent = raw(
    ['Host', 'B.example.com'],
    ['X-Amz-Meta-B', 'two  spaces'],
    ['connection', 'keep-alive'],
    ['x-amz-meta-a', 'caf\xc3\xa9'],
    ['Keep-Alive', 'timeout=5'],
    ['Transfer-Encoding', 'chunked'],
    ['TE', 'trailers'],
    ['Trailer', 'x-a'],
    ['Proxy-Authorization', 'x'],
    ['Proxy-Connection', 'x'],
    ['HTTP2-Settings', 'x'],
    ['Expect', '100-continue'],
    ['Content-Length', '5'],
    ['zring-auth', 'forged'],
    ['ZRING-hop', 'forged'],
    ['Authorization', 'AWS4-HMAC-SHA256 …'],
    ['x-amz-meta-b', 'again'],
  );
  assert.deepEqual(
    forwardedRequestHeaders(sent),
    raw(
      ['Host', 'B.example.com'],
      ['X-Amz-Meta-B', 'two  spaces'],
      ['x-amz-meta-a', 'caf\xc3\xa9'],
      ['Authorization', 'AWS4-HMAC-SHA256 …'],
      ['x-amz-meta-b', 'again'],
    ),
  );
});

test('headers named for removal and our own are removed in any case', () => {
  const sent = raw(['Host', 'h'], ['X-Foo', '1'], ['Zring-Hop', 'x'], ['x-foo', '2'], ['X-Foobar', '3']);
  assert.deepEqual(withoutHeaders(sent, new Set(['x-foo'])), raw(['Host', 'h'], ['X-Foobar', '3']));
});

const nominations: [string, string[], 'refused' | string[]][] = [
  ['standard options', ['keep-alive'], []],
  ['several lines, case, empty members', ['Keep-Alive, ,CLOSE', 'TE'], []],
  ['an unknown header', ['close, X-Foo'], ['x-foo']],
  ['Host', ['close, host'], 'refused'],
  ['Authorization', ['Authorization'], 'refused'],
  ['Content-Length', ['content-length'], 'refused'],
  ['Range', ['RANGE'], 'refused'],
  ['an x-amz header', ['x-amz-content-sha256'], 'refused'],
  ['an own header', ['zring-auth'], 'refused'],
  ['a header that the signature covers', ['x-signed'], 'refused'],
  ['not a token', ['a b'], 'refused'],
];
for (const [name, values, expected] of nominations) {
  test(`Connection nominating ${name}: ${expected === 'refused' ? 'refused' : `[${expected}]`}`, () => {
    const read = nominatedByConnection(values, (header) => header === 'x-signed');
    if (expected === 'refused') assert.equal(read.kind, 'refused');
    else assert.deepEqual(read.kind === 'names' && read.names, expected);
  });
}

test('an answer loses hop-by-hop and nominated headers, and ours are set apart', () => {
  const { headers, own } = relayedAnswerHeaders(
    buffers(
      ['Date', 'd'],
      ['Connection', 'keep-alive, X-Internal'],
      ['Keep-Alive', 'timeout=5'],
      ['X-Internal', '1'],
      ['Transfer-Encoding', 'chunked'],
      ['Zring-Peer', 'v=1;max=1'],
      ['ETag', '"a"'],
      ['x-amz-meta-k', 'caf\xe9'],
      ['Set-Cookie', 'a'],
      ['Set-Cookie', 'b'],
      ['Content-Length', '10'],
    ),
    200,
  );
  assert.deepEqual(
    headers,
    raw(
      ['Date', 'd'],
      ['ETag', '"a"'],
      ['x-amz-meta-k', 'caf\xe9'],
      ['Set-Cookie', 'a'],
      ['Set-Cookie', 'b'],
      ['Content-Length', '10'],
    ),
  );
  assert.deepEqual(own, { 'zring-peer': 'v=1;max=1' });
});

test('Content-Length of an answer: kept on HEAD and 304, never on 204', () => {
  const sent = buffers(['Content-Length', '10']);
  assert.deepEqual(relayedAnswerHeaders(sent, 304).headers, ['Content-Length', '10']);
  assert.deepEqual(relayedAnswerHeaders(sent, 204).headers, []);
});

test('a trailer cannot carry what frames, routes or authenticates a message', () => {
  const sent = buffers(
    ['x-amz-checksum', 'c'],
    ['Content-Length', '3'],
    ['Host', 'h'],
    ['zring-not-owner', '{}'],
    ['Connection', 'x'],
  );
  assert.deepEqual(relayedTrailers(sent), [['x-amz-checksum', 'c']]);
});

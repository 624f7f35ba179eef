// Malformed and smuggling requests as raw bytes, sent straight to an S3 listener and through a hop. An instrumented
// owner writes down what it begins and what it accepts whole: exactly the accepted requests, the same on both ways.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { S3_LISTENER_LIMITS } from '../../src/routing/limits.ts';
import { createS3Listener, type Listener } from '../../src/routing/listeners.ts';
import { silentLogger } from '../../src/telemetry/log.ts';
import { createMetrics } from '../../src/telemetry/metrics.ts';
import { LOOPBACK, type Pair, startPair } from '../routing/pair.ts';
import { rawTalk, statuses } from '../routing/raw-client.ts';
import { Recorder } from './recorder.ts';

const H = 'Host: s3.test\r\n';
const C = 'Connection: close\r\n';
const post = (headers: string, body = '') => `POST /p HTTP/1.1\r\n${H}${C}${headers}\r\n${body}`;
const get = (headers = '', target = '/g') => `GET ${target} HTTP/1.1\r\n${H}${C}${headers}\r\n`;
const chunked = (body: string) => post('Transfer-Encoding: chunked\r\n', body);
const flood = (count: number) => Array.from({ length: count }, (_, i) => `a${i}: \r\n`).join('');
const evil = 'GET /smuggled HTTP/1.1\r\nHost: s3.test\r\n\r\n';

interface Case {
  readonly raw: string;
  /** Final answers to the client. [] = cut without one. */
  readonly statuses: number[];
  /** Requests that the owner takes whole: [line, body]. */
  readonly accepted?: [string, string][];
  /** The head was fine, the body was not: the owner may have begun, and takes nothing. */
  readonly bodyFault?: true;
  /** The client ends its side after sending. */
  readonly end?: true;
}

const ok = (line: string, body = ''): Pick<Case, 'statuses' | 'accepted'> => ({
  statuses: [200],
  accepted: [[line, body]],
});
const refused = { statuses: [400] };

const cases: Record<string, Case> = {
  // accepted, so that the table can fail
  'plain GET': { raw: get(), ...ok('GET /g') },
  'GET over HTTP/1.0': { raw: `GET /g HTTP/1.0\r\n${H}\r\n`, ...ok('GET /g') },
  'empty lines before the request': { raw: `\r\n\r\n${get()}`, ...ok('GET /g') },
  'Content-Length': { raw: post('Content-Length: 5\r\n', 'hello'), ...ok('POST /p', 'hello') },
  'Content-Length 0': { raw: post('Content-Length: 0\r\n'), ...ok('POST /p') },
  'no length at all': { raw: post(''), ...ok('POST /p') },
  chunked: { raw: chunked('2\r\nab\r\n1\r\nc\r\n0\r\n\r\n'), ...ok('POST /p', 'abc') },
  'chunked, empty': { raw: chunked('0\r\n\r\n'), ...ok('POST /p') },
  'chunked in capitals, after a tab': {
    raw: post('Transfer-Encoding:\tCHUNKED\r\n', '1\r\na\r\n0\r\n\r\n'),
    ...ok('POST /p', 'a'),
  },
  'chunk extensions are dropped': { raw: chunked('2;a=b;c="d"\r\nab\r\n0;x\r\n\r\n'), ...ok('POST /p', 'ab') },
  'trailer fields are dropped': { raw: chunked('1\r\na\r\n0\r\nX-T: 1\r\n\r\n'), ...ok('POST /p', 'a') },
  'leading zeros of a chunk size': { raw: chunked('0002\r\nab\r\n0\r\n\r\n'), ...ok('POST /p', 'ab') },
  'body on GET': { raw: `${get('Content-Length: 2\r\n')}ab`, ...ok('GET /g', 'ab') },
  'chunked body on GET': { raw: `${get('Transfer-Encoding: chunked\r\n')}2\r\nab\r\n0\r\n\r\n`, ...ok('GET /g', 'ab') },
  'body on DELETE': { raw: `DELETE /d HTTP/1.1\r\n${H}${C}Content-Length: 2\r\n\r\nab`, ...ok('DELETE /d', 'ab') },
  'chunked body on DELETE': {
    raw: `DELETE /d HTTP/1.1\r\n${H}${C}Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n`,
    ...ok('DELETE /d', 'ab'),
  },
  'Content-Length 0 on GET': { raw: get('Content-Length: 0\r\n'), ...ok('GET /g') },
  'Content-Length 0 on DELETE': { raw: `DELETE /d HTTP/1.1\r\n${H}${C}Content-Length: 0\r\n\r\n`, ...ok('DELETE /d') },
  'body on OPTIONS': { raw: `OPTIONS /o HTTP/1.1\r\n${H}${C}Content-Length: 2\r\n\r\nab`, ...ok('OPTIONS /o', 'ab') },
  HEAD: { raw: `HEAD /h HTTP/1.1\r\n${H}${C}\r\n`, ...ok('HEAD /h') },
  'absolute target of this host': { raw: get('', 'http://s3.test/b?x'), ...ok('GET /b?x') },
  'path is left alone': { raw: get('', '//a/../%2e/b%00?&=%zz'), ...ok('GET //a/../%2e/b%00?&=%zz') },
  'our own headers are stripped': { raw: get('Zring-Hop: v=1\r\nzring-auth: 1.2.3\r\nX-A: b\r\n'), ...ok('GET /g') },
  'nominated header is removed': {
    raw: `GET /g HTTP/1.1\r\n${H}Connection: close, X-Foo\r\nX-Foo: 1\r\nX-A: b\r\n\r\n`,
    ...ok('GET /g'),
  },
  'hop-by-hop headers end here': {
    raw: get('TE: trailers\r\nKeep-Alive: timeout=9\r\nProxy-Connection: x\r\n'),
    ...ok('GET /g'),
  },
  'repeated user metadata in order': { raw: get('x-amz-meta-a: 2\r\nX-Amz-Meta-A: 1\r\n'), ...ok('GET /g') },
  'high bytes in a value': { raw: get('x-amz-meta-a: caf\xc3\xa9\r\n'), ...ok('GET /g') },
  'two requests in one packet': {
    raw: `GET /1 HTTP/1.1\r\n${H}\r\n${get('', '/2')}`,
    statuses: [200, 200],
    accepted: [
      ['GET /1', ''],
      ['GET /2', ''],
    ],
  },
  'a request inside a body stays a body': {
    raw: post(`Content-Length: ${evil.length}\r\n`, evil),
    ...ok('POST /p', evil),
  },
  'a request inside a chunk stays a body': {
    raw: chunked(`${evil.length.toString(16)}\r\n${evil}\r\n0\r\n\r\n`),
    ...ok('POST /p', evil),
  },
  'nothing after Connection: close is read': { raw: `${get()}${evil}`, ...ok('GET /g') },

  // framing
  'CL then TE': { raw: post('Content-Length: 4\r\nTransfer-Encoding: chunked\r\n', `0\r\n\r\n${evil}`), ...refused },
  'TE then CL': { raw: post('Transfer-Encoding: chunked\r\nContent-Length: 4\r\n', `0\r\n\r\n${evil}`), ...refused },
  'two CL, equal': { raw: post('Content-Length: 2\r\nContent-Length: 2\r\n', 'ab'), ...refused },
  'two CL, different': { raw: post(`Content-Length: 0\r\nContent-Length: ${evil.length}\r\n`, evil), ...refused },
  'CL list': { raw: post('Content-Length: 2, 2\r\n', 'ab'), ...refused },
  'CL with plus': { raw: post('Content-Length: +2\r\n', 'ab'), ...refused },
  'CL with minus': { raw: post('Content-Length: -2\r\n', 'ab'), ...refused },
  'CL with space': { raw: post('Content-Length: 2 2\r\n', 'ab'), ...refused },
  'CL in hex': { raw: post('Content-Length: 0x2\r\n', 'ab'), ...refused },
  'CL padded': { raw: post('Content-Length: 02\r\n', 'ab'), ...refused },
  'CL empty': { raw: post('Content-Length:\r\n', 'ab'), ...refused },
  'CL overflowing to 2': { raw: post('Content-Length: 18446744073709551618\r\n', 'ab'), ...refused },
  'CL beyond every object': { raw: post('Content-Length: 9999999999999999\r\n', 'ab'), ...refused },
  'CL behind a space': { raw: post('Content-Length : 2\r\n', 'ab'), ...refused },
  'TE gzip, chunked': { raw: post('Transfer-Encoding: gzip, chunked\r\n', '0\r\n\r\n'), ...refused },
  'TE identity': { raw: post('Transfer-Encoding: identity\r\n', evil), ...refused },
  'TE xchunked': { raw: post('Transfer-Encoding: xchunked\r\n', '0\r\n\r\n'), ...refused },
  'TE chunked, chunked': { raw: post('Transfer-Encoding: chunked, chunked\r\n', '0\r\n\r\n'), ...refused },
  'TE chunked, identity': { raw: post('Transfer-Encoding: chunked, identity\r\n', '0\r\n\r\n'), ...refused },
  'TE twice, chunked last': {
    raw: post('Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n', '0\r\n\r\n'),
    ...refused,
  },
  'TE twice, chunked first': {
    raw: post('Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n', '0\r\n\r\n'),
    ...refused,
  },
  'TE behind a space': { raw: post('Transfer-Encoding : chunked\r\n', '0\r\n\r\n'), ...refused },
  'TE behind a vertical tab': { raw: post('Transfer-Encoding: \x0bchunked\r\n', '0\r\n\r\n'), ...refused },
  'TE on HTTP/1.0': { raw: `POST /p HTTP/1.0\r\n${H}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`, ...refused },
  'bare LF everywhere': { raw: get().replaceAll('\r\n', '\n'), ...refused },
  'bare LF behind a header': { raw: `GET /g HTTP/1.1\r\nHost: s3.test\nX-A: b\r\n\r\n`, ...refused },
  'bare CR in a value': { raw: get('X-A: b\rX-B: c\r\n'), ...refused },
  'obs-fold': { raw: get('X-A: b\r\n c\r\n'), ...refused },
  'obs-fold of Host': { raw: `GET /g HTTP/1.1\r\nHost: s3.test\r\n .evil\r\n\r\n`, ...refused },
  'space before the first header': { raw: `GET /g HTTP/1.1\r\n X-A: b\r\n${H}\r\n`, ...refused },
  'header without colon': { raw: get('foo\r\n'), ...refused },
  'header name with a bracket': { raw: get('X(a): b\r\n'), ...refused },
  'NUL in a value': { raw: get('X-A: b\0c\r\n'), ...refused },
  'control character in a value': { raw: get('X-A: b\x01c\r\n'), ...refused },

  // body faults: the head was fine
  'chunk size in hex notation': { raw: chunked('0x2\r\nab\r\n0\r\n\r\n'), ...refused, bodyFault: true },
  'negative chunk size': { raw: chunked('-2\r\nab\r\n0\r\n\r\n'), ...refused, bodyFault: true },
  'chunk size with space': { raw: chunked('2 \r\nab\r\n0\r\n\r\n'), ...refused, bodyFault: true },
  'huge chunk size': { raw: chunked('fffffffffffffffff\r\nab\r\n0\r\n\r\n'), ...refused, bodyFault: true },
  'chunk longer than its size': { raw: chunked('2\r\nabX\r\n0\r\n\r\n'), ...refused, bodyFault: true },
  'chunk lines with bare LF': { raw: chunked('2\nab\n0\n\n'), ...refused, bodyFault: true },
  'extension with bare LF': { raw: chunked(`2;x\nab\r\n0\r\n\r\n${evil}`), ...refused, bodyFault: true },
  'Content-Length as a trailer': {
    raw: chunked(`1\r\na\r\n0\r\nContent-Length: 5\r\n\r\n${evil}`),
    ...refused,
    bodyFault: true,
  },
  'body shorter than CL': { raw: post('Content-Length: 5\r\n', 'ab'), statuses: [], bodyFault: true, end: true },
  'chunked body without its end': { raw: chunked('2\r\nab\r\n'), statuses: [], bodyFault: true, end: true },
  'large body shorter than CL': {
    raw: post('Content-Length: 100000\r\n', 'ab'),
    statuses: [],
    bodyFault: true,
    end: true,
  },

  // request line
  'method in lower case': { raw: get().replace('GET', 'get'), ...refused },
  'unknown method': { raw: get().replace('GET', 'YEET'), ...refused },
  'method of WebDAV': { raw: get().replace('GET', 'PROPFIND'), statuses: [405] },
  TRACE: { raw: get().replace('GET', 'TRACE'), statuses: [405] },
  CONNECT: { raw: `CONNECT s3.test:443 HTTP/1.1\r\n${H}\r\n`, statuses: [405] },
  'HTTP/2 preface': { raw: 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', ...refused },
  'version 2.0': { raw: get().replace('HTTP/1.1', 'HTTP/2.0'), ...refused },
  'version 0.9': { raw: get().replace('HTTP/1.1', 'HTTP/0.9'), ...refused },
  'no version': { raw: 'GET /g\r\n\r\n', ...refused },
  RTSP: { raw: `DESCRIBE /g RTSP/1.0\r\n${H}\r\n`, statuses: [405] },
  'space in the target': { raw: get('', '/a b'), ...refused },
  'NUL in the target': { raw: get('', '/a\0b'), ...refused },
  'raw UTF-8 in the target': { raw: get('', '/caf\xc3\xa9'), ...refused },
  'fragment in the target': { raw: get('', '/a#b'), ...refused },
  'target *': { raw: `OPTIONS * HTTP/1.1\r\n${H}${C}\r\n`, ...refused },
  'target without slash': { raw: get('', 'g'), ...refused },
  'absolute target of another host': { raw: get('', 'http://evil.test/g'), ...refused },
  'absolute target with user': { raw: get('', 'http://x@s3.test/g'), ...refused },
  'target too long': { raw: get('', `/${'k'.repeat(S3_LISTENER_LIMITS.targetBytesMax)}`), ...refused },
  'TLS hello': { raw: '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n', ...refused },

  // headers
  'no Host': { raw: `GET /g HTTP/1.1\r\n${C}\r\n`, ...refused },
  'two Hosts': { raw: get('Host: evil.test\r\n'), ...refused },
  'Host with path': { raw: `GET /g HTTP/1.1\r\nHost: s3.test/x\r\n\r\n`, ...refused },
  'two Authorizations': { raw: get('Authorization: a\r\nAuthorization: b\r\n'), ...refused },
  'two x-amz-date': { raw: get('x-amz-date: a\r\nX-Amz-Date: b\r\n'), ...refused },
  'header flood': { raw: get(flood(2500)), ...refused },
  'one header too many': { raw: get(flood(S3_LISTENER_LIMITS.headersMax - 1)), ...refused },
  'headers too large together': { raw: get(`X-A: ${'x'.repeat(S3_LISTENER_LIMITS.headerBytesMax)}\r\n`), ...refused },
  'head beyond the parser': { raw: get(`X-A: ${'x'.repeat(S3_LISTENER_LIMITS.headBytesMax)}\r\n`), ...refused },
  'Connection nominates Host': { raw: get('Connection: Host\r\n'), ...refused },
  'Connection nominates Content-Length': {
    raw: post('Connection: content-length\r\nContent-Length: 2\r\n', 'ab'),
    ...refused,
  },
  'Connection nominates x-amz-*': {
    raw: get('Connection: x-amz-content-sha256\r\nx-amz-content-sha256: a\r\n'),
    ...refused,
  },
  'Connection nominates a signed header': {
    raw: get(
      'Connection: x-foo\r\nX-Foo: 1\r\nAuthorization: AWS4-HMAC-SHA256 SignedHeaders=host;x-foo, Signature=0\r\n',
    ),
    ...refused,
  },
  'Connection nominates our own': { raw: get('Connection: zring-hop\r\n'), ...refused },
  Upgrade: { raw: `GET /g HTTP/1.1\r\n${H}Connection: upgrade\r\nUpgrade: websocket\r\n\r\n`, ...refused },
  'unknown expectation: ignored': {
    raw: post('Expect: 200-maybe\r\nContent-Length: 2\r\n', 'ab'),
    ...ok('POST /p', 'ab'),
  },
  'empty expectation: ignored': { raw: post('Expect:\r\nContent-Length: 2\r\n', 'ab'), ...ok('POST /p', 'ab') },

  // a good request, then a bad one on the same connection
  'garbage behind a good request does not cost it its answer': {
    raw: `GET /1 HTTP/1.1\r\n${H}\r\n\0\0\0${evil}`,
    statuses: [200],
    accepted: [['GET /1', '']],
  },
  'garbage behind a request that expected 100': {
    raw: `PUT /1 HTTP/1.1\r\n${H}Expect: 100-continue\r\nContent-Length: 2\r\n\r\nab\0\0`,
    statuses: [100, 200],
    accepted: [['PUT /1', 'ab']],
  },
  'a broken body behind a good request': {
    raw: `GET /1 HTTP/1.1\r\n${H}\r\n${chunked('zz\r\nab')}`,
    statuses: [200, 400],
    accepted: [['GET /1', '']],
    bodyFault: true,
  },
  'nothing is begun behind an answer that ends the connection': {
    raw: `GET /1 HTTP/1.1\r\n${H}Expect: 100-continue\r\n\r\nPUT /2 HTTP/1.1\r\n${H}Content-Length: 2\r\n\r\nab`,
    statuses: [200],
    accepted: [['GET /1', '']],
  },
  'a broken head behind two good requests': {
    raw: `GET /1 HTTP/1.1\r\n${H}\r\nPOST /2 HTTP/1.1\r\n${H}Content-Length: 2\r\n\r\nabGET /3 HTTP/1.1\r\nbroken\r\n\r\n${evil}`,
    statuses: [200, 200],
    accepted: [
      ['GET /1', ''],
      ['POST /2', 'ab'],
    ],
  },
  'smuggled behind a bad second request': {
    raw: `GET /1 HTTP/1.1\r\n${H}\r\nGET /2 HTTP/1.1\r\n${H}${H}\r\n${evil}`,
    statuses: [200, 400],
    accepted: [['GET /1', '']],
  },
};

const recorder = { straight: new Recorder(), hop: new Recorder() };
let straight: Listener;
let pair: Pair;

const metrics = createMetrics();

before(async () => {
  straight = await createS3Listener({
    listen: LOOPBACK,
    tls: null,
    handler: recorder.straight.handler,
    metrics,
    log: silentLogger(),
  });
  pair = await startPair({ owner: recorder.hop.handler });
});

after(async () => {
  await straight.close(0);
  await pair.close();
  metrics.stop();
});

/** Sends the case, then a canary: when that has been answered, nothing of the case is still on its way. */
async function run(port: number, recorded: Recorder, tried: Case) {
  const text = await rawTalk(port, tried.raw, tried.end ?? false);
  await rawTalk(port, get('', '/canary'));
  const seen = recorded.take();
  assert.equal(seen.begun.pop(), 'GET /canary');
  assert.equal(seen.whole.pop()?.line, 'GET /canary');
  return { text, ...seen };
}

for (const [name, tried] of Object.entries(cases)) {
  test(name, async () => {
    const ways = {
      straight: await run(straight.address.port, recorder.straight, tried),
      hop: await run(pair.s3.address.port, recorder.hop, tried),
    };
    for (const [way, seen] of Object.entries(ways)) {
      assert.deepEqual(statuses(seen.text), tried.statuses, `${way}: ${JSON.stringify(seen.text.slice(0, 300))}`);
      const whole = seen.whole.map(({ line, body }) => [line, body]);
      assert.deepEqual(whole, tried.accepted ?? [], `${way}: what the owner took`);
      if (!tried.bodyFault) assert.equal(seen.begun.length, seen.whole.length, `${way}: the owner began ${seen.begun}`);
      if (tried.statuses.includes(400)) {
        assert.match(
          seen.text,
          /<Error><Code>\w+<\/Code><Message>[^<]+<\/Message><RequestId>[0-9A-F]{16}<\/RequestId>/,
        );
        assert.match(seen.text, /Connection: close/);
      }
    }
    assert.deepEqual(ways.hop.whole, ways.straight.whole, 'the owner sees the same request through a hop');
    for (const { headers } of ways.hop.whole) assert.doesNotMatch(headers.join('\n'), /^(x-foo|zring-)/m);
  });
}

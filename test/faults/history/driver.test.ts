// What the load makes of answers, over real sockets: outcomes, cut and stuck answers, bodies that are not what was
// written, and which lanes it takes when a node or a bucket gives no answer.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, test } from 'node:test';
import { bodyOf, contentOf, inspectBody, multipartEtag, singlePartEtag } from './content.ts';
import { Driver, parsePage, Session, unescapeXml } from './driver.ts';
import { createHttpClient } from './http-client.ts';
import { Lanes } from './lanes.ts';
import type { Operation } from './operation.ts';
import { Random } from './random.ts';

const CREDENTIALS = { accessKey: 'k', secretKey: 's' };

async function withServer<T>(listener: RequestListener, work: (url: string) => Promise<T>): Promise<T> {
  const server = createServer(listener);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    return await work(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

async function ask(listener: RequestListener, act: (session: Session) => Promise<Operation>): Promise<Operation> {
  return withServer(listener, async (url) => {
    const recorded: Operation[] = [];
    const record = (one: Operation) => recorded.push(one);
    const driver = new Driver({ endpoints: () => [{ node: 'a', url }], credentials: CREDENTIALS, record, clients: 1 });
    const operation = await act(new Session(driver, 'c', new Random(1)));
    driver.close();
    assert.deepEqual(recorded, [operation]);
    return operation;
  });
}

const error =
  (status: number, code: string): RequestListener =>
  (_request, response) => {
    response.writeHead(status, { 'content-type': 'application/xml' });
    response.end(`<?xml version="1.0"?><Error><Code>${code}</Code></Error>`);
  };
const content = contentOf('v1', 5000);
const put = (session: Session) => session.put('b', 'k', content);
const get = (session: Session) => session.get('b', 'k');

describe('outcomes', () => {
  const cases: readonly [string, RequestListener, (session: Session) => Promise<Operation>, string][] = [
    ['a 4xx is definite', error(403, 'AccessDenied'), put, 'failed'],
    ['SlowDown promises that nothing was applied', error(503, 'SlowDown'), put, 'failed'],
    ['ServiceUnavailable promises nothing', error(503, 'ServiceUnavailable'), put, 'unknown'],
    ['nor does InternalError', error(500, 'InternalError'), put, 'unknown'],
    ['nor InsufficientStorage', error(507, 'InsufficientStorage'), put, 'unknown'],
    ['a read has no effect', error(503, 'ServiceUnavailable'), get, 'failed'],
    ['no such key is an answer', error(404, 'NoSuchKey'), get, 'ok'],
    ['no such bucket is none', error(404, 'NoSuchBucket'), get, 'failed'],
    ['a connection that breaks after the request', (request) => request.socket.destroy(), put, 'unknown'],
  ];
  for (const [name, listener, act, outcome] of cases)
    test(name, async () => assert.equal((await ask(listener, act)).outcome, outcome));

  test('an ETag that is not that of what was written is a fault of the answer', async () => {
    const { outcome, fault } = await ask((_request, response) => response.end(), put);
    assert.deepEqual([outcome, fault], ['ok', 'headers-differ-from-body']);
  });

  test('no node to ask: a failed attempt', async () => {
    const record = () => {};
    const driver = new Driver({ endpoints: () => [], credentials: CREDENTIALS, record, clients: 1 });
    const { outcome, status, completedMs } = await put(new Session(driver, 'c', new Random(1)));
    assert.deepEqual([outcome, status, completedMs], ['failed', null, null]);
  });

  test('nobody listens: certainly not sent', async () => {
    const closed = await withServer(
      () => {},
      async (url) => url,
    );
    const client = createHttpClient(CREDENTIALS);
    const answer = await client.send(closed, {
      method: 'PUT',
      bucket: 'b',
      key: 'k',
      body: content.body,
      timeoutMs: 5000,
    });
    client.close();
    assert.equal(answer.kind, 'unsent');
  });

  test('a server that stands still costs the time limit, no more', async () => {
    const answer = await withServer(
      () => {},
      async (url) => {
        const client = createHttpClient(CREDENTIALS);
        const waited = await client.send(url, { method: 'GET', bucket: 'b', key: 'k', timeoutMs: 50 });
        client.close();
        return waited;
      },
    );
    assert.equal(answer.kind, 'lost');
  });

  test('an error in the document of a 200 is that error', async () => {
    const { written } = content;
    const late = (code: string) =>
      ask(
        (_request, response) => {
          response.writeHead(200, { 'content-type': 'application/xml' });
          response.end(`<?xml version="1.0"?>   <Error><Code>${code}</Code></Error>`);
        },
        (session) => session.completeUpload('b', 'k', 'u', written, []),
      );
    assert.deepEqual([(await late('SlowDown')).outcome, (await late('InternalError')).outcome], ['failed', 'unknown']);
    const { outcome, status, fault } = await late('PreconditionFailed');
    assert.deepEqual([outcome, status, fault], ['failed', 412, undefined]);
  });
});

describe('bodies', () => {
  const { body, written } = content;
  const serve =
    (bytes: Buffer, headers: Record<string, string | number> = {}): RequestListener =>
    (_request, response) => {
      response.writeHead(200, { etag: written.etag, 'x-amz-meta-value': 'v1', ...headers });
      response.end(bytes);
    };

  test('whole', async () => {
    const { seen, fault } = await ask(serve(body, { 'content-length': body.length }), get);
    assert.deepEqual(
      { seen, fault },
      { seen: { value: 'v1', etag: written.etag, bytes: 5000, body: 'v1' }, fault: undefined },
    );
  });
  test('truncated, and looking complete', async () => {
    const cut = body.subarray(0, 4096);
    assert.equal((await ask(serve(cut, { 'content-length': cut.length }), get)).fault, 'truncated-body');
    assert.equal((await ask(serve(cut), get)).fault, 'truncated-body', 'chunked');
    assert.equal((await ask(serve(Buffer.alloc(0), { 'content-length': 0 }), get)).fault, 'truncated-body');
  });
  test('cut, and not looking complete: no answer, and no fault', async () => {
    const cut: RequestListener = (_request, response) => {
      response.writeHead(200, { etag: written.etag, 'content-length': body.length });
      response.write(body.subarray(0, 4096), () => response.destroy());
    };
    const { outcome, fault, seen } = await ask(cut, get);
    assert.deepEqual([outcome, fault, seen], ['failed', undefined, undefined]);
  });
  test('one bit, a block that stands elsewhere, bytes of another value', () => {
    const headers = { etag: written.etag, bytes: 5000 };
    const flipped = Buffer.from(body);
    flipped[3000] = (flipped[3000] ?? 0) ^ 1;
    assert.equal(inspectBody(flipped, headers).fault, 'corrupt-body');
    const long = bodyOf('long', 20_000);
    const moved = Buffer.from(long);
    long.copy(moved, 8192, 4096, 8192);
    assert.equal(inspectBody(moved, { etag: singlePartEtag(moved), bytes: 20_000 }).fault, 'corrupt-body');
    const mixed = Buffer.concat([body.subarray(0, 2500), contentOf('v2', 5000).body.subarray(2500)]);
    assert.equal(inspectBody(mixed, headers).fault, 'corrupt-body');
    assert.deepEqual(inspectBody(contentOf('v2', 5000).body, headers), {
      body: 'v2',
      fault: 'headers-differ-from-body',
    });
    assert.equal(inspectBody(Buffer.from('other'), headers).fault, 'corrupt-body');
  });
  test('ETags as S3 computes them', () => {
    assert.equal(singlePartEtag(Buffer.from('hello')), '"5d41402abc4b2a76b9719d911017c592"');
    assert.match(multipartEtag([body, body]), /^"[0-9a-f]{32}-2"$/);
    assert.equal(inspectBody(body, { etag: multipartEtag([body]), bytes: 5000 }).fault, undefined);
  });
});

test('pages of listings: names are unescaped, a document that ends early is malformed', () => {
  const entry = '<Contents><Key>a&amp;b&#x20;&lt;</Key><ETag>&quot;e&quot;</ETag></Contents>';
  const page = `<ListBucketResult><KeyCount>1</KeyCount><IsTruncated>true</IsTruncated>${entry}<NextContinuationToken>t</NextContinuationToken></ListBucketResult>`;
  const { listing, next, malformed } = parsePage(page, 'a', '');
  assert.deepEqual([listing.entries, listing.truncated, next, malformed], [[['a&b <', '"e"']], true, 't', false]);
  assert.ok(parsePage(page.slice(0, -5), '', '').malformed);
  assert.ok(parsePage(page.replace('<KeyCount>1', '<KeyCount>2'), '', '').malformed);
  assert.equal(unescapeXml('&apos;&#39;&unknown;'), "''&unknown;");
});

test('lanes: few wait where there is no answer, the others go on, and come back with the first answer', () => {
  let nowMs = 1000;
  const lanes = new Lanes(() => nowMs);
  const random = new Random(7);
  const choose = () => lanes.choose(random, ['x', 'y', 'z'], (name) => name, { max: 3, doubtfulMax: 1 });
  const chosen = () => new Set(Array.from({ length: 200 }, choose));
  const stuck = lanes.enter('x');
  assert.deepEqual(chosen(), new Set(['x', 'y', 'z']));
  nowMs += 700;
  assert.deepEqual(chosen(), new Set(['y', 'z']), 'its request is old');
  stuck(false);
  assert.ok(chosen().has('x'), 'one at a time tries whether it is back');
  lanes.enter('x')(false);
  assert.ok(!chosen().has('x'), 'and not at once again');
  nowMs += 60;
  assert.ok(chosen().has('x'));
  lanes.enter('x')(true);
  assert.ok(!lanes.doubtful('x'));
  for (let at = 0; at < 3; at += 1) lanes.enter('x');
  assert.ok(!chosen().has('x'), 'it has its share');
  for (const name of ['y', 'z']) for (let at = 0; at < 3; at += 1) lanes.enter(name);
  assert.equal(choose(), null);
});

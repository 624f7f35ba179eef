import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import { Readable } from 'node:stream';
import { before, describe, test } from 'node:test';
import { CreateBucketCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { type NotOwnerDetails, ZringError } from '../../../src/common/errors.ts';
import type { Exchange, ForwardOutcome } from '../../../src/routing/exchange.ts';
import type { HopForwarder } from '../../../src/routing/forward.ts';
import { NOT_OWNER_HEADER } from '../../../src/routing/hop.ts';
import type { Store } from '../../../src/store/types.ts';
import { overrideStore } from '../../support/memory-access.ts';
import { credential, type RawRequest, signHeaders } from '../../support/s3-client.ts';
import { bucketName, type Fixture, s3Nodes } from '../../support/s3-fixture.ts';

const credentials = [
  credential('admin'),
  credential('reader', [{ buckets: '*', actions: 'read' }]),
  credential('narrow', [{ buckets: 'narrow-*', actions: '*' }]),
];

/** Answers for the owner that a request is forwarded to. */
class ScriptedForwarder implements HopForwarder {
  readonly asked: string[] = [];
  script: (exchange: Exchange, node: string) => ForwardOutcome | Promise<ForwardOutcome> = (exchange, node) => {
    exchange.response.writeHead(200, { 'x-served-by': node });
    exchange.response.end();
    return { kind: 'done', status: 200 };
  };

  buffered(): boolean {
    return false;
  }

  async forward(exchange: Exchange, node: string): Promise<ForwardOutcome> {
    this.asked.push(node);
    return this.script(exchange, node);
  }
}

const forwarder = new ScriptedForwarder();
const { a: node } = (await s3Nodes(['a'], { credentials, forwarder })) as { a: Fixture };
const { a: owner } = (await s3Nodes(['a'], {
  credentials,
  origin: { kind: 'peer', node: 'entry', epoch: 1, address: '192.0.2.1', secure: false },
})) as { a: Fixture };
const Bucket = bucketName();
before(async () => {
  await node.client().send(new CreateBucketCommand({ Bucket }));
  await owner.client().send(new CreateBucketCommand({ Bucket }));
});

/** Makes a bucket that another node owns, as far as `node` knows. */
function elsewhere(owner: string): string {
  const name = bucketName('elsewhere');
  const record = node.access.catalog.records.get(Bucket);
  assert.ok(record);
  node.access.catalog.records.set(name, { ...record, dataset: name, owner });
  return name;
}

describe('who may do what', () => {
  const MATRIX: [request: RawRequest, reader: number, narrow: number][] = [
    [{ path: `/${Bucket}` }, 200, 403],
    [{ path: `/${Bucket}?uploads` }, 200, 403],
    [{ path: `/${Bucket}/missing` }, 404, 403],
    [{ method: 'HEAD', path: `/${Bucket}` }, 200, 403],
    [{ method: 'PUT', path: `/${Bucket}/k`, body: 'x' }, 403, 403],
    [{ method: 'DELETE', path: `/${Bucket}/k` }, 403, 403],
    [{ method: 'POST', path: `/${Bucket}/k?uploads` }, 403, 403],
    [{ method: 'POST', path: `/${Bucket}?delete`, body: '<Delete/>' }, 403, 403],
    [{ method: 'DELETE', path: `/${Bucket}` }, 403, 403],
    [{ method: 'PUT', path: '/wide-1' }, 403, 403],
    [{ method: 'PUT', path: '/narrow-1' }, 403, 200],
    [{ path: '/' }, 200, 200],
  ];
  test('that there is no such bucket is told to everybody, as S3 does', async () => {
    for (const accessKey of ['reader', 'narrow']) {
      assert.equal((await node.raw({ path: '/no-such-bucket', accessKey })).code, 'NoSuchBucket');
    }
    assert.equal((await node.raw({ path: '/no-such-bucket', sign: false })).code, 'NoSuchBucket');
    assert.equal((await node.raw({ path: '/no-such-bucket', accessKey: 'stranger' })).code, 'InvalidAccessKeyId');
  });
  for (const [request, reader, narrow] of MATRIX) {
    test(`${request.method ?? 'GET'} ${request.path}`, async () => {
      assert.equal((await node.raw({ ...request, accessKey: 'reader' })).status, reader, 'reader');
      assert.equal((await node.raw({ ...request, accessKey: 'narrow' })).status, narrow, 'narrow');
      const anonymous = await node.raw({ ...request, sign: false });
      assert.equal(anonymous.status, 403, 'anonymous');
      const stranger = await node.raw({ ...request, accessKey: 'stranger' });
      assert.equal(stranger.status, 403, 'unknown key');
    });
  }
});

describe('where a request is served', () => {
  test('a bucket of another node is forwarded, before any signature is checked', async () => {
    const bucket = elsewhere('b');
    const answer = await node.raw({ path: `/${bucket}/k`, sign: false });
    assert.deepEqual([answer.status, answer.headers['x-served-by']], [200, 'b']);
  });

  test('a typed refusal is followed once, to the owner it names', async () => {
    const bucket = elsewhere('b');
    forwarder.asked.length = 0;
    const { script } = forwarder;
    forwarder.script = (exchange, to) =>
      to === 'b'
        ? { kind: 'not-owner', details: { epoch: 2, owner: 'c', term: '3@c' }, replayable: true }
        : script(exchange, to);
    const answer = await node.raw({ path: `/${bucket}/k` });
    assert.deepEqual([answer.status, answer.headers['x-served-by'], forwarder.asked], [200, 'c', ['b', 'c']]);
    forwarder.script = script;
  });

  const refusal = (owner: string | null, replayable: boolean): ForwardOutcome => ({
    kind: 'not-owner',
    details: { epoch: 2, owner, term: null },
    replayable,
  });
  const DEAD_ENDS: [name: string, outcome: ForwardOutcome, asked: string[], code?: string][] = [
    ['the owner is unknown', refusal(null, true), ['b']],
    ['the refusals go on', refusal('c', true), ['b', 'c']],
    ['the body is spent', refusal('c', false), ['b']],
    ['the owner cannot be reached', { kind: 'unreachable', replayable: true, cause: new Error('x') }, ['b']],
    // SlowDown promises that nothing was applied; here the owner may have applied it before it fell silent.
    [
      'the answer is lost',
      { kind: 'unreachable', replayable: false, cause: new Error('x') },
      ['b'],
      'ServiceUnavailable',
    ],
  ];
  for (const [name, outcome, asked, code = 'SlowDown'] of DEAD_ENDS) {
    test(`503 with Retry-After when ${name}`, async (t) => {
      const bucket = elsewhere('b');
      forwarder.asked.length = 0;
      const { script } = forwarder;
      t.after(() => {
        forwarder.script = script;
      });
      forwarder.script = () => outcome;
      const answer = await node.raw({ path: `/${bucket}/k` });
      assert.deepEqual([answer.status, answer.code], [503, code]);
      assert.ok(answer.headers['retry-after']);
      assert.deepEqual(forwarder.asked, asked);
    });
  }

  test('a gate that knows better than the map: the request moves on, its body with it', async (t) => {
    const bucket = elsewhere('a');
    const details: NotOwnerDetails = { epoch: 3, owner: 'd', term: null };
    node.access.onEnter = () => {
      throw new ZringError('NOT_OWNER', 'moved', { details });
    };
    const { script } = forwarder;
    t.after(() => {
      node.access.onEnter = () => undefined;
      forwarder.script = script;
    });
    let received = '';
    forwarder.script = async (exchange, to) => {
      for await (const chunk of exchange.request) received += chunk;
      return script(exchange, to);
    };
    const answer = await node.raw({ method: 'PUT', path: `/${bucket}/k`, body: 'not lost' });
    assert.deepEqual([answer.headers['x-served-by'], received], ['d', 'not lost']);
  });

  test('a refusal that comes after the body was read is a 503: half a request is not sent on', async (t) => {
    const { create } = node.access;
    node.access.create = async () => {
      throw new ZringError('NOT_OWNER', 'not the home any more', { details: { epoch: 3, owner: 'd', term: null } });
    };
    t.after(() => {
      node.access.create = create;
    });
    forwarder.asked.length = 0;
    const answer = await node.raw({ method: 'PUT', path: '/late-refusal', body: '<CreateBucketConfiguration/>' });
    assert.deepEqual([answer.status, answer.code, forwarder.asked], [503, 'SlowDown', []]);
  });

  test('CreateBucket goes to the home, the rest of an unknown bucket to who the ring names', async () => {
    node.access.catalog.homes.set('homed', 'h');
    const answer = await node.raw({ method: 'PUT', path: '/homed' });
    assert.equal(answer.headers['x-served-by'], 'h');
  });

  test('absence that cannot be proven is 503, never NoSuchBucket', async (t) => {
    node.access.catalog.complete = false;
    t.after(() => {
      node.access.catalog.complete = true;
    });
    for (const method of ['GET', 'HEAD', 'PUT', 'DELETE']) {
      const answer = await node.raw({ method, path: '/unknown-bucket/k' });
      assert.equal(answer.status, 503, method);
      assert.ok(answer.headers['retry-after'], method);
    }
  });

  const GATE_ERRORS: [code: ConstructorParameters<typeof ZringError>[0], status: number, s3: string, retry: boolean][] =
    [
      ['DATASET_BUSY', 503, 'SlowDown', true],
      ['DATASET_UNAVAILABLE', 503, 'ServiceUnavailable', true],
      ['CATALOG_INCOMPLETE', 503, 'ServiceUnavailable', true],
      ['DATASET_MISSING', 404, 'NoSuchBucket', false],
      ['STORAGE_UNAVAILABLE', 503, 'ServiceUnavailable', true],
      ['STORAGE_FULL', 507, 'InsufficientStorage', false],
      ['INTERNAL', 500, 'InternalError', false],
    ];
  for (const [code, status, s3, retry] of GATE_ERRORS) {
    test(`${code} at the gate: ${status} ${s3}`, async (t) => {
      node.access.onEnter = () => {
        throw new ZringError(code, 'a message with /a/path of this machine');
      };
      t.after(() => {
        node.access.onEnter = () => undefined;
      });
      const answer = await node.raw({ method: 'PUT', path: `/${Bucket}/k`, body: 'x' });
      assert.deepEqual([answer.status, answer.code, answer.headers['retry-after'] !== undefined], [status, s3, retry]);
      assert.doesNotMatch(answer.text, /a\/path/);
    });
  }

  test('full storage: writes are refused, reads, lists and deletes go on', async (t) => {
    await node.raw({ method: 'PUT', path: `/${Bucket}/full`, body: 'x' });
    node.access.onEnter = (_dataset, mode) => {
      if (mode === 'write') throw new ZringError('STORAGE_FULL', 'full');
    };
    t.after(() => {
      node.access.onEnter = () => undefined;
    });
    const statuses: [RawRequest, number][] = [
      [{ method: 'PUT', path: `/${Bucket}/more`, body: 'x' }, 507],
      [{ method: 'POST', path: `/${Bucket}/more?uploads` }, 507],
      [{ method: 'PUT', path: `/${Bucket}/more`, headers: { 'x-amz-copy-source': `${Bucket}/full` } }, 507],
      [{ path: `/${Bucket}/full` }, 200],
      [{ path: `/${Bucket}` }, 200],
      [{ method: 'DELETE', path: `/${Bucket}/full` }, 204],
    ];
    for (const [request, status] of statuses) assert.equal((await node.raw(request)).status, status, request.path);
  });
});

describe('a request that another node forwarded', () => {
  test('is served when the bucket is here', async () => {
    assert.equal((await owner.raw({ path: `/${Bucket}` })).status, 200);
  });

  test('gets the typed refusal when it is not, with the owner when it is known for certain', async () => {
    const record = owner.access.catalog.records.get(Bucket);
    assert.ok(record);
    owner.access.catalog.records.set('of-another', { ...record, dataset: 'of-another', owner: 'z' });
    owner.access.catalog.homes.set('homed-there', 'z');
    for (const [name, known] of [
      ['of-another', 'z'],
      ['homed-there', null],
    ] as const) {
      const answer = await owner.raw({ path: `/${name}/k` });
      assert.equal(answer.status, 421);
      const details = JSON.parse(String(answer.headers[NOT_OWNER_HEADER]));
      assert.equal(details.owner, known);
      assert.equal(details.epoch, 1);
    }
  });

  test('gets the typed refusal when the gate says so, and never an answer of its own', async (t) => {
    owner.access.onEnter = () => {
      throw new ZringError('NOT_OWNER', 'moved', { details: { epoch: 7, owner: 'y', term: '9@y' } });
    };
    t.after(() => {
      owner.access.onEnter = () => undefined;
    });
    const answer = await owner.raw({ path: `/${Bucket}/k` });
    assert.equal(answer.status, 421);
    assert.deepEqual(JSON.parse(String(answer.headers[NOT_OWNER_HEADER])), { epoch: 7, owner: 'y', term: '9@y' });
  });

  test('for a bucket that is proven absent gets NoSuchBucket', async () => {
    assert.equal((await owner.raw({ path: '/absent-bucket/k' })).code, 'NoSuchBucket');
  });
});

describe('100 Continue', () => {
  /** Sends a head with Expect, and the body only when told to go on. */
  async function expecting(
    request: Omit<RawRequest, 'body'> & { body: string },
  ): Promise<{ continued: boolean; status: number }> {
    const headers = signHeaders(node, { ...request, method: 'PUT' });
    const outgoing = http.request({
      host: '127.0.0.1',
      port: node.port,
      agent: false,
      method: 'PUT',
      path: request.path,
      headers: { ...headers, expect: '100-continue', 'content-length': String(request.body.length) },
    });
    let continued = false;
    outgoing.on('continue', () => {
      continued = true;
      outgoing.end(request.body);
    });
    outgoing.flushHeaders();
    const [response] = (await once(outgoing, 'response')) as [http.IncomingMessage];
    response.resume();
    await once(response, 'close');
    outgoing.destroy();
    return { continued, status: response.statusCode ?? 0 };
  }

  test('comes when the request is authorised, and the body is stored', async () => {
    const sent = await expecting({ path: `/${Bucket}/expected`, body: 'continued' });
    assert.deepEqual(sent, { continued: true, status: 200 });
    assert.equal((await node.raw({ path: `/${Bucket}/expected` })).text, 'continued');
  });

  const REFUSALS: [name: string, request: Omit<Partial<RawRequest>, 'body'>, status: number][] = [
    ['a wrong signature', { accessKey: 'stranger' }, 403],
    ['a credential that may not write', { accessKey: 'reader' }, 403],
    ['a missing bucket', { path: '/no-such-bucket/k' }, 404],
    ['a header that is not implemented', { headers: { 'x-amz-server-side-encryption': 'AES256' } }, 501],
    ['a condition that fails already', { path: `/${Bucket}/expected`, headers: { 'if-none-match': '*' } }, 412],
    ['a malformed digest', { headers: { 'content-md5': 'x' } }, 400],
    ['an upload that does not exist', { path: `/${Bucket}/k?uploadId=x&partNumber=1` }, 404],
  ];
  for (const [name, request, status] of REFUSALS) {
    test(`never comes for ${name}`, async () => {
      const sent = await expecting({ path: `/${Bucket}/k`, body: 'body', ...request });
      assert.deepEqual(sent, { continued: false, status });
    });
  }
});

describe('bodies', () => {
  test('a refused body that nobody reads leaves the connection usable or closed, never confused', async () => {
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    for (const size of [10, 3 << 20]) {
      const statuses: number[] = [];
      for (const path of [`/no-such-bucket/k`, `/${Bucket}`]) {
        const outgoing = http.request({
          host: '127.0.0.1',
          port: node.port,
          agent,
          method: path.endsWith('k') ? 'PUT' : 'GET',
          path,
        });
        outgoing.end(path.endsWith('k') ? Buffer.alloc(size) : undefined);
        const [response] = (await once(outgoing, 'response')) as [http.IncomingMessage];
        response.resume();
        await once(response, 'end');
        statuses.push(response.statusCode ?? 0);
      }
      assert.deepEqual(statuses, [404, 403]);
    }
    agent.destroy();
  });

  test('a body that is cut short is never stored, and gives the gate back', async () => {
    const headers = signHeaders(node, {
      method: 'PUT',
      path: `/${Bucket}/cut`,
      headers: { 'x-amz-content-sha256': 'UNSIGNED-PAYLOAD' },
    });
    const socket = net.connect(node.port, '127.0.0.1');
    const head = Object.entries({ ...headers, 'content-length': '1000' }).map(
      ([name, value]) => `${name}: ${value}\r\n`,
    );
    const entered = new Promise<void>((resolve) => {
      node.access.onEnter = () => resolve();
    });
    socket.write(`PUT /${Bucket}/cut HTTP/1.1\r\n${head.join('')}\r\nonly this`);
    await entered;
    node.access.onEnter = () => undefined;
    const released = new Promise<void>((resolve) => {
      node.access.onRelease = () => resolve();
    });
    socket.destroy();
    await released;
    assert.equal(node.access.held, 0);
    assert.equal((await node.raw({ path: `/${Bucket}/cut` })).status, 404);
  });

  const DAMAGE: [name: string, good: number, check: (outcome: { status: number; whole: boolean }) => void][] = [
    ['at once', 0, ({ status }) => assert.equal(status, 500)],
    ['in the middle', 2 << 20, ({ status, whole }) => assert.deepEqual([status, whole], [200, false])],
  ];
  for (const [name, good, check] of DAMAGE) {
    test(`a read that fails ${name} is an error or a cut, never a whole answer`, async (t) => {
      await node.client().send(new PutObjectCommand({ Bucket, Key: 'damaged', Body: Buffer.alloc(8 << 20) }));
      node.access.wrapStore = (store) => failingAfter(store, good);
      t.after(() => {
        node.access.wrapStore = (store) => store;
      });
      check(await readToTheEnd(`/${Bucket}/damaged`));
      assert.equal(node.access.held, 0);
    });
  }

  async function readToTheEnd(path: string): Promise<{ status: number; whole: boolean }> {
    const headers = signHeaders(node, { path });
    const outgoing = http.request({ host: '127.0.0.1', port: node.port, agent: false, path, headers });
    outgoing.end();
    const [response] = (await once(outgoing, 'response')) as [http.IncomingMessage];
    response.on('error', () => undefined);
    response.resume();
    await new Promise((resolve) => response.on('close', resolve));
    return { status: response.statusCode ?? 0, whole: response.complete };
  }

  for (const [name, extra] of [
    ['reads for a checksum', { 'x-amz-checksum-algorithm': 'SHA256' }],
    ['moves its bytes', {}],
  ] as [string, Record<string, string>][]) {
    test(`a client that goes ends the copy that ${name} for it`, async () => {
      const source = bucketName();
      await node.client().send(new CreateBucketCommand({ Bucket: source }));
      await node.client().send(new PutObjectCommand({ Bucket, Key: 'endless', Body: Buffer.alloc(1 << 20) }));
      await node.client().send(new PutObjectCommand({ Bucket: source, Key: 'endless', Body: Buffer.alloc(1 << 20) }));
      let started: () => void = () => undefined;
      const reading = new Promise<void>((resolve) => {
        started = resolve;
      });
      node.access.wrapStore = (store) =>
        overrideStore(store, {
          // Gives nothing, and ends only when it is destroyed.
          read: () => new Readable({ read: () => started() }),
        });
      // Within a bucket only the checksum needs the bytes; from another bucket they are moved.
      const from = extra['x-amz-checksum-algorithm'] ? Bucket : source;
      const headers = { ...extra, 'x-amz-copy-source': `${from}/endless` };
      const path = `/${Bucket}/never`;
      const outgoing = http.request({
        host: '127.0.0.1',
        port: node.port,
        agent: false,
        method: 'PUT',
        path,
        headers: signHeaders(node, { method: 'PUT', path, headers }),
      });
      outgoing.on('error', () => undefined);
      outgoing.end();
      await reading;
      node.access.wrapStore = (store) => store;
      const released = new Promise<void>((resolve) => {
        node.access.onRelease = () => {
          if (node.access.held === 0) resolve();
        };
      });
      outgoing.destroy();
      await released;
      assert.equal((await node.raw({ path })).status, 404);
    });
  }

  test('a dataset that is taken away under a request cuts it and gets its gate back', async (t) => {
    await node.client().send(new PutObjectCommand({ Bucket, Key: 'taken', Body: Buffer.alloc(8 << 20) }));
    const taken = new AbortController();
    node.access.signal = taken.signal;
    t.after(() => {
      node.access.signal = undefined;
    });
    const path = `/${Bucket}/taken`;
    const outgoing = http.request({
      host: '127.0.0.1',
      port: node.port,
      agent: false,
      path,
      headers: signHeaders(node, { path }),
    });
    outgoing.end();
    const [response] = (await once(outgoing, 'response')) as [http.IncomingMessage];
    response.on('error', () => undefined);
    const released = new Promise<void>((resolve) => {
      node.access.onRelease = () => resolve();
    });
    taken.abort();
    await released;
    response.resume();
    await new Promise((resolve) => response.on('close', resolve));
    assert.deepEqual([node.access.held, response.complete], [0, false]);
  });

  test('a client that stops reading and goes gives the gate back', async () => {
    await node.client().send(new PutObjectCommand({ Bucket, Key: 'big', Body: Buffer.alloc(8 << 20) }));
    const path = `/${Bucket}/big`;
    const outgoing = http.request({
      host: '127.0.0.1',
      port: node.port,
      agent: false,
      path,
      headers: signHeaders(node, { path }),
    });
    outgoing.end();
    const [response] = (await once(outgoing, 'response')) as [http.IncomingMessage];
    assert.equal(node.access.held, 1);
    const released = new Promise<void>((resolve) => {
      node.access.onRelease = () => resolve();
    });
    response.on('error', () => undefined);
    outgoing.destroy();
    await released;
    assert.equal(node.access.held, 0);
  });
});

/** A store whose reads fail after that many bytes. */
function failingAfter(store: Store, good: number): Store {
  return overrideStore(store, {
    readInline: () => null,
    read(...parameters) {
      const body = store.read(...parameters);
      let seen = 0;
      const push = body.push.bind(body);
      body.push = (chunk: Buffer | null) => {
        seen += chunk?.length ?? 0;
        if (seen > good) {
          body.destroy(new ZringError('STORAGE_CORRUPT', 'checksum mismatch'));
          return false;
        }
        return push(chunk);
      };
      return body;
    },
  });
}

describe('what is not there', () => {
  const NOT_BUILT: [method: string, path: string][] = [
    ['PUT', '?website'],
    ['GET', '?logging'],
    ['PUT', '?replication'],
    ['PUT', '/k?annotation&annotationName=a'],
    ['GET', '/k?torrent'],
    ['POST', '/k?restore'],
    ['POST', '/k?select&select-type=2'],
    ['PUT', '/k?encryption'],
  ];
  for (const [method, rest] of NOT_BUILT) {
    test(`${method} ${rest} is NotImplemented and touches no object`, async () => {
      await node.raw({ method: 'PUT', path: `/${Bucket}/k`, body: 'kept' });
      const answer = await node.raw({ method, path: `/${Bucket}${rest}`, body: method === 'GET' ? '' : '<x/>' });
      assert.deepEqual([answer.status, answer.code], [501, 'NotImplemented']);
      assert.equal((await node.raw({ path: `/${Bucket}/k` })).text, 'kept');
    });
  }

  test('a method that a resource does not have', async () => {
    const answer = await node.raw({ method: 'DELETE', path: '/' });
    assert.deepEqual([answer.status, answer.code], [405, 'MethodNotAllowed']);
  });
});

test('every answer names its request, its node and the server', async () => {
  for (const path of [`/${Bucket}`, '/no-such-bucket', `/${Bucket}/none`, `/${Bucket}?acl`]) {
    const { headers } = await node.raw({ path });
    assert.match(String(headers['x-amz-request-id']), /^[0-9A-F]{16}$/);
    assert.deepEqual([headers['x-amz-id-2'], headers.server], ['a', 'zring']);
    assert.ok(headers.date);
  }
});

test('requests are counted by operation, place and status', async () => {
  await node.raw({ path: `/${Bucket}/never-there` });
  const text = await node.metrics.text();
  assert.match(text, /zring_s3_requests_total\{operation="GetObject",place="owner",status="404"\} \d+/);
  assert.match(text, /zring_s3_requests_total\{operation="GetObject",place="entry",status="200"\} \d+/);
  const received = async () => Number(/^zring_s3_received_bytes_total (\d+)/m.exec(await node.metrics.text())?.[1]);
  const sent = async () => Number(/^zring_s3_sent_bytes_total (\d+)/m.exec(await node.metrics.text())?.[1]);
  const before = [await received(), await sent()] as const;
  await node.raw({ method: 'PUT', path: `/${Bucket}/counted`, body: 'twelve bytes' });
  await node.raw({ path: `/${Bucket}/counted` });
  assert.deepEqual([await received(), await sent()], [before[0] + 12, before[1] + 12]);
  assert.match(text, /zring_s3_requests_in_flight\{place="owner"\} 0/);
});

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http';
import { after, before, test } from 'node:test';
import { signAdminRequest } from '../../src/admin/auth.ts';
import { type AdminServer, startAdminServer } from '../../src/admin/server.ts';
import type { AdminApi } from '../../src/admin/types.ts';
import { ZringError } from '../../src/common/errors.ts';
import { silentLogger } from '../../src/telemetry/log.ts';
import { createMetrics, type Metrics } from '../../src/telemetry/metrics.ts';

const SECRET = 'cluster secret of the test';
const servers: AdminServer[] = [];
const metrics: Metrics[] = [];
const moves: { node: string; dataset: string; to: string | null }[] = [];
let statusCalls = 0;
let isReady = true;

function api(node: string): AdminApi {
  return {
    ready: () => ({ ready: isReady, reasons: isReady ? [] : ['starting'] }),
    status: async () => {
      statusCalls += 1;
      return { node } as never;
    },
    datasets: async () => ({ datasets: [], complete: true }),
    explain: async (dataset) => {
      if (dataset !== 'photos') throw new ZringError('DATASET_MISSING', `no bucket ${dataset}`);
      return { dataset, node };
    },
    snapshots: {
      list: async (bucket: string) => ({ bucket, node: 'a', snapshots: [] }),
      change: async (bucket: string, { verb, name }: { verb: string; name: string | null }) => ({
        bucket,
        node: 'a',
        name: `${verb} ${name}`,
      }),
    },
    scrubs: {
      show: async (bucket: string) => ({ bucket, node: 'a', scrub: null }),
      change: async (bucket: string, verb: string) => ({ bucket, node: verb, scrub: null }),
    },
    buckets: {
      get: async (bucket) => ({ bucket, node }) as never,
      set: async (bucket, change) => {
        if (change.quotaBytes === 1) throw new ZringError('CONFIG_REFUSED', 'a quota is larger');
        return { bucket, node, change } as never;
      },
    },
    move: async (request) => {
      moves.push({ node, ...request });
      return { ok: true };
    },
    credentials: {
      list: () => ({ credentials: [], keyId: node }),
      show: (name) => ({ accessKey: name }) as never,
      run: async (verb, request) => ({ verb, request }) as never,
    },
    disk: {
      report: async () => ({ node }) as never,
      accept: async (options) => ({ node, ...options }) as never,
    },
    takeover: {
      report: async (dataset) => ({ node, dataset }) as never,
      accept: async (dataset) => ({ node, dataset, taken: true }) as never,
    },
    reload: async () => ({}),
  };
}

before(async () => {
  for (const self of ['a', 'b']) {
    const set = createMetrics();
    metrics.push(set);
    servers.push(
      await startAdminServer({
        listen: { host: '127.0.0.1', port: 0 },
        self,
        secrets: () => [SECRET],
        nodes: () => ['a', 'b'].map((id, i) => ({ id, admin: `127.0.0.1:${servers[i]?.address.port}` })),
        api: api(self),
        metrics: set,
        logger: silentLogger(),
        tls: null,
        peerCa: () => null,
      }),
    );
  }
});

after(async () => {
  for (const server of servers) await server.close();
  for (const set of metrics) set.stop();
});

interface Answer {
  readonly status: number;
  readonly text: string;
}

function open(method: string, path: string, body = '', signed = true): ClientRequest {
  const headers: Record<string, string | number> = { 'content-length': Buffer.byteLength(body) };
  if (signed) headers.authorization = signAdminRequest(SECRET, method, path, Date.now(), body);
  const request = httpRequest({ port: servers[0]?.address.port, method, path, headers, agent: false });
  request.end(body);
  return request;
}

async function ask(method: string, path: string, body = '', signed = true): Promise<Answer> {
  const [response] = (await once(open(method, path, body, signed), 'response')) as [IncomingMessage];
  let text = '';
  for await (const chunk of response) text += chunk;
  return { status: response.statusCode ?? 0, text };
}

test('probes, metrics and discovery need no secret; everything else does', async () => {
  for (const path of ['/health', '/ready', '/metrics', '/sd', '/nodes/b/ready', '/nodes/b/metrics']) {
    assert.equal((await ask('GET', path, '', false)).status, 200, path);
  }
  for (const path of ['/status', '/datasets', '/explain/photos', '/events', '/nodes/b/status', '/nodes/a/status']) {
    assert.equal((await ask('GET', path, '', false)).status, 401, path);
  }
  assert.equal((await ask('GET', '/credentials', '', false)).status, 401);
  assert.equal((await ask('POST', '/credentials/add', '{}', false)).status, 401);
  assert.equal((await ask('POST', '/move', '{}', false)).status, 401);
});

test('credentials: the list, one of them, and changes by their verb', async () => {
  assert.deepEqual(JSON.parse((await ask('GET', '/nodes/b/credentials')).text), { credentials: [], keyId: 'b' });
  assert.deepEqual(JSON.parse((await ask('GET', '/credentials/Zo%C3%AB')).text), { accessKey: 'Zoë' });
  const answer = await ask('POST', '/credentials/rotate', '{"name":"AK1"}');
  assert.deepEqual(JSON.parse(answer.text), { verb: 'rotate', request: { name: 'AK1' } });
});

test('a disk is accepted by the node that is asked, and only with the word', async () => {
  assert.equal((await ask('GET', '/disk', '', false)).status, 401);
  assert.deepEqual(JSON.parse((await ask('GET', '/nodes/b/disk')).text), { node: 'b' });
  assert.equal((await ask('POST', '/disk', '{}')).status, 409);
  assert.equal((await ask('POST', '/disk', '{"acceptLoss":"yes"}')).status, 409);
  const accepted = await ask('POST', '/disk', '{"acceptLoss":true}');
  assert.deepEqual(JSON.parse(accepted.text), { node: 'a', evenUnheard: false });
  const unheard = await ask('POST', '/nodes/b/disk', '{"acceptLoss":true,"evenUnheard":true}');
  assert.deepEqual(JSON.parse(unheard.text), { node: 'b', evenUnheard: true });
});

test('a bucket is taken back by the node that is asked, and only with the word', async () => {
  assert.equal((await ask('GET', '/takeover/photos', '', false)).status, 401);
  assert.deepEqual(JSON.parse((await ask('GET', '/nodes/b/takeover/photos')).text), { node: 'b', dataset: 'photos' });
  for (const body of ['{}', '{"acceptLoss":"yes"}']) {
    assert.equal((await ask('POST', '/nodes/b/takeover/photos', body)).status, 409);
  }
  const taken = await ask('POST', '/nodes/b/takeover/photos', '{"acceptLoss":true}');
  assert.deepEqual(JSON.parse(taken.text), { node: 'b', dataset: 'photos', taken: true });
});

test('/ready is 503 with the reasons while the node is not ready', async () => {
  isReady = false;
  try {
    const answer = await ask('GET', '/ready', '', false);
    assert.equal(answer.status, 503);
    assert.deepEqual(JSON.parse(answer.text), { ready: false, reasons: ['starting'] });
  } finally {
    isReady = true;
  }
});

test('/sd is Prometheus HTTP service discovery of all nodes', async () => {
  const targets = JSON.parse((await ask('GET', '/sd', '', false)).text);
  assert.deepEqual(
    targets.map((group: { labels: { zring_node: string } }) => group.labels.zring_node),
    ['a', 'b'],
  );
  assert.deepEqual(targets[1].targets, [`127.0.0.1:${servers[1]?.address.port}`]);
});

test('another node is reached through /nodes/ID with a signature of its own', async () => {
  assert.deepEqual(JSON.parse((await ask('GET', '/nodes/b/explain/photos')).text), { dataset: 'photos', node: 'b' });
  assert.equal((await ask('GET', '/nodes/c/status')).status, 404);
  const body = JSON.stringify({ dataset: 'photos', to: 'a' });
  assert.equal((await ask('POST', '/nodes/b/move', body)).status, 200);
  assert.deepEqual(moves, [{ node: 'b', dataset: 'photos', to: 'a' }]);
});

test('typed errors keep their code over the proxy', async () => {
  const answer = await ask('GET', '/nodes/b/explain/nothing');
  assert.equal(answer.status, 404);
  assert.equal(JSON.parse(answer.text).error.code, 'DATASET_MISSING');
});

test('methods whose bodies the proxy mis-frames never reach it', async () => {
  for (const method of ['DELETE', 'OPTIONS', 'PUT', 'PATCH']) {
    assert.equal((await ask(method, '/nodes/b/move', '{"dataset":"x","to":"a"}')).status, 405, method);
  }
});

test('a body over the limit is refused', async () => {
  const answer = await ask('POST', '/move', JSON.stringify({ dataset: 'x'.repeat(70_000), to: null }));
  assert.equal(JSON.parse(answer.text).error.code, 'LIMIT_EXCEEDED');
});

test('an event stream through another node ends on that node when the reader leaves', async () => {
  const connections = () =>
    new Promise<number>((resolve, reject) => {
      // The server object is not exposed: count through the kernel's view of established connections of node b.
      import('node:fs').then(({ readFileSync }) => {
        const port = (servers[1]?.address.port ?? 0).toString(16).toUpperCase().padStart(4, '0');
        const lines = readFileSync('/proc/net/tcp', 'utf8').split('\n');
        resolve(lines.filter((line) => line.includes(`0100007F:${port} `) && / 01 /.test(line)).length);
      }, reject);
    });
  const request = open('GET', '/nodes/b/events');
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  const [first] = (await once(response, 'data')) as [Buffer];
  assert.match(first.toString(), /^event: status\ndata: \{"node":"b"\}\n\n/);
  assert.ok((await connections()) > 0, 'the stream is open on node b');
  request.destroy();
  while ((await connections()) > 0) await new Promise((resolve) => setImmediate(resolve));
  const seen = statusCalls;
  assert.ok(seen > 0);
});

test('storage settings of a bucket: read, changed, refused; only signed', async () => {
  assert.deepEqual(JSON.parse((await ask('GET', '/bucket/photos')).text), { bucket: 'photos', node: 'a' });
  const change = { quotaBytes: 2 ** 30, compression: null };
  const set = await ask('POST', '/bucket/photos', JSON.stringify(change));
  assert.deepEqual([set.status, JSON.parse(set.text)], [200, { bucket: 'photos', node: 'a', change }]);
  for (const [body, status, code] of [
    ['{"quotaBytes":1}', 409, 'CONFIG_REFUSED'],
    ['{"quota":1}', 409, 'CONFIG_REFUSED'],
    ['{', 400, 'LIMIT_EXCEEDED'],
  ] as const) {
    const answer = await ask('POST', '/bucket/photos', body);
    assert.deepEqual([answer.status, JSON.parse(answer.text).error.code], [status, code], body);
  }
  for (const method of ['GET', 'POST']) assert.equal((await ask(method, '/bucket/photos', '', false)).status, 401);
});

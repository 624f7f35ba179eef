// Which requests of the command line are passed on to another node, and which must not be: fake nodes that never answer,
// break off, or answer what nobody can read.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { type CommandDef, runCommand } from 'citty';
import { connectAdmin } from '../../src/cli/admin-client.ts';
import { credentialCommand } from '../../src/cli/credential.ts';
import { diskCommand } from '../../src/cli/disk.ts';
import { snapshotCommand } from '../../src/cli/snapshot.ts';
import { takeoverCommand } from '../../src/cli/takeover.ts';
import type { ZringError } from '../../src/common/errors.ts';
import type { TlsFiles } from '../../src/config/types.ts';
import { ENV, edit } from '../config/sample.ts';
import { certificateFolder } from '../routing/certificates.ts';

const SECRETS = { ...ENV, ZRING_CREDENTIAL_KEY: 'a-key-that-seals-of-32-characters' };
const ONCE = { once: true, look: 'zring snapshot list photos' } as const;
/** For who never answers. What is asked once is waited for less long here, so that the message tells the two apart. */
const SHORT = { answerMs: 1_000, onceMs: 100 };

let folder: string;
const servers: Server[] = [];

before(async () => {
  Object.assign(process.env, SECRETS);
  folder = await mkdtemp(join(tmpdir(), 'zring-admin-'));
});

afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

after(() => rm(folder, { recursive: true, force: true }));

interface FakeNode {
  readonly port: number;
  /** `METHOD path` of each request. */
  readonly asked: string[];
}

async function listening(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

async function fakeNode(answer: RequestListener, tls?: TlsFiles): Promise<FakeNode> {
  const asked: string[] = [];
  const listener: RequestListener = (request, response) => {
    asked.push(`${request.method} ${request.url}`);
    answer(request, response);
  };
  const server = tls
    ? createSecureServer({ cert: await readFile(tls.certFile), key: await readFile(tls.keyFile) }, listener)
    : createServer(listener);
  servers.push(server);
  return { port: await listening(server), asked };
}

async function closedPort(): Promise<number> {
  const server = createServer();
  const port = await listening(server);
  server.close();
  await once(server, 'close');
  return port;
}

async function configOf(a: number, b: number, more = ''): Promise<string> {
  const path = join(folder, `${a}-${b}.yaml`);
  const key = 'revision: 1\n  credentialKey: ${ZRING_CREDENTIAL_KEY}\n ';
  const placed = edit('admin: 10.0.0.2:9002', `admin: 127.0.0.1:${b}`, edit('revision: 1', key));
  await writeFile(path, edit('admin: 10.0.0.1:9002', `admin: 127.0.0.1:${a}`, placed) + more);
  return path;
}

async function connect(a: number, b: number, behaviour = well): Promise<ReturnType<typeof connectAdmin>> {
  return connectAdmin({ config: await configOf(a, b) }, behaviour === silent ? SHORT : undefined);
}

const silent: RequestListener = () => undefined;
const well: RequestListener = (_request, response) => response.end('{"from":"b"}');
const cut: RequestListener = (request) => request.socket.destroy();

function failing(code: string, status = 502): RequestListener {
  return (_request, response) =>
    response.writeHead(status).end(JSON.stringify({ error: { code, message: 'said so' } }));
}

const BROKEN: readonly (readonly [string, RequestListener, RegExp])[] = [
  ['never answers', silent, /no answer in 0\.1 s/],
  ['answers what is not JSON', (_request, response) => response.writeHead(502).end('<html>'), /502 without JSON/],
  ['breaks the connection off', cut, /socket hang up|ECONNRESET/],
  ['breaks its answer off', half, /aborted|ECONNRESET/],
  ["has no answer of the bucket's owner", failing('NODE_UNREACHABLE'), /said so/],
];

function half(request: IncomingMessage, response: ServerResponse): void {
  response.writeHead(200, { 'content-length': 100 });
  response.write('{', () => request.socket.destroy());
}

for (const [name, behaviour, words] of BROKEN) {
  test(`a node that ${name}: what is asked once is not passed on, and what became of it is not known`, async () => {
    const [a, b] = [await fakeNode(behaviour), await fakeNode(well)];
    const admin = await connect(a.port, b.port, behaviour);
    await assert.rejects(admin.post('/snapshots/photos', { verb: 'create' }, ONCE), (error: ZringError) => {
      assert.equal(error.code, 'NODE_OUTCOME_UNKNOWN');
      assert.match(
        error.message,
        /^node a was asked .*; whether it was done is not known\..* zring snapshot list photos$/,
      );
      assert.match(error.message, words);
      return true;
    });
    assert.deepEqual([a.asked, b.asked], [['POST /snapshots/photos'], []]);
  });

  test(`a node that ${name}: everything else is passed on`, async () => {
    const [a, b] = [await fakeNode(behaviour), await fakeNode(well)];
    const admin = await connect(a.port, b.port, behaviour);
    assert.deepEqual(await admin.get('/status'), { from: 'b' });
    assert.deepEqual(await admin.post('/move', {}), { from: 'b' });
    assert.deepEqual([a.asked, b.asked], Array(2).fill(['GET /status', 'POST /move']));
  });
}

test('a node that was never reached has done nothing: the next one is asked, also once', async () => {
  const b = await fakeNode(well);
  const admin = await connect(await closedPort(), b.port);
  assert.deepEqual(await admin.post('/snapshots/photos', {}, ONCE), { from: 'b' });
  assert.deepEqual(b.asked, ['POST /snapshots/photos']);
});

test('nor has one whose certificate is not trusted; one whose is may have', async () => {
  const files = await certificateFolder();
  try {
    const ours = await files.authority('ours');
    const theirs = await files.authority('theirs');
    const trusted = await ours.issue('trusted');
    const a = await fakeNode(well, await theirs.issue('foreign'));
    const b = await fakeNode(well, trusted);
    const c = await fakeNode(cut, trusted);
    const { certFile, keyFile } = trusted;
    const pair = `certFile: ${certFile}, keyFile: ${keyFile}`;
    const tls = `tls: { admin: { ${pair} }, peer: { ${pair}, caFile: ${ours.caFile} } }\n`;
    const ask = async (first: FakeNode) =>
      connectAdmin({ config: await configOf(first.port, b.port, tls) }).post('/snapshots/photos', {}, ONCE);
    assert.deepEqual(await ask(a), { from: 'b' });
    await assert.rejects(ask(c), { code: 'NODE_OUTCOME_UNKNOWN' });
    assert.deepEqual([a.asked.length, b.asked.length, c.asked.length], [0, 1, 1]);
  } finally {
    await files.remove();
  }
});

test('what a node refuses is its answer, and nobody else is asked', async () => {
  const [a, b] = [await fakeNode(failing('DATASET_BUSY', 503)), await fakeNode(well)];
  const admin = await connect(a.port, b.port);
  await assert.rejects(admin.post('/snapshots/photos', {}, ONCE), { code: 'DATASET_BUSY', message: 'said so' });
  await assert.rejects(admin.get('/snapshots/photos'), { code: 'DATASET_BUSY' });
  assert.deepEqual(b.asked, []);
});

// biome-ignore lint/suspicious/noExplicitAny: verbs have arguments of their own shape.
const CHANGES: readonly (readonly [string, CommandDef<any>, string, RegExp])[] = [
  ['snapshot', snapshotCommand, 'create photos', /zring snapshot list photos$/],
  ['snapshot', snapshotCommand, 'destroy photos monday', /zring snapshot list photos$/],
  ['snapshot', snapshotCommand, 'rollback photos monday --accept-loss', /zring snapshot list photos$/],
  ['takeover', takeoverCommand, 'photos --accept-loss', /zring takeover photos$/],
  ['disk', diskCommand, 'accept a --accept-loss', /zring disk show a$/],
  ['credential', credentialCommand, 'add backup --access-key AKBACKUP', /zring credential show AKBACKUP$/],
];

for (const [verb, command, words, look] of CHANGES) {
  test(`zring ${verb} ${words}: asked once`, async () => {
    const posts: string[] = [];
    const node = () =>
      fakeNode((request, response) => {
        if (request.method === 'GET') return void response.end('{}');
        posts.push(request.url ?? '');
        request.socket.destroy();
      });
    const config = await configOf((await node()).port, (await node()).port);
    const ran = runCommand(command, { rawArgs: [...words.split(' '), '--config', config] });
    await assert.rejects(ran, { code: 'NODE_OUTCOME_UNKNOWN', message: look });
    assert.equal(posts.length, 1, posts.join());
  });
}

test('what going back would lose is only a question: any node may answer it', async () => {
  const [a, b] = [await fakeNode(cut), await fakeNode(failing('SNAPSHOT_NOT_FOUND', 404))];
  const rawArgs = ['rollback', 'photos', 'monday', '--config', await configOf(a.port, b.port)];
  await assert.rejects(runCommand(snapshotCommand, { rawArgs }), { code: 'SNAPSHOT_NOT_FOUND' });
});

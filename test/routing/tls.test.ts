// TLS on both listeners, mutual on the hop, and certificates that change while connections are open.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { type RequestOptions, request } from 'node:https';
import { after, before, test } from 'node:test';
import { connect, type TLSSocket } from 'node:tls';
import { isZringError } from '../../src/common/errors.ts';
import type { TlsFiles } from '../../src/config/types.ts';
import type { Exchange } from '../../src/routing/exchange.ts';
import { openTlsFiles } from '../../src/routing/tls-files.ts';
import { silentLogger } from '../../src/telemetry/log.ts';
import { type Authority, type CertificateFolder, certificateFolder } from './certificates.ts';
import { type Pair, type PairOptions, startPair } from './pair.ts';
import { rawClient, wrapSocket } from './raw-client.ts';

let files: CertificateFolder;
let authority: Authority;
let stranger: Authority;

before(async () => {
  files = await certificateFolder();
  authority = await files.authority('authority');
  stranger = await files.authority('stranger');
});
after(() => files.remove());

const owner = async ({ request: sent, response, origin }: Exchange) => {
  let bytes = 0;
  for await (const chunk of sent as AsyncIterable<Buffer>) bytes += chunk.length;
  response.end(JSON.stringify({ bytes, secure: origin.secure, host: sent.headers.host }));
};
const willing = async (exchange: Exchange) => {
  exchange.proceed();
  await owner(exchange);
};

async function withPair(options: Partial<PairOptions>, run: (pair: Pair) => Promise<void>) {
  const pair = await startPair({ owner: willing, ...options });
  try {
    await run(pair);
  } finally {
    await pair.close();
  }
}

async function ask(pair: Pair, options: RequestOptions = {}, body = ''): Promise<{ status: number; text: string }> {
  const ca = await readFile(authority.caFile);
  const sent = request({ host: '127.0.0.1', port: pair.s3.address.port, path: '/b/k', ca, agent: false, ...options });
  sent.end(body);
  const [answer] = await once(sent, 'response');
  let text = '';
  for await (const chunk of answer) text += chunk;
  return { status: answer.statusCode, text };
}

async function secureClient(port: number, more = {}): Promise<TLSSocket> {
  const socket = connect({ host: '127.0.0.1', port, ca: await readFile(authority.caFile), ...more });
  await once(socket, 'secureConnect');
  return socket;
}

test('TLS at the front and mutual TLS on the hop: the Host header has no say in which server is meant', async () => {
  const s3 = await authority.issue('front');
  const entry = await authority.issue('entry-1');
  const hop = await authority.issue('owner-1');
  const ports = new Set<number | undefined>();
  const counting = async (exchange: Exchange) => {
    ports.add(exchange.request.socket.remotePort);
    await willing(exchange);
  };
  await withPair({ owner: counting, tls: { s3, entry, owner: hop } }, async (pair) => {
    for (const host of ['photos.s3.example.com', 'other.s3.example.com']) {
      const answer = await ask(
        pair,
        { method: 'PUT', headers: { host }, servername: 'localhost' },
        'x'.repeat(100_000),
      );
      assert.deepEqual(JSON.parse(answer.text), { bytes: 100_000, secure: true, host });
    }
    assert.equal(ports.size, 1, 'one connection for both');
  });
});

const refusals: [string, () => Promise<PairOptions['tls']>][] = [
  ['a peer without TLS', async () => ({ owner: await authority.issue('owner-2') })],
  [
    'a peer of a strange authority',
    async () => ({
      owner: await authority.issue('owner-3'),
      entry: { ...(await stranger.issue('entry-3')), caFile: authority.caFile },
    }),
  ],
  [
    'an owner of a strange authority',
    async () => ({
      owner: { ...(await stranger.issue('owner-4')), caFile: authority.caFile },
      entry: await authority.issue('entry-4'),
    }),
  ],
  [
    'an owner with a certificate for another address',
    async () => ({ owner: await authority.issue('owner-5', 'IP:10.0.0.1'), entry: await authority.issue('entry-5') }),
  ],
];
for (const [name, tls] of refusals) {
  test(`${name} is refused, and nothing arrives`, async () => {
    const arrived: unknown[] = [];
    const made = await tls();
    await withPair({ owner: (exchange) => void arrived.push(exchange), ...(made && { tls: made }) }, async (pair) => {
      const answer = await fetch(`http://127.0.0.1:${pair.s3.address.port}/b/k`);
      assert.equal(answer.status, 503);
      const [outcome] = pair.outcomes;
      assert.ok(outcome?.kind === 'unreachable' && isZringError(outcome.cause, 'NODE_UNREACHABLE'));
      assert.deepEqual(arrived, []);
    });
  });
}

test('with certificates, a node still has to sign', async () => {
  const tls = { owner: await authority.issue('owner-6'), entry: await authority.issue('entry-6') };
  await withPair({ tls, secrets: { entry: ['a'], owner: ['b'] } }, async (pair) => {
    await fetch(`http://127.0.0.1:${pair.s3.address.port}/b/k`);
    const [outcome] = pair.outcomes;
    assert.ok(outcome?.kind === 'unreachable' && isZringError(outcome.cause, 'PEER_UNAUTHENTICATED'));
  });
});

test('a renewed certificate is used for new connections; the open ones go on', async () => {
  const front = await authority.issue('front-old');
  const renewed = await authority.issue('front-new');
  await withPair({ tls: { s3: front } }, async (pair) => {
    const open = await secureClient(pair.s3.address.port);
    assert.equal(open.getPeerCertificate().subject.CN, 'front-old');
    await files.replace(front, renewed);
    await pair.tls.s3?.reload();
    const fresh = await secureClient(pair.s3.address.port);
    assert.equal(fresh.getPeerCertificate().subject.CN, 'front-new');
    const client = wrapSocket(open);
    client.send('GET /b/k HTTP/1.1\r\nHost: h\r\n\r\n');
    await client.until(/200 OK/);
    open.destroy();
    fresh.destroy();
  });
});

test('both ends of the hop take renewed certificates of a new authority without a restart', async () => {
  const next = await files.authority('next');
  const bundle = `${files.folder}/bundle.pem`;
  await writeFile(bundle, Buffer.concat([await readFile(authority.caFile), await readFile(next.caFile)]));
  const withBundle = (one: TlsFiles): TlsFiles => ({ ...one, caFile: bundle });
  const hop = withBundle(await authority.issue('owner-7'));
  const entry = withBundle(await authority.issue('entry-7'));
  const told = ({ request: sent, response }: Exchange) => {
    response.end((sent.socket as TLSSocket).getPeerCertificate().subject.CN);
  };
  await withPair({ owner: told, tls: { owner: hop, entry } }, async (pair) => {
    const get = async () => (await fetch(`http://127.0.0.1:${pair.s3.address.port}/b/k`)).text();
    assert.equal(await get(), 'entry-7');
    await files.replace(hop, await next.issue('owner-8'));
    await files.replace(entry, await next.issue('entry-8'));
    await pair.tls.owner?.reload();
    await pair.tls.entry?.reload();
    assert.equal(await get(), 'entry-8');
    // Only the new authority from here on: the old certificates would be refused.
    await writeFile(bundle, await readFile(next.caFile));
    await pair.tls.owner?.reload();
    await pair.tls.entry?.reload();
    assert.equal(await get(), 'entry-8');
  });
});

test('files are watched; half a renewal is not taken', async () => {
  const front = await authority.issue('watched');
  const renewed = await authority.issue('watched-new');
  const source = await openTlsFiles(front, silentLogger(), 50);
  const { fingerprint } = source.current;
  await writeFile(front.certFile, await readFile(renewed.certFile));
  assert.equal(await source.reload(), false, 'the key does not fit yet');
  assert.equal(source.current.fingerprint, fingerprint);
  const changed = new Promise((resolve) => source.onChange(resolve));
  await writeFile(front.keyFile, await readFile(renewed.keyFile));
  await changed;
  assert.notEqual(source.current.fingerprint, fingerprint);
  source.close();
});

test('a connection that never shakes hands does not hold up closing', async () => {
  const pair = await startPair({
    owner: willing,
    tls: { s3: await authority.issue('front-silent') },
    listenerLimits: { headTimeoutMs: 3_600_000 },
  });
  const silent = await rawClient(pair.s3.address.port);
  // The handshake of another one says that the server has taken the first.
  (await secureClient(pair.s3.address.port)).destroy();
  await pair.close();
  await silent.closed;
});

test('files that cannot be used are named at start', async () => {
  const front = await authority.issue('broken');
  await writeFile(front.keyFile, 'no key');
  await assert.rejects(openTlsFiles(front, silentLogger()), { code: 'CONFIG_INVALID', subject: front.certFile });
});

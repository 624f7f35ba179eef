// S3 test nodes and clients: a real listener on a free port of loopback in front of the S3 handler, without cluster,
// plain or TLS, and the ways tests talk to it (AWS SDK, raw requests signed by aws4).
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync, rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import http from 'node:http';
import https from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { S3Client, type S3ClientConfig } from '@aws-sdk/client-s3';
import aws4 from 'aws4';
import type { PeerTransport } from '../../src/common/peer.ts';
import type { Config, Credential } from '../../src/config/types.ts';
import type { DatasetAccess } from '../../src/ownership/access.ts';
import type { Origin } from '../../src/routing/exchange.ts';
import type { HopForwarder } from '../../src/routing/forward.ts';
import { startHttpServer } from '../../src/routing/http-server.ts';
import { S3_LISTENER_LIMITS } from '../../src/routing/limits.ts';
import { newRequestId } from '../../src/routing/request-id.ts';
import { ServerExchange } from '../../src/routing/server-exchange.ts';
import { openTlsFiles } from '../../src/routing/tls-files.ts';
import { createS3Handler } from '../../src/s3/listener.ts';
import type { SlowAnswerTiming } from '../../src/s3/slow-answer.ts';
import { type Logger, silentLogger } from '../../src/telemetry/log.ts';
import { createMetrics } from '../../src/telemetry/metrics.ts';

export const REGION = 'us-east-1';

export function credential(
  accessKey: string,
  allow: Credential['allow'] = [{ buckets: '*', actions: '*' }],
): Credential {
  return {
    accessKey,
    secretKeys: [`${accessKey}-secret`],
    displayName: accessKey,
    canonicalId: `id-${accessKey}`,
    email: null,
    account: `id-${accessKey}`,
    allow,
  };
}

export interface TestNodeOptions {
  readonly access: DatasetAccess;
  readonly self?: string;
  readonly region?: string;
  readonly domains?: readonly string[];
  readonly credentials?: readonly Credential[];
  /** Of new buckets; the product's default when absent. */
  readonly objectOwnership?: Config['defaults']['objectOwnership'];
  readonly secure?: boolean;
  readonly forwarder?: HopForwarder;
  readonly transport?: PeerTransport;
  /** As the peer listener would: requests come from another node. */
  readonly origin?: Origin;
  readonly log?: Logger;
  readonly port?: number;
  readonly slowAnswers?: SlowAnswerTiming;
  /** Wall clock of the node; more than 15 minutes off, signatures do not hold. */
  readonly nowMs?: () => number;
}

export interface TestNode {
  readonly endpoint: string;
  readonly port: number;
  readonly region: string;
  /** The one that is used unless a test names another. */
  readonly accessKey: string;
  secretOf(accessKey: string): string;
  readonly ca: Buffer | null;
  readonly metrics: ReturnType<typeof createMetrics>;
  client(overrides?: Partial<S3ClientConfig> & { accessKey?: string }): S3Client;
  /** Signed by aws4 (unless `sign` is false), the body as given; headers and path travel as written. */
  raw(request: RawRequest): Promise<RawResponse>;
  close(): Promise<void>;
}

export interface RawRequest {
  readonly method?: string;
  readonly path: string;
  readonly headers?: Record<string, string>;
  readonly body?: string | Buffer;
  readonly sign?: boolean;
  /** Default utf8. */
  readonly headerEncoding?: 'utf8' | 'latin1';
  readonly accessKey?: string;
}

export interface RawResponse {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: Buffer;
  readonly text: string;
  /** `<Code>` of an error document. */
  readonly code: string | null;
}

const UNUSED_FORWARDER: HopForwarder = {
  buffered: () => false,
  forward: async (_exchange, node) => {
    throw new Error(`the test did not expect a request to be forwarded to ${node}`);
  },
};
const UNUSED_TRANSPORT: PeerTransport = {
  call: async (node, method) => {
    throw new Error(`the test did not expect a call of ${method} at ${node}`);
  },
  stream: async (node, method) => {
    throw new Error(`the test did not expect a stream of ${method} from ${node}`);
  },
};

export async function startTestNode(options: TestNodeOptions): Promise<TestNode> {
  const { access, self = 'a', region = REGION, secure = false } = options;
  const credentials = options.credentials ?? [credential('admin')];
  // Only what the S3 layer reads; a whole configuration has a dozen more sections.
  const config = {
    cluster: { region, domains: options.domains ?? [] },
    credentials,
    defaults: { objectOwnership: options.objectOwnership ?? 'BucketOwnerEnforced' },
  } as unknown as Config;
  const metrics = createMetrics();
  const log = options.log ?? silentLogger();
  const handler = createS3Handler({
    config: () => config,
    access,
    self,
    forwarder: options.forwarder ?? UNUSED_FORWARDER,
    transport: options.transport ?? UNUSED_TRANSPORT,
    mapEpoch: () => 1,
    metrics,
    log,
    ...(options.slowAnswers ? { slowAnswers: options.slowAnswers } : {}),
    clock: { wallMs: options.nowMs ?? (() => Date.now()), monotonicMs: () => performance.now() },
  });
  const certificate = secure ? await testCertificate() : null;
  const tls = certificate ? await openTlsFiles(certificate.files, log) : null;
  const server = await startHttpServer({
    name: 's3',
    listen: { host: '127.0.0.1', port: options.port ?? 0 },
    tls,
    mutualTls: false,
    limits: S3_LISTENER_LIMITS,
    log,
    keepOwnHeaders: false,
    onRefused: () => undefined,
    onRequest: ({ request, response, expects }) => {
      const origin: Origin = options.origin ?? { kind: 'client', address: request.socket.remoteAddress ?? '', secure };
      const exchange = new ServerExchange(request, response, newRequestId(), origin, expects);
      server.track(exchange);
      void handler(exchange);
    },
  });
  const { port } = server.address;
  const endpoint = `${secure ? 'https' : 'http'}://127.0.0.1:${port}`;
  const clients: S3Client[] = [];
  const secretOf = (accessKey: string) =>
    credentials.find((one) => one.accessKey === accessKey)?.secretKeys[0] ?? `${accessKey}-secret`;
  const defaultKey = credentials[0]?.accessKey ?? 'admin';
  return {
    endpoint,
    port,
    region,
    accessKey: defaultKey,
    secretOf,
    ca: certificate?.ca ?? null,
    metrics,
    client({ accessKey = defaultKey, ...overrides } = {}) {
      const client = new S3Client({
        endpoint,
        region,
        forcePathStyle: true,
        maxAttempts: 1,
        credentials: { accessKeyId: accessKey, secretAccessKey: secretOf(accessKey) },
        ...(certificate ? { requestHandler: { httpsAgent: new https.Agent({ ca: certificate.ca }) } } : {}),
        ...overrides,
      });
      clients.push(client);
      return client;
    },
    raw(request) {
      const accessKey = request.accessKey ?? defaultKey;
      const headers = signedHeaders(port, region, request, accessKey, secretOf(accessKey));
      return rawRequest(port, request, headers, certificate?.ca ?? null);
    },
    async close() {
      for (const client of clients) client.destroy();
      await server.close(0);
      tls?.close();
      metrics.stop();
    },
  };
}

/** Headers of a request signed with the node's first credential (or the named one), ready for the wire. */
export function signHeaders(node: TestNode, request: RawRequest): Record<string, string> {
  const accessKey = request.accessKey ?? node.accessKey;
  return signedHeaders(node.port, node.region, request, accessKey, node.secretOf(accessKey));
}

function signedHeaders(
  port: number,
  region: string,
  request: RawRequest,
  accessKeyId: string,
  secretAccessKey: string,
): Record<string, string> {
  const host = `127.0.0.1:${port}`;
  const headers: Record<string, string> = { host, ...request.headers };
  const signing = { host, path: request.path, method: request.method ?? 'GET', headers, service: 's3', region };
  if (request.sign !== false) {
    // Given by hand, because aws4 adds a Content-Type to what it takes for a body.
    headers['x-amz-content-sha256'] ??= createHash('sha256')
      .update(request.body ?? '')
      .digest('hex');
    aws4.sign(signing, { accessKeyId, secretAccessKey });
  }
  // Signatures are over the text; on the wire it is UTF-8, unless the test plays a client that sends Latin-1.
  const wire = Object.entries(signing.headers).map(([name, value]) =>
    request.headerEncoding === 'latin1' ? [name, value] : [name, Buffer.from(value, 'utf8').toString('latin1')],
  );
  return Object.fromEntries(wire);
}

function rawRequest(
  port: number,
  request: RawRequest,
  headers: Record<string, string>,
  ca: Buffer | null,
): Promise<RawResponse> {
  return new Promise((resolve, reject) => {
    const send = ca ? https.request : http.request;
    const outgoing = send(
      {
        host: '127.0.0.1',
        port,
        method: request.method ?? 'GET',
        path: request.path,
        headers,
        agent: false,
        ...(ca ? { ca } : {}),
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () => {
          const body = Buffer.concat(chunks);
          const text = body.toString('utf8');
          const code = /<Code>([^<]*)<\/Code>/.exec(text)?.[1] ?? null;
          resolve({ status: response.statusCode ?? 0, headers: response.headers, body, text, code });
        });
      },
    );
    outgoing.on('error', reject);
    // Node writes the head in the encoding of a body that is a string; a buffer leaves it Latin-1.
    outgoing.end(request.body === undefined ? undefined : Buffer.from(request.body));
  });
}

interface TestCertificate {
  readonly files: { readonly certFile: string; readonly keyFile: string };
  readonly ca: Buffer;
}

let certificate: Promise<TestCertificate> | null = null;

/** Self-signed, for 127.0.0.1, one per test process; made by the openssl program. */
export function testCertificate(): Promise<TestCertificate> {
  certificate ??= makeCertificate();
  return certificate;
}

async function makeCertificate(): Promise<TestCertificate> {
  const folder = await mkdtemp(join(tmpdir(), 'zring-cert-'));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  const certFile = join(folder, 'cert.pem');
  const keyFile = join(folder, 'key.pem');
  const subject = ['-subj', '/CN=zring test', '-addext', 'subjectAltName=IP:127.0.0.1,DNS:localhost'];
  const kind = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
  execFileSync('openssl', [...kind, '-keyout', keyFile, '-out', certFile, ...subject], { stdio: 'ignore' });
  return { files: { certFile, keyFile }, ca: readFileSync(certFile) };
}

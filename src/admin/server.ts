// The admin listener: probes, metrics, service discovery, status, and the few commands an operator has. Small JSON over
// HTTP; no request of a client of the S3 listener ever comes here. Owns its server and the open event streams.
import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerOptions,
  type ServerResponse,
} from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { isZringError, ZringError } from '../common/errors.ts';
import type { Address } from '../config/types.ts';
import type { TlsSource } from '../routing/tls-files.ts';
import type { Logger } from '../telemetry/log.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { ADMIN_BODY_BYTES_MAX, verifyAdminRequest } from './auth.ts';
import { parseScrubChange } from './bucket-scrubs.ts';
import { parseSettingsChange } from './bucket-settings.ts';
import { parseSnapshotChange } from './bucket-snapshots.ts';
import { createNodeProxy, type NodeProxy, splitNodePath } from './node-proxy.ts';
import type { AdminApi } from './types.ts';

/** Heads of admin requests are small; a larger one is a mistake or an attack. */
const ADMIN_HEADER_BYTES_MAX = 16 * 1024;
const EVENT_INTERVAL_MS = 2_000;

export interface AdminServer {
  readonly address: AddressInfo;
  close(): Promise<void>;
}

export interface AdminServerOptions {
  readonly listen: Address;
  readonly self: string;
  readonly secrets: () => readonly string[];
  readonly nodes: () => readonly { readonly id: string; readonly admin: string }[];
  readonly api: AdminApi;
  readonly metrics: Metrics;
  readonly logger: Logger;
  readonly tls: TlsSource | null;
  /** The authority of the peers' certificates; their admin listeners are trusted by it too. */
  readonly peerCa: () => Buffer | null;
}

interface Call {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly url: URL;
  readonly body: Buffer;
}

type Route = (call: Call, argument: string) => Promise<unknown>;

/** Open to everybody who reaches the listener. */
const OPEN_PATHS = new Set(['/health', '/ready', '/metrics', '/sd']);

export async function startAdminServer(options: AdminServerOptions): Promise<AdminServer> {
  const proxy = createNodeProxy({
    self: options.self,
    secrets: options.secrets,
    nodes: options.nodes,
    secure: options.tls !== null,
    ca: options.peerCa,
  });
  const streams = new Set<ServerResponse>();
  const routes = createRoutes(options, streams);
  const onRequest = (request: IncomingMessage, response: ServerResponse) => {
    answer(options, proxy, routes, request, response).catch((error: unknown) => fail(options, response, error));
  };
  const limits = { maxHeaderSize: ADMIN_HEADER_BYTES_MAX, requestTimeout: 30_000 };
  const server = createListener(options.tls, limits, onRequest);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.listen.port, options.listen.host, () => {
      server.off('error', reject);
      resolve();
    });
  });
  return {
    address: server.address() as AddressInfo,
    async close() {
      for (const stream of streams) stream.end();
      proxy.close();
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      await closed;
    },
  };
}

/** Renewed certificates are taken without dropping connections. */
function createListener(tls: TlsSource | null, limits: ServerOptions, onRequest: RequestListener): Server {
  if (!tls) return createServer(limits, onRequest);
  const { cert, key } = tls.current;
  const server = createSecureServer({ cert, key, ...limits }, onRequest);
  tls.onChange((material) => server.setSecureContext({ cert: material.cert, key: material.key }));
  return server;
}

async function answer(
  options: AdminServerOptions,
  proxy: NodeProxy,
  routes: ReadonlyMap<string, Route>,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const method = request.method ?? '';
  const target = request.url ?? '/';
  if (method !== 'GET' && method !== 'HEAD' && method !== 'POST') {
    request.resume();
    return send(response, 405, { error: { code: 'METHOD', message: `${method} is not used here; use GET or POST` } });
  }
  const body = await readBody(request);
  const url = new URL(target, 'http://admin');
  const node = splitNodePath(target);
  const path = node ? new URL(node.rest, 'http://admin').pathname : url.pathname;
  if (!OPEN_PATHS.has(path) || method === 'POST') {
    const authorization = request.headers.authorization;
    const fault = verifyAdminRequest(options.secrets(), { method, target, authorization, body }, Date.now());
    if (fault !== null) {
      return send(response, 401, {
        error: {
          code: 'UNAUTHENTICATED',
          message: `admin request refused: ${fault} (sign it with the cluster secret)`,
        },
      });
    }
  }
  if (node && node.id !== options.self) return proxy.forward(node, { method, body, request, response });
  const local = node ? new URL(node.rest, 'http://admin') : url;
  const [, first = '', ...rest] = local.pathname.split('/');
  const route = routes.get(`${method === 'HEAD' ? 'GET' : method} /${first}`);
  if (!route) return send(response, 404, { error: { code: 'NOT_FOUND', message: `no ${method} ${local.pathname}` } });
  const result = await route({ request, response, url: local, body }, decodeURIComponent(rest.join('/')));
  if (!response.headersSent) send(response, 200, result);
}

function createRoutes(options: AdminServerOptions, streams: Set<ServerResponse>): ReadonlyMap<string, Route> {
  const { api } = options;
  return new Map<string, Route>([
    ['GET /health', async () => ({ status: 'ok', node: options.self })],
    [
      'GET /ready',
      async ({ response }) => {
        const ready = api.ready();
        send(response, ready.ready ? 200 : 503, ready);
      },
    ],
    [
      'GET /metrics',
      async ({ response }) => {
        const text = await options.metrics.text();
        response.writeHead(200, { 'content-type': options.metrics.contentType }).end(text);
      },
    ],
    ['GET /sd', async () => serviceDiscovery(options)],
    ['GET /status', async () => api.status()],
    ['GET /datasets', async () => api.datasets()],
    ['GET /explain', async (_call, dataset) => api.explain(dataset)],
    ['GET /bucket', async (_call, bucket) => api.buckets.get(bucket)],
    ['POST /bucket', async ({ body }, bucket) => api.buckets.set(bucket, parseSettingsChange(parseJson(body)))],
    ['GET /snapshots', async (_call, bucket) => api.snapshots.list(bucket)],
    ['POST /snapshots', async ({ body }, bucket) => api.snapshots.change(bucket, parseSnapshotChange(parseJson(body)))],
    ['GET /scrubs', async (_call, bucket) => api.scrubs.show(bucket)],
    ['POST /scrubs', async ({ body }, bucket) => api.scrubs.change(bucket, parseScrubChange(parseJson(body)))],
    ['GET /events', async ({ response }) => openEvents(options, streams, response)],
    ['GET /credentials', async (_call, name) => (name === '' ? api.credentials.list() : api.credentials.show(name))],
    ['POST /credentials', async ({ body }, verb) => api.credentials.run(verb, parseJson(body))],
    ['GET /disk', async () => api.disk.report()],
    ['POST /disk', async ({ body }) => api.disk.accept(parseAcceptance(body))],
    ['GET /takeover', async (_call, bucket) => api.takeover.report(bucket)],
    [
      'POST /takeover',
      async ({ body }, bucket) => {
        requireAcceptLoss(body);
        return api.takeover.accept(bucket);
      },
    ],
    ['POST /move', async ({ body }) => api.move(parseMove(body))],
    ['POST /reload', async () => api.reload()],
  ]);
}

/** Prometheus HTTP service discovery: every node of the map, so that one scrape configuration follows the cluster. */
function serviceDiscovery(options: AdminServerOptions): unknown {
  const scheme = options.tls ? 'https' : 'http';
  return options.nodes().map((node) => ({
    targets: [node.admin],
    labels: { __scheme__: scheme, zring_node: node.id },
  }));
}

/** Server-sent events: the node's status every two seconds until the reader leaves. */
async function openEvents(
  options: AdminServerOptions,
  streams: Set<ServerResponse>,
  response: ServerResponse,
): Promise<void> {
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
  streams.add(response);
  const push = async () => {
    const status = await options.api.status();
    if (!response.writableEnded && !response.writableNeedDrain) {
      response.write(`event: status\ndata: ${JSON.stringify(status)}\n\n`);
    }
  };
  const report = (error: unknown) => options.logger.warn({ err: error }, 'event stream: status failed');
  const timer = setInterval(() => push().catch(report), EVENT_INTERVAL_MS);
  response.once('close', () => {
    clearInterval(timer);
    streams.delete(response);
  });
  await push();
}

function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch (error) {
    throw new ZringError('LIMIT_EXCEEDED', 'the request body is not JSON', { cause: error });
  }
}

function parseMove(body: Buffer): { dataset: string; to: string | null } {
  const { dataset, to } = (parseJson(body) ?? {}) as { dataset?: unknown; to?: unknown };
  if (typeof dataset !== 'string' || (typeof to !== 'string' && to !== null)) {
    throw new ZringError('LIMIT_EXCEEDED', 'expected {"dataset": string, "to": string | null}');
  }
  return { dataset, to };
}

/** The word must be there: a request that somebody sent by mistake gives nothing up. */
function parseAcceptance(body: Buffer): { evenUnheard: boolean } {
  const { evenUnheard } = requireAcceptLoss(body);
  return { evenUnheard: evenUnheard === true };
}

function requireAcceptLoss(body: Buffer): Record<string, unknown> {
  const said = (parseJson(body) ?? {}) as Record<string, unknown>;
  if (said.acceptLoss !== true) throw new ZringError('CONFIG_REFUSED', 'expected {"acceptLoss": true}');
  return said;
}

async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > ADMIN_BODY_BYTES_MAX) {
      throw new ZringError('LIMIT_EXCEEDED', `admin request body over ${ADMIN_BODY_BYTES_MAX} bytes`);
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function send(response: ServerResponse, status: number, value: unknown): void {
  const text = `${JSON.stringify(value)}\n`;
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) });
  response.end(text);
}

const STATUS_OF: Partial<Record<string, number>> = {
  DATASET_MISSING: 404,
  SNAPSHOT_NOT_FOUND: 404,
  SNAPSHOT_HELD: 409,
  CONFIG_INVALID: 400,
  CREDENTIAL_MISSING: 404,
  CREDENTIAL_EXISTS: 409,
  CREDENTIAL_KEY_MISSING: 409,
  ABORTED: 409,
  CONFIG_REFUSED: 409,
  CONFIG_REVISION_CONFLICT: 409,
  LIMIT_EXCEEDED: 400,
  DATASET_NAME_INVALID: 400,
  COORDINATOR_UNAVAILABLE: 503,
  COORDINATOR_OUTCOME_UNKNOWN: 503,
  CATALOG_INCOMPLETE: 503,
  DATASET_BUSY: 503,
  DATASET_UNAVAILABLE: 503,
  NOT_OWNER: 503,
  NODE_ID_TAKEN: 409,
  NODE_UNREACHABLE: 502,
};

function fail(options: AdminServerOptions, response: ServerResponse, error: unknown): void {
  const known = isZringError(error);
  if (!known) options.logger.error({ err: error }, 'admin request failed');
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const code = known ? error.code : 'INTERNAL';
  const message = known ? error.message : 'internal error; see the log of this node';
  send(response, STATUS_OF[code] ?? 500, { error: { code, message, details: known ? error.details : undefined } });
}

// The S3 and the peer listener: two trust boundaries over one hardened server. Each builds an Exchange per request; the
// origin in it comes from the listener that accepted the connection, never from what a client says.
import type { IncomingMessage } from 'node:http';
import { isZringError } from '../common/errors.ts';
import type { PeerMethods } from '../common/peer.ts';
import type { Address } from '../config/types.ts';
import type { Logger } from '../telemetry/log.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { Exchange, Origin } from './exchange.ts';
import type { Hop } from './hop.ts';
import { takePreamble } from './hop-body.ts';
import { type AcceptedRequest, type HttpServer, startHttpServer } from './http-server.ts';
import { HOP_LIMITS, type HopLimits, type ListenerLimits, PEER_LISTENER_LIMITS, S3_LISTENER_LIMITS } from './limits.ts';
import type { PeerAuth } from './peer-auth.ts';
import { serveControl } from './peer-methods.ts';
import { admitPeer, refusePeer, restoreRequest } from './peer-server.ts';
import type { PeerVersions } from './peer-version.ts';
import { refusal } from './refusal.ts';
import { newRequestId } from './request-id.ts';
import { ServerExchange } from './server-exchange.ts';
import type { TlsSource } from './tls-files.ts';

export type ExchangeHandler = (exchange: Exchange) => Promise<void> | void;

export interface Listener {
  /** As bound (port 0 becomes the real one). */
  readonly address: Address;
  readonly inFlight: number;
  readonly connections: number;
  /** Graceful: nothing new, what is in flight finishes, the rest is cut after `graceMs`. */
  close(graceMs: number): Promise<void>;
}

interface CommonOptions {
  readonly listen: Address;
  readonly tls: TlsSource | null;
  readonly handler: ExchangeHandler;
  readonly metrics: Metrics;
  readonly log: Logger;
}

export interface S3ListenerOptions extends CommonOptions {
  readonly limits?: Partial<ListenerLimits>;
}

export async function createS3Listener(options: S3ListenerOptions): Promise<Listener> {
  const { metrics, log } = options;
  const server = await startHttpServer({
    name: 's3',
    listen: options.listen,
    tls: options.tls,
    mutualTls: false,
    limits: { ...S3_LISTENER_LIMITS, ...options.limits },
    log,
    keepOwnHeaders: false,
    onRefused: (reason) => metrics.s3Refused.inc({ reason }),
    onRequest: ({ request, response, expects }) => {
      const origin: Origin = { kind: 'client', address: addressOf(request), secure: options.tls !== null };
      const exchange = new ServerExchange(request, response, newRequestId(), origin, expects);
      server.track(exchange);
      run(server, exchange, options.handler, log);
    },
  });
  return asListener(server);
}

export interface PeerListenerOptions extends CommonOptions {
  readonly self: string;
  readonly auth: PeerAuth;
  readonly versions: PeerVersions;
  /** Looked up for every call, so methods may be added later. */
  readonly methods: PeerMethods;
  readonly limits?: Partial<ListenerLimits>;
  readonly hopLimits?: Partial<HopLimits>;
}

export async function createPeerListener(options: PeerListenerOptions): Promise<Listener> {
  const { metrics, log, versions } = options;
  const hopLimits = { ...HOP_LIMITS, ...options.hopLimits };
  const server = await startHttpServer({
    name: 'peer',
    listen: options.listen,
    tls: options.tls,
    mutualTls: options.tls?.current.ca !== undefined,
    limits: { ...PEER_LISTENER_LIMITS, ...options.limits },
    log,
    keepOwnHeaders: true,
    onRefused: (reason) => metrics.peerRefused.inc({ reason }),
    onRequest: (accepted) => void admit(accepted),
  });

  async function admit(accepted: AcceptedRequest): Promise<void> {
    const { request, response } = accepted;
    try {
      const hop = admitPeer(request, options);
      const exchange = new ServerExchange(request, response, hop.requestId, originOf(hop), isStreamed(hop));
      server.track(exchange);
      if (hop.kind === 'control') {
        await serveControl(exchange, hop, { methods: options.methods, versions, limits: hopLimits, log });
        return;
      }
      restoreRequest(request, hop, accepted.body);
      if (isStreamed(hop)) await takePreamble(request);
      run(server, exchange, options.handler, log);
    } catch (error) {
      if (isZringError(error, 'ABORTED')) return;
      metrics.peerRefused.inc({ reason: isZringError(error) ? error.code : 'INTERNAL' });
      log.warn({ err: error, address: addressOf(request) }, 'peer message refused');
      refusePeer(response, error, versions);
    }
  }

  const heartbeat = setInterval(() => {
    for (const exchange of server.inFlight) exchange.heartbeat();
  }, hopLimits.heartbeatMs);
  heartbeat.unref();
  return asListener(server, () => clearInterval(heartbeat));
}

function isStreamed(hop: Hop): boolean {
  return hop.kind === 'forward' && hop.body.kind === 'stream';
}

function originOf(hop: Hop): Origin {
  if (hop.kind === 'forward') {
    return { kind: 'peer', node: hop.from, epoch: hop.epoch, address: hop.address, secure: hop.secure };
  }
  return { kind: 'peer', node: hop.from, epoch: 0, address: 'peer', secure: false };
}

/** A handler that throws is a bug or a broken disk: the client gets a 500 or a cut, never a clean end. */
function run(server: HttpServer, exchange: ServerExchange, handler: ExchangeHandler, log: Logger): void {
  const failed = (error: unknown) => {
    const { request, response, requestId } = exchange;
    log.error({ err: error, requestId }, 'request handler failed');
    if (response.headersSent) response.destroy();
    else
      server.refuse(
        request,
        response,
        refusal('internal', 'We encountered an internal error.', 'InternalError', 500),
        requestId,
      );
  };
  try {
    Promise.resolve(handler(exchange)).catch(failed);
  } catch (error) {
    failed(error);
  }
}

/** An IPv4 client of a dual-stack socket is shown as IPv4. */
function addressOf(request: IncomingMessage): string {
  const address = request.socket.remoteAddress ?? 'unknown';
  return address.startsWith('::ffff:') ? address.slice('::ffff:'.length) : address;
}

function asListener(server: HttpServer, stop: () => void = () => {}): Listener {
  return {
    address: server.address,
    get inFlight() {
      return server.inFlight.size;
    },
    get connections() {
      return server.connections;
    },
    close(graceMs) {
      return server.close(graceMs).finally(stop);
    },
  };
}

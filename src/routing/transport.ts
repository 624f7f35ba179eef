// Connections to the other nodes' peer listeners: the only import of undici. One pool per node and lane, made on first
// use, made again when the map gives the node another address or the certificates change. Bounded, keep-alive, no
// pipelining, no retries: what may be sent again is decided above. Knows nothing of headers' meaning.
import { isIP } from 'node:net';
import type { Readable } from 'node:stream';
import { buildConnector, Pool } from 'undici';
import { ZringError } from '../common/errors.ts';
import type { HopLimits } from './limits.ts';
import type { TlsMaterial, TlsSource } from './tls-files.ts';

/** 'control' has connections of its own, so that data traffic never starves a handoff. */
export type Lane = 'data' | 'control';

export interface HopRequest {
  readonly method: string;
  readonly path: string;
  /** Flat list. Content-Length only with a body; never hop-by-hop headers (undici refuses some of them). */
  readonly headers: string[];
  readonly body: Buffer | Readable | null;
  readonly headTimeoutMs: number;
  readonly bodyTimeoutMs: number;
}

export interface HopController {
  abort(reason: Error): void;
  pause(): void;
  resume(): void;
  readonly rawHeaders?: unknown;
  readonly rawTrailers?: unknown;
}

export interface HopHandler {
  /** A connection is there; the head is written right after. Not called when connecting failed. */
  onRequestStart(controller: HopController): void;
  /** Once per 1xx, then once for the answer. `controller.rawHeaders` is a flat list of buffers. */
  onResponseStart(controller: HopController, status: number, headers: unknown, statusText?: string): void;
  onResponseData(controller: HopController, chunk: Buffer): void;
  onResponseEnd(controller: HopController, trailers: unknown): void;
  onResponseError(controller: HopController | undefined, error: Error): void;
}

export interface Transport {
  /** Never throws; every failure ends in `onResponseError`. */
  dispatch(node: string, lane: Lane, request: HopRequest, handler: HopHandler): void;
  /** Drops the pools of nodes that left the map. */
  retain(nodes: ReadonlySet<string>): void;
  /** Lets what is under way finish for `graceMs`, then cuts it. */
  close(graceMs: number): Promise<void>;
}

export interface TransportOptions {
  /** `host:port` of the node's peer listener in the current map, or null. Asked for every request. */
  readonly addressOf: (node: string) => string | null;
  readonly tls: TlsSource | null;
  readonly limits: HopLimits;
}

interface Lanes {
  readonly address: string;
  readonly fingerprint: string;
  readonly data: Pool;
  readonly control: Pool;
}

/** Constant, because undici would take the client's Host header for the name of the server and reconnect for each. */
const SERVER_NAME = 'zring-peer';

export function createTransport(options: TransportOptions): Transport {
  const pools = new Map<string, Lanes>();
  const retired = new Set<Lanes>();
  let closed = false;

  function lanesOf(node: string): Lanes | null {
    const address = options.addressOf(node);
    if (address === null || closed) return null;
    const known = pools.get(node);
    const fingerprint = options.tls?.current.fingerprint ?? '';
    if (known && known.address === address && known.fingerprint === fingerprint) return known;
    const made = openLanes(address, fingerprint, options);
    pools.set(node, made);
    if (known) retire(known);
    return made;
  }

  /** Requests under way finish on the old connections. */
  function retire(lanes: Lanes): void {
    retired.add(lanes);
    Promise.allSettled([lanes.data.close(), lanes.control.close()]).then(() => retired.delete(lanes));
  }

  return {
    dispatch(node, lane, request, handler) {
      const lanes = lanesOf(node);
      if (lanes === null) {
        const why = closed ? 'this node is stopping' : 'the map has no such node';
        handler.onResponseError(undefined, new ZringError('NODE_UNREACHABLE', `${node}: ${why}`, { subject: node }));
        return;
      }
      const dispatched = {
        method: request.method,
        path: request.path,
        headers: request.headers,
        body: request.body,
        headersTimeout: request.headTimeoutMs,
        bodyTimeout: request.bodyTimeoutMs,
        // undici closes the connection after a HEAD, and after a body on GET or DELETE, unless told not to; ours are
        // framed by our own server.
        reset: false,
        servername: SERVER_NAME,
      };
      lanes[lane].dispatch(dispatched, handler as never);
    },
    retain(nodes) {
      for (const [node, lanes] of pools) {
        if (nodes.has(node)) continue;
        pools.delete(node);
        retire(lanes);
      }
    },
    async close(graceMs) {
      closed = true;
      for (const lanes of pools.values()) retire(lanes);
      pools.clear();
      const all = [...retired];
      const timer = setTimeout(() => {
        for (const lanes of all) for (const pool of [lanes.data, lanes.control]) void pool.destroy();
      }, graceMs);
      await Promise.allSettled(all.flatMap((lanes) => [lanes.data.close(), lanes.control.close()]));
      clearTimeout(timer);
    },
  };
}

function openLanes(address: string, fingerprint: string, options: TransportOptions): Lanes {
  const { limits, tls } = options;
  const origin = `${tls ? 'https' : 'http'}://${address}`;
  const connect = connector(origin, tls?.current ?? null, limits.connectTimeoutMs);
  const common = {
    connect,
    pipelining: 1,
    keepAliveTimeout: limits.keepAliveMs,
    keepAliveMaxTimeout: limits.keepAliveMs,
    maxHeaderSize: limits.answerHeadBytesMax,
    strictContentLength: true,
  };
  return {
    address,
    fingerprint,
    data: new Pool(origin, { ...common, connections: limits.requestsPerNodeMax }),
    control: new Pool(origin, { ...common, connections: limits.controlConnectionsMax }),
  };
}

/** The certificate must be valid for the address in the map, never for the Host header of a forwarded request. */
function connector(origin: string, tls: TlsMaterial | null, timeoutMs: number): buildConnector.connector {
  const { hostname } = new URL(origin);
  const name = hostname.startsWith('[') ? hostname.slice(1, -1) : hostname;
  const credentials = tls ? { cert: tls.cert, key: tls.key, ...(tls.ca && { ca: tls.ca }) } : {};
  const connect = buildConnector({
    timeout: timeoutMs,
    keepAlive: true,
    keepAliveInitialDelay: 10_000,
    ...credentials,
  });
  return (target, callback) => connect({ ...target, servername: isIP(name) ? '' : name }, callback);
}

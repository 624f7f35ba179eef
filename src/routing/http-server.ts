// One hardened HTTP server, the common half of the S3 and the peer listener: guards before anything else, own progress
// rule instead of fixed time-outs, refusals as S3 documents, graceful close. Owns sockets, exchanges in flight and TLS
// contexts. Knows nothing of S3 operations or of what a peer may say: `onRequest` is given heads that passed the guards.
import {
  createServer as createPlainServer,
  type IncomingMessage,
  type Server,
  type ServerOptions,
  type ServerResponse,
} from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { TLSSocket } from 'node:tls';
import { ZringError } from '../common/errors.ts';
import type { Address } from '../config/types.ts';
import type { Logger } from '../telemetry/log.ts';
import { inspectHead } from './inbound.ts';
import type { ListenerLimits } from './limits.ts';
import { type Refusal, rawRefusal, refusal, refusalDocument, refusalHeaders } from './refusal.ts';
import { newRequestId } from './request-id.ts';
import type { ServerExchange } from './server-exchange.ts';
import type { TlsMaterial, TlsSource } from './tls-files.ts';

export interface AcceptedRequest {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** `Expect: 100-continue`, with a body announced. */
  readonly expects: boolean;
  /** Bytes, 'chunked', or null when no body is declared. */
  readonly body: number | 'chunked' | null;
}

export interface HttpServerOptions {
  readonly name: 's3' | 'peer';
  readonly listen: Address;
  readonly tls: TlsSource | null;
  /** Clients must show a certificate of the configured authority. */
  readonly mutualTls: boolean;
  readonly limits: ListenerLimits;
  readonly log: Logger;
  /** Our own `zring-` headers are kept (peer listener) or stripped. */
  readonly keepOwnHeaders: boolean;
  readonly onRefused: (reason: string) => void;
  readonly onRequest: (accepted: AcceptedRequest) => void;
}

export interface HttpServer {
  readonly address: Address;
  readonly inFlight: ReadonlySet<ServerExchange>;
  readonly connections: number;
  /** From here on the exchange is watched: abort, progress, discard of an unread body, graceful close. */
  track(exchange: ServerExchange): void;
  refuse(request: IncomingMessage, response: ServerResponse, refused: Refusal, requestId: string): void;
  /**
   * Stops accepting, lets what is in flight finish (answers say `Connection: close`), cuts the rest after `graceMs`.
   * Resolves when every connection is closed. Idempotent.
   */
  close(graceMs: number): Promise<void>;
}

/** One client connection: requests take turns on it, in the order in which they came (RFC 9112 §9.3.2). */
interface Connection {
  /** Given to `onRequest`, not ended yet. */
  current: AcceptedRequest | null;
  /** Of `current`, once it is tracked. */
  exchange: ServerExchange | null;
  /** Pipelined behind it. */
  readonly waiting: AcceptedRequest[];
  /** Refused once: nothing more is taken from it. */
  refused: boolean;
}

/** Errors: the system's (EADDRINUSE, EACCES) as ZringError CONFIG_INVALID, naming the address. */
export async function startHttpServer(options: HttpServerOptions): Promise<HttpServer> {
  const server = createServer(options);
  const hardened = new HardenedServer(server, options);
  const endWatch = options.tls?.onChange((material) => {
    // New handshakes use it; connections that are open go on.
    (server as TlsCapable).setSecureContext?.(tlsContext(material, options.mutualTls));
  });
  server.on('close', () => endWatch?.());
  hardened.address = await listen(server, options);
  return hardened;
}

class HardenedServer implements HttpServer {
  address: Address = { host: '', port: 0 };
  readonly inFlight = new Set<ServerExchange>();
  readonly #server: Server;
  readonly #options: HttpServerOptions;
  readonly #connections = new Map<Duplex, Connection>();
  /** Below TLS: the server knows no connection before its handshake is done, and would wait for it when it closes. */
  readonly #raw = new Set<Socket>();
  #closing: Promise<void> | null = null;

  constructor(server: Server, options: HttpServerOptions) {
    this.#server = server;
    this.#options = options;
    const { limits, log, name } = options;
    server.maxHeadersCount = 0;
    server.maxConnections = limits.connectionsMax;
    server.timeout = limits.progressTimeoutMs;
    server.keepAliveTimeout = limits.keepAliveMs;
    server.on(options.tls ? 'secureConnection' : 'connection', (socket: Socket) => this.#connected(socket));
    if (options.tls) server.on('connection', (socket: Socket) => this.#handshaking(socket));
    server.on('request', (request, response) => this.#accept(request, response, false));
    server.on('checkContinue', (request, response) => this.#accept(request, response, true));
    // An expectation that nobody knows means nothing: nobody waits for an answer to it (RFC 9110 §10.1.1 allows that).
    server.on('checkExpectation', (request, response) => this.#accept(request, response, false));
    server.on('connect', (_request: IncomingMessage, socket: Duplex) => {
      this.#refuseSocket(socket, refusal('method', 'CONNECT is not allowed.', 'MethodNotAllowed', 405));
    });
    server.on('clientError', (error: NodeJS.ErrnoException, socket: Duplex) => {
      const fault = parserFault(error);
      if (fault === null) socket.destroy();
      else this.#refuseSocket(socket, fault);
    });
    server.on('timeout', (socket: Socket) => this.#judgeStalled(socket));
    server.on('tlsClientError', (error: Error) => log.debug({ err: error, listener: name }, 'TLS handshake failed'));
    server.on('drop', () => options.onRefused('connections'));
  }

  get connections(): number {
    return this.#connections.size;
  }

  #connected(socket: Socket): void {
    const connection: Connection = { current: null, exchange: null, waiting: [], refused: false };
    this.#connections.set(socket, connection);
    socket.on('close', () => {
      this.#connections.delete(socket);
      connection.waiting.length = 0;
      this.#ended(connection);
    });
  }

  #handshaking(socket: Socket): void {
    this.#raw.add(socket);
    socket.on('close', () => this.#raw.delete(socket));
  }

  #accept(request: IncomingMessage, response: ServerResponse, expects: boolean): void {
    const connection = this.#connections.get(request.socket);
    if (connection === undefined || connection.refused) return;
    const { limits, keepOwnHeaders } = this.#options;
    if (this.#closing) endAfter(response);
    if (connection.current && connection.waiting.length + 1 >= limits.pipelinedMax) {
      this.refuse(request, response, refusal('pipelined', 'Too many requests at once on one connection.'));
      return;
    }
    const { method = '', url: target = '', httpVersion: version, rawHeaders } = request;
    const inspected = inspectHead({ method, target, version, rawHeaders }, limits, keepOwnHeaders);
    if (inspected.kind === 'refused') {
      this.refuse(request, response, inspected.refusal);
      return;
    }
    if (inspected.rawHeaders !== null) replaceHeaders(request, inspected.rawHeaders);
    request.url = inspected.target;
    const { body } = inspected;
    const accepted = { request, response, expects: expects && body !== null && body !== 0, body };
    if (connection.current) connection.waiting.push(accepted);
    else this.#begin(connection, accepted);
  }

  /** Node gives out pipelined requests at once; a PUT and the GET behind it must not overtake each other. */
  #begin(connection: Connection, accepted: AcceptedRequest): void {
    connection.current = accepted;
    const { response, request } = accepted;
    // Before 'finish', when Node would start to drop the rest without telling how much it is.
    if (accepted.body !== null) {
      response.on('prefinish', () => {
        if (!request.complete) discard(request, this.#options.limits.discardBytesMax);
      });
    }
    response.on('close', () => {
      this.#ended(connection);
      // An answer that ended the connection was the last: what stands behind it would be done and never answered.
      if (request.socket.writableEnded) connection.waiting.length = 0;
      const next = connection.waiting.shift();
      if (next) this.#begin(connection, next);
      else if (this.#closing) this.#server.closeIdleConnections();
    });
    this.#options.onRequest(accepted);
  }

  #ended(connection: Connection): void {
    const { current, exchange } = connection;
    connection.current = null;
    connection.exchange = null;
    if (exchange === null) return;
    this.inFlight.delete(exchange);
    if (!current?.response.writableFinished) exchange.senderGone();
  }

  track(exchange: ServerExchange): void {
    const connection = this.#connections.get(exchange.request.socket);
    if (connection?.current?.request !== exchange.request) {
      exchange.senderGone();
      return;
    }
    connection.exchange = exchange;
    this.inFlight.add(exchange);
  }

  refuse(request: IncomingMessage, response: ServerResponse, refused: Refusal, id = newRequestId()): void {
    const connection = this.#connections.get(request.socket);
    if (connection) connection.refused = true;
    this.#report(refused, id);
    answerRefusal(request, response, refused, id);
  }

  #report({ reason }: Refusal, requestId: string): void {
    const { onRefused, log, name } = this.#options;
    onRefused(reason);
    log.info({ requestId, reason, listener: name }, 'request refused');
  }

  /** For a connection whose request has no response object: unreadable head, or a body that cannot be parsed further. */
  #refuseSocket(socket: Duplex, refused: Refusal): void {
    const connection = this.#connections.get(socket);
    if (connection === undefined) {
      socket.destroy();
      return;
    }
    // The answer that refused it ends the connection.
    if (connection.refused) return;
    connection.refused = true;
    const { current, exchange, waiting } = connection;
    const id = exchange?.requestId ?? newRequestId();
    this.#report(refused, id);
    const last = waiting.at(-1) ?? current;
    if (last?.request.complete) {
      // What came before was accepted whole and gets its answers; what cannot be read gets none.
      if (last.response.headersSent) last.response.on('close', () => destroySoon(socket));
      else endAfter(last.response);
    } else if (last && last !== current) {
      // Not begun, and its body cannot be read: refused when its turn comes.
      waiting.pop();
      answerRefusal(last.request, last.response, refused, id);
    } else if (current?.response.headersSent || !socket.writable) {
      // Anything written here would be read as a part of another answer.
      socket.destroy();
    } else {
      socket.write(rawRefusal(refused, id), 'latin1');
      destroySoon(socket);
    }
  }

  /** Not a byte moved for `progressTimeoutMs`: cut when it is the other side's turn, wait on when it is ours. */
  #judgeStalled(socket: Socket): void {
    const connection = this.#connections.get(socket);
    if (!connection?.current) {
      socket.destroy();
    } else if (socket.writableLength > 0) {
      this.#options.onRefused('stalled-reader');
      socket.destroy();
    } else if (connection.exchange?.waitsForSender) {
      const message = 'Your socket connection to the server was not read from or written to within the timeout period.';
      this.#refuseSocket(socket, refusal('stalled-body', message, 'RequestTimeout'));
    } else {
      socket.setTimeout(socket.timeout ?? this.#options.limits.progressTimeoutMs);
    }
  }

  close(graceMs: number): Promise<void> {
    this.#closing ??= new Promise((resolve) => {
      const server = this.#server;
      const timer = setTimeout(() => {
        server.closeAllConnections();
        for (const socket of this.#raw) socket.destroy();
      }, graceMs);
      server.close(() => {
        clearTimeout(timer);
        // The server counts connections a moment before they say that they are closed.
        const left = [...this.#connections.keys()];
        Promise.all(left.map((socket) => new Promise((closed) => socket.once('close', closed)))).then(() => resolve());
      });
      for (const [socket, { current, waiting }] of this.#connections) {
        const last = waiting.at(-1) ?? current;
        if (last && !last.response.headersSent) endAfter(last.response);
        // Node counts a connection that never sent a byte as busy until the time for its first head is over.
        else if (neverSpoke(socket)) socket.destroy();
      }
      server.closeIdleConnections();
    });
    return this.#closing;
  }
}

interface TlsCapable extends Server {
  setSecureContext?(context: ReturnType<typeof tlsContext>): void;
}

function createServer(options: HttpServerOptions): Server {
  const { limits, tls } = options;
  const settings: ServerOptions = {
    maxHeaderSize: limits.headBytesMax,
    // Refused by our own guard, with S3's document.
    requireHostHeader: false,
    insecureHTTPParser: false,
    headersTimeout: limits.headTimeoutMs,
    // No limit for a whole request: progress decides (see judgeStalled).
    requestTimeout: 0,
    connectionsCheckingInterval: Math.max(100, Math.min(5_000, limits.headTimeoutMs / 4)),
    keepAlive: true,
    noDelay: true,
  };
  if (!tls) return createPlainServer(settings);
  return createTlsServer({
    ...settings,
    handshakeTimeout: limits.headTimeoutMs,
    ...tlsContext(tls.current, options.mutualTls),
    ...clientCheck(options.mutualTls),
  });
}

function tlsContext(material: TlsMaterial, mutual: boolean) {
  const authority = mutual && material.ca ? { ca: material.ca } : {};
  return { cert: material.cert, key: material.key, minVersion: 'TLSv1.2' as const, ...authority };
}

function clientCheck(mutual: boolean) {
  return mutual ? { requestCert: true, rejectUnauthorized: true } : {};
}

function listen(server: Server, options: HttpServerOptions): Promise<Address> {
  const { host, port } = options.listen;
  return new Promise((resolve, reject) => {
    const failed = (cause: NodeJS.ErrnoException) => {
      const message = `the ${options.name} listener cannot bind ${host}:${port}: ${cause.code ?? cause.message}`;
      reject(new ZringError('CONFIG_INVALID', message, { cause, subject: `${host}:${port}` }));
    };
    server.once('error', failed);
    server.listen({ host, port, backlog: 1024 }, () => {
      server.off('error', failed);
      server.on('error', (error) => options.log.error({ err: error, listener: options.name }, 'listener failed'));
      const bound = server.address() as AddressInfo;
      resolve({ host: bound.address, port: bound.port });
    });
  });
}

/** Null: the other side is gone, there is nobody to tell. */
function parserFault(error: NodeJS.ErrnoException): Refusal | null {
  switch (error.code) {
    case 'HPE_HEADER_OVERFLOW':
      return refusal('head-bytes', 'The request head is too large.', 'RequestHeaderSectionTooLarge');
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return refusal('head-timeout', 'The request head did not arrive in time.', 'RequestTimeout');
    case 'HPE_INVALID_EOF_STATE':
    case 'ECONNRESET':
    case 'EPIPE':
      return null;
    default:
      return error.code?.startsWith('HPE_') ? refusal('malformed', 'The request is not valid HTTP/1.1.') : null;
  }
}

/** This answer is the connection's last. By header: `shouldKeepAlive` is taken back when the exchange proceeds. */
function endAfter(response: ServerResponse): void {
  response.setHeader('Connection', 'close');
}

function answerRefusal(request: IncomingMessage, response: ServerResponse, refused: Refusal, id: string): void {
  if (response.headersSent || response.destroyed) return;
  const body = refusalDocument(refused, id);
  response.writeHead(refused.status, refusalHeaders(id, body));
  response.end(request.method === 'HEAD' ? undefined : body);
}

/** Both views of the headers; Node has built `headers` before it emits the request. */
function replaceHeaders(request: IncomingMessage, rawHeaders: string[]): void {
  const left = new Set<string>();
  for (let i = 0; i < rawHeaders.length; i += 2) left.add((rawHeaders[i] ?? '').toLowerCase());
  for (const name of Object.keys(request.headers)) if (!left.has(name)) delete request.headers[name];
  request.rawHeaders = rawHeaders;
}

/** Reads on after an early answer, so that a client which sends first and reads later gets it; then cuts. */
function discard(request: IncomingMessage, bytesMax: number): void {
  let bytes = 0;
  request.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > bytesMax) request.socket.destroy();
  });
  request.on('error', () => {});
  // Marks it as read by us; Node would throw it away unseen otherwise.
  request.read(0);
  request.resume();
}

function neverSpoke(socket: Duplex): boolean {
  return (socket as Socket).bytesRead === 0;
}

/** Ends the writing side and destroys the socket once everything is flushed. */
function destroySoon(socket: Duplex): void {
  if (socket instanceof TLSSocket || 'destroySoon' in socket) (socket as Socket).destroySoon();
  else socket.end(() => socket.destroy());
}

// Forwarder: relays one client request to another node's peer listener and its answer back, streaming both ways with
// back pressure. Each side's end is the other side's end: a client that goes tears the hop down, a hop that breaks
// mid-answer cuts the client (never a clean end). Owns the count of forwards per node and bodies kept for a second try.
// Never decides where to: src/routing/router.ts does.
//
//   bare, buffered   head (+ body) at once ─────────────▶ answer
//   streamed         head + 1 byte ──▶ 102 ──▶ body ────▶ answer        (102 reaches a waiting client as 100 Continue)
//                         any final answer instead of 102: the body was never sent, and can be replayed elsewhere
import { assert, type NotOwnerDetails, ZringError } from '../common/errors.ts';
import type { Logger } from '../telemetry/log.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { Exchange, Forwarder, ForwardOutcome } from './exchange.ts';
import { forwardedRequestHeaders, rawHeader, relayedAnswerHeaders, relayedTrailers } from './headers.ts';
import {
  AUTH_HEADER,
  formatHop,
  HOP_HEADER,
  type HopBody,
  NOT_OWNER_HEADER,
  NOT_OWNER_STATUS,
  PEER_ERROR_HEADER,
} from './hop.ts';
import { planBody, readBody, StreamedBody } from './hop-body.ts';
import type { HopLimits } from './limits.ts';
import type { PeerAuth } from './peer-auth.ts';
import { parseNotOwner, parsePeerError } from './peer-errors.ts';
import type { PeerVersions } from './peer-version.ts';
import type { HopController, HopHandler, Transport } from './transport.ts';

export interface ForwarderOptions {
  readonly self: string;
  /** Epoch of the map that this node routes by. */
  readonly epoch: () => number;
  readonly transport: Transport;
  readonly auth: PeerAuth;
  readonly versions: PeerVersions;
  readonly limits: HopLimits;
  readonly metrics: Metrics;
  readonly log: Logger;
}

export interface HopForwarder extends Forwarder {
  /** The body of this exchange was read into memory for forwarding; the local pipeline cannot read it any more. */
  buffered(exchange: Exchange): boolean;
}

/** Status that stands for "the client went before there was an answer" (never on the wire). */
export const CLIENT_GONE_STATUS = 499;

export function createForwarder(options: ForwarderOptions): HopForwarder {
  const bodies = new WeakMap<Exchange, Buffer>();
  const underWay = new Map<string, number>();

  async function forward(exchange: Exchange, node: string): Promise<ForwardOutcome> {
    assert(exchange.origin.kind === 'client', 'a forwarded request is never forwarded again');
    assert(node !== options.self, 'a node never forwards to itself');
    const count = underWay.get(node) ?? 0;
    if (count >= options.limits.requestsPerNodeMax) return { kind: 'unreachable', replayable: true, cause: busy(node) };
    const { request } = exchange;
    const plan = planBody(request.rawHeaders, exchange.awaitsContinue, options.limits.replayBytesMax);
    let body: Buffer | StreamedBody | null = null;
    let hopBody: HopBody = { kind: 'exact' };
    if (plan.kind === 'buffered') {
      const kept = bodies.get(exchange) ?? (await readBody(request, plan.length).catch(() => null));
      if (kept === null) return { kind: 'done', status: CLIENT_GONE_STATUS };
      bodies.set(exchange, kept);
      body = kept;
    } else if (plan.kind === 'streamed') {
      body = new StreamedBody(request);
      hopBody = { kind: 'stream', length: plan.length };
    } else {
      hopBody = plan.hop;
    }
    underWay.set(node, (underWay.get(node) ?? 0) + 1);
    const outcome = await relay(options, exchange, node, body, hopBody);
    underWay.set(node, (underWay.get(node) ?? 1) - 1);
    return outcome;
  }

  return { forward, buffered: (exchange) => bodies.has(exchange) };
}

function busy(node: string): ZringError {
  return new ZringError('LIMIT_EXCEEDED', `too many requests to node ${node} are under way`, {
    subject: node,
    details: { limit: 'requestsPerNodeMax' },
  });
}

function relay(
  options: ForwarderOptions,
  exchange: Exchange,
  node: string,
  body: Buffer | StreamedBody | null,
  hopBody: HopBody,
): Promise<ForwardOutcome> {
  const { method = '', url = '' } = exchange.request;
  return new Promise((resolve) => {
    const handler = new Relay(options, exchange, node, body, resolve);
    options.transport.dispatch(
      node,
      'data',
      {
        method,
        path: url,
        headers: hopHeaders(options, exchange, node, body, hopBody),
        body,
        headTimeoutMs: options.limits.headTimeoutMs,
        bodyTimeoutMs: options.limits.bodyTimeoutMs,
      },
      handler,
    );
  });
}

function hopHeaders(
  options: ForwarderOptions,
  exchange: Exchange,
  node: string,
  body: Buffer | StreamedBody | null,
  hopBody: HopBody,
): string[] {
  const { request, origin } = exchange;
  const hop = formatHop({
    kind: 'forward',
    version: options.versions.speakTo(node),
    versionMax: options.versions.newest,
    from: options.self,
    to: node,
    requestId: exchange.requestId,
    epoch: options.epoch(),
    address: origin.address,
    secure: origin.secure,
    expects: rawHeader(request.rawHeaders, 'expect') !== undefined,
    body: hopBody,
  });
  const headers = forwardedRequestHeaders(request.rawHeaders);
  const auth = options.auth.sign({ method: request.method ?? '', target: request.url ?? '', hop });
  headers.push(HOP_HEADER, hop, AUTH_HEADER, auth);
  if (hopBody.kind === 'stream' && hopBody.length !== null) headers.push('content-length', String(hopBody.length + 1));
  else if (Buffer.isBuffer(body)) headers.push('content-length', String(body.length));
  return headers;
}

/** One forwarded request: the handler of its answer. Settles exactly once. */
class Relay implements HopHandler {
  readonly #options: ForwarderOptions;
  readonly #exchange: Exchange;
  readonly #node: string;
  readonly #body: Buffer | StreamedBody | null;
  readonly #resolve: (outcome: ForwardOutcome) => void;
  readonly #beganMs = performance.now();
  #controller: HopController | null = null;
  #clientGone = false;
  #settled = false;
  #status = 0;
  #answerBytes = 0;
  /** Set when the answer is for this node and not for the client; its body is dropped. */
  #withheld: ForwardOutcome | null = null;

  constructor(
    options: ForwarderOptions,
    exchange: Exchange,
    node: string,
    body: Buffer | StreamedBody | null,
    resolve: (outcome: ForwardOutcome) => void,
  ) {
    this.#options = options;
    this.#exchange = exchange;
    this.#node = node;
    this.#body = body;
    this.#resolve = resolve;
    const { response } = exchange;
    response.on('close', this.#onClientClose).on('drain', this.#onDrain);
    if (response.destroyed || exchange.request.socket.destroyed) this.#clientGone = true;
  }

  onRequestStart(controller: HopController): void {
    this.#controller = controller;
    if (this.#settled || this.#clientGone) controller.abort(goneError());
  }

  onResponseStart(controller: HopController, status: number, _headers: unknown, statusText = ''): void {
    if (status < 200) {
      // The first 102 is the go-ahead; later ones say that the owner is still at work.
      if (status === 102 && this.#body instanceof StreamedBody && !this.#body.started) {
        this.#exchange.proceed();
        this.#body.start();
      }
      return;
    }
    this.#status = status;
    const { headers, own } = relayedAnswerHeaders(controller.rawHeaders as Buffer[], status);
    this.#withheld = this.#forThisNode(status, own);
    if (this.#withheld !== null || this.#clientGone) return;
    const { request, response } = this.#exchange;
    response.writeHead(status, statusText, headers);
    // Whole with its head. (undici would miss the body that the Content-Length of a 304 describes, and fail.)
    if (status === 204 || status === 304 || request.method === 'HEAD') this.#complete();
  }

  onResponseData(controller: HopController, chunk: Buffer): void {
    if (this.#withheld !== null || this.#clientGone || this.#settled) return;
    this.#answerBytes += chunk.length;
    if (!this.#exchange.response.write(chunk)) controller.pause();
  }

  onResponseEnd(controller: HopController): void {
    if (this.#withheld !== null) {
      this.#settle(this.#withheld);
      return;
    }
    if (this.#settled) return;
    const trailers = controller.rawTrailers as Buffer[] | null | undefined;
    if (trailers && trailers.length > 0) this.#exchange.response.addTrailers(relayedTrailers(trailers));
    this.#complete();
  }

  #complete(): void {
    this.#exchange.response.end();
    this.#settle({ kind: 'done', status: this.#status });
  }

  onResponseError(_controller: HopController | undefined, error: Error): void {
    const { response } = this.#exchange;
    if (this.#settled) return;
    if (this.#clientGone) {
      this.#settle({ kind: 'done', status: this.#status || CLIENT_GONE_STATUS });
    } else if (response.headersSent) {
      this.#options.log.warn(
        { err: error, node: this.#node, requestId: this.#exchange.requestId },
        'answer cut on a hop',
      );
      cutClient(this.#exchange);
      this.#settle({ kind: 'done', status: this.#status });
    } else {
      const message = `node ${this.#node} gave no answer: ${error.message}`;
      const cause = new ZringError('NODE_UNREACHABLE', message, { cause: error, subject: this.#node });
      this.#settle({ kind: 'unreachable', replayable: this.#replayable(), cause });
    }
  }

  /** Refusals between nodes: nothing was applied. Anything else, also a 421 of another meaning, is for the client. */
  #forThisNode(status: number, own: Readonly<Record<string, string>>): ForwardOutcome | null {
    const replayable = !(this.#body instanceof StreamedBody && this.#body.started);
    const notOwner = own[NOT_OWNER_HEADER];
    if (status === NOT_OWNER_STATUS && notOwner !== undefined) {
      const details: NotOwnerDetails = parseNotOwner(notOwner);
      return { kind: 'not-owner', details, replayable };
    }
    const refusal = own[PEER_ERROR_HEADER];
    if (refusal === undefined) return null;
    const cause = parsePeerError(refusal, this.#node);
    this.#options.log.error({ err: cause, node: this.#node }, 'hop refused');
    return { kind: 'unreachable', replayable, cause };
  }

  /** What was not sent, or cannot have changed anything, may be sent again. */
  #replayable(): boolean {
    if (this.#controller === null) return true;
    const { method } = this.#exchange.request;
    if (this.#body instanceof StreamedBody) {
      // Nothing is applied before the go-ahead, if the operation needs the body (DELETE may ignore one).
      return !this.#body.started && method !== 'DELETE';
    }
    return method === 'GET' || method === 'HEAD' || method === 'OPTIONS';
  }

  readonly #onDrain = (): void => {
    this.#controller?.resume();
  };

  readonly #onClientClose = (): void => {
    if (this.#settled || this.#exchange.response.writableFinished) return;
    this.#clientGone = true;
    // Without a connection yet nothing was sent; when there is one, it is given back at once.
    if (this.#controller === null) this.#settle({ kind: 'done', status: CLIENT_GONE_STATUS });
    else this.#controller.abort(goneError());
  };

  #settle(outcome: ForwardOutcome): void {
    if (this.#settled) return;
    this.#settled = true;
    const { response } = this.#exchange;
    response.off('close', this.#onClientClose).off('drain', this.#onDrain);
    if (this.#body instanceof StreamedBody) this.#body.destroy();
    this.#measure(outcome);
    this.#resolve(outcome);
  }

  #measure(outcome: ForwardOutcome): void {
    const { metrics } = this.#options;
    const node = this.#node;
    metrics.hopRequests.inc({ node, outcome: outcome.kind });
    metrics.hopLatency.observe({ node }, (performance.now() - this.#beganMs) / 1000);
    const sent = this.#body instanceof StreamedBody ? this.#body.bytes : (this.#body?.length ?? 0);
    if (sent > 0) metrics.hopBytes.inc({ direction: 'to-owner' }, sent);
    if (this.#answerBytes > 0) metrics.hopBytes.inc({ direction: 'to-client' }, this.#answerBytes);
  }
}

function goneError(): ZringError {
  return new ZringError('ABORTED', 'the client went away');
}

/**
 * Ends a half-sent answer so that nobody takes it for whole. An HTTP/1.0 client without Content-Length reads to the end
 * of the connection: only a reset tells it.
 */
function cutClient(exchange: Exchange): void {
  const { socket } = exchange.response;
  if (socket && !exchange.origin.secure) socket.resetAndDestroy();
  else exchange.response.destroy();
}

// PeerTransport over the control lane: named calls and streams to other nodes, with the remote's errors as ours. Owns
// nothing but what is under way. A call that fails on the way is NODE_UNREACHABLE: its outcome is unknown, which is fine
// because methods are idempotent, or not called again (changes of snapshots). A stream errors when it is cut; it never ends
// cleanly early.
import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { ZringError } from '../common/errors.ts';
import type { PeerCallOptions, PeerTransport } from '../common/peer.ts';
import { AUTH_HEADER, formatHop, HOP_HEADER, PEER_HEADER, parseVersion } from './hop.ts';
import type { HopLimits } from './limits.ts';
import type { PeerAuth } from './peer-auth.ts';
import { fromWire, parseJson } from './peer-errors.ts';
import { CONTROL_PREFIX, STREAM_HEAD_LENGTH_BYTES, STREAM_TYPE } from './peer-methods.ts';
import type { PeerVersions } from './peer-version.ts';
import { newRequestId } from './request-id.ts';
import type { HopController, HopHandler, HopRequest, Transport } from './transport.ts';

export interface PeerClientOptions {
  readonly self: string;
  readonly transport: Transport;
  readonly auth: PeerAuth;
  readonly versions: PeerVersions;
  readonly limits: HopLimits;
}

interface Streamed {
  readonly head: unknown;
  readonly body: Readable;
}

export function createPeerTransport(options: PeerClientOptions): PeerTransport {
  return {
    async call(node, method, request, call) {
      const answer = await send(options, node, method, request, call ?? {}, 'call');
      return answer.result;
    },
    async stream(node, method, request, call) {
      const answer = await send(options, node, method, request, call ?? {}, 'stream');
      if (answer.streamed) return answer.streamed;
      throw new ZringError('PEER_PROTOCOL', `node ${node} answered ${method} without a stream`, { subject: node });
    },
  };
}

interface Answer {
  readonly result?: unknown;
  readonly streamed?: Streamed;
}

function send(
  options: PeerClientOptions,
  node: string,
  method: string,
  input: unknown,
  call: PeerCallOptions,
  expected: 'call' | 'stream',
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const body = Buffer.from(JSON.stringify(input ?? null));
    if (body.length > options.limits.controlBytesMax) {
      reject(new ZringError('LIMIT_EXCEEDED', `the request of ${method} is too large`, { subject: method }));
      return;
    }
    if (call.signal?.aborted) {
      reject(new ZringError('ABORTED', `${method} on node ${node} was given up`, { subject: node }));
      return;
    }
    const timeoutMs = call.timeoutMs ?? options.limits.controlTimeoutMs;
    const settings = { node, method, limits: options.limits, versions: options.versions, expected, timeoutMs };
    const handler = new ControlAnswer(settings, call.signal, resolve, reject);
    options.transport.dispatch(node, 'control', controlRequest(options, node, method, body, timeoutMs), handler);
  });
}

function controlRequest(
  options: PeerClientOptions,
  node: string,
  method: string,
  body: Buffer,
  timeoutMs: number,
): HopRequest {
  const path = CONTROL_PREFIX + encodeURIComponent(method);
  const hop = formatHop({
    kind: 'control',
    version: options.versions.speakTo(node),
    versionMax: options.versions.newest,
    from: options.self,
    to: node,
    requestId: newRequestId(),
    bodySha256: createHash('sha256').update(body).digest('hex'),
  });
  return {
    method: 'POST',
    path,
    headers: [
      ...['content-type', 'application/json', 'content-length', String(body.length)],
      ...[HOP_HEADER, hop, AUTH_HEADER, options.auth.sign({ method: 'POST', target: path, hop })],
    ],
    body,
    // Its own timer ends the call; this one only stops a connection that nobody waits for any more.
    headTimeoutMs: timeoutMs + 5_000,
    bodyTimeoutMs: options.limits.streamTimeoutMs,
  };
}

interface AnswerSettings {
  readonly node: string;
  readonly method: string;
  readonly limits: HopLimits;
  readonly versions: PeerVersions;
  readonly expected: 'call' | 'stream';
  readonly timeoutMs: number;
}

class ControlAnswer implements HopHandler {
  readonly #settings: AnswerSettings;
  readonly #signal: AbortSignal | undefined;
  readonly #resolve: (answer: Answer) => void;
  readonly #reject: (error: Error) => void;
  readonly #timer: NodeJS.Timeout;
  #controller: HopController | null = null;
  #cancelled: ZringError | null = null;
  #settled = false;
  #status = 0;
  #streaming = false;
  #stream: ControlStream | null = null;
  #chunks: Buffer[] = [];
  #bytes = 0;

  constructor(
    settings: AnswerSettings,
    signal: AbortSignal | undefined,
    resolve: (answer: Answer) => void,
    reject: (error: Error) => void,
  ) {
    this.#settings = settings;
    this.#signal = signal;
    this.#resolve = resolve;
    this.#reject = reject;
    const { node, method, timeoutMs } = settings;
    this.#timer = setTimeout(() => {
      this.#cancel(unreachable(node, `${method} took longer than ${timeoutMs} ms`));
    }, timeoutMs);
    signal?.addEventListener('abort', this.#onAbort, { once: true });
  }

  onRequestStart(controller: HopController): void {
    this.#controller = controller;
    if (this.#cancelled) controller.abort(this.#cancelled);
  }

  onResponseStart(controller: HopController, status: number, headers: unknown): void {
    if (status < 200) return;
    this.#status = status;
    const named = headers as Record<string, string | string[] | undefined>;
    const version = parseVersion(String(named[PEER_HEADER] ?? ''));
    if (version) this.#settings.versions.heard(this.#settings.node, version.versionMax);
    else
      this.#cancel(new ZringError('PEER_PROTOCOL', `${this.#settings.node} does not answer as a peer listener does`));
    this.#streaming = status === 200 && named['content-type'] === STREAM_TYPE;
    if (this.#streaming && this.#settings.expected === 'call') {
      controller.abort(new ZringError('PEER_PROTOCOL', `${this.#settings.method} is a stream, not a call`));
    }
  }

  onResponseData(controller: HopController, chunk: Buffer): void {
    if (this.#stream) {
      if (!this.#stream.push(chunk)) controller.pause();
      return;
    }
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    if (this.#bytes > this.#settings.limits.controlBytesMax) {
      this.#cancel(new ZringError('LIMIT_EXCEEDED', `the answer of ${this.#settings.method} is too large`));
    } else if (this.#streaming) {
      this.#openStream(controller);
    }
  }

  onResponseEnd(): void {
    if (this.#stream) {
      this.#stream.whole = true;
      this.#stream.push(null);
      this.#finish();
    } else if (this.#streaming) {
      this.#fail(new ZringError('PEER_PROTOCOL', `the stream of ${this.#settings.method} ended within its head`));
    } else {
      this.#answer(parseJson(Buffer.concat(this.#chunks).toString('utf8')));
    }
  }

  onResponseError(_controller: HopController | undefined, error: Error): void {
    const { node, method } = this.#settings;
    this.#fail(this.#cancelled ?? asZring(error) ?? unreachable(node, `${method}: ${error.message}`, error));
  }

  #answer(value: unknown): void {
    const answer = (typeof value === 'object' && value !== null ? value : {}) as { result?: unknown; error?: unknown };
    if (this.#status !== 200) this.#fail(fromWire(answer.error, this.#settings.node));
    else if (!('result' in answer)) this.#fail(fromWire(null, this.#settings.node));
    else if (this.#finish()) this.#resolve({ result: answer.result });
  }

  #openStream(controller: HopController): void {
    const bytes = Buffer.concat(this.#chunks);
    if (bytes.length < STREAM_HEAD_LENGTH_BYTES) return;
    const end = STREAM_HEAD_LENGTH_BYTES + bytes.readUInt32BE();
    if (bytes.length < end) return;
    const head = parseJson(bytes.toString('utf8', STREAM_HEAD_LENGTH_BYTES, end));
    const stream = new ControlStream(controller, this.#settings.node, this.#settings.method);
    this.#stream = stream;
    this.#chunks = [];
    clearTimeout(this.#timer);
    if (bytes.length > end && !stream.push(bytes.subarray(end))) controller.pause();
    this.#resolve({ streamed: { head, body: stream } });
  }

  readonly #onAbort = (): void => {
    const { node, method } = this.#settings;
    this.#cancel(new ZringError('ABORTED', `${method} on node ${node} was given up`, { subject: node }));
  };

  /** Ends it from this side; before a connection is there the promise is rejected at once. */
  #cancel(error: ZringError): void {
    this.#cancelled ??= error;
    if (this.#controller) this.#controller.abort(error);
    else this.#fail(error);
  }

  #fail(error: Error): void {
    if (!this.#finish()) return;
    if (this.#stream) this.#stream.destroy(error);
    else this.#reject(error);
  }

  #finish(): boolean {
    if (this.#settled) return false;
    this.#settled = true;
    clearTimeout(this.#timer);
    this.#signal?.removeEventListener('abort', this.#onAbort);
    return true;
  }
}

/** The body of a control stream; reading it gives the back pressure, destroying it ends the hop. */
class ControlStream extends Readable {
  whole = false;
  readonly #controller: HopController;
  readonly #what: string;

  constructor(controller: HopController, node: string, method: string) {
    super({ highWaterMark: 256 * 1024 });
    this.#controller = controller;
    this.#what = `${method} of node ${node}`;
  }

  override _read(): void {
    this.#controller.resume();
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    if (!this.whole)
      this.#controller.abort(error ?? new ZringError('ABORTED', `the stream ${this.#what} was given up`));
    callback(error);
  }
}

function unreachable(node: string, why: string, cause?: unknown): ZringError {
  return new ZringError('NODE_UNREACHABLE', `node ${node} gave no answer: ${why}`, { cause, subject: node });
}

function asZring(error: Error): ZringError | null {
  return error instanceof ZringError ? error : null;
}

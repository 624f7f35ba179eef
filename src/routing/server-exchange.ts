// Builds the Exchange of one request and owns its small state: go-ahead given, sender gone. Made for both listeners.
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Exchange, Origin } from './exchange.ts';

export class ServerExchange implements Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly requestId: string;
  readonly origin: Origin;
  readonly awaitsContinue: boolean;
  #proceeded = false;
  #gone = false;
  #abort: AbortController | null = null;

  constructor(
    request: IncomingMessage,
    response: ServerResponse,
    requestId: string,
    origin: Origin,
    awaitsContinue: boolean,
  ) {
    this.request = request;
    this.response = response;
    this.requestId = requestId;
    this.origin = origin;
    this.awaitsContinue = awaitsContinue;
    // A final answer instead of the go-ahead leaves a body that was announced and never comes: what follows on this
    // connection could be read as that body, so the connection ends. proceed() takes it back.
    if (awaitsContinue) this.#keepAliveAfter(false);
  }

  get proceeded(): boolean {
    return this.#proceeded;
  }

  /** The next move is the sender's: it has to send (more of) the body. */
  get waitsForSender(): boolean {
    if (this.request.complete || this.request.readableLength > 0) return false;
    return !this.awaitsContinue || this.#proceeded;
  }

  proceed(): void {
    if (!this.awaitsContinue || this.#proceeded) return;
    this.#proceeded = true;
    if (this.response.headersSent || this.response.destroyed) return;
    this.#keepAliveAfter(true);
    // undici takes a 100 for a protocol error, so nodes say 102 to each other (docs/PEER-PROTOCOL.md).
    if (this.origin.kind === 'client') this.response.writeContinue();
    else this.response.writeProcessing();
  }

  /** Tells a waiting node that the work goes on. Never before the go-ahead, which the first 102 would be taken for. */
  heartbeat(): void {
    if (this.origin.kind !== 'peer' || this.response.headersSent || this.response.destroyed) return;
    if (this.awaitsContinue && !this.#proceeded) return;
    this.response.writeProcessing();
  }

  /** Made on first use: most requests never look. */
  get signal(): AbortSignal {
    if (this.#abort === null) {
      this.#abort = new AbortController();
      if (this.#gone) this.#abort.abort();
    }
    return this.#abort.signal;
  }

  senderGone(): void {
    this.#gone = true;
    this.#abort?.abort();
  }

  #keepAliveBefore = true;

  #keepAliveAfter(on: boolean): void {
    if (!on) this.#keepAliveBefore = this.response.shouldKeepAlive;
    this.response.shouldKeepAlive = on && this.#keepAliveBefore;
  }
}

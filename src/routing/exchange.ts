// Exchange: one request on the S3 or peer listener, with what the listener knows about its sender. Shapes only.
// `origin` is set by the listener that accepted the connection, never from anything a client can say.
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { NotOwnerDetails } from '../common/errors.ts';

export type Origin =
  | { readonly kind: 'client'; readonly address: string; readonly secure: boolean }
  /** Forwarded by an authenticated node; `address` and `secure` are the client's as that node saw them. */
  | {
      readonly kind: 'peer';
      readonly node: string;
      readonly epoch: number;
      readonly address: string;
      readonly secure: boolean;
    };

export interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** Made at the entry node, kept across the hop; `x-amz-request-id` of the answer. */
  readonly requestId: string;
  readonly origin: Origin;
  /** The sender waits for 100 Continue before it sends the body. */
  readonly awaitsContinue: boolean;
  /** Sends 100 Continue (on a hop: its equivalent). Call once authorised, before reading the body. Idempotent. */
  proceed(): void;
  /** Aborted when the sender is gone before the response ended. */
  readonly signal: AbortSignal;
}

export type ForwardOutcome =
  /** A response was relayed, in whole or until one side broke (then the other was torn down too). */
  | { readonly kind: 'done'; readonly status: number }
  /** Typed refusal of the receiver; nothing was applied. `replayable`: no body byte is lost, another node may be tried. */
  | { readonly kind: 'not-owner'; readonly details: NotOwnerDetails; readonly replayable: boolean }
  /** No response. `replayable`: nothing was sent, or the method is safe. */
  | { readonly kind: 'unreachable'; readonly replayable: boolean; readonly cause: unknown };

export interface Forwarder {
  forward(exchange: Exchange, node: string): Promise<ForwardOutcome>;
}

// The control half of the peer protocol as its users see it: named methods, JSON in, JSON or a byte stream out.
// src/routing implements it over the peer listener; ownership and s3 register methods and call them. Shapes only.
import type { Readable } from 'node:stream';

/** Spoken version of the peer protocol; a node refuses a newer major by name (VERSION_UNSUPPORTED). */
export const PEER_PROTOCOL_VERSION = 1;

export interface PeerCallOptions {
  readonly signal?: AbortSignal;
  /** For the whole call, or for the head of a stream. Default 10 s. */
  readonly timeoutMs?: number;
}

export interface PeerTransport {
  /**
   * Errors: NODE_UNREACHABLE (nothing was sent, or the connection failed: the outcome is unknown to the caller unless the
   * method is idempotent; ours are, but for changes of snapshots), PEER_UNAUTHENTICATED, PEER_PROTOCOL, or the remote's own ZringError code.
   */
  call(node: string, method: string, request: unknown, options?: PeerCallOptions): Promise<unknown>;
  /** The body errors when it was cut; it never ends cleanly early. */
  stream(
    node: string,
    method: string,
    request: unknown,
    options?: PeerCallOptions,
  ): Promise<{ readonly head: unknown; readonly body: Readable }>;
}

/** A handler validates its input itself; `from` is the authenticated node id. */
export type PeerCallHandler = (request: unknown, from: string) => Promise<unknown>;
export type PeerStreamHandler = (
  request: unknown,
  from: string,
  signal: AbortSignal,
) => Promise<{ readonly head: unknown; readonly body: Readable }>;

export interface PeerMethods {
  readonly calls: Readonly<Record<string, PeerCallHandler>>;
  readonly streams: Readonly<Record<string, PeerStreamHandler>>;
}

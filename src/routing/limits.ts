// Every limit of the listeners and of the hop, by name: what it bounds and why it has this value. Pure data.
// A limit that a request can exceed answers with the refusal that src/routing/inbound.ts names beside it.

const KIB = 1024;
const MIB = 1024 * KIB;

export interface ListenerLimits {
  /** Bytes of a request head that the parser takes in (431 beyond it); above the sum of the two below. */
  readonly headBytesMax: number;
  /** Header lines; Node's own maxHeadersCount drops the surplus silently, so it is off and we count. */
  readonly headersMax: number;
  /** Names and values together: S3 allows 8 KiB of headers, session tokens and proxies add to it. */
  readonly headerBytesMax: number;
  /** A key of 1024 bytes is 3 KiB when percent-encoded, a presigned query about 4 KiB. */
  readonly targetBytesMax: number;
  /** Time for a whole head; defends against a head sent byte by byte. */
  readonly headTimeoutMs: number;
  /** A connection from whose peer something is awaited is cut when not a byte moves for this long. */
  readonly progressTimeoutMs: number;
  /** An idle connection is kept this long for the next request. */
  readonly keepAliveMs: number;
  /** Open connections; more are dropped at accept. Bounds memory and file handles. */
  readonly connectionsMax: number;
  /** Requests of one connection that are being worked on at once (pipelining). */
  readonly pipelinedMax: number;
  /** Unread body that is discarded after an early answer, so that the client can read it; then the connection is cut. */
  readonly discardBytesMax: number;
}

export const S3_LISTENER_LIMITS: ListenerLimits = {
  headBytesMax: 32 * KIB,
  headersMax: 200,
  headerBytesMax: 16 * KIB,
  targetBytesMax: 12 * KIB,
  headTimeoutMs: 30_000,
  progressTimeoutMs: 60_000,
  keepAliveMs: 65_000,
  connectionsMax: 10_000,
  pipelinedMax: 32,
  discardBytesMax: 64 * MIB,
};

/** A forwarded head carries our own headers on top; idle connections live longer than the pool keeps them. */
export const PEER_LISTENER_LIMITS: ListenerLimits = {
  ...S3_LISTENER_LIMITS,
  headBytesMax: S3_LISTENER_LIMITS.headBytesMax + 8 * KIB,
  headersMax: S3_LISTENER_LIMITS.headersMax + 16,
  headerBytesMax: S3_LISTENER_LIMITS.headerBytesMax + 4 * KIB,
  keepAliveMs: 90_000,
};

export interface HopLimits {
  /** Requests to one node under way at once; the next one is refused, never queued without bound. */
  readonly requestsPerNodeMax: number;
  /** Connections to one node for control calls and streams; separate, so that data never starves a handoff. */
  readonly controlConnectionsMax: number;
  readonly connectTimeoutMs: number;
  /** Time without a sign of life before the answer's head. A working owner sends 102 every `heartbeatMs`. */
  readonly headTimeoutMs: number;
  readonly heartbeatMs: number;
  /** Time without a byte of the answer's body while we want to read it. */
  readonly bodyTimeoutMs: number;
  /** Idle connections are closed by the caller first, so that a request never meets a connection being closed. */
  readonly keepAliveMs: number;
  /** Bodies of known length up to this are buffered and can be replayed; larger ones wait for the owner's go-ahead. */
  readonly replayBytesMax: number;
  /** Head of an answer. */
  readonly answerHeadBytesMax: number;
  /** Accepted difference of two nodes' clocks; the message of the refusal says the offset. */
  readonly clockWindowMs: number;
  /** Nonces of control calls kept for the clock window, against replay. */
  readonly noncesMax: number;
  /** JSON of one control request or answer. */
  readonly controlBytesMax: number;
  /** Default time for one control call. */
  readonly controlTimeoutMs: number;
  /** Time without a byte of a control stream (`zfs send` may think for minutes before it goes on). */
  readonly streamTimeoutMs: number;
}

export const HOP_LIMITS: HopLimits = {
  requestsPerNodeMax: 1024,
  controlConnectionsMax: 64,
  connectTimeoutMs: 3_000,
  headTimeoutMs: 60_000,
  heartbeatMs: 15_000,
  bodyTimeoutMs: 60_000,
  keepAliveMs: 30_000,
  replayBytesMax: 64 * KIB,
  answerHeadBytesMax: 64 * KIB,
  clockWindowMs: 300_000,
  noncesMax: 200_000,
  controlBytesMax: 8 * MIB,
  controlTimeoutMs: 10_000,
  streamTimeoutMs: 600_000,
};

// Who is speaking on the peer listener: HMAC-SHA256 with the cluster secret over method, target, hop header, time and a
// nonce. Signed headers of S3 requests are protected by their own signature, control bodies by their hash in the hop
// header. The first secret signs, all verify (rotation). Owns the nonces seen of control calls. With mutual TLS the
// certificate is checked before (src/routing/listeners.ts); this check stays, because it names the node.
import { createHmac, createSecretKey, type KeyObject, randomFillSync, timingSafeEqual } from 'node:crypto';
import type { Clock } from '../common/clock.ts';
import { ZringError } from '../common/errors.ts';

const SCHEME = 'zring1';
const NONCE_BYTES = 12;
const AUTH = /^(\d{10,16})\.([A-Za-z0-9_-]{16})\.([A-Za-z0-9_-]{43})$/;

export interface SignedParts {
  readonly method: string;
  readonly target: string;
  /** The hop header, as sent. */
  readonly hop: string;
}

export interface PeerAuthOptions {
  readonly secrets: readonly string[];
  readonly clock: Clock;
  readonly clockWindowMs: number;
  readonly noncesMax: number;
}

export interface PeerAuth {
  /** Value of the `zring-auth` header. */
  sign(parts: SignedParts): string;
  /**
   * Throws PEER_UNAUTHENTICATED. `once`: a second use of the same signature is refused (control calls; a replayed S3
   * request is what S3 signatures allow for 15 minutes anyway, and remembering each would cost memory per request).
   */
  verify(auth: string | undefined, parts: SignedParts, from: string, once: boolean): void;
  /** A changed configuration: takes effect with the next message. */
  setSecrets(secrets: readonly string[]): void;
}

export function createPeerAuth(options: PeerAuthOptions): PeerAuth {
  let keys = options.secrets.map(secretKey);
  const nonces = createNonceMemory(options.clockWindowMs, options.noncesMax);
  return {
    setSecrets(secrets) {
      keys = secrets.map(secretKey);
    },
    sign(parts) {
      const [key] = keys;
      if (key === undefined) throw new ZringError('INTERNAL', 'no cluster secret is configured');
      const stamp = `${options.clock.wallMs()}.${newNonce()}`;
      return `${stamp}.${digest(key, stamp, parts).toString('base64url')}`;
    },
    verify(auth, parts, from, once) {
      const match = auth === undefined ? null : AUTH.exec(auth);
      if (!match) throw unauthenticated(`node ${from} sent no signature that this node can read`, from);
      const [, sentMs = '', nonce = '', mac = ''] = match;
      const given = Buffer.from(mac, 'base64url');
      const stamp = `${sentMs}.${nonce}`;
      // All keys are tried without a shortcut, so that the time does not tell which one matched.
      let valid = false;
      for (const key of keys) valid = timingSafeEqual(digest(key, stamp, parts), given) || valid;
      if (!valid) throw unauthenticated(`the signature of node ${from} does not fit any cluster secret`, from);
      checkClock(Number(sentMs), options, from);
      if (once && !nonces.add(nonce, options.clock.monotonicMs())) {
        throw unauthenticated(`a control message of node ${from} came a second time`, from);
      }
    },
  };
}

function secretKey(secret: string): KeyObject {
  return createSecretKey(Buffer.from(secret, 'utf8'));
}

function digest(key: KeyObject, stamp: string, parts: SignedParts): Buffer {
  return createHmac('sha256', key)
    .update(`${SCHEME}\n${parts.method}\n${parts.target}\n${parts.hop}\n${stamp}`)
    .digest();
}

function checkClock(sentMs: number, options: PeerAuthOptions, from: string): void {
  const offsetMs = sentMs - options.clock.wallMs();
  if (Math.abs(offsetMs) <= options.clockWindowMs) return;
  const seconds = Math.round(Math.abs(offsetMs) / 1000);
  const where = offsetMs > 0 ? 'ahead of' : 'behind';
  const limit = Math.round(options.clockWindowMs / 1000);
  throw unauthenticated(
    `the clock of node ${from} is ${seconds} s ${where} the clock of this node (limit ${limit} s)`,
    from,
    { offsetMs, limitMs: options.clockWindowMs },
  );
}

function unauthenticated(message: string, from: string, details?: unknown): ZringError {
  return new ZringError('PEER_UNAUTHENTICATED', message, { subject: from, details });
}

const noncePool = Buffer.alloc(256 * NONCE_BYTES);
let nonceUsed = noncePool.length;

function newNonce(): string {
  if (nonceUsed === noncePool.length) {
    randomFillSync(noncePool);
    nonceUsed = 0;
  }
  nonceUsed += NONCE_BYTES;
  return noncePool.toString('base64url', nonceUsed - NONCE_BYTES, nonceUsed);
}

/** Two generations, each one accepted span of time long (window ahead and window behind): a nonce outlives its signature. */
function createNonceMemory(windowMs: number, max: number) {
  let current = new Set<string>();
  let previous = new Set<string>();
  let sinceMs: number | null = null;
  return {
    add(nonce: string, nowMs: number): boolean {
      sinceMs ??= nowMs;
      // Over the limit the generation ends early: memory stays bounded, the guarantee gets shorter.
      if (nowMs - sinceMs > 2 * windowMs || current.size >= max) {
        previous = current;
        current = new Set();
        sinceMs = nowMs;
      }
      if (current.has(nonce) || previous.has(nonce)) return false;
      current.add(nonce);
      return true;
    },
  };
}

// Who may use the admin listener: health, readiness, metrics and service discovery are open (probes and Prometheus have
// no secret); everything else is signed with the cluster secret, so that the CLI needs nothing but the configuration.
// Signature: HMAC-SHA256 over method, path with query, time and body hash. Pure apart from the random-free hashing.
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';

/** A signed request is accepted this long before and after its time; also the longest possible replay. */
export const ADMIN_CLOCK_WINDOW_MS = 5 * 60_000;
export const ADMIN_BODY_BYTES_MAX = 64 * 1024;

const SCHEME = 'ZRING-HMAC-SHA256';

function signature(secret: string, method: string, target: string, timeMs: number, body: Buffer | string): string {
  const bodyHash = createHash('sha256').update(body).digest('hex');
  return createHmac('sha256', secret)
    .update(`zring-admin-1\n${method}\n${target}\n${timeMs}\n${bodyHash}`)
    .digest('hex');
}

/** Value of the Authorization header. */
export function signAdminRequest(
  secret: string,
  method: string,
  target: string,
  nowMs: number,
  body: Buffer | string = '',
): string {
  return `${SCHEME} time=${nowMs},signature=${signature(secret, method, target, nowMs, body)}`;
}

export type AdminAuthFault = 'missing' | 'malformed' | 'clock' | 'signature';

/** @returns null when the request may pass. Several secrets: any of them (rotation without downtime). */
export function verifyAdminRequest(
  secrets: readonly string[],
  request: { method: string; target: string; authorization: string | undefined; body: Buffer | string },
  nowMs: number,
): AdminAuthFault | null {
  if (!request.authorization) return 'missing';
  const match = /^ZRING-HMAC-SHA256 time=(\d{1,15}),signature=([0-9a-f]{64})$/.exec(request.authorization);
  if (!match?.[1] || !match[2]) return 'malformed';
  const timeMs = Number(match[1]);
  if (Math.abs(nowMs - timeMs) > ADMIN_CLOCK_WINDOW_MS) return 'clock';
  const sent = Buffer.from(match[2], 'hex');
  for (const secret of secrets) {
    const expected = Buffer.from(signature(secret, request.method, request.target, timeMs, request.body), 'hex');
    if (timingSafeEqual(sent, expected)) return null;
  }
  return 'signature';
}

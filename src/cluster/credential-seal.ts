// Sealing of secrets: AES-256-GCM under keys derived from `cluster.credentialKey`. Pure but for the nonces.
// A seal names its key, so that rotation knows what is left under an old one, and binds its context: moved to another
// entry, cluster or revision it does not open. Nothing here ever puts a secret or a key into an error.
//
//   z1.<key id, 8 hex>.<nonce, 12 bytes>.<ciphertext and 16 bytes of tag>     both base64url
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';

export interface SealKey {
  /** Names the key without giving any of it away. */
  readonly id: string;
  readonly key: Buffer;
}

export type Opened =
  | { readonly ok: true; readonly text: string }
  /** unknown-key: none of ours; damaged: altered, or not made for this context. */
  | { readonly ok: false; readonly why: 'unknown-key' | 'damaged' };

const SCHEME = 'z1';
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const SEAL = /^z1\.([0-9a-f]{8})\.([A-Za-z0-9_-]{16})\.([A-Za-z0-9_-]+)$/;

export function sealKeys(secrets: readonly string[]): SealKey[] {
  return secrets.map((secret) => ({
    id: derive(secret, 'id', 4).toString('hex'),
    key: derive(secret, 'key', 32),
  }));
}

function derive(secret: string, what: string, bytes: number): Buffer {
  return Buffer.from(hkdfSync('sha256', secret, 'zring', `zring credential ${what} 1`, bytes));
}

export function seal({ id, key }: SealKey, text: string, context: string): string {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(context));
  const sealed = Buffer.concat([cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()]);
  return [SCHEME, id, nonce.toString('base64url'), sealed.toString('base64url')].join('.');
}

export function open(keys: readonly SealKey[], sealed: string, context: string): Opened {
  const match = SEAL.exec(sealed);
  if (!match) return { ok: false, why: 'damaged' };
  const [, id = '', nonce = '', body = ''] = match;
  const candidates = keys.filter((key) => key.id === id);
  if (candidates.length === 0) return { ok: false, why: 'unknown-key' };
  const bytes = Buffer.from(body, 'base64url');
  if (bytes.length < TAG_BYTES) return { ok: false, why: 'damaged' };
  for (const { key } of candidates) {
    try {
      const decipher = createDecipheriv('aes-256-gcm', key, Buffer.from(nonce, 'base64url'), {
        authTagLength: TAG_BYTES,
      });
      decipher.setAAD(Buffer.from(context)).setAuthTag(bytes.subarray(-TAG_BYTES));
      const text = Buffer.concat([decipher.update(bytes.subarray(0, -TAG_BYTES)), decipher.final()]);
      return { ok: true, text: text.toString('utf8') };
    } catch {
      // Not this key (two of one id), or altered.
    }
  }
  return { ok: false, why: 'damaged' };
}

/** Which key a seal needs; null for what is no seal. */
export function sealKeyId(sealed: string): string | null {
  return SEAL.exec(sealed)?.[1] ?? null;
}

/** For the way of a new secret from the command line to a node. */
export function transportContext(cluster: string, accessKey: string): string {
  return JSON.stringify(['zring credential on its way', cluster, accessKey]);
}

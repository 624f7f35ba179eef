// The signing key of a day, region and secret, derived once and kept. State: a bounded map, oldest out first.
// Source: Amazon S3 API Reference, Signature calculations, task 3.
import { createHmac, hash, timingSafeEqual } from 'node:crypto';
import { LIMITS } from '../limits.ts';
import type { CredentialScope } from './credential-scope.ts';

export function hmac(key: Buffer | string, text: string | Buffer): Buffer {
  return createHmac('sha256', key).update(text).digest();
}

export function sha256Hex(data: Buffer): string {
  return hash('sha256', data, 'hex');
}

export function deriveSigningKey(secret: string, scope: CredentialScope): Buffer {
  return hmac(hmac(hmac(hmac(`AWS4${secret}`, scope.day), scope.region), 's3'), 'aws4_request');
}

/** Equal in time that does not depend on where they differ. A text that is no such signature never matches. */
export function sameSignature(expectedHex: string, givenHex: string): boolean {
  const expected = Buffer.from(expectedHex);
  const given = Buffer.from(givenHex);
  return expected.length === given.length && timingSafeEqual(expected, given);
}

export class SigningKeyCache {
  readonly #keys = new Map<string, Buffer>();
  readonly #keysMax: number;

  constructor(keysMax: number = LIMITS.signingKeysCached.value) {
    this.#keysMax = keysMax;
  }

  /** `slot` tells apart the secrets of one access key; the caller clears the cache when they change. */
  get(secret: string, slot: number, scope: CredentialScope): Buffer {
    const name = `${slot}/${scope.accessKey}/${scope.day}/${scope.region}`;
    const known = this.#keys.get(name);
    if (known !== undefined) return known;
    const key = deriveSigningKey(secret, scope);
    if (this.#keys.size >= this.#keysMax) {
      const oldest = this.#keys.keys().next();
      if (oldest.done !== true) this.#keys.delete(oldest.value);
    }
    this.#keys.set(name, key);
    return key;
  }

  clear(): void {
    this.#keys.clear();
  }

  get size(): number {
    return this.#keys.size;
  }
}

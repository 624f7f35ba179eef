// Signatures of aws-chunked bodies: each chunk's covers its bytes and the signature before it, so that chunks cannot be
// dropped, repeated or reordered; the trailer's closes the chain. State: the last signature.
// Source: Amazon S3 API Reference, "Signature calculations … transferring payload in multiple chunks (chunked upload)"
// and "… including trailing headers".
import { createHash, type Hash } from 'node:crypto';
import { S3Error } from '../errors.ts';
import { hmac, sameSignature, sha256Hex } from '../sigv4/signing-key.ts';
import type { ChunkSigning } from '../types.ts';

const EMPTY_SHA256 = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';

export class ChunkSignatureChain {
  readonly #signing: ChunkSigning;
  #previous: string;
  #hash: Hash | null = null;
  #given = '';

  constructor(signing: ChunkSigning) {
    this.#signing = signing;
    this.#previous = signing.seedSignature;
  }

  begin(signature: string): void {
    this.#given = signature;
    this.#hash = createHash('sha256');
  }

  update(data: Buffer): void {
    this.#hash?.update(data);
  }

  /** At the end of a chunk's data. Throws SignatureDoesNotMatch. */
  end(): void {
    const hex = this.#hash?.digest('hex') ?? EMPTY_SHA256;
    this.#hash = null;
    this.#advance(`AWS4-HMAC-SHA256-PAYLOAD\n${this.#head()}\n${EMPTY_SHA256}\n${hex}`, this.#given);
  }

  /** `lines`: `name:value\n` of every trailer but the signature itself, in order. */
  trailer(lines: string, signature: string): void {
    const hex = sha256Hex(Buffer.from(lines, 'latin1'));
    this.#advance(`AWS4-HMAC-SHA256-TRAILER\n${this.#head()}\n${hex}`, signature);
  }

  #head(): string {
    return `${this.#signing.amzDate}\n${this.#signing.scope}\n${this.#previous}`;
  }

  #advance(toSign: string, given: string): void {
    const expected = hmac(this.#signing.signingKey, toSign).toString('hex');
    if (!sameSignature(expected, given)) {
      throw new S3Error('SignatureDoesNotMatch', undefined, {
        fields: { StringToSign: toSign, SignatureProvided: given },
      });
    }
    this.#previous = expected;
  }
}

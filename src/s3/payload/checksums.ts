// The checksum algorithms of S3 as incremental hashers with base64 results. State: one hasher per body.
// CRCs are native code or WebAssembly; a hash of Node serves the others.
// Source: Amazon S3 User Guide, Checking object integrity. XXHASH3/64/128 are known by name and refused (501).
import { createHash } from 'node:crypto';
import { crc32, crc32c } from '@node-rs/crc32';
import { crc64Nvme } from './crc64-nvme.ts';

/** Order matters only for output. */
export const CHECKSUM_ALGORITHMS = ['CRC32', 'CRC32C', 'CRC64NVME', 'SHA1', 'SHA256', 'SHA512', 'MD5'] as const;

export type ChecksumAlgorithm = (typeof CHECKSUM_ALGORITHMS)[number];
export type ChecksumType = 'FULL_OBJECT' | 'COMPOSITE';

/** Algorithms of S3 that this endpoint does not compute: asking for one is NotImplemented. */
export const UNSUPPORTED_ALGORITHMS = ['XXHASH64', 'XXHASH3', 'XXHASH128'] as const;

export interface ChecksumValue {
  readonly algorithm: ChecksumAlgorithm;
  /** Base64, as on the wire. */
  readonly value: string;
  /** The client sent it (and it was verified); false = computed here. */
  readonly given: boolean;
}

/** Length of the raw value in bytes. */
export const CHECKSUM_BYTES: Readonly<Record<ChecksumAlgorithm, number>> = {
  CRC32: 4,
  CRC32C: 4,
  CRC64NVME: 8,
  SHA1: 20,
  SHA256: 32,
  SHA512: 64,
  MD5: 16,
};

export interface Hasher {
  update(chunk: Buffer): void;
  digest(): Buffer;
}

export function createHasher(algorithm: ChecksumAlgorithm): Hasher {
  switch (algorithm) {
    case 'CRC32':
      return crc32Hasher(crc32);
    case 'CRC32C':
      return crc32Hasher(crc32c);
    case 'CRC64NVME':
      return crc64Hasher();
    case 'SHA1':
    case 'SHA256':
    case 'SHA512':
    case 'MD5':
      return createHash(algorithm.toLowerCase());
  }
}

function crc32Hasher(step: (input: Uint8Array, state?: number) => number): Hasher {
  let state = 0;
  return {
    update(chunk) {
      state = step(chunk, state);
    },
    digest() {
      const out = Buffer.alloc(4);
      out.writeUInt32BE(state >>> 0);
      return out;
    },
  };
}

function crc64Hasher(): Hasher {
  let state = 0n;
  return {
    update(chunk) {
      state = crc64Nvme(chunk, state);
    },
    digest() {
      const out = Buffer.alloc(8);
      out.writeBigUInt64BE(state);
      return out;
    },
  };
}

/** The header and trailer name, e.g. x-amz-checksum-crc32. */
export function checksumHeader(algorithm: ChecksumAlgorithm): string {
  return `x-amz-checksum-${algorithm.toLowerCase()}`;
}

/** From a name as in x-amz-checksum-algorithm or x-amz-sdk-checksum-algorithm, any case; null when unknown. */
export function checksumAlgorithm(name: string): ChecksumAlgorithm | null {
  const upper = name.toUpperCase();
  return CHECKSUM_ALGORITHMS.find((algorithm) => algorithm === upper) ?? null;
}

/** Of a header or trailer name; null when it is none. */
export function algorithmOfHeader(name: string): ChecksumAlgorithm | null {
  return name.startsWith('x-amz-checksum-') ? checksumAlgorithm(name.slice('x-amz-checksum-'.length)) : null;
}

/** The raw bytes of a base64 checksum of exactly the right length, else null. */
export function decodeChecksum(algorithm: ChecksumAlgorithm, value: string): Buffer | null {
  const bytes = Buffer.from(value, 'base64');
  return bytes.length === CHECKSUM_BYTES[algorithm] && bytes.toString('base64') === value ? bytes : null;
}

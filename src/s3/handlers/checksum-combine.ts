// Checksums of an object made of parts, from the checksums and sizes of its parts. Pure.
// COMPOSITE: the checksum of the parts' raw checksums, one after the other, written `value-N`.
// FULL_OBJECT: CRCs are linear, so the CRC of a concatenation follows from the CRCs and lengths alone: appending n zero
// bytes to a message multiplies its CRC by x^(8n) modulo the polynomial (Adler's crc32_combine in zlib).
import { assert } from '../../common/errors.ts';
import { CHECKSUM_BYTES, type ChecksumAlgorithm, createHasher, decodeChecksum } from '../payload/checksums.ts';
import type { StoredChecksum } from './attributes.ts';

export interface PartChecksum {
  /** Base64. */
  readonly value: string;
  readonly size: number;
}

/** Reflected polynomials of the CRCs that S3 uses, with the width of each. */
const POLYNOMIALS: Partial<Record<ChecksumAlgorithm, { bits: bigint; reflected: bigint }>> = {
  CRC32: { bits: 32n, reflected: 0xedb88320n },
  CRC32C: { bits: 32n, reflected: 0x82f63b78n },
  CRC64NVME: { bits: 64n, reflected: 0x9a6c9329ac4bc9b5n },
};

export function isCombinable(algorithm: ChecksumAlgorithm): boolean {
  return POLYNOMIALS[algorithm] !== undefined;
}

/** null when a part's value is none. CRC64NVME has no composite form (AWS), so every digest here is synchronous. */
export function compositeChecksum(algorithm: ChecksumAlgorithm, parts: readonly PartChecksum[]): StoredChecksum | null {
  const hasher = createHasher(algorithm);
  for (const part of parts) {
    const raw = decodeChecksum(algorithm, part.value);
    if (!raw) return null;
    hasher.update(raw);
  }
  const digest = hasher.digest();
  assert(Buffer.isBuffer(digest), `${algorithm} has no composite checksum`);
  return { algorithm, value: `${digest.toString('base64')}-${parts.length}`, type: 'COMPOSITE' };
}

/** null when the algorithm cannot be combined (a SHA), or a part's value is none. */
export function fullObjectChecksum(
  algorithm: ChecksumAlgorithm,
  parts: readonly PartChecksum[],
): StoredChecksum | null {
  const polynomial = POLYNOMIALS[algorithm];
  if (!polynomial) return null;
  let crc = 0n;
  for (const part of parts) {
    const raw = decodeChecksum(algorithm, part.value);
    if (!raw) return null;
    crc = multiply(crc, powerOfX(BigInt(part.size) * 8n, polynomial), polynomial) ^ BigInt(`0x${raw.toString('hex')}`);
  }
  const hex = crc.toString(16).padStart(CHECKSUM_BYTES[algorithm] * 2, '0');
  return { algorithm, value: Buffer.from(hex, 'hex').toString('base64'), type: 'FULL_OBJECT' };
}

interface Polynomial {
  readonly bits: bigint;
  readonly reflected: bigint;
}

/** Product of two polynomials in reflected form (the highest bit is x^0) modulo `polynomial`. */
function multiply(a: bigint, b: bigint, polynomial: Polynomial): bigint {
  let product = 0n;
  let shifted = b;
  for (let bit = 1n << (polynomial.bits - 1n); bit !== 0n; bit >>= 1n) {
    if (a & bit) product ^= shifted;
    shifted = shifted & 1n ? (shifted >> 1n) ^ polynomial.reflected : shifted >> 1n;
  }
  return product;
}

/** x^exponent modulo `polynomial`, by squaring. */
function powerOfX(exponent: bigint, polynomial: Polynomial): bigint {
  const one = 1n << (polynomial.bits - 1n);
  let square = one >> 1n;
  let result = one;
  for (let left = exponent; left !== 0n; left >>= 1n) {
    if (left & 1n) result = multiply(result, square, polynomial);
    square = multiply(square, square, polynomial);
  }
  return result;
}

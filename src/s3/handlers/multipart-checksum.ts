// Checksums of multipart uploads: what an upload declares when it is created, what its parts must bring, and what the
// finished object carries. Pure. Source: Amazon S3 User Guide, Checking object integrity for multipart uploads.

import type { PartInfo } from '../../store/types.ts';
import { S3Error } from '../errors.ts';
import {
  algorithmOfHeader,
  type ChecksumAlgorithm,
  type ChecksumType,
  type ChecksumValue,
  checksumAlgorithm,
  UNSUPPORTED_ALGORITHMS,
} from '../payload/checksums.ts';
import { isCombinable } from './checksum-combine.ts';

export interface DeclaredChecksum {
  readonly algorithm: ChecksumAlgorithm;
  readonly type: ChecksumType;
}

/** An upload that declares nothing gets what S3 gives every object of its own accord. */
export const UNDECLARED: DeclaredChecksum = { algorithm: 'CRC64NVME', type: 'FULL_OBJECT' };

type Headers = Readonly<Record<string, string>>;

export function declaredChecksum(headers: Headers): DeclaredChecksum | null {
  const algorithm = requestedAlgorithm(headers);
  const type = headers['x-amz-checksum-type']?.toUpperCase();
  if (type !== undefined && type !== 'COMPOSITE' && type !== 'FULL_OBJECT') {
    throw new S3Error('InvalidRequest', 'Value for x-amz-checksum-type header is invalid.');
  }
  if (algorithm === null) {
    if (type === undefined) return null;
    throw new S3Error(
      'InvalidRequest',
      'The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.',
    );
  }
  const chosen = type ?? (algorithm === 'CRC64NVME' ? 'FULL_OBJECT' : 'COMPOSITE');
  const possible = chosen === 'FULL_OBJECT' ? isCombinable(algorithm) : algorithm !== 'CRC64NVME';
  if (!possible) {
    const message = `The ${chosen} checksum type cannot be used with the ${algorithm.toLowerCase()} checksum algorithm.`;
    throw new S3Error('InvalidRequest', message);
  }
  return { algorithm, type: chosen };
}

/** x-amz-checksum-algorithm of CreateMultipartUpload and CopyObject. */
export function requestedAlgorithm(headers: Headers): ChecksumAlgorithm | null {
  const name = headers['x-amz-checksum-algorithm'];
  if (name === undefined) return null;
  const algorithm = checksumAlgorithm(name);
  if (algorithm) return algorithm;
  if ((UNSUPPORTED_ALGORITHMS as readonly string[]).includes(name.toUpperCase())) throw new S3Error('NotImplemented');
  throw new S3Error(
    'InvalidRequest',
    'Checksum algorithm provided is unsupported. Please try again with any of the valid types: [CRC32, CRC32C, CRC64NVME, SHA1, SHA256]',
  );
}

/** A part may not be protected by another algorithm than its upload declared. */
export function checkPartChecksums(declared: DeclaredChecksum | null, checksums: readonly ChecksumValue[]): void {
  if (!declared) return;
  const other = checksums.find((one) => one.given && one.algorithm !== declared.algorithm);
  if (!other) return;
  const [expected, actual] = [declared.algorithm.toLowerCase(), other.algorithm.toLowerCase()];
  throw new S3Error(
    'InvalidRequest',
    `Checksum Type mismatch occurred, expected checksum Type: ${expected}, actual checksum Type: ${actual}`,
  );
}

/** Checksums stored with a part, by algorithm. */
export function partChecksums(part: Pick<PartInfo, 'attributes'>): Readonly<Record<string, string>> {
  const { checksums } = part.attributes as { checksums?: Readonly<Record<string, string>> };
  return checksums ?? {};
}

/** The checksum that a client of CompleteMultipartUpload says the whole object has; null = none. */
export function claimedChecksum(headers: Headers): { algorithm: ChecksumAlgorithm; value: string } | null {
  for (const [name, value] of Object.entries(headers)) {
    const algorithm = algorithmOfHeader(name);
    if (algorithm) return { algorithm, value };
  }
  return null;
}

// The checksum algorithms of S3 as incremental hashers with base64 results. State: one hasher per body.

export type ChecksumAlgorithm = 'CRC32' | 'CRC32C' | 'CRC64NVME' | 'SHA1' | 'SHA256' | 'SHA512' | 'MD5';
export type ChecksumType = 'FULL_OBJECT' | 'COMPOSITE';

export interface ChecksumValue {
  readonly algorithm: ChecksumAlgorithm;
  /** Base64, as on the wire. */
  readonly value: string;
  /** The client sent it (and it was verified); false = computed here. */
  readonly given: boolean;
}

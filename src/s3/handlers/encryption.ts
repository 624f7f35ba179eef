// Encryption at rest, told as it is: a dataset is encrypted as a whole (with AES-256, by the storage below) or it is not.
// So `AES256` may be asked for and is reported where that is so, whatever a request or a bucket's settings once said, and
// is refused everywhere else. Keys of a client's own (SSE-C) and of a key service (aws:kms) are not kept here at all.
// GetBucketEncryption, PutBucketEncryption, DeleteBucketEncryption.
import { S3Error } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import type { OperationName } from '../operation.ts';
import type { S3Response } from '../types.ts';
import { encryptionConfiguration, parseEncryptionConfiguration } from '../xml/encryption.ts';
import { type DatasetContext, readDocument } from './context.ts';

type Headers = Readonly<Record<string, string>>;

const HEADER = 'x-amz-server-side-encryption';
const CUSTOMER_KEY = /^x-amz-(copy-source-)?server-side-encryption-customer-/;
const KEY_SERVICE = new Set(['aws:kms', 'aws:kms:dsse', 'aws:fsx']);

/** What reads an object refuses encryption headers as S3 does: they belong to the request that wrote it. */
const READS: ReadonlySet<OperationName> = new Set(['GetObject', 'HeadObject', 'GetObjectAttributes']);
/** Their answers say how the object is encrypted. */
const REPORTS: ReadonlySet<OperationName> = new Set<OperationName>([
  'GetObject',
  'HeadObject',
  'PutObject',
  'PostObject',
  'CopyObject',
  'CreateMultipartUpload',
  'UploadPart',
  'UploadPartCopy',
  'CompleteMultipartUpload',
]);

/** Errors: NotImplemented, InvalidEncryptionAlgorithmError, InvalidRequest. */
export function checkEncryptionHeaders(operation: OperationName, headers: Headers, encrypted: boolean): void {
  for (const [name, value] of Object.entries(headers)) {
    if (CUSTOMER_KEY.test(name)) {
      if (!READS.has(operation)) throw notImplemented(name, 'keys of your own (SSE-C) are not taken here');
      throw new S3Error('InvalidRequest', 'The encryption parameters are not applicable to this object.');
    }
    if (!name.startsWith(HEADER)) continue;
    if (READS.has(operation)) {
      throw new S3Error('InvalidRequest', `The header ${name} belongs to the request that writes an object.`);
    }
    if (name === HEADER) checkAlgorithm(value, encrypted);
    else if (name !== `${HEADER}-bucket-key-enabled` || value.toLowerCase() !== 'false') {
      throw notImplemented(name, 'there is no key service here (SSE-KMS)');
    }
  }
}

function checkAlgorithm(algorithm: string, encrypted: boolean): void {
  if (KEY_SERVICE.has(algorithm)) throw notImplemented(HEADER, 'there is no key service here (SSE-KMS)');
  if (algorithm !== 'AES256') {
    throw new S3Error('InvalidEncryptionAlgorithmError', undefined, { fields: { ArgumentName: HEADER } });
  }
  if (!encrypted) throw notImplemented(`${HEADER}: AES256`, 'the storage of this bucket is not encrypted');
}

function notImplemented(what: string, why: string): S3Error {
  return new S3Error('NotImplemented', `${what} is not implemented: ${why}.`);
}

/** Of an answer that went well. */
export function withEncryptionReported(operation: OperationName, answer: S3Response, encrypted: boolean): S3Response {
  if (!encrypted || answer.status >= 300 || !REPORTS.has(operation)) return answer;
  return { ...answer, headers: { ...answer.headers, [HEADER]: 'AES256' } };
}

export async function getBucketEncryption(context: DatasetContext): Promise<S3Response> {
  if (!context.dataset.encrypted) {
    throw new S3Error('ServerSideEncryptionConfigurationNotFoundError', undefined, {
      fields: { BucketName: context.bucket },
    });
  }
  return { status: 200, headers: { 'content-type': 'application/xml' }, body: encryptionConfiguration() };
}

/** Asking for what is so already changes nothing; anything else cannot be had. */
export async function putBucketEncryption(context: DatasetContext): Promise<S3Response> {
  const algorithm = parseEncryptionConfiguration(
    await readDocument(context, LIMITS.configurationBytesMax.value),
    LIMITS.configurationBytesMax.value,
  );
  checkAlgorithm(algorithm, context.dataset.encrypted === true);
  return { status: 200, body: '' };
}

/** Back to what the bucket is by itself, which it never left. */
export async function deleteBucketEncryption(_context: DatasetContext): Promise<S3Response> {
  return { status: 204 };
}

// S3's error vocabulary: the codes this endpoint can answer with, their status and default text, and the exhaustive
// mapping from the project's own ErrorCode. The only file that knows both. docs/ERRORS.md is compared with it by a test.
// It must not know HTTP objects: the pipeline turns an S3Error into headers and a body (xml/results.ts errorDocument).
import { type ErrorCode, ZringError } from '../common/errors.ts';

interface CodeSpec {
  readonly status: number;
  readonly message: string;
}

/** Code → status and default message, as in "Amazon S3 API Reference, Error responses". */
export const S3_CODES = {
  // 3xx
  NotModified: { status: 304, message: 'Not Modified' },
  // authentication and authorisation
  AccessDenied: { status: 403, message: 'Access Denied' },
  AccessForbidden: { status: 403, message: 'CORSResponse: This CORS request is not allowed.' },
  AuthorizationHeaderMalformed: { status: 400, message: 'The authorization header is malformed.' },
  AuthorizationQueryParametersError: {
    status: 400,
    message: 'Query-string authentication version 4 requires parameters that are missing or malformed.',
  },
  InvalidAccessKeyId: {
    status: 403,
    message: 'The AWS Access Key Id you provided does not exist in our records.',
  },
  InvalidToken: { status: 400, message: 'The provided token is malformed or otherwise invalid.' },
  RequestTimeTooSkewed: {
    status: 403,
    message: 'The difference between the request time and the current time is too large.',
  },
  SignatureDoesNotMatch: {
    status: 403,
    message:
      'The request signature we calculated does not match the signature you provided. Check your key and signing method.',
  },
  // target
  InvalidBucketName: { status: 400, message: 'The specified bucket is not valid.' },
  InvalidURI: { status: 400, message: "Couldn't parse the specified URI." },
  KeyTooLongError: { status: 400, message: 'Your key is too long' },
  MethodNotAllowed: { status: 405, message: 'The specified method is not allowed against this resource.' },
  NotImplemented: {
    status: 501,
    message: 'A header or query you provided implies functionality that is not implemented.',
  },
  // request
  InvalidArgument: { status: 400, message: 'Invalid Argument' },
  InvalidRequest: { status: 400, message: 'Invalid Request' },
  BadRequest: { status: 400, message: 'Bad Request' },
  InvalidPolicyDocument: {
    status: 400,
    message: 'The content of the form does not meet the conditions specified in the policy document.',
  },
  InvalidTag: { status: 400, message: 'The tag provided was not a valid tag.' },
  MalformedPOSTRequest: {
    status: 400,
    message: 'The body of your POST request is not well-formed multipart/form-data.',
  },
  MaxPostPreDataLengthExceededError: {
    status: 400,
    message: 'Your POST request fields preceding the upload file were too large.',
  },
  InvalidLocationConstraint: { status: 400, message: 'The specified location-constraint is not valid' },
  InvalidStorageClass: { status: 400, message: 'The storage class you specified is not valid' },
  MalformedPolicy: { status: 400, message: 'Policy has invalid syntax' },
  MalformedXML: {
    status: 400,
    message: 'The XML you provided was not well-formed or did not validate against our published schema',
  },
  MaxMessageLengthExceeded: { status: 400, message: 'Your request was too big.' },
  InvalidEncryptionAlgorithmError: {
    status: 400,
    message: 'The encryption request you specified is not valid. The valid value is AES256.',
  },
  MetadataTooLarge: {
    status: 400,
    message: 'Your metadata headers exceed the maximum allowed metadata size',
  },
  RequestHeaderSectionTooLarge: {
    status: 400,
    message: 'Your request header section exceeds the maximum allowed size.',
  },
  RequestTimeout: {
    status: 400,
    message:
      'Your socket connection to the server was not read from or written to within the timeout period. Idle connections will be closed.',
  },
  // body
  BadDigest: {
    status: 400,
    message: 'The Content-MD5 or checksum value you specified did not match what we received.',
  },
  EntityTooLarge: { status: 400, message: 'Your proposed upload exceeds the maximum allowed size' },
  EntityTooSmall: { status: 400, message: 'Your proposed upload is smaller than the minimum allowed size' },
  IncompleteBody: { status: 400, message: 'The request body terminated unexpectedly' },
  InvalidChunkSizeError: {
    status: 400,
    message: 'Only the last chunk is allowed to have a size less than 8192 bytes',
  },
  InvalidDigest: { status: 400, message: 'The Content-MD5 you specified was invalid.' },
  MalformedTrailerError: {
    status: 400,
    message: 'The request contained trailing data that was not well-formed or did not conform to our published schema.',
  },
  MissingContentLength: { status: 411, message: 'You must provide the Content-Length HTTP header.' },
  XAmzContentSHA256Mismatch: {
    status: 400,
    message: "The provided 'x-amz-content-sha256' header does not match what was computed.",
  },
  // buckets
  BucketAlreadyExists: {
    status: 409,
    message:
      'The requested bucket name is not available. The bucket namespace is shared by all users of the system. Please select a different name and try again.',
  },
  BucketAlreadyOwnedByYou: {
    status: 409,
    message: 'Your previous request to create the named bucket succeeded and you already own it.',
  },
  BucketNotEmpty: { status: 409, message: 'The bucket you tried to delete is not empty' },
  ServerSideEncryptionConfigurationNotFoundError: {
    status: 404,
    message: 'The server side encryption configuration was not found',
  },
  NoSuchBucket: { status: 404, message: 'The specified bucket does not exist' },
  NoSuchBucketPolicy: { status: 404, message: 'The bucket policy does not exist' },
  NoSuchCORSConfiguration: { status: 404, message: 'The CORS configuration does not exist' },
  NoSuchPublicAccessBlockConfiguration: {
    status: 404,
    message: 'The public access block configuration was not found',
  },
  NoSuchLifecycleConfiguration: { status: 404, message: 'The lifecycle configuration does not exist' },
  NoSuchTagSet: { status: 404, message: 'The TagSet does not exist' },
  OperationAborted: {
    status: 409,
    message: 'A conflicting conditional operation is currently in progress against this resource. Please try again.',
  },
  IllegalVersioningConfigurationException: { status: 400, message: 'The Versioning element must be specified' },
  InvalidBucketState: {
    status: 409,
    message: 'The request is not valid with the current state of the bucket.',
  },
  InvalidRetentionPeriod: { status: 400, message: 'The retention period must be a positive integer value' },
  ObjectLockConfigurationNotFoundError: {
    status: 404,
    message: 'Object Lock configuration does not exist for this bucket',
  },
  // objects
  IdempotencyParameterMismatch: {
    status: 400,
    message: 'Parameters on this idempotent request are inconsistent with parameters used in previous request(s).',
  },
  NoSuchObjectLockConfiguration: {
    status: 404,
    message: 'The specified object does not have a ObjectLock configuration',
  },
  InvalidPart: {
    status: 400,
    message:
      "One or more of the specified parts could not be found. The part may not have been uploaded, or the specified entity tag may not match the part's entity tag.",
  },
  InvalidPartNumber: { status: 416, message: 'The requested partnumber is not satisfiable' },
  InvalidPartOrder: {
    status: 400,
    message: 'The list of parts was not in ascending order. Parts must be ordered by part number.',
  },
  InvalidRange: { status: 416, message: 'The requested range is not satisfiable' },
  NoSuchKey: { status: 404, message: 'The specified key does not exist.' },
  NoSuchUpload: {
    status: 404,
    message:
      'The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.',
  },
  NoSuchVersion: { status: 404, message: 'The specified version does not exist.' },
  PreconditionFailed: {
    status: 412,
    message: 'At least one of the pre-conditions you specified did not hold',
  },
  // access control lists and object ownership
  AccessControlListNotSupported: { status: 400, message: 'The bucket does not allow ACLs' },
  AmbiguousGrantByEmailAddress: {
    status: 400,
    message: 'The e-mail address you provided is associated with more than one account.',
  },
  InvalidBucketAclWithObjectOwnership: {
    status: 400,
    message: "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting",
  },
  MalformedACLError: {
    status: 400,
    message: 'The XML you provided was not well-formed or did not validate against our published schema',
  },
  MissingSecurityHeader: { status: 400, message: 'Your request was missing a required header' },
  OwnershipControlsNotFoundError: { status: 404, message: 'The bucket ownership controls were not found' },
  UnexpectedContent: { status: 400, message: 'This request does not support content' },
  UnresolvableGrantByEmailAddress: {
    status: 400,
    message: 'The e-mail address you provided does not match any account on record.',
  },
  // server
  InternalError: { status: 500, message: 'We encountered an internal error. Please try again.' },
  InsufficientStorage: { status: 507, message: 'There is not enough free storage for this request.' },
  ServiceUnavailable: { status: 503, message: 'Service is unable to handle request.' },
  SlowDown: { status: 503, message: 'Please reduce your request rate.' },
  // of this endpoint's own (Ceph's gateway says the same); the clients' retries would not help, so it is no 5xx
  QuotaExceeded: {
    status: 403,
    message: 'The quota of the bucket does not allow this: delete something, or ask the operator for a larger one.',
  },
} as const satisfies Record<string, CodeSpec>;

export type S3ErrorCode = keyof typeof S3_CODES;

export interface S3ErrorOptions {
  /** Extra elements of the error document, in order, e.g. { BucketName: 'b' }. */
  readonly fields?: Readonly<Record<string, string>>;
  /** Extra response headers, e.g. content-range of a 416. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly retryAfterSeconds?: number;
  readonly cause?: unknown;
}

/** What a client is told. `message` goes on the wire: no paths, addresses or secrets of this machine in it. */
export class S3Error extends Error {
  readonly code: S3ErrorCode;
  readonly status: number;
  readonly fields: Readonly<Record<string, string>>;
  readonly headers: Readonly<Record<string, string>>;

  constructor(code: S3ErrorCode, message?: string, options: S3ErrorOptions = {}) {
    super(message ?? S3_CODES[code].message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'S3Error';
    this.code = code;
    this.status = S3_CODES[code].status;
    this.fields = options.fields ?? {};
    this.headers =
      options.retryAfterSeconds === undefined
        ? (options.headers ?? {})
        : { ...options.headers, 'retry-after': String(options.retryAfterSeconds) };
  }
}

/** InvalidArgument as S3 words it, with the name and value of the argument. */
export function invalidArgument(message: string, name: string, value: string): S3Error {
  return new S3Error('InvalidArgument', message, { fields: { ArgumentName: name, ArgumentValue: value } });
}

export interface Mapping {
  readonly s3: S3ErrorCode;
  /** Sent as Retry-After; null = a retry will not help, or not soon. */
  readonly retryAfterSeconds: number | null;
  /** Replaces the default text where S3's would mislead. */
  readonly message?: string;
}

/**
 * Exhaustive by type: a new ErrorCode without a row does not compile. Retryable ones are 503 with Retry-After.
 * SlowDown: nothing was applied. ServiceUnavailable: this node cannot, or cannot tell.
 */
export const ERROR_MAPPING: Readonly<Record<ErrorCode, Mapping>> = {
  CONFIG_INVALID: { s3: 'InternalError', retryAfterSeconds: null },
  CONFIG_REVISION_CONFLICT: { s3: 'InternalError', retryAfterSeconds: null },
  CONFIG_REFUSED: { s3: 'InternalError', retryAfterSeconds: null },
  CREDENTIAL_MISSING: { s3: 'InternalError', retryAfterSeconds: null },
  CREDENTIAL_EXISTS: { s3: 'InternalError', retryAfterSeconds: null },
  CREDENTIAL_KEY_MISSING: { s3: 'InternalError', retryAfterSeconds: null },
  LOCKED: { s3: 'ServiceUnavailable', retryAfterSeconds: 5 },
  VERSION_UNSUPPORTED: { s3: 'InternalError', retryAfterSeconds: null },
  COORDINATOR_UNAVAILABLE: {
    s3: 'ServiceUnavailable',
    retryAfterSeconds: 5,
    message: 'The coordinator cannot be reached; nothing was changed. Please try again.',
  },
  COORDINATOR_OUTCOME_UNKNOWN: {
    s3: 'ServiceUnavailable',
    retryAfterSeconds: 5,
    message: 'The coordinator did not answer; whether the change was made is not known. Please try again.',
  },
  COORDINATOR_CORRUPT: { s3: 'ServiceUnavailable', retryAfterSeconds: 10 },
  NODE_ID_TAKEN: { s3: 'ServiceUnavailable', retryAfterSeconds: 5 },
  NOT_OWNER: { s3: 'SlowDown', retryAfterSeconds: 1 },
  DATASET_BUSY: { s3: 'SlowDown', retryAfterSeconds: 1 },
  DATASET_UNAVAILABLE: {
    s3: 'ServiceUnavailable',
    retryAfterSeconds: 2,
    message: 'The bucket is not available on any node that can be reached now. Please try again.',
  },
  DATASET_MISSING: { s3: 'NoSuchBucket', retryAfterSeconds: null },
  DATASET_EXISTS: { s3: 'BucketAlreadyExists', retryAfterSeconds: null },
  DATASET_NOT_EMPTY: { s3: 'BucketNotEmpty', retryAfterSeconds: null },
  DATASET_HAS_SNAPSHOTS: {
    s3: 'BucketNotEmpty',
    retryAfterSeconds: null,
    message: 'The bucket is empty, but has snapshots. They have to be destroyed first: zring snapshot list.',
  },
  CATALOG_INCOMPLETE: {
    s3: 'ServiceUnavailable',
    retryAfterSeconds: 2,
    message: 'Whether the bucket exists cannot be proven now. Please try again.',
  },
  TERM_REFUSED: { s3: 'SlowDown', retryAfterSeconds: 1 },
  NODE_UNREACHABLE: { s3: 'SlowDown', retryAfterSeconds: 1 },
  NODE_OUTCOME_UNKNOWN: { s3: 'ServiceUnavailable', retryAfterSeconds: 1 },
  PEER_UNAUTHENTICATED: { s3: 'ServiceUnavailable', retryAfterSeconds: 5 },
  PEER_PROTOCOL: { s3: 'ServiceUnavailable', retryAfterSeconds: 5 },
  STORAGE_FULL: { s3: 'InsufficientStorage', retryAfterSeconds: null },
  QUOTA_EXCEEDED: { s3: 'QuotaExceeded', retryAfterSeconds: null },
  STORAGE_UNAVAILABLE: {
    s3: 'ServiceUnavailable',
    retryAfterSeconds: 10,
    message: 'The storage pool is suspended, read-only or failing. Please try again.',
  },
  STORAGE_OUTCOME_UNKNOWN: {
    s3: 'ServiceUnavailable',
    retryAfterSeconds: 10,
    message: 'Whether the change was stored is not known. Please try again.',
  },
  STORAGE_CORRUPT: {
    s3: 'InternalError',
    retryAfterSeconds: null,
    message: 'The stored data failed its checksum and was not returned.',
  },
  STORAGE_PERMISSION: { s3: 'InternalError', retryAfterSeconds: null },
  DATASET_NAME_INVALID: { s3: 'InvalidBucketName', retryAfterSeconds: null },
  DATASET_NOT_FOUND: { s3: 'ServiceUnavailable', retryAfterSeconds: 2 },
  DATASET_ALREADY_EXISTS: { s3: 'OperationAborted', retryAfterSeconds: null },
  SNAPSHOT_NOT_FOUND: { s3: 'ServiceUnavailable', retryAfterSeconds: 2 },
  SNAPSHOT_HELD: { s3: 'ServiceUnavailable', retryAfterSeconds: 2 },
  STREAM_INVALID: { s3: 'ServiceUnavailable', retryAfterSeconds: 2 },
  DATASET_DIVERGED: { s3: 'ServiceUnavailable', retryAfterSeconds: 10 },
  MOUNT_INVALID: { s3: 'ServiceUnavailable', retryAfterSeconds: 10 },
  ACCESS_DENIED: { s3: 'AccessDenied', retryAfterSeconds: null },
  OBJECT_MISSING: { s3: 'NoSuchKey', retryAfterSeconds: null },
  VERSIONING_CONFLICT: { s3: 'InvalidBucketState', retryAfterSeconds: null },
  UPLOAD_MISSING: { s3: 'NoSuchUpload', retryAfterSeconds: null },
  PRECONDITION_FAILED: { s3: 'PreconditionFailed', retryAfterSeconds: null },
  NOT_MODIFIED: { s3: 'NotModified', retryAfterSeconds: null },
  PART_INVALID: { s3: 'InvalidPart', retryAfterSeconds: null },
  PART_ORDER_INVALID: { s3: 'InvalidPartOrder', retryAfterSeconds: null },
  PART_TOO_SMALL: { s3: 'EntityTooSmall', retryAfterSeconds: null },
  RANGE_INVALID: { s3: 'InvalidRange', retryAfterSeconds: null },
  LIMIT_EXCEEDED: { s3: 'InvalidRequest', retryAfterSeconds: null, message: 'The request exceeds a limit.' },
  ABORTED: { s3: 'RequestTimeout', retryAfterSeconds: null },
  SHUTTING_DOWN: { s3: 'ServiceUnavailable', retryAfterSeconds: 1 },
  INTERNAL: { s3: 'InternalError', retryAfterSeconds: null },
};

/**
 * Any failure as an S3Error. An unknown one becomes InternalError with the original as `cause`: its own message may
 * name paths, so it is for the log, never for the wire.
 */
export function toS3Error(error: unknown): S3Error {
  if (error instanceof S3Error) return error;
  if (error instanceof ZringError) {
    const mapping = ERROR_MAPPING[error.code];
    const text = wording(error, mapping);
    return new S3Error(mapping.s3, text, {
      cause: error,
      ...(mapping.retryAfterSeconds === null ? {} : { retryAfterSeconds: mapping.retryAfterSeconds }),
    });
  }
  return new S3Error('InternalError', undefined, { cause: error });
}

function wording(error: ZringError, mapping: Mapping): string | undefined {
  if (error.code === 'LIMIT_EXCEEDED') return limitText(error.details) ?? mapping.message;
  // The name of a pool or dataset tells the operator where to look; a path or a command line stays in the log.
  if (error.code === 'STORAGE_UNAVAILABLE' && /^[A-Za-z][\w.:-]*(\/[\w.:-]+)*$/.test(error.subject ?? '')) {
    return `${mapping.message} (${error.subject})`;
  }
  return mapping.message;
}

function limitText(details: unknown): string | null {
  if (typeof details !== 'object' || details === null || !('limit' in details) || !('max' in details)) return null;
  return `The request exceeds the limit ${String(details.limit)} of ${String(details.max)}.`;
}

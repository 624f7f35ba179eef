// The one error type of the project. Callers branch on `code`; only src/s3/errors.ts turns codes into S3's.
// A code that means "failed, nothing happened" is never reused for "the outcome is unknown".

/** Every failure the product can name. docs/ERRORS.md lists each; a test compares the two. */
export const ERROR_CODES = [
  // configuration and start-up
  'CONFIG_INVALID', // details: ConfigFault[]
  'CONFIG_REVISION_CONFLICT', // same revision, other content
  'CONFIG_REFUSED', // e.g. a removed node still owns datasets
  'LOCKED', // another process holds the storage root or the coordinator folder
  'VERSION_UNSUPPORTED', // a format written by a newer release
  // kept credentials
  'CREDENTIAL_MISSING', // no such entry
  'CREDENTIAL_EXISTS', // the access key is taken, or the e-mail is another owner's
  'CREDENTIAL_KEY_MISSING', // cluster.credentialKey is not set, or is another one
  // coordinator
  'COORDINATOR_UNAVAILABLE', // not reached; nothing was asked
  'COORDINATOR_OUTCOME_UNKNOWN', // asked, and the reply was lost
  'COORDINATOR_CORRUPT', // it answered with what cannot be a map or record: damaged or foreign data; nothing is built on it
  'NODE_ID_TAKEN', // the lease of this node id is held by another process
  // ownership and routing
  'NOT_OWNER', // details: NotOwnerDetails
  'DATASET_BUSY', // the gate is closed for a moment (handoff); retry
  'DATASET_UNAVAILABLE', // no proof of ownership, or the owner cannot be reached; retry
  'DATASET_MISSING', // proven absent: tombstone or complete catalog
  'DATASET_EXISTS',
  'DATASET_NOT_EMPTY',
  'DATASET_HAS_SNAPSHOTS',
  'CATALOG_INCOMPLETE', // absence cannot be proven now; retry
  'TERM_REFUSED', // a lower term, or the same one with other content
  'NODE_UNREACHABLE',
  'NODE_OUTCOME_UNKNOWN', // command line: a node was asked for what must not be done twice, and no answer came
  'PEER_UNAUTHENTICATED',
  'PEER_PROTOCOL',
  // storage
  'STORAGE_FULL',
  'QUOTA_EXCEEDED', // of one dataset, which is full; nothing of the write is kept
  'STORAGE_UNAVAILABLE', // pool suspended, read-only, I/O error
  'STORAGE_OUTCOME_UNKNOWN', // the flush of a commit failed: it may or may not be there after reopening
  'STORAGE_CORRUPT', // checksum mismatch, damaged index
  'STORAGE_PERMISSION',
  'DATASET_NAME_INVALID',
  'DATASET_NOT_FOUND', // dataset driver: no such dataset on this pool
  'DATASET_ALREADY_EXISTS', // dataset driver
  'SNAPSHOT_NOT_FOUND',
  'SNAPSHOT_HELD',
  'STREAM_INVALID', // receive: cut, damaged or not matching stream
  'DATASET_DIVERGED', // receive: the copy was modified since the common snapshot
  'MOUNT_INVALID', // the path is not a mount of the expected dataset
  // objects
  'ACCESS_DENIED', // said by the node of another bucket, e.g. of a copy's source
  'OBJECT_MISSING',
  'UPLOAD_MISSING',
  'PRECONDITION_FAILED',
  'VERSIONING_CONFLICT', // what is only done while versioning is off
  'NOT_MODIFIED',
  'PART_INVALID',
  'PART_ORDER_INVALID',
  'PART_TOO_SMALL',
  'RANGE_INVALID',
  // general
  'LIMIT_EXCEEDED', // details: { limit: string, max: number }
  'ABORTED',
  'SHUTTING_DOWN',
  'INTERNAL',
] as const;

export type ErrorCode = (typeof ERROR_CODES)[number];

/** What a node that is not the owner knows; travels in the typed refusal of the peer protocol. */
export interface NotOwnerDetails {
  /** Map epoch of the refusing node. */
  epoch: number;
  /** The owner as far as this node knows, or null. */
  owner: string | null;
  term: string | null;
}

export class ZringError extends Error {
  readonly code: ErrorCode;
  /** What the operation was about: a dataset, key, path, address. */
  readonly subject: string | undefined;
  readonly details: unknown;

  constructor(
    code: ErrorCode,
    message: string,
    options: { cause?: unknown; subject?: string; details?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'ZringError';
    this.code = code;
    this.subject = options.subject;
    this.details = options.details;
  }
}

export function isZringError(error: unknown, code?: ErrorCode): error is ZringError {
  return error instanceof ZringError && (code === undefined || error.code === code);
}

/** Use for what only a bug can cause; never for input from outside. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new Error(`bug: ${message}`);
}

// Every limit of the S3 surface, each with its value, what it prevents, where the number comes from and the S3
// error that a client gets beyond it. One place, so that docs/S3.md can list them and no number hides in a parser.
import { S3_LISTENER_LIMITS } from '../routing/limits.ts';
import type { S3ErrorCode } from './errors.ts';

export interface Limit {
  readonly value: number;
  readonly unit: 'bytes' | 'seconds' | 'count' | 'characters' | 'levels';
  /** S3 code of the answer beyond it; null when the value is clamped instead. */
  readonly error: S3ErrorCode | null;
  /** Page of AWS that says so, or the reason when the number is ours. */
  readonly source: string;
}

const KIB = 1024;
const MIB = 1024 * KIB;
const GIB = 1024 * MIB;

export const LIMITS = {
  // names
  keyBytesMax: {
    value: 1024,
    unit: 'bytes',
    error: 'KeyTooLongError',
    source: 'AWS: Amazon S3 User Guide, Naming Amazon S3 objects',
  },
  bucketNameCharactersMin: {
    value: 3,
    unit: 'characters',
    error: 'InvalidBucketName',
    source: 'AWS: Amazon S3 User Guide, Bucket naming rules',
  },
  bucketNameCharactersMax: {
    value: 63,
    unit: 'characters',
    error: 'InvalidBucketName',
    source: 'AWS: Amazon S3 User Guide, Bucket naming rules',
  },
  // request head
  requestTargetBytesMax: {
    value: S3_LISTENER_LIMITS.targetBytesMax,
    unit: 'bytes',
    error: 'InvalidURI',
    source: 'ours: a key of 1024 bytes is 3 KiB when percent-encoded, a presigned query about 2 KiB',
  },
  queryParametersMax: {
    value: 100,
    unit: 'count',
    error: 'InvalidURI',
    source: 'ours: bounds the sort of the canonical query; no operation has more than 20',
  },
  headersMax: {
    value: S3_LISTENER_LIMITS.headersMax,
    unit: 'count',
    error: 'RequestHeaderSectionTooLarge',
    source: 'ours, kept by the listener; S3 bounds the bytes only',
  },
  headerBytesMax: {
    value: S3_LISTENER_LIMITS.headerBytesMax,
    unit: 'bytes',
    error: 'RequestHeaderSectionTooLarge',
    source: 'ours, kept by the listener; S3 allows 8 KiB for PUT, most clients stay below 4 KiB',
  },
  userMetadataBytesMax: {
    value: 2 * KIB,
    unit: 'bytes',
    error: 'MetadataTooLarge',
    source: 'AWS: Amazon S3 User Guide, Working with object metadata (sum of names and values)',
  },
  // time
  clockSkewSecondsMax: {
    value: 15 * 60,
    unit: 'seconds',
    error: 'RequestTimeTooSkewed',
    source: 'AWS: Amazon S3 API Reference, Error responses (RequestTimeTooSkewed)',
  },
  presignedSecondsMax: {
    value: 604_800,
    unit: 'seconds',
    error: 'AccessDenied',
    source: 'AWS: Amazon S3 API Reference, Authenticating requests: using query parameters',
  },
  // bodies
  putBytesMax: {
    value: 5 * GIB,
    unit: 'bytes',
    error: 'EntityTooLarge',
    source: 'AWS: Amazon S3 User Guide, Uploading objects (single PUT)',
  },
  partBytesMax: {
    value: 5 * GIB,
    unit: 'bytes',
    error: 'EntityTooLarge',
    source: 'AWS: Amazon S3 User Guide, Multipart upload limits',
  },
  partBytesMin: {
    value: 5 * MIB,
    unit: 'bytes',
    error: 'EntityTooSmall',
    source: 'AWS: Amazon S3 User Guide, Multipart upload limits (every part but the last)',
  },
  partNumberMax: {
    value: 10_000,
    unit: 'count',
    error: 'InvalidArgument',
    source: 'AWS: Amazon S3 User Guide, Multipart upload limits',
  },
  copyBytesMax: {
    value: 5 * GIB,
    unit: 'bytes',
    error: 'InvalidRequest',
    source: 'AWS: Amazon S3 API Reference, CopyObject (larger objects by UploadPartCopy)',
  },
  // aws-chunked
  chunkHeaderBytesMax: {
    value: 256,
    unit: 'bytes',
    error: 'IncompleteBody',
    source: 'ours: 16 hex digits, ;chunk-signature= and 64 hex digits are 97 bytes; stops endless header lines',
  },
  chunkBytesMax: {
    value: 5 * GIB,
    unit: 'bytes',
    error: 'IncompleteBody',
    source: 'ours: no chunk can be larger than the largest body',
  },
  chunkBytesMin: {
    value: 8 * KIB,
    unit: 'bytes',
    error: 'InvalidChunkSizeError',
    source: 'AWS: Amazon S3 API Reference, Signature calculations: chunked upload (every chunk but the last)',
  },
  trailerBytesMax: {
    value: 4 * KIB,
    unit: 'bytes',
    error: 'MalformedTrailerError',
    source: 'ours: the longest real trailer (SHA-512 checksum and signature) is below 300 bytes',
  },
  trailerLinesMax: {
    value: 8,
    unit: 'count',
    error: 'MalformedTrailerError',
    source: 'ours: S3 sends one checksum and one signature',
  },
  // XML and lists
  deleteObjectsKeysMax: {
    value: 1000,
    unit: 'count',
    error: 'MalformedXML',
    source: 'AWS: Amazon S3 API Reference, DeleteObjects',
  },
  deleteObjectsBytesMax: {
    value: 8 * MIB,
    unit: 'bytes',
    error: 'MaxMessageLengthExceeded',
    source: 'ours: 1000 keys of 1024 bytes, each byte escaped as six characters, and their markup',
  },
  completeUploadBytesMax: {
    value: 6 * MIB,
    unit: 'bytes',
    error: 'MaxMessageLengthExceeded',
    source: 'ours: 10,000 parts with a SHA-512 checksum each, generously spaced',
  },
  policyBytesMax: {
    value: 20 * KIB,
    unit: 'bytes',
    error: 'MaxMessageLengthExceeded',
    source: 'AWS: Amazon S3 User Guide, Policies and permissions in Amazon S3 (bucket policies are limited to 20 KB)',
  },
  configurationBytesMax: {
    value: 64 * KIB,
    unit: 'bytes',
    error: 'MaxMessageLengthExceeded',
    source: 'ours: CreateBucketConfiguration is below 1 KiB; S3 bounds bucket documents to 20–64 KiB',
  },
  aclGrantsMax: {
    value: 100,
    unit: 'count',
    error: 'MalformedACLError',
    source: 'AWS: Amazon S3 User Guide, Access control list (ACL) overview (up to 100 grants)',
  },
  xmlDepthMax: {
    value: 16,
    unit: 'levels',
    error: 'MalformedXML',
    source: 'ours: the deepest document of S3 has 8 levels; stops recursion by nesting',
  },
  xmlElementsMax: {
    value: 120_000,
    unit: 'count',
    error: 'MalformedXML',
    source: 'ours: CompleteMultipartUpload with 10,000 parts of up to 11 children; stops floods of tiny elements',
  },
  listKeysMax: {
    value: 1000,
    unit: 'count',
    error: null,
    source: 'AWS: Amazon S3 API Reference, ListObjectsV2 (max-keys is clamped)',
  },
  listUploadsMax: {
    value: 1000,
    unit: 'count',
    error: null,
    source: 'AWS: Amazon S3 API Reference, ListMultipartUploads (max-uploads is clamped)',
  },
  listPartsMax: {
    value: 1000,
    unit: 'count',
    error: null,
    source: 'AWS: Amazon S3 API Reference, ListParts (max-parts is clamped)',
  },
  listBucketsMax: {
    value: 10_000,
    unit: 'count',
    error: 'InvalidArgument',
    source: 'AWS: Amazon S3 API Reference, ListBuckets (max-buckets)',
  },
  // tags, CORS rules and forms
  objectTagsMax: {
    value: 10,
    unit: 'count',
    error: 'InvalidTag',
    source: 'AWS: Amazon S3 User Guide, Categorizing your objects using tags',
  },
  bucketTagsMax: {
    value: 50,
    unit: 'count',
    error: 'InvalidTag',
    source: 'AWS: Amazon S3 User Guide, Using cost allocation S3 bucket tags',
  },
  lifecycleBytesMax: {
    value: 2 * MIB,
    unit: 'bytes',
    error: 'MaxMessageLengthExceeded',
    source: 'ours: 1000 rules of 2 KiB',
  },
  lifecycleRulesMax: {
    value: 1_000,
    unit: 'count',
    error: 'MalformedXML',
    source: 'AWS: Amazon S3 API Reference, PutBucketLifecycleConfiguration',
  },
  lifecycleIdCharactersMax: {
    value: 255,
    unit: 'characters',
    error: 'InvalidArgument',
    source: 'AWS: Amazon S3 API Reference, LifecycleRule',
  },
  lifecycleDaysMax: {
    value: 2_147_483_647,
    unit: 'count',
    error: 'InvalidArgument',
    source: 'AWS: Amazon S3 API Reference, LifecycleExpiration (an integer of 32 bits)',
  },
  lifecycleNewerVersionsMax: {
    value: 100,
    unit: 'count',
    error: 'InvalidArgument',
    source: 'AWS: Amazon S3 API Reference, NoncurrentVersionExpiration',
  },
  lifecycleObjectBytesMax: {
    value: 5 * 1024 * GIB,
    unit: 'bytes',
    error: 'InvalidRequest',
    source: 'AWS: Amazon S3 API Reference, LifecycleRuleFilter; no object is larger',
  },
  tagKeyCharactersMax: {
    value: 128,
    unit: 'characters',
    error: 'InvalidTag',
    source: 'AWS: Amazon S3 User Guide, Categorizing your objects using tags (counted in UTF-16)',
  },
  tagValueCharactersMax: {
    value: 256,
    unit: 'characters',
    error: 'InvalidTag',
    source: 'AWS: Amazon S3 User Guide, Categorizing your objects using tags (counted in UTF-16)',
  },
  corsRulesMax: {
    value: 100,
    unit: 'count',
    error: 'InvalidRequest',
    source: 'AWS: Amazon S3 API Reference, PutBucketCors',
  },
  corsRuleIdCharactersMax: {
    value: 255,
    unit: 'characters',
    error: 'InvalidArgument',
    source: 'AWS: Amazon S3 API Reference, CORSRule',
  },
  formFieldsBytesMax: {
    value: 20 * KIB,
    unit: 'bytes',
    error: 'MaxPostPreDataLengthExceededError',
    source: 'AWS: Amazon S3 API Reference, POST Object (form data and boundaries, without the file)',
  },
  formFieldsMax: {
    value: 200,
    unit: 'count',
    error: 'MaxPostPreDataLengthExceededError',
    source: 'ours: 20 KiB hold no more fields with a header of 70 bytes each; the longest real form has about 30',
  },
  formTailBytesMax: {
    value: 1 * MIB,
    unit: 'bytes',
    error: 'MalformedPOSTRequest',
    source: 'ours: fields behind the file are read and ignored, as in S3, up to here',
  },
  // object lock
  retentionDaysMax: {
    value: 36_500,
    unit: 'count',
    error: 'InvalidRetentionPeriod',
    source: 'AWS: Amazon S3 User Guide, Locking objects with Object Lock (default retention)',
  },
  retentionYearsMax: {
    value: 100,
    unit: 'count',
    error: 'InvalidRetentionPeriod',
    source: 'AWS: Amazon S3 User Guide, Locking objects with Object Lock (default retention)',
  },
  // caches
  signingKeysCached: {
    value: 1024,
    unit: 'count',
    error: null,
    source: 'ours: one key per secret and day; the oldest entry is dropped',
  },
} as const satisfies Record<string, Limit>;

export type LimitName = keyof typeof LIMITS;

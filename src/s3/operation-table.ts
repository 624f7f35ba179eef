// The operation table: every operation of S3 by its AWS name, with what selects it on the wire, what it does and
// whether it is built. Adding one = making its row `built` and adding its handler; the compiler asks for it, for
// handlers are a Record<ImplementedOperation, …>. Data only; see operation.ts for what is done with it.
// Source: Amazon S3 API Reference, Actions; checked by a test against the operation model of the AWS SDK.

export type Scope = 'service' | 'bucket' | 'object';

/** What it does: `read` and `list-buckets` need read access, everything else write access. */
export type Action = 'list-buckets' | 'create-bucket' | 'delete-bucket' | 'read' | 'write' | 'delete';

/** none: a body is refused or ignored · object: streamed · xml: a small document · form: multipart/form-data. */
export type BodyKind = 'none' | 'object' | 'xml' | 'form';

export interface OperationSpec {
  readonly method: 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE' | 'OPTIONS';
  readonly scope: Scope;
  readonly action: Action;
  readonly implemented: boolean;
  readonly body: BodyKind;
  /** Query parameters that must be present, `name=value` when the value decides too. The most demanding row wins. */
  readonly select: readonly string[];
  /** Header that must be present (non-empty). */
  readonly header?: string;
  /** Further query parameters that it understands. */
  readonly parameters: readonly string[];
}

type Row = Omit<OperationSpec, 'implemented' | 'select' | 'parameters' | 'body'> &
  Partial<Pick<OperationSpec, 'select' | 'parameters' | 'body'>>;

function built<const R extends Row>(row: R) {
  return { select: [], parameters: [], body: 'none' as BodyKind, ...row, implemented: true as const };
}

function later<const R extends Row>(row: R) {
  return { select: [], parameters: [], body: 'none' as BodyKind, ...row, implemented: false as const };
}

/** A bucket document read, written or removed under its own sub-resource; none of them is built yet. */
function bucketGet(name: string, ...parameters: string[]) {
  return later({ method: 'GET', scope: 'bucket', action: 'read', select: [name], parameters });
}
function bucketPut(name: string, ...parameters: string[]) {
  return later({ method: 'PUT', scope: 'bucket', action: 'write', body: 'xml', select: [name], parameters });
}
function bucketDelete(name: string, ...parameters: string[]) {
  return later({ method: 'DELETE', scope: 'bucket', action: 'write', select: [name], parameters });
}
function objectGet(name: string, ...parameters: string[]) {
  return later({ method: 'GET', scope: 'object', action: 'read', select: [name], parameters });
}
function objectPut(name: string, ...parameters: string[]) {
  return later({ method: 'PUT', scope: 'object', action: 'write', body: 'xml', select: [name], parameters });
}

const RESPONSE_OVERRIDES = [
  'response-cache-control',
  'response-content-disposition',
  'response-content-encoding',
  'response-content-language',
  'response-content-type',
  'response-expires',
] as const;

export const OPERATIONS = {
  // service
  ListBuckets: built({
    method: 'GET',
    scope: 'service',
    action: 'list-buckets',
    parameters: ['max-buckets', 'continuation-token', 'prefix', 'bucket-region'],
  }),
  ListDirectoryBuckets: later({
    method: 'GET',
    scope: 'service',
    action: 'list-buckets',
    select: ['x-id=ListDirectoryBuckets'],
    parameters: ['continuation-token', 'max-directory-buckets'],
  }),

  // buckets
  CreateBucket: built({ method: 'PUT', scope: 'bucket', action: 'create-bucket', body: 'xml' }),
  HeadBucket: built({ method: 'HEAD', scope: 'bucket', action: 'read' }),
  DeleteBucket: built({ method: 'DELETE', scope: 'bucket', action: 'delete-bucket' }),
  GetBucketLocation: built({ method: 'GET', scope: 'bucket', action: 'read', select: ['location'] }),
  GetBucketVersioning: built({ method: 'GET', scope: 'bucket', action: 'read', select: ['versioning'] }),
  ListObjects: built({
    method: 'GET',
    scope: 'bucket',
    action: 'read',
    parameters: ['delimiter', 'encoding-type', 'marker', 'max-keys', 'prefix'],
  }),
  ListObjectsV2: built({
    method: 'GET',
    scope: 'bucket',
    action: 'read',
    select: ['list-type=2'],
    parameters: [
      'delimiter',
      'encoding-type',
      'max-keys',
      'prefix',
      'continuation-token',
      'fetch-owner',
      'start-after',
    ],
  }),
  ListObjectVersions: built({
    method: 'GET',
    scope: 'bucket',
    action: 'read',
    select: ['versions'],
    parameters: ['delimiter', 'encoding-type', 'key-marker', 'max-keys', 'prefix', 'version-id-marker'],
  }),
  ListMultipartUploads: built({
    method: 'GET',
    scope: 'bucket',
    action: 'read',
    select: ['uploads'],
    parameters: ['delimiter', 'encoding-type', 'key-marker', 'max-uploads', 'prefix', 'upload-id-marker'],
  }),
  DeleteObjects: built({ method: 'POST', scope: 'bucket', action: 'delete', body: 'xml', select: ['delete'] }),

  // objects
  PutObject: built({ method: 'PUT', scope: 'object', action: 'write', body: 'object' }),
  GetObject: built({
    method: 'GET',
    scope: 'object',
    action: 'read',
    parameters: ['partNumber', 'versionId', ...RESPONSE_OVERRIDES],
  }),
  HeadObject: built({
    method: 'HEAD',
    scope: 'object',
    action: 'read',
    parameters: ['partNumber', 'versionId', ...RESPONSE_OVERRIDES],
  }),
  GetObjectAttributes: built({
    method: 'GET',
    scope: 'object',
    action: 'read',
    select: ['attributes'],
    parameters: ['versionId'],
  }),
  DeleteObject: built({ method: 'DELETE', scope: 'object', action: 'delete', parameters: ['versionId'] }),
  CopyObject: built({ method: 'PUT', scope: 'object', action: 'write', header: 'x-amz-copy-source' }),

  // multipart uploads
  CreateMultipartUpload: built({ method: 'POST', scope: 'object', action: 'write', select: ['uploads'] }),
  UploadPart: built({
    method: 'PUT',
    scope: 'object',
    action: 'write',
    body: 'object',
    select: ['partNumber', 'uploadId'],
  }),
  UploadPartCopy: built({
    method: 'PUT',
    scope: 'object',
    action: 'write',
    select: ['partNumber', 'uploadId'],
    header: 'x-amz-copy-source',
  }),
  CompleteMultipartUpload: built({
    method: 'POST',
    scope: 'object',
    action: 'write',
    body: 'xml',
    select: ['uploadId'],
  }),
  AbortMultipartUpload: built({ method: 'DELETE', scope: 'object', action: 'write', select: ['uploadId'] }),
  ListParts: built({
    method: 'GET',
    scope: 'object',
    action: 'read',
    select: ['uploadId'],
    parameters: ['max-parts', 'part-number-marker', 'encoding-type'],
  }),

  // not built yet: bucket documents
  GetBucketAbac: bucketGet('abac'),
  PutBucketAbac: bucketPut('abac'),
  GetBucketAccelerateConfiguration: bucketGet('accelerate'),
  PutBucketAccelerateConfiguration: bucketPut('accelerate'),
  GetBucketAcl: bucketGet('acl'),
  PutBucketAcl: bucketPut('acl'),
  GetBucketCors: bucketGet('cors'),
  PutBucketCors: bucketPut('cors'),
  DeleteBucketCors: bucketDelete('cors'),
  GetBucketEncryption: bucketGet('encryption'),
  PutBucketEncryption: bucketPut('encryption'),
  DeleteBucketEncryption: bucketDelete('encryption'),
  GetBucketLifecycleConfiguration: bucketGet('lifecycle'),
  PutBucketLifecycleConfiguration: bucketPut('lifecycle'),
  DeleteBucketLifecycle: bucketDelete('lifecycle'),
  GetBucketLogging: bucketGet('logging'),
  PutBucketLogging: bucketPut('logging'),
  GetBucketNotificationConfiguration: bucketGet('notification'),
  PutBucketNotificationConfiguration: bucketPut('notification'),
  GetBucketOwnershipControls: bucketGet('ownershipControls'),
  PutBucketOwnershipControls: bucketPut('ownershipControls'),
  DeleteBucketOwnershipControls: bucketDelete('ownershipControls'),
  GetBucketPolicy: bucketGet('policy'),
  PutBucketPolicy: bucketPut('policy'),
  DeleteBucketPolicy: bucketDelete('policy'),
  GetBucketPolicyStatus: bucketGet('policyStatus'),
  GetBucketReplication: bucketGet('replication'),
  PutBucketReplication: bucketPut('replication'),
  DeleteBucketReplication: bucketDelete('replication'),
  GetBucketRequestPayment: bucketGet('requestPayment'),
  PutBucketRequestPayment: bucketPut('requestPayment'),
  GetBucketTagging: bucketGet('tagging'),
  PutBucketTagging: bucketPut('tagging'),
  DeleteBucketTagging: bucketDelete('tagging'),
  PutBucketVersioning: bucketPut('versioning'),
  GetBucketWebsite: bucketGet('website'),
  PutBucketWebsite: bucketPut('website'),
  DeleteBucketWebsite: bucketDelete('website'),
  GetObjectLockConfiguration: bucketGet('object-lock'),
  PutObjectLockConfiguration: bucketPut('object-lock'),
  GetPublicAccessBlock: bucketGet('publicAccessBlock'),
  PutPublicAccessBlock: bucketPut('publicAccessBlock'),
  DeletePublicAccessBlock: bucketDelete('publicAccessBlock'),
  // with an id, one of many; without, the list
  ListBucketAnalyticsConfigurations: bucketGet('analytics', 'continuation-token'),
  GetBucketAnalyticsConfiguration: later({
    method: 'GET',
    scope: 'bucket',
    action: 'read',
    select: ['analytics', 'id'],
  }),
  PutBucketAnalyticsConfiguration: bucketPut('analytics', 'id'),
  DeleteBucketAnalyticsConfiguration: bucketDelete('analytics', 'id'),
  ListBucketIntelligentTieringConfigurations: bucketGet('intelligent-tiering', 'continuation-token'),
  GetBucketIntelligentTieringConfiguration: later({
    method: 'GET',
    scope: 'bucket',
    action: 'read',
    select: ['intelligent-tiering', 'id'],
  }),
  PutBucketIntelligentTieringConfiguration: bucketPut('intelligent-tiering', 'id'),
  DeleteBucketIntelligentTieringConfiguration: bucketDelete('intelligent-tiering', 'id'),
  ListBucketInventoryConfigurations: bucketGet('inventory', 'continuation-token'),
  GetBucketInventoryConfiguration: later({
    method: 'GET',
    scope: 'bucket',
    action: 'read',
    select: ['inventory', 'id'],
  }),
  PutBucketInventoryConfiguration: bucketPut('inventory', 'id'),
  DeleteBucketInventoryConfiguration: bucketDelete('inventory', 'id'),
  ListBucketMetricsConfigurations: bucketGet('metrics', 'continuation-token'),
  GetBucketMetricsConfiguration: later({
    method: 'GET',
    scope: 'bucket',
    action: 'read',
    select: ['metrics', 'id'],
  }),
  PutBucketMetricsConfiguration: bucketPut('metrics', 'id'),
  DeleteBucketMetricsConfiguration: bucketDelete('metrics', 'id'),
  // metadata tables
  CreateBucketMetadataConfiguration: later({
    method: 'POST',
    scope: 'bucket',
    action: 'write',
    body: 'xml',
    select: ['metadataConfiguration'],
  }),
  GetBucketMetadataConfiguration: bucketGet('metadataConfiguration'),
  DeleteBucketMetadataConfiguration: bucketDelete('metadataConfiguration'),
  CreateBucketMetadataTableConfiguration: later({
    method: 'POST',
    scope: 'bucket',
    action: 'write',
    body: 'xml',
    select: ['metadataTable'],
  }),
  GetBucketMetadataTableConfiguration: bucketGet('metadataTable'),
  DeleteBucketMetadataTableConfiguration: bucketDelete('metadataTable'),
  UpdateBucketMetadataAnnotationTableConfiguration: bucketPut('metadataAnnotationTable'),
  UpdateBucketMetadataInventoryTableConfiguration: bucketPut('metadataInventoryTable'),
  UpdateBucketMetadataJournalTableConfiguration: bucketPut('metadataJournalTable'),
  // others on a bucket
  CreateSession: bucketGet('session'),
  PostObject: later({ method: 'POST', scope: 'bucket', action: 'write', body: 'form' }),
  WriteGetObjectResponse: later({
    method: 'POST',
    scope: 'object',
    action: 'write',
    body: 'object',
    header: 'x-amz-request-route',
  }),

  // not built yet: objects
  GetObjectAcl: objectGet('acl', 'versionId'),
  PutObjectAcl: objectPut('acl', 'versionId'),
  GetObjectLegalHold: objectGet('legal-hold', 'versionId'),
  PutObjectLegalHold: objectPut('legal-hold', 'versionId'),
  GetObjectRetention: objectGet('retention', 'versionId'),
  PutObjectRetention: objectPut('retention', 'versionId'),
  GetObjectTagging: objectGet('tagging', 'versionId'),
  PutObjectTagging: objectPut('tagging', 'versionId'),
  DeleteObjectTagging: later({
    method: 'DELETE',
    scope: 'object',
    action: 'write',
    select: ['tagging'],
    parameters: ['versionId'],
  }),
  GetObjectTorrent: objectGet('torrent'),
  RestoreObject: later({
    method: 'POST',
    scope: 'object',
    action: 'write',
    body: 'xml',
    select: ['restore'],
    parameters: ['versionId'],
  }),
  SelectObjectContent: later({
    method: 'POST',
    scope: 'object',
    action: 'read',
    body: 'xml',
    select: ['select'],
    parameters: ['select-type'],
  }),
  RenameObject: objectPut('renameObject'),
  UpdateObjectEncryption: objectPut('encryption', 'versionId'),
  ListObjectAnnotations: objectGet(
    'annotation',
    'versionId',
    'max-annotation-results',
    'annotation-prefix',
    'continuation-token',
  ),
  GetObjectAnnotation: later({
    method: 'GET',
    scope: 'object',
    action: 'read',
    select: ['annotation', 'annotationName'],
    parameters: ['versionId'],
  }),
  PutObjectAnnotation: objectPut('annotation', 'annotationName', 'versionId'),
  DeleteObjectAnnotation: later({
    method: 'DELETE',
    scope: 'object',
    action: 'delete',
    select: ['annotation'],
    parameters: ['annotationName', 'versionId'],
  }),
  /** A preflight; answered for buckets too. Comes without credentials. */
  OptionsObject: later({ method: 'OPTIONS', scope: 'object', action: 'read' }),
} as const satisfies Record<string, OperationSpec>;

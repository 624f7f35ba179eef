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

/** A bucket document read, written or removed under its own sub-resource. */
function bucketGet(name: string, ...parameters: string[]) {
  return later({ method: 'GET', scope: 'bucket', action: 'read', select: [name], parameters });
}
function bucketPut(name: string, ...parameters: string[]) {
  return later({ method: 'PUT', scope: 'bucket', action: 'write', body: 'xml', select: [name], parameters });
}
function bucketDelete(name: string, ...parameters: string[]) {
  return later({ method: 'DELETE', scope: 'bucket', action: 'write', select: [name], parameters });
}
function builtGet<const N extends string>(scope: 'bucket' | 'object', name: N, ...parameters: string[]) {
  return built({ method: 'GET', scope, action: 'read', select: [name], parameters });
}
function builtPut<const N extends string>(scope: 'bucket' | 'object', name: N, ...parameters: string[]) {
  return built({ method: 'PUT', scope, action: 'write', body: 'xml', select: [name], parameters });
}
function builtDelete<const N extends string>(scope: 'bucket' | 'object', name: N, ...parameters: string[]) {
  return built({ method: 'DELETE', scope, action: 'write', select: [name], parameters });
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

  // settings of buckets and objects
  GetBucketAcl: builtGet('bucket', 'acl'),
  PutBucketAcl: builtPut('bucket', 'acl'),
  GetBucketCors: builtGet('bucket', 'cors'),
  PutBucketCors: builtPut('bucket', 'cors'),
  DeleteBucketCors: builtDelete('bucket', 'cors'),
  GetBucketEncryption: builtGet('bucket', 'encryption'),
  PutBucketEncryption: builtPut('bucket', 'encryption'),
  DeleteBucketEncryption: builtDelete('bucket', 'encryption'),
  GetBucketLifecycleConfiguration: builtGet('bucket', 'lifecycle'),
  PutBucketLifecycleConfiguration: builtPut('bucket', 'lifecycle'),
  DeleteBucketLifecycle: builtDelete('bucket', 'lifecycle'),
  GetBucketOwnershipControls: builtGet('bucket', 'ownershipControls'),
  PutBucketOwnershipControls: builtPut('bucket', 'ownershipControls'),
  DeleteBucketOwnershipControls: builtDelete('bucket', 'ownershipControls'),
  GetBucketPolicy: builtGet('bucket', 'policy'),
  PutBucketPolicy: builtPut('bucket', 'policy'),
  DeleteBucketPolicy: builtDelete('bucket', 'policy'),
  GetBucketPolicyStatus: builtGet('bucket', 'policyStatus'),
  GetBucketRequestPayment: builtGet('bucket', 'requestPayment'),
  GetBucketTagging: builtGet('bucket', 'tagging'),
  PutBucketTagging: builtPut('bucket', 'tagging'),
  DeleteBucketTagging: builtDelete('bucket', 'tagging'),
  PutBucketVersioning: builtPut('bucket', 'versioning'),
  GetObjectLockConfiguration: builtGet('bucket', 'object-lock'),
  PutObjectLockConfiguration: builtPut('bucket', 'object-lock'),
  GetPublicAccessBlock: builtGet('bucket', 'publicAccessBlock'),
  PutPublicAccessBlock: builtPut('bucket', 'publicAccessBlock'),
  DeletePublicAccessBlock: builtDelete('bucket', 'publicAccessBlock'),
  GetObjectAcl: builtGet('object', 'acl', 'versionId'),
  PutObjectAcl: builtPut('object', 'acl', 'versionId'),
  GetObjectLegalHold: builtGet('object', 'legal-hold', 'versionId'),
  PutObjectLegalHold: builtPut('object', 'legal-hold', 'versionId'),
  GetObjectRetention: builtGet('object', 'retention', 'versionId'),
  PutObjectRetention: builtPut('object', 'retention', 'versionId'),
  GetObjectTagging: builtGet('object', 'tagging', 'versionId'),
  PutObjectTagging: builtPut('object', 'tagging', 'versionId'),
  DeleteObjectTagging: built({
    method: 'DELETE',
    scope: 'object',
    action: 'write',
    select: ['tagging'],
    parameters: ['versionId'],
  }),
  RenameObject: builtPut('object', 'renameObject'),
  PostObject: built({ method: 'POST', scope: 'bucket', action: 'write', body: 'form' }),
  /** A preflight; answered for buckets too. Comes without credentials. */
  OptionsObject: built({ method: 'OPTIONS', scope: 'object', action: 'read' }),

  // not built yet: bucket documents
  GetBucketAbac: bucketGet('abac'),
  PutBucketAbac: bucketPut('abac'),
  GetBucketAccelerateConfiguration: bucketGet('accelerate'),
  PutBucketAccelerateConfiguration: bucketPut('accelerate'),
  GetBucketLogging: bucketGet('logging'),
  PutBucketLogging: bucketPut('logging'),
  GetBucketNotificationConfiguration: bucketGet('notification'),
  PutBucketNotificationConfiguration: bucketPut('notification'),
  GetBucketReplication: bucketGet('replication'),
  PutBucketReplication: bucketPut('replication'),
  DeleteBucketReplication: bucketDelete('replication'),
  PutBucketRequestPayment: bucketPut('requestPayment'),
  GetBucketWebsite: bucketGet('website'),
  PutBucketWebsite: bucketPut('website'),
  DeleteBucketWebsite: bucketDelete('website'),
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

  // not built yet: objects
  WriteGetObjectResponse: later({
    method: 'POST',
    scope: 'object',
    action: 'write',
    body: 'object',
    header: 'x-amz-request-route',
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
} as const satisfies Record<string, OperationSpec>;

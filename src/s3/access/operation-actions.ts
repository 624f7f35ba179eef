// What each operation needs: one row per operation of the table, so that the compiler asks for it when one is added.
// Data only; operation-access.ts asks the questions. docs/ACCESS.md is compared with it by a test.
// Source: Amazon S3 User Guide, "Required permissions for Amazon S3 API operations".
import type { OperationName } from '../operation.ts';
import type { Permission } from './authorizer.ts';

export type AccessRow =
  /** Of no bucket. Nobody in particular may not. */
  | { readonly on: 'service'; readonly actions: readonly [Permission] }
  /** The bucket is to be made: a rule of the credential decides. */
  | { readonly on: 'new-bucket'; readonly actions: readonly [Permission] }
  | { readonly on: 'bucket'; readonly actions: readonly [Permission] }
  | {
      readonly on: 'object';
      /** All of them. */
      readonly actions: readonly Permission[];
      /** Instead of `actions` when the request names a version. */
      readonly versioned?: readonly Permission[];
      /** Absence of the object is told only to who may list the bucket. */
      readonly existing?: true;
      /** Who began the upload may. */
      readonly initiator?: true;
      /** The body has values of condition keys: the handler asks again when it has read it. */
      readonly bodyPending?: true;
    }
  /** The handler asks for each key; refused here when none could be allowed. */
  | { readonly on: 'each-key'; readonly actions: readonly [Permission] }
  /** The body has the credentials: the handler authenticates and asks. */
  | { readonly on: 'form'; readonly actions: readonly [Permission] }
  /** Needs nothing. */
  | { readonly on: 'open'; readonly actions: readonly [] };

function service(action: Permission): AccessRow {
  return { on: 'service', actions: [action] };
}

function bucket(action: Permission): AccessRow {
  return { on: 'bucket', actions: [action] };
}

function object(...actions: readonly Permission[]): AccessRow {
  return { on: 'object', actions };
}

/** `versioned` as `s3:GetObject` → `s3:GetObjectVersion`, `s3:GetObjectAcl` → `s3:GetObjectVersionAcl`. */
function existing(...actions: readonly Permission[]): AccessRow {
  const versioned = actions.map((action) => action.replace(/Object(?!.*Object)/, 'ObjectVersion') as Permission);
  return { on: 'object', actions, versioned, existing: true };
}

/** Locks of a version have no action of their own. */
function lock(action: Permission, extra: { readonly bodyPending?: true } = {}): AccessRow {
  return { on: 'object', actions: [action], existing: true, ...extra };
}

const MULTIPART = object('s3:PutObject');

export const OPERATION_ACTIONS: Readonly<Record<OperationName, AccessRow>> = {
  ListBuckets: service('s3:ListAllMyBuckets'),
  ListDirectoryBuckets: service('s3:ListAllMyBuckets'),

  CreateBucket: { on: 'new-bucket', actions: ['s3:CreateBucket'] },
  HeadBucket: bucket('s3:ListBucket'),
  DeleteBucket: bucket('s3:DeleteBucket'),
  GetBucketLocation: bucket('s3:GetBucketLocation'),
  GetBucketVersioning: bucket('s3:GetBucketVersioning'),
  PutBucketVersioning: bucket('s3:PutBucketVersioning'),
  ListObjects: bucket('s3:ListBucket'),
  ListObjectsV2: bucket('s3:ListBucket'),
  ListObjectVersions: bucket('s3:ListBucketVersions'),
  ListMultipartUploads: bucket('s3:ListBucketMultipartUploads'),
  DeleteObjects: { on: 'each-key', actions: ['s3:DeleteObject'] },

  PutObject: object('s3:PutObject'),
  GetObject: existing('s3:GetObject'),
  HeadObject: existing('s3:GetObject'),
  GetObjectAttributes: existing('s3:GetObject', 's3:GetObjectAttributes'),
  DeleteObject: { on: 'object', actions: ['s3:DeleteObject'], versioned: ['s3:DeleteObjectVersion'] },
  CopyObject: object('s3:PutObject'),
  RenameObject: object('s3:PutObject'),
  PostObject: { on: 'form', actions: ['s3:PutObject'] },
  OptionsObject: { on: 'open', actions: [] },

  CreateMultipartUpload: MULTIPART,
  UploadPart: MULTIPART,
  UploadPartCopy: MULTIPART,
  CompleteMultipartUpload: MULTIPART,
  AbortMultipartUpload: { on: 'object', actions: ['s3:AbortMultipartUpload'], initiator: true },
  ListParts: { on: 'object', actions: ['s3:ListMultipartUploadParts'], initiator: true },

  GetBucketAcl: bucket('s3:GetBucketAcl'),
  PutBucketAcl: bucket('s3:PutBucketAcl'),
  GetBucketOwnershipControls: bucket('s3:GetBucketOwnershipControls'),
  PutBucketOwnershipControls: bucket('s3:PutBucketOwnershipControls'),
  DeleteBucketOwnershipControls: bucket('s3:PutBucketOwnershipControls'),
  GetBucketPolicy: bucket('s3:GetBucketPolicy'),
  PutBucketPolicy: bucket('s3:PutBucketPolicy'),
  DeleteBucketPolicy: bucket('s3:DeleteBucketPolicy'),
  GetBucketPolicyStatus: bucket('s3:GetBucketPolicyStatus'),
  GetPublicAccessBlock: bucket('s3:GetBucketPublicAccessBlock'),
  PutPublicAccessBlock: bucket('s3:PutBucketPublicAccessBlock'),
  DeletePublicAccessBlock: bucket('s3:PutBucketPublicAccessBlock'),
  GetBucketCors: bucket('s3:GetBucketCORS'),
  PutBucketCors: bucket('s3:PutBucketCORS'),
  DeleteBucketCors: bucket('s3:PutBucketCORS'),
  GetBucketEncryption: bucket('s3:GetEncryptionConfiguration'),
  PutBucketEncryption: bucket('s3:PutEncryptionConfiguration'),
  DeleteBucketEncryption: bucket('s3:PutEncryptionConfiguration'),
  GetBucketLifecycleConfiguration: bucket('s3:GetLifecycleConfiguration'),
  PutBucketLifecycleConfiguration: bucket('s3:PutLifecycleConfiguration'),
  DeleteBucketLifecycle: bucket('s3:PutLifecycleConfiguration'),
  GetBucketRequestPayment: bucket('s3:GetBucketRequestPayment'),
  GetBucketTagging: bucket('s3:GetBucketTagging'),
  PutBucketTagging: bucket('s3:PutBucketTagging'),
  DeleteBucketTagging: bucket('s3:PutBucketTagging'),
  GetObjectLockConfiguration: bucket('s3:GetBucketObjectLockConfiguration'),
  PutObjectLockConfiguration: bucket('s3:PutBucketObjectLockConfiguration'),

  GetObjectAcl: existing('s3:GetObjectAcl'),
  PutObjectAcl: existing('s3:PutObjectAcl'),
  GetObjectTagging: existing('s3:GetObjectTagging'),
  PutObjectTagging: {
    on: 'object',
    actions: ['s3:PutObjectTagging'],
    versioned: ['s3:PutObjectVersionTagging'],
    existing: true,
    bodyPending: true,
  },
  DeleteObjectTagging: existing('s3:DeleteObjectTagging'),
  GetObjectLegalHold: lock('s3:GetObjectLegalHold'),
  PutObjectLegalHold: lock('s3:PutObjectLegalHold', { bodyPending: true }),
  GetObjectRetention: lock('s3:GetObjectRetention'),
  PutObjectRetention: lock('s3:PutObjectRetention', { bodyPending: true }),

  // not built: answered with 501 once authenticated
  GetBucketAbac: bucket('s3:GetBucketAbac'),
  PutBucketAbac: bucket('s3:PutBucketAbac'),
  GetBucketAccelerateConfiguration: bucket('s3:GetAccelerateConfiguration'),
  PutBucketAccelerateConfiguration: bucket('s3:PutAccelerateConfiguration'),
  GetBucketLogging: bucket('s3:GetBucketLogging'),
  PutBucketLogging: bucket('s3:PutBucketLogging'),
  GetBucketNotificationConfiguration: bucket('s3:GetBucketNotification'),
  PutBucketNotificationConfiguration: bucket('s3:PutBucketNotification'),
  GetBucketReplication: bucket('s3:GetReplicationConfiguration'),
  PutBucketReplication: bucket('s3:PutReplicationConfiguration'),
  DeleteBucketReplication: bucket('s3:PutReplicationConfiguration'),
  PutBucketRequestPayment: bucket('s3:PutBucketRequestPayment'),
  GetBucketWebsite: bucket('s3:GetBucketWebsite'),
  PutBucketWebsite: bucket('s3:PutBucketWebsite'),
  DeleteBucketWebsite: bucket('s3:DeleteBucketWebsite'),
  ListBucketAnalyticsConfigurations: bucket('s3:GetAnalyticsConfiguration'),
  GetBucketAnalyticsConfiguration: bucket('s3:GetAnalyticsConfiguration'),
  PutBucketAnalyticsConfiguration: bucket('s3:PutAnalyticsConfiguration'),
  DeleteBucketAnalyticsConfiguration: bucket('s3:PutAnalyticsConfiguration'),
  ListBucketIntelligentTieringConfigurations: bucket('s3:GetIntelligentTieringConfiguration'),
  GetBucketIntelligentTieringConfiguration: bucket('s3:GetIntelligentTieringConfiguration'),
  PutBucketIntelligentTieringConfiguration: bucket('s3:PutIntelligentTieringConfiguration'),
  DeleteBucketIntelligentTieringConfiguration: bucket('s3:PutIntelligentTieringConfiguration'),
  ListBucketInventoryConfigurations: bucket('s3:GetInventoryConfiguration'),
  GetBucketInventoryConfiguration: bucket('s3:GetInventoryConfiguration'),
  PutBucketInventoryConfiguration: bucket('s3:PutInventoryConfiguration'),
  DeleteBucketInventoryConfiguration: bucket('s3:PutInventoryConfiguration'),
  ListBucketMetricsConfigurations: bucket('s3:GetMetricsConfiguration'),
  GetBucketMetricsConfiguration: bucket('s3:GetMetricsConfiguration'),
  PutBucketMetricsConfiguration: bucket('s3:PutMetricsConfiguration'),
  DeleteBucketMetricsConfiguration: bucket('s3:PutMetricsConfiguration'),
  CreateBucketMetadataConfiguration: bucket('s3:CreateBucketMetadataTableConfiguration'),
  GetBucketMetadataConfiguration: bucket('s3:GetBucketMetadataTableConfiguration'),
  DeleteBucketMetadataConfiguration: bucket('s3:DeleteBucketMetadataTableConfiguration'),
  CreateBucketMetadataTableConfiguration: bucket('s3:CreateBucketMetadataTableConfiguration'),
  GetBucketMetadataTableConfiguration: bucket('s3:GetBucketMetadataTableConfiguration'),
  DeleteBucketMetadataTableConfiguration: bucket('s3:DeleteBucketMetadataTableConfiguration'),
  UpdateBucketMetadataAnnotationTableConfiguration: bucket('s3:UpdateBucketMetadataAnnotationTableConfiguration'),
  UpdateBucketMetadataInventoryTableConfiguration: bucket('s3:UpdateBucketMetadataInventoryTableConfiguration'),
  UpdateBucketMetadataJournalTableConfiguration: bucket('s3:UpdateBucketMetadataJournalTableConfiguration'),
  CreateSession: bucket('s3:ListBucket'),
  WriteGetObjectResponse: object('s3:PutObject'),
  GetObjectTorrent: existing('s3:GetObjectTorrent'),
  RestoreObject: lock('s3:RestoreObject'),
  SelectObjectContent: existing('s3:GetObject'),
  UpdateObjectEncryption: lock('s3:UpdateObjectEncryption'),
  ListObjectAnnotations: existing('s3:ListObjectAnnotations'),
  GetObjectAnnotation: existing('s3:GetObjectAnnotation'),
  PutObjectAnnotation: existing('s3:PutObjectAnnotation'),
  DeleteObjectAnnotation: existing('s3:DeleteObjectAnnotation'),
};

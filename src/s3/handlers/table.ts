// Operation → handler and how the dataset is entered for it. The compiler finds a missing row: adding an operation is
// `built` in ../operation.ts and a row here. `delete` enters even when storage is full, for it makes room.
import type { ImplementedOperation } from '../operation.ts';
import { getBucketAcl, getObjectAcl, putBucketAcl, putObjectAcl } from './acl.ts';
import { createBucket, deleteBucket, getBucketLocation, headBucket, listBuckets } from './buckets.ts';
import type { HandlerRow } from './context.ts';
import { copyObject, uploadPartCopy } from './copy.ts';
import { deleteBucketCors, getBucketCors, putBucketCors } from './cors.ts';
import { deleteObjects } from './delete-objects.ts';
import { deleteBucketEncryption, getBucketEncryption, putBucketEncryption } from './encryption.ts';
import {
  deleteBucketLifecycle,
  getBucketLifecycleConfiguration,
  putBucketLifecycleConfiguration,
} from './lifecycle.ts';
import { listObjects, listObjectsV2, listObjectVersions } from './listing.ts';
import {
  abortMultipartUpload,
  completeMultipartUpload,
  createMultipartUpload,
  listMultipartUploads,
  listParts,
  uploadPart,
} from './multipart.ts';
import { getObjectAttributes } from './object-attributes.ts';
import {
  getObjectLegalHold,
  getObjectLockConfiguration,
  getObjectRetention,
  putObjectLegalHold,
  putObjectLockConfiguration,
  putObjectRetention,
} from './object-lock.ts';
import { getObject, headObject } from './object-read.ts';
import { deleteObject, putObject } from './object-write.ts';
import {
  deleteBucketOwnershipControls,
  getBucketOwnershipControls,
  putBucketOwnershipControls,
} from './ownership-controls.ts';
import { deleteBucketPolicy, getBucketPolicy, getBucketPolicyStatus, putBucketPolicy } from './policy.ts';
import { postObject } from './post-object.ts';
import { optionsObject } from './preflight.ts';
import { deletePublicAccessBlock, getPublicAccessBlock, putPublicAccessBlock } from './public-access-block.ts';
import { renameObject } from './rename.ts';
import { getBucketRequestPayment } from './request-payment.ts';
import {
  deleteBucketTagging,
  deleteObjectTagging,
  getBucketTagging,
  getObjectTagging,
  putBucketTagging,
  putObjectTagging,
} from './tagging.ts';
import { getBucketVersioning, putBucketVersioning } from './versioning.ts';

export const HANDLERS: Readonly<Record<ImplementedOperation, HandlerRow>> = {
  ListBuckets: { gate: 'none', run: listBuckets },
  CreateBucket: { gate: 'none', run: createBucket },
  HeadBucket: { gate: 'read', run: headBucket },
  DeleteBucket: { gate: 'none', run: deleteBucket },
  GetBucketLocation: { gate: 'read', run: getBucketLocation },
  GetBucketVersioning: { gate: 'read', run: getBucketVersioning },
  ListObjects: { gate: 'read', run: listObjects },
  ListObjectsV2: { gate: 'read', run: listObjectsV2 },
  ListObjectVersions: { gate: 'read', run: listObjectVersions },
  ListMultipartUploads: { gate: 'read', run: listMultipartUploads },
  DeleteObjects: { gate: 'delete', run: deleteObjects },
  PutObject: { gate: 'write', run: putObject },
  GetObject: { gate: 'read', run: getObject },
  HeadObject: { gate: 'read', run: headObject },
  GetObjectAttributes: { gate: 'read', run: getObjectAttributes },
  DeleteObject: { gate: 'delete', run: deleteObject },
  CopyObject: { gate: 'write', run: copyObject, slow: true },
  CreateMultipartUpload: { gate: 'write', run: createMultipartUpload },
  UploadPart: { gate: 'write', run: uploadPart },
  UploadPartCopy: { gate: 'write', run: uploadPartCopy, slow: true },
  CompleteMultipartUpload: { gate: 'write', run: completeMultipartUpload, slow: true },
  AbortMultipartUpload: { gate: 'delete', run: abortMultipartUpload },
  ListParts: { gate: 'read', run: listParts },
  GetBucketAcl: { gate: 'read', run: getBucketAcl },
  PutBucketAcl: { gate: 'write', run: putBucketAcl },
  GetObjectAcl: { gate: 'read', run: getObjectAcl },
  PutObjectAcl: { gate: 'write', run: putObjectAcl },
  GetBucketOwnershipControls: { gate: 'read', run: getBucketOwnershipControls },
  PutBucketOwnershipControls: { gate: 'write', run: putBucketOwnershipControls },
  DeleteBucketOwnershipControls: { gate: 'delete', run: deleteBucketOwnershipControls },
  GetBucketPolicy: { gate: 'read', run: getBucketPolicy },
  PutBucketPolicy: { gate: 'write', run: putBucketPolicy },
  DeleteBucketPolicy: { gate: 'delete', run: deleteBucketPolicy },
  GetBucketPolicyStatus: { gate: 'read', run: getBucketPolicyStatus },
  GetPublicAccessBlock: { gate: 'read', run: getPublicAccessBlock },
  PutPublicAccessBlock: { gate: 'write', run: putPublicAccessBlock },
  DeletePublicAccessBlock: { gate: 'delete', run: deletePublicAccessBlock },
  GetBucketCors: { gate: 'read', run: getBucketCors },
  PutBucketCors: { gate: 'write', run: putBucketCors },
  DeleteBucketCors: { gate: 'delete', run: deleteBucketCors },
  GetBucketEncryption: { gate: 'read', run: getBucketEncryption },
  PutBucketEncryption: { gate: 'write', run: putBucketEncryption },
  DeleteBucketEncryption: { gate: 'delete', run: deleteBucketEncryption },
  GetBucketLifecycleConfiguration: { gate: 'read', run: getBucketLifecycleConfiguration },
  PutBucketLifecycleConfiguration: { gate: 'write', run: putBucketLifecycleConfiguration },
  DeleteBucketLifecycle: { gate: 'delete', run: deleteBucketLifecycle },
  GetBucketTagging: { gate: 'read', run: getBucketTagging },
  PutBucketTagging: { gate: 'write', run: putBucketTagging },
  DeleteBucketTagging: { gate: 'delete', run: deleteBucketTagging },
  GetObjectTagging: { gate: 'read', run: getObjectTagging },
  PutObjectTagging: { gate: 'write', run: putObjectTagging },
  DeleteObjectTagging: { gate: 'delete', run: deleteObjectTagging },
  PutBucketVersioning: { gate: 'write', run: putBucketVersioning },
  GetObjectLockConfiguration: { gate: 'read', run: getObjectLockConfiguration },
  PutObjectLockConfiguration: { gate: 'write', run: putObjectLockConfiguration },
  GetObjectRetention: { gate: 'read', run: getObjectRetention },
  PutObjectRetention: { gate: 'write', run: putObjectRetention },
  GetObjectLegalHold: { gate: 'read', run: getObjectLegalHold },
  PutObjectLegalHold: { gate: 'write', run: putObjectLegalHold },
  RenameObject: { gate: 'write', run: renameObject },
  GetBucketRequestPayment: { gate: 'read', run: getBucketRequestPayment },
  PostObject: { gate: 'write', run: postObject },
  OptionsObject: { gate: 'read', run: optionsObject },
};

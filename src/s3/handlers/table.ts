// Operation → handler and how the dataset is entered for it. The compiler finds a missing row: adding an operation is
// `built` in ../operation.ts and a row here. `delete` enters even when storage is full, for it makes room.
import type { ImplementedOperation } from '../operation.ts';
import {
  createBucket,
  deleteBucket,
  getBucketLocation,
  getBucketVersioning,
  headBucket,
  listBuckets,
} from './buckets.ts';
import type { HandlerRow } from './context.ts';
import { copyObject, uploadPartCopy } from './copy.ts';
import { deleteObjects } from './delete-objects.ts';
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
import { getObject, headObject } from './object-read.ts';
import { deleteObject, putObject } from './object-write.ts';

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
};

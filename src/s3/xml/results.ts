// The documents that S3 answers with, as text. Pure; values are escaped here and nowhere else. ETags come without
// quotes and are quoted here. Element order follows the samples of the Amazon S3 API Reference.
import type { ChecksumType, ChecksumValue } from '../payload/checksums.ts';
import { document, escapeText, isoDate, leaf, node, S3_NAMESPACE, urlEncode } from './writer.ts';

export interface Owner {
  readonly id: string;
  readonly displayName: string;
}

type Checksums = readonly Pick<ChecksumValue, 'algorithm' | 'value'>[];

function owner(name: 'Owner' | 'Initiator', value: Owner): string {
  return node(name, leaf('ID', value.id), leaf('DisplayName', value.displayName));
}

/** One element per checksum, e.g. <ChecksumCRC32>. */
function checksumValues(checksums: Checksums | undefined, type?: ChecksumType | null): string {
  const values = (checksums ?? []).map((one) => leaf(`Checksum${one.algorithm}`, one.value)).join('');
  return values + (values === '' ? '' : leaf('ChecksumType', type));
}

export function quoted(etag: string): string {
  return `"${etag}"`;
}

// --- service ---------------------------------------------------------------------------------------------------

export interface BucketItem {
  readonly name: string;
  readonly createdMs: number;
  readonly region?: string;
}

export function listBucketsResult(result: {
  readonly owner: Owner;
  readonly buckets: readonly BucketItem[];
  readonly continuationToken?: string | null;
  readonly prefix?: string | null;
}): string {
  const buckets = result.buckets.map((bucket) =>
    node(
      'Bucket',
      leaf('Name', bucket.name),
      leaf('CreationDate', isoDate(bucket.createdMs)),
      leaf('BucketRegion', bucket.region),
    ),
  );
  return document(
    'ListAllMyBucketsResult',
    S3_NAMESPACE,
    owner('Owner', result.owner),
    node('Buckets', ...buckets),
    leaf('ContinuationToken', result.continuationToken),
    leaf('Prefix', result.prefix),
  );
}

// --- bucket ----------------------------------------------------------------------------------------------------

/** us-east-1 is answered with an empty element, as S3 does. */
export function locationResult(region: string): string {
  return document('LocationConstraint', S3_NAMESPACE, region === 'us-east-1' ? '' : escapeText(region));
}

/** null: versioning was never enabled. */
export function versioningResult(status: 'Enabled' | 'Suspended' | null): string {
  return document('VersioningConfiguration', S3_NAMESPACE, leaf('Status', status));
}

export interface ListedObject {
  readonly key: string;
  readonly modifiedMs: number;
  readonly etag: string;
  readonly size: number;
  readonly storageClass?: string;
  readonly owner?: Owner;
  readonly checksumAlgorithms?: readonly string[];
  readonly checksumType?: ChecksumType;
}

interface Listing {
  readonly bucket: string;
  readonly prefix: string;
  /** '' = none; the element is left out then. */
  readonly delimiter: string;
  readonly maxKeys: number;
  readonly encodingType: 'url' | null;
  readonly isTruncated: boolean;
  readonly commonPrefixes: readonly string[];
}

function encoder(encodingType: 'url' | null): (value: string) => string {
  return encodingType === 'url' ? urlEncode : (value) => value;
}

function prefixes(values: readonly string[], encode: (value: string) => string): string {
  return values.map((value) => node('CommonPrefixes', leaf('Prefix', encode(value)))).join('');
}

function contents(object: ListedObject, encode: (value: string) => string): string {
  return node(
    'Contents',
    leaf('Key', encode(object.key)),
    leaf('LastModified', isoDate(object.modifiedMs)),
    leaf('ETag', quoted(object.etag)),
    (object.checksumAlgorithms ?? []).map((name) => leaf('ChecksumAlgorithm', name)).join(''),
    leaf('ChecksumType', object.checksumType),
    leaf('Size', object.size),
    object.owner === undefined ? '' : owner('Owner', object.owner),
    leaf('StorageClass', object.storageClass ?? 'STANDARD'),
  );
}

export function listObjectsResult(
  result: Listing & {
    readonly marker: string;
    /** Only with a delimiter. */
    readonly nextMarker: string | null;
    readonly objects: readonly ListedObject[];
  },
): string {
  const encode = encoder(result.encodingType);
  return document(
    'ListBucketResult',
    S3_NAMESPACE,
    leaf('Name', result.bucket),
    leaf('Prefix', encode(result.prefix)),
    leaf('Marker', encode(result.marker)),
    result.nextMarker === null ? '' : leaf('NextMarker', encode(result.nextMarker)),
    leaf('MaxKeys', result.maxKeys),
    result.delimiter === '' ? '' : leaf('Delimiter', encode(result.delimiter)),
    leaf('EncodingType', result.encodingType),
    leaf('IsTruncated', result.isTruncated),
    result.objects.map((object) => contents(object, encode)).join(''),
    prefixes(result.commonPrefixes, encode),
  );
}

export function listObjectsV2Result(
  result: Listing & {
    readonly continuationToken: string | null;
    readonly nextContinuationToken: string | null;
    readonly startAfter: string | null;
    readonly objects: readonly ListedObject[];
  },
): string {
  const encode = encoder(result.encodingType);
  return document(
    'ListBucketResult',
    S3_NAMESPACE,
    leaf('Name', result.bucket),
    leaf('Prefix', encode(result.prefix)),
    result.startAfter === null ? '' : leaf('StartAfter', encode(result.startAfter)),
    leaf('ContinuationToken', result.continuationToken),
    leaf('NextContinuationToken', result.nextContinuationToken),
    leaf('KeyCount', result.objects.length + result.commonPrefixes.length),
    leaf('MaxKeys', result.maxKeys),
    result.delimiter === '' ? '' : leaf('Delimiter', encode(result.delimiter)),
    leaf('EncodingType', result.encodingType),
    leaf('IsTruncated', result.isTruncated),
    result.objects.map((object) => contents(object, encode)).join(''),
    prefixes(result.commonPrefixes, encode),
  );
}

export interface ListedVersion extends ListedObject {
  /** 'null' on a bucket without versioning. */
  readonly versionId: string;
  readonly isLatest: boolean;
  readonly deleteMarker?: boolean;
}

function version(item: ListedVersion, encode: (value: string) => string): string {
  const marker = item.deleteMarker === true;
  return node(
    marker ? 'DeleteMarker' : 'Version',
    leaf('Key', encode(item.key)),
    leaf('VersionId', item.versionId),
    leaf('IsLatest', item.isLatest),
    leaf('LastModified', isoDate(item.modifiedMs)),
    marker ? '' : leaf('ETag', quoted(item.etag)),
    marker ? '' : (item.checksumAlgorithms ?? []).map((name) => leaf('ChecksumAlgorithm', name)).join(''),
    marker ? '' : leaf('ChecksumType', item.checksumType),
    marker ? '' : leaf('Size', item.size),
    item.owner === undefined ? '' : owner('Owner', item.owner),
    marker ? '' : leaf('StorageClass', item.storageClass ?? 'STANDARD'),
  );
}

export function listVersionsResult(
  result: Listing & {
    readonly keyMarker: string;
    readonly versionIdMarker: string;
    readonly nextKeyMarker: string | null;
    readonly nextVersionIdMarker: string | null;
    readonly versions: readonly ListedVersion[];
  },
): string {
  const encode = encoder(result.encodingType);
  return document(
    'ListVersionsResult',
    S3_NAMESPACE,
    leaf('Name', result.bucket),
    leaf('Prefix', encode(result.prefix)),
    leaf('KeyMarker', encode(result.keyMarker)),
    leaf('VersionIdMarker', result.versionIdMarker),
    result.nextKeyMarker === null ? '' : leaf('NextKeyMarker', encode(result.nextKeyMarker)),
    leaf('NextVersionIdMarker', result.nextVersionIdMarker),
    leaf('MaxKeys', result.maxKeys),
    result.delimiter === '' ? '' : leaf('Delimiter', encode(result.delimiter)),
    leaf('EncodingType', result.encodingType),
    leaf('IsTruncated', result.isTruncated),
    result.versions.map((item) => version(item, encode)).join(''),
    prefixes(result.commonPrefixes, encode),
  );
}

// --- objects ---------------------------------------------------------------------------------------------------

export interface CopyResult {
  readonly etag: string;
  readonly modifiedMs: number;
  readonly checksums?: Checksums;
  readonly checksumType?: ChecksumType | null;
}

export function copyObjectResult(result: CopyResult): string {
  return copyDocument('CopyObjectResult', result);
}

export function copyPartResult(result: CopyResult): string {
  return copyDocument('CopyPartResult', result);
}

function copyDocument(name: string, result: CopyResult): string {
  return document(
    name,
    S3_NAMESPACE,
    leaf('LastModified', isoDate(result.modifiedMs)),
    leaf('ETag', quoted(result.etag)),
    checksumValues(result.checksums, result.checksumType),
  );
}

export interface DeletedItem {
  readonly key: string;
  readonly versionId?: string | null;
  /** Of the delete marker that was made, or removed for good. */
  readonly deleteMarkerVersionId?: string;
}

export interface DeleteFault {
  readonly key: string;
  readonly versionId?: string | null;
  readonly code: string;
  readonly message: string;
}

/** `quiet` leaves out what was deleted. */
export function deleteResult(result: {
  readonly quiet: boolean;
  readonly deleted: readonly DeletedItem[];
  readonly errors: readonly DeleteFault[];
}): string {
  const deleted = result.quiet
    ? []
    : result.deleted.map((item) =>
        node(
          'Deleted',
          leaf('Key', item.key),
          leaf('VersionId', item.versionId),
          item.deleteMarkerVersionId === undefined ? '' : leaf('DeleteMarker', true),
          leaf('DeleteMarkerVersionId', item.deleteMarkerVersionId),
        ),
      );
  const errors = result.errors.map((item) =>
    node(
      'Error',
      leaf('Key', item.key),
      leaf('VersionId', item.versionId),
      leaf('Code', item.code),
      leaf('Message', item.message),
    ),
  );
  return document('DeleteResult', S3_NAMESPACE, ...deleted, ...errors);
}

// --- multipart uploads -----------------------------------------------------------------------------------------

export function initiateMultipartUploadResult(result: {
  readonly bucket: string;
  readonly key: string;
  readonly uploadId: string;
}): string {
  return document(
    'InitiateMultipartUploadResult',
    S3_NAMESPACE,
    leaf('Bucket', result.bucket),
    leaf('Key', result.key),
    leaf('UploadId', result.uploadId),
  );
}

export interface CompleteResult {
  readonly location: string;
  readonly bucket: string;
  readonly key: string;
  readonly etag: string;
  readonly checksums?: Checksums;
  readonly checksumType?: ChecksumType | null;
}

export function completeMultipartUploadResult(result: CompleteResult): string {
  return document(
    'CompleteMultipartUploadResult',
    S3_NAMESPACE,
    leaf('Location', result.location),
    leaf('Bucket', result.bucket),
    leaf('Key', result.key),
    leaf('ETag', quoted(result.etag)),
    checksumValues(result.checksums, result.checksumType),
  );
}

export interface ListedPart {
  readonly number: number;
  readonly modifiedMs: number;
  readonly etag: string;
  readonly size: number;
  readonly checksums?: Checksums;
}

export function listPartsResult(result: {
  readonly bucket: string;
  readonly key: string;
  readonly uploadId: string;
  readonly owner: Owner;
  readonly initiator: Owner;
  readonly storageClass?: string;
  readonly partNumberMarker: number;
  readonly nextPartNumberMarker: number | null;
  readonly maxParts: number;
  readonly isTruncated: boolean;
  readonly parts: readonly ListedPart[];
  readonly checksumAlgorithm?: string | null;
  readonly checksumType?: ChecksumType | null;
  readonly encodingType?: 'url' | null;
}): string {
  const encode = encoder(result.encodingType ?? null);
  const parts = result.parts.map((part) =>
    node(
      'Part',
      leaf('PartNumber', part.number),
      leaf('LastModified', isoDate(part.modifiedMs)),
      leaf('ETag', quoted(part.etag)),
      leaf('Size', part.size),
      checksumValues(part.checksums),
    ),
  );
  return document(
    'ListPartsResult',
    S3_NAMESPACE,
    leaf('Bucket', result.bucket),
    leaf('EncodingType', result.encodingType),
    leaf('Key', encode(result.key)),
    leaf('UploadId', result.uploadId),
    owner('Initiator', result.initiator),
    owner('Owner', result.owner),
    leaf('StorageClass', result.storageClass ?? 'STANDARD'),
    leaf('PartNumberMarker', result.partNumberMarker),
    leaf('NextPartNumberMarker', result.nextPartNumberMarker),
    leaf('MaxParts', result.maxParts),
    leaf('IsTruncated', result.isTruncated),
    leaf('ChecksumAlgorithm', result.checksumAlgorithm),
    leaf('ChecksumType', result.checksumType),
    ...parts,
  );
}

export interface ListedUpload {
  readonly key: string;
  readonly uploadId: string;
  readonly initiatedMs: number;
  readonly owner: Owner;
  readonly initiator: Owner;
  readonly storageClass?: string;
  readonly checksumAlgorithm?: string | null;
  readonly checksumType?: ChecksumType | null;
}

export function listMultipartUploadsResult(result: {
  readonly bucket: string;
  readonly prefix: string;
  readonly delimiter: string;
  readonly keyMarker: string;
  readonly uploadIdMarker: string;
  readonly nextKeyMarker: string | null;
  readonly nextUploadIdMarker: string | null;
  readonly maxUploads: number;
  readonly encodingType: 'url' | null;
  readonly isTruncated: boolean;
  readonly uploads: readonly ListedUpload[];
  readonly commonPrefixes: readonly string[];
}): string {
  const encode = encoder(result.encodingType);
  const uploads = result.uploads.map((upload) =>
    node(
      'Upload',
      leaf('Key', encode(upload.key)),
      leaf('UploadId', upload.uploadId),
      owner('Initiator', upload.initiator),
      owner('Owner', upload.owner),
      leaf('StorageClass', upload.storageClass ?? 'STANDARD'),
      leaf('Initiated', isoDate(upload.initiatedMs)),
      leaf('ChecksumAlgorithm', upload.checksumAlgorithm),
      leaf('ChecksumType', upload.checksumType),
    ),
  );
  return document(
    'ListMultipartUploadsResult',
    S3_NAMESPACE,
    leaf('Bucket', result.bucket),
    leaf('KeyMarker', encode(result.keyMarker)),
    leaf('UploadIdMarker', result.uploadIdMarker),
    result.nextKeyMarker === null ? '' : leaf('NextKeyMarker', encode(result.nextKeyMarker)),
    leaf('NextUploadIdMarker', result.nextUploadIdMarker),
    leaf('Prefix', encode(result.prefix)),
    result.delimiter === '' ? '' : leaf('Delimiter', encode(result.delimiter)),
    leaf('EncodingType', result.encodingType),
    leaf('MaxUploads', result.maxUploads),
    leaf('IsTruncated', result.isTruncated),
    ...uploads,
    prefixes(result.commonPrefixes, encode),
  );
}

// --- errors ----------------------------------------------------------------------------------------------------

/** `fields`: extra elements of the code, e.g. BucketName. No namespace, as S3 does. */
export function errorDocument(error: {
  readonly code: string;
  readonly message: string;
  readonly resource: string;
  readonly requestId: string;
  readonly hostId: string;
  readonly fields?: Readonly<Record<string, string>>;
}): string {
  return document(
    'Error',
    null,
    leaf('Code', error.code),
    leaf('Message', error.message),
    ...Object.entries(error.fields ?? {}).map(([name, value]) => leaf(name, value)),
    leaf('Resource', error.resource),
    leaf('RequestId', error.requestId),
    leaf('HostId', error.hostId),
  );
}

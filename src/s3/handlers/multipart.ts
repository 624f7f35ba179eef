// Multipart uploads: create, upload part, list parts, list uploads, complete, abort. Completing writes a manifest in the
// store and moves no bytes. UploadPartCopy is in copy.ts.
import { createHash } from 'node:crypto';
import { isZringError } from '../../common/errors.ts';
import type { PartInfo, UploadInfo } from '../../store/types.ts';
import { objectOwners } from '../access/acl-ownership.ts';
import { invalidArgument, S3Error } from '../errors.ts';
import { abortHeaders, expirationHeaders } from '../lifecycle/headers.ts';
import { LIMITS } from '../limits.ts';
import { algorithmOfHeader, type ChecksumAlgorithm, checksumHeader } from '../payload/checksums.ts';
import { queryValue } from '../target.ts';
import type { S3Response } from '../types.ts';
import { type CompletedPart, parseCompleteRequest } from '../xml/requests.ts';
import {
  completeMultipartUploadResult,
  initiateMultipartUploadResult,
  listMultipartUploadsResult,
  listPartsResult,
  type Owner,
} from '../xml/results.ts';
import { type ObjectAttributes, type StoredChecksum, storedAttributes, toBag } from './attributes.ts';
import { receiveBlob } from './body.ts';
import { ownerOf } from './bucket-document.ts';
import { compositeChecksum, fullObjectChecksum, type PartChecksum } from './checksum-combine.ts';
import { requireSeconds } from './conditions.ts';
import { type DatasetContext, openBody, quoted, readDocument } from './context.ts';
import {
  checkPartChecksums,
  claimedChecksum,
  type DeclaredChecksum,
  declaredChecksum,
  partChecksums,
  UNDECLARED,
} from './multipart-checksum.ts';
import { lockedByDefault, newObjectAttributes, requireDigestWhenLocked } from './new-object.ts';
import { putCondition, requireMayCompare } from './object-write.ts';
import { readEncodingType, readLimit } from './page-query.ts';
import { refuseUnsupported } from './unsupported.ts';
import { writtenVersionHeaders } from './version-id.ts';

const XML = { 'content-type': 'application/xml' };

/** What an upload keeps until it is completed. Stored data. */
interface UploadAttributes {
  readonly object?: ObjectAttributes;
  readonly checksum?: DeclaredChecksum;
  readonly initiator?: Owner;
}

function uploadAttributes(upload: UploadInfo): UploadAttributes {
  return upload.attributes as UploadAttributes;
}

export async function createMultipartUpload(context: DatasetContext): Promise<S3Response> {
  const { headers, auth } = context.request;
  refuseUnsupported(headers);
  const checksum = declaredChecksum(headers);
  const attributes: UploadAttributes = {
    object: newObjectAttributes(context),
    initiator: ownerOf(auth.identity),
    ...(checksum ? { checksum } : {}),
  };
  const upload = await context.dataset.store.createUpload(context.key, { ...attributes });
  return {
    status: 200,
    headers: {
      ...XML,
      ...abortHeaders(context.dataset.store, upload),
      ...(checksum ? { 'x-amz-checksum-algorithm': checksum.algorithm, 'x-amz-checksum-type': checksum.type } : {}),
    },
    body: initiateMultipartUploadResult({ bucket: context.bucket, key: context.key, uploadId: upload.id }),
  };
}

export function requireUpload(context: DatasetContext): UploadInfo {
  const id = queryValue(context.request.target, 'uploadId') ?? '';
  const upload = context.dataset.store.upload(id, context.key);
  if (!upload) throw new S3Error('NoSuchUpload', undefined, { fields: { UploadId: id } });
  return upload;
}

export function requirePartNumber(context: DatasetContext): number {
  const text = queryValue(context.request.target, 'partNumber') ?? '';
  const number = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  const max = LIMITS.partNumberMax.value;
  if (number >= 1 && number <= max) return number;
  throw invalidArgument(`Part number must be an integer between 1 and ${max}, inclusive`, 'partNumber', text);
}

/** The algorithm every part of the upload must have a checksum of. */
export function uploadAlgorithm(upload: UploadInfo): ChecksumAlgorithm {
  return (uploadAttributes(upload).checksum ?? UNDECLARED).algorithm;
}

export async function uploadPart(context: DatasetContext): Promise<S3Response> {
  const number = requirePartNumber(context);
  refuseUnsupported(context.request.headers);
  const upload = requireUpload(context);
  const { store } = context.dataset;
  requireDigestWhenLocked(context, uploadAttributes(upload).object ?? {}, 'Put Part');
  const payload = openBody(context, {
    bytesMax: LIMITS.partBytesMax.value,
    defaultChecksum: null,
    alsoCompute: [uploadAlgorithm(upload)],
  });
  const { blob, result } = await receiveBlob(context, payload);
  checkPartChecksums(uploadAttributes(upload).checksum ?? null, result.checksums);
  const checksums = Object.fromEntries(result.checksums.map((one) => [one.algorithm, one.value]));
  const part = await store.putPart(upload.id, context.key, number, blob, result.md5Hex, { checksums });
  const shown = result.checksums.filter((one) => one.given || uploadAttributes(upload).checksum !== undefined);
  const echoed = Object.fromEntries(shown.map((one) => [checksumHeader(one.algorithm), one.value]));
  return { status: 200, headers: { etag: quoted(part.etag), ...echoed } };
}

export async function abortMultipartUpload(context: DatasetContext): Promise<S3Response> {
  const upload = requireUpload(context);
  const initiated = context.request.headers['x-amz-if-match-initiated-time'];
  if (initiated !== undefined) {
    const seconds = requireSeconds('x-amz-if-match-initiated-time', initiated);
    if (Math.floor(upload.createdMs / 1000) !== seconds) throw new S3Error('PreconditionFailed');
  }
  await context.dataset.store.abortUpload(upload.id, context.key);
  return { status: 204 };
}

export async function listParts(context: DatasetContext): Promise<S3Response> {
  const { target } = context.request;
  const upload = requireUpload(context);
  const { store } = context.dataset;
  const maxParts = readLimit(target, 'max-parts', LIMITS.listPartsMax.value);
  const marker = readLimit(target, 'part-number-marker', 0x7fffffff);
  const after = queryValue(target, 'part-number-marker') ? marker : 0;
  const page = maxParts === 0 ? { parts: [], next: null } : store.listParts(upload.id, context.key, after, maxParts);
  const { object, checksum, initiator } = uploadAttributes(upload);
  const owner = objectOwners(store)({ ...object }) ?? ownerOf(context.request.auth.identity);
  const body = listPartsResult({
    bucket: context.bucket,
    key: context.key,
    uploadId: upload.id,
    owner,
    initiator: initiator ?? owner,
    ...(object?.storageClass ? { storageClass: object.storageClass } : {}),
    partNumberMarker: after,
    nextPartNumberMarker: page.next ?? page.parts.at(-1)?.number ?? null,
    maxParts,
    isTruncated: page.next !== null,
    parts: page.parts.map((part) => ({
      number: part.number,
      modifiedMs: part.modifiedMs,
      etag: part.etag,
      size: part.size,
      checksums: shownChecksums(part, checksum),
    })),
    checksumAlgorithm: checksum?.algorithm ?? null,
    checksumType: checksum?.type ?? null,
    encodingType: readEncodingType(target),
  });
  return { status: 200, headers: { ...XML, ...abortHeaders(store, upload) }, body };
}

function shownChecksums(part: PartInfo, declared: DeclaredChecksum | undefined) {
  const value = declared && partChecksums(part)[declared.algorithm];
  return declared && value ? [{ algorithm: declared.algorithm, value }] : [];
}

export async function listMultipartUploads(context: DatasetContext): Promise<S3Response> {
  const { target } = context.request;
  const { store } = context.dataset;
  const keyMarker = queryValue(target, 'key-marker') ?? '';
  // S3 ignores the upload marker when there is no key marker.
  const uploadIdMarker = keyMarker === '' ? '' : (queryValue(target, 'upload-id-marker') ?? '');
  const prefix = queryValue(target, 'prefix') ?? '';
  const delimiter = queryValue(target, 'delimiter') ?? '';
  const maxUploads = readLimit(target, 'max-uploads', LIMITS.listUploadsMax.value);
  const page =
    maxUploads === 0
      ? { uploads: [], commonPrefixes: [], next: null }
      : store.listUploads({ prefix, delimiter, afterKey: keyMarker, afterUploadId: uploadIdMarker, limit: maxUploads });
  const owners = objectOwners(store);
  const nobody = ownerOf(context.request.auth.identity);
  const body = listMultipartUploadsResult({
    bucket: context.bucket,
    prefix,
    delimiter,
    keyMarker,
    uploadIdMarker,
    nextKeyMarker: page.next?.key ?? null,
    nextUploadIdMarker: page.next?.uploadId ?? null,
    maxUploads,
    encodingType: readEncodingType(target),
    isTruncated: page.next !== null,
    uploads: page.uploads.map((upload) =>
      listedUpload(upload, owners({ ...uploadAttributes(upload).object }) ?? nobody),
    ),
    commonPrefixes: page.commonPrefixes,
  });
  return { status: 200, headers: XML, body };
}

function listedUpload(upload: UploadInfo, owner: Owner) {
  const { object, checksum, initiator } = uploadAttributes(upload);
  return {
    key: upload.key,
    uploadId: upload.id,
    initiatedMs: upload.createdMs,
    owner,
    initiator: initiator ?? owner,
    ...(object?.storageClass ? { storageClass: object.storageClass } : {}),
    checksumAlgorithm: checksum?.algorithm ?? null,
    checksumType: checksum?.type ?? null,
  };
}

export async function completeMultipartUpload(context: DatasetContext): Promise<S3Response> {
  const { headers, target } = context.request;
  refuseUnsupported(headers);
  const condition = putCondition(headers);
  requireMayCompare(context, condition);
  const named = parseCompleteRequest(
    await readDocument(context, LIMITS.completeUploadBytesMax.value, bodyHeaders(headers)),
  );
  const uploadId = queryValue(target, 'uploadId') ?? '';
  const entry = await context.dataset.store
    .completeUpload({
      uploadId,
      key: context.key,
      parts: named.map(({ number, etag }) => ({ number, etag })),
      partBytesMin: LIMITS.partBytesMin.value,
      finish: (upload, parts) => finishUpload(context, uploadAttributes(upload), parts, named),
      ...(condition ? { condition } : {}),
    })
    .catch((error: unknown) => {
      if (!isZringError(error, 'UPLOAD_MISSING')) throw error;
      throw new S3Error('NoSuchUpload', undefined, { fields: { UploadId: uploadId } });
    });
  const { checksum } = storedAttributes(entry.attributes);
  const body = completeMultipartUploadResult({
    location: objectLocation(context),
    bucket: context.bucket,
    key: context.key,
    etag: entry.etag,
    ...(checksum
      ? {
          checksums: [{ algorithm: checksum.algorithm as ChecksumAlgorithm, value: checksum.value }],
          checksumType: checksum.type,
        }
      : {}),
  });
  const shown = { ...writtenVersionHeaders(entry), ...expirationHeaders(context.dataset.store, entry) };
  return { status: 200, headers: { ...XML, ...shown }, body };
}

/** Checksum headers of this request speak of the finished object, not of the document that is its body. */
function bodyHeaders(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => algorithmOfHeader(name) === null));
}

function objectLocation(context: DatasetContext): string {
  const { exchange, headers, target } = context.request;
  const scheme = exchange.origin.secure ? 'https' : 'http';
  return `${scheme}://${headers.host ?? ''}${target.rawPath}`;
}

/** Runs inside the commit: what it throws leaves the upload as it was. */
function finishUpload(
  context: DatasetContext,
  upload: UploadAttributes,
  parts: readonly PartInfo[],
  named: readonly CompletedPart[],
): { etag: string; attributes: Record<string, unknown> } {
  const { headers } = context.request;
  checkObjectSize(parts, headers['x-amz-mp-object-size']);
  const declared = upload.checksum ?? UNDECLARED;
  const checksum = objectChecksum(declared, parts);
  checkClaim(claimedChecksum(headers), declared, checksum);
  checkNamedChecksums(parts, named);
  const values = parts.map((part) => partChecksums(part)[declared.algorithm]);
  const attributes: ObjectAttributes = {
    ...upload.object,
    ...(checksum ? { checksum } : {}),
    ...(values.every((value): value is string => value !== undefined) ? { partChecksums: values } : {}),
  };
  return { etag: multipartEtag(parts), attributes: toBag(lockedByDefault(context, attributes)) };
}

/** md5 of the parts' binary md5s, and their number. */
function multipartEtag(parts: readonly PartInfo[]): string {
  const hash = createHash('md5');
  for (const part of parts) hash.update(Buffer.from(part.etag, 'hex'));
  return `${hash.digest('hex')}-${parts.length}`;
}

function objectChecksum(declared: DeclaredChecksum, parts: readonly PartInfo[]): StoredChecksum | null {
  const values: PartChecksum[] = [];
  for (const part of parts) {
    const value = partChecksums(part)[declared.algorithm];
    if (value === undefined) return null;
    values.push({ value, size: part.size });
  }
  return declared.type === 'COMPOSITE'
    ? compositeChecksum(declared.algorithm, values)
    : fullObjectChecksum(declared.algorithm, values);
}

function checkObjectSize(parts: readonly PartInfo[], claimed: string | undefined): void {
  if (claimed === undefined) return;
  const size = parts.reduce((sum, part) => sum + part.size, 0);
  if (claimed !== String(size)) {
    throw new S3Error('InvalidRequest', 'The provided x-amz-mp-object-size does not match the size of the parts.');
  }
}

function checkClaim(
  claim: ReturnType<typeof claimedChecksum>,
  declared: DeclaredChecksum,
  checksum: StoredChecksum | null,
): void {
  if (!claim) return;
  if (claim.algorithm !== declared.algorithm) {
    throw new S3Error('InvalidRequest', `The upload was created using the ${declared.algorithm} checksum mode.`);
  }
  const bare = (value: string) => (declared.type === 'COMPOSITE' ? value.replace(/-\d+$/, '') : value);
  if (!checksum || bare(claim.value) !== bare(checksum.value)) throw new S3Error('BadDigest');
}

/** Any checksum that the document gives must be the part's; those that are left out are known since the upload. */
function checkNamedChecksums(parts: readonly PartInfo[], named: readonly CompletedPart[]): void {
  for (const [index, part] of parts.entries()) {
    const given = named[index]?.checksums ?? [];
    const stored = partChecksums(part);
    if (given.some(({ algorithm, value }) => stored[algorithm] !== undefined && stored[algorithm] !== value)) {
      throw new S3Error('InvalidPart');
    }
  }
}

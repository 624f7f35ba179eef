// PutObject and DeleteObject. The body becomes a blob first; the object exists when the store has committed it, with
// the client's conditions checked inside that commit.
import { isZringError } from '../../common/errors.ts';
import { checkCondition } from '../../store/conditions.ts';
import type { WriteCondition } from '../../store/types.ts';
import { S3Error } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import { queryValue } from '../target.ts';
import type { S3Response } from '../types.ts';
import { checksumHeaders, readAttributes, toBag } from './attributes.ts';
import { chooseChecksum, receiveBlob } from './body.ts';
import { writeCondition } from './conditions.ts';
import { type DatasetContext, openBody, quoted, refuseVersions, wireHeaders } from './context.ts';
import { readTaggingHeader } from './tags.ts';
import { refuseUnsupported } from './unsupported.ts';

export async function putObject(context: DatasetContext): Promise<S3Response> {
  const { headers } = context.request;
  const { store } = context.dataset;
  refuseUnsupported(headers);
  const condition = putCondition(headers);
  // What fails already is refused before the body is sent; what holds now is checked again inside the commit.
  checkCondition(context.key, store.head(context.key), condition);
  const tags = readTaggingHeader(headers);
  const attributes = { ...readAttributes(wireHeaders(context)), ...(tags ? { tags } : {}) };
  const payload = openBody(context, { bytesMax: LIMITS.putBytesMax.value, defaultChecksum: 'CRC64NVME' });
  const { blob, result } = await receiveBlob(context, payload);
  const checksum = chooseChecksum(result.checksums);
  const entry = await store.put({
    key: context.key,
    blob,
    etag: result.md5Hex,
    attributes: toBag({ ...attributes, ...(checksum ? { checksum } : {}) }),
    ...(condition ? { condition } : {}),
  });
  return { status: 200, headers: { etag: quoted(entry.etag), ...checksumHeaders(checksum) } };
}

/** Conditions on dates mean nothing to a write in S3; ignoring one would be a wrong success. */
export function putCondition(headers: Readonly<Record<string, string>>): WriteCondition | undefined {
  if (headers['if-modified-since'] !== undefined || headers['if-unmodified-since'] !== undefined) {
    throw new S3Error('NotImplemented');
  }
  return writeCondition(headers);
}

export async function deleteObject(context: DatasetContext): Promise<S3Response> {
  refuseVersions(context);
  refuseUnsupported(context.request.headers);
  const condition = writeCondition(context.request.headers);
  await removeObject(context, context.key, condition);
  const version = queryValue(context.request.target, 'versionId');
  return { status: 204, headers: version === undefined ? {} : { 'x-amz-version-id': version } };
}

/** Deleting what is not there is a success, with a condition too: the caller's aim is reached. */
export async function removeObject(
  context: DatasetContext,
  key: string,
  condition: WriteCondition | undefined,
): Promise<void> {
  try {
    await context.dataset.store.remove({ key, ...(condition ? { condition } : {}) });
  } catch (error) {
    if (!isZringError(error, 'OBJECT_MISSING')) throw error;
  }
}

// Operations whose body S3 takes only with a digest of it. Pure.
import { S3Error } from '../errors.ts';
import { algorithmOfHeader } from '../payload/checksums.ts';

type Headers = Readonly<Record<string, string>>;

function hasDigest(headers: Headers): boolean {
  if (headers['x-amz-trailer'] !== undefined) return true;
  return Object.keys(headers).some((name) => name === 'content-md5' || algorithmOfHeader(name) !== null);
}

/** Documents that delete objects or lock them: damaged on the way they would do so to others, or for ever. */
export function requireDigest(headers: Headers): void {
  if (hasDigest(headers)) return;
  throw new S3Error('InvalidRequest', 'Missing required header for this request: Content-MD5 OR x-amz-checksum-*');
}

/** A body that cannot be replaced once it is stored. */
export function requireBodyDigest(headers: Headers, what: 'Put Object' | 'Put Part'): void {
  if (hasDigest(headers)) return;
  throw new S3Error(
    'InvalidRequest',
    `Content-MD5 OR x-amz-checksum- HTTP header is required for ${what} requests with Object Lock parameters`,
  );
}

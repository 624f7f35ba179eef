// The answer to a form upload that asked for status 201. Without a namespace, as S3 writes it.
import { document, leaf } from './writer.ts';

export interface PostResponse {
  readonly location: string;
  readonly bucket: string;
  readonly key: string;
  /** Without quotes. */
  readonly etag: string;
}

export function postResponse({ location, bucket, key, etag }: PostResponse): string {
  return document(
    'PostResponse',
    null,
    leaf('Location', location),
    leaf('Bucket', bucket),
    leaf('Key', key),
    leaf('ETag', `"${etag}"`),
  );
}

// What the headers of a request promise about its body: length, digests, checksums, trailer. Pure; every contradiction
// is refused here, before a client that waits for 100 Continue is told to send anything.
// Source: Amazon S3 User Guide, Checking object integrity; Amazon S3 API Reference, PutObject.
import { S3Error } from '../errors.ts';
import type { Authenticated } from '../types.ts';
import {
  algorithmOfHeader,
  type ChecksumAlgorithm,
  checksumAlgorithm,
  decodeChecksum,
  UNSUPPORTED_ALGORITHMS,
} from './checksums.ts';

type Headers = Readonly<Record<string, string>>;

export interface GivenChecksum {
  readonly algorithm: ChecksumAlgorithm;
  /** Base64 of a header; null: it comes as the trailer. */
  readonly value: string | null;
}

/** Headers of the x-amz-checksum- family that carry no value. */
const NOT_VALUES = new Set(['x-amz-checksum-algorithm', 'x-amz-checksum-type', 'x-amz-checksum-mode']);

/** The one checksum that the client gives, by header or trailer. `trailer`: whether the body's form has trailers. */
export function givenChecksum(headers: Headers, trailer: boolean): GivenChecksum | null {
  const found: GivenChecksum[] = [];
  for (const name of Object.keys(headers)) {
    if (!name.startsWith('x-amz-checksum-') || NOT_VALUES.has(name)) continue;
    const algorithm = requireAlgorithm(name);
    const value = headers[name]?.trim() ?? '';
    if (decodeChecksum(algorithm, value) === null) {
      throw new S3Error(value === '' ? 'InvalidRequest' : 'BadDigest', `Value for ${name} header is invalid.`);
    }
    found.push({ algorithm, value });
  }
  const announced = headers['x-amz-trailer']?.trim().toLowerCase();
  if (announced !== undefined && announced !== '') {
    if (!trailer) {
      throw new S3Error('InvalidRequest', 'x-amz-trailer needs a body in the form of aws-chunked with trailer.');
    }
    found.push({ algorithm: requireTrailerAlgorithm(announced), value: null });
  }
  if (found.length > 1) {
    throw new S3Error(
      'InvalidRequest',
      'Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.',
    );
  }
  const [given = null] = found;
  checkAnnounced(headers['x-amz-sdk-checksum-algorithm']?.trim(), given);
  return given;
}

function requireAlgorithm(header: string): ChecksumAlgorithm {
  const algorithm = algorithmOfHeader(header);
  if (algorithm !== null) return algorithm;
  refuseUnsupported(header.slice('x-amz-checksum-'.length));
  throw new S3Error('InvalidRequest', 'The algorithm type you specified in x-amz-checksum- header is invalid.');
}

function requireTrailerAlgorithm(header: string): ChecksumAlgorithm {
  const algorithm = algorithmOfHeader(header);
  if (algorithm !== null) return algorithm;
  if (header.startsWith('x-amz-checksum-')) refuseUnsupported(header.slice('x-amz-checksum-'.length));
  throw new S3Error('InvalidRequest', 'The value specified in the x-amz-trailer header is not supported');
}

function refuseUnsupported(name: string): void {
  const upper = name.toUpperCase();
  if (UNSUPPORTED_ALGORITHMS.some((one) => one === upper)) {
    throw new S3Error('NotImplemented', `The checksum algorithm ${upper} is not implemented.`);
  }
}

/** x-amz-sdk-checksum-algorithm announces what must then be there. */
function checkAnnounced(announced: string | undefined, given: GivenChecksum | null): void {
  if (announced === undefined || announced === '') return;
  const algorithm = checksumAlgorithm(announced);
  if (algorithm === null) {
    refuseUnsupported(announced);
    throw new S3Error('InvalidRequest', 'Value for x-amz-sdk-checksum-algorithm header is invalid.');
  }
  if (given === null) {
    throw new S3Error(
      'InvalidRequest',
      'x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers were found.',
    );
  }
  if (given.algorithm !== algorithm) {
    throw new S3Error('InvalidRequest', 'Value for x-amz-sdk-checksum-algorithm header is invalid.');
  }
}

/** Raw bytes of Content-MD5; null when absent. */
export function contentMd5(headers: Headers): Buffer | null {
  const text = headers['content-md5'];
  if (text === undefined) return null;
  const bytes = decodeChecksum('MD5', text.trim());
  if (bytes === null) throw new S3Error('InvalidDigest', undefined, { fields: { 'Content-MD5': text } });
  return bytes;
}

export interface BodyLength {
  /** Bytes of the payload, when the headers say so. */
  readonly payload: number | null;
  /** Bytes on the wire, when the headers say so; differs from `payload` for aws-chunked. */
  readonly wire: number | null;
}

/** Plain: Content-Length. aws-chunked: x-amz-decoded-content-length, without which S3 takes no body at all. */
export function bodyLength(headers: Headers, payload: Authenticated['payload']): BodyLength {
  const wire = headers['content-length'] === undefined ? null : parseLength(headers['content-length']);
  if (payload.kind !== 'chunked') return { payload: wire, wire };
  const decoded = headers['x-amz-decoded-content-length']?.trim() ?? '';
  if (!/^\d{1,15}$/.test(decoded)) throw new S3Error('MissingContentLength');
  return { payload: Number(decoded), wire };
}

function parseLength(text: string): number {
  if (/^\d{1,15}$/.test(text.trim())) return Number(text);
  throw new S3Error('MissingContentLength');
}

// Object attributes: what the S3 layer keeps with an object in the store's opaque bag, made from request headers and
// turned back into response headers. Pure. The shape is stored data: fields may be added, never change meaning.
//
// Header values are bytes. Node shows them as Latin-1 text; most clients send UTF-8, some Latin-1. A value that is not
// UTF-8 is marked, so that every client gets back exactly the bytes it sent.
import type { StoredAcl } from '../access/acl.ts';
import { S3Error } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import type { Owner } from '../xml/results.ts';

export interface StoredChecksum {
  /** As S3 writes it: CRC32, CRC32C, CRC64NVME, SHA1, SHA256. */
  readonly algorithm: string;
  /** Base64; for a composite one followed by `-N`. */
  readonly value: string;
  readonly type: 'FULL_OBJECT' | 'COMPOSITE';
}

export interface ObjectAttributes {
  /** System headers by lower-case name. */
  readonly headers?: Readonly<Record<string, string>>;
  /** User metadata by name without `x-amz-meta-`. */
  readonly meta?: Readonly<Record<string, string>>;
  /** Header names of the two bags above whose bytes are not UTF-8; they go out as Latin-1. */
  readonly latin1?: readonly string[];
  readonly checksum?: StoredChecksum;
  /** Absent = STANDARD. */
  readonly storageClass?: string;
  /** Checksums of the parts, in order; for reads by part number. */
  readonly partChecksums?: readonly string[];
  /** Who wrote it, when that is not the bucket's owner; counts while ACLs are enabled (access/acl-ownership.ts). */
  readonly owner?: Owner;
  /** Absent = private to its owner. */
  readonly acl?: StoredAcl;
  /** Absent = none. */
  readonly tags?: Readonly<Record<string, string>>;
  /** Object lock; stays when it has run out. */
  readonly retention?: { readonly mode: 'GOVERNANCE' | 'COMPLIANCE'; readonly untilMs: number };
  /** Absent = never set. */
  readonly legalHold?: boolean;
}

/** The total of user metadata, names and values, in bytes (AWS: "User-defined object metadata", 2 KB). */
export const METADATA_BYTES_MAX = LIMITS.userMetadataBytesMax.value;

const META_PREFIX = 'x-amz-meta-';
const DEFAULT_CONTENT_TYPE = 'binary/octet-stream';
const SYSTEM_HEADERS = [
  'content-type',
  'cache-control',
  'content-disposition',
  'content-encoding',
  'content-language',
  'expires',
  'x-amz-website-redirect-location',
] as const;

/** A class that needs a restore before a read, or lives elsewhere, would be a wrong success here. */
const STORAGE_CLASSES = new Set([
  'STANDARD',
  'REDUCED_REDUNDANCY',
  'STANDARD_IA',
  'ONEZONE_IA',
  'INTELLIGENT_TIERING',
  'GLACIER_IR',
]);
const STORAGE_CLASSES_ABSENT = new Set([
  'GLACIER',
  'DEEP_ARCHIVE',
  'OUTPOSTS',
  'SNOW',
  'EXPRESS_ONEZONE',
  'FSX_OPENZFS',
  'FSX_ONTAP',
]);

/** @param wire header values as Node shows them (Latin-1), names in lower case. */
export function readAttributes(wire: Readonly<Record<string, string | string[] | undefined>>): ObjectAttributes {
  const headers: Record<string, string> = {};
  const meta: Record<string, string> = {};
  const latin1: string[] = [];
  let metaBytes = 0;
  const decode = (name: string, value: string): string => {
    const decoded = decodeHeader(value);
    if (!decoded.utf8) latin1.push(name);
    return decoded.text;
  };
  for (const [name, raw] of Object.entries(wire)) {
    if (raw === undefined || !name.startsWith(META_PREFIX)) continue;
    const value = Array.isArray(raw) ? raw.join(',') : raw;
    metaBytes += name.length - META_PREFIX.length + value.length;
    meta[name.slice(META_PREFIX.length)] = decode(name, value);
  }
  if (metaBytes > METADATA_BYTES_MAX) {
    throw new S3Error('MetadataTooLarge', 'Your metadata headers exceed the maximum allowed metadata size');
  }
  for (const name of SYSTEM_HEADERS) {
    const raw = wire[name];
    if (typeof raw !== 'string') continue;
    const value = name === 'content-encoding' ? withoutAwsChunked(raw) : raw;
    if (value !== '') headers[name] = decode(name, value);
  }
  const storageClass = readStorageClass(wire['x-amz-storage-class']);
  return {
    headers,
    ...(Object.keys(meta).length > 0 ? { meta } : {}),
    ...(latin1.length > 0 ? { latin1 } : {}),
    ...(storageClass === undefined ? {} : { storageClass }),
  };
}

function readStorageClass(value: string | string[] | undefined): string | undefined {
  if (typeof value !== 'string' || value === 'STANDARD') return undefined;
  if (STORAGE_CLASSES.has(value)) return value;
  if (STORAGE_CLASSES_ABSENT.has(value)) {
    throw new S3Error('NotImplemented', `Storage class ${value} is not implemented`);
  }
  throw new S3Error('InvalidStorageClass', 'The storage class you specified is not valid');
}

/** aws-chunked describes the transfer, not the object; the rest stays as it was written. */
function withoutAwsChunked(encoding: string): string {
  return encoding.replace(/(^|,)\s*aws-chunked\s*(?=,|$)/gi, '').replace(/^[\s,]+/, '');
}

function decodeHeader(wire: string): { text: string; utf8: boolean } {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the question is whether it is plain ASCII
  if (/^[\x00-\x7f]*$/.test(wire)) return { text: wire, utf8: true };
  try {
    return { text: new TextDecoder('utf-8', { fatal: true }).decode(Buffer.from(wire, 'latin1')), utf8: true };
  } catch {
    return { text: wire, utf8: false };
  }
}

function encodeHeader(text: string, latin1: boolean): string {
  return latin1 ? text : Buffer.from(text, 'utf8').toString('latin1');
}

/** The bag as the store returned it. Fields of another type than ours are a damaged index: treated as absent. */
export function storedAttributes(bag: Readonly<Record<string, unknown>>): ObjectAttributes {
  return bag as ObjectAttributes;
}

export function toBag(attributes: ObjectAttributes): Record<string, unknown> {
  return { ...attributes };
}

/** Response headers of stored attributes, without checksums. */
export function attributeHeaders(attributes: ObjectAttributes): Record<string, string> {
  const latin1 = new Set(attributes.latin1);
  const out: Record<string, string> = { 'content-type': DEFAULT_CONTENT_TYPE };
  for (const [name, value] of Object.entries(attributes.headers ?? {})) {
    out[name] = encodeHeader(value, latin1.has(name));
  }
  for (const [name, value] of Object.entries(attributes.meta ?? {})) {
    out[META_PREFIX + name] = encodeHeader(value, latin1.has(META_PREFIX + name));
  }
  if (attributes.storageClass) out['x-amz-storage-class'] = attributes.storageClass;
  return out;
}

export function checksumHeaders(checksum: StoredChecksum | undefined): Record<string, string> {
  if (!checksum) return {};
  return {
    [`x-amz-checksum-${checksum.algorithm.toLowerCase()}`]: checksum.value,
    'x-amz-checksum-type': checksum.type,
  };
}

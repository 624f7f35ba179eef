// From the raw request target and Host to bucket, key and query. Pure. Nothing is normalised: '//', '.', '..' and
// trailing slashes are part of a key, and the canonical request is made from the bytes as they were sent.
// Every fault is an S3Error (InvalidURI, InvalidBucketName, KeyTooLongError), thrown before a name can reach a path.
// Node hands bytes above 0x7f in the target over as latin1 characters; here each character is one byte.
import { isIP } from 'node:net';
import { invalidArgument, S3Error } from './errors.ts';
import { LIMITS } from './limits.ts';
import type { Target } from './types.ts';

/**
 * `rawTarget`: as in the request line (origin or absolute form). `host`: the Host header, undefined when absent.
 * `domains`: suffixes for virtual-host style, lower case; the longest match wins.
 */
export function parseTarget(rawTarget: string, host: string | undefined, domains: readonly string[]): Target {
  if (rawTarget.length > LIMITS.requestTargetBytesMax.value) {
    throw new S3Error('InvalidURI', 'The request target is too long.');
  }
  const { authority, path, query: rawQuery } = splitTarget(rawTarget);
  if (authority !== null && host !== undefined && !sameAuthority(authority, host)) {
    throw new S3Error('InvalidURI', 'The authority of the request target differs from the Host header.');
  }
  const hostBucket = bucketOfHost(host ?? authority ?? '', domains);
  const { bucket, rawKey } = hostBucket === null ? splitPath(path) : { bucket: hostBucket, rawKey: path.slice(1) };
  if (bucket !== null) requireBucketName(bucket);
  return {
    bucket,
    key: rawKey === '' ? null : decodeKey(rawKey),
    rawPath: path,
    query: parseQuery(rawQuery),
    rawQuery,
    virtualHost: hostBucket !== null,
  };
}

function splitTarget(raw: string): { authority: string | null; path: string; query: string } {
  if (!/^[!"$-~\x80-\xff]*$/.test(raw)) throw new S3Error('InvalidURI'); // no control, space, '#'
  let rest = raw;
  let authority: string | null = null;
  if (!rest.startsWith('/')) {
    const match = /^https?:\/\/([^/?]+)/i.exec(rest);
    if (match?.[1] === undefined || match[1].includes('@')) throw new S3Error('InvalidURI');
    authority = match[1];
    rest = rest.slice(match[0].length);
    if (!rest.startsWith('/')) rest = `/${rest}`;
  }
  const at = rest.indexOf('?');
  return at < 0
    ? { authority, path: rest, query: '' }
    : { authority, path: rest.slice(0, at), query: rest.slice(at + 1) };
}

function sameAuthority(a: string, b: string): boolean {
  const bare = (text: string) => text.toLowerCase().replace(/:(80|443)$/, '');
  return bare(a) === bare(b);
}

/** Host without port, lower case, without a trailing dot. `[::1]:9000` → `::1`. */
export function hostName(host: string): string {
  const bracket = /^\[([^\]]*)\]/.exec(host);
  if (bracket?.[1] !== undefined) return bracket[1].toLowerCase();
  return host
    .replace(/:[0-9]*$/, '')
    .toLowerCase()
    .replace(/\.$/, '');
}

/** The bucket in front of the longest configured suffix; null = path style (bare suffix, address, unknown host). */
export function bucketOfHost(host: string, domains: readonly string[]): string | null {
  const name = hostName(host);
  if (name === '' || isIP(name) !== 0) return null;
  let longest = '';
  for (const domain of domains) {
    const suffix = domain.toLowerCase().replace(/^\.|\.$/g, '');
    if (suffix === name) return null;
    if (suffix.length > longest.length && name.endsWith(`.${suffix}`)) longest = suffix;
  }
  return longest === '' ? null : name.slice(0, -(longest.length + 1));
}

function splitPath(path: string): { bucket: string | null; rawKey: string } {
  if (path === '/') return { bucket: null, rawKey: '' };
  const slash = path.indexOf('/', 1);
  const rawBucket = slash < 0 ? path.slice(1) : path.slice(1, slash);
  return { bucket: decodeComponent(rawBucket, false), rawKey: slash < 0 ? '' : path.slice(slash + 1) };
}

function decodeKey(raw: string): string {
  const key = decodeComponent(raw, false);
  requireKey(key);
  return key;
}

/** Also for keys that come in documents and headers. */
export function requireKey(key: string): void {
  const bytes = Buffer.byteLength(key, 'utf8');
  if (bytes > LIMITS.keyBytesMax.value) {
    throw new S3Error('KeyTooLongError', undefined, {
      fields: { Size: String(bytes), MaxSizeAllowed: String(LIMITS.keyBytesMax.value) },
    });
  }
  if (bytes === 0) throw invalidArgument('The key may not be empty.', 'Key', '');
}

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * Percent-decodes once; throws InvalidURI for a broken escape or bytes that are not UTF-8.
 * `plusIsSpace`: as in query strings; in a path '+' is a plus.
 */
export function decodeComponent(raw: string, plusIsSpace: boolean): string {
  if (!/[%+\x80-\xff]/.test(raw)) return raw;
  try {
    return UTF8.decode(decodeBytes(raw, plusIsSpace));
  } catch (cause) {
    if (cause instanceof S3Error) throw cause;
    throw new S3Error('InvalidURI', undefined, { cause });
  }
}

/** The bytes behind a percent-encoded text, one decoding only. */
export function decodeBytes(raw: string, plusIsSpace: boolean): Buffer {
  const bytes = Buffer.allocUnsafe(raw.length);
  let length = 0;
  for (let at = 0; at < raw.length; at++) {
    const code = raw.charCodeAt(at);
    if (code === 0x25) {
      const high = hexDigit(raw.charCodeAt(at + 1));
      const low = hexDigit(raw.charCodeAt(at + 2));
      if (high < 0 || low < 0) throw new S3Error('InvalidURI');
      bytes[length++] = high * 16 + low;
      at += 2;
    } else if (code > 0xff) {
      throw new S3Error('InvalidURI');
    } else {
      bytes[length++] = code === 0x2b && plusIsSpace ? 0x20 : code;
    }
  }
  return bytes.subarray(0, length);
}

function hexDigit(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  if (code >= 0x41 && code <= 0x46) return code - 0x37;
  if (code >= 0x61 && code <= 0x66) return code - 0x57;
  return -1;
}

function parseQuery(raw: string): Map<string, string[]> {
  const query = new Map<string, string[]>();
  if (raw === '') return query;
  const parts = raw.split('&');
  if (parts.length > LIMITS.queryParametersMax.value) {
    throw new S3Error('InvalidURI', 'The request has too many query parameters.');
  }
  for (const part of parts) {
    if (part === '') continue;
    const at = part.indexOf('=');
    const name = decodeComponent(at < 0 ? part : part.slice(0, at), true);
    const value = at < 0 ? '' : decodeComponent(part.slice(at + 1), true);
    const values = query.get(name);
    if (values === undefined) query.set(name, [value]);
    else values.push(value);
  }
  return query;
}

/** The single value of a parameter; undefined when absent. Repeated: InvalidArgument, for guessing one is a hazard. */
export function queryValue(target: Pick<Target, 'query'>, name: string): string | undefined {
  const values = target.query.get(name);
  if (values === undefined) return undefined;
  if (values.length > 1) {
    throw invalidArgument(`The query parameter ${name} is given more than once.`, name, values.join(', '));
  }
  return values[0];
}

const RESERVED_PREFIXES = ['xn--', 'sthree-', 'amzn-s3-demo-'] as const;
const RESERVED_SUFFIXES = ['-s3alias', '--ol-s3', '.mrap', '--x-s3', '--table-s3'] as const;

/**
 * Rules of Amazon S3 User Guide, "General purpose bucket naming rules". Null = valid, else why not.
 * Each label is a DNS label as well (no hyphen beside a dot), or virtual-host style could not reach the bucket.
 */
export function bucketNameFault(name: string): string | null {
  if (name.length < LIMITS.bucketNameCharactersMin.value || name.length > LIMITS.bucketNameCharactersMax.value) {
    return 'A bucket name has 3 to 63 characters.';
  }
  if (!/^[a-z0-9.-]*$/.test(name)) return 'A bucket name has lower-case letters, digits, dots and hyphens only.';
  if (!/^[a-z0-9]/.test(name) || !/[a-z0-9]$/.test(name))
    return 'A bucket name begins and ends with a letter or digit.';
  if (/\.[.-]|-\./.test(name))
    return 'In a bucket name each label between dots begins and ends with a letter or digit.';
  if (/^\d+\.\d+\.\d+\.\d+$/.test(name)) return 'A bucket name is not an IP address.';
  for (const prefix of RESERVED_PREFIXES) if (name.startsWith(prefix)) return `The prefix ${prefix} is reserved.`;
  for (const suffix of RESERVED_SUFFIXES) if (name.endsWith(suffix)) return `The suffix ${suffix} is reserved.`;
  return null;
}

export function requireBucketName(name: string): void {
  const fault = bucketNameFault(name);
  if (fault !== null) {
    throw new S3Error('InvalidBucketName', `The specified bucket is not valid. ${fault}`, {
      fields: { BucketName: name },
    });
  }
}

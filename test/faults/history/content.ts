// Bodies that tell whose they are: a first line with the value's name and length, then blocks that depend on the name and
// on their place. So a body that was cut, mixed of two values or shifted is recognised without asking anybody. Pure.
import { createHash } from 'node:crypto';
import type { AnswerFault, Seen, Written } from './operation.ts';

const BLOCK_BYTES = 4096;
const HEADER = /^zring-value ([A-Za-z0-9.-]+) ([0-9]+)\n/;
const HEADER_BYTES_MAX = 128;

/** The bytes of a value; at least as long as its first line. */
export function bodyOf(name: string, bytes: number): Buffer {
  const header = `zring-value ${name} ${bytes}\n`;
  if (bytes < header.length) throw new RangeError(`a body of ${name} has at least ${header.length} bytes`);
  const body = Buffer.alloc(bytes, createHash('sha256').update(name).digest());
  for (let at = BLOCK_BYTES; at + 8 <= bytes; at += BLOCK_BYTES) body.writeDoubleBE(at, at);
  body.write(header, 0, 'latin1');
  return body;
}

export function md5(bytes: Buffer): string {
  return createHash('md5').update(bytes).digest('hex');
}

export function singlePartEtag(body: Buffer): string {
  return `"${md5(body)}"`;
}

/** As S3 computes it: the MD5 of the MD5s of the parts, and their number. */
export function multipartEtag(parts: readonly Buffer[]): string {
  const digests = parts.map((part) => createHash('md5').update(part).digest());
  return `"${md5(Buffer.concat(digests))}-${parts.length}"`;
}

export function contentOf(value: string, bytes: number): { body: Buffer; written: Written } {
  const body = bodyOf(value, bytes);
  return { body, written: { value, body: value, etag: singlePartEtag(body), bytes } };
}

export interface Inspected {
  /** Whose bytes these are; null when they are nobody's. */
  readonly body: string | null;
  readonly fault?: AnswerFault;
}

/** Judges a complete answer by itself; whether the value may be seen now is the checker's question. */
export function inspectBody(body: Buffer, headers: Pick<Seen, 'etag' | 'bytes'>): Inspected {
  const first = HEADER.exec(body.toString('latin1', 0, HEADER_BYTES_MAX));
  const name = first?.[1];
  const bytes = Number(first?.[2]);
  if (name === undefined) return { body: null, fault: body.length === 0 ? 'truncated-body' : 'corrupt-body' };
  if (body.length < bytes) return { body: name, fault: 'truncated-body' };
  if (body.length > bytes || !body.equals(bodyOf(name, bytes))) return { body: name, fault: 'corrupt-body' };
  if (headers.bytes !== null && headers.bytes !== body.length) return { body: name, fault: 'headers-differ-from-body' };
  const { etag } = headers;
  const single = etag !== null && /^"[0-9a-f]{32}"$/.test(etag);
  // That of a multipart upload depends on its parts, which the checker knows from the writer.
  if (etag === null || (single && etag !== singlePartEtag(body)))
    return { body: name, fault: 'headers-differ-from-body' };
  return { body: name };
}

// One word for the content of all records, so that a node can tell that it has them all without reading them again. Pure.
// The XOR of a hash of each record's tag: a tag stands for one content for ever, so equal digests mean equal records, and a
// change costs one step whatever their number. The same in Lua (redis-scripts.ts).
import { createHash } from 'node:crypto';

/** 24 hexadecimal digits. */
export type RecordDigest = string;

export const NO_RECORDS: RecordDigest = '0'.repeat(24);

const WORD = 8;

/** Adds a tag, or takes it away: the same step. */
export function mixTag(digest: RecordDigest, tag: string | null): RecordDigest {
  if (tag === null) return digest;
  const hash = createHash('sha1').update(tag).digest('hex');
  let mixed = '';
  for (let i = 0; i < NO_RECORDS.length; i += WORD) {
    const word = Number.parseInt(digest.slice(i, i + WORD), 16) ^ Number.parseInt(hash.slice(i, i + WORD), 16);
    mixed += (word >>> 0).toString(16).padStart(WORD, '0');
  }
  return mixed;
}

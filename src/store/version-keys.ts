// Names of versions: the id that clients see, and the place in the index. Pure but for the random part of a new id.
//
// An id is 16 bytes as 32 hex digits: 10 random ones, then the version's sequence number (u48). The number makes looking
// it up one seek; the random part keeps ids unique when another history of the dataset (after a rollback or a takeover)
// uses a number again, so a lookup compares the whole id.
import { randomFillSync } from 'node:crypto';
import { assert } from '../common/errors.ts';
import { escapeKey, unescapeKey } from './codec.ts';

const ID_TEXT = /^[0-9a-f]{32}$/;
const ID_BYTES = 16;
const RANDOM_BYTES = 10;
const SEQUENCE_MAX = 2 ** 48 - 1;

/** One random number for many ids is taken from the system at a time: a call for each costs more than the commit's own work. */
const random = Buffer.alloc(RANDOM_BYTES * 256);
let randomUsed = random.length;

export function newVersionId(sequence: number): string {
  assert(sequence <= SEQUENCE_MAX, `sequence ${sequence} fits into a version id`);
  if (randomUsed === random.length) {
    randomFillSync(random);
    randomUsed = 0;
  }
  const id = Buffer.allocUnsafe(ID_BYTES);
  random.copy(id, 0, randomUsed, randomUsed + RANDOM_BYTES);
  randomUsed += RANDOM_BYTES;
  id.writeUIntBE(sequence, RANDOM_BYTES, ID_BYTES - RANDOM_BYTES);
  return id.toString('hex');
}

/** The sequence number in an id; null = the text is none. */
export function versionSequence(id: string): number | null {
  return ID_TEXT.test(id) ? Number.parseInt(id.slice(RANDOM_BYTES * 2), 16) : null;
}

/** A place among the versions of a key, in the shape of an id; for the null version, which has none of its own. */
export function positionId(sequence: number): string {
  return sequence.toString(16).padStart(ID_BYTES * 2, '0');
}

const END_OF_KEY = Buffer.of(0);
const SUFFIX_BYTES = 9;

/** Key in the `versions` table: newest first. */
export function versionKey(key: string, sequence: number): Buffer {
  const suffix = Buffer.alloc(SUFFIX_BYTES);
  suffix.writeUInt32BE(0xffffffff - Math.floor(sequence / 2 ** 32), 1);
  suffix.writeUInt32BE(0xffffffff - (sequence % 2 ** 32), 5);
  return Buffer.concat([escapeKey(key), suffix]);
}

export function parseVersionKey(indexKey: Buffer): { key: string; sequence: number } {
  const at = indexKey.length - SUFFIX_BYTES;
  const high = 0xffffffff - indexKey.readUInt32BE(at + 1);
  const low = 0xffffffff - indexKey.readUInt32BE(at + 5);
  return { key: unescapeKey(indexKey.subarray(0, at)).toString(), sequence: high * 2 ** 32 + low };
}

/** All versions of a key. */
export function versionsOf(key: string): { start: Buffer; end: Buffer } {
  const escaped = escapeKey(key);
  return { start: Buffer.concat([escaped, END_OF_KEY]), end: Buffer.concat([escaped, Buffer.of(1)]) };
}

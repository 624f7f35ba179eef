// Conditions of writes, against what is current inside the commit. Pure.
import { ZringError } from '../common/errors.ts';
import type { ObjectEntry, WriteCondition } from './types.ts';

/** Throws PRECONDITION_FAILED, or OBJECT_MISSING when something must exist that does not. */
export function checkCondition(key: string, current: ObjectEntry | null, condition: WriteCondition | undefined): void {
  const { ifMatch, ifNoneMatch } = condition ?? {};
  if (ifMatch !== undefined) {
    if (!current) throw new ZringError('OBJECT_MISSING', `${key} does not exist`, { subject: key });
    if (ifMatch !== '*' && !ifMatch.includes(current.etag)) {
      throw new ZringError('PRECONDITION_FAILED', `${key} is ${current.etag}`, { subject: key });
    }
  }
  if (ifNoneMatch !== undefined && current && (ifNoneMatch === '*' || ifNoneMatch.includes(current.etag))) {
    throw new ZringError('PRECONDITION_FAILED', `${key} exists as ${current.etag}`, { subject: key });
  }
}

export const KEY_BYTES_MAX = 1024;

/** A key is any well-formed text of 1 to 1024 bytes. */
export function checkKey(key: string): void {
  const bytes = Buffer.byteLength(key);
  if (bytes < 1 || bytes > KEY_BYTES_MAX || Buffer.from(key).toString() !== key) {
    throw new ZringError('LIMIT_EXCEEDED', `a key has 1 to ${KEY_BYTES_MAX} bytes of UTF-8`, {
      subject: key,
      details: { limit: 'keyBytes', max: KEY_BYTES_MAX },
    });
  }
}

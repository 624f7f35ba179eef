// Request ids: 16 upper-case hex digits, as S3 writes them. Owns a pool of random bytes (one call per 512 ids).
import { randomFillSync } from 'node:crypto';

const ID_BYTES = 8;
const pool = Buffer.alloc(512 * ID_BYTES);
let used = pool.length;

export function newRequestId(): string {
  if (used === pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  used += ID_BYTES;
  return pool.toString('hex', used - ID_BYTES, used).toUpperCase();
}

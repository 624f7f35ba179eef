// Turns what the file system or LMDB says into the project's storage errors. Pure. For everything that keeps files itself:
// the index, data files, durable maps.
import { type ErrorCode, ZringError } from './errors.ts';

/** ENOENT, ENOTDIR and ESTALE: what must be there is not, so this is not the mount that we were told it is. */
const CODES: Readonly<Record<string, ErrorCode>> = {
  ENOSPC: 'STORAGE_FULL',
  EDQUOT: 'QUOTA_EXCEEDED',
  EFBIG: 'STORAGE_FULL',
  EROFS: 'STORAGE_UNAVAILABLE',
  EIO: 'STORAGE_UNAVAILABLE',
  EACCES: 'STORAGE_PERMISSION',
  EPERM: 'STORAGE_PERMISSION',
  ENOENT: 'MOUNT_INVALID',
  ENOTDIR: 'MOUNT_INVALID',
  ESTALE: 'MOUNT_INVALID',
};

/** What LMDB reports as a bare errno (Linux numbers; these are the same on FreeBSD and macOS but for EDQUOT). */
const LMDB_CODES: ReadonlyMap<number, ErrorCode> = new Map([
  [5, 'STORAGE_UNAVAILABLE'], // EIO
  [13, 'STORAGE_PERMISSION'], // EACCES
  [1, 'STORAGE_PERMISSION'], // EPERM
  [28, 'STORAGE_FULL'], // ENOSPC
  [30, 'STORAGE_UNAVAILABLE'], // EROFS
  [69, 'QUOTA_EXCEEDED'], // EDQUOT, BSD
  [122, 'QUOTA_EXCEEDED'], // EDQUOT, Linux
  [-30797, 'STORAGE_CORRUPT'], // MDB_PAGE_NOTFOUND
  [-30796, 'STORAGE_CORRUPT'], // MDB_CORRUPTED
  [-30794, 'VERSION_UNSUPPORTED'], // MDB_VERSION_MISMATCH
  [-30793, 'STORAGE_CORRUPT'], // MDB_INVALID
  [-30792, 'STORAGE_FULL'], // MDB_MAP_FULL
]);

/** A ZringError passes unchanged; anything unknown becomes STORAGE_UNAVAILABLE, which is retried and never proves absence. */
export function storageError(cause: unknown, operation: string, subject: string): ZringError {
  if (cause instanceof ZringError) return cause;
  const code = storageErrorCode(cause) ?? 'STORAGE_UNAVAILABLE';
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new ZringError(code, `${operation} ${subject}: ${reason}`, { cause, subject });
}

export function storageErrorCode(cause: unknown): ErrorCode | undefined {
  const code = typeof cause === 'object' && cause !== null && 'code' in cause ? cause.code : undefined;
  if (isOverQuota(cause)) return 'QUOTA_EXCEEDED';
  if (typeof code === 'string') return CODES[code];
  return typeof code === 'number' ? LMDB_CODES.get(code) : undefined;
}

/** libuv has no name for EDQUOT: Node calls it `Unknown system error -122`, and only `errno` tells. */
function isOverQuota(cause: unknown): boolean {
  const errno = typeof cause === 'object' && cause !== null && 'errno' in cause ? cause.errno : undefined;
  return errno === (process.platform === 'linux' ? -122 : -69);
}

export function isErrno(cause: unknown, code: string): boolean {
  return typeof cause === 'object' && cause !== null && 'code' in cause && cause.code === code;
}

// From what ZFS prints and the system reports to ErrorCodes. Pure. The patterns are what zfs-fuse 0.7 and OpenZFS 2.1
// printed when asked (test/dataset/errors.test.ts keeps the lines); more specific ones come first.
import { type ErrorCode, isZringError, ZringError } from '../common/errors.ts';

const SYSTEM_CODES: Readonly<Record<string, ErrorCode>> = {
  ENOSPC: 'STORAGE_FULL',
  EDQUOT: 'STORAGE_FULL',
  EROFS: 'STORAGE_UNAVAILABLE',
  EIO: 'STORAGE_UNAVAILABLE',
  ENXIO: 'STORAGE_UNAVAILABLE',
  ENODEV: 'STORAGE_UNAVAILABLE',
  ENOTCONN: 'STORAGE_UNAVAILABLE',
  EACCES: 'STORAGE_PERMISSION',
  EPERM: 'STORAGE_PERMISSION',
  EBUSY: 'DATASET_BUSY',
};

/** Errors of the file system as ours; what is none of those passes unchanged. */
export function storageError(error: unknown, subject: string): unknown {
  if (isZringError(error)) return error;
  const { code, message } = (error ?? {}) as NodeJS.ErrnoException;
  const known = code === undefined ? undefined : SYSTEM_CODES[code];
  return known ? new ZringError(known, `${subject}: ${message}`, { cause: error, subject }) : error;
}

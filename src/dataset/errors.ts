// From what ZFS prints and the system reports to ErrorCodes. Pure. The patterns are what zfs-fuse 0.7 and OpenZFS 2.1
// printed when asked (test/dataset/errors.test.ts keeps the lines); more specific ones come first.
import { type ErrorCode, ZringError } from '../common/errors.ts';
import { storageErrorCode } from '../common/storage-errors.ts';

/** What the file system says of folders and mounts, beside what it says of files everywhere. */
const FOLDER_CODES: Readonly<Record<string, ErrorCode>> = {
  ENXIO: 'STORAGE_UNAVAILABLE',
  ENODEV: 'STORAGE_UNAVAILABLE',
  ENOTCONN: 'STORAGE_UNAVAILABLE',
  EBUSY: 'DATASET_BUSY',
};

/** Errors of the file system as ours; what is none of those (a caller's own, a bug) passes unchanged. */
export function folderError(error: unknown, subject: string): unknown {
  if (error instanceof ZringError) return error;
  const { code, message } = (error ?? {}) as NodeJS.ErrnoException;
  const known = storageErrorCode(error) ?? (code === undefined ? undefined : FOLDER_CODES[code]);
  return known ? new ZringError(known, `${subject}: ${message}`, { cause: error, subject }) : error;
}

/** First match wins. Sources: z = zfs-fuse 0.7.0, o = OpenZFS 2.1.11 on Linux, both = the same words. */
const ZFS_PATTERNS: readonly (readonly [RegExp, ErrorCode])[] = [
  [
    /Connection refused|failed to initialize ZFS library|ZFS modules? (is|are|cannot)|\/dev\/zfs/,
    'STORAGE_UNAVAILABLE',
  ],
  [/I\/O is (currently )?suspended|I\/O error|pool is read-?only|no such pool/i, 'STORAGE_UNAVAILABLE'],
  [
    /permission denied|Operation not permitted|only be mounted by root|insufficient privileges|must be superuser/i,
    'STORAGE_PERMISSION',
  ],
  [/out of space|No space left|quota exceeded|greater than available space/i, 'STORAGE_FULL'],
  [/has been modified\s+since most recent snapshot|does not\s+match incremental source/, 'DATASET_DIVERGED'],
  [/destination '[^']*' exists|already exists/, 'DATASET_ALREADY_EXISTS'],
  [
    /invalid (backup )?stream|failed to read from stream|incomplete stream|checksum mismatch|unsupported feature/,
    'STREAM_INVALID',
  ],
  [/is busy|umount failed|target is busy|has dependent clones/, 'DATASET_BUSY'],
  [/does not exist|could not find any snapshots/, 'DATASET_NOT_FOUND'],
];

/** What ZFS said, as ours. Anything unknown is STORAGE_UNAVAILABLE: the storage did not do what was asked. */
export function zfsError(what: string, stderr: string, subject: string): ZringError {
  const code = ZFS_PATTERNS.find(([pattern]) => pattern.test(stderr))?.[1] ?? 'STORAGE_UNAVAILABLE';
  const said = stderr.trim().split('\n').slice(0, 3).join(' ').slice(0, 400);
  return new ZringError(code, `${what}: ${said || 'failed without a word'}`, { subject });
}

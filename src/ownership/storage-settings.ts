// Storage settings as values: the document that carries them, what is a sound combination, and how a quota becomes limits.
// Pure. Stored data: fields may be added, never change meaning.
import { ZringError } from '../common/errors.ts';
import type { StorageSettings } from '../dataset/driver.ts';
import type { SpaceLimits } from './space-meter.ts';

/** Name of the document in the dataset's store. */
export const SETTINGS_DOCUMENT = 'storage-settings';

export const NO_SETTINGS: StorageSettings = { quotaBytes: null, reservationBytes: null, compression: null };

/** Below it the reserve and an empty index would be most of it. */
export const QUOTA_BYTES_MIN = 16 << 20;
/** ZFS counts in 64 bits, JSON in 53. */
export const SETTING_BYTES_MAX = 2 ** 52;

/** Kept free of bodies below the quota, so that deletions find room for the pages of the index that they write. */
export const RESERVE_SHARE = 64;
export const RESERVE_BYTES_MIN = 4 << 20;
export const RESERVE_BYTES_MAX = 64 << 20;

/** What cannot be read is as if it were not set: a bucket has to open. */
export function parseSettings(document: unknown): StorageSettings {
  if (typeof document !== 'object' || document === null) return NO_SETTINGS;
  const { quotaBytes, reservationBytes, compression } = document as Partial<Record<keyof StorageSettings, unknown>>;
  return {
    quotaBytes: isSize(quotaBytes) ? quotaBytes : null,
    reservationBytes: isSize(reservationBytes) ? reservationBytes : null,
    compression: isCompression(compression) ? compression : null,
  };
}

/** Undefined: there is nothing to keep. */
export function formatSettings(settings: StorageSettings): Record<string, unknown> | undefined {
  const set = Object.entries(settings).filter(([, value]) => value !== null);
  return set.length === 0 ? undefined : Object.fromEntries(set);
}

/** Errors: CONFIG_REFUSED. What a storage accepts, it says itself. */
export function requireSettings({ quotaBytes, reservationBytes, compression }: StorageSettings): void {
  if (quotaBytes !== null && (!isSize(quotaBytes) || quotaBytes < QUOTA_BYTES_MIN)) {
    throw refused(`a quota is a whole number of bytes, at least ${QUOTA_BYTES_MIN} (16MiB)`);
  }
  if (reservationBytes !== null && !isSize(reservationBytes)) {
    throw refused('a reservation is a whole number of bytes, at least 1');
  }
  if (compression !== null && !isCompression(compression)) throw refused('not a name of a compression');
  if (quotaBytes !== null && reservationBytes !== null && reservationBytes > quotaBytes) {
    throw refused('the reservation is larger than the quota');
  }
}

function isSize(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) > 0 && (value as number) <= SETTING_BYTES_MAX;
}

function isCompression(value: unknown): value is string {
  return typeof value === 'string' && /^[a-z][a-z0-9-]{0,30}$/.test(value);
}

function refused(message: string): ZringError {
  return new ZringError('CONFIG_REFUSED', message);
}

export function reserveOf(quotaBytes: number): number {
  return Math.min(RESERVE_BYTES_MAX, Math.max(RESERVE_BYTES_MIN, Math.floor(quotaBytes / RESERVE_SHARE)));
}

/**
 * Where writes stop. Without a file system that enforces anything, bodies may have all of it. What brings no body (a
 * setting, a tag, the end of an upload) may go half a reserve further, counted from what was there when the quota was set
 * below it: a bucket that is too full can still be given a rule that empties it.
 */
export function limitsOf(quotaBytes: number | null, usedBytes: number, enforced: boolean): SpaceLimits | null {
  if (quotaBytes === null) return null;
  const reserve = reserveOf(quotaBytes);
  const bodyBytes = enforced ? quotaBytes - reserve : quotaBytes;
  return { bodyBytes, writeBytes: Math.max(bodyBytes, usedBytes) + Math.floor(reserve / 2) };
}

/**
 * The file system's own limit: the quota; or more, when what is there leaves less than half a reserve, or when much of what
 * the file system counts is free room inside the index. One that is in force (`present`) and about right stays.
 */
export function planFileLimit(
  quotaBytes: number | null,
  usedBytes: number,
  reusableBytes = 0,
  present: number | null = null,
): number | null {
  if (quotaBytes === null) return null;
  const reserve = reserveOf(quotaBytes);
  const base = usedBytes > quotaBytes - reserve / 2 ? Math.ceil(usedBytes) + reserve : quotaBytes;
  const wanted = base + (reusableBytes > reserve / 8 ? Math.ceil(reusableBytes) : 0);
  const isNear = present !== null && present > quotaBytes && Math.abs(present - wanted) <= reserve / 8;
  return wanted !== quotaBytes && isNear ? present : wanted;
}

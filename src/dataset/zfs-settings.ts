// Settings of one dataset as ZFS properties: which property stands for which, what is set where, what ZFS said of it.
// Owns nothing; the caller holds the dataset's lock.
//
// quota → refquota, reservation → refreservation: they are about the live bucket, so what snapshots keep (the base of the
// next increment, for one) neither eats a user's quota nor a guarantee. With refquota a dataset that is full takes no
// write at all, deletions in an index included (tried on zfs-fuse 0.7.0); who serves it stops writes earlier
// (ownership/space-meter.ts).
import { assert, isZringError } from '../common/errors.ts';
import type { SettingRefusal, StorageFacts, StorageSetting, StorageSettings } from './driver.ts';
import type { ZfsCommands } from './zfs-commands.ts';
import type { Found } from './zfs-datasets.ts';
import { numberOf, type PropertyValue } from './zfs-parse.ts';
import type { ZfsFlavour } from './zfs-probe.ts';

/** A size as `zfs set` takes it. */
function size(bytes: number | null): string {
  assert(bytes === null || (Number.isSafeInteger(bytes) && bytes > 0), `${bytes} is not a size`);
  return bytes === null ? 'none' : String(bytes);
}

/** 0 is ZFS's `none`. */
function sizeOf(values: ReadonlyMap<string, PropertyValue>, property: string): number | null {
  return numberOf(values, property) || null;
}

function settingsOf(values: ReadonlyMap<string, PropertyValue>): StorageSettings {
  return {
    quotaBytes: sizeOf(values, 'refquota'),
    reservationBytes: sizeOf(values, 'refreservation'),
    compression: values.get('compression')?.value ?? null,
  };
}

export function encryptionOf(values: ReadonlyMap<string, PropertyValue>): string | null {
  const value = values.get('encryption')?.value ?? 'off';
  return value === 'off' || value === '-' ? null : value;
}

export function factsOf(values: ReadonlyMap<string, PropertyValue>): StorageFacts {
  const ratio = Number.parseFloat(values.get('compressratio')?.value ?? '');
  return {
    settings: settingsOf(values),
    referencedBytes: numberOf(values, 'referenced'),
    usedBytes: numberOf(values, 'used'),
    availableBytes: numberOf(values, 'available'),
    compressRatio: Number.isFinite(ratio) ? ratio : null,
    encryption: encryptionOf(values),
  };
}

/** A quota that grows goes first and one that shrinks last, for a reservation beyond the quota is refused by ZFS. */
export async function applySettings(
  commands: ZfsCommands,
  flavour: ZfsFlavour,
  found: Found,
  wanted: Partial<StorageSettings>,
): Promise<SettingRefusal[]> {
  const now = settingsOf(found.values);
  const refused: SettingRefusal[] = [];
  const attempt = async (setting: StorageSetting, value: string) => {
    try {
      await commands.set(found.full, [value]);
    } catch (error) {
      if (!isZringError(error)) throw error;
      refused.push({ setting, reason: error.message });
    }
  };
  const { quotaBytes, reservationBytes, compression } = wanted;
  if (compression !== undefined && compressionOf(compression, flavour) !== now.compression) {
    const value = compressionOf(compression, flavour);
    const accepted = flavour.capabilities.settings.compression;
    if (accepted.includes(value)) await attempt('compression', `compression=${value}`);
    else refused.push({ setting: 'compression', reason: notAccepted(value, accepted) });
  }
  const setQuota = async () => {
    if (quotaBytes !== undefined && quotaBytes !== now.quotaBytes) {
      await attempt('quota', `refquota=${size(quotaBytes)}`);
    }
  };
  const shrinks = quotaBytes !== undefined && quotaBytes !== null && quotaBytes < (now.quotaBytes ?? Infinity);
  if (!shrinks) await setQuota();
  if (reservationBytes !== undefined && reservationBytes !== now.reservationBytes) {
    await attempt('reservation', `refreservation=${size(reservationBytes)}`);
  }
  if (shrinks) await setQuota();
  return refused;
}

function compressionOf(wanted: string | null, flavour: ZfsFlavour): string {
  return wanted ?? flavour.compression;
}

export function notAccepted(value: string, accepted: readonly string[]): string {
  return `compression ${value} is not known here; this storage accepts: ${shortened(accepted)}`;
}

/** `gzip-1 … gzip-9` instead of nine words. */
function shortened(values: readonly string[]): string {
  const shown: string[] = [];
  for (const value of values) {
    const [, name = ''] = /^(.*)-\d+$/.exec(value) ?? [];
    if (name === '') shown.push(value);
    else if (!shown.some((other) => other.startsWith(`${name}-N`))) {
      const numbers = values.filter((other) => other.replace(/-\d+$/, '') === name && other !== name);
      shown.push(`${name}-N (${numbers[0]?.slice(name.length + 1)} to ${numbers.at(-1)?.slice(name.length + 1)})`);
    }
  }
  return shown.join(', ');
}

/** For a copy: nothing is to keep an increment out, and what it need not have is others' to use. */
export async function dropLimits(commands: ZfsCommands, found: Found): Promise<void> {
  const now = settingsOf(found.values);
  if (now.reservationBytes !== null) await commands.set(found.full, ['refreservation=none']);
  if (now.quotaBytes !== null) await commands.set(found.full, ['refquota=none']);
}

/**
 * A snapshot of a dataset with a reservation needs as much free space again as the dataset refers to, at most the
 * reservation. Where there is none the snapshot goes first: a bucket that could not be moved off a full pool is worse.
 */
export async function snapshotDespiteReservation(
  commands: ZfsCommands,
  found: Found,
  take: () => Promise<unknown>,
): Promise<void> {
  const reserved = settingsOf(found.values).reservationBytes;
  try {
    await take();
  } catch (error) {
    if (reserved === null || !isZringError(error, 'STORAGE_FULL')) throw error;
    await commands.set(found.full, ['refreservation=none']);
    try {
      await take();
    } finally {
      // What does not fit any more is shown as not in force, until it is set again or the dataset is next opened.
      await commands.set(found.full, [`refreservation=${size(reserved)}`]).catch(() => {});
    }
  }
}

// What plain folders can do of a dataset's storage settings. Pure.
import type { SettingRefusal, StorageSettings } from './driver.ts';

/** A quota is for whoever writes to count; the rest needs a file system that can do it. */
export function refusedSettings({ compression, reservationBytes }: Partial<StorageSettings>): SettingRefusal[] {
  const refused: SettingRefusal[] = [];
  if (typeof compression === 'string' && compression !== 'off') {
    refused.push({ setting: 'compression', reason: 'plain folders are not compressed; this needs ZFS' });
  }
  if (typeof reservationBytes === 'number') {
    refused.push({ setting: 'reservation', reason: 'plain folders cannot reserve space; this needs ZFS' });
  }
  return refused;
}

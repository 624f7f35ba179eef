// What answers say of lifecycle: when the current version will expire, when an upload will be given up. Pure over the
// document of the store. Dates are of days of 24 hours, whatever the length of the worker's day: they must be midnights.
import type { ObjectEntry, Store, UploadInfo } from '../../store/types.ts';
import { storedAttributes } from '../handlers/attributes.ts';
import { readLifecycle } from './configuration.ts';
import { expirationDue, uploadDue } from './decide.ts';
import { DAY_MS } from './due.ts';

/** The last midnight that a Date can be; later ones are not told. */
const DATE_MS_MAX = 8.64e15;

function httpDate(ms: number): string {
  return new Date(ms).toUTCString();
}

/** x-amz-expiration; of the current version only. */
export function expirationHeaders(store: Store, entry: ObjectEntry): Record<string, string> {
  const document = readLifecycle(store);
  if (!document || store.head(entry.key)?.sequence !== entry.sequence) return {};
  const { key, size, modifiedMs } = entry;
  const tags = storedAttributes(entry.attributes).tags ?? {};
  const due = expirationDue(document, { key, size, tags, modifiedMs }, DAY_MS);
  if (!due || due.atMs > DATE_MS_MAX) return {};
  return { 'x-amz-expiration': `expiry-date="${httpDate(due.atMs)}", rule-id="${encodeURIComponent(due.rule)}"` };
}

/** x-amz-abort-date and x-amz-abort-rule-id, for CreateMultipartUpload and ListParts. */
export function abortHeaders(store: Store, upload: Pick<UploadInfo, 'key' | 'createdMs'>): Record<string, string> {
  const document = readLifecycle(store);
  const due = document && uploadDue(document, upload, DAY_MS);
  if (!due || due.atMs > DATE_MS_MAX) return {};
  return { 'x-amz-abort-date': httpDate(due.atMs), 'x-amz-abort-rule-id': encodeURIComponent(due.rule) };
}

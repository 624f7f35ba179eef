// One change that the rules want, as one commit that judges again: the version must be the one that was seen, in the place
// where it was seen, the rules must still want the same, and no lock may protect it. Owns nothing.
import { isZringError } from '../../common/errors.ts';
import type { ListedVersion, ObjectEntry, Store, UploadInfo } from '../../store/types.ts';
import { S3Error } from '../errors.ts';
import { storedAttributes, toBag } from '../handlers/attributes.ts';
import { refuseLocked } from '../handlers/lock-rules.ts';
import type { LifecycleDocument } from './configuration.ts';
import { decideVersion, type Place, type Timing, type VersionAction } from './decide.ts';

export type ChangeKind = 'object' | 'delete-marker' | 'noncurrent-version' | 'expired-marker' | 'upload' | 'transition';

export type Outcome =
  | { readonly changed: ChangeKind; readonly bytes: number }
  | { readonly kept: 'locked' | 'changed' };

/** A version as it was seen, and what the rules want with it. */
export interface Wanted {
  readonly entry: ObjectEntry;
  readonly place: Place;
  readonly action: VersionAction;
}

/** Thrown inside a commit: it is not what it was. */
class Changed extends Error {}

export function decideEntry(
  document: LifecycleDocument,
  entry: ObjectEntry,
  place: Place,
  versioned: boolean,
  timing: Timing,
): VersionAction | null {
  const { key, deleteMarker, size, modifiedMs, attributes } = entry;
  const { tags = {}, storageClass = 'STANDARD' } = storedAttributes(attributes);
  return decideVersion(document, { key, deleteMarker, size, tags, modifiedMs, storageClass, place, versioned }, timing);
}

/** A version of that key other than this one, in a listing behind it. Only asked of the latest. */
export function isAlone(store: Store, { key, versionId }: ObjectEntry): boolean {
  const behind = { prefix: key, delimiter: '', afterKey: key, afterVersion: versionId, limit: 1 };
  return !store.listVersions(behind).versions.some(({ entry }: ListedVersion) => entry.key === key);
}

export function isLocked(entry: ObjectEntry, nowMs: number): boolean {
  try {
    refuseLocked(entry, { nowMs, mayBypass: () => false });
    return false;
  } catch {
    return true;
  }
}

/** Errors: those of the store, and OBJECT_MISSING never. */
export async function carryOut(
  store: Store,
  document: LifecycleDocument,
  wanted: Wanted,
  timing: Timing,
): Promise<Outcome> {
  try {
    return await (wanted.action.do === 'transition'
      ? transition(store, document, wanted, wanted.action.storageClass, timing)
      : remove(store, document, wanted, timing));
  } catch (error) {
    if (error instanceof Changed || isZringError(error, 'OBJECT_MISSING')) return { kept: 'changed' };
    if (error instanceof S3Error && error.code === 'AccessDenied') return { kept: 'locked' };
    throw error;
  }
}

/** With the attributes of now: tags and storage class change in place. */
function requireStill(
  store: Store,
  document: LifecycleDocument,
  wanted: Wanted,
  now: ObjectEntry,
  timing: Timing,
): void {
  if (now.sequence !== wanted.entry.sequence) throw new Changed();
  const action = decideEntry(document, now, wanted.place, store.versioning() !== 'off', timing);
  if (action?.do !== wanted.action.do) throw new Changed();
}

async function remove(store: Store, document: LifecycleDocument, wanted: Wanted, timing: Timing): Promise<Outcome> {
  const { entry, place, action } = wanted;
  const { removed, marker } = await store.remove({
    key: entry.key,
    ...(action.do === 'remove' ? { version: entry.versionId } : {}),
    inspect: (subject, isLatest) => {
      if (!subject || isLatest !== (place.at === 'latest')) throw new Changed();
      requireStill(store, document, wanted, subject, timing);
    },
    check: (victim) => refuseLocked(victim, { nowMs: timing.nowMs, mayBypass: () => false }),
  });
  const bytes = removed?.size ?? 0;
  if (action.do === 'expire') return { changed: marker ? 'delete-marker' : 'object', bytes };
  return { changed: place.at === 'latest' ? 'expired-marker' : 'noncurrent-version', bytes };
}

async function transition(
  store: Store,
  document: LifecycleDocument,
  wanted: Wanted,
  storageClass: string,
  timing: Timing,
): Promise<Outcome> {
  await store.annotate({
    key: wanted.entry.key,
    version: wanted.entry.versionId,
    change: (now) => {
      requireStill(store, document, wanted, now, timing);
      return toBag({ ...storedAttributes(now.attributes), storageClass });
    },
  });
  return { changed: 'transition', bytes: 0 };
}

/** Parts that arrive meanwhile go with it, as with a client's abort; a completed upload is none any more. */
export async function giveUp(store: Store, upload: UploadInfo): Promise<Outcome> {
  try {
    await store.abortUpload(upload.id, upload.key);
    return { changed: 'upload', bytes: 0 };
  } catch (error) {
    if (isZringError(error, 'UPLOAD_MISSING')) return { kept: 'changed' };
    throw error;
  }
}

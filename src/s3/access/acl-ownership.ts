// Object ownership: the bucket's setting, and who owns an object under it. Reads the `ownership-controls` and `acl`
// documents of a bucket and the `owner` and `acl` attributes of versions; changes nothing.
//
//   document            setting               ACLs      an object is owned by
//   BucketOwnerEnforced BucketOwnerEnforced   disabled  the bucket's owner, whatever is stored with it
//   BucketOwnerPreferred …                    enabled   its writer; the bucket's owner if written with bucket-owner-full-control
//   ObjectWriter        …                     enabled   its writer
//   no setting          none                  enabled   its writer: removed, or made under the default ObjectWriter
//   no document         BucketOwnerEnforced   disabled  the bucket's owner; such a bucket is older than the setting
//
// The setting is fixed when the bucket is made (the configuration's default is written into it then), so a bucket never
// changes with the configuration. What an object stores survives a change to BucketOwnerEnforced and back, as in S3.
import type { ObjectEntry, Store } from '../../store/types.ts';
import { readBucketDocument } from '../handlers/bucket-document.ts';
import type { Owner } from '../xml/results.ts';
import { defaultAcl, parseStoredAcl, type StoredAcl } from './acl.ts';

export const OWNERSHIP_DOCUMENT = 'ownership-controls';
export const ACL_DOCUMENT = 'acl';

export const OBJECT_OWNERSHIPS = ['BucketOwnerEnforced', 'BucketOwnerPreferred', 'ObjectWriter'] as const;
export type ObjectOwnership = (typeof OBJECT_OWNERSHIPS)[number];

/** Stored data: fields may be added, never change meaning. */
export interface OwnershipDocument {
  /** null: none; DeleteBucketOwnershipControls removed it, or the bucket was made under the default ObjectWriter. */
  readonly objectOwnership: ObjectOwnership | null;
  /** Nobody asked for it: it is what the configuration had when the bucket was made. */
  readonly byDefault?: true;
}

export function isObjectOwnership(value: unknown): value is ObjectOwnership {
  return OBJECT_OWNERSHIPS.some((known) => known === value);
}

/** null: there are no ownership controls. */
export function readOwnershipControls(store: Store): ObjectOwnership | null {
  const document = store.document(OWNERSHIP_DOCUMENT);
  if (typeof document !== 'object' || document === null) return 'BucketOwnerEnforced';
  const { objectOwnership } = document as Partial<OwnershipDocument>;
  if (objectOwnership === null) return null;
  return isObjectOwnership(objectOwnership) ? objectOwnership : 'BucketOwnerEnforced';
}

/**
 * Whether somebody chose BucketOwnerEnforced. Where it is only the default, the canned ACL `private` is no error: it
 * asks for nothing that is not so, and some clients (rclone before 1.61, s3fs) send it with every object.
 */
export function isEnforcedByChoice(store: Store): boolean {
  const document = store.document(OWNERSHIP_DOCUMENT) as Partial<OwnershipDocument> | null | undefined;
  return document?.objectOwnership === 'BucketOwnerEnforced' && document.byDefault !== true;
}

/** What counts. */
export function objectOwnershipOf(store: Store): ObjectOwnership {
  return readOwnershipControls(store) ?? 'ObjectWriter';
}

export function aclsEnabled(store: Store): boolean {
  return objectOwnershipOf(store) !== 'BucketOwnerEnforced';
}

/** As stored; null = the default one. */
export function readBucketAcl(store: Store): StoredAcl | null {
  return parseStoredAcl(store.document(ACL_DOCUMENT));
}

/** As stored; null = the default one. */
export function readObjectAcl(entry: Pick<ObjectEntry, 'attributes'>): StoredAcl | null {
  return parseStoredAcl(entry.attributes.acl);
}

/** Of a version, or of what an upload will become. null in a bucket without an owner. */
export function objectOwnerOf(store: Store, attributes: Readonly<Record<string, unknown>>): Owner | null {
  const bucketOwner = readBucketDocument(store)?.owner ?? null;
  if (!aclsEnabled(store)) return bucketOwner;
  return parseOwner(attributes.owner) ?? bucketOwner;
}

/** For lists: the question for each entry, with what is the bucket's answered once. */
export function objectOwners(store: Store): (attributes: Readonly<Record<string, unknown>>) => Owner | null {
  const bucketOwner = readBucketDocument(store)?.owner ?? null;
  if (!aclsEnabled(store)) return () => bucketOwner;
  return (attributes) => parseOwner(attributes.owner) ?? bucketOwner;
}

export function effectiveBucketAcl(store: Store): StoredAcl {
  const stored = aclsEnabled(store) ? readBucketAcl(store) : null;
  return stored ?? defaultAcl(readBucketDocument(store)?.owner ?? null);
}

export function effectiveObjectAcl(store: Store, entry: Pick<ObjectEntry, 'attributes'>): StoredAcl {
  const stored = aclsEnabled(store) ? readObjectAcl(entry) : null;
  return stored ?? defaultAcl(objectOwnerOf(store, entry.attributes));
}

function parseOwner(value: unknown): Owner | null {
  if (typeof value !== 'object' || value === null) return null;
  const { id, displayName } = value as Partial<Owner>;
  if (typeof id !== 'string' || id === '') return null;
  return { id, displayName: typeof displayName === 'string' ? displayName : '' };
}

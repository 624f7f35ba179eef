// The ACL that a request asks for, from its headers or its document, and whether the bucket lets it be set: for new
// buckets and objects, and for Put…Acl. What is returned is ready to be stored. Changes nothing itself.
import type { Config } from '../../config/types.ts';
import type { ObjectEntry, Store } from '../../store/types.ts';
import { invalidArgument, S3Error } from '../errors.ts';
import { ownerOf, readBucketDocument } from '../handlers/bucket-document.ts';
import type { DatasetContext } from '../handlers/context.ts';
import type { Identity } from '../types.ts';
import { parseAccessControlPolicy } from '../xml/acl.ts';
import type { Owner } from '../xml/results.ts';
import { isDefaultAcl, isPublicAcl, type StoredAcl } from './acl.ts';
import { BUCKET_OWNER_FULL_CONTROL, type CannedFor, cannedAcl } from './acl-canned.ts';
import { type ClaimedGrant, granteesOf, readGrantHeaders, resolveGrants } from './acl-grants.ts';
import {
  ACL_DOCUMENT,
  isEnforcedByChoice,
  isObjectOwnership,
  type ObjectOwnership,
  OWNERSHIP_DOCUMENT,
  type OwnershipDocument,
  objectOwnershipOf,
  readBucketAcl,
  readOwnershipControls,
} from './acl-ownership.ts';
import { isAnonymous } from './anonymous.ts';
import { readPublicAccessBlock } from './public-access-block.ts';

type Headers = Readonly<Record<string, string>>;

/** How a request says it; a document has grants too. */
type AskedAcl =
  | { readonly kind: 'canned'; readonly name: string }
  | { readonly kind: 'grants'; readonly claims: readonly ClaimedGrant[] };

function readHeaderAcl(headers: Headers): AskedAcl | null {
  const claims = readGrantHeaders(headers);
  // An empty value is none, as in S3: some clients send it for "no ACL".
  const name = headers['x-amz-acl'] || null;
  if (name !== null && claims !== null) {
    throw new S3Error('InvalidRequest', 'Specifying both Canned ACLs and Header Grants is not allowed');
  }
  if (name !== null) return { kind: 'canned', name };
  return claims === null ? null : { kind: 'grants', claims };
}

function expand(asked: AskedAcl, subject: CannedFor, config: Config): StoredAcl {
  if (asked.kind === 'canned') return cannedAcl(asked.name, subject);
  return resolveGrants(asked.claims, granteesOf(config.credentials, [subject.owner, subject.bucketOwner]));
}

// --- new objects -----------------------------------------------------------------------------------------------------

/** Attributes of a new object; only what differs from private to the bucket's owner. */
export interface ObjectAccess {
  readonly owner?: Owner;
  readonly acl?: StoredAcl;
}

/**
 * For PutObject, CopyObject, CreateMultipartUpload and PostObject, before the body is asked for. A copy takes nothing
 * over from its source. The writer is who the authorizer speaks of; `headers` are the request's, or those that the fields
 * of a form stand for.
 */
export function newObjectAcl(context: DatasetContext, headers: Headers = context.request.headers): ObjectAccess {
  const { store } = context.dataset;
  const { identity } = context.authorizer;
  const asked = readHeaderAcl(headers);
  const bucketOwner = readBucketDocument(store)?.owner ?? null;
  const owner = newObjectOwner(store, identity, bucketOwner, asked);
  const acl = asked && expand(asked, { resource: 'object', owner, bucketOwner }, context.services.config());
  if (asked && acl && refuseDisabled(store, asked, acl, bucketOwner)) return {};
  if (acl) {
    requireMayGrant(context, acl, owner, bucketOwner);
    refuseBlocked(store, acl);
  }
  return {
    ...(owner !== null && owner.id !== bucketOwner?.id ? { owner } : {}),
    ...(acl && !isDefaultAcl(acl, owner) ? { acl } : {}),
  };
}

/** Nobody can own nothing: what an anonymous request writes is the bucket owner's. */
function newObjectOwner(
  store: Store,
  identity: Identity,
  bucketOwner: Owner | null,
  asked: AskedAcl | null,
): Owner | null {
  const ownership = objectOwnershipOf(store);
  const handedOver = asked?.kind === 'canned' && asked.name === BUCKET_OWNER_FULL_CONTROL;
  if (ownership === 'BucketOwnerEnforced' || isAnonymous(identity)) return bucketOwner;
  return ownership === 'BucketOwnerPreferred' && handedOver ? bucketOwner : ownerOf(identity);
}

/** A list that gives others anything is a matter of `s3:PutObjectAcl`, which the future owner of the object has. */
function requireMayGrant(
  context: DatasetContext,
  acl: StoredAcl,
  owner: Owner | null,
  bucketOwner: Owner | null,
): void {
  const { identity } = context.authorizer;
  const own = [identity.canonicalId, bucketOwner?.id];
  if (acl.grants.every(({ grantee }) => grantee.kind === 'user' && own.includes(grantee.id))) return;
  const entry = owner !== null && owner.id !== bucketOwner?.id ? unwritten(context.key, owner) : null;
  context.authorizer.require('s3:PutObjectAcl', { key: context.key, entry });
}

/** The object as it will be before anybody has set its list, for the authorizer. */
function unwritten(key: string, owner: Owner): ObjectEntry {
  return {
    key,
    versionId: null,
    deleteMarker: false,
    sequence: 0,
    term: { n: 0, node: '' },
    size: 0,
    modifiedMs: 0,
    etag: '',
    blobs: [],
    partSizes: null,
    attributes: { owner },
  };
}

// --- new buckets -----------------------------------------------------------------------------------------------------

/** Documents of a bucket that `identity` makes. The setting of the configuration is fixed here, once. */
export function newBucketDocuments(identity: Identity, headers: Headers, config: Config): Record<string, unknown> {
  const asked = readHeaderAcl(headers);
  const objectOwnership = newOwnership(headers['x-amz-object-ownership'], config);
  const acl = asked && bucketAcl(asked, ownerOf(identity), config);
  if (objectOwnership === 'BucketOwnerEnforced' && acl) throw new S3Error('InvalidBucketAclWithObjectOwnership');
  const byDefault = headers['x-amz-object-ownership'] === undefined && objectOwnership !== null;
  const document: OwnershipDocument = { objectOwnership, ...(byDefault ? { byDefault } : {}) };
  return { [OWNERSHIP_DOCUMENT]: document, ...(acl ? { [ACL_DOCUMENT]: acl } : {}) };
}

/** With the default ObjectWriter a bucket has no controls, like one that S3 made before it had them: that means the same. */
function newOwnership(asked: string | undefined, config: Config): ObjectOwnership | null {
  const { objectOwnership } = config.defaults;
  if (asked === undefined) return objectOwnership === 'ObjectWriter' ? null : objectOwnership;
  if (isObjectOwnership(asked)) return asked;
  throw invalidArgument('Invalid x-amz-object-ownership header', 'x-amz-object-ownership', asked);
}

/**
 * CreateBucket of one's own bucket in us-east-1 sets its ACL anew (API Reference, Error responses,
 * BucketAlreadyOwnedByYou). undefined: it has that ACL already.
 */
export function recreatedBucketAcl(
  store: Store,
  owner: Owner,
  headers: Headers,
  config: Config,
): StoredAcl | null | undefined {
  const asked = readHeaderAcl(headers);
  const acl = asked && bucketAcl(asked, owner, config);
  const objectOwnership = headers['x-amz-object-ownership'];
  // Its ownership controls are no part of that: they are not changed behind the owner's back, nor ignored.
  if (objectOwnership !== undefined && objectOwnership !== readOwnershipControls(store)) {
    throw new S3Error('BucketAlreadyOwnedByYou');
  }
  if (objectOwnershipOf(store) === 'BucketOwnerEnforced') {
    if (acl) throw new S3Error('InvalidBucketAclWithObjectOwnership');
    return undefined;
  }
  if (acl) refuseBlocked(store, acl);
  return JSON.stringify(acl) === JSON.stringify(readBucketAcl(store)) ? undefined : acl;
}

/** null = the default one. */
function bucketAcl(asked: AskedAcl, owner: Owner, config: Config): StoredAcl | null {
  const acl = expand(asked, { resource: 'bucket', owner, bucketOwner: owner }, config);
  return isDefaultAcl(acl, owner) ? null : acl;
}

// --- Put…Acl ---------------------------------------------------------------------------------------------------------

export interface PutAcl {
  readonly resource: CannedFor['resource'];
  readonly owner: Owner | null;
  readonly headers: Headers;
  readonly body: Buffer;
}

/** null: accepted, and nothing is to be changed (full control for the bucket's owner where ACLs are disabled). */
export function requestedAcl(store: Store, config: Config, request: PutAcl): StoredAcl | null {
  const { owner, headers, body } = request;
  const bucketOwner = readBucketDocument(store)?.owner ?? null;
  const header = readHeaderAcl(headers);
  if (header && body.length > 0) throw new S3Error('UnexpectedContent');
  const asked = header ?? readDocumentAcl(body, owner);
  const acl = expand(asked, { resource: request.resource, owner, bucketOwner }, config);
  if (refuseDisabled(store, asked, acl, bucketOwner)) return null;
  refuseBlocked(store, acl);
  return acl;
}

function readDocumentAcl(body: Buffer, owner: Owner | null): AskedAcl {
  if (body.length === 0) {
    throw new S3Error('MissingSecurityHeader', undefined, { fields: { MissingHeaderName: 'x-amz-acl' } });
  }
  const { ownerId, grants } = parseAccessControlPolicy(body);
  if (ownerId !== owner?.id) throw new S3Error('AccessDenied', 'The owner in the document is not the owner');
  return { kind: 'grants', claims: grants };
}

// --- what the bucket lets be set -------------------------------------------------------------------------------------

/**
 * With ACLs disabled: true when the list says what is so anyway, full control for the bucket's owner; any other is
 * refused, `private` too where the setting was chosen (User Guide, Object Ownership, "AccessControlListNotSupported").
 */
function refuseDisabled(store: Store, asked: AskedAcl, acl: StoredAcl, bucketOwner: Owner | null): boolean {
  if (objectOwnershipOf(store) !== 'BucketOwnerEnforced') return false;
  const harmless =
    asked.kind === 'canned'
      ? asked.name === BUCKET_OWNER_FULL_CONTROL || (asked.name === 'private' && !isEnforcedByChoice(store))
      : isDefaultAcl(acl, bucketOwner);
  if (!harmless) throw new S3Error('AccessControlListNotSupported');
  return true;
}

function refuseBlocked(store: Store, acl: StoredAcl): void {
  if (isPublicAcl(acl) && readPublicAccessBlock(store)?.blockPublicAcls) {
    throw new S3Error('AccessDenied', 'Public access block: the bucket does not take public ACLs');
  }
}

// Access control lists: what a bucket's and an object's grants allow. Pure; owns no state. It must not know HTTP, XML or
// the store: the authorizer reads the lists and asks here. Source: Amazon S3 User Guide, "Access control list (ACL)
// overview" (permissions, and their mapping to actions) and "Controlling ownership of objects".
import type { Identity } from '../types.ts';
import type { Owner } from '../xml/results.ts';
import { isAnonymous } from './anonymous.ts';
import type { Permission } from './authorizer.ts';

export const GROUPS = {
  allUsers: 'http://acs.amazonaws.com/groups/global/AllUsers',
  authenticatedUsers: 'http://acs.amazonaws.com/groups/global/AuthenticatedUsers',
  /** Nobody belongs to it here, for there is no log delivery; grants to it are kept and shown. */
  logDelivery: 'http://acs.amazonaws.com/groups/s3/LogDelivery',
} as const;

export const ACL_PERMISSIONS = ['FULL_CONTROL', 'READ', 'WRITE', 'READ_ACP', 'WRITE_ACP'] as const;
export type AclPermission = (typeof ACL_PERMISSIONS)[number];

export type Grantee =
  | { readonly kind: 'user'; readonly id: string; readonly displayName?: string }
  | { readonly kind: 'group'; readonly uri: string };

export interface Grant {
  readonly grantee: Grantee;
  readonly permission: AclPermission;
}

/**
 * As kept in the `acl` document of a bucket and in the `acl` attribute of a version; absent = `defaultAcl` of the owner.
 * Stored data: fields may be added, never change meaning.
 */
export interface StoredAcl {
  readonly grants: readonly Grant[];
}

export interface AclQuestion {
  readonly identity: Identity;
  /** The S3 action that is asked for; each is granted by one ACL permission of the bucket or the object, or by none. */
  readonly permission: Permission;
  readonly bucketAcl: StoredAcl | null;
  readonly objectAcl: StoredAcl | null;
  readonly bucketOwner: Owner | null;
  /** null: no object is touched. */
  readonly objectOwner: Owner | null;
  /** Object ownership other than BucketOwnerEnforced. */
  readonly aclsEnabled: boolean;
  /** Of the public access block: grants to everybody do not count. */
  readonly ignorePublicAcls: boolean;
}

interface Rule {
  readonly of: 'bucket' | 'object';
  /** 'never': no list of an object grants it. */
  readonly needs: Exclude<AclPermission, 'FULL_CONTROL'> | 'never';
  /** The owner has it whatever the list says: an owner cannot be locked out of the list itself. */
  readonly ownerAlways?: true;
  /** Counts for the owner of the bucket alone. */
  readonly bucketOwnerOnly?: true;
  /** Asked for an object that is yet to be written (no owner): who may write it may give it that, too. */
  readonly withNew?: true;
}

/** Every action that an ACL can grant; the rest is for owners and policies. docs/ACCESS.md has the same table. */
export const ACL_RULES: Readonly<Record<string, Rule>> = {
  's3:ListBucket': { of: 'bucket', needs: 'READ' },
  's3:ListBucketVersions': { of: 'bucket', needs: 'READ' },
  's3:ListBucketMultipartUploads': { of: 'bucket', needs: 'READ' },
  's3:PutObject': { of: 'bucket', needs: 'WRITE' },
  // Who may overwrite an object may remove it: the bytes are gone either way.
  's3:DeleteObject': { of: 'bucket', needs: 'WRITE' },
  's3:DeleteObjectVersion': { of: 'bucket', needs: 'WRITE', bucketOwnerOnly: true },
  's3:GetBucketAcl': { of: 'bucket', needs: 'READ_ACP', ownerAlways: true },
  's3:PutBucketAcl': { of: 'bucket', needs: 'WRITE_ACP', ownerAlways: true },
  's3:GetObject': { of: 'object', needs: 'READ' },
  's3:GetObjectVersion': { of: 'object', needs: 'READ' },
  's3:GetObjectAttributes': { of: 'object', needs: 'READ' },
  's3:GetObjectVersionAttributes': { of: 'object', needs: 'READ' },
  's3:GetObjectTorrent': { of: 'object', needs: 'READ' },
  's3:GetObjectAcl': { of: 'object', needs: 'READ_ACP', ownerAlways: true },
  's3:GetObjectVersionAcl': { of: 'object', needs: 'READ_ACP', ownerAlways: true },
  's3:PutObjectAcl': { of: 'object', needs: 'WRITE_ACP', ownerAlways: true, withNew: true },
  's3:PutObjectVersionAcl': { of: 'object', needs: 'WRITE_ACP', ownerAlways: true },
  's3:PutObjectTagging': { of: 'object', needs: 'never', withNew: true },
};

const NEW_OBJECT: Rule = { of: 'bucket', needs: 'WRITE' };

/**
 * Whether the lists grant it. With ACLs disabled both lists count as the default ones of the bucket's owner. A list
 * grants to accounts, so the answer for an owner's own account says nothing of what one of its credentials may do:
 * within the account its rules decide, as IAM does in AWS. An object that does not exist has no list; what can be given to
 * a new object along with its bytes is a matter of writing it.
 */
export function aclAllows(question: AclQuestion): boolean {
  const rule = ruleFor(question);
  if (rule === null) return false;
  const { identity, bucketOwner, aclsEnabled } = question;
  if (rule.bucketOwnerOnly && !isUser(identity, bucketOwner?.id)) return false;
  const owner = rule.of === 'bucket' || !aclsEnabled ? bucketOwner : question.objectOwner;
  if (rule.ownerAlways && isUser(identity, owner?.id)) return true;
  const stored = !aclsEnabled ? null : rule.of === 'bucket' ? question.bucketAcl : question.objectAcl;
  const acl = stored ?? defaultAcl(owner);
  return acl.grants.some(
    (grant) =>
      (grant.permission === rule.needs || (grant.permission === 'FULL_CONTROL' && rule.needs !== 'never')) &&
      names(grant.grantee, identity, question.ignorePublicAcls),
  );
}

function ruleFor({ permission, objectOwner }: AclQuestion): Rule | null {
  const rule = ACL_RULES[permission] ?? null;
  if (rule?.of !== 'object' || objectOwner !== null) return rule;
  return rule.withNew ? NEW_OBJECT : null;
}

function names(grantee: Grantee, identity: Identity, ignorePublic: boolean): boolean {
  if (grantee.kind === 'user') return isUser(identity, grantee.id);
  if (ignorePublic) return false;
  if (grantee.uri === GROUPS.allUsers) return true;
  return grantee.uri === GROUPS.authenticatedUsers && !isAnonymous(identity);
}

/** Nobody is no user, whatever ids are stored. */
function isUser(identity: Identity, id: string | undefined): boolean {
  return !isAnonymous(identity) && identity.canonicalId !== '' && identity.canonicalId === id;
}

/** What a bucket or an object without a list of its own has. */
export function defaultAcl(owner: Owner | null): StoredAcl {
  if (owner === null) return { grants: [] };
  const grantee = { kind: 'user', id: owner.id, displayName: owner.displayName } as const;
  return { grants: [{ grantee, permission: 'FULL_CONTROL' }] };
}

export function isDefaultAcl(acl: StoredAcl, owner: Owner | null): boolean {
  const [first, second] = acl.grants;
  if (first === undefined || second !== undefined || owner === null) return false;
  return first.permission === 'FULL_CONTROL' && first.grantee.kind === 'user' && first.grantee.id === owner.id;
}

/** Grants anything to everybody or to every user (User Guide, "Blocking public access": the meaning of public). */
export function isPublicAcl(acl: StoredAcl | null): boolean {
  return (acl?.grants ?? []).some(({ grantee }) => {
    return grantee.kind === 'group' && (grantee.uri === GROUPS.allUsers || grantee.uri === GROUPS.authenticatedUsers);
  });
}

/** A list as it was stored; null when there is none, or it is not one of ours. */
export function parseStoredAcl(value: unknown): StoredAcl | null {
  if (typeof value !== 'object' || value === null) return null;
  const { grants } = value as Partial<StoredAcl>;
  return Array.isArray(grants) ? { grants: grants.filter(isGrant) } : null;
}

function isGrant(value: unknown): value is Grant {
  const { grantee, permission } = (value ?? {}) as { grantee?: Partial<Record<string, unknown>>; permission?: unknown };
  if (!ACL_PERMISSIONS.some((known) => known === permission)) return false;
  if (grantee?.kind === 'user') return typeof grantee.id === 'string';
  return grantee?.kind === 'group' && typeof grantee.uri === 'string';
}

// Canned ACLs: a name in `x-amz-acl`, and the grants it stands for. Pure.
// Source: Amazon S3 User Guide, "Access control list (ACL) overview", table "Canned ACL".
import { invalidArgument } from '../errors.ts';
import type { Owner } from '../xml/results.ts';
import { type AclPermission, defaultAcl, GROUPS, type Grant, type StoredAcl } from './acl.ts';

export interface CannedFor {
  readonly resource: 'bucket' | 'object';
  /** Of the resource. */
  readonly owner: Owner | null;
  readonly bucketOwner: Owner | null;
}

type Expansion = (subject: CannedFor) => readonly Grant[];

const none: Expansion = () => [];

/** What each adds to the owner's FULL_CONTROL. */
const CANNED: Readonly<Record<string, Expansion>> = {
  private: none,
  'public-read': () => [toGroup(GROUPS.allUsers, 'READ')],
  'public-read-write': () => [toGroup(GROUPS.allUsers, 'READ'), toGroup(GROUPS.allUsers, 'WRITE')],
  'authenticated-read': () => [toGroup(GROUPS.authenticatedUsers, 'READ')],
  // READ for Amazon EC2, which does not exist here: nobody is left to grant it to.
  'aws-exec-read': none,
  'bucket-owner-read': (subject) => toBucketOwner(subject, 'READ'),
  'bucket-owner-full-control': (subject) => toBucketOwner(subject, 'FULL_CONTROL'),
  'log-delivery-write': () => [toGroup(GROUPS.logDelivery, 'WRITE'), toGroup(GROUPS.logDelivery, 'READ_ACP')],
};

export const BUCKET_OWNER_FULL_CONTROL = 'bucket-owner-full-control';

export function cannedAcl(name: string, subject: CannedFor): StoredAcl {
  const expand = Object.hasOwn(CANNED, name) ? CANNED[name] : undefined;
  const ofBucketOnly = name === 'log-delivery-write' && subject.resource === 'object';
  if (expand === undefined || ofBucketOnly) {
    throw invalidArgument(`${name} is not a canned ACL of ${subject.resource}s`, 'x-amz-acl', name);
  }
  return { grants: [...defaultAcl(subject.owner).grants, ...expand(subject)] };
}

function toGroup(uri: string, permission: AclPermission): Grant {
  return { grantee: { kind: 'group', uri }, permission };
}

/** Ignored for buckets, and without effect where the bucket's owner owns the object too. */
function toBucketOwner({ resource, owner, bucketOwner }: CannedFor, permission: AclPermission): readonly Grant[] {
  if (resource === 'bucket' || bucketOwner === null || bucketOwner.id === owner?.id) return [];
  const { id, displayName } = bucketOwner;
  return [{ grantee: { kind: 'user', id, displayName }, permission }];
}

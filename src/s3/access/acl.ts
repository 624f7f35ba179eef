// Access control lists: what a bucket's and an object's grants allow. Pure; owns no state. It must not know HTTP, XML or
// the store: the authorizer reads the lists and asks here.
import type { Identity } from '../types.ts';
import type { Owner } from '../xml/results.ts';
import type { Permission } from './authorizer.ts';

/** As kept in the `acl` document of a bucket and in the `acl` attribute of a version. */
export interface StoredAcl {
  readonly owner?: Owner;
  readonly grants: readonly {
    readonly grantee:
      | { readonly kind: 'user'; readonly id: string; readonly displayName?: string }
      | { readonly kind: 'group'; readonly uri: string };
    readonly permission: 'FULL_CONTROL' | 'READ' | 'WRITE' | 'READ_ACP' | 'WRITE_ACP';
  }[];
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

export function aclAllows(_question: AclQuestion): boolean {
  return false;
}

// Whether a request may do what it asks, decided at the owner from the credential's rules, the bucket's owner, its policy,
// its public access block and the access control lists. Made once per request by the pipeline; handlers ask it for what
// only they know (another key, a copy source, a bypass).
import type { ObjectEntry, Store } from '../../store/types.ts';
import { mayAct } from '../authorize.ts';
import { S3Error } from '../errors.ts';
import type { Identity } from '../types.ts';

/** An action of the "Service Authorization Reference for Amazon S3", e.g. `s3:GetObjectVersion`. */
export type Permission = `s3:${string}`;

export interface Resource {
  /** Absent = the bucket itself. */
  readonly key?: string;
  /** The version that is touched, when it is known to exist: its ACL, owner and tags count. */
  readonly entry?: ObjectEntry | null;
  /** Further condition keys of this question, lower case, e.g. `s3:requestobjecttag/team`. */
  readonly conditions?: Readonly<Record<string, string>>;
}

export interface Authorizer {
  readonly identity: Identity;
  /** The request is by the owner of the bucket, or by a credential whose rules allow everything in it. */
  readonly isOwner: boolean;
  allows(permission: Permission, resource?: Resource): boolean;
  /** Throws AccessDenied. */
  require(permission: Permission, resource?: Resource): void;
}

export interface AuthorizerOptions {
  readonly bucket: string;
  readonly store: Store;
  readonly identity: Identity;
  /** Lower-case headers and query of the request, for condition keys. */
  readonly headers: Readonly<Record<string, string>>;
  readonly query: ReadonlyMap<string, readonly string[]>;
  readonly remoteAddress: string;
  readonly secureTransport: boolean;
  readonly nowMs: number;
}

export function createAuthorizer(options: AuthorizerOptions): Authorizer {
  const { identity, bucket } = options;
  const allows = (permission: Permission) =>
    mayAct(identity, bucket, /^s3:(Get|List)/.test(permission) ? 'read' : 'write');
  return {
    identity,
    isOwner: mayAct(identity, bucket, 'read') && mayAct(identity, bucket, 'write'),
    allows,
    require(permission) {
      if (!allows(permission)) throw new S3Error('AccessDenied');
    },
  };
}

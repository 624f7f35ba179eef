// Whether a request may do what it asks, decided at the owner from the bucket's policy, the credential's rules, the
// bucket's owner, its public access block and the access control lists. Made once per request by the pipeline; handlers
// ask it for what only they know (another key, a copy source, a bypass). docs/ACCESS.md has the order and its reasons.
//
//   policy denies ─▶ no │ rule of the credential ─▶ yes │ owner of the bucket ─▶ yes │ policy allows ─▶ yes │ ACL ─▶ yes │ no
//
// State: what it has read of this bucket for this request. The common case, a rule or the owner in a bucket without a
// policy, looks up nothing but two documents of the store.
import type { ObjectEntry, Store } from '../../store/types.ts';
import { mayAct } from '../authorize.ts';
import { S3Error } from '../errors.ts';
import { type BucketDocument, readBucketDocument } from '../handlers/bucket-document.ts';
import type { Identity } from '../types.ts';
import { aclAllows } from './acl.ts';
import { aclsEnabled, objectOwnerOf, readBucketAcl, readObjectAcl } from './acl-ownership.ts';
import { POLICY_ACTIONS, ruleFor } from './actions.ts';
import { isAnonymous } from './anonymous.ts';
import { type BodyFacts, givenConditions, isBodyKey, type RequestFacts, requestValue } from './condition-keys.ts';
import { type Lookup, PENDING } from './conditions.ts';
import { evaluatePolicy, mayEverAllow, type Policy, type Verdict } from './policy.ts';
import { readPolicy } from './policy-document.ts';
import { readPublicAccessBlock } from './public-access-block.ts';
import { isPublicPolicy } from './public-policy.ts';

/** An action of the "Service Authorization Reference for Amazon S3", e.g. `s3:GetObjectVersion`. */
export type Permission = `s3:${string}`;

export interface Resource {
  /** Absent = the bucket itself. */
  readonly key?: string;
  /** The version that is touched, when it is known to exist: its ACL, owner and tags count. Absent: the current one. */
  readonly entry?: ObjectEntry | null;
  /** Instead of `entry`: called at most once, and only when the answer hangs on it. */
  readonly find?: () => ObjectEntry | null;
  /** Further condition keys of this question, lower case, e.g. `s3:requestobjecttag/team`. */
  readonly conditions?: Readonly<Record<string, string>>;
  /** `conditions` are all that there is of these: what headers say of them is not what the request does. */
  readonly replaces?: BodyFacts;
  /** The body has values of condition keys that the head does not: they are asked for again when it has been read. */
  readonly bodyPending?: true;
}

export interface Authorizer {
  readonly identity: Identity;
  /** The request is by the owner of the bucket, or by a credential whose rules allow everything in it. */
  readonly isOwner: boolean;
  allows(permission: Permission, resource?: Resource): boolean;
  /** Throws AccessDenied. */
  require(permission: Permission, resource?: Resource): void;
  /** The bucket policy forbids it in so many words. */
  denies(permission: Permission, resource?: Resource): boolean;
  /** False when no object of the bucket could be allowed: to refuse before a body is read. */
  mayEver(permission: Permission): boolean;
  /** The same request by somebody else, who is known only now (a form), with what else it said. */
  as(identity: Identity, facts?: Partial<Omit<RequestFacts, 'identity'>>): Authorizer;
}

export interface AuthorizerOptions extends RequestFacts {
  readonly bucket: string;
  readonly store: Store;
}

export function createAuthorizer(options: AuthorizerOptions): Authorizer {
  return new BucketAuthorizer(options);
}

/** What an owner of the bucket is not given of an object that belongs to somebody else. */
const OBJECT_OWNERS_ONLY: ReadonlySet<string> = new Set([
  's3:GetObject',
  's3:GetObjectVersion',
  's3:GetObjectAttributes',
  's3:GetObjectVersionAttributes',
  's3:GetObjectAcl',
  's3:GetObjectVersionAcl',
  's3:PutObjectAcl',
  's3:PutObjectVersionAcl',
]);

class BucketAuthorizer implements Authorizer {
  readonly identity: Identity;
  readonly isOwner: boolean;
  readonly #options: AuthorizerOptions;
  readonly #owner: BucketDocument['owner'] | null;
  readonly #ownsBucket: boolean;
  readonly #document: BucketDocument | null;

  constructor(options: AuthorizerOptions) {
    const { identity, store, bucket } = options;
    this.#options = options;
    this.identity = identity;
    this.#document = readBucketDocument(store);
    this.#owner = this.#document?.owner ?? null;
    this.#ownsBucket = !isAnonymous(identity) && this.#owner !== null && this.#owner.id === identity.canonicalId;
    this.isOwner = this.#ownsBucket || mayAct(identity, bucket, '*');
  }

  allows(permission: Permission, resource: Resource = {}): boolean {
    const { bucket } = this.#options;
    const policy = this.#policy();
    const find = this.#finder(resource);
    const verdict = policy === null ? 'silent' : this.#ask(policy, permission, resource, find);
    if (verdict === 'deny') return POLICY_ACTIONS.has(permission) && this.isOwner;
    if (mayAct(this.identity, bucket, ruleFor(permission))) return true;
    if (this.#ownsBucket && !this.#isForeign(permission, resource, find)) return true;
    if (verdict === 'allow' && policy !== null && this.#counts(policy)) return true;
    return this.#aclAllows(permission, resource, find);
  }

  require(permission: Permission, resource?: Resource): void {
    if (!this.allows(permission, resource)) throw new S3Error('AccessDenied');
  }

  denies(permission: Permission, resource: Resource = {}): boolean {
    const policy = this.#policy();
    return policy !== null && this.#ask(policy, permission, resource, this.#finder(resource)) === 'deny';
  }

  mayEver(permission: Permission): boolean {
    if (mayAct(this.identity, this.#options.bucket, ruleFor(permission)) || this.#ownsBucket) return true;
    const policy = this.#policy();
    if (policy !== null && this.#counts(policy) && mayEverAllow(policy, this.identity, permission)) return true;
    return this.#aclAllows(permission, {}, () => null);
  }

  as(identity: Identity, facts: Partial<Omit<RequestFacts, 'identity'>> = {}): Authorizer {
    return new BucketAuthorizer({ ...this.#options, ...facts, identity });
  }

  /** Read anew for each question: a request may last longer than the policy that it began under. */
  #policy(): Policy | null {
    return readPolicy(this.#options.store, this.#options.bucket);
  }

  #finder({ key, entry, find }: Resource): () => ObjectEntry | null {
    if (entry !== undefined) return () => entry;
    if (key === undefined) return () => null;
    const look = find ?? (() => this.#options.store.head(key));
    let found: ObjectEntry | null | undefined;
    return () => {
      if (found === undefined) found = look();
      return found;
    };
  }

  #ask(policy: Policy, action: Permission, resource: Resource, find: () => ObjectEntry | null): Verdict {
    const { bucket } = this.#options;
    return evaluatePolicy(policy, {
      identity: this.identity,
      action,
      resource: resource.key === undefined ? bucket : `${bucket}/${resource.key}`,
      lookup: this.#lookup(resource, find),
    });
  }

  #lookup(resource: Resource, find: () => ObjectEntry | null): Lookup {
    const given = resource.conditions ? givenConditions(resource.conditions) : null;
    const bucket = { region: this.#document?.region ?? '', account: this.#document?.account ?? '' };
    return (key) => {
      if (resource.bodyPending && isBodyKey(key)) return PENDING;
      if (resource.replaces && isBodyKey(key, resource.replaces)) return given?.get(key);
      return given?.get(key) ?? requestValue(key, this.#options, bucket, find);
    };
  }

  /** RestrictPublicBuckets: what a public policy allows is for the owner's account. */
  #counts(policy: Policy): boolean {
    if (!readPublicAccessBlock(this.#options.store)?.restrictPublicBuckets || !isPublicPolicy(policy)) return true;
    const account = this.#document?.account;
    return !isAnonymous(this.identity) && account !== undefined && account === this.identity.account;
  }

  #isForeign(permission: Permission, resource: Resource, find: () => ObjectEntry | null): boolean {
    if (resource.key === undefined || !OBJECT_OWNERS_ONLY.has(permission)) return false;
    if (!aclsEnabled(this.#options.store)) return false;
    const entry = find();
    return entry !== null && objectOwnerOf(this.#options.store, entry.attributes)?.id !== this.#owner?.id;
  }

  #aclAllows(permission: Permission, resource: Resource, find: () => ObjectEntry | null): boolean {
    const { store } = this.#options;
    if (!aclsEnabled(store)) return false;
    const entry = resource.key === undefined ? null : find();
    return aclAllows({
      identity: this.identity,
      permission,
      bucketAcl: readBucketAcl(store),
      objectAcl: entry && readObjectAcl(entry),
      bucketOwner: this.#owner,
      objectOwner: entry && objectOwnerOf(store, entry.attributes),
      aclsEnabled: true,
      ignorePublicAcls: readPublicAccessBlock(store)?.ignorePublicAcls ?? false,
    });
  }
}

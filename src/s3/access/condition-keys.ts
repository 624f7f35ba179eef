// Condition keys: which a policy may name, and their values in one request. Pure. Keys are compared without regard to
// case and live in lower case here. A key that can never have a value in this product, because what it speaks of does not
// exist here (VPCs, organisations, sessions), is understood and always absent: that is its meaning in AWS for a request
// that came another way. One whose value exists but is not known here is refused when the policy is stored.
// Source: Service Authorization Reference, "Condition keys for Amazon S3"; IAM User Guide, "AWS global condition context
// keys".
import type { ObjectEntry } from '../../store/types.ts';
import { LIMITS } from '../limits.ts';
import { parseHttpDate } from '../sigv4/amz-date.ts';
import { decodeComponent } from '../target.ts';
import type { Identity } from '../types.ts';
import { ANONYMOUS_USER_ID, isAnonymous } from './anonymous.ts';
import { principalArn } from './principals.ts';

/** What a request says about itself, as far as policies may ask. Travels to the node of a copy's source. */
export interface RequestFacts {
  readonly identity: Identity;
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string>>;
  readonly query: ReadonlyMap<string, readonly string[]>;
  readonly remoteAddress: string;
  readonly secureTransport: boolean;
  readonly nowMs: number;
  /** Credentials of a form are neither in a header nor in the query. */
  readonly authType?: 'POST';
  /** Of a form; everything else is signed with version 4. */
  readonly signatureVersion?: 'AWS4-HMAC-SHA256' | 'AWS';
  /** Of a request that makes an object visible: PutObject, CopyObject, CompleteMultipartUpload, PostObject. */
  readonly createsObject?: boolean;
}

/** What the bucket adds. */
export interface BucketFacts {
  readonly region: string;
  /** Account of the bucket's owner; '' when it is not known. */
  readonly account: string;
}

type Read = (facts: RequestFacts, bucket: BucketFacts) => string | undefined;

const header =
  (name: string): Read =>
  ({ headers }) =>
    headers[name];
const query =
  (name: string): Read =>
  ({ query: parameters }) =>
    parameters.get(name)?.[0];
const known =
  (read: Read): Read =>
  (facts, bucket) =>
    isAnonymous(facts.identity) ? undefined : read(facts, bucket);
const absent: Read = () => undefined;

/** Key as AWS writes it → value. docs/ACCESS.md lists them; a test compares. */
export const CONDITION_KEYS: Readonly<Record<string, Read>> = {
  'aws:CurrentTime': ({ nowMs }) => new Date(nowMs).toISOString(),
  'aws:EpochTime': ({ nowMs }) => String(Math.floor(nowMs / 1000)),
  'aws:PrincipalAccount': known(({ identity }) => identity.account),
  'aws:PrincipalArn': known(({ identity }) => principalArn(identity)),
  'aws:PrincipalIsAWSService': () => 'false',
  'aws:PrincipalType': ({ identity }) => (isAnonymous(identity) ? 'Anonymous' : 'User'),
  'aws:Referer': header('referer'),
  'aws:RequestedRegion': (_facts, { region }) => region || undefined,
  'aws:ResourceAccount': (_facts, { account }) => account || undefined,
  'aws:SecureTransport': ({ secureTransport }) => String(secureTransport),
  'aws:SourceIp': ({ remoteAddress }) => plainAddress(remoteAddress),
  'aws:UserAgent': header('user-agent'),
  'aws:userid': ({ identity }) => (isAnonymous(identity) ? ANONYMOUS_USER_ID : identity.canonicalId),
  'aws:username': known(({ identity }) => identity.displayName),
  'aws:ViaAWSService': () => 'false',
  's3:authType': authType,
  's3:delimiter': query('delimiter'),
  's3:if-match': header('if-match'),
  's3:if-none-match': header('if-none-match'),
  's3:max-keys': query('max-keys'),
  's3:object-lock-legal-hold': header('x-amz-object-lock-legal-hold'),
  's3:object-lock-mode': header('x-amz-object-lock-mode'),
  's3:object-lock-remaining-retention-days': remainingDays,
  's3:object-lock-retain-until-date': header('x-amz-object-lock-retain-until-date'),
  's3:ObjectCreationOperation': ({ createsObject }) =>
    createsObject === undefined ? undefined : String(createsObject),
  's3:prefix': query('prefix'),
  's3:ResourceAccount': (_facts, { account }) => account || undefined,
  's3:signatureAge': signatureAge,
  's3:signatureversion': known(({ signatureVersion }) => signatureVersion ?? 'AWS4-HMAC-SHA256'),
  's3:VersionId': query('versionId'),
  's3:x-amz-acl': header('x-amz-acl'),
  's3:x-amz-content-sha256': ({ headers, query: parameters }) =>
    headers['x-amz-content-sha256'] ?? (parameters.has('X-Amz-Signature') ? 'UNSIGNED-PAYLOAD' : undefined),
  's3:x-amz-copy-source': copySource,
  's3:x-amz-grant-full-control': header('x-amz-grant-full-control'),
  's3:x-amz-grant-read': header('x-amz-grant-read'),
  's3:x-amz-grant-read-acp': header('x-amz-grant-read-acp'),
  's3:x-amz-grant-write': header('x-amz-grant-write'),
  's3:x-amz-grant-write-acp': header('x-amz-grant-write-acp'),
  's3:x-amz-metadata-directive': header('x-amz-metadata-directive'),
  's3:x-amz-object-ownership': header('x-amz-object-ownership'),
  's3:x-amz-server-side-encryption': header('x-amz-server-side-encryption'),
  's3:x-amz-server-side-encryption-aws-kms-key-id': header('x-amz-server-side-encryption-aws-kms-key-id'),
  's3:x-amz-server-side-encryption-customer-algorithm': header('x-amz-server-side-encryption-customer-algorithm'),
  's3:x-amz-storage-class': header('x-amz-storage-class'),
  's3:x-amz-website-redirect-location': header('x-amz-website-redirect-location'),
  // never there: nothing that they speak of exists here
  'aws:CalledVia': absent,
  'aws:FederatedProvider': absent,
  'aws:MultiFactorAuthAge': absent,
  'aws:MultiFactorAuthPresent': absent,
  'aws:PrincipalOrgID': absent,
  'aws:PrincipalOrgPaths': absent,
  'aws:PrincipalServiceName': absent,
  'aws:SourceAccount': absent,
  'aws:SourceArn': absent,
  'aws:SourceOrgID': absent,
  'aws:SourceVpc': absent,
  'aws:SourceVpce': absent,
  'aws:TokenIssueTime': absent,
  'aws:VpcSourceIp': absent,
  's3:AccessPointNetworkOrigin': absent,
  's3:DataAccessPointAccount': absent,
  's3:DataAccessPointArn': absent,
};

/** Keys with a name of the author's behind them. Tags of credentials do not exist. */
export const CONDITION_KEY_PREFIXES = ['s3:ExistingObjectTag/', 's3:RequestObjectTag/', 'aws:PrincipalTag/'] as const;
const REQUEST_TAG_KEYS = 's3:requestobjecttagkeys';

const READERS: ReadonlyMap<string, Read> = new Map(
  Object.entries(CONDITION_KEYS).map(([key, read]) => [key.toLowerCase(), read]),
);
const EXISTING_TAG = 's3:existingobjecttag/';
const REQUEST_TAG = 's3:requestobjecttag/';

export function isKnownKey(key: string): boolean {
  const lower = key.toLowerCase();
  if (READERS.has(lower) || lower === REQUEST_TAG_KEYS) return true;
  return CONDITION_KEY_PREFIXES.some((prefix) => {
    const start = prefix.toLowerCase();
    return lower.startsWith(start) && lower.length > start.length;
  });
}

/** @param entry called at most when a policy asks for a tag of the object. */
export function requestValue(
  key: string,
  facts: RequestFacts,
  bucket: BucketFacts,
  entry: () => ObjectEntry | null,
): readonly string[] | undefined {
  if (key.startsWith(EXISTING_TAG)) return tagValues(objectTags(entry()), key.slice(EXISTING_TAG.length));
  if (key.startsWith(REQUEST_TAG)) return tagValues(requestTags(facts.headers), key.slice(REQUEST_TAG.length));
  if (key === REQUEST_TAG_KEYS) {
    const tags = requestTags(facts.headers);
    return tags.length === 0 ? undefined : tags.map(([name]) => name);
  }
  const value = READERS.get(key)?.(facts, bucket);
  return value === undefined ? undefined : [value];
}

type Tags = readonly (readonly [name: string, value: string])[];

/** The key of a condition has no case, a tag has: two tags may answer to one key. */
function tagValues(tags: Tags, key: string): readonly string[] | undefined {
  const values = tags.filter(([name]) => name.toLowerCase() === key).map(([, value]) => value);
  return values.length === 0 ? undefined : values;
}

export function objectTags(entry: ObjectEntry | null): Tags {
  const tags = entry?.attributes.tags;
  if (typeof tags !== 'object' || tags === null) return [];
  return Object.entries(tags).flatMap(([name, value]) => (typeof value === 'string' ? [[name, value] as const] : []));
}

/** Of a request; a policy may ask for hundreds of them, and of DeleteObjects for each key. */
const readTags = new WeakMap<object, Tags>();

/**
 * x-amz-tagging has the form of a query; whether it is well formed is judged where it is stored. No more are looked at than
 * it takes for a refusal there.
 */
function requestTags(headers: Readonly<Record<string, string>>): Tags {
  const text = headers['x-amz-tagging'];
  if (!text) return [];
  let tags = readTags.get(headers);
  if (tags === undefined) {
    tags = [...new URLSearchParams(text)].slice(0, LIMITS.objectTagsMax.value + 1);
    readTags.set(headers, tags);
  }
  return tags;
}

/**
 * Values that a question brings with it, by lower-case key. Names of tags in `s3:requestobjecttag/NAME` keep their case
 * for s3:RequestObjectTagKeys.
 */
export function givenConditions(conditions: Readonly<Record<string, string>>): ReadonlyMap<string, readonly string[]> {
  const given = new Map<string, string[]>();
  const add = (key: string, value: string) => given.set(key, [...(given.get(key) ?? []), value]);
  for (const [key, value] of Object.entries(conditions)) {
    add(key.toLowerCase(), value);
    if (key.toLowerCase().startsWith(REQUEST_TAG)) add(REQUEST_TAG_KEYS, key.slice(REQUEST_TAG.length));
  }
  return given;
}

/** What the body of PutObjectTagging says, or that of PutObjectRetention and PutObjectLegalHold. */
export type BodyFacts = 'tags' | 'lock';

/** Keys whose values stand in such a body; without `facts` of either. */
export function isBodyKey(key: string, facts?: BodyFacts): boolean {
  if (facts !== 'lock' && key.startsWith('s3:requestobjecttag')) return true;
  return facts !== 'tags' && key.startsWith('s3:object-lock-');
}

/** ::ffff:10.0.0.1 is 10.0.0.1. */
function plainAddress(address: string): string | undefined {
  const plain = address.replace(/^::ffff:(?=\d+\.\d+\.\d+\.\d+$)/i, '').replace(/%.*$/, '');
  return plain === '' ? undefined : plain;
}

function authType({ identity, query: parameters, authType: given }: RequestFacts): string | undefined {
  if (isAnonymous(identity)) return undefined;
  return given ?? (parameters.has('X-Amz-Signature') ? 'REST-QUERY-STRING' : 'REST-HEADER');
}

/** Milliseconds since the request was signed. */
function signatureAge({
  identity,
  headers,
  query: parameters,
  nowMs,
  authType: given,
}: RequestFacts): string | undefined {
  if (isAnonymous(identity)) return undefined;
  // A date in the query is what was signed only where the signature is there too: a form may be sent with any query.
  const presigned = given === undefined && parameters.has('X-Amz-Signature');
  const text = presigned ? parameters.get('X-Amz-Date')?.[0] : (headers['x-amz-date'] ?? headers.date);
  const date = parseHttpDate(text ?? '');
  return date === null ? undefined : String(Math.max(0, nowMs - date.ms));
}

/** Days that are begun. */
function remainingDays({ headers, nowMs }: RequestFacts): string | undefined {
  const until = headers['x-amz-object-lock-retain-until-date'];
  const ms = until === undefined ? Number.NaN : Date.parse(until);
  return Number.isNaN(ms) ? undefined : String(Math.ceil((ms - nowMs) / 86_400_000));
}

/** `bucket/key`: decoded, without a leading slash and version. */
function copySource({ headers }: RequestFacts): string | undefined {
  const wire = headers['x-amz-copy-source'];
  if (wire === undefined) return undefined;
  const at = wire.indexOf('?versionId=');
  try {
    const path = Buffer.from(at < 0 ? wire : wire.slice(0, at), 'utf8').toString('latin1');
    return decodeComponent(path, false).replace(/^\//, '');
  } catch {
    return wire;
  }
}

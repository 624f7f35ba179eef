// ListBuckets, CreateBucket, HeadBucket, DeleteBucket, GetBucketLocation.
// A list of buckets is whole or it is an error: fewer buckets than there are would be a wrong success.
import type { OwnershipRecord } from '../../cluster/record.ts';
import { isZringError } from '../../common/errors.ts';
import type { Store } from '../../store/types.ts';
import type { StoredAcl } from '../access/acl.ts';
import { ACL_DOCUMENT } from '../access/acl-ownership.ts';
import { newBucketDocuments, recreatedBucketAcl } from '../access/acl-requests.ts';
import { createAuthorizer } from '../access/authorizer.ts';
import { maySee } from '../authorize.ts';
import { invalidArgument, S3Error } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import { queryValue } from '../target.ts';
import type { Identity, S3Response, Target } from '../types.ts';
import { parseCreateBucketRequest } from '../xml/requests.ts';
import { listBucketsResult, locationResult } from '../xml/results.ts';
import { BUCKET_DOCUMENT, bucketDocument, checkExpectedOwner, ownerOf, readBucketDocument } from './bucket-document.ts';
import { type DatasetContext, type HandlerContext, readDocument } from './context.ts';
import { type LockDocument, OBJECT_LOCK_DOCUMENT, readLockDocument } from './lock-rules.ts';
import { decodeToken, encodeToken } from './page-query.ts';
import { bucketTagsDocument, TAGGING_DOCUMENT } from './tagging.ts';
import { bucketTags } from './tags.ts';
import { refuseUnsupported } from './unsupported.ts';

const LOCK_HEADER = 'x-amz-bucket-object-lock-enabled';
const XML = { 'content-type': 'application/xml' };
/** The region in which S3 takes a repeated CreateBucket of one's own bucket for a success. */
const FORGIVING_REGION = 'us-east-1';

/** What a node asks the coordinator before it lists buckets; when that takes longer, the list is as old as its catalog. */
const FRESHEN_MS = 500;

export async function listBuckets(context: HandlerContext): Promise<S3Response> {
  const { access, config } = context.services;
  const { identity } = context.request.auth;
  const { target } = context.request;
  await access.freshen(FRESHEN_MS);
  const { records, complete, missing } = access.records();
  if (!complete) {
    const who = missing && missing.length > 0 ? ` Not heard from: ${missing.join(', ')}.` : '';
    throw new S3Error('ServiceUnavailable', `The list of buckets is not complete now.${who} Please try again.`, {
      retryAfterSeconds: 2,
    });
  }
  const { region } = config().cluster;
  const query = readListQuery(target);
  const elsewhere = query.region !== null && query.region !== region;
  const names = elsewhere
    ? []
    : records
        .filter((record) => record.dataset.startsWith(query.prefix ?? '') && record.dataset > query.after)
        .filter((record) => isShown(identity, record))
        .sort((a, b) => (a.dataset < b.dataset ? -1 : 1));
  const page = names.slice(0, query.limit);
  const last = page.at(-1);
  const body = listBucketsResult({
    owner: ownerOf(identity),
    buckets: page.map((record) => ({
      name: record.dataset,
      createdMs: record.createdMs,
      ...(query.detailed ? { region } : {}),
    })),
    prefix: query.prefix,
    continuationToken: last && names.length > page.length ? encodeToken(last.dataset) : null,
  });
  return { status: 200, headers: XML, body };
}

/** Who made a bucket sees it, whatever the rules cover; a rule that only lets it make buckets shows nobody else's. */
function isShown(identity: Identity, record: OwnershipRecord): boolean {
  return record.creator === identity.canonicalId || maySee(identity, record.dataset);
}

function readListQuery(target: Target) {
  const limitText = queryValue(target, 'max-buckets');
  const token = queryValue(target, 'continuation-token');
  const prefix = queryValue(target, 'prefix') ?? null;
  const region = queryValue(target, 'bucket-region') ?? null;
  let limit = Number.POSITIVE_INFINITY;
  if (limitText !== undefined && limitText !== '') {
    limit = /^\d{1,6}$/.test(limitText) ? Number(limitText) : 0;
    const max = LIMITS.listBucketsMax.value;
    if (limit < 1 || limit > max) {
      throw invalidArgument(`max-buckets must be an integer between 1 and ${max}`, 'max-buckets', limitText);
    }
  }
  return {
    limit,
    prefix,
    region,
    after: token ? decodeToken(token) : '',
    /** S3 names the region of each bucket once any parameter is given. */
    detailed: limitText !== undefined || token !== undefined || prefix !== null || region !== null,
  };
}

export async function createBucket(context: HandlerContext): Promise<S3Response> {
  const { access, config } = context.services;
  const { headers, auth } = context.request;
  refuseUnsupported(headers);
  const { region } = config().cluster;
  const asked = parseCreateBucketRequest(await readDocument(context, LIMITS.configurationBytesMax.value));
  checkLocation(asked.locationConstraint, region);
  const tags = bucketTags(asked.tags);
  const document = bucketDocument(auth.identity, region);
  const lock = wantsLock(headers);
  const documents = {
    [BUCKET_DOCUMENT]: document,
    ...newBucketDocuments(auth.identity, headers, config()),
    ...(asked.tags.length > 0 ? { [TAGGING_DOCUMENT]: bucketTagsDocument(tags) } : {}),
    ...(lock ? { [OBJECT_LOCK_DOCUMENT]: { enabled: true } satisfies LockDocument } : {}),
  };
  const created = { status: 200, headers: { location: `/${context.bucket}` }, body: '' };
  if (access.locate(context.bucket).kind === 'local') {
    await recreate(context, region);
    return created;
  }
  try {
    const options = { creator: document.owner.id, ...(lock ? { versioning: 'enabled' as const } : {}) };
    await access.create(context.bucket, documents, options);
  } catch (error) {
    if (!isZringError(error, 'DATASET_EXISTS')) throw error;
    // Whose it is, only its owner can tell: the next attempt is routed there.
    if (access.locate(context.bucket).kind !== 'local')
      throw new S3Error('SlowDown', undefined, { retryAfterSeconds: 1 });
    await recreate(context, region);
  }
  return created;
}

function wantsLock(headers: Readonly<Record<string, string>>): boolean {
  const text = headers[LOCK_HEADER]?.trim().toLowerCase();
  if (text === undefined || text === 'false') return false;
  if (text === 'true') return true;
  throw invalidArgument(`${LOCK_HEADER} is true or false`, LOCK_HEADER, text);
}

function checkLocation(locationConstraint: string | null, region: string): void {
  // `us-east-1` and `EU` are what older clients send whatever the endpoint.
  const accepted = [null, region, 'us-east-1', 'EU'];
  if (!accepted.includes(locationConstraint)) throw new S3Error('InvalidLocationConstraint');
}

/** The bucket is here already: for its creator in one region a success that sets its ACL anew, else a conflict. */
async function recreate(context: HandlerContext, region: string): Promise<void> {
  const { access } = context.services;
  const held = await access.enter(context.bucket, 'read');
  try {
    if (requireRecreated(context, region, held.store) === undefined) return;
  } finally {
    held.release();
  }
  const writing = await access.enter(context.bucket, 'write');
  try {
    // Between the two it may have become somebody else's.
    const acl = requireRecreated(context, region, writing.store);
    if (acl !== undefined) await writing.store.setDocument(ACL_DOCUMENT, acl);
  } finally {
    writing.release();
  }
}

/** The ACL that is to be set, which its policy may forbid the owner; undefined: it has that ACL. */
function requireRecreated(context: HandlerContext, region: string, store: Store): StoredAcl | null | undefined {
  const { config, clock } = context.services;
  const { auth, headers, target, exchange } = context.request;
  const { identity } = auth;
  const fields = { BucketName: context.bucket };
  const owner = readBucketDocument(store)?.owner;
  if (owner?.id !== identity.canonicalId) throw new S3Error('BucketAlreadyExists', undefined, { fields });
  // A lock that was asked for and is not there would be a wrong success.
  const lockMissing = wantsLock(headers) && !readLockDocument(store);
  if (region !== FORGIVING_REGION || lockMissing) throw new S3Error('BucketAlreadyOwnedByYou', undefined, { fields });
  const acl = recreatedBucketAcl(store, owner, headers, config());
  if (acl === undefined) return undefined;
  const { address: remoteAddress, secure: secureTransport } = exchange.origin;
  const facts = { identity, headers, query: target.query, remoteAddress, secureTransport, nowMs: clock.wallMs() };
  createAuthorizer({ ...facts, bucket: context.bucket, store }).require('s3:PutBucketAcl');
  return acl;
}

export async function headBucket(context: DatasetContext): Promise<S3Response> {
  return { status: 200, headers: { 'x-amz-bucket-region': context.services.config().cluster.region }, body: null };
}

export async function deleteBucket(context: HandlerContext): Promise<S3Response> {
  const { access } = context.services;
  const expected = context.request.headers['x-amz-expected-bucket-owner'];
  if (expected !== undefined) {
    const held = await access.enter(context.bucket, 'read');
    try {
      checkExpectedOwner(readBucketDocument(held.store), expected);
    } finally {
      held.release();
    }
  }
  await access.remove(context.bucket);
  return { status: 204 };
}

export async function getBucketLocation(context: DatasetContext): Promise<S3Response> {
  return { status: 200, headers: XML, body: locationResult(context.services.config().cluster.region) };
}

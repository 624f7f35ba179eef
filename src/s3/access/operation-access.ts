// The questions that an operation asks before its handler runs, as operation-actions.ts has them. Owns nothing; throws
// AccessDenied. What hangs on headers with a meaning of their own (tags, locks, lists, the source of a copy, a bypass)
// is asked by the handlers, which understand them, before they let a client send its body.
import type { ObjectEntry, Store } from '../../store/types.ts';
import { mayCreate } from '../authorize.ts';
import { S3Error } from '../errors.ts';
import { type OperationName, operationSpec } from '../operation.ts';
import type { Identity, Target } from '../types.ts';
import { isAnonymous } from './anonymous.ts';
import type { Authorizer, Resource } from './authorizer.ts';
import { type AccessRow, OPERATION_ACTIONS } from './operation-actions.ts';

type ObjectRow = Extract<AccessRow, { on: 'object' }>;

/** Neither a signature nor its absence is asked for. */
export function isUnauthenticated(operation: OperationName): boolean {
  const { on } = OPERATION_ACTIONS[operation];
  return on === 'open' || on === 'form';
}

/** Makes an object visible, or is a step on the way to it; for s3:ObjectCreationOperation. undefined: neither. */
export function createsObject(operation: OperationName): boolean | undefined {
  return CREATES[operation];
}

const CREATES: Readonly<Partial<Record<OperationName, boolean>>> = {
  PutObject: true,
  CopyObject: true,
  RenameObject: true,
  PostObject: true,
  CompleteMultipartUpload: true,
  CreateMultipartUpload: false,
  UploadPart: false,
  UploadPartCopy: false,
};

/** What can be told without the bucket, and everything that operations without one need. */
export function requireBeforeBucket(operation: OperationName, identity: Identity, target: Target): void {
  const { on } = OPERATION_ACTIONS[operation];
  const nobody = isAnonymous(identity);
  if (on === 'service' && nobody) throw new S3Error('AccessDenied');
  if (on === 'new-bucket' && !mayCreate(identity, target.bucket ?? '')) throw new S3Error('AccessDenied');
  if (nobody && !operationSpec(operation).implemented) throw new S3Error('AccessDenied');
  if (nobody && [...target.query.keys()].some((name) => name.startsWith('response-'))) {
    throw new S3Error('InvalidRequest', 'Request specific response headers cannot be used for anonymous GET requests.');
  }
}

/** What the operation needs in its bucket. `historic`: the bucket is one of the past (snapshots/moment.ts). */
export function requireOperation(
  operation: OperationName,
  authorizer: Authorizer,
  store: Store,
  target: Target,
  historic = false,
): void {
  const row = OPERATION_ACTIONS[operation];
  switch (row.on) {
    case 'bucket':
      if (historic) requirePastListing(authorizer);
      else authorizer.require(row.actions[0]);
      return;
    case 'each-key':
      if (!authorizer.mayEver(row.actions[0])) throw new S3Error('AccessDenied');
      return;
    case 'object': {
      const [version] = target.query.get('versionId') ?? [];
      const [uploadId = ''] = target.query.get('uploadId') ?? [];
      requireObjectActions(row, authorizer, store, { key: target.key ?? '', version, uploadId, historic });
      return;
    }
    case 'form':
    case 'open':
    case 'service':
    case 'new-bucket':
      return;
  }
}

const READ = OPERATION_ACTIONS.GetObject;
/** What was deleted since, or made private, may be in it. */
const LIST_PAST = 's3:ListBucketVersions';

/** As GetObject does. `version`: as in a query; undefined = the current one. */
export function requireRead(
  authorizer: Authorizer,
  store: Store,
  key: string,
  version: string | undefined,
  historic = false,
): void {
  if (READ.on === 'object') requireObjectActions(READ, authorizer, store, { key, version, uploadId: '', historic });
}

/** Before a snapshot is opened for somebody: might anything in it be shown to them? Throws AccessDenied. */
export function requirePast(authorizer: Authorizer, isListing: boolean): void {
  if (isListing) requirePastListing(authorizer);
  else if (!authorizer.mayEver('s3:GetObjectVersion')) throw new S3Error('AccessDenied');
}

/** Whether somebody may hear that there is no such snapshot. */
export function mayHearOfPast(authorizer: Authorizer, key: string): boolean {
  return authorizer.allows(LIST_PAST, { conditions: { 's3:prefix': key } });
}

function requirePastListing(authorizer: Authorizer): void {
  authorizer.require(LIST_PAST);
  if (authorizer.denies('s3:ListBucket')) throw new S3Error('AccessDenied');
}

interface ObjectSubject {
  readonly key: string;
  readonly version: string | undefined;
  readonly uploadId: string;
  readonly historic: boolean;
}

function requireObjectActions(row: ObjectRow, authorizer: Authorizer, store: Store, subject: ObjectSubject): void {
  const { key, version, historic } = subject;
  const actions = (version === undefined && !historic ? undefined : row.versioned) ?? row.actions;
  const find = once(() => findObject(store, key, version));
  const resource: Resource = { key, find, ...(row.bodyPending ? { bodyPending: true } : {}) };
  // Who may not see it as it is may not see it as it was, whatever a policy says of versions.
  if (historic && row.actions.some((action) => authorizer.denies(action, resource))) throw new S3Error('AccessDenied');
  const allowed = actions.every((action) => authorizer.allows(action, resource));
  if (row.existing) {
    const mayList = authorizer.allows(historic ? LIST_PAST : 's3:ListBucket', { conditions: { 's3:prefix': key } });
    // Who may do both learns nothing from the answer; who may do neither is refused either way.
    if (allowed && mayList) return;
    if (find() === null) {
      const denied = actions.some((action) => authorizer.denies(action, resource));
      if (mayList && !denied) return;
      throw new S3Error('AccessDenied');
    }
  }
  if (allowed) return;
  const denied = actions.some((action) => authorizer.denies(action, resource));
  if (row.initiator && !denied && beganUpload(authorizer.identity, store, subject)) return;
  throw new S3Error('AccessDenied');
}

function once<T>(read: () => T): () => T {
  let known: { readonly value: T } | null = null;
  return () => {
    known ??= { value: read() };
    return known.value;
  };
}

/** A delete marker is nothing to read, but it tells of itself: it counts as absent. */
function findObject(store: Store, key: string, version: string | undefined): ObjectEntry | null {
  if (version === undefined) return store.head(key);
  const entry = store.version(key, version === 'null' ? null : version);
  return entry?.deleteMarker ? null : entry;
}

/** By default who began an upload may list its parts and abort it (AbortMultipartUpload, "Permissions"). */
function beganUpload(identity: Identity, store: Store, { key, uploadId }: ObjectSubject): boolean {
  if (isAnonymous(identity)) return false;
  const upload = store.upload(uploadId, key);
  const initiator = upload?.attributes.initiator as { readonly id?: unknown } | undefined;
  return initiator?.id === identity.canonicalId;
}

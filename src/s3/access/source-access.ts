// May the sender of a copy read its source? Asked where the source's bucket is: its policy, owner and lists are known
// there only. What the sender's request says about itself travels to that node, over the peer protocol; the peer is
// authenticated, the sender was at the destination. Owns nothing.
import { ZringError } from '../../common/errors.ts';
import type { ObjectEntry, Store } from '../../store/types.ts';
import { S3Error } from '../errors.ts';
import type { Identity } from '../types.ts';
import { type Authorizer, createAuthorizer } from './authorizer.ts';
import { objectTags, type RequestFacts } from './condition-keys.ts';
import { requireRead } from './operation-access.ts';

/** As JSON. */
export interface CopyRequester {
  readonly identity: Identity;
  /** Those that a policy of the source may ask for. */
  readonly headers: Readonly<Record<string, string>>;
  /** X-Amz-Date of a presigned URL; null: signed in a header, or not at all. */
  readonly presignedDate: string | null;
  readonly remoteAddress: string;
  readonly secureTransport: boolean;
  readonly nowMs: number;
  /** The copy takes the tags along. */
  readonly copiesTags: boolean;
}

const HEADERS = ['user-agent', 'referer', 'x-amz-date', 'date'];

export function copyRequester(facts: RequestFacts, copiesTags: boolean): CopyRequester {
  const { identity, remoteAddress, secureTransport, nowMs } = facts;
  const presigned = facts.query.has('X-Amz-Signature');
  return {
    identity,
    headers: Object.fromEntries(Object.entries(facts.headers).filter(([name]) => HEADERS.includes(name))),
    presignedDate: presigned ? (facts.query.get('X-Amz-Date')?.[0] ?? '') : null,
    remoteAddress,
    secureTransport,
    nowMs,
    copiesTags,
  };
}

/** From another node. One of a release that asked for itself does not say who reads: refused, never guessed. */
export function parseCopyRequester(value: unknown): CopyRequester {
  const found = (value ?? {}) as Partial<CopyRequester>;
  const { identity, headers } = found;
  const known =
    typeof identity?.accessKey === 'string' &&
    typeof identity.canonicalId === 'string' &&
    typeof identity.account === 'string' &&
    typeof identity.displayName === 'string' &&
    Array.isArray(identity.allow) &&
    typeof headers === 'object' &&
    headers !== null &&
    typeof found.remoteAddress === 'string' &&
    typeof found.nowMs === 'number';
  if (!known) throw new ZringError('PEER_PROTOCOL', 'a copy does not say who reads its source');
  return {
    identity,
    headers,
    presignedDate: typeof found.presignedDate === 'string' ? found.presignedDate : null,
    remoteAddress: found.remoteAddress ?? '',
    secureTransport: found.secureTransport === true,
    nowMs: found.nowMs ?? 0,
    copiesTags: found.copiesTags === true,
  };
}

export interface SourceQuestion {
  readonly bucket: string;
  readonly key: string;
  /** Absent = the current one; null = the null version. */
  readonly version?: string | null;
  readonly entry: ObjectEntry | null;
  /** It is read from a snapshot; the key is the one inside. */
  readonly historic: boolean;
}

/** As a request for the source itself would be judged. */
export function sourceAuthorizer(
  store: Store,
  { bucket, version }: Pick<SourceQuestion, 'bucket' | 'version'>,
  requester: CopyRequester,
): Authorizer {
  const { presignedDate, copiesTags: _, ...facts } = requester;
  const query = new Map<string, readonly string[]>();
  if (presignedDate !== null) query.set('X-Amz-Signature', ['']).set('X-Amz-Date', [presignedDate]);
  if (version !== undefined) query.set('versionId', [version ?? 'null']);
  return createAuthorizer({ ...facts, query, bucket, store });
}

/** Throws AccessDenied; also for a source that does not exist, when its sender may not list the bucket. */
export function requireSource(store: Store, source: SourceQuestion, requester: CopyRequester): void {
  const { key, version, entry, historic } = source;
  const { copiesTags } = requester;
  const authorizer = sourceAuthorizer(store, source, requester);
  requireRead(authorizer, store, key, version === undefined ? undefined : (version ?? 'null'), historic);
  if (!copiesTags || objectTags(entry).length === 0) return;
  const isPresent = version === undefined && !historic;
  authorizer.require(isPresent ? 's3:GetObjectTagging' : 's3:GetObjectVersionTagging', { key, entry });
}

/** For the peer protocol, which knows the project's own codes only. */
export function asPeerError(error: unknown): unknown {
  if (!(error instanceof S3Error)) return error;
  if (error.code === 'NoSuchKey') return new ZringError('OBJECT_MISSING', error.message, { cause: error });
  if (error.code !== 'AccessDenied') return error;
  return new ZringError('ACCESS_DENIED', 'the source of the copy may not be read', { cause: error });
}

// The source of a copy, wherever its dataset lives: in the dataset that is being written, in another one of this node,
// or at another node, from which its bytes come over the peer protocol (method `s3.object`, served by `objectMethods`).
// A source is opened once and always closed. The read is authorised where the source is, for its bucket's policy, owner
// and lists are known there: the peer method trusts the authenticated node that asks to say who asks, no more.
import { Readable } from 'node:stream';
import { isZringError, type NotOwnerDetails, ZringError } from '../../common/errors.ts';
import type { PeerMethods } from '../../common/peer.ts';
import type { DatasetAccess, HeldDataset } from '../../ownership/access.ts';
import type { ObjectEntry, Store } from '../../store/types.ts';
import {
  asPeerError,
  type CopyRequester,
  copyRequester,
  parseCopyRequester,
  requireSource,
  sourceAuthorizer,
} from '../access/source-access.ts';
import { S3Error } from '../errors.ts';
import { momentOfKey } from '../snapshots/moment.ts';
import { decodeComponent, requireBucketName, requireKey } from '../target.ts';
import { type BucketDocument, parseBucketDocument, readBucketDocument } from './bucket-document.ts';
import type { DatasetContext, HandlerServices } from './context.ts';
import { noSuchVersion, parseVersionId } from './version-id.ts';

export const OBJECT_METHOD = 's3.object';

/** Inclusive. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/** What a copy needs to know of its source. */
export type SourceEntry = Pick<
  ObjectEntry,
  'key' | 'versionId' | 'size' | 'etag' | 'modifiedMs' | 'partSizes' | 'attributes'
>;

export interface CopySource {
  readonly entry: SourceEntry;
  readonly document: BucketDocument | null;
  /** As the request named it; undefined = the current one, whatever that is by now. */
  readonly version: string | null | undefined;
  /** Versioning is, or was, on in its bucket. */
  readonly versioned: boolean;
  /** Set when the source is in the dataset that is being written: the store can copy without moving bytes. */
  readonly sameDataset: ObjectEntry | null;
  /** The bytes of the range it was opened with, cut to the size; call once. */
  body(): Readable;
  close(): void;
}

export interface SourceName {
  readonly bucket: string;
  readonly key: string;
  /** Absent = the current one; null = the null version. */
  readonly version?: string | null;
}

/** x-amz-copy-source: `[/]bucket/key[?versionId=…]`, percent-encoded once. `wire` is the header as Node shows it. */
export function parseCopySource(wire: string): SourceName {
  const at = wire.indexOf('?versionId=');
  const version = at < 0 ? undefined : parseVersionId(wire.slice(at + '?versionId='.length));
  let path: string;
  try {
    path = decodeComponent(at < 0 ? wire : wire.slice(0, at), false);
  } catch {
    throw new S3Error('InvalidArgument', 'Invalid copy source encoding.');
  }
  const [, bucket = '', key = ''] = /^\/?([^/]*)\/(.*)$/s.exec(path) ?? [];
  if (bucket === '' || key === '') {
    throw new S3Error('InvalidArgument', 'Copy Source must mention the source bucket and key: sourcebucket/sourcekey');
  }
  requireBucketName(bucket);
  requireKey(key);
  return { bucket, key, ...(version === undefined ? {} : { version }) };
}

function missing({ key, version }: Pick<SourceName, 'key' | 'version'>): S3Error {
  if (version !== undefined) return noSuchVersion(key, version);
  return new S3Error('NoSuchKey', undefined, { fields: { Key: key } });
}

/** The named version, else the current one; null = none. Delete markers only by name. */
function findSource(store: Store, { key, version }: Pick<SourceName, 'key' | 'version'>): ObjectEntry | null {
  return version === undefined ? store.head(key) : store.version(key, version);
}

function markerSource(): S3Error {
  return new S3Error(
    'InvalidRequest',
    'The source of a copy request may not specifically refer to a delete marker by version id.',
  );
}

/** What is wanted of a source, and by whom. */
interface Wanted {
  readonly name: SourceName;
  /** null = all; a range beyond the object gives an empty body. */
  readonly range: ByteRange | null;
  readonly requester: CopyRequester;
}

/** Opens the source, if the sender may read it. `copiesTags`: it may read its tags as well. */
export async function openCopySource(
  context: DatasetContext,
  name: SourceName,
  range: ByteRange | null,
  copiesTags = false,
): Promise<CopySource> {
  const wanted: Wanted = { name, range, requester: requesterOf(context, copiesTags) };
  if (name.bucket === context.bucket) return sourceIn(context.dataset, wanted, true, () => undefined);
  const { access, self } = context.services;
  const where = access.locate(name.bucket);
  if (where.kind !== 'remote') {
    try {
      return await openLocal(access, wanted);
    } catch (error) {
      const owner = ownerElsewhere(error, self);
      if (owner === null) throw error;
      return openRemote(context.services, owner, wanted);
    }
  }
  try {
    return await openRemote(context.services, where.node, wanted);
  } catch (error) {
    const owner = isZringError(error, 'NOT_OWNER')
      ? ((error.details as NotOwnerDetails | undefined)?.owner ?? null)
      : null;
    if (owner === null || owner === where.node) throw error;
    return owner === self ? openLocal(access, wanted) : openRemote(context.services, owner, wanted);
  }
}

function requesterOf({ request, services }: DatasetContext, copiesTags: boolean): CopyRequester {
  const { exchange, auth, headers, target } = request;
  const { address: remoteAddress, secure: secureTransport } = exchange.origin;
  const nowMs = services.clock.wallMs();
  const facts = { identity: auth.identity, headers, query: target.query, remoteAddress, secureTransport, nowMs };
  return copyRequester(facts, copiesTags);
}

/** The node that a NOT_OWNER names, when it is another one. */
function ownerElsewhere(error: unknown, self: string): string | null {
  if (!isZringError(error, 'NOT_OWNER')) return null;
  const owner = (error.details as NotOwnerDetails | undefined)?.owner ?? null;
  return owner === self ? null : owner;
}

async function openLocal(access: DatasetAccess, wanted: Wanted): Promise<CopySource> {
  const held = await access.enter(wanted.name.bucket, 'read');
  try {
    return await sourceIn(held, wanted, false, () => held.release());
  } catch (error) {
    held.release();
    throw error;
  }
}

async function sourceIn(
  held: HeldDataset,
  { name, range, requester }: Wanted,
  sameDataset: boolean,
  release: () => void,
): Promise<CopySource> {
  const found = await lookUp(held, name, requester);
  const { entry, store } = found;
  try {
    if (!entry) throw missing(name);
    if (entry.deleteMarker) throw markerSource();
  } catch (error) {
    found.release();
    throw error;
  }
  let body: Readable | null = null;
  return {
    entry,
    document: readBucketDocument(store),
    version: name.version,
    versioned: store.versioning() !== 'off',
    sameDataset: sameDataset && !found.historic ? entry : null,
    body() {
      const cut = cutRange(range, entry.size);
      body = cut ? store.read(entry, cut) : Readable.from([]);
      return body;
    },
    close() {
      body?.destroy();
      found.release();
      release();
    },
  };
}

interface Found {
  readonly entry: ObjectEntry | null;
  readonly store: Store;
  readonly historic: boolean;
  /** Before the dataset is. */
  release(): void;
}

/** In the present, or in a snapshot. Errors: AccessDenied, and those of opening a snapshot. */
async function lookUp(held: HeldDataset, name: SourceName, requester: CopyRequester): Promise<Found> {
  const authorizerOf = () => sourceAuthorizer(held.store, name, requester);
  const { dataset, key, historic, release } = await momentOfKey(held, name.key, authorizerOf);
  const { store } = dataset;
  try {
    const entry = findSource(store, { ...name, key });
    requireSource(store, { ...name, key, entry, historic }, requester);
    return { entry, store, historic, release };
  } catch (error) {
    release();
    throw error;
  }
}

function cutRange(range: ByteRange | null, size: number): ByteRange | null {
  const start = range?.start ?? 0;
  const end = Math.min(range?.end ?? size - 1, size - 1);
  return start > end ? null : { start, end };
}

interface ObjectRequest {
  readonly dataset: string;
  readonly key: string;
  /** Absent = the current one; null = the null version. */
  readonly version?: string | null;
  readonly range: ByteRange | null;
  readonly requester: CopyRequester;
}

interface ObjectHead {
  readonly entry: SourceEntry;
  readonly versioned?: boolean;
  /** The named version is a delete marker: the asking node refuses it. */
  readonly deleteMarker?: boolean;
  readonly document: unknown;
}

async function openRemote(services: HandlerServices, node: string, wanted: Wanted): Promise<CopySource> {
  const { name, range, requester } = wanted;
  const { bucket: dataset, key, version } = name;
  const request: ObjectRequest = { dataset, key, ...(version === undefined ? {} : { version }), range, requester };
  const stream = await services.transport.stream(node, OBJECT_METHOD, request).catch((error: unknown) => {
    throw isZringError(error, 'OBJECT_MISSING') ? missing(name) : error;
  });
  const head = stream.head as Partial<ObjectHead> | null;
  const known = typeof head?.entry?.size === 'number' && typeof head.entry.etag === 'string';
  // A node of a release without versions would send the current object instead of the one that was asked for.
  if (!known || (version !== undefined && (head.entry?.versionId ?? null) !== version)) {
    stream.body.destroy();
    throw new ZringError('PEER_PROTOCOL', `${OBJECT_METHOD}: node ${node} sent an unknown head`, { subject: node });
  }
  if (head.deleteMarker) {
    stream.body.destroy();
    throw markerSource();
  }
  return {
    entry: { ...head.entry, versionId: head.entry.versionId ?? null },
    version,
    versioned: head.versioned ?? false,
    document: parseBucketDocument(head.document),
    sameDataset: null,
    body: () => stream.body,
    close: () => {
      stream.body.destroy();
    },
  };
}

/** The serving side, registered on the peer listener. The gate is held until the stream has ended. */
export function objectMethods(access: DatasetAccess): PeerMethods {
  return {
    calls: {},
    streams: {
      [OBJECT_METHOD]: async (input, _from, signal) => {
        const { dataset, key, version, range, requester } = parseObjectRequest(input);
        const held = await access.enter(dataset, 'read');
        let found: Found | null = null;
        let released = false;
        const release = () => {
          if (released) return;
          released = true;
          found?.release();
          held.release();
        };
        try {
          const name = { bucket: dataset, key, ...(version === undefined ? {} : { version }) };
          found = await lookUp(held, name, requester);
          const { entry, store } = found;
          if (!entry) throw new ZringError('OBJECT_MISSING', `no object ${key} in ${dataset}`, { subject: key });
          const cut = cutRange(range, entry.size);
          const body = cut ? store.read(entry, cut) : Readable.from([]);
          body.once('close', release);
          const abort = () => body.destroy();
          signal.addEventListener('abort', abort, { once: true });
          body.once('close', () => signal.removeEventListener('abort', abort));
          const { versionId, size, etag, modifiedMs, partSizes, attributes, deleteMarker } = entry;
          const head: ObjectHead = {
            entry: { key, versionId, size, etag, modifiedMs, partSizes, attributes },
            versioned: store.versioning() !== 'off',
            ...(deleteMarker ? { deleteMarker } : {}),
            document: readBucketDocument(store),
          };
          return { head, body };
        } catch (error) {
          release();
          throw asPeerError(error);
        }
      },
    },
  };
}

function parseObjectRequest(input: unknown): ObjectRequest {
  const { dataset, key, version, range, requester } = (input ?? {}) as Partial<ObjectRequest>;
  const rangeValid =
    range === null ||
    (Number.isSafeInteger(range?.start) && Number.isSafeInteger(range?.end) && (range?.start ?? -1) >= 0);
  const versionValid = version === undefined || version === null || typeof version === 'string';
  if (typeof dataset !== 'string' || typeof key !== 'string' || !versionValid || !rangeValid) {
    throw new ZringError('PEER_PROTOCOL', `${OBJECT_METHOD}: malformed request`);
  }
  const named = version === undefined ? {} : { version };
  return { dataset, key, ...named, range: range ?? null, requester: parseCopyRequester(requester) };
}

// What is asked of a bucket's owner, wherever that is: here, or by a call to it, following one *not owner*. Owns nothing.
import { isZringError, type NotOwnerDetails, ZringError } from '../common/errors.ts';
import type { PeerTransport } from '../common/peer.ts';
import { isDatasetName, isStagingName } from '../dataset/names.ts';
import type { DatasetAccess } from '../ownership/access.ts';

/** A few commands of ZFS, each of which waits for a transaction group. */
const CALL_TIMEOUT_MS = 60_000;
const HOPS_MAX = 2;

export interface OwnerDeps {
  readonly self: string;
  readonly access: Pick<DatasetAccess, 'locate'>;
  readonly peers: PeerTransport;
}

export interface OwnerQuestion<Answer> {
  readonly bucket: string;
  readonly method: string;
  readonly request: object;
  /** When this node is the owner. */
  readonly local: () => Promise<Answer>;
}

/** `node`: who answered. Errors: DATASET_NAME_INVALID, DATASET_MISSING, DATASET_UNAVAILABLE, NODE_UNREACHABLE, the owner's. */
export async function atOwner<Answer>(
  deps: OwnerDeps,
  { bucket, method, request, local }: OwnerQuestion<Answer>,
): Promise<{ readonly node: string; readonly answer: Answer }> {
  requireBucketName(bucket);
  let node = ownerOf(deps, bucket);
  for (let hop = 1; ; hop++) {
    try {
      const answer =
        node === deps.self
          ? await local()
          : ((await deps.peers.call(node, method, request, { timeoutMs: CALL_TIMEOUT_MS })) as Answer);
      return { node, answer };
    } catch (error) {
      const next = isZringError(error, 'NOT_OWNER') ? (error.details as Partial<NotOwnerDetails>)?.owner : null;
      if (!next || next === node || hop === HOPS_MAX) throw error;
      node = next;
    }
  }
}

function ownerOf({ self, access }: OwnerDeps, bucket: string): string {
  const where = access.locate(bucket);
  switch (where.kind) {
    case 'local':
      return self;
    case 'remote':
      return where.node;
    case 'absent':
      throw new ZringError('DATASET_MISSING', `there is no bucket ${bucket}`, { subject: bucket });
    case 'unavailable':
      throw new ZringError('DATASET_UNAVAILABLE', `${bucket}: ${where.reason}`, { subject: bucket });
  }
}

/** Of a request from another node. */
export function datasetOf(request: unknown): string {
  const { dataset } = (request ?? {}) as { dataset?: unknown };
  return requireBucketName(dataset);
}

function requireBucketName(name: unknown): string {
  if (typeof name === 'string' && isDatasetName(name) && !isStagingName(name)) return name;
  throw new ZringError('DATASET_NAME_INVALID', 'this cannot be the name of a bucket');
}

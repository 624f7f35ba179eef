// Storage settings of any bucket from any node: found at its owner, here or by a call to it, following one *not owner*.
// Owns nothing. What a setting means, and whether it is accepted, the owner's storage says (ownership/dataset-storage.ts).
import { isZringError, type NotOwnerDetails, ZringError } from '../common/errors.ts';
import type { PeerMethods, PeerTransport } from '../common/peer.ts';
import type { StorageSettings } from '../dataset/driver.ts';
import { isDatasetName, isStagingName } from '../dataset/names.ts';
import type { DatasetAccess, StorageDesk } from '../ownership/access.ts';
import type { StorageDescription } from '../ownership/dataset-storage.ts';

const METHODS = { describe: 'storage.describe', configure: 'storage.configure' } as const;
/** A few commands of ZFS, each of which waits for a transaction group. */
const CALL_TIMEOUT_MS = 60_000;
const HOPS_MAX = 2;
const KEYS: readonly string[] = ['quotaBytes', 'reservationBytes', 'compression'] satisfies (keyof StorageSettings)[];

export interface BucketSettings extends StorageDescription {
  readonly bucket: string;
  /** The owner, which answered. */
  readonly node: string;
}

export interface BucketDesk {
  /** Errors: DATASET_MISSING, DATASET_UNAVAILABLE, NODE_UNREACHABLE, and those of StorageDesk. */
  get(bucket: string): Promise<BucketSettings>;
  /** Also CONFIG_REFUSED; then nothing was changed. */
  set(bucket: string, change: Partial<StorageSettings>): Promise<BucketSettings>;
}

export function createBucketDesk(deps: {
  readonly self: string;
  readonly access: Pick<DatasetAccess, 'locate'>;
  readonly storage: StorageDesk;
  readonly peers: PeerTransport;
}): BucketDesk {
  async function atOwner(
    bucket: string,
    local: () => Promise<StorageDescription>,
    method: string,
    request: object,
  ): Promise<BucketSettings> {
    requireBucketName(bucket);
    let node = ownerOf(deps, bucket);
    for (let hop = 1; ; hop++) {
      try {
        const found =
          node === deps.self
            ? await local()
            : ((await deps.peers.call(node, method, request, { timeoutMs: CALL_TIMEOUT_MS })) as StorageDescription);
        return { bucket, node, ...found };
      } catch (error) {
        const next = isZringError(error, 'NOT_OWNER') ? (error.details as Partial<NotOwnerDetails>)?.owner : null;
        if (!next || next === node || hop === HOPS_MAX) throw error;
        node = next;
      }
    }
  }
  const { storage } = deps;
  return {
    get: (bucket) => atOwner(bucket, () => storage.describe(bucket), METHODS.describe, { dataset: bucket }),
    set: (bucket, change) =>
      atOwner(bucket, () => storage.configure(bucket, change), METHODS.configure, { dataset: bucket, change }),
  };
}

/** What other nodes call; only of datasets that this node owns. */
export function bucketMethods(storage: StorageDesk): PeerMethods {
  return {
    calls: {
      [METHODS.describe]: async (request) => storage.describe(datasetOf(request)),
      [METHODS.configure]: async (request) =>
        storage.configure(datasetOf(request), parseSettingsChange((request as { change?: unknown }).change)),
    },
    streams: {},
  };
}

/** Errors: CONFIG_REFUSED. Types only: what a sound value is, the owner says. */
export function parseSettingsChange(value: unknown): Partial<StorageSettings> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw refused('expected an object');
  const change: Record<string, unknown> = {};
  for (const [key, setting] of Object.entries(value)) {
    if (!KEYS.includes(key)) throw refused(`no setting ${key}; there are: ${KEYS.join(', ')}`);
    const type = key === 'compression' ? 'string' : 'number';
    if (setting !== null && typeof setting !== type) throw refused(`${key} is a ${type}, or null`);
    change[key] = setting;
  }
  if (Object.keys(change).length === 0) throw refused(`nothing to set; there are: ${KEYS.join(', ')}`);
  return change as Partial<StorageSettings>;
}

function ownerOf({ self, access }: { self: string; access: Pick<DatasetAccess, 'locate'> }, bucket: string): string {
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

function datasetOf(request: unknown): string {
  const { dataset } = (request ?? {}) as { dataset?: unknown };
  return requireBucketName(dataset);
}

function requireBucketName(name: unknown): string {
  if (typeof name === 'string' && isDatasetName(name) && !isStagingName(name)) return name;
  throw new ZringError('DATASET_NAME_INVALID', 'this cannot be the name of a bucket');
}

function refused(message: string): ZringError {
  return new ZringError('CONFIG_REFUSED', message);
}

// Storage settings of any bucket from any node: found at its owner, here or by a call to it, following one *not owner*.
// Owns nothing. What a setting means, and whether it is accepted, the owner's storage says (ownership/dataset-storage.ts).
import { ZringError } from '../common/errors.ts';
import type { PeerMethods } from '../common/peer.ts';
import type { StorageSettings } from '../dataset/driver.ts';
import type { StorageDesk } from '../ownership/access.ts';
import type { StorageDescription } from '../ownership/dataset-storage.ts';
import { atOwner, datasetOf, type OwnerDeps } from './at-owner.ts';

const METHODS = { describe: 'storage.describe', configure: 'storage.configure' } as const;
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

export function createBucketDesk(deps: OwnerDeps & { readonly storage: StorageDesk }): BucketDesk {
  const askOwner = async (
    bucket: string,
    method: string,
    request: object,
    local: () => Promise<StorageDescription>,
  ) => {
    const { node, answer } = await atOwner(deps, { bucket, method, request, local });
    return { bucket, node, ...answer };
  };
  const { storage } = deps;
  return {
    get: (bucket) => askOwner(bucket, METHODS.describe, { dataset: bucket }, () => storage.describe(bucket)),
    set: (bucket, change) =>
      askOwner(bucket, METHODS.configure, { dataset: bucket, change }, () => storage.configure(bucket, change)),
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

function refused(message: string): ZringError {
  return new ZringError('CONFIG_REFUSED', message);
}

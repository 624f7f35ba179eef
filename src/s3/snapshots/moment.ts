// The bucket that a request is about: as it is, or as it was when a snapshot was taken. The seam between the pipeline (or the
// source of a copy) and the rest of this folder. Owns nothing.
import type { HeldDataset } from '../../ownership/access.ts';
import type { Authorizer } from '../access/authorizer.ts';
import { mayHearOfPast, requirePast } from '../access/operation-access.ts';
import { S3Error } from '../errors.ts';
import type { Target } from '../types.ts';
import { addressOf, type SnapshotAddress } from './address.ts';
import { openSnapshotView } from './view.ts';

export interface Moment {
  readonly dataset: HeldDataset;
  /** Inside the bucket of that time; '' = none. */
  readonly key: string;
  /** It is the past: reading it takes the right to read versions. */
  readonly historic: boolean;
  /** Before the dataset is. */
  release(): void;
}

/** What a request about the past is about. `asked`: the target as that time's bucket would see it, for what is authorised. */
export interface Asked extends Moment {
  readonly asked: Target;
}

/**
 * `target` is about `address`. `authorizerOf`: who asks, as the bucket of today judges. Nothing is opened for somebody who
 * could be shown nothing of it. Errors: AccessDenied, NoSuchKey, and those of opening a snapshot.
 */
export async function momentOf(
  address: SnapshotAddress,
  target: Target,
  held: HeldDataset,
  authorizerOf: (asked: Target) => Authorizer,
): Promise<Asked> {
  const isListing = target.key === null;
  const key = address.key ?? '';
  const asked = isListing ? { ...target, query: new Map([...target.query, ['prefix', [key]]]) } : { ...target, key };
  return { ...(await past(held, address, isListing, authorizerOf(asked))), asked };
}

/** Of an object that is named otherwise, e.g. as the source of a copy. Errors: as `momentOf`. */
export async function momentOfKey(held: HeldDataset, key: string, authorizerOf: () => Authorizer): Promise<Moment> {
  const address = addressOf(key);
  return address ? past(held, address, false, authorizerOf()) : present(held, key);
}

function present(dataset: HeldDataset, key: string): Moment {
  return { dataset, key, historic: false, release: () => undefined };
}

async function past(
  held: HeldDataset,
  address: SnapshotAddress,
  isListing: boolean,
  authorizer: Authorizer,
): Promise<Moment> {
  requirePast(authorizer, isListing);
  const view = await openSnapshotView(held, address, isListing);
  const key = address.key ?? '';
  if (view) return { dataset: { ...held, store: view.store }, key, historic: true, release: view.release };
  throw mayHearOfPast(authorizer, key) ? new S3Error('NoSuchKey') : new S3Error('AccessDenied');
}

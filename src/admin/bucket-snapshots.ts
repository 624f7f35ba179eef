// Snapshots of any bucket from any node: the bucket's owner is asked. Owns nothing. docs/SNAPSHOTS.md.
import { ZringError } from '../common/errors.ts';
import type { PeerMethods } from '../common/peer.ts';
import type { BucketSnapshot, RollbackReport, SnapshotDesk } from '../ownership/access.ts';
import { atOwner, datasetOf, type OwnerDeps } from './at-owner.ts';

const METHODS = {
  create: 'snapshots.create',
  list: 'snapshots.list',
  destroy: 'snapshots.destroy',
  rollback: 'snapshots.rollback',
  clone: 'snapshots.clone',
} as const;

export interface BucketSnapshots {
  readonly bucket: string;
  /** The owner, which answered. */
  readonly node: string;
  /** Oldest first. */
  readonly snapshots: readonly BucketSnapshot[];
}

export interface SnapshotChange {
  readonly verb: 'create' | 'destroy' | 'rollback' | 'clone';
  /** null: one is made from the time (`create` only). */
  readonly name: string | null;
  /** `rollback` only; without it, it only tells what would be lost. */
  readonly acceptLoss?: boolean;
  /** `clone` only: the new bucket. */
  readonly target?: string;
}

/** What the S3 side says of a bucket that is cloned. */
export interface CloneRules {
  /** Of the new bucket, instead of what comes along; undefined removes one. */
  readonly documents: Readonly<Record<string, unknown>>;
  /** Why a client could not use a bucket of this name, or null. */
  nameFault(name: string): string | null;
}

interface Changed {
  readonly name: string;
  /** Of a rollback: what is lost, or would be. */
  readonly rollback?: RollbackReport;
  /** The new bucket. */
  readonly target?: string;
}

export interface SnapshotAnswer extends Changed {
  readonly bucket: string;
  /** The owner, which answered. */
  readonly node: string;
}

/** Errors: those of `atOwner` and of SnapshotDesk. */
export interface BucketSnapshotDesk {
  list(bucket: string): Promise<BucketSnapshots>;
  change(bucket: string, change: SnapshotChange): Promise<SnapshotAnswer>;
}

interface DeskDeps {
  readonly snapshots: SnapshotDesk;
  readonly clones: CloneRules;
}

export function createBucketSnapshotDesk(deps: OwnerDeps & DeskDeps): BucketSnapshotDesk {
  const { snapshots } = deps;
  return {
    async list(bucket) {
      const local = async () => ({ snapshots: await snapshots.list(bucket) });
      const asked = { bucket, method: METHODS.list, request: { dataset: bucket }, local };
      const { node, answer } = await atOwner(deps, asked);
      return { bucket, node, snapshots: answer.snapshots };
    },
    async change(bucket, { verb, ...rest }) {
      const local = () => changeHere(deps, bucket, { verb, ...rest });
      const asked = { bucket, method: METHODS[verb], request: { dataset: bucket, ...rest }, local };
      const { node, answer } = await atOwner(deps, asked);
      return { bucket, node, ...answer };
    },
  };
}

/** What other nodes call; only of datasets that this node owns. */
export function snapshotMethods(deps: DeskDeps): PeerMethods {
  const { snapshots } = deps;
  const change = (verb: SnapshotChange['verb']) => async (request: unknown) =>
    changeHere(deps, datasetOf(request), parseSnapshotChange({ ...(request as object), verb }));
  return {
    calls: {
      [METHODS.list]: async (request) => ({ snapshots: await snapshots.list(datasetOf(request)) }),
      [METHODS.create]: change('create'),
      [METHODS.destroy]: change('destroy'),
      [METHODS.rollback]: change('rollback'),
      [METHODS.clone]: change('clone'),
    },
    streams: {},
  };
}

/** Errors: CONFIG_REFUSED. Types only: what a sound name is, the owner says. */
export function parseSnapshotChange(value: unknown): SnapshotChange {
  const { verb, name = null, acceptLoss, target } = (value ?? {}) as Record<string, unknown>;
  const isNamed = typeof name === 'string' || (name === null && verb === 'create');
  if (isNamed && verb === 'rollback') return { verb, name, acceptLoss: acceptLoss === true };
  if (isNamed && (verb === 'create' || verb === 'destroy')) return { verb, name };
  if (isNamed && verb === 'clone' && typeof target === 'string') return { verb, name, target };
  const expected = 'expected {"verb": "create" | "destroy" | "rollback" | "clone", "name": string, …}';
  throw new ZringError('CONFIG_REFUSED', expected);
}

async function changeHere(
  { snapshots, clones }: DeskDeps,
  dataset: string,
  { verb, name, acceptLoss = false, target = '' }: SnapshotChange,
): Promise<Changed> {
  if (verb === 'create') return { name: (await snapshots.create(dataset, name)).name };
  const named = name ?? '';
  if (verb === 'rollback') return { name: named, rollback: await snapshots.rollback(dataset, named, acceptLoss) };
  if (verb === 'clone') {
    const fault = clones.nameFault(target);
    if (fault !== null) throw new ZringError('DATASET_NAME_INVALID', fault, { subject: target });
    await snapshots.clone(dataset, { snapshot: named, target, documents: clones.documents });
    return { name: named, target };
  }
  await snapshots.destroy(dataset, named);
  return { name: named };
}

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
} as const;

export interface BucketSnapshots {
  readonly bucket: string;
  /** The owner, which answered. */
  readonly node: string;
  /** Oldest first. */
  readonly snapshots: readonly BucketSnapshot[];
}

export interface SnapshotChange {
  readonly verb: 'create' | 'destroy' | 'rollback';
  /** null: one is made from the time (`create` only). */
  readonly name: string | null;
  /** `rollback` only; without it, it only tells what would be lost. */
  readonly acceptLoss?: boolean;
}

interface Changed {
  readonly name: string;
  /** Of a rollback: what is lost, or would be. */
  readonly rollback?: RollbackReport;
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

export function createBucketSnapshotDesk(deps: OwnerDeps & { readonly snapshots: SnapshotDesk }): BucketSnapshotDesk {
  const { snapshots } = deps;
  return {
    async list(bucket) {
      const local = async () => ({ snapshots: await snapshots.list(bucket) });
      const asked = { bucket, method: METHODS.list, request: { dataset: bucket }, local };
      const { node, answer } = await atOwner(deps, asked);
      return { bucket, node, snapshots: answer.snapshots };
    },
    async change(bucket, { verb, ...rest }) {
      const local = () => changeHere(snapshots, bucket, { verb, ...rest });
      const asked = { bucket, method: METHODS[verb], request: { dataset: bucket, ...rest }, local };
      const { node, answer } = await atOwner(deps, asked);
      return { bucket, node, ...answer };
    },
  };
}

/** What other nodes call; only of datasets that this node owns. */
export function snapshotMethods(snapshots: SnapshotDesk): PeerMethods {
  const change = (verb: SnapshotChange['verb']) => async (request: unknown) =>
    changeHere(snapshots, datasetOf(request), parseSnapshotChange({ ...(request as object), verb }));
  return {
    calls: {
      [METHODS.list]: async (request) => ({ snapshots: await snapshots.list(datasetOf(request)) }),
      [METHODS.create]: change('create'),
      [METHODS.destroy]: change('destroy'),
      [METHODS.rollback]: change('rollback'),
    },
    streams: {},
  };
}

/** Errors: CONFIG_REFUSED. Types only: what a sound name is, the owner says. */
export function parseSnapshotChange(value: unknown): SnapshotChange {
  const { verb, name = null, acceptLoss } = (value ?? {}) as Record<string, unknown>;
  const isNamed = typeof name === 'string' || (name === null && verb === 'create');
  if (isNamed && verb === 'rollback') return { verb, name, acceptLoss: acceptLoss === true };
  if (isNamed && (verb === 'create' || verb === 'destroy')) return { verb, name };
  throw new ZringError('CONFIG_REFUSED', 'expected {"verb": "create" | "destroy" | "rollback", "name": string}');
}

async function changeHere(
  snapshots: SnapshotDesk,
  dataset: string,
  { verb, name, acceptLoss = false }: SnapshotChange,
): Promise<Changed> {
  if (verb === 'create') return { name: (await snapshots.create(dataset, name)).name };
  const named = name ?? '';
  if (verb === 'rollback') return { name: named, rollback: await snapshots.rollback(dataset, named, acceptLoss) };
  await snapshots.destroy(dataset, named);
  return { name: named };
}

// A bucket as it was, where its handlers expect the bucket: the store of a snapshot, with the bucket's present documents
// (policy, owner, lists: who may is decided today), and for listings with the keys as the client names them. Read-only.
// Owns the opened snapshot until it is released.
import { isZringError } from '../../common/errors.ts';
import type { HeldDataset, OpenSnapshot } from '../../ownership/access.ts';
import type { ListRequest, ListResult, Store } from '../../store/types.ts';
import { invalidArgument } from '../errors.ts';
import { LIFECYCLE_DOCUMENT } from '../lifecycle/configuration.ts';
import { SNAPSHOT_ROOT, type SnapshotAddress } from './address.ts';

export interface SnapshotView {
  /** Objects under their keys inside the snapshot; listings under those that the client uses. */
  readonly store: Store;
  release(): void;
}

/** null = there is no such snapshot; a listing of one is empty. */
export async function openSnapshotView(
  held: HeldDataset,
  address: SnapshotAddress,
  isListing: boolean,
): Promise<SnapshotView | null> {
  if (address.key === null) return namesView(held, address.snapshot);
  const past = await openPast(held, address.snapshot);
  if (past === null && isListing) return emptyView(held.store);
  if (past === null) return null;
  return { store: viewOf(held.store, past.store, `${SNAPSHOT_ROOT}${address.snapshot}/`), release: past.release };
}

/** null = there is no such snapshot. */
async function openPast({ snapshots }: HeldDataset, name: string): Promise<OpenSnapshot | null> {
  try {
    return (await snapshots?.open(name)) ?? null;
  } catch (error) {
    // The second: no snapshot can have this name.
    if (isZringError(error, 'SNAPSHOT_NOT_FOUND') || isZringError(error, 'DATASET_NAME_INVALID')) return null;
    throw error;
  }
}

function emptyView(present: Store): SnapshotView {
  const list = () => ({ entries: [], commonPrefixes: [], next: null });
  return { store: overlay(present, { list, document: documentsOf(present) }), release: () => undefined };
}

function viewOf(present: Store, past: Store, root: string): Store {
  return overlay(past, {
    document: documentsOf(present),
    list: (request) => listBelow(past, root, request),
  });
}

/** What is above the snapshots: nothing but their names. */
async function namesView({ store, snapshots }: HeldDataset, part: string): Promise<SnapshotView> {
  const names = (await snapshots?.names()) ?? [];
  const folders = names.filter((name) => name.startsWith(part)).map((name) => `${SNAPSHOT_ROOT}${name}/`);
  const nothing = () => null;
  const list = (request: ListRequest) => listFolders(folders, request);
  const view = overlay(store, { list, head: nothing, latest: nothing, version: nothing, document: documentsOf(store) });
  return { store: view, release: () => undefined };
}

/** Rules of lifecycle are about what is there now. */
function documentsOf(present: Store): Store['document'] {
  return (name) => (name === LIFECYCLE_DOCUMENT ? undefined : present.document(name));
}

function overlay(store: Store, changes: Partial<Store>): Store {
  return new Proxy(store, {
    get(target, name) {
      if (name in changes) return changes[name as keyof Store];
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

function listFolders(folders: readonly string[], { delimiter, after, limit }: ListRequest): ListResult {
  if (delimiter !== '/') {
    throw invalidArgument(`Above the snapshots of a bucket the delimiter has to be "/".`, 'delimiter', delimiter);
  }
  const sorted = [...folders].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  const left = sorted.filter((folder) => Buffer.compare(Buffer.from(folder), Buffer.from(after)) > 0);
  const page = left.slice(0, limit);
  return { entries: [], commonPrefixes: page, next: left.length > limit ? (page.at(-1) ?? null) : null };
}

/** `root` is put before every key: the order of keys, and so the pages, stay the same. */
function listBelow(past: Store, root: string, { prefix, delimiter, after, limit }: ListRequest): ListResult {
  const isBelow = after.startsWith(root);
  if (!isBelow && Buffer.compare(Buffer.from(after), Buffer.from(root)) > 0) {
    return { entries: [], commonPrefixes: [], next: null };
  }
  const page = past.list({
    prefix: prefix.slice(root.length),
    delimiter,
    after: isBelow ? after.slice(root.length) : '',
    limit,
  });
  return {
    entries: page.entries.map((entry) => ({ ...entry, key: root + entry.key })),
    commonPrefixes: page.commonPrefixes.map((common) => root + common),
    next: page.next === null ? null : root + page.next,
  };
}

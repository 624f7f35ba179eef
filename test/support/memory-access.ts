// DatasetAccess over real stores in temporary folders, without cluster: ownership is a map in memory. Several nodes can
// share one `MemoryCatalog`, so that tests have datasets that another node owns; `transport` then calls the other
// node's peer methods directly. Owns the stores it opened and the folder it was given.
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type OwnershipRecord, recordVersion } from '../../src/cluster/record.ts';
import { isZringError, ZringError } from '../../src/common/errors.ts';
import type { PeerMethods, PeerTransport } from '../../src/common/peer.ts';
import type { DatasetAccess, HeldDataset, Whereabouts } from '../../src/ownership/access.ts';
import { createStore, openStore } from '../../src/store/store.ts';
import type { Store } from '../../src/store/types.ts';

/** What a whole cluster would know. Tests may change it between requests. */
export class MemoryCatalog {
  readonly records = new Map<string, OwnershipRecord>();
  complete = true;
  missing: string[] = [];
  /** What asking the coordinator brings. */
  onFreshen: () => void = () => undefined;
  /** dataset → node that CreateBucket belongs to; default: whoever is asked. */
  readonly homes = new Map<string, string>();
}

export class MemoryAccess implements DatasetAccess {
  readonly self: string;
  readonly catalog: MemoryCatalog;
  readonly #root: string;
  readonly #stores = new Map<string, Promise<Store>>();
  /** Requests inside the gates now; tests check that it returns to zero. */
  held = 0;
  /** Called by every enter; tests throw from it. */
  onEnter: (dataset: string, mode: 'read' | 'write' | 'delete') => void = () => undefined;
  onRelease: () => void = () => undefined;
  /** Given to every request that enters. */
  signal: AbortSignal | undefined;
  /** What is said of every dataset's storage. */
  encrypted = false;
  /** Wraps a store for fault injection. */
  wrapStore: (store: Store) => Store = (store) => store;

  constructor(root: string, options: { self?: string; catalog?: MemoryCatalog } = {}) {
    this.#root = root;
    this.self = options.self ?? 'a';
    this.catalog = options.catalog ?? new MemoryCatalog();
  }

  home(dataset: string): string {
    return this.catalog.homes.get(dataset) ?? this.self;
  }

  locate(dataset: string): Whereabouts {
    const record = this.catalog.records.get(dataset);
    if (record) {
      return record.owner === this.self ? { kind: 'local' } : { kind: 'remote', node: record.owner, certain: true };
    }
    if (this.home(dataset) !== this.self) return { kind: 'remote', node: this.home(dataset), certain: false };
    return this.catalog.complete ? { kind: 'absent' } : { kind: 'unavailable', reason: 'the catalog is not complete' };
  }

  async enter(dataset: string, mode: 'read' | 'write' | 'delete'): Promise<HeldDataset> {
    this.onEnter(dataset, mode);
    const record = this.#requireOwned(dataset);
    const store = await this.#open(dataset);
    this.held += 1;
    let released = false;
    return {
      dataset,
      id: record.id,
      store: this.wrapStore(store),
      createdMs: record.createdMs,
      encrypted: this.encrypted,
      ...(this.signal ? { signal: this.signal } : {}),
      release: () => {
        if (released) throw new Error('bug: released twice');
        released = true;
        this.held -= 1;
        this.onRelease();
      },
    };
  }

  async create(
    dataset: string,
    documents: Record<string, unknown>,
    { creator = null, versioning }: { creator?: string | null; versioning?: 'enabled' } = {},
  ): Promise<OwnershipRecord> {
    const existing = this.catalog.records.get(dataset);
    if (existing) throw new ZringError('DATASET_EXISTS', `${dataset} exists`, { subject: dataset, details: existing });
    const id = randomBytes(16).toString('hex');
    const record: OwnershipRecord = {
      version: recordVersion(creator),
      dataset,
      id,
      owner: this.self,
      term: { n: 1, node: this.self },
      phase: 'stable',
      target: null,
      pin: null,
      inSync: [this.self],
      createdMs: Date.now(),
      creator,
    };
    // Before the first await: of two creations at once one finds the record.
    this.catalog.records.set(dataset, record);
    const path = this.#path(dataset);
    await mkdir(path, { recursive: true });
    await createStore(path, { id });
    const store = await this.#open(dataset);
    for (const [name, value] of Object.entries(documents)) await store.setDocument(name, value);
    if (versioning) await store.setVersioning(versioning);
    return record;
  }

  async remove(dataset: string): Promise<void> {
    this.#requireOwned(dataset);
    const store = await this.#open(dataset);
    if (!store.isEmpty()) throw new ZringError('DATASET_NOT_EMPTY', `${dataset} holds objects`, { subject: dataset });
    this.catalog.records.delete(dataset);
    this.#stores.delete(dataset);
    await store.close();
    await rm(this.#path(dataset), { recursive: true, force: true });
  }

  /** Closes and forgets a dataset with all that is in it, locks or not: as if it had never been. */
  async forget(dataset: string): Promise<void> {
    const store = await this.#open(dataset);
    this.catalog.records.delete(dataset);
    this.#stores.delete(dataset);
    await store.close();
    await rm(this.#path(dataset), { recursive: true, force: true });
  }

  async freshen() {
    this.catalog.onFreshen();
  }

  records() {
    const { records, complete, missing } = this.catalog;
    return { records: [...records.values()], complete, missing };
  }

  /** For checks from outside the HTTP path. */
  store(dataset: string): Promise<Store> {
    return this.#open(dataset);
  }

  async close(): Promise<void> {
    for (const store of this.#stores.values()) await (await store).close();
    this.#stores.clear();
  }

  #path(dataset: string): string {
    return join(this.#root, this.self, dataset);
  }

  #requireOwned(dataset: string): OwnershipRecord {
    const record = this.catalog.records.get(dataset);
    if (record?.owner === this.self) return record;
    if (record || this.home(dataset) !== this.self) {
      const details = { epoch: 1, owner: record?.owner ?? this.home(dataset), term: null };
      throw new ZringError('NOT_OWNER', `${dataset} is not here`, { subject: dataset, details });
    }
    if (!this.catalog.complete) throw new ZringError('CATALOG_INCOMPLETE', 'not complete', { subject: dataset });
    throw new ZringError('DATASET_MISSING', `${dataset} does not exist`, { subject: dataset });
  }

  #open(dataset: string): Promise<Store> {
    const open = this.#stores.get(dataset);
    if (open) return open;
    const opening = openStore(this.#path(dataset), { term: { n: 1, node: this.self } });
    this.#stores.set(dataset, opening);
    return opening;
  }
}

/** Calls the methods of the named nodes in this process; errors arrive as the remote's ZringError, as over the wire. */
export function directTransport(from: string, nodes: ReadonlyMap<string, PeerMethods>): PeerTransport {
  const methodsOf = (node: string) => {
    const methods = nodes.get(node);
    if (!methods) throw new ZringError('NODE_UNREACHABLE', `node ${node} cannot be reached`, { subject: node });
    return methods;
  };
  const overTheWire = (value: unknown): unknown => JSON.parse(JSON.stringify(value ?? null));
  const rethrow = (error: unknown): never => {
    if (!isZringError(error)) throw new ZringError('INTERNAL', 'remote failure', { cause: error });
    throw new ZringError(error.code, error.message, { details: overTheWire(error.details) });
  };
  return {
    async call(node, method, request) {
      const handler = methodsOf(node).calls[method];
      if (!handler) throw new ZringError('PEER_PROTOCOL', `unknown method ${method}`);
      return overTheWire(await handler(overTheWire(request), from).catch(rethrow));
    },
    async stream(node, method, request, options) {
      const handler = methodsOf(node).streams[method];
      if (!handler) throw new ZringError('PEER_PROTOCOL', `unknown method ${method}`);
      const signal = options?.signal ?? new AbortController().signal;
      const { head, body } = await handler(overTheWire(request), from, signal).catch(rethrow);
      return { head: overTheWire(head), body };
    },
  };
}

/** The store with some methods replaced; the others still run on the real one. */
export function overrideStore(store: Store, overrides: Partial<Store>): Store {
  return new Proxy(store, {
    get(target, name: keyof Store) {
      const value = overrides[name] ?? target[name];
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

export async function temporaryFolder(prefix = 'zring-s3-'): Promise<{ path: string; remove(): Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), prefix));
  return { path, remove: () => rm(path, { recursive: true, force: true }) };
}

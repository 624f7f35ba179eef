// Storage of one simulated node: datasets as names, properties and snapshots without content, and a disk that keeps
// everything. A stream between two nodes takes a given virtual time. Owns the datasets of its node.
import { Readable } from 'node:stream';
import type { DurableMap } from '../../src/common/durable-map.ts';
import type {
  DatasetDriver,
  DatasetInfo,
  ReceiveResult,
  SnapshotInfo,
  StorageSettings,
} from '../../src/dataset/driver.ts';
import type { VirtualTime } from './scale-time.ts';

interface Dataset {
  properties: Record<string, string>;
  snapshots: SnapshotInfo[];
  readonly: boolean;
}

const NO_LIMITS: StorageSettings = { quotaBytes: null, reservationBytes: null, compression: null };
const NONE: SnapshotInfo[] = [];

export interface StreamTimes {
  /** How long the stream of a whole dataset takes, and that of an increment. */
  readonly fullMs: number;
  readonly incrementMs: number;
}

export class ScaleDriver implements DatasetDriver {
  readonly kind = 'dir';
  readonly storage = 'dir:/simulated';
  readonly capabilities = {
    bookmarks: false,
    resume: false,
    rawSend: false,
    written: false,
    readonlyFencesOpenFiles: true,
    description: 'simulated',
    settings: { quota: 'counted', reservation: false, compression: [] },
  } as const;
  readonly datasets = new Map<string, Dataset>();
  readonly #time: VirtualTime;
  readonly #streams: StreamTimes;
  readonly #newGuid: () => string;

  constructor(time: VirtualTime, streams: StreamTimes, newGuid: () => string) {
    this.#time = time;
    this.#streams = streams;
    this.#newGuid = newGuid;
  }

  put(name: string, properties: Record<string, string>): void {
    this.datasets.set(name, { properties, snapshots: NONE, readonly: false });
  }

  async list(): Promise<readonly DatasetInfo[]> {
    return [...this.datasets.keys()].map((name) => this.#info(name));
  }

  async get(name: string): Promise<DatasetInfo | null> {
    return this.datasets.has(name) ? this.#info(name) : null;
  }

  async create(name: string, properties: Record<string, string>, init: (path: string) => Promise<void>) {
    await init(`/simulated/${name}`);
    this.put(name, properties);
    return this.#info(name);
  }

  async clone(name: string): Promise<DatasetInfo> {
    throw new Error(`${name}: nothing is cloned here`);
  }

  async open(name: string) {
    this.#find(name);
    return { path: `/simulated/${name}`, encryption: null };
  }

  async close(): Promise<void> {}

  async setReadonly(name: string, readonly: boolean): Promise<void> {
    this.#find(name).readonly = readonly;
  }

  async setProperties(name: string, properties: Record<string, string | null>): Promise<void> {
    const dataset = this.#find(name);
    const next = { ...dataset.properties };
    for (const [key, value] of Object.entries(properties)) {
      if (value === null) delete next[key];
      else next[key] = value;
    }
    dataset.properties = next;
  }

  async configure() {
    return [];
  }

  async facts() {
    return {
      settings: NO_LIMITS,
      referencedBytes: 0,
      usedBytes: 0,
      availableBytes: 2 ** 40,
      compressRatio: null,
      encryption: null,
    };
  }

  async rename(from: string, to: string): Promise<void> {
    const dataset = this.#find(from);
    this.datasets.delete(from);
    this.datasets.set(to, dataset);
  }

  async destroy(name: string): Promise<void> {
    this.datasets.delete(name);
  }

  async snapshot(name: string, snapshot: string): Promise<SnapshotInfo> {
    const info = { name: snapshot, guid: this.#newGuid(), order: this.#time.nowMs, createdMs: 0, holds: 0 };
    this.#add(name, info);
    return info;
  }

  async snapshots(name: string): Promise<readonly SnapshotInfo[]> {
    return this.datasets.get(name)?.snapshots ?? [];
  }

  async destroySnapshot(name: string, snapshot: string): Promise<void> {
    const dataset = this.#find(name);
    dataset.snapshots = dataset.snapshots.filter((known) => known.name !== snapshot);
  }

  async hold(): Promise<void> {}
  async release(): Promise<void> {}

  async heldWith(): Promise<ReadonlySet<string>> {
    return new Set();
  }

  async mountSnapshot(name: string): Promise<string> {
    return `/simulated/${name}`;
  }

  async unmountSnapshot(): Promise<void> {}

  async rollback(): Promise<void> {}

  async send(name: string, options: { readonly snapshot: string }) {
    const info = this.#find(name).snapshots.find((known) => known.name === options.snapshot);
    if (!info) throw new Error(`no snapshot ${options.snapshot}`);
    return { stream: Readable.from([Buffer.from(JSON.stringify(info))]), done: Promise.resolve() };
  }

  async estimateSend(): Promise<number | null> {
    return null;
  }

  async receive(name: string, stream: Readable, options: { incremental: boolean }): Promise<ReceiveResult> {
    const chunks: Buffer[] = [];
    for await (const chunk of stream) chunks.push(chunk as Buffer);
    await this.#time.pause(options.incremental ? this.#streams.incrementMs : this.#streams.fullMs);
    const bytes = Buffer.concat(chunks);
    const snapshot = JSON.parse(bytes.toString()) as SnapshotInfo;
    if (!this.datasets.has(name)) this.put(name, {});
    this.#add(name, snapshot);
    return { bytes: bytes.length, snapshot };
  }

  async usage() {
    return { totalBytes: 2 ** 41, freeBytes: 2 ** 40, health: 'ok' };
  }

  async stateFolder(): Promise<string> {
    return '/simulated/_zring';
  }

  async shutdown(): Promise<void> {}

  #add(name: string, snapshot: SnapshotInfo): void {
    const dataset = this.#find(name);
    dataset.snapshots = [...dataset.snapshots, snapshot];
  }

  #find(name: string): Dataset {
    const dataset = this.datasets.get(name);
    if (!dataset) throw new Error(`no dataset ${name}`);
    return dataset;
  }

  #info(name: string): DatasetInfo {
    const { properties, readonly } = this.#find(name);
    return { name, path: null, readonly, properties, referencedBytes: 0, usedBytes: 0 };
  }
}

/** Thousands of nodes keep the same map. */
const shared = new Map<string, string>();

/** A disk that is never lost; outlives the process that uses it. */
export class ScaleDisk implements DurableMap {
  readonly #content = new Map<string, string>();

  get(key: string): string | undefined {
    return this.#content.get(key);
  }

  entries(prefix: string): Iterable<readonly [string, string]> {
    return [...this.#content].filter(([key]) => key.startsWith(prefix)).sort(([a], [b]) => (a < b ? -1 : 1));
  }

  async commit(changes: Parameters<DurableMap['commit']>[0]): Promise<void> {
    const pairs =
      changes instanceof Map
        ? [...changes]
        : [...(changes as readonly { key: string; value: string | null }[])].map(
            ({ key, value }) => [key, value] as const,
          );
    for (const [key, value] of pairs) {
      if (value === null) this.#content.delete(key);
      else this.#content.set(key, key === 'map/current' ? intern(value) : value);
    }
  }

  async close(): Promise<void> {}
}

function intern(text: string): string {
  const known = shared.get(text);
  if (known !== undefined) return known;
  if (shared.size > 8) shared.clear();
  shared.set(text, text);
  return text;
}

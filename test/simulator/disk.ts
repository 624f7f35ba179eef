// A simulated pool: what is on it outlives processes, and only what was flushed outlives a power cut. Content is immutable
// and replaced whole, so a snapshot is a reference. Also the node's durable map. No time, no chance of its own.
import type { DurableMap } from '../../src/common/durable-map.ts';
import type { Term } from '../../src/common/term.ts';
import type { SimProcess } from './process.ts';

/** What a store holds: one dataset's objects. */
export interface Content {
  readonly storeId: string;
  /** Highest term it was opened at. */
  readonly term: Term | null;
  readonly objects: ReadonlyMap<string, string>;
  readonly documents: ReadonlyMap<string, string>;
  /** Of the last commit; goes back with everything else. */
  readonly sequence: number;
}

export interface SimSnapshot {
  readonly name: string;
  readonly guid: string;
  readonly order: number;
  readonly createdMs: number;
  readonly holds: Set<string>;
  readonly content: Content | null;
}

export interface SimDataset {
  name: string;
  properties: Record<string, string>;
  readonly: boolean;
  mounted: boolean;
  content: Content | null;
  /** Written, not flushed: a crash keeps some beginning of it. */
  dirty: ((content: Content) => Content)[];
  snapshots: SimSnapshot[];
  /** An open store keeps it busy. */
  users: number;
}

export class SimDisk {
  readonly node: string;
  readonly datasets = new Map<string, SimDataset>();
  readonly map = new Map<string, string>();
  /** One process at a time holds the storage root. */
  holder: SimProcess | null = null;
  order = 0;
  /** Every write fails with this, while it is set. */
  failing: 'full' | 'readonly' | null = null;
  /** Nothing that is asked of it ends, while it is set. */
  hung = false;

  constructor(node: string) {
    this.node = node;
  }

  /** What a process leaves that ends without a word, with its machine or alone: a beginning of what was not flushed yet. */
  crash(fraction: () => number): void {
    this.holder = null;
    for (const [name, dataset] of [...this.datasets]) {
      // Half made: the next process of this storage destroys it, as the drivers do with what bears their mark.
      if (name.includes(':new:')) this.datasets.delete(name);
      const kept = Math.floor(fraction() * (dataset.dirty.length + 1));
      for (const change of dataset.dirty.slice(0, kept)) {
        if (dataset.content) dataset.content = change(dataset.content);
      }
      dataset.dirty = [];
      dataset.users = 0;
      dataset.mounted = false;
    }
  }

  /** A copy of all of it, as an image of the disk would be; the pool must be at rest. */
  copy(): SimDisk {
    const disk = new SimDisk(this.node);
    disk.order = this.order;
    for (const [key, value] of this.map) disk.map.set(key, value);
    for (const [name, dataset] of this.datasets) {
      disk.datasets.set(name, {
        ...dataset,
        properties: { ...dataset.properties },
        dirty: [],
        snapshots: dataset.snapshots.map((snapshot) => ({ ...snapshot, holds: new Set(snapshot.holds) })),
        users: 0,
        mounted: false,
      });
    }
    return disk;
  }
}

const COMMIT_MS = 2;

/** The node's small durable map, on its pool. Readers see a change once it is flushed. */
export function durableMapOn(disk: SimDisk, process: SimProcess): DurableMap {
  /** One after the other, as the index does it. */
  let last: Promise<unknown> = Promise.resolve();
  return {
    get: (key) => disk.map.get(key),
    entries: (prefix) => [...disk.map].filter(([key]) => key.startsWith(prefix)).sort(([a], [b]) => (a < b ? -1 : 1)),
    commit: (changes) => {
      const writes = [...changes].map((change) => ('key' in change ? ([change.key, change.value] as const) : change));
      const commit = last.then(() =>
        process.io(process.random.latency(COMMIT_MS), () => {
          for (const [key, value] of writes) {
            if (value === null) disk.map.delete(key);
            else disk.map.set(key, value);
          }
        }),
      );
      last = commit.catch(() => {});
      return commit;
    },
    close: async () => undefined,
  };
}

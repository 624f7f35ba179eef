// The simulated dataset driver: DatasetDriver's contract over a SimDisk. Every operation takes time, happens all at once, and
// may fail before or after it happened. Streams are texts in pieces; one that is cut leaves nothing.
import { Readable } from 'node:stream';
import { ZringError } from '../../src/common/errors.ts';
import type { Term } from '../../src/common/term.ts';
import type {
  Capabilities,
  DatasetDriver,
  DatasetInfo,
  SendOptions,
  SendStream,
  SnapshotInfo,
  StorageFacts,
} from '../../src/dataset/driver.ts';
import { DEPOSED_PREFIX, parseCopy } from '../../src/ownership/copy-properties.ts';
import type { Content, SimDataset, SimDisk, SimSnapshot } from './disk.ts';
import type { SimProcess } from './process.ts';

const QUICK_MS = 4;
const PIECES_MAX = 6;
const GIB = 2 ** 30;

export interface DriverFaults {
  /** An operation fails; half of them after it took effect. */
  fail: number;
}

const CAPABILITIES: Capabilities = {
  bookmarks: false,
  resume: false,
  rawSend: false,
  written: false,
  readonlyFencesOpenFiles: false,
  description: 'simulated',
  settings: { quota: 'counted', reservation: false, compression: [] },
};

export interface DriverDeps {
  readonly disk: SimDisk;
  readonly process: SimProcess;
  readonly faults: DriverFaults;
  /** Contents by the reference that a stream carries; of the whole world. */
  readonly streams: Map<string, Content | null>;
  readonly count: (what: string) => void;
  /** An owner's copy loses its name. */
  readonly onAside: (id: string, term: Term) => void;
}

export function createSimDriver({ disk, process, faults, streams, count, onAside }: DriverDeps): DatasetDriver {
  const { random, clock } = process;

  function io<T>(usualMs: number, effect: () => T, changes = true): Promise<T> {
    const fails = changes && random.chance(faults.fail);
    const happens = !fails || random.chance(0.5);
    return process.io(random.latency(usualMs), () => {
      if (changes && disk.failing === 'full') throw new ZringError('STORAGE_FULL', 'simulated: the pool is full');
      if (changes && disk.failing === 'readonly')
        throw new ZringError('STORAGE_UNAVAILABLE', 'simulated: the pool is read-only');
      const value = happens ? effect() : null;
      if (!fails) return value as T;
      count(`driver failure ${happens ? 'after' : 'before'}`);
      throw new ZringError('STORAGE_UNAVAILABLE', 'simulated: the command failed');
    });
  }

  const find = (name: string): SimDataset => {
    const dataset = disk.datasets.get(name);
    if (!dataset || (!name.startsWith('_') && dataset.properties.id === undefined))
      throw new ZringError('DATASET_NOT_FOUND', `no dataset ${name}`, { subject: name });
    return dataset;
  };
  const findSnapshot = (name: string, snapshot: string): SimSnapshot => {
    const found = find(name).snapshots.find((candidate) => candidate.name === snapshot);
    if (!found) throw new ZringError('SNAPSHOT_NOT_FOUND', `no snapshot ${name}@${snapshot}`, { subject: name });
    return found;
  };
  const freshSnapshot = (name: string, guid: string, content: Content | null): SimSnapshot => {
    return { name, guid, order: ++disk.order, createdMs: clock.wallMs(), holds: new Set(), content };
  };
  const unmount = (dataset: SimDataset) => {
    if (dataset.users > 0) throw new ZringError('DATASET_BUSY', `${dataset.name} is in use`, { subject: dataset.name });
    dataset.mounted = false;
  };

  const putAway = ({ name, properties }: SimDataset, to: string | null) => {
    const named = name.startsWith('_') ? null : parseCopy({ name, properties });
    if (named?.copy.role !== 'owner' && named?.copy.role !== 'prepared') return;
    if (to?.startsWith(DEPOSED_PREFIX)) count('copy set aside');
    onAside(named.copy.id, named.copy.term);
  };

  return {
    kind: 'dir',
    storage: `sim:${disk.node}`,
    capabilities: CAPABILITIES,
    list: () => io(QUICK_MS, () => [...disk.datasets.values()].map(infoOf), false),
    get: (name) =>
      io(
        QUICK_MS,
        () => {
          const dataset = disk.datasets.get(name);
          return dataset && (name.startsWith('_') || dataset.properties.id !== undefined) ? infoOf(dataset) : null;
        },
        false,
      ),
    async create(name, properties, init) {
      // Made under a name of its own and renamed when it is whole, so that a crash leaves nothing under the name.
      const path = `${disk.node}:new:${random.hex(4)}`;
      const dataset: SimDataset = {
        name,
        properties: { ...properties },
        readonly: false,
        mounted: true,
        content: null,
        dirty: [],
        snapshots: [],
        users: 0,
      };
      await io(QUICK_MS, () => {
        if (disk.datasets.has(name)) throw new ZringError('DATASET_ALREADY_EXISTS', name, { subject: name });
        disk.datasets.set(path, dataset);
      });
      try {
        await init(path);
        return await io(QUICK_MS, () => {
          disk.datasets.delete(path);
          if (disk.datasets.has(name)) throw new ZringError('DATASET_ALREADY_EXISTS', name, { subject: name });
          disk.datasets.set(name, dataset);
          return infoOf(dataset);
        });
      } catch (error) {
        disk.datasets.delete(path);
        if (disk.datasets.get(name) === dataset) disk.datasets.delete(name);
        throw error;
      }
    },
    clone: async (name) => {
      throw new ZringError('STORAGE_UNAVAILABLE', `${name}: the simulator clones nothing`, { subject: name });
    },
    open: (name, { id, readonly }) =>
      io(QUICK_MS, () => {
        const dataset = find(name);
        if (dataset.properties.id !== id) throw new ZringError('MOUNT_INVALID', `${name} is not ${id}`);
        dataset.mounted = true;
        dataset.readonly = readonly;
        return { path: name, encryption: null };
      }),
    close: (name) => io(QUICK_MS, () => unmount(find(name))),
    setReadonly: (name, readonly) =>
      io(QUICK_MS, () => {
        find(name).readonly = readonly;
      }),
    setProperties: (name, properties) =>
      io(QUICK_MS, () => {
        const dataset = find(name);
        for (const [key, value] of Object.entries(properties)) {
          if (value === null) delete dataset.properties[key];
          else dataset.properties[key] = value;
        }
      }),
    configure: async () => [],
    facts: () => io(QUICK_MS, () => FACTS, false),
    rename: (from, to) =>
      io(QUICK_MS, () => {
        const dataset = find(from);
        if (disk.datasets.has(to)) throw new ZringError('DATASET_ALREADY_EXISTS', to, { subject: to });
        unmount(dataset);
        putAway(dataset, to);
        disk.datasets.delete(from);
        dataset.name = to;
        disk.datasets.set(to, dataset);
      }),
    destroy: (name) =>
      io(QUICK_MS, () => {
        const dataset = disk.datasets.get(name);
        if (dataset) unmount(dataset);
        if (dataset) putAway(dataset, null);
        disk.datasets.delete(name);
      }),
    snapshot: (name, snapshot) =>
      io(QUICK_MS * 3, () => {
        const dataset = find(name);
        if (dataset.snapshots.some((known) => known.name === snapshot))
          throw new ZringError('STORAGE_UNAVAILABLE', `${name}@${snapshot} exists`, { subject: name });
        const taken = freshSnapshot(snapshot, random.hex(8), dataset.content);
        dataset.snapshots.push(taken);
        return snapshotInfo(taken);
      }),
    snapshots: (name) => io(QUICK_MS, () => find(name).snapshots.map(snapshotInfo), false),
    destroySnapshot: (name, snapshot, { held = false } = {}) =>
      io(QUICK_MS, () => {
        const dataset = find(name);
        const found = dataset.snapshots.find((candidate) => candidate.name === snapshot);
        if (!held && found && found.holds.size > 0) throw new ZringError('SNAPSHOT_HELD', `${name}@${snapshot}`);
        dataset.snapshots = dataset.snapshots.filter((candidate) => candidate !== found);
      }),
    hold: (name, snapshot, tag) => io(QUICK_MS, () => void findSnapshot(name, snapshot).holds.add(tag)),
    release: (name, snapshot, tag) => io(QUICK_MS, () => void findSnapshot(name, snapshot).holds.delete(tag)),
    heldWith: (name, tag) =>
      io(
        QUICK_MS,
        () => new Set(find(name).snapshots.flatMap((known) => (known.holds.has(tag) ? [known.name] : []))),
        false,
      ),
    mountSnapshot: async (name) => {
      throw new ZringError('STORAGE_UNAVAILABLE', `${name}: the simulator reads no snapshots`, { subject: name });
    },
    unmountSnapshot: async () => undefined,
    rollback: (name, snapshot, { dryRun = false } = {}) =>
      io(QUICK_MS, () => {
        const dataset = find(name);
        if (dryRun) return;
        if (dataset.mounted) throw new ZringError('DATASET_BUSY', `${name} is mounted`, { subject: name });
        const found = findSnapshot(name, snapshot);
        dataset.snapshots = dataset.snapshots.slice(0, dataset.snapshots.indexOf(found) + 1);
        dataset.content = found.content;
        count('copy went back');
      }),
    send: (name, options) => send(name, options),
    estimateSend: async () => null,
    async receive(name, stream, { incremental, signal }) {
      const texts: string[] = [];
      for await (const piece of stream) texts.push(String(piece));
      signal?.throwIfAborted();
      const sent = parseStream(texts.join(''));
      const isTorn = incremental && faults.fail > 0 && random.chance(0.4);
      return io(QUICK_MS * 2, () => {
        const taken = freshSnapshot(sent.snapshot, sent.guid, streams.get(sent.reference) ?? null);
        if (!incremental) {
          if (disk.datasets.has(name)) throw new ZringError('DATASET_ALREADY_EXISTS', name, { subject: name });
          if (sent.fromGuid !== null) throw new ZringError('STREAM_INVALID', 'an increment, not a full stream');
          disk.datasets.set(name, receivedDataset(name, taken));
        } else {
          const dataset = find(name);
          const newest = dataset.snapshots.at(-1);
          if (newest?.guid !== sent.fromGuid || dataset.content !== newest?.content || dataset.mounted) {
            throw new ZringError('DATASET_DIVERGED', `${name} is not at ${sent.fromGuid}`, { subject: name });
          }
          dataset.content = taken.content;
          // As zfs-fuse does when it dies between the two.
          if (isTorn) {
            count('increment without its snapshot');
            throw new ZringError('STORAGE_UNAVAILABLE', 'simulated: the command was killed');
          }
          dataset.snapshots.push(taken);
        }
        return { bytes: texts.join('').length, snapshot: snapshotInfo(taken) };
      });
    },
    usage: () => io(QUICK_MS, () => ({ totalBytes: GIB, freeBytes: GIB, health: 'ok' }), false),
    stateFolder: async () => `${disk.node}:_zring`,
    shutdown: async () => undefined,
  };

  async function send(name: string, { snapshot, fromGuid }: SendOptions): Promise<SendStream> {
    const text = await io(
      QUICK_MS,
      () => {
        const found = findSnapshot(name, snapshot);
        const base = find(name).snapshots.find((candidate) => candidate.guid === fromGuid);
        if (fromGuid !== null && (!base || base.order >= found.order)) {
          throw new ZringError('SNAPSHOT_NOT_FOUND', `no snapshot with guid ${fromGuid}`, { subject: name });
        }
        const reference = random.hex(8);
        streams.set(reference, found.content);
        return JSON.stringify({ snapshot, guid: found.guid, fromGuid, reference });
      },
      false,
    );
    const pieces = random.whole(2, PIECES_MAX);
    async function* parts() {
      for (let i = 0; i < pieces; i++) {
        yield await process.io(random.latency(1), () =>
          text.slice(Math.floor((i * text.length) / pieces), Math.floor(((i + 1) * text.length) / pieces)),
        );
      }
    }
    return { stream: Readable.from(parts(), { objectMode: false }), done: Promise.resolve() };
  }
}

interface Sent {
  readonly snapshot: string;
  readonly guid: string;
  readonly fromGuid: string | null;
  readonly reference: string;
}

function parseStream(text: string): Sent {
  try {
    return JSON.parse(text) as Sent;
  } catch {
    throw new ZringError('STREAM_INVALID', 'the stream is not whole');
  }
}

function receivedDataset(name: string, taken: SimSnapshot): SimDataset {
  return {
    name,
    properties: {},
    readonly: true,
    mounted: false,
    content: taken.content,
    dirty: [],
    snapshots: [taken],
    users: 0,
  };
}

const FACTS: StorageFacts = {
  settings: { quotaBytes: null, reservationBytes: null, compression: null },
  referencedBytes: 1,
  usedBytes: 1,
  availableBytes: GIB,
  compressRatio: null,
  encryption: null,
};

function infoOf(dataset: SimDataset): DatasetInfo {
  const { name, readonly, properties, mounted } = dataset;
  return {
    name,
    path: mounted ? name : null,
    readonly,
    properties: { ...properties },
    referencedBytes: 1,
    usedBytes: 1,
  };
}

function snapshotInfo({ name, guid, order, createdMs, holds }: SimSnapshot): SnapshotInfo {
  return { name, guid, order, createdMs, holds: holds.size };
}

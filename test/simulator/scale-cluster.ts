// A cluster of thousands of nodes in one process: the real `createOwnership` of every node (loops, keepers, lease, runners,
// puller, janitor, hand-off server) in virtual time, over a counting coordinator, storage without content, and peers that
// are called directly. Owns the nodes, and where every dataset should live.
//
// What is sampled: the catalog. `wholeNodes` nodes keep every record; of the others each keeps the records of datasets that
// it owns, owned, is told to pull or is home of under one of the scenario's maps. A hundred thousand records times three
// thousand nodes would take a hundred gigabytes. Calls and bytes are those of whole catalogs on all nodes.
import assert from 'node:assert/strict';
import type { ClusterMap } from '../../src/cluster/map.ts';
import type { OwnershipRecord } from '../../src/cluster/record.ts';
import { createRing, type Ring } from '../../src/cluster/ring.ts';
import type { Entropy } from '../../src/common/clock.ts';
import { ZringError } from '../../src/common/errors.ts';
import type { PeerTransport } from '../../src/common/peer.ts';
import type { Config } from '../../src/config/types.ts';
import { copyProperties } from '../../src/ownership/copy-properties.ts';
import { createOwnership, type Ownership } from '../../src/ownership/ownership.ts';
import type { StoreFactory } from '../../src/ownership/runner.ts';
import { silentLogger } from '../../src/telemetry/log.ts';
import { ScaleCoordinator } from './scale-coordinator.ts';
import { ScaleMeter } from './scale-meter.ts';
import { ScaleDisk, ScaleDriver, type StreamTimes } from './scale-storage.ts';
import { seededFraction, VirtualTime } from './scale-time.ts';

export interface ScaleOptions {
  readonly nodes: number;
  readonly datasets: number;
  readonly wholeNodes: number;
  readonly seed: number;
}

interface ScaleNode {
  readonly number: number;
  readonly id: string;
  readonly disk: ScaleDisk;
  readonly driver: ScaleDriver;
  sending: number;
  receiving: number;
  ownership: Ownership | null;
}

/** Nobody reads or writes an object here. */
const NO_STORES: StoreFactory = {
  create: async () => {},
  relabel: async () => {},
  open: async () => {
    throw new ZringError('STORAGE_UNAVAILABLE', 'nothing is opened in this simulation');
  },
};

const CLUSTER = 'scale';
const ROUND_TRIP_MS = 2;
/** A small dataset, and what was written to it meanwhile. */
const STREAMS: StreamTimes = { fullMs: 500, incrementMs: 50 };
/** As in config/schema.ts. */
const CONCURRENCY = 2;
/** Longer than any call waits for its answer. */
const KILL_SECONDS_MAX = 120;

export class ScaleCluster {
  readonly time = new VirtualTime();
  readonly meter = new ScaleMeter(() => this.time.nowMs);
  readonly coordinator: ScaleCoordinator;
  readonly options: ScaleOptions;
  readonly nodes: ScaleNode[] = [];
  readonly fraction: () => number;
  /** What went wrong in calls of the scenario, by code. */
  readonly failures = new Map<string, number>();
  readonly configs: readonly Config[];
  /** Datasets that the phase under way has to move. */
  moving = 0;
  readonly #rings: readonly Ring[];
  #expected: number;
  #ids = 0;
  #current = 0;

  constructor(options: ScaleOptions) {
    this.options = options;
    this.fraction = seededFraction(options.seed);
    this.#expected = options.datasets;
    // The second map has one node more, and one that drains.
    const ids = Array.from({ length: options.nodes + 1 }, (_, i) => nodeId(i));
    const draining = nodeId(Math.floor(options.nodes / 2));
    this.configs = [configOf(1, ids.slice(0, -1), null), configOf(2, ids, draining)];
    this.#rings = this.configs.map(({ nodes }) => createRing({ nodes: nodes as unknown as ClusterMap['nodes'] }));
    this.coordinator = new ScaleCoordinator({
      time: this.time,
      meter: this.meter,
      roundTripMs: ROUND_TRIP_MS,
      newId: () => this.#newId(),
      concerns: (record) => this.#concerned(record),
    });
    for (const id of ids) this.#addNode(id);
    for (let i = 0; i < options.datasets; i++) this.#place(`d-${String(i).padStart(7, '0')}`);
  }

  #addNode(id: string): void {
    const number = this.nodes.length;
    const driver = new ScaleDriver(this.time, STREAMS, () => String(++this.#ids));
    this.nodes.push({ number, id, disk: new ScaleDisk(), driver, sending: 0, receiving: 0, ownership: null });
    if (number >= this.options.wholeNodes) return;
    this.coordinator.keepsEverything(number);
    this.time.watch(number);
  }

  /** On the disk of its home, as its owner left it. */
  #place(dataset: string): void {
    const home = this.#rings[0]?.home(dataset) ?? '';
    this.node(home).driver.put(
      dataset,
      copyProperties(dataset, CLUSTER, {
        id: this.#newId(),
        role: 'owner',
        term: { n: 1, node: home },
        createdMs: 1_600_000_000_000,
        creator: 'somebody',
        promise: null,
        source: null,
        deleting: false,
        priorSinceMs: null,
      }),
    );
  }

  *#concerned(record: OwnershipRecord): Iterable<number> {
    yield numberOf(record.owner);
    if (record.target !== null) yield numberOf(record.target);
    if (record.pin !== null) yield numberOf(record.pin);
    for (const ring of this.#rings) yield numberOf(ring.home(record.dataset));
  }

  #newId(): string {
    return (++this.#ids).toString(16).padStart(32, '0');
  }

  node(id: string): ScaleNode {
    const node = this.nodes[numberOf(id)];
    if (!node) throw new Error(`no node ${id}`);
    return node;
  }

  get running(): ScaleNode[] {
    return this.nodes.filter((node) => node.ownership !== null);
  }

  // --- processes ----------------------------------------------------------------------------------------------------

  /** Processes of these nodes start at random moments within that time. */
  start(count: number, withinMs: number): void {
    for (const node of this.nodes.slice(0, count)) {
      if (!node.ownership) this.time.after(withinMs * this.fraction(), () => void this.#boot(node), node.number);
    }
  }

  async #boot(node: ScaleNode): Promise<void> {
    const { time, fraction } = this;
    const hex = (bytes: number) => (++this.#ids).toString(16).padStart(bytes * 2, '0');
    const entropy: Entropy = { hex, fraction };
    const config = this.configs[this.#current] as Config;
    node.ownership = await createOwnership({
      self: node.id,
      instance: this.#newId(),
      release: '0.0.0',
      config,
      coordinator: this.coordinator.connect(node.number),
      driver: node.driver,
      transport: this.#transport(node),
      clock: time.clock,
      timers: time.timers(node.number),
      entropy,
      openDisk: async () => node.disk,
      stores: NO_STORES,
      logger: silentLogger(),
    }).catch((error: unknown) => this.#failed(error));
  }

  /** What a node waits for meanwhile has to come to its end, so time goes on. */
  async kill(): Promise<void> {
    let ended = false;
    const all = Promise.all(this.running.map((node) => node.ownership?.kill())).finally(() => {
      ended = true;
    });
    await this.until(() => ended, KILL_SECONDS_MAX, 1);
    assert.ok(ended, 'killed nodes are gone');
    await all;
    for (const node of this.nodes) node.ownership = null;
  }

  /** The second configuration reaches every node at a random moment within that time; the new node starts last. */
  reconfigure(withinMs: number): void {
    const config = this.configs[1] as Config;
    this.#current = 1;
    for (const node of this.running) {
      const apply = () => void node.ownership?.applyConfig(config);
      this.time.after(withinMs * this.fraction(), apply, node.number);
    }
    this.start(this.nodes.length, withinMs);
  }

  #transport(from: ScaleNode): PeerTransport {
    const reach = async (to: string) => {
      const node = this.node(to);
      await new Promise<void>((resolve) => void this.time.after(ROUND_TRIP_MS, resolve, node.number));
      if (!node.ownership) throw new ZringError('NODE_UNREACHABLE', to);
      return { node, methods: node.ownership.methods };
    };
    return {
      call: async (to, method, request) => {
        const { methods } = await reach(to);
        const handler = methods.calls[method];
        if (!handler) throw new ZringError('PEER_PROTOCOL', method);
        return handler(structuredClone(request), from.id);
      },
      stream: async (to, method, request) => {
        const { node, methods } = await reach(to);
        const handler = methods.streams[method];
        if (!handler) throw new ZringError('PEER_PROTOCOL', method);
        const answer = await handler(request, from.id, new AbortController().signal);
        const isFull = (request as { fromGuid?: unknown }).fromGuid === null;
        node.sending++;
        from.receiving++;
        this.meter.stream(node.sending, from.receiving);
        this.time.after(isFull ? STREAMS.fullMs : STREAMS.incrementMs, () => {
          node.sending--;
          from.receiving--;
        });
        return answer;
      },
    };
  }

  // --- work ---------------------------------------------------------------------------------------------------------

  create(dataset: string): void {
    const { ownership } = this.node(this.#rings[this.#current]?.home(dataset) ?? '');
    ownership?.access.create(dataset, {}).then(
      () => this.#expected++,
      (error: unknown) => this.#failed(error),
    );
  }

  /** An operator pins it somewhere else, through any node. */
  move(dataset: string): void {
    const any = () => this.nodes[Math.floor(this.fraction() * this.options.nodes)] as ScaleNode;
    const to = any().id;
    any()
      .ownership?.move(dataset, to)
      .catch((error: unknown) => this.#failed(error));
  }

  #failed(error: unknown): null {
    const code = error instanceof ZringError ? error.code : String(error);
    this.failures.set(code, (this.failures.get(code) ?? 0) + 1);
    return null;
  }

  // --- what has come of it ------------------------------------------------------------------------------------------

  /** Every node knows that everybody has reported, and those that keep everything have it. */
  isComplete(count = this.options.nodes): boolean {
    const { complete, reported } = this.coordinator.state();
    if (!complete && reported.length < count) return false;
    const { running } = this;
    if (running.length < count) return false;
    return running.every((node) => {
      const known = node.ownership?.access.records();
      return known?.complete && (node.number >= this.options.wholeNodes || known.records.length === this.#expected);
    });
  }

  /** Every node follows the newest map, and every dataset lives where it should. */
  isSettled(): boolean {
    const config = this.configs[this.#current];
    if (!this.running.every((node) => node.ownership?.map()?.revision === config?.cluster.revision)) return false;
    return this.awayFromHome() === 0;
  }

  awayFromHome(): number {
    let away = 0;
    for (const { record } of this.coordinator.records()) {
      const { phase, owner } = record;
      if (phase !== 'deleted' && (phase !== 'stable' || owner !== this.#homeOf(record))) away++;
    }
    return away;
  }

  #homeOf({ dataset, pin }: OwnershipRecord): string {
    const { nodes } = this.configs[this.#current] as Config;
    const isUp = (id: string) => nodes.some((node) => node.id === id && node.state === 'up');
    return pin !== null && isUp(pin) ? pin : (this.#rings[this.#current]?.home(dataset) ?? '');
  }

  /** Runs until it is so, looking every so often; seconds that it took, or null when it did not come about. */
  async until(condition: () => boolean, secondsMax: number, lookMs = 500): Promise<number | null> {
    const beganMs = this.time.nowMs;
    while (this.time.nowMs - beganMs < secondsMax * 1000) {
      await this.time.run(lookMs);
      if (condition()) return (this.time.nowMs - beganMs) / 1000;
    }
    return null;
  }
}

function nodeId(number: number): string {
  return `n${String(number).padStart(4, '0')}`;
}

function numberOf(id: string): number {
  return Number(id.slice(1));
}

function configOf(revision: number, ids: readonly string[], draining: string | null): Config {
  return {
    path: '/zring.yaml',
    cluster: {
      name: CLUSTER,
      revision,
      secrets: ['secret'],
      credentialKeys: [],
      coordinator: { kind: 'embedded', folder: '/nowhere' },
      copies: 1,
      leaseMs: 10_000,
      region: 'us-east-1',
      domains: [],
    },
    nodes: ids.map((id) => {
      const host = `10.${Math.floor(numberOf(id) / 250)}.${numberOf(id) % 250}.7`;
      const listen = { s3: { host, port: 9000 }, peer: { host, port: 9001 }, admin: { host, port: 9002 } };
      const state = id === draining ? ('draining' as const) : ('up' as const);
      const storage = { kind: 'zfs' as const, location: 'tank/zring' };
      return { id, zone: `rack${numberOf(id) % 20}`, weight: 1, state, storage, ...listen, listen };
    }),
    credentials: [],
    tls: { s3: null, peer: null, admin: null },
    storage: { minFreePercent: 0, minFreeBytes: 0 },
    rebalance: { mode: 'background', concurrency: CONCURRENCY, bandwidthBytesPerSecond: null },
    defaults: { objectOwnership: 'BucketOwnerEnforced', lifecycleDayMs: 86_400_000 },
    retention: { priorCopyMs: 3_600_000 },
    replication: { everyMs: 60_000, concurrency: 4 },
    snapshots: { everyMs: null, keep: { last: 8, daily: 0, monthly: 0 } },
    log: { level: 'info' },
    mapContentHash: String(revision).padStart(64, '0'),
  };
}

// Several nodes of one cluster in this process: real ownership, stores and `dir` storage in a temporary folder, the
// coordinator in memory, peers called directly with faults at hand. Nodes have no timers: `rounds` drives them.
import { Buffer } from 'node:buffer';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import type { Coordinator } from '../../src/cluster/coordinator.ts';
import type { Clock } from '../../src/common/clock.ts';
import { ZringError } from '../../src/common/errors.ts';
import type { PeerTransport } from '../../src/common/peer.ts';
import { createSystemClock } from '../../src/common/system-clock.ts';
import type { Config } from '../../src/config/types.ts';
import { openDirDriver } from '../../src/dataset/dir.ts';
import type { DatasetDriver } from '../../src/dataset/driver.ts';
import type { OwnershipLimits } from '../../src/ownership/limits.ts';
import { createOwnership, type Ownership } from '../../src/ownership/ownership.ts';
import { MACHINE_LIMITS } from '../../src/ownership/state.ts';
import { createLogger, silentLogger } from '../../src/telemetry/log.ts';
import type { Metrics } from '../../src/telemetry/metrics.ts';
import { createMemoryCluster, type MemoryCluster } from '../support/memory-coordinator.ts';

/** Processes die here, machines do not: flushing to a real disk would only cost time. */
const MEMORY = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();

export interface TestNode {
  readonly id: string;
  ownership: Ownership;
  driver: DatasetDriver;
  coordinator: Coordinator;
  up: boolean;
}

/** What happens to one call between nodes: `lost` = carried out, the answer lost. */
export type Fault = 'ok' | 'unreached' | 'lost';

export interface ClusterOptions {
  readonly mode?: 'lazy' | 'background';
  readonly priorCopyMs?: number;
  /** Default: 1. */
  readonly copies?: number;
  readonly limits?: Partial<OwnershipLimits>;
  readonly minFreeBytes?: number;
  /** Of every node. */
  readonly clock?: Clock;
  /** Default: `dir` in the temporary folder. */
  readonly openDriver?: (node: string, root: string) => Promise<DatasetDriver>;
  readonly wrapDriver?: (driver: DatasetDriver, node: string) => DatasetDriver;
  /** Of all nodes together. */
  readonly metrics?: Metrics;
}

export class TestCluster {
  readonly root: string;
  readonly memory: MemoryCluster = createMemoryCluster();
  readonly nodes = new Map<string, TestNode>();
  readonly options: ClusterOptions;
  members: string[];
  draining = new Set<string>();
  revision = 1;
  replication: Config['replication'] = { everyMs: 0, concurrency: 4 };
  snapshots: Config['snapshots'] = { everyMs: null, keep: { last: 8, daily: 0, monthly: 0 } };
  /** Called for every call and stream between nodes. */
  fault: (from: string, to: string, method: string) => Fault = () => 'ok';
  /** Bytes of snapshot streams received, by receiving node. */
  readonly received = new Map<string, number>();

  private constructor(root: string, members: string[], options: ClusterOptions) {
    this.root = root;
    this.members = members;
    this.options = options;
  }

  static async start(members: string[], options: ClusterOptions = {}): Promise<TestCluster> {
    const cluster = new TestCluster(await mkdtemp(join(MEMORY, 'zring-ownership-')), members, options);
    for (const id of members) await cluster.startNode(id);
    await cluster.rounds(2);
    return cluster;
  }

  config(): Config {
    const address = { host: '127.0.0.1', port: 1 };
    const { mode = 'lazy', priorCopyMs = 3_600_000, minFreeBytes = 0 } = this.options;
    return {
      path: '/zring.yaml',
      cluster: {
        name: 'test',
        revision: this.revision,
        secrets: ['secret'],
        credentialKeys: [],
        coordinator: { kind: 'embedded', folder: '/nowhere' },
        copies: this.options.copies ?? 1,
        leaseMs: 10_000,
        region: 'us-east-1',
        domains: [],
      },
      nodes: this.members.map((id) => ({
        id,
        zone: id,
        weight: 1,
        state: this.draining.has(id) ? ('draining' as const) : ('up' as const),
        storage: { kind: 'dir' as const, location: join(this.root, id) },
        s3: address,
        peer: address,
        admin: address,
        listen: { s3: address, peer: address, admin: address },
      })),
      credentials: [],
      tls: { s3: null, peer: null, admin: null },
      storage: { minFreePercent: 0, minFreeBytes },
      rebalance: { mode, concurrency: 4, bandwidthBytesPerSecond: null },
      defaults: { objectOwnership: 'BucketOwnerEnforced', lifecycleDayMs: 86_400_000 },
      retention: { priorCopyMs },
      replication: this.replication,
      snapshots: this.snapshots,
      log: { level: 'info' },
      mapContentHash: `${this.members.join()} ${[...this.draining].join()}`.replace(/[^a-z0-9]/g, '-').padEnd(64, '0'),
    };
  }

  async startNode(id: string, { folder = join(this.root, id) } = {}): Promise<TestNode> {
    const open = this.options.openDriver ?? (() => openDirDriver(folder, 'test'));
    const plain = await open(id, this.root);
    const driver = this.options.wrapDriver?.(plain, id) ?? plain;
    const coordinator = this.memory.connect();
    const { limits, metrics } = this.options;
    const ownership = await createOwnership({
      self: id,
      release: 'test',
      config: this.config(),
      coordinator,
      driver,
      transport: this.#transport(id),
      clock: this.options.clock ?? createSystemClock(),
      logger: process.env.ZRING_TEST_LOG
        ? createLogger({ level: process.env.ZRING_TEST_LOG, node: id })
        : silentLogger(),
      manual: true,
      ...(metrics && { metrics }),
      limits: {
        machine: { ...MACHINE_LIMITS, promiseSilenceMs: 0, ...limits?.machine },
        gateWaitMs: 60_000,
        pullRetryMs: 0,
        tickMs: 10,
        ...limits,
      },
    });
    const node: TestNode = { id, ownership, driver, coordinator, up: true };
    this.nodes.set(id, node);
    return node;
  }

  node(id: string): TestNode {
    const node = this.nodes.get(id);
    if (!node) throw new Error(`no node ${id}`);
    return node;
  }

  own(id: string): Ownership {
    return this.node(id).ownership;
  }

  async kill(id: string): Promise<void> {
    const node = this.node(id);
    node.up = false;
    await node.ownership.kill();
    await node.coordinator.close();
  }

  async restart(id: string): Promise<void> {
    if (this.node(id).up) await this.kill(id);
    await this.startNode(id);
  }

  /** Raises the revision with these members and hands the file to every node. */
  async reconfigure(members: string[], draining: string[] = []): Promise<void> {
    this.members = members;
    this.draining = new Set(draining);
    this.revision++;
    for (const node of this.nodes.values()) if (node.up) await node.ownership.applyConfig(this.config());
  }

  async rounds(count: number): Promise<void> {
    for (let i = 0; i < count; i++) {
      await Promise.all([...this.nodes.values()].filter((node) => node.up).map((node) => node.ownership.round()));
    }
  }

  /** Rounds until it is so; every wait in here is for work under way, so a bound on rounds is a bound on steps. */
  async until(what: string, condition: () => boolean, roundsMax = 60): Promise<void> {
    for (let i = 0; i < roundsMax; i++) {
      if (condition()) return;
      await this.rounds(1);
    }
    if (!condition()) throw new Error(`not reached in ${roundsMax} rounds: ${what}\n${this.describe()}`);
  }

  describe(): string {
    const lines = [...this.nodes.values()].map((node) => {
      const { copies, catalog } = node.ownership.status();
      const shown = copies.map(
        (copy) => `${copy.dataset} ${copy.role} ${copy.term} ${copy.phase} promised ${copy.promisedTo}`,
      );
      return `${node.id} ${node.up ? 'up' : 'down'} complete ${catalog.complete}: ${shown.join('; ')}`;
    });
    return lines.join('\n');
  }

  ownerOf(dataset: string): string | null {
    const owners = [...this.nodes.values()].filter((node) => {
      return (
        node.up &&
        node.ownership
          .status()
          .copies.some((copy) => copy.dataset === dataset && copy.role === 'owner' && !copy.promisedTo)
      );
    });
    return owners.length === 1 ? (owners[0]?.id ?? null) : null;
  }

  /** Creates it where it belongs; returns that node. */
  async create(dataset: string): Promise<string> {
    const home = this.own(this.members[0] ?? '').home(dataset);
    if (!home) throw new Error('no home');
    await this.own(home).access.create(dataset, {});
    return home;
  }

  async put(node: string, dataset: string, key: string, text: string): Promise<void> {
    const held = await this.own(node).access.enter(dataset, 'write');
    try {
      const writer = held.store.beginBlob(text.length);
      await writer.write(Buffer.from(text));
      await held.store.put({ key, blob: await writer.finish(), etag: 'e', attributes: {} });
    } finally {
      held.release();
    }
  }

  async get(node: string, dataset: string, key: string): Promise<string | null> {
    const held = await this.own(node).access.enter(dataset, 'read');
    try {
      const entry = held.store.head(key);
      if (!entry) return null;
      const chunks: Buffer[] = [];
      for await (const chunk of held.store.read(entry)) chunks.push(chunk as Buffer);
      return Buffer.concat(chunks).toString();
    } finally {
      held.release();
    }
  }

  async stop(): Promise<void> {
    for (const node of this.nodes.values()) if (node.up) await node.ownership.stop();
    await rm(this.root, { recursive: true, force: true });
  }

  #transport(from: string): PeerTransport {
    const target = (to: string, method: string): TestNode => {
      const node = this.nodes.get(to);
      if (!node?.up || this.fault(from, to, method) === 'unreached') {
        throw new ZringError('NODE_UNREACHABLE', `${to} is not reached (${method})`, { subject: to });
      }
      return node;
    };
    return {
      call: async (to, method, request) => {
        const node = target(to, method);
        const handler = node.ownership.methods.calls[method];
        if (!handler) throw new ZringError('PEER_PROTOCOL', method);
        const answer = await handler(JSON.parse(JSON.stringify(request)), from).catch((error: unknown) => {
          if (node.up) throw error;
        });
        // The caller or the answerer may have died meanwhile.
        if (!node.up || this.fault(from, to, `${method} answer`) !== 'ok') {
          throw new ZringError('NODE_UNREACHABLE', `the answer of ${to} was lost (${method})`, { subject: to });
        }
        return JSON.parse(JSON.stringify(answer));
      },
      stream: async (to, method, request, options) => {
        const node = target(to, method);
        const handler = node.ownership.methods.streams[method];
        if (!handler) throw new ZringError('PEER_PROTOCOL', method);
        const signal = options?.signal ?? new AbortController().signal;
        const { head, body } = await handler(request, from, signal);
        const through = new PassThrough();
        body.on('error', (error) => through.destroy(error));
        through.on('close', () => body.destroy());
        body.on('data', (chunk: Buffer) => {
          this.received.set(from, (this.received.get(from) ?? 0) + chunk.length);
          if (!node.up || this.fault(from, to, `${method} data`) !== 'ok') {
            through.destroy(new ZringError('NODE_UNREACHABLE', 'the stream was cut'));
          }
        });
        body.pipe(through);
        return { head, body: through };
      },
    };
  }
}

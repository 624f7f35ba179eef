// A whole simulated cluster: nodes, network, coordinator, clients, and the faults that are done to them. One seed is one
// history. Owns everything; `run` lives through one of them and says how it went.
import { compareTerms, type Term } from '../../src/common/term.ts';
import type { Config } from '../../src/config/types.ts';
import { parseCopy } from '../../src/ownership/copy-properties.ts';
import type { OwnershipLimits } from '../../src/ownership/limits.ts';
import { Clients } from './clients.ts';
import { SimCoordinator } from './coordinator.ts';
import type { Content, SimDataset } from './disk.ts';
import type { DriverFaults } from './driver.ts';
import { Nemesis, type Profile } from './nemesis.ts';
import { SimNetwork } from './network.ts';
import { SimNode } from './node.ts';
import { Random } from './random.ts';
import { unreplicated } from './replication.ts';
import { restless } from './rest.ts';
import { Scheduler } from './scheduler.ts';
import { Truth } from './truth.ts';

const NAMES = ['a', 'b', 'c', 'd', 'e'];
const TRACE_MAX = 4_000;
/** Within this time, after the last fault, everything is where it belongs. */
const SETTLE_MS = 15 * 60_000;
/** How often everything is looked at for that. */
const LOOK_MS = 500;
const STEPS_MAX = 400_000;

/** Production's limits, but for what would only make histories longer; some clusters have hardly any room. */
function limitsOf(random: Random): Partial<OwnershipLimits> {
  const tight = random.chance(0.3);
  return {
    janitorMs: 20_000,
    pageRecords: 3,
    openStoresMax: tight ? 1 : 3,
    gateWaitersMax: tight ? 2 : 1_000,
  };
}

export interface RunResult {
  readonly seed: number;
  readonly profile: string;
  readonly steps: number;
  readonly virtualMs: number;
  readonly counts: Readonly<Record<string, number>>;
  readonly failure: string | null;
  readonly trace: readonly string[];
  /** Of the whole history: two runs of one seed are equal. */
  readonly fingerprint: number;
  /** Effects on devices (before and after each) and changes in the coordinator. */
  readonly points: number;
}

export class World {
  readonly random: Random;
  readonly scheduler = new Scheduler();
  readonly network: SimNetwork;
  readonly coordinator: SimCoordinator;
  readonly truth: Truth;
  readonly nodes: readonly SimNode[];
  readonly clients: Clients;
  readonly driverFaults: DriverFaults = { fail: 0 };
  readonly counts: Record<string, number> = {};
  readonly trace: string[] = [];
  fingerprint = 0;
  members: string[];
  draining = new Set<string>();
  revision = 1;
  /** Left out by the newest configuration, and kept running until the map agrees. */
  readonly departing = new Set<string>();
  /** A second machine under the id of another. */
  twin: SimNode | null = null;
  /** Points at which a crash makes a difference, so far; the process that comes to this one ends there. */
  points = 0;
  crashAt = Number.POSITIVE_INFINITY;
  onCrashPoint: (node: SimNode) => void = () => undefined;
  /** The file that each node has; some are late. */
  readonly #configs = new Map<string, Config>();
  readonly #makeNode: (id: string, listens: boolean) => SimNode;
  readonly #mode: 'lazy' | 'background';
  readonly #copies: number;

  constructor(seed: number, profile: Profile) {
    const random = new Random(seed);
    this.random = random;
    // Not drawn: older seeds keep their histories where there is one copy.
    this.#copies = 1 + (seed % 3);
    const count = (what: string) => this.count(what);
    this.truth = new Truth(
      () => this.scheduler.steps,
      count,
      (line) => this.note(line),
    );
    this.network = new SimNetwork(this.scheduler, random, count);
    this.coordinator = new SimCoordinator(this.scheduler, random, count);
    this.coordinator.onRecord = ({ id, term, phase }) => {
      if (phase === 'deleted') this.truth.bury(id, term);
    };
    this.#mode = random.chance(0.5) ? 'lazy' : 'background';
    const limits = limitsOf(random);
    const size = random.whole(2, profile.nodesMax);
    this.members = NAMES.slice(0, size);
    const streams = new Map<string, Content | null>();
    const { scheduler, network, coordinator, truth, driverFaults } = this;
    const shared = { scheduler, random, network, coordinator, truth, streams, driverFaults, limits, count };
    this.#makeNode = (id, listens) =>
      new SimNode(id, {
        ...shared,
        config: () => this.#configs.get(id) ?? this.config(),
        wanted: () => this.members.includes(id) || this.departing.has(id),
        point: (node) => this.#point(node),
        onAside: (node, copy, term) => this.#setAside(node, copy, term),
        listens,
      });
    this.nodes = NAMES.slice(0, Math.min(NAMES.length, size + 1)).map((id) => this.#makeNode(id, true));
    for (const id of this.members) this.#configs.set(id, this.config());
    const buckets = Array.from({ length: random.whole(1, profile.bucketsMax) }, (_, i) => `bucket-${i}`);
    this.clients = new Clients(this, buckets);
  }

  count(what: string): void {
    this.counts[what] = (this.counts[what] ?? 0) + 1;
  }

  note(line: string): void {
    const text = `${this.scheduler.nowMs.toFixed(1)} #${this.scheduler.steps} ${line}`;
    for (let i = 0; i < text.length; i++) this.fingerprint = (Math.imul(this.fingerprint, 31) + text.charCodeAt(i)) | 0;
    this.trace.push(text);
    if (this.trace.length > TRACE_MAX) this.trace.splice(0, TRACE_MAX / 2);
  }

  node(id: string): SimNode {
    const node = this.nodes.find((candidate) => candidate.id === id);
    if (!node) throw new Error(`no node ${id}`);
    return node;
  }

  memberNodes(): SimNode[] {
    return this.members.map((id) => this.node(id));
  }

  config(): Config {
    const address = { host: '127.0.0.1', port: 1 };
    return {
      path: '/zring.yaml',
      cluster: {
        name: 'sim',
        revision: this.revision,
        secrets: ['secret'],
        credentialKeys: [],
        coordinator: { kind: 'embedded', folder: '/nowhere' },
        copies: this.#copies,
        leaseMs: 10_000,
        region: 'us-east-1',
        domains: [],
      },
      nodes: this.members.map((id) => ({
        id,
        zone: id,
        weight: 1,
        state: this.draining.has(id) ? ('draining' as const) : ('up' as const),
        storage: { kind: 'dir' as const, location: `/${id}` },
        s3: address,
        peer: address,
        admin: address,
        listen: { s3: address, peer: address, admin: address },
      })),
      credentials: [],
      tls: { s3: null, peer: null, admin: null },
      storage: { minFreePercent: 0, minFreeBytes: 0 },
      rebalance: { mode: this.#mode, concurrency: 4, bandwidthBytesPerSecond: null },
      defaults: { objectOwnership: 'BucketOwnerEnforced', lifecycleDayMs: 86_400_000 },
      retention: { priorCopyMs: 40_000 },
      replication: { everyMs: 5_000, concurrency: 4 },
      snapshots: { everyMs: null, keep: { last: 8, daily: 0, monthly: 0 } },
      log: { level: 'info' },
      mapContentHash: `${this.members.join()} ${[...this.draining].join()}`.replace(/[^a-z0-9]/g, '-').padEnd(64, '0'),
    };
  }

  #point(node: SimNode): void {
    if (++this.points === this.crashAt) this.onCrashPoint(node);
  }

  /** It may be the only copy, unless something newer was opened or stands on another disk as good as adopted. */
  #setAside(node: SimNode, id: string, term: Term): void {
    const isNewer = ({ name, properties }: SimDataset) => {
      const copy = name.startsWith('_') || properties.id !== id ? null : parseCopy({ name, properties })?.copy;
      return (copy?.role === 'owner' || copy?.role === 'prepared') && compareTerms(copy.term, term) > 0;
    };
    if (this.nodes.some((other) => other !== node && [...other.disk.datasets.values()].some(isNewer))) return;
    this.truth.setAside(node.id, id, term);
  }

  /** A machine with a disk of its own that is started under the id of another; nobody reaches it under that id. */
  makeTwin(id: string): SimNode {
    this.twin = this.#makeNode(id, false);
    return this.twin;
  }

  /** A new file: some nodes read it now, the others keep the old one for a while, or for ever when the next comes first. */
  reconfigure(members: readonly string[], draining: readonly string[], lateMs: number): void {
    if ([...this.#configs.values()].some((config) => config.cluster.revision < this.revision))
      this.count('map changes overlap');
    const newcomers = members.filter((id) => !this.members.includes(id));
    this.members = [...members];
    this.draining = new Set(draining);
    this.revision++;
    this.note(`revision ${this.revision}: ${members.join()} draining ${draining.join()}`);
    const config = this.config();
    for (const id of newcomers) this.#configs.set(id, config);
    for (const id of members) {
      this.scheduler.after(this.random.between(0, lateMs), () => {
        if ((this.#configs.get(id)?.cluster.revision ?? 0) > config.cluster.revision) return;
        this.#configs.set(id, config);
        const node = this.node(id);
        node.process.run(() => void node.ownership?.applyConfig(config));
      });
    }
  }

  /** Whether a node that was left out may end: the map says so too. */
  hasLeft(id: string): boolean {
    return this.memberNodes().some((node) => {
      const map = node.ownership?.map();
      return map && map.revision >= this.revision && !map.nodes.some((known) => known.id === id);
    });
  }

  #watch(): void {
    for (const node of this.twin ? [...this.nodes, this.twin] : this.nodes) {
      const epoch = node.ownership?.epoch() ?? 0;
      if (epoch === 0) continue;
      if (epoch < node.epoch) this.truth.fail(`I4: ${node.id} went from epoch ${node.epoch} to ${epoch}`);
      node.epoch = epoch;
    }
    const { violation } = this.truth;
    if (violation) throw violation;
    if (this.scheduler.steps > STEPS_MAX) throw new Error(`more than ${STEPS_MAX} steps: something never rests`);
  }

  // --- one history ------------------------------------------------------------------------------------------------

  async run(profile: Profile): Promise<void> {
    this.scheduler.onStep = () => this.#watch();
    for (const node of this.memberNodes()) node.start();
    await this.scheduler.runUntil(() => this.memberNodes().every((node) => node.ready), 60_000);
    this.clients.start(profile.clientsPerBucket, { removing: profile.removing });
    const nemesis = new Nemesis(this, profile);
    await this.scheduler.runFor(5_000);
    const untilMs = this.scheduler.nowMs + profile.faultMs;
    while (this.scheduler.nowMs < untilMs) {
      nemesis.strike();
      await this.scheduler.runFor(this.random.between(0, 2 * profile.strikeEveryMs));
    }
    await this.#settle(nemesis);
  }

  /**
   * One small story without chance faults: made, written, moved there and back, removed, made again. The process that comes
   * to the `crashAt`th point ends there, with nothing of what was in flight, and starts again.
   */
  async runStory(profile: Profile): Promise<void> {
    this.scheduler.onStep = () => this.#watch();
    this.onCrashPoint = (node) => {
      this.count('crash at a point');
      this.note(`CRASH of ${node.id} at point ${this.points}`);
      node.crash('power-cut');
      this.scheduler.after(500, () => node.start());
    };
    for (const node of this.memberNodes()) node.start();
    await this.scheduler.runFor(3_000);
    this.clients.start(1, { removing: profile.removing });
    for (const to of [...this.members, ...this.members]) {
      await this.scheduler.runFor(4_000);
      for (const node of this.memberNodes()) {
        if (!node.ready) continue;
        void node.ownership?.move(this.clients.buckets[0]?.name ?? '', to).catch(() => undefined);
        break;
      }
    }
    await this.scheduler.runFor(4_000);
    await this.#settle(new Nemesis(this, profile));
  }

  async #settle(nemesis: Nemesis): Promise<void> {
    this.note('--- faults end');
    nemesis.heal();
    this.clients.freeze();
    const settled = await this.scheduler.runUntil(() => this.#unsettled() === null, SETTLE_MS, LOOK_MS);
    if (!settled) this.truth.fail(`liveness: ${this.#unsettled()}`);
    this.clients.stop();
    await this.scheduler.runUntil(() => this.clients.idle, 60_000);
    let read = false;
    let failed: unknown = null;
    this.clients.readAll().then(
      () => {
        read = true;
      },
      (error: unknown) => {
        failed = error;
      },
    );
    const done = await this.scheduler.runUntil(() => read || failed !== null, 10 * 60_000);
    if (failed) throw failed;
    if (!done) this.truth.fail('liveness: the last reading does not end');
    const replicated = await this.scheduler.runUntil(() => unreplicated(this) === null, SETTLE_MS, LOOK_MS);
    if (!replicated) this.truth.fail(`liveness: ${unreplicated(this)}`);
    if (this.truth.violation) throw this.truth.violation;
  }

  /** Where everything stands, for who reads a failure. */
  describe(): string {
    const lines = this.nodes.map((node) => {
      const status = node.ownership?.status();
      const copies = [...node.disk.datasets.values()].map(
        (dataset) => `    ${dataset.name} ${dataset.properties.state} ${dataset.snapshots.map((s) => s.guid).join()}`,
      );
      const shown = status?.copies.map((copy) => `    ${copy.dataset} is ${copy.phase}${copy.open ? ', open' : ''}`);
      const { paused } = node.process;
      const head = `${node.id} ${node.up ? 'up' : 'down'}${paused ? ' paused' : ''} epoch ${node.ownership?.epoch()}`;
      const { complete, reported, incarnation } = status?.catalog ?? {};
      const catalog = `catalog ${incarnation} complete ${complete} reported ${reported} away ${status?.away}`;
      return [`${head} ${catalog}`, ...copies, ...(shown ?? [])].join('\n');
    });
    const records = [...this.coordinator.content()].filter(([key]) => key.startsWith('record/'));
    return [...lines, ...records.map(([key, text]) => `${key} ${text}`)].join('\n');
  }

  /** Why it has not settled yet, or null. */
  #unsettled(): string | null {
    if (this.departing.size > 0) return `${[...this.departing].join()} has not left yet`;
    for (const node of this.memberNodes()) {
      if (!node.ready) return `${node.id} is not ready (${String(node.startFailure)})`;
      const status = node.ownership?.status();
      if (status?.lease.taken) return `the lease of ${node.id} is another's`;
      if (!status?.catalog.complete) return `the catalog of ${node.id} is not complete`;
      if (status.map?.revision !== this.revision) return `${node.id} follows revision ${status.map?.revision}`;
    }
    const known = new Set(
      this.memberNodes().flatMap((node) => node.ownership?.access.records().records.map((record) => record.dataset)),
    );
    for (const bucket of this.clients.buckets) {
      if (bucket.existsSince === null && !known.has(bucket.name)) continue;
      const homes = new Set(this.memberNodes().map((node) => node.ownership?.home(bucket.name)));
      const [home] = homes;
      if (homes.size !== 1 || !home) return `nodes disagree on the home of ${bucket.name}`;
      const where = this.node(home).ownership?.access.locate(bucket.name);
      if (where?.kind !== 'local') return `${bucket.name} is not at its home ${home}: ${JSON.stringify(where)}`;
    }
    return restless(this);
  }
}

/** @param crashAt the story instead of the faults, with a crash at this point; 0 = none. */
export async function runSeed(
  seed: number,
  profileName: string,
  profile: Profile,
  crashAt: number | null = null,
): Promise<RunResult> {
  const world = new World(seed, profile);
  if (crashAt) world.crashAt = crashAt;
  let failure: string | null = null;
  const unhandled = (error: unknown) => {
    failure ??= `unhandled: ${error instanceof Error ? error.stack : String(error)}`;
  };
  process.on('unhandledRejection', unhandled);
  try {
    await (crashAt === null ? world.run(profile) : world.runStory(profile));
  } catch (error) {
    failure = error instanceof Error ? (error.stack ?? error.message) : String(error);
  } finally {
    process.off('unhandledRejection', unhandled);
  }
  if (failure !== null) failure += `\n${world.describe()}`;
  // Nobody goes on in a world that is over.
  for (const node of world.nodes) node.crash();
  world.twin?.crash();
  const { counts, trace, fingerprint, scheduler } = world;
  return {
    seed,
    profile: profileName,
    steps: scheduler.steps,
    virtualMs: scheduler.nowMs,
    counts,
    failure,
    trace,
    fingerprint,
    points: world.points,
  };
}

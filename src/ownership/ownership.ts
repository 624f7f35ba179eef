// Ownership on one node, put together: catalog, map, lease, one machine per dataset, pulls, clean-up. Owns the runners and
// the loops that drive them. `createOwnership` is the only door from outside; docs/OWNERSHIP.md is the map of the rest.
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import type { Hint, NodeInfo } from '../cluster/coordinator.ts';
import type { ClusterMap } from '../cluster/map.ts';
import type { OwnershipRecord } from '../cluster/record.ts';
import { pause, SYSTEM_TIMERS } from '../common/clock.ts';
import { type DurableMap, openDurableMap } from '../common/durable-map.ts';
import type { ZringError } from '../common/errors.ts';
import type { PeerMethods } from '../common/peer.ts';
import { SYSTEM_ENTROPY } from '../common/system-entropy.ts';
import type { Config } from '../config/types.ts';
import type { SnapshotDesk, StorageDesk } from './access.ts';
import { CatalogKeeper } from './catalog-keeper.ts';
import { killParts, type NodeParts, stopParts } from './closing.ts';
import { LocalAccess } from './dataset-access.ts';
import { DiskAcceptance } from './disk-acceptance.ts';
import { FenceBook } from './fence-book.ts';
import { isPullPhase } from './gate-state.ts';
import { handoffMethods } from './handoff-server.ts';
import { Janitor } from './janitor.ts';
import { NodeLease } from './lease.ts';
import { OWNERSHIP_LIMITS, type OwnershipLimits } from './limits.ts';
import { Loops } from './loops.ts';
import { MapKeeper } from './map-keeper.ts';
import { NodeDisk } from './node-disk.ts';
import { collectOwnershipMetrics } from './ownership-metrics.ts';
import { HINT_MS, mapReadWithinMs, pageRestMs, returnWithinMs } from './pace.ts';
import { setPin } from './pin.ts';
import { Placement } from './placement.ts';
import { poke } from './poke.ts';
import { Puller } from './pull.ts';
import { planRound } from './pull-round.ts';
import { PullMemory } from './rebalance.ts';
import { RepairDesk } from './repair/repair.ts';
import { Replicas } from './replicas/replicas.ts';
import { Succession } from './replicas/succession.ts';
import { publishTombstones, report } from './report.ts';
import type { DatasetRunner, RunnerDeps } from './runner.ts';
import { Runners } from './runners.ts';
import { createSnapshotDesk } from './snapshot-desk.ts';
import { SnapshotSchedule } from './snapshot-schedule.ts';
import { SnapshotShelf } from './snapshot-shelf.ts';
import { type Found, takeStock } from './startup.ts';
import type { CopyState } from './state.ts';
import { type DatasetExplanation, explainDataset, nodeLoad, type OwnershipStatus, ownershipStatus } from './status.ts';
import { createStorageDesk, followPulse, pollStorage } from './storage-desk.ts';
import { StorageWatch } from './storage-watch.ts';
import { planEvictions } from './store-eviction.ts';
import { STORES } from './stores.ts';
import { Takeover } from './takeover.ts';
import { TokenBucket } from './token-bucket.ts';
import type { Ownership, OwnershipDeps } from './types.ts';
import { answerWitness, askWitnesses } from './witness.ts';

export type { Ownership, OwnershipDeps } from './types.ts';

const STATE_FILE = 'catalog';

/** Errors: LOCKED, STORAGE_*, VERSION_UNSUPPORTED; an unreachable coordinator is not one. */
export async function createOwnership(deps: OwnershipDeps): Promise<Ownership> {
  const openDisk = deps.openDisk ?? ((folder) => openDurableMap(join(folder, STATE_FILE), { create: true }));
  const disk = await openDisk(await deps.driver.stateFolder());
  const found = await takeStock(deps.driver, deps.logger);
  const node = new OwnershipNode(deps, disk, found);
  await node.start();
  return node;
}

class OwnershipNode implements Ownership {
  readonly access: LocalAccess;
  readonly methods: PeerMethods;
  readonly storage: StorageDesk;
  readonly snapshots: SnapshotDesk;
  readonly scrubs: RepairDesk;
  readonly disk: DiskAcceptance;
  readonly takeover: Takeover;
  readonly #deps: OwnershipDeps;
  readonly #limits: OwnershipLimits;
  readonly #disk: DurableMap;
  readonly #found: Found;
  readonly #catalog: CatalogKeeper;
  readonly #map: MapKeeper;
  readonly #lease: NodeLease;
  readonly #nodeDisk: NodeDisk;
  readonly #storage: StorageWatch;
  readonly #bucket: TokenBucket;
  readonly #puller: Puller;
  readonly #shelf: SnapshotShelf;
  readonly #schedule: SnapshotSchedule;
  readonly #janitor: Janitor;
  readonly #replicas: Replicas;
  readonly #memory: PullMemory;
  readonly #placement: Placement;
  readonly #runnerDeps: RunnerDeps;
  readonly #runners: Runners;
  readonly #loops: Loops;
  readonly #instance: string;
  readonly #startedMs: number;
  #config: Config;
  #available = false;
  #stopping = false;
  #stopped: Promise<void> | null = null;
  #unsubscribe: (() => void)[] = [];

  constructor(deps: OwnershipDeps, disk: DurableMap, found: Found) {
    const { self, coordinator, driver, transport: peers, clock, logger, metrics } = deps;
    const limits: OwnershipLimits = { ...OWNERSHIP_LIMITS, ...deps.limits };
    const { timers = SYSTEM_TIMERS, entropy = SYSTEM_ENTROPY } = deps;
    const salt = () => entropy.hex(6);
    this.#runners = new Runners(() => this.#runnerDeps);
    const runners = () => this.#runners;
    const find = (dataset: string) => this.#runners.find(dataset);
    const runner = (dataset: string) => this.#runners.get(dataset);
    this.#deps = deps;
    this.#limits = limits;
    this.#disk = disk;
    this.#found = found;
    this.#config = deps.config;
    this.#startedMs = clock.wallMs();
    this.#instance = deps.instance ?? randomUUID();
    this.#loops = new Loops(logger, deps.manual ?? false, timers, entropy);
    this.#catalog = new CatalogKeeper({
      node: self,
      coordinator,
      disk,
      clock,
      logger,
      pageRecords: limits.pageRecords,
      rest: () => pause(timers, pageRestMs(this.#members().length, entropy.fraction())),
      onChange: (datasets) => this.#catalogChanged(datasets),
    });
    const config = () => this.#config;
    const catalog = this.#catalog;
    this.#map = new MapKeeper({
      coordinator,
      disk,
      logger,
      catalog,
      config,
      clock,
      freshMs: limits.catalogFreshMs,
      onChange: () => this.#mapChanged(),
    });
    this.#storage = new StorageWatch(driver, config, deps.pulse ?? null);
    this.#bucket = new TokenBucket(deps.config.rebalance.bandwidthBytesPerSecond, () => clock.monotonicMs(), timers);
    const cluster = deps.config.cluster.name;
    const priorCopyMs = () => this.#config.retention.priorCopyMs;
    const common = { self, coordinator, driver, peers, clock, timers, logger, limits, catalog, priorCopyMs };
    this.#puller = new Puller({
      ...common,
      cluster,
      bucket: this.#bucket,
      salt,
      onBytes: (bytes) => metrics?.syncBytes.inc({ direction: 'received' }, bytes),
      onFollowed: ({ dataset, id }, guid, asOfMs) => this.#replicas.follower.followed(dataset, id, guid, asOfMs),
    });
    const stores = deps.stores ?? STORES;
    this.#shelf = new SnapshotShelf({ ...common, stores });
    const isStopping = () => this.#stopping;
    const policy = () => this.#config.snapshots;
    this.#schedule = new SnapshotSchedule({ ...common, shelf: this.#shelf, runners, isStopping, policy, metrics });
    this.#nodeDisk = new NodeDisk(disk, timers, entropy);
    this.#lease = new NodeLease({
      node: self,
      instance: this.#instance,
      disk: this.#nodeDisk,
      coordinator,
      clock,
      logger,
      ttlMs: () => this.#map.map?.settings.leaseMs ?? this.#config.cluster.leaseMs,
      info: () => this.#nodeInfo(),
      onDiskRefused: () => this.#diskRefused(),
    });
    this.#memory = new PullMemory(limits.pullRetryMs);
    this.#placement = new Placement({ self, catalog, map: this.#map });
    const here = { find, runner, runners, salt, config, map: this.#map, placement: this.#placement };
    this.#replicas = new Replicas({ ...common, ...here });
    this.#janitor = new Janitor({
      ...common,
      runners,
      replicas: (record) => this.#map.replicas(record),
      clearShelf: () => this.#shelf.round(find),
      isHome: (dataset) => this.home(dataset) === self,
    });
    this.#runnerDeps = {
      ...common,
      cluster,
      stores,
      shelf: this.#shelf,
      fences: new FenceBook(disk),
      puller: this.#puller,
      salt,
      mayServe: (inSync) => this.#lease.mayServe(inSync),
      withheld: () => this.#lease.withheld(),
      confirm: () => this.#lease.confirm(),
      isMember: (node) => this.#map.has(node),
      onFenced: () => metrics?.fenced.inc(),
      onChange: (runner, before) => this.#runnerChanged(runner, before),
      onLeftover: (name) => this.#janitor.leftover(name),
      onDamage: (dataset, blob, reason) => this.scrubs.noticed(dataset, blob, reason),
      onStep: deps.onStep,
    };
    this.access = new LocalAccess({
      ...common,
      map: this.#map,
      storage: this.#storage,
      shelf: this.#shelf,
      find,
      runner,
      isStopping,
      mayServe: () => !this.#lease.state().taken,
      holdsLease: () => this.#lease.isHeld(),
      withheld: () => this.#lease.withheld(),
      onTouched: (dataset) => this.#touch(dataset),
      onAway: (dataset, home) => poke(common, dataset, home),
      newId: () => entropy.hex(16),
      onGateWait: (seconds) => metrics?.gateWait.observe(seconds),
    });
    this.storage = createStorageDesk({ access: this.access, find });
    this.snapshots = createSnapshotDesk({ ...common, access: this.access, shelf: this.#shelf, find });
    this.scrubs = new RepairDesk({ ...this.#runnerDeps, metrics, map: this.#map, access: this.access, find });
    const methods = handoffMethods({
      driver,
      runner,
      salt,
      notOwner: (dataset) => this.access.notOwner(dataset),
      withheld: () => this.#lease.withheld(),
      confirm: () => this.#lease.confirm(),
      witness: (request) => answerWitness(catalog, request),
      onPoke: (dataset) => this.#touch(dataset),
      onSent: (bytes) => metrics?.syncBytes.inc({ direction: 'sent' }, bytes),
      replicas: this.#replicas,
    });
    this.methods = this.scrubs.with(methods);
    for (const { dataset, copy } of found.copies) this.#runners.add(dataset, copy);
    const { confirm } = this.#runnerDeps;
    const currentMs = (dataset: string, id: string) => this.#replicas.follower.stateOf(dataset, id).asOfMs;
    const succession = new Succession({ ...common, confirm, find, currentMs });
    this.takeover = new Takeover({ ...common, confirm, find, succession });
    this.disk = new DiskAcceptance({
      ...common,
      disk: this.#nodeDisk,
      lease: this.#lease,
      members: () => this.#members(),
      runners,
      rebuild: (dataset) => this.#runners.rebuild(dataset),
      onLifted: () => this.#loops.soon('catalog'),
    });
    if (metrics) collectOwnershipMetrics(metrics, () => this.status());
  }

  async start(): Promise<void> {
    const { coordinator, logger } = this.#deps;
    for (const name of this.#found.leftovers) this.#janitor.leftover(name);
    await this.#storage.poll();
    this.#unsubscribe = [
      followPulse(this.#deps, this.#runners, () => this.#loops.soon('usage')),
      coordinator.onHint((hint) => this.#hinted(hint)),
      coordinator.onAvailability((available) => {
        this.#available = available;
        if (!available) return;
        this.#catalog.readAllAgain();
        for (const name of ['lease', 'map', 'catalog', 'tick'])
          this.#loops.soon(name, returnWithinMs(this.#members().length));
      }),
    ];
    const { leaseMs } = this.#config.cluster;
    const { catalogPollMs, tickMs, rebalanceMs, janitorMs, usagePollMs, snapshotPollMs, replicasMs } = this.#limits;
    await this.#nodeDisk.begin(this.#instance);
    await this.#lease.renew();
    this.#loops.add('lease', Math.max(50, leaseMs / 3), () => this.#lease.renew());
    this.#loops.add('catalog', catalogPollMs, () => this.#follow());
    this.#loops.add('map', catalogPollMs * 5, () => this.#map.sync());
    this.#loops.add('tick', tickMs, async () => this.#runners.tick());
    this.#loops.add('rebalance', rebalanceMs, async () => this.#rebalance());
    this.#loops.add('replicas', replicasMs, async () => {
      if (!this.#stopping && !this.#lease.withheld()) this.#replicas.round();
    });
    this.#loops.add('janitor', janitorMs, async () => (this.#lease.withheld() ? undefined : this.#janitor.round()));
    this.#loops.add('snapshots', snapshotPollMs, async () =>
      this.#lease.withheld() ? undefined : this.#schedule.round(),
    );
    this.#loops.add('usage', usagePollMs, () => pollStorage(this.#storage, this.#runners));
    await this.#loops.runOnce('catalog');
    await this.#loops.runOnce('map');
    await this.#hearWitnesses();
    await this.#loops.runOnce('catalog');
    await this.#loops.runOnce('tick');
    this.#loops.start();
    logger.info({ copies: this.#runners.size, epoch: this.#map.epoch }, 'ownership started');
  }

  /** Before anything is served: what the coordinator cannot say now, other nodes may remember. */
  async #hearWitnesses(): Promise<void> {
    if (this.#available && this.#catalog.catalog.complete) return;
    const { self, transport: peers, logger } = this.#deps;
    const members = () => this.#members();
    await askWitnesses({ self, peers, logger, catalog: this.#catalog, members, runners: () => this.#runners });
  }

  #members(): readonly string[] {
    return this.#map.map?.nodes.map((node) => node.id) ?? [];
  }

  // --- loops ------------------------------------------------------------------------------------------------------

  async #follow(): Promise<void> {
    const { coordinator, logger } = this.#deps;
    try {
      await this.#catalog.sync();
      this.#available = true;
    } catch (error) {
      this.#available = false;
      throw error;
    }
    const { catalog } = this.#catalog;
    const isOtherMap = this.#catalog.mapEpoch !== this.#map.epoch;
    const withinMs = mapReadWithinMs(this.#members().length);
    if (isOtherMap && withinMs === 0) await this.#map.sync();
    else if (isOtherMap) this.#loops.soon('map', withinMs);
    // What stands here is not what there is: the others wait for the disk that holds it, or for an operator's word.
    if (this.#lease.withheld()) return;
    if (!catalog.reported) {
      await report({ coordinator, catalog: this.#catalog, logger, runners: () => this.#runners });
      await this.#catalog.sync();
    } else await publishTombstones({ coordinator, catalog: this.#catalog });
  }

  #rebalance(): void {
    if (this.#stopping || this.#lease.withheld()) return;
    if (!this.#placement.refresh()) this.#loops.soon('rebalance');
    const plan = planRound({
      self: this.#deps.self,
      rebalance: this.#config.rebalance,
      nowMs: this.#deps.clock.monotonicMs(),
      catalog: this.#catalog,
      placement: this.#placement,
      map: this.#map,
      memory: this.#memory,
      runners: this.#runners,
    });
    for (const dataset of plan.cancel) this.#runners.get(dataset).dispatch({ on: 'cancel-pull' });
    for (const dataset of plan.start) this.#runners.get(dataset).dispatch({ on: 'pull' });
    this.#deps.metrics?.movesInFlight.set(plan.running);
  }

  async round(): Promise<void> {
    for (const name of ['lease', 'usage', 'catalog', 'map', 'tick', 'rebalance', 'replicas', 'snapshots', 'janitor']) {
      await this.#loops.runOnce(name);
      for (const runner of this.#runners) while (runner.busy) await runner.changed(this.#limits.tickMs);
    }
  }

  /** It may have served until now: whoever is inside hears of it, and no commit goes through any more. */
  #diskRefused(): void {
    const error = this.#lease.withheld();
    for (const runner of this.#runners) if (error) runner.gate.abortAll(error);
  }

  #hinted(hint: Hint): void {
    const isOurs = (dataset: string) =>
      this.#runners.find(dataset) !== undefined || this.home(dataset) === this.#deps.self;
    if (hint.kind === 'map') this.#loops.soon('map', mapReadWithinMs(this.#members().length));
    if (hint.kind === 'record' && isOurs(hint.dataset)) this.#loops.soon('catalog', HINT_MS);
  }

  #catalogChanged(datasets: readonly string[] | null): void {
    this.#placement.recordsChanged(datasets);
    for (const dataset of datasets ?? this.#runners.datasets()) this.#runners.find(dataset)?.catalogChanged();
    this.#loops.soon('tick');
  }

  #mapChanged(): void {
    this.#deps.metrics?.mapEpoch.set(this.#map.epoch);
    this.#placement.lookAtAll();
    this.#loops.soon('rebalance');
  }

  #runnerChanged(runner: DatasetRunner, before: CopyState): void {
    const { state, dataset } = runner;
    this.#runners.changed(runner);
    if (isPullPhase(before) && !isPullPhase(state)) {
      const succeeded = state.copy?.role === 'owner';
      this.#puller.showPhase(dataset, null);
      this.#memory.ended(dataset, succeeded, this.#deps.clock.monotonicMs());
      this.#deps.metrics?.movesTotal.inc({ outcome: succeeded ? 'adopted' : 'given-up' });
      this.#loops.soon('rebalance');
    }
    if (before.phase.at === 'following' && state.phase.at !== 'following') this.#loops.soon('replicas');
    if (state.successor && !before.successor) this.#loops.soon('catalog');
    if (!before.openTerm && state.openTerm) {
      runner.lastUsedMs = this.#deps.clock.monotonicMs();
      const { openStoresMax } = this.#limits;
      for (const idle of planEvictions(this.#runners, runner, openStoresMax)) idle.dispatch({ on: 'close' });
    }
  }

  #touch(dataset: string): void {
    if (this.#memory.touched.has(dataset)) return;
    this.#memory.touched.add(dataset);
    this.#loops.soon('rebalance');
  }

  #nodeInfo(): NodeInfo {
    const { release, formats = {} } = this.#deps;
    const load = nodeLoad(this.#runners, this.#puller, this.#storage, this.#replicas);
    return { release, formats, startedMs: this.#startedMs, ...load };
  }

  // --- asked from outside -----------------------------------------------------------------------------------------

  map(): ClusterMap | null {
    return this.#map.map;
  }

  epoch(): number {
    return this.#map.epoch;
  }

  home(dataset: string): string | null {
    return this.access.home(dataset);
  }

  async move(dataset: string, to: string | null): Promise<OwnershipRecord> {
    const tagged = await setPin(this.#deps.coordinator, this.#map, dataset, to);
    this.#catalog.learn(tagged);
    this.#loops.soon('rebalance');
    return tagged.record;
  }

  async applyConfig(config: Config): Promise<ZringError | null> {
    this.#config = config;
    this.#bucket.setRate(config.rebalance.bandwidthBytesPerSecond);
    await this.#loops.runOnce('map');
    // A round may have been under way with the former configuration.
    await this.#loops.runOnce('map');
    this.#loops.soon('rebalance');
    return this.#map.refusal;
  }

  status(): OwnershipStatus {
    return ownershipStatus({
      self: this.#deps.self,
      stopping: this.#stopping,
      available: this.#available,
      freshMs: this.#limits.catalogFreshMs,
      catalog: this.#catalog,
      map: this.#map,
      placement: this.#placement,
      lease: this.#lease,
      puller: this.#puller,
      found: this.#found,
      storage: this.#storage,
      runners: this.#runners,
      replicas: this.#replicas,
    });
  }

  explain(dataset: string): Promise<DatasetExplanation> {
    return explainDataset(dataset, {
      driver: this.#deps.driver,
      catalog: this.#catalog,
      map: this.#map,
      runner: this.#runners.find(dataset) ?? null,
      replicas: this.#replicas,
    });
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async #stop(): Promise<void> {
    this.#end();
    void this.scrubs.stop();
    await stopParts(this.#parts(), this.#limits.stopGraceMs);
    this.#deps.logger.info('ownership stopped');
  }

  async kill(): Promise<void> {
    this.#end();
    await killParts(this.#parts());
  }

  #end(): void {
    this.#stopping = true;
    for (const unsubscribe of this.#unsubscribe) unsubscribe();
  }

  #parts(): NodeParts {
    return { runners: this.#runners, loops: this.#loops, shelf: this.#shelf, lease: this.#lease, disk: this.#disk };
  }
}

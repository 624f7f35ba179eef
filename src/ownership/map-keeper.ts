// Keeps the membership map: the coordinator's, or the one remembered on this node's disk while there is none. Owns the map
// in use, its ring, and the highest epoch ever seen; what should be committed is decided by cluster/map-change.ts.
// A lower epoch is never followed (I4).
import type { Coordinator } from '../cluster/coordinator.ts';
import { type ClusterMap, type NodeState, parseMap, serializeMap, stampOf } from '../cluster/map.ts';
import { heardNodes, type MapInput, mapInputOf, planMapChange } from '../cluster/map-change.ts';
import type { OwnershipRecord } from '../cluster/record.ts';
import { createRing, type Ring } from '../cluster/ring.ts';
import type { Clock } from '../common/clock.ts';
import type { DurableMap } from '../common/durable-map.ts';
import type { ZringError } from '../common/errors.ts';
import type { Config } from '../config/types.ts';
import type { Logger } from '../telemetry/log.ts';
import { liveRecords } from './catalog.ts';
import type { CatalogKeeper } from './catalog-keeper.ts';
import { replicaNodes } from './replicas/replica-set.ts';

export interface MapKeeperDeps {
  readonly coordinator: Coordinator;
  readonly disk: DurableMap;
  readonly logger: Logger;
  readonly catalog: CatalogKeeper;
  readonly config: () => Config;
  readonly clock: Clock;
  /** A node that has not read for so long says nothing about absence. */
  readonly freshMs: number;
  readonly onChange: () => void;
}

/** Lost races before a caller is told to try later: every loss means that another node has made progress. */
const RACES_MAX = 16;

const PREFERENCE_SHOWN = 3;
/** Before the map of this epoch no node was the home of anything. */
const FIRST_EPOCH = 1;

export class MapKeeper {
  readonly #deps: MapKeeperDeps;
  #map: ClusterMap | null = null;
  /** Of the map in use; '' without one. */
  #stamp = '';
  #states: ReadonlyMap<string, NodeState> = new Map();
  #zones: ReadonlyMap<string, string> = new Map();
  #ring: Ring | null = null;
  #input: { readonly config: Config; readonly input: MapInput } | null = null;
  #highestEpoch = 0;
  /** Why the configuration of this node is not the map; null when it is, or is merely older. */
  #refusal: ZringError | null = null;
  #syncing: Promise<void> | null = null;
  /** When the map in use was taken up by this process; monotonic. */
  #adoptedMs = Number.NEGATIVE_INFINITY;
  /** Rings that were in use not long ago, and when they were replaced. Null: others used one that this node never knew. */
  #former: { readonly ring: Ring | null; readonly replacedMs: number }[] = [];

  constructor(deps: MapKeeperDeps) {
    this.#deps = deps;
    const stored = deps.disk.get('map/current');
    this.#highestEpoch = Number(deps.disk.get('map/highest-epoch') ?? 0);
    if (stored !== undefined) this.#use(parseMap(stored));
  }

  get map(): ClusterMap | null {
    return this.#map;
  }

  get epoch(): number {
    return this.#map?.epoch ?? 0;
  }

  get refusal(): ZringError | null {
    return this.#refusal;
  }

  /** Where the dataset should live: its pin while that node is up, else the ring. Null without a map. */
  home(dataset: string, record: OwnershipRecord | null): string | null {
    const map = this.#map;
    if (!map || !this.#ring) return null;
    const pin = record?.pin ?? null;
    if (pin !== null && this.#states.get(pin) === 'up') return pin;
    return this.#ring.home(dataset) || null;
  }

  get adoptedMs(): number {
    return this.#adoptedMs;
  }

  /**
   * How long this node waits before it creates a dataset as its home. Another node that was the home until now may not have
   * heard of the new map, and answers that the dataset does not exist; it stops doing so when its knowledge is stale.
   */
  settlesInMs(dataset: string): number {
    const { clock, freshMs } = this.#deps;
    const nowMs = clock.monotonicMs();
    this.#former = this.#former.filter((former) => former.replacedMs + freshMs > nowMs);
    const home = this.#ring?.home(dataset);
    const moved = this.#former.filter((former) => former.ring?.home(dataset) !== home);
    return Math.max(0, ...moved.map((former) => former.replacedMs + freshMs - nowMs));
  }

  /** Nodes in the order of the ring, the best few. */
  preference(dataset: string): readonly string[] {
    return this.#ring?.preference(dataset, PREFERENCE_SHOWN) ?? [];
  }

  /** Who should have a copy beside the owner (docs/REPLICAS.md); none without a map. */
  replicas({ dataset, owner }: Pick<OwnershipRecord, 'dataset' | 'owner'>): readonly string[] {
    const copies = this.#map?.settings.copies ?? 1;
    if (!this.#ring || copies <= 1) return [];
    const preference = this.#ring.preference(dataset, copies + 1);
    return replicaNodes({ owner, copies, preference, zoneOf: (node) => this.#zones.get(node) ?? null });
  }

  isDraining(node: string): boolean {
    return this.#states.get(node) === 'draining';
  }

  has(node: string): boolean {
    return this.#states.has(node);
  }

  /** Brings coordinator, configuration and memory together. Errors: those of the coordinator. A refusal is kept, not thrown. */
  sync(): Promise<void> {
    this.#syncing ??= this.#sync().finally(() => {
      this.#syncing = null;
    });
    return this.#syncing;
  }

  async #sync(): Promise<void> {
    const { coordinator, logger, catalog } = this.#deps;
    for (let races = 0; races < RACES_MAX; races++) {
      const current = await this.#read();
      const input = this.#configured();
      const isNewer = input.revision > Math.max(current?.revision ?? 0, this.#map?.revision ?? 0);
      // Only a newer revision can remove a node, and asks who holds what; so does whoever finds a newcomer's map.
      const asks = isNewer || (current && this.#map && current.origin !== this.#map.origin);
      const state = asks ? await coordinator.state() : null;
      const plan = planMapChange(input, {
        current,
        remembered: this.#map,
        highestEpoch: this.#highestEpoch,
        records: asks ? liveRecords(catalog.catalog) : [],
        heard: state && heardNodes(state, [current, this.#map]),
        ...(state && { incarnation: state.incarnation }),
      });
      this.#refusal = plan.kind === 'refused' ? plan.error : null;
      if (plan.kind === 'refused') {
        logger.error({ code: plan.error.code, details: plan.error.details }, plan.error.message);
        if (plan.map) await this.#adopt(plan.map);
        return;
      }
      if (plan.kind !== 'commit') return this.#adopt(plan.map);
      const result = await coordinator.commitMap(plan.expectedEpoch, plan.map);
      if (result.ok) {
        logger.info({ epoch: plan.map.epoch, reason: plan.reason }, 'cluster map committed');
        return this.#adopt(result.value);
      }
    }
  }

  /** The coordinator's map. It is not read while its stamp is that of the map in use. */
  async #read(): Promise<ClusterMap | null> {
    const { coordinator } = this.#deps;
    const stamp = await coordinator.mapStamp();
    if (stamp === '') return null;
    return this.#map && stamp === this.#stamp ? this.#map : coordinator.readMap();
  }

  #configured(): MapInput {
    const config = this.#deps.config();
    if (this.#input?.config !== config) this.#input = { config, input: mapInputOf(config) };
    return this.#input.input;
  }

  async #adopt(map: ClusterMap): Promise<void> {
    if (map.epoch < this.#highestEpoch) {
      this.#deps.logger.error(
        { epoch: map.epoch, highest: this.#highestEpoch },
        'a map of a lower epoch is not followed',
      );
      return;
    }
    if (this.#map && (this.#map === map || this.#stamp === stampOf(map))) return;
    await this.#deps.disk.commit([
      { key: 'map/current', value: serializeMap(map) },
      { key: 'map/highest-epoch', value: String(map.epoch) },
    ]);
    const nowMs = this.#deps.clock.monotonicMs();
    if (this.#ring || map.epoch > FIRST_EPOCH) this.#former.push({ ring: this.#ring, replacedMs: nowMs });
    this.#adoptedMs = nowMs;
    this.#use(map);
    this.#deps.onChange();
  }

  #use(map: ClusterMap): void {
    this.#map = map;
    this.#stamp = stampOf(map);
    this.#states = new Map(map.nodes.map(({ id, state }) => [id, state]));
    this.#zones = new Map(map.nodes.map(({ id, zone }) => [id, zone]));
    this.#ring = createRing(map);
    this.#highestEpoch = Math.max(this.#highestEpoch, map.epoch);
  }
}

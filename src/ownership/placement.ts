// Which datasets should live here and live elsewhere: the candidates for a pull; and of which this node should have a
// replica. Kept as records and map change, so that a round costs what has changed and not a hundred thousand records. Owns
// these sets; what is done about it is rebalance.ts.
//
// It may lag behind: after a map change every record is looked at anew, some in each round. So it only ever proposes; who
// takes a candidate asks for its home again.
import type { OwnershipRecord } from '../cluster/record.ts';
import type { CatalogKeeper } from './catalog-keeper.ts';
import type { MapKeeper } from './map-keeper.ts';

/** Looked at in one round: a few microseconds each, and requests wait meanwhile. */
const LOOKS_PER_ROUND = 10_000;

export interface PlacementDeps {
  readonly self: string;
  readonly catalog: Pick<CatalogKeeper, 'catalog'>;
  readonly map: Pick<MapKeeper, 'home' | 'replicas'>;
}

export class Placement {
  readonly #deps: PlacementDeps;
  readonly #away = new Set<string>();
  /** Of datasets that are owned here, or of which this node should have a replica: who should have one. */
  readonly #replicas = new Map<string, { readonly owner: string; readonly nodes: readonly string[] }>();
  readonly #changed = new Set<string>();
  /** What is left of a look at everything. */
  #rest: Iterator<string> | null = null;

  constructor(deps: PlacementDeps) {
    this.#deps = deps;
    this.lookAtAll();
  }

  /** Names whose records changed; null = all. */
  recordsChanged(datasets: readonly string[] | null): void {
    if (datasets === null) this.lookAtAll();
    else for (const dataset of datasets) this.#changed.add(dataset);
  }

  /** Another map: any home may be another one now. */
  lookAtAll(): void {
    this.#rest = this.#deps.catalog.catalog.entries.keys();
  }

  /** Takes in what changed. False while more is left for the next round. */
  refresh(looksMost = LOOKS_PER_ROUND): boolean {
    for (const dataset of this.#changed) this.#look(dataset);
    this.#changed.clear();
    for (let looks = 0; this.#rest && looks < looksMost; looks++) {
      const next = this.#rest.next();
      if (next.done) this.#rest = null;
      else this.#look(next.value);
    }
    return this.#rest === null;
  }

  /** Live records of datasets that should be here, or were claimed for here, and are not, as far as it was looked at. */
  *away(): Iterable<OwnershipRecord> {
    const { entries } = this.#deps.catalog.catalog;
    for (const dataset of this.#away) {
      const record = entries.get(dataset)?.record;
      if (record && this.#isAway(record)) yield record;
    }
  }

  /** Live records of datasets of which this node should have a replica, as far as it was looked at. */
  *replicas(): Iterable<OwnershipRecord> {
    const { self, catalog } = this.#deps;
    for (const [dataset, { owner }] of this.#replicas) {
      if (owner === self) continue;
      const record = catalog.catalog.entries.get(dataset)?.record;
      if (record && record.phase !== 'deleted' && record.owner === owner) yield record;
    }
  }

  /** Who should have a replica of what is owned here, as far as it was looked at. */
  replicasOf(dataset: string): readonly string[] {
    return this.#replicas.get(dataset)?.nodes ?? [];
  }

  #look(dataset: string): void {
    const record = this.#deps.catalog.catalog.entries.get(dataset)?.record;
    const nodes = record && record.phase !== 'deleted' ? this.#deps.map.replicas(record) : [];
    const isOurs = record?.owner === this.#deps.self || nodes.includes(this.#deps.self);
    if (record && isOurs) this.#replicas.set(dataset, { owner: record.owner, nodes });
    else this.#replicas.delete(dataset);
    if (record && this.#isAway(record)) this.#away.add(dataset);
    else this.#away.delete(dataset);
  }

  #isAway(record: OwnershipRecord): boolean {
    const { self, map } = this.#deps;
    if (record.phase === 'deleted' || record.owner === self) return false;
    return record.target === self || map.home(record.dataset, record) === self;
  }
}

// Keeps the catalog: follows the coordinator's changes, stores what it learns durably, reports after a new incarnation.
// Owns the catalog and its entries in the node's DurableMap; the rules are catalog.ts. Nothing on a request's path waits
// for it.
//
//   catalog/meta → incarnation, counter, cursor, complete, reported, left     catalog/record/<dataset> → entry
//   catalog/tombstone/<id> → '1'
import type { Coordinator, RecordPage } from '../cluster/coordinator.ts';
import {
  isOlderTag,
  type OwnershipRecord,
  parseRecord,
  serializeRecord,
  type TaggedRecord,
} from '../cluster/record.ts';
import { mixTag, NO_RECORDS } from '../cluster/record-digest.ts';
import type { Clock } from '../common/clock.ts';
import type { DurableMap } from '../common/durable-map.ts';
import { Rounds } from '../common/rounds.ts';
import { SharedMap } from '../common/shared-map.ts';
import type { Logger } from '../telemetry/log.ts';
import {
  applyPage,
  type Catalog,
  type CatalogChange,
  type CatalogEntry,
  EMPTY_CATALOG,
  enterIncarnation,
  hearAll,
  isMirrored,
  judgeContinuity,
  learnAll,
  markReported,
  missedEntries,
  unpublishedTombstones,
} from './catalog.ts';

export interface CatalogKeeperDeps {
  readonly node: string;
  readonly coordinator: Coordinator;
  readonly disk: DurableMap;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly pageRecords: number;
  /** Between two pages of a long reading. */
  readonly rest?: () => Promise<void>;
  /** Names whose knowledge changed; null = all (a new incarnation). */
  readonly onChange: (datasets: readonly string[] | null) => void;
}

/** Pages that are read without a rest. */
const PAGES_AT_ONCE = 2;

interface StoredMeta {
  readonly version: 1;
  readonly incarnation: string;
  readonly counter: number;
  readonly cursor: number;
  readonly complete: boolean;
  readonly reported: boolean;
  readonly left: readonly string[];
}

interface StoredEntry {
  readonly record: string;
  readonly tag: string | null;
  readonly behind: boolean;
  readonly risen?: string;
  /** The tag belongs to this incarnation. */
  readonly incarnation: string;
}

export class CatalogKeeper {
  readonly #deps: CatalogKeeperDeps;
  #catalog: Catalog;
  /** When the last round that read everything began, on the monotonic clock. */
  #syncedMs = Number.NEGATIVE_INFINITY;
  #mapEpoch = 0;
  readonly #rounds = new Rounds(() => this.#round());
  #fromStart = false;
  /** Datasets whose deletion the coordinator may have to hear again; null = look at all. */
  #suspects: Set<string> | null = null;
  /** Known, and perhaps not on the disk yet: whatever is written next says it too, or a cursor could get ahead of it. */
  readonly #unstored = { entries: new Set<string>(), tombstones: new Set<string>() };

  constructor(deps: CatalogKeeperDeps) {
    this.#deps = deps;
    this.#catalog = load(deps.disk);
    // The coordinator may have failed over while this node was away, and lost its report; no counter tells.
    this.#fromStart = this.#catalog.incarnation !== '';
  }

  get catalog(): Catalog {
    return this.#catalog;
  }

  /** Epoch of the coordinator's map as last seen. */
  get mapEpoch(): number {
    return this.#mapEpoch;
  }

  /** Everything was read in a round that began within this time, and not before `sinceMs`. */
  isFresh(withinMs: number, sinceMs = Number.NEGATIVE_INFINITY): boolean {
    return this.#syncedMs >= sinceMs && this.#deps.clock.monotonicMs() - this.#syncedMs <= withinMs;
  }

  entry(dataset: string): CatalogEntry | null {
    return this.#catalog.entries.get(dataset) ?? null;
  }

  isBuried(id: string): boolean {
    return this.#catalog.tombstones.has(id);
  }

  /** Reads all changes. A call during a round makes one more round follow. Errors: those of the coordinator. */
  sync(): Promise<void> {
    return this.#rounds.run();
  }

  async #round(): Promise<void> {
    const beganMs = this.#deps.clock.monotonicMs();
    if (this.#fromStart) {
      this.#fromStart = false;
      if (await this.#lacksNothing()) {
        this.#syncedMs = beganMs;
        return;
      }
      this.#catalog = { ...this.#catalog, cursor: 0 };
      const before = this.#catalog.entries;
      const seen = new Set<string>();
      try {
        const { state } = await this.#readChanges((dataset) => seen.add(dataset));
        // A failover may have lost that this node reported, which no counter tells; to say it again costs little.
        if (!state.complete) this.#catalog = { ...this.#catalog, reported: false };
      } catch (error) {
        this.#fromStart = true;
        throw error;
      }
      // A new incarnation on the way has left no tag behind, so nothing of `before` counts any more.
      await this.#commit(missedEntries(this.#catalog, before, seen), false);
    } else await this.#readChanges(() => {});
    this.#syncedMs = beganMs;
  }

  /**
   * Does a reading of what is new leave nothing to be found? The coordinator's own digest says so: thousands of nodes that
   * find it again must not all read everything. Before it is complete they do: a report may have been lost.
   */
  async #lacksNothing(): Promise<boolean> {
    try {
      const last = await this.#readChanges(() => {});
      return last.state.complete && this.#catalog.complete && isMirrored(this.#catalog, last);
    } catch (error) {
      this.#fromStart = true;
      throw error;
    }
  }

  /** @returns the last page. */
  async #readChanges(onSeen: (dataset: string) => void): Promise<RecordPage> {
    const { coordinator, logger, pageRecords, rest } = this.#deps;
    for (let pages = 1; ; pages++) {
      const asked = this.#catalog.cursor;
      const page: RecordPage = await coordinator.changesSince(asked, pageRecords);
      const continuity = judgeContinuity(this.#catalog, page.state);
      if (continuity.kind === 'regress') {
        logger.error(
          { seen: continuity.seen, counter: page.state.counter },
          'the coordinator lost records that this node has seen; a new incarnation begins',
        );
        const state = await coordinator.declareRegress(continuity.seen);
        if (state.incarnation === this.#catalog.incarnation) throw new Error('bug: a regress was declared in vain');
        await this.#enter(state.incarnation);
        continue;
      }
      if (continuity.kind === 'new') {
        if (this.#catalog.incarnation !== '')
          logger.warn(
            { incarnation: page.state.incarnation },
            'the coordinator has a new incarnation; reporting again',
          );
        await this.#enter(page.state.incarnation);
        continue;
      }
      this.#mapEpoch = page.state.mapEpoch;
      const change = applyPage(this.#catalog, page);
      const moved =
        change.catalog.cursor !== this.#catalog.cursor || change.catalog.complete !== this.#catalog.complete;
      await this.#commit(change, moved);
      for (const { record } of page.records) onSeen(record.dataset);
      if (page.cursor >= page.state.counter) return page;
      // A long reading is one that all nodes are at.
      if (pages >= PAGES_AT_ONCE) await rest?.();
    }
  }

  async #enter(incarnation: string): Promise<void> {
    this.#suspects = null;
    this.#catalog = enterIncarnation(this.#catalog, incarnation);
    await this.#deps.disk.commit([metaChange(this.#catalog)]);
    this.#deps.onChange(null);
  }

  async #commit(change: CatalogChange, withMeta: boolean): Promise<void> {
    this.#catalog = change.catalog;
    const { entries, tombstones } = this.#unstored;
    for (const dataset of change.changed) {
      this.#suspects?.add(dataset);
      entries.add(dataset);
    }
    for (const id of change.buried) tombstones.add(id);
    // Memory first: knowledge that is not yet on disk is still true, and what is lost is read again from the cursor.
    if (change.changed.length > 0) this.#deps.onChange(change.changed);
    await this.#store(withMeta);
  }

  async #store(withMeta: boolean): Promise<void> {
    const { incarnation, entries: known } = this.#catalog;
    const stored: [string, CatalogEntry][] = [];
    for (const dataset of this.#unstored.entries) {
      const entry = known.get(dataset);
      if (entry) stored.push([dataset, entry]);
    }
    const buried = [...this.#unstored.tombstones];
    const changes = [
      ...stored.map(([dataset, entry]) => ({ key: recordKey(dataset), value: storeEntry(entry, incarnation) })),
      ...buried.map((id) => ({ key: `catalog/tombstone/${id}`, value: '1' })),
      ...(withMeta ? [metaChange(this.#catalog)] : []),
    ];
    if (changes.length === 0) return;
    await this.#deps.disk.commit(changes);
    for (const [dataset, entry] of stored) {
      if (this.#catalog.entries.get(dataset) === entry) this.#unstored.entries.delete(dataset);
    }
    for (const id of buried) this.#unstored.tombstones.delete(id);
  }

  /** After a time without the coordinator: hints and changes may have been missed in ways that nobody foresaw. */
  readAllAgain(): void {
    this.#fromStart = true;
  }

  /** Results of our own compare-and-set, and fresh reads; a page that was read meanwhile may know better. */
  learn(tagged: TaggedRecord): void {
    const known = this.entry(tagged.record.dataset)?.tag ?? null;
    if (known !== null && isOlderTag(tagged.tag, known)) return;
    const change = learnAll(this.#catalog, [tagged]);
    void this.#commit(change, false).catch((error: unknown) => {
      this.#deps.logger.error({ err: error }, 'the catalog could not be stored');
    });
  }

  /** What other nodes remember (witness.ts). */
  async hear(records: readonly OwnershipRecord[]): Promise<void> {
    await this.#commit(hearAll(this.#catalog, records), false);
  }

  /** A dataset id that never comes back; durable when it resolves. */
  async remember(record: OwnershipRecord): Promise<void> {
    this.#catalog = { ...this.#catalog, tombstones: new Set([...this.#catalog.tombstones, record.id]) };
    this.#suspects?.add(record.dataset);
    await this.#deps.disk.commit([{ key: `catalog/tombstone/${record.id}`, value: '1' }]);
  }

  /** Deletions that the coordinator has to hear again. Costs what has changed since the last call. */
  unpublishedTombstones(): ReturnType<typeof unpublishedTombstones> {
    const found = unpublishedTombstones(this.#catalog, this.#suspects ?? undefined);
    this.#suspects = new Set(found.map(({ record }) => record.dataset));
    return found;
  }

  /** After everything owned here was published in this incarnation. */
  async reported(): Promise<void> {
    const { incarnation } = this.#catalog;
    const state = await this.#deps.coordinator.markReported(this.#deps.node, incarnation);
    const catalog = markReported(this.#catalog, state);
    if (catalog === this.#catalog) return;
    this.#catalog = catalog;
    await this.#deps.disk.commit([metaChange(catalog)]);
  }
}

function recordKey(dataset: string): string {
  return `catalog/record/${dataset}`;
}

function storeEntry(entry: CatalogEntry, incarnation: string): string {
  const stored: StoredEntry = {
    record: serializeRecord(entry.record),
    tag: entry.tag,
    behind: entry.behind,
    ...(entry.risen && { risen: serializeRecord(entry.risen) }),
    incarnation,
  };
  return JSON.stringify(stored);
}

function metaChange(catalog: Catalog): { key: string; value: string } {
  const { incarnation, counter, cursor, complete, reported, left } = catalog;
  const meta: StoredMeta = { version: 1, incarnation, counter, cursor, complete, reported, left };
  return { key: 'catalog/meta', value: JSON.stringify(meta) };
}

function load(disk: DurableMap): Catalog {
  const meta = disk.get('catalog/meta');
  const base: StoredMeta = meta === undefined ? { version: 1, ...EMPTY_CATALOG } : (JSON.parse(meta) as StoredMeta);
  const entries: [string, CatalogEntry][] = [];
  let digest = NO_RECORDS;
  for (const [key, text] of disk.entries('catalog/record/')) {
    const stored = JSON.parse(text) as StoredEntry;
    const name = key.slice('catalog/record/'.length);
    const record = parseRecord(stored.record, name);
    const same = stored.incarnation === base.incarnation;
    const risen = same && stored.risen !== undefined && { risen: parseRecord(stored.risen, name) };
    const tag = same ? stored.tag : null;
    digest = mixTag(digest, tag);
    entries.push([record.dataset, { record, tag, behind: !same || stored.behind, ...risen }]);
  }
  const tombstones = new Set<string>();
  for (const [key] of disk.entries('catalog/tombstone/')) tombstones.add(key.slice('catalog/tombstone/'.length));
  const { incarnation, counter, cursor, complete, reported, left } = base;
  const known = { entries: SharedMap.of(entries), tombstones, digest };
  return { incarnation, counter, cursor, complete, reported, left, ...known };
}

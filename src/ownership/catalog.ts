// Pure: what a node knows of all ownership records, and what follows from it. The catalog outlives the coordinator's data:
// knowledge never goes back (I4), only the tag by which a record can be changed there is lost with an incarnation.
// catalog-keeper.ts stores it durably and feeds it; nothing here waits or reads a clock.
import type { CoordinatorLife, RecordPage } from '../cluster/coordinator.ts';
import type { OwnershipRecord, TaggedRecord } from '../cluster/record.ts';
import { mixTag, NO_RECORDS, type RecordDigest } from '../cluster/record-digest.ts';
import { SharedMap } from '../common/shared-map.ts';
import { compareTerms } from '../common/term.ts';
import { isTombstone, isVoid } from './publication.ts';

export interface CatalogEntry {
  readonly record: OwnershipRecord;
  /** Of whatever the coordinator holds under this name; null = nothing that we know of in this incarnation. */
  readonly tag: string | null;
  /** The coordinator holds less than `record` says: it lost something, and the owner has to tell it again. */
  readonly behind: boolean;
  /** What the coordinator holds instead: a living record of an id that is gone for good. It has to be told so. */
  readonly risen?: OwnershipRecord;
}

export interface Catalog {
  /** '' before the first contact. */
  readonly incarnation: string;
  /** Highest counter seen in this incarnation. */
  readonly counter: number;
  /** Next argument of `changesSince`. */
  readonly cursor: number;
  /** Every node of the map has reported in this incarnation, and all of it has been read. */
  readonly complete: boolean;
  /** This node has told the coordinator of this incarnation everything it owns. */
  readonly reported: boolean;
  /** Incarnations left behind, newest last: one of them coming back is a restored dump. */
  readonly left: readonly string[];
  readonly entries: SharedMap<CatalogEntry>;
  /** Ids of deleted datasets; none of them ever comes back. */
  readonly tombstones: ReadonlySet<string>;
  /** Of the tags in `entries` (cluster/record-digest.ts). */
  readonly digest: RecordDigest;
}

const LEFT_MAX = 32;

export const EMPTY_CATALOG: Catalog = {
  incarnation: '',
  counter: 0,
  cursor: 0,
  complete: false,
  reported: false,
  left: [],
  entries: SharedMap.of(),
  tombstones: new Set(),
  digest: NO_RECORDS,
};

/** What one step changed, for the disk and for those who listen. */
export interface CatalogChange {
  readonly catalog: Catalog;
  readonly changed: readonly string[];
  readonly buried: readonly string[];
}

/** Before a page is read with an old cursor: is this still the life of the coordinator that we know? */
export type Continuity =
  | { readonly kind: 'same' }
  | { readonly kind: 'new' }
  /** It has lost what we saw: it must start a new incarnation (`declareRegress` with these values). */
  | { readonly kind: 'regress'; readonly seen: { readonly incarnation: string; readonly counter: number } };

export function judgeContinuity(catalog: Catalog, state: CoordinatorLife): Continuity {
  if (state.incarnation === catalog.incarnation) {
    if (state.counter >= catalog.counter) return { kind: 'same' };
    return { kind: 'regress', seen: { incarnation: catalog.incarnation, counter: catalog.counter } };
  }
  if (catalog.left.includes(state.incarnation)) {
    // An old dump came back. Its counter may even have grown since, so claim one more than it has.
    return {
      kind: 'regress',
      seen: { incarnation: state.incarnation, counter: Math.max(catalog.counter, state.counter) + 1 },
    };
  }
  return { kind: 'new' };
}

/** Knowledge stays; tags, cursor, completeness and our report belong to the life that ended. */
export function enterIncarnation(catalog: Catalog, incarnation: string): Catalog {
  const forgotten: [string, CatalogEntry][] = [];
  for (const [name, { record }] of catalog.entries) forgotten.push([name, { record, tag: null, behind: true }]);
  const entries = SharedMap.of(forgotten);
  const left = catalog.incarnation === '' ? catalog.left : [...catalog.left, catalog.incarnation].slice(-LEFT_MAX);
  const unknown = { counter: 0, cursor: 0, complete: false, reported: false, digest: NO_RECORDS };
  return { ...catalog, ...unknown, incarnation, left, entries };
}

/** One page of `changesSince(catalog.cursor)`. The caller has judged continuity with the page's own state. */
export function applyPage(catalog: Catalog, page: RecordPage): CatalogChange {
  const change = learnAll(catalog, page.records);
  const counter = Math.max(catalog.counter, page.state.counter);
  const whole = page.cursor >= page.state.counter;
  return {
    ...change,
    catalog: {
      ...change.catalog,
      cursor: page.cursor,
      counter,
      complete: catalog.complete || (page.state.complete && whole),
    },
  };
}

/** Records heard outside the page order too: results of compare-and-set, fresh reads. */
export function learnAll(catalog: Catalog, records: readonly TaggedRecord[]): CatalogChange {
  const entries = new Map<string, CatalogEntry>();
  const buried = new Set<string>();
  const isBuried = (id: string) => buried.has(id) || catalog.tombstones.has(id);
  let { digest } = catalog;
  for (const tagged of records) {
    const { record } = tagged;
    if (isTombstone(record) && !isBuried(record.id)) buried.add(record.id);
    const known = entries.get(record.dataset) ?? catalog.entries.get(record.dataset);
    const next = mergeEntry(known, tagged, isBuried);
    if (next === known) continue;
    digest = mixTag(mixTag(digest, known?.tag ?? null), next.tag);
    entries.set(record.dataset, next);
  }
  const changed = [...entries.keys()];
  if (changed.length === 0 && buried.size === 0) return { catalog, changed, buried: [] };
  const tombstones = buried.size > 0 ? new Set([...catalog.tombstones, ...buried]) : catalog.tombstones;
  const learnt = { entries: catalog.entries.with(entries), tombstones, digest };
  return { catalog: { ...catalog, ...learnt }, changed, buried: [...buried] };
}

/**
 * Records that another node remembers, of datasets whose owner copies stand here: what is above our own knowledge of the
 * same dataset is believed, as what the coordinator held once.
 */
export function hearAll(catalog: Catalog, records: readonly OwnershipRecord[]): CatalogChange {
  const entries = new Map<string, CatalogEntry>();
  for (const record of records) {
    const known = entries.get(record.dataset) ?? catalog.entries.get(record.dataset);
    if (isVoid(record) || (known && known.record.term.n >= record.term.n)) continue;
    entries.set(record.dataset, { record, tag: known?.tag ?? null, behind: true });
  }
  return { catalog: { ...catalog, entries: catalog.entries.with(entries) }, changed: [...entries.keys()], buried: [] };
}

function mergeEntry(
  known: CatalogEntry | undefined,
  heard: TaggedRecord,
  isBuried: (id: string) => boolean,
): CatalogEntry {
  if (known?.tag === heard.tag) return known;
  const behind = known !== undefined && outranks(known.record, heard.record, isBuried);
  if (!behind) return { record: heard.record, tag: heard.tag, behind };
  const risen = heard.record.phase !== 'deleted' && isBuried(heard.record.id);
  return { record: known.record, tag: heard.tag, behind, ...(risen && { risen: heard.record }) };
}

/** Is `known` above what was heard, so that believing the latter would go back? */
function outranks(known: OwnershipRecord, heard: OwnershipRecord, isBuried: (id: string) => boolean): boolean {
  if (isVoid(known)) return false;
  if (isVoid(heard)) return known.id !== heard.id && known.phase !== 'deleted';
  // A living record under a buried id is the past, unless what we know is no better.
  if (heard.phase !== 'deleted' && isBuried(heard.id)) return known.id !== heard.id || known.phase === 'deleted';
  if (known.id === heard.id) {
    if (heard.phase === 'deleted') return false;
    return compareTerms(known.term, heard.term) > 0;
  }
  return known.term.n > heard.term.n;
}

/**
 * After everything was read again, from the first change on: what stood in the coordinator before (by our knowledge) and
 * was not among it has been lost there, as by a failover that a creation did not outlive. Its owner has to tell it again.
 * `before` are the entries when that reading began: what was learned since is newer than the pages.
 */
export function missedEntries(
  catalog: Catalog,
  before: ReadonlyMap<string, CatalogEntry>,
  seen: ReadonlySet<string>,
): CatalogChange {
  const missed = new Map<string, CatalogEntry>();
  let { digest } = catalog;
  for (const [dataset, entry] of before) {
    if (entry.tag === null || seen.has(dataset) || catalog.entries.get(dataset) !== entry) continue;
    digest = mixTag(digest, entry.tag);
    missed.set(dataset, { record: entry.record, tag: null, behind: true });
  }
  const changed = [...missed.keys()];
  if (changed.length === 0) return { catalog, changed, buried: [] };
  return { catalog: { ...catalog, entries: catalog.entries.with(missed), digest }, changed, buried: [] };
}

/**
 * After the last page of a reading: is what the coordinator holds known here, and nothing beside it? Then a reading from the
 * first change on would find nothing. A result of our own that overtook the page makes it a false *no*, which only costs.
 */
export function isMirrored(catalog: Catalog, last: RecordPage): boolean {
  return last.state.incarnation === catalog.incarnation && last.digest === catalog.digest;
}

export function markReported(catalog: Catalog, state: CoordinatorLife): Catalog {
  return state.incarnation === catalog.incarnation ? { ...catalog, reported: true } : catalog;
}

// --- what follows -------------------------------------------------------------------------------------------------

export type Presence = 'present' | 'absent' | 'unknown';

/**
 * Does the dataset exist? Only the home may tell a client *absent*, from a complete catalog, and only while what it knows
 * is fresh: another node may have created it since. A tombstone alone proves nothing: a dump that came back may hold the
 * one of an earlier dataset of this name, made again since by an owner that has not reported yet.
 */
export function presence(catalog: Catalog, dataset: string, fresh: boolean): Presence {
  const entry = catalog.entries.get(dataset);
  if (entry && entry.record.phase !== 'deleted') return 'present';
  return fresh && catalog.complete ? 'absent' : 'unknown';
}

export function liveRecords(catalog: Catalog): OwnershipRecord[] {
  const records: OwnershipRecord[] = [];
  for (const { record } of catalog.entries.values()) if (record.phase !== 'deleted') records.push(record);
  return records.sort((a, b) => (a.dataset < b.dataset ? -1 : 1));
}

/**
 * What the coordinator must hear again of deletions: tombstones that it lost, and living records under a buried id (a
 * restored dump). To be written by compare-and-set against `tag`. `among`: only these datasets.
 */
export function unpublishedTombstones(
  catalog: Catalog,
  among: Iterable<string> = catalog.entries.keys(),
): { readonly record: OwnershipRecord; readonly tag: string | null }[] {
  const found: { record: OwnershipRecord; tag: string | null }[] = [];
  for (const dataset of among) {
    const entry = catalog.entries.get(dataset);
    if (!entry) continue;
    const { record, tag, behind, risen } = entry;
    if (isTombstone(record)) {
      if (behind) found.push({ record, tag });
    } else if (risen) {
      // Should what we know be alive, its owner publishes it over this; should it be gone too, nobody else would speak.
      found.push({ record: { ...risen, phase: 'deleted', target: null }, tag });
    } else if (record.phase !== 'deleted' && catalog.tombstones.has(record.id)) {
      found.push({ record: { ...record, phase: 'deleted', target: null }, tag });
    }
  }
  return found;
}

// What a coordinator decides, as one single-threaded state machine: the embedded host runs it over its disk, tests over a
// plain Map. Redis runs the same rules as Lua (redis-scripts.ts); one contract suite holds both to them.
// It owns map, records, leases and the counters; it must not know how requests arrive or when changes become durable:
// `run` changes memory at once and returns what must be on disk before anybody hears the answer.

import type { DurableChange, DurableMap } from '../common/durable-map.ts';
import { ZringError } from '../common/errors.ts';
import type {
  CasResult,
  CoordinatorLife,
  CoordinatorState,
  Hint,
  Lease,
  LeaseResult,
  NodeInfo,
  RecordPage,
  StoredCredential,
} from './coordinator.ts';
import { type Call, CHANGES_PAGE_MAX } from './coordinator-call.ts';
import { CredentialShelf, isOffer } from './credential-shelf.ts';
import { type DiskChain, type DiskMark, goesOnFrom, isDiskChain, newestOf } from './disk-chain.ts';
import { isCount, isName, isNodeId } from './fields.ts';
import { type ClusterMap, parseMap, serializeMap, stampOf } from './map.ts';
import { type OwnershipRecord, parseRecord, serializeRecord, type TaggedRecord } from './record.ts';
import { mixTag, NO_RECORDS } from './record-digest.ts';

/**
 * Keys on disk: `meta`, `map`, `lease/<node>`, `disk/<node>`, `record/<dataset>`, `credentials` (the stamp),
 * `credential/<access key>`. The version in `meta` covers them all.
 */
export const COORDINATOR_FORMAT_VERSION = 1;

export interface StateDeps {
  monotonicMs(): number;
  /** Unguessable and never repeated: incarnations and tags. */
  randomId(): string;
}

export interface Outcome {
  readonly value: unknown;
  readonly changes: readonly DurableChange[];
  readonly hints: readonly Hint[];
}

interface Meta {
  readonly version: number;
  readonly incarnation: string;
  readonly counter: number;
  readonly complete: boolean;
  readonly reported: readonly string[];
}

interface StoredRecord {
  readonly text: string;
  readonly tag: string;
  readonly counter: number;
}

interface StoredLease {
  readonly instance: string;
  readonly ttlMs: number;
  readonly info: NodeInfo;
  /** On the monotonic clock of this process; not stored. */
  readonly expiresMs: number;
}

/** The last mark heard, and who said it. */
interface StoredDisk extends DiskMark {
  readonly instance: string;
}

export class StateMachine {
  readonly #deps: StateDeps;
  #meta: Meta;
  #map: ClusterMap | null = null;
  #mapStamp = '';
  readonly #records = new Map<string, StoredRecord>();
  #digest = NO_RECORDS;
  readonly #leases = new Map<string, StoredLease>();
  readonly #disks = new Map<string, StoredDisk>();
  readonly #credentials: CredentialShelf;
  /** Datasets by the counter of their last change; an entry is stale when its record carries another counter. */
  #log: { readonly counter: number; readonly dataset: string }[] = [];
  #changes: DurableChange[] = [];
  #hints: Hint[] = [];

  /** Errors: VERSION_UNSUPPORTED, COORDINATOR_CORRUPT. The first call's changes carry a fresh incarnation if there was none. */
  constructor(disk: DurableMap, deps: StateDeps) {
    this.#deps = deps;
    this.#credentials = new CredentialShelf(disk);
    const meta = disk.get('meta');
    if (meta === undefined) {
      this.#meta = { ...emptyMeta(), incarnation: deps.randomId() };
      this.#put('meta', this.#meta);
      return;
    }
    this.#meta = parseStored(meta, 'meta') as Meta;
    if (this.#meta.version > COORDINATOR_FORMAT_VERSION) throw newerFormat(this.#meta.version);
    const map = disk.get('map');
    if (map !== undefined) this.#useMap(parseMap(map));
    // Whoever held a lease before the restart holds it for a full term from now: time spent down is unknown here.
    const now = deps.monotonicMs();
    for (const [key, text] of disk.entries('lease/')) {
      const lease = parseStored(text, key) as Omit<StoredLease, 'expiresMs'>;
      this.#leases.set(key.slice('lease/'.length), { ...lease, expiresMs: now + lease.ttlMs });
    }
    for (const [key, text] of disk.entries('disk/')) this.#disks.set(key.slice('disk/'.length), parseDisk(text, key));
    for (const [key, text] of disk.entries('record/')) {
      const dataset = key.slice('record/'.length);
      const stored = parseStored(text, key) as StoredRecord;
      this.#records.set(dataset, stored);
      this.#digest = mixTag(this.#digest, stored.tag);
      this.#log.push({ counter: stored.counter, dataset });
    }
    this.#log.sort((a, b) => a.counter - b.counter);
  }

  /** Errors: COORDINATOR_CORRUPT for a record or map that nobody could read back; then nothing has changed. */
  run(call: Call): Outcome {
    const value = this.#dispatch(call);
    const outcome = { value, changes: this.#changes, hints: this.#hints };
    this.#changes = [];
    this.#hints = [];
    return outcome;
  }

  #dispatch(call: Call): unknown {
    switch (call.method) {
      case 'state':
        return this.#state();
      case 'declareRegress':
        return this.#declareRegress(...call.args);
      case 'markReported':
        return this.#markReported(...call.args);
      case 'readMap':
        return this.#map;
      case 'mapStamp':
        return this.#mapStamp;
      case 'commitMap':
        return this.#commitMap(...call.args);
      case 'acquireLease':
        return this.#acquireLease(...call.args);
      case 'releaseLease':
        return this.#releaseLease(...call.args);
      case 'leases':
        return this.#listLeases();
      case 'readRecord':
        return this.#readRecord(...call.args);
      case 'casRecord':
        return this.#casRecord(...call.args);
      case 'changesSince':
        return this.#changesSince(...call.args);
      case 'readCredentials':
        return this.#credentials.read(...call.args);
      case 'offerCredentials':
        return this.#offerCredentials(...call.args);
    }
  }

  #life(): CoordinatorLife {
    const { incarnation, counter, complete } = this.#meta;
    return { incarnation, counter, complete, mapEpoch: this.#map?.epoch ?? 0 };
  }

  #state(): CoordinatorState {
    return { ...this.#life(), reported: this.#meta.complete ? [] : this.#meta.reported };
  }

  #declareRegress(seen: { incarnation: string; counter: number }): CoordinatorState {
    require(isCount(seen.counter), 'counter');
    const { incarnation, counter } = this.#meta;
    if (seen.incarnation === incarnation && seen.counter > counter) {
      // The counter goes above what was seen, so that no cursor of the lost life can look valid in the new one.
      this.#setMeta({ incarnation: this.#deps.randomId(), counter: seen.counter, complete: false, reported: [] });
    }
    return this.#state();
  }

  #markReported(node: string, incarnation: string): CoordinatorState {
    require(isNodeId(node), 'node id');
    if (incarnation === this.#meta.incarnation && !this.#meta.reported.includes(node)) {
      this.#setMeta({ reported: [...this.#meta.reported, node].sort() });
    }
    this.#decideComplete();
    return this.#state();
  }

  #decideComplete(): void {
    const { complete, reported } = this.#meta;
    if (!complete && this.#map?.nodes.every((node) => reported.includes(node.id))) this.#setMeta({ complete: true });
  }

  #commitMap(expectedEpoch: number, map: ClusterMap): CasResult<ClusterMap> {
    const text = serializeMap(map);
    if ((this.#map?.epoch ?? 0) !== expectedEpoch || map.epoch <= expectedEpoch) {
      return { ok: false, current: this.#map };
    }
    const committed = parseMap(text);
    const idsOf = ({ nodes }: ClusterMap) => new Set(nodes.map((node) => node.id));
    const former = idsOf(this.#map ?? committed);
    this.#useMap(committed);
    this.#changes.push({ key: 'map', value: text });
    this.#hints.push({ kind: 'map' });
    const members = idsOf(committed);
    // Whoever left the map owned nothing: another machine of its name begins anew. Its process may have spoken since, so who
    // joins begins anew too.
    for (const node of this.#disks.keys()) if (!members.has(node) || !former.has(node)) this.#forgetDisk(node);
    this.#decideComplete();
    return { ok: true, value: committed };
  }

  #useMap(map: ClusterMap): void {
    this.#map = map;
    this.#mapStamp = stampOf(map);
  }

  #acquireLease(
    node: string,
    instance: string,
    ttlMs: number,
    info: NodeInfo,
    disk: DiskChain | null = null,
  ): LeaseResult {
    require(isNodeId(node) && isName(instance) && isCount(ttlMs) && (disk === null || isDiskChain(disk)), 'lease');
    const now = this.#deps.monotonicMs();
    const held = this.#leases.get(node);
    const known = this.#disks.get(node);
    const refused = disk && known && !goesOn(known, disk, instance) ? known : null;
    if (refused && refused.id === disk?.id) return anotherDisk(refused);
    if (held && held.instance !== instance && held.expiresMs > now) {
      return { ok: false, holder: held.instance, remainingMs: held.expiresMs - now };
    }
    if (refused) return anotherDisk(refused);
    if (disk) {
      const stored: StoredDisk = { id: disk.id, mark: newestOf(disk), instance };
      this.#disks.set(node, stored);
      this.#put(`disk/${node}`, stored);
    }
    this.#leases.set(node, { instance, ttlMs, info, expiresMs: now + ttlMs });
    // Nothing of a renewal but the disk's mark must be known after a restart, which restarts the term anyway.
    if (held?.instance !== instance || held.ttlMs !== ttlMs) this.#put(`lease/${node}`, { instance, ttlMs, info });
    return { ok: true };
  }

  #releaseLease(node: string, instance: string): null {
    if (this.#leases.get(node)?.instance === instance) this.#dropLease(node);
    return null;
  }

  #forgetDisk(node: string): void {
    this.#disks.delete(node);
    this.#changes.push({ key: `disk/${node}`, value: null });
  }

  #listLeases(): readonly Lease[] {
    const now = this.#deps.monotonicMs();
    const leases: Lease[] = [];
    for (const [node, lease] of this.#leases) {
      const remainingMs = lease.expiresMs - now;
      if (remainingMs > 0) leases.push({ node, instance: lease.instance, remainingMs, info: lease.info });
      else this.#dropLease(node);
    }
    return leases.sort((a, b) => (a.node < b.node ? -1 : 1));
  }

  #dropLease(node: string): void {
    this.#leases.delete(node);
    this.#changes.push({ key: `lease/${node}`, value: null });
  }

  #readRecord(dataset: string): TaggedRecord | null {
    const stored = this.#records.get(dataset);
    return stored ? tagged(dataset, stored) : null;
  }

  #casRecord(dataset: string, expectedTag: string | null, next: OwnershipRecord): CasResult<TaggedRecord> {
    const text = serializeRecord(next);
    if (next.dataset !== dataset)
      throw new ZringError('COORDINATOR_CORRUPT', `record of ${dataset} names ${next.dataset}`);
    const current = this.#records.get(dataset);
    if ((current?.tag ?? null) !== expectedTag)
      return { ok: false, current: current ? tagged(dataset, current) : null };
    const counter = this.#meta.counter + 1;
    const stored = { text, tag: `${counter}-${this.#deps.randomId()}`, counter };
    this.#records.set(dataset, stored);
    this.#digest = mixTag(mixTag(this.#digest, expectedTag), stored.tag);
    this.#appendLog(counter, dataset);
    this.#put(`record/${dataset}`, stored);
    this.#setMeta({ counter });
    if (this.#meta.complete) this.#hints.push({ kind: 'record', dataset });
    return { ok: true, value: tagged(dataset, stored) };
  }

  #appendLog(counter: number, dataset: string): void {
    this.#log.push({ counter, dataset });
    if (this.#log.length > 2 * this.#records.size + 1000) this.#log = this.#log.filter((entry) => this.#isFresh(entry));
  }

  #isFresh(entry: { counter: number; dataset: string }): boolean {
    return this.#records.get(entry.dataset)?.counter === entry.counter;
  }

  #changesSince(cursor: number, limit: number): RecordPage {
    require(isCount(cursor) && isCount(limit) && limit > 0, 'page');
    const most = Math.min(limit, CHANGES_PAGE_MAX);
    const records: TaggedRecord[] = [];
    for (let i = firstAbove(this.#log, cursor); i < this.#log.length; i++) {
      const entry = this.#log[i];
      if (!entry || !this.#isFresh(entry)) continue;
      if (records.length >= most) return { ...this.#pageHead(), records, cursor: this.#counterOf(records) };
      records.push(tagged(entry.dataset, this.#records.get(entry.dataset) as StoredRecord));
    }
    return { ...this.#pageHead(), records, cursor: this.#meta.counter };
  }

  #pageHead(): Pick<RecordPage, 'state' | 'digest'> {
    return { state: this.#life(), digest: this.#digest };
  }

  #counterOf(records: readonly TaggedRecord[]): number {
    return this.#records.get(records.at(-1)?.record.dataset ?? '')?.counter ?? 0;
  }

  #offerCredentials(offers: readonly StoredCredential[]): readonly StoredCredential[] {
    require(isOffer(offers), 'credential');
    const { kept, changes } = this.#credentials.offer(offers, this.#deps.randomId());
    this.#changes.push(...changes);
    if (changes.length > 0) this.#hints.push({ kind: 'credentials' });
    return kept;
  }

  #setMeta(change: Partial<Meta>): void {
    this.#meta = { ...this.#meta, ...change };
    this.#put('meta', this.#meta);
  }

  #put(key: string, value: unknown): void {
    this.#changes.push({ key, value: JSON.stringify(value) });
  }
}

function anotherDisk({ id, mark }: StoredDisk): LeaseResult {
  return { ok: false, known: { id, mark } };
}

/** A mark that another process has said was said by a copy of this disk. */
function goesOn(known: StoredDisk, disk: DiskChain, instance: string): boolean {
  return goesOnFrom(known, disk) && (newestOf(disk) !== known.mark || instance === known.instance);
}

/** Marks were numbers before they had a random part. */
function parseDisk(text: string, key: string): StoredDisk {
  const { id, mark, instance } = parseStored(text, key) as Omit<StoredDisk, 'mark'> & { mark: string | number };
  return { id, mark: String(mark), instance };
}

/** What came over a socket is checked here, where it would do harm. */
function require(condition: boolean, what: string): void {
  if (!condition) throw new ZringError('COORDINATOR_CORRUPT', `not a ${what} that a coordinator can keep`);
}

function emptyMeta(): Meta {
  return { version: COORDINATOR_FORMAT_VERSION, incarnation: '', counter: 0, complete: false, reported: [] };
}

function tagged(dataset: string, stored: StoredRecord): TaggedRecord {
  return { record: parseRecord(stored.text, dataset), tag: stored.tag };
}

/** Index of the first entry with a counter above `cursor`. */
function firstAbove(log: readonly { readonly counter: number }[], cursor: number): number {
  let low = 0;
  let high = log.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((log[middle]?.counter ?? 0) > cursor) high = middle;
    else low = middle + 1;
  }
  return low;
}

function parseStored(text: string, key: string): unknown {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null) return value;
  } catch (cause) {
    throw new ZringError('COORDINATOR_CORRUPT', `coordinator entry ${key} is not JSON`, { cause, subject: key });
  }
  throw new ZringError('COORDINATOR_CORRUPT', `coordinator entry ${key} is not an object`, { subject: key });
}

export function newerFormat(version: number): ZringError {
  const message = `coordinator data is of version ${version}; this release reads up to ${COORDINATOR_FORMAT_VERSION}`;
  return new ZringError('VERSION_UNSUPPORTED', message, { details: { version, newest: COORDINATOR_FORMAT_VERSION } });
}

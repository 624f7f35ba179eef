// The coordinator of the scale simulation: the rules of src/cluster/coordinator-state.ts, with every call counted. It never
// is the bottleneck: each call takes the same short virtual time, so what is counted is what nodes would ask for.
//
// What is not as in production: a page of changes is assembled from an index beside the state machine, because parsing the
// same hundred thousand records anew for each of thousands of nodes takes hours. One in CHECK_EVERY pages is compared with
// the machine's own. A node that is not watched gets, of each page, only the records that concern it (`concerns`); the
// bytes are counted as of the whole page.
import assert from 'node:assert/strict';
import type { Coordinator, CoordinatorState, Hint, RecordPage } from '../../src/cluster/coordinator.ts';
import { type Call, type CallMethod, CHANGES_PAGE_MAX, coordinatorOver } from '../../src/cluster/coordinator-call.ts';
import { StateMachine } from '../../src/cluster/coordinator-state.ts';
import type { ClusterMap } from '../../src/cluster/map.ts';
import type { TaggedRecord } from '../../src/cluster/record.ts';
import { mixTag, NO_RECORDS, type RecordDigest } from '../../src/cluster/record-digest.ts';
import type { DurableMap } from '../../src/common/durable-map.ts';
import { ZringError } from '../../src/common/errors.ts';
import type { ScaleMeter } from './scale-meter.ts';
import type { VirtualTime } from './scale-time.ts';

export interface ScaleCoordinatorDeps {
  readonly time: VirtualTime;
  readonly meter: ScaleMeter;
  readonly roundTripMs: number;
  readonly newId: () => string;
  /** Nodes, by number, that keep this record whatever map is in use. */
  readonly concerns: (record: TaggedRecord['record']) => Iterable<number>;
}

interface LogEntry {
  readonly counter: number;
  readonly tagged: TaggedRecord;
  readonly bytes: number;
  stale: boolean;
}

interface Connection {
  readonly node: number;
  readonly hints: Set<(hint: Hint) => void>;
  readonly availability: Set<(available: boolean) => void>;
}

const CHECK_EVERY = 5_000;
const NOTHING: DurableMap = {
  get: () => undefined,
  entries: () => [],
  commit: async () => {},
  close: async () => {},
};

export class ScaleCoordinator {
  readonly #deps: ScaleCoordinatorDeps;
  readonly #connections = new Set<Connection>();
  /** Nodes that keep everything. */
  readonly #whole = new Set<number>();
  #machine: StateMachine;
  #available = true;
  #log: LogEntry[] = [];
  #latest = new Map<string, LogEntry>();
  /** By node: what concerns it, in the order of the log. */
  #inboxes = new Map<number, LogEntry[]>();
  #concerned = new Map<string, Set<number>>();
  /** Of what concerns each. */
  #digests = new Map<number, RecordDigest>();
  #pages = 0;
  readonly #mapBytes = new WeakMap<ClusterMap, number>();
  readonly #namesBytes = new WeakMap<object, number>();

  constructor(deps: ScaleCoordinatorDeps) {
    this.#deps = deps;
    this.#machine = this.#fresh();
  }

  #fresh(): StateMachine {
    return new StateMachine(NOTHING, { monotonicMs: () => this.#deps.time.nowMs, randomId: this.#deps.newId });
  }

  keepsEverything(node: number): void {
    this.#whole.add(node);
  }

  /** FLUSHALL. */
  flush(): void {
    this.#machine = this.#fresh();
    this.#log = [];
    this.#latest = new Map();
    this.#inboxes = new Map();
    this.#concerned = new Map();
    this.#digests = new Map();
  }

  /** Every connection is lost, or found again by each node within that time. */
  setAvailable(available: boolean, withinMs: number, fraction: () => number): void {
    this.#available = available;
    for (const connection of this.#connections) {
      this.#deps.time.after(withinMs * fraction(), () => {
        for (const listener of connection.availability) listener(available);
      });
    }
  }

  state(): CoordinatorState {
    return this.#machine.run({ method: 'state', args: [] }).value as CoordinatorState;
  }

  records(): TaggedRecord[] {
    return [...this.#latest.values()].map(({ tagged }) => tagged);
  }

  connect(node: number): Coordinator {
    const connection: Connection = { node, hints: new Set(), availability: new Set() };
    this.#connections.add(connection);
    return coordinatorOver({
      call: (method, ...args) => this.#call(connection, method, args) as never,
      onHint: (listener) => listen(connection.hints, listener),
      onAvailability: (listener) => listen(connection.availability, listener),
      close: async () => void this.#connections.delete(connection),
    });
  }

  async #call(connection: Connection, method: CallMethod, args: unknown): Promise<unknown> {
    const { time, roundTripMs } = this.#deps;
    if (!this.#available || !this.#connections.has(connection)) throw unavailable(method);
    await new Promise<void>((resolve) => void time.after(roundTripMs, resolve, connection.node));
    if (!this.#available) throw unavailable(method);
    return this.#run(connection.node, { method, args } as Call);
  }

  #run(node: number, call: Call): unknown {
    const { meter } = this.#deps;
    if (call.method === 'changesSince') return this.#page(node, ...call.args);
    const { value, hints } = this.#machine.run(call);
    meter.call(node, call.method, this.#bytesOf(call, value));
    if (call.method === 'casRecord') this.#note(call.args[0], value as { ok: boolean; value: TaggedRecord });
    for (const hint of hints) this.#tell(hint);
    return value;
  }

  // --- pages --------------------------------------------------------------------------------------------------------

  #note(dataset: string, result: { ok: boolean; value: TaggedRecord }): void {
    if (!result.ok) return;
    const before = this.#latest.get(dataset);
    if (before) before.stale = true;
    const tagged = result.value;
    const entry = { counter: this.state().counter, tagged, bytes: JSON.stringify(tagged).length + 1, stale: false };
    this.#latest.set(dataset, entry);
    this.#log.push(entry);
    const concerned = this.#concerned.get(dataset) ?? new Set();
    this.#concerned.set(dataset, concerned);
    for (const node of concerned) this.#mix(node, before?.tagged.tag ?? null);
    for (const node of this.#deps.concerns(tagged.record)) concerned.add(node);
    for (const node of concerned) {
      this.#mix(node, tagged.tag);
      const inbox = this.#inboxes.get(node);
      if (inbox) inbox.push(entry);
      else this.#inboxes.set(node, [entry]);
    }
  }

  #page(node: number, cursor: number, limit: number): RecordPage {
    const head = this.#head();
    const { state } = head;
    const digest = this.#whole.has(node) ? head.digest : (this.#digests.get(node) ?? NO_RECORDS);
    const most = Math.min(limit, CHANGES_PAGE_MAX);
    let bytes = JSON.stringify(state).length + 130;
    let count = 0;
    let last = 0;
    let isWhole = true;
    const whole: TaggedRecord[] | null = this.#whole.has(node) ? [] : null;
    for (let i = firstAbove(this.#log, cursor); i < this.#log.length; i++) {
      const entry = this.#log[i] as LogEntry;
      if (entry.stale) continue;
      if (count === most) {
        isWhole = false;
        break;
      }
      count++;
      bytes += entry.bytes;
      last = entry.counter;
      whole?.push(entry.tagged);
    }
    const end = isWhole ? state.counter : last;
    this.#deps.meter.call(node, 'changesSince', bytes);
    if (this.#pages++ % CHECK_EVERY === 0) this.#check(cursor, limit, { count, bytes, end });
    return { state, ...(digest && { digest }), records: whole ?? this.#concerning(node, cursor, end), cursor: end };
  }

  #mix(node: number, tag: string | null): void {
    this.#digests.set(node, mixTag(this.#digests.get(node) ?? NO_RECORDS, tag));
  }

  /** What every page begins with. */
  #head(): RecordPage {
    const { counter } = this.state();
    return this.#machine.run({ method: 'changesSince', args: [counter, 1] }).value as RecordPage;
  }

  #concerning(node: number, cursor: number, end: number): TaggedRecord[] {
    const inbox = this.#inboxes.get(node) ?? [];
    const records: TaggedRecord[] = [];
    for (let i = firstAbove(inbox, cursor); i < inbox.length; i++) {
      const entry = inbox[i] as LogEntry;
      if (entry.counter > end) break;
      if (!entry.stale) records.push(entry.tagged);
    }
    return records;
  }

  /** The index says what the state machine says. */
  #check(cursor: number, limit: number, ours: { count: number; bytes: number; end: number }): void {
    const theirs = this.#machine.run({ method: 'changesSince', args: [cursor, limit] }).value as RecordPage;
    assert.equal(ours.count, theirs.records.length);
    assert.equal(ours.end, theirs.cursor);
    const bytes = JSON.stringify(theirs).length;
    assert.ok(Math.abs(ours.bytes - bytes) < 100, `a page counted as ${ours.bytes} bytes has ${bytes}`);
  }

  // --- bytes and hints ----------------------------------------------------------------------------------------------

  #bytesOf(call: Call, value: unknown): number {
    const asked = JSON.stringify({ method: call.method, args: call.method === 'commitMap' ? [] : call.args }).length;
    switch (call.method) {
      case 'state':
      case 'markReported':
      case 'declareRegress':
        return asked + this.#stateBytes(value as CoordinatorState);
      case 'readMap':
        return asked + this.#sizeOfMap(value as ClusterMap | null);
      case 'commitMap':
        return asked + 2 * this.#sizeOfMap(call.args[1]);
      default:
        return asked + (JSON.stringify(value)?.length ?? 0);
    }
  }

  #stateBytes(state: CoordinatorState): number {
    const { reported, ...rest } = state;
    let names = this.#namesBytes.get(reported);
    if (names === undefined) {
      names = JSON.stringify(reported).length;
      this.#namesBytes.set(reported, names);
    }
    return JSON.stringify(rest).length + names + 12;
  }

  #sizeOfMap(map: ClusterMap | null): number {
    if (!map) return 4;
    const known = this.#mapBytes.get(map) ?? JSON.stringify(map).length;
    this.#mapBytes.set(map, known);
    return known;
  }

  #tell(hint: Hint): void {
    const bytes = hint.kind === 'record' ? 7 + hint.dataset.length : 3;
    this.#deps.meter.hint(this.#connections.size, bytes);
    this.#deps.time.after(this.#deps.roundTripMs / 2, () => {
      if (!this.#available) return;
      for (const { hints } of this.#connections) for (const listener of hints) listener(hint);
    });
  }
}

function listen<T>(listeners: Set<(value: T) => void>, listener: (value: T) => void): () => void {
  listeners.add(listener);
  return () => void listeners.delete(listener);
}

function unavailable(method: string): ZringError {
  return new ZringError('COORDINATOR_UNAVAILABLE', `${method}: the coordinator is not reached`);
}

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

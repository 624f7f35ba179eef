// A small world for the ownership machine: nodes with disks, a coordinator that loses replies, delays calls and forgets,
// peers that are not reached. It interprets the machine's effects on sets of write ids and checks the invariants I1-I4 at
// every opening and every commit. Everything random comes from the seed; nothing here waits.
import assert from 'node:assert/strict';
import type { CoordinatorState } from '../../../src/cluster/coordinator.ts';
import type { OwnershipRecord, TaggedRecord } from '../../../src/cluster/record.ts';
import { compareTerms, formatTerm, type Term } from '../../../src/common/term.ts';
import {
  applyPage,
  type Catalog,
  EMPTY_CATALOG,
  enterIncarnation,
  judgeContinuity,
  learnAll,
  markReported,
  presence,
  unpublishedTombstones,
} from '../../../src/ownership/catalog.ts';
import { gateOf, mayCommit } from '../../../src/ownership/gate-state.ts';
import { planPublication } from '../../../src/ownership/publication.ts';
import { isStillToCommit } from '../../../src/ownership/report.ts';
import type { Copy, CopyState, Effect, Event, Fence } from '../../../src/ownership/state.ts';
import { recover, step } from '../../../src/ownership/transitions.ts';
import { checkStep } from './conditions.ts';

export const DATASET = 'photos';

const DISK_WORK: readonly Effect['do'][] = [
  'persist',
  'reload',
  'create-copy',
  'open-store',
  'close-store',
  'probe-empty',
  'seal',
  'fence',
  'move-away',
  'remember',
  'pull',
  'pull-final',
];

interface Disk {
  copy: Copy | null;
  content: ReadonlySet<number>;
  /** guid → content. */
  snapshots: Map<string, { id: string; content: ReadonlySet<number> }>;
  fences: Record<string, Fence>;
  catalog: Catalog;
  /** Set aside by rename; never destroyed. */
  aside: { id: string; how: string; content: ReadonlySet<number> }[];
}

interface Node {
  id: string;
  up: boolean;
  life: number;
  disk: Disk;
  state: CopyState;
  /** Effects not yet carried out. */
  todo: Effect[];
  /** Pulls that were given up; what they have done until somebody looked is done. */
  cancelled: Set<number>;
  /** Writes inside the gate. */
  writes: { id: number; term: Term; dataset: string }[];
}

/** A compare-and-set on the wire; its caller may be gone by the time it arrives. */
interface Call {
  node: string;
  life: number;
  effect: Effect & { do: 'cas' | 'publish' };
  /** The caller has already been told that the outcome is unknown. */
  orphan: boolean;
}

interface Request {
  node: string;
  life: number;
  kind: 'drain' | 'refuse' | 'create' | 'remove';
}

export interface Taken {
  readonly before: CopyState;
  readonly event: Event;
  readonly after: CopyState;
  readonly effects: readonly Effect[];
}

export class World {
  /** Sees every step, after its conditions were checked. */
  onStep: ((taken: Taken) => void) | null = null;
  readonly nodes: Node[];
  readonly trace: string[] = [];
  coordinator = {
    incarnation: 'i0',
    counter: 0,
    records: new Map<string, { tagged: TaggedRecord; counter: number }>(),
    complete: true,
    reported: new Set<string>(),
    up: true,
  };
  calls: Call[] = [];
  requests = new Map<string, Request>();
  now = 1_000_000;
  /** By dataset id. */
  acked = new Map<string, Set<number>>();
  opened = new Map<string, Term>();
  createdIds = new Set<string>();
  removedIds = new Set<string>();
  home: string;
  epoch = 1;
  #serial = 0;
  readonly random: () => number;
  dumps: (typeof this.coordinator.records)[] = [];
  readonly stats: Record<string, number> = {};

  constructor(count: number, random: () => number) {
    this.random = random;
    const names = ['a', 'b', 'c'].slice(0, count);
    this.home = 'a';
    this.nodes = names.map((id) => {
      const disk: Disk = {
        copy: null,
        content: new Set(),
        snapshots: new Map(),
        fences: {},
        catalog: { ...EMPTY_CATALOG, incarnation: 'i0', complete: true, reported: true },
        aside: [],
      };
      return {
        id,
        up: true,
        life: 1,
        disk,
        state: this.#recover(id, disk),
        todo: [],
        cancelled: new Set(),
        writes: [],
      };
    });
    for (const name of names) this.coordinator.reported.add(name);
  }

  serial(): number {
    return ++this.#serial;
  }

  node(id: string): Node {
    const node = this.nodes.find((candidate) => candidate.id === id);
    assert(node, id);
    return node;
  }

  count(what: string): void {
    this.stats[what] = (this.stats[what] ?? 0) + 1;
  }

  #recover(id: string, disk: Disk): CopyState {
    const entry = disk.catalog.entries.get(DATASET);
    return recover(
      id,
      DATASET,
      disk.copy,
      { ...disk.fences },
      {
        record: entry?.record ?? null,
        tag: entry?.tag ?? null,
        behind: entry?.behind ?? false,
        buried: disk.copy !== null && disk.catalog.tombstones.has(disk.copy.id),
      },
    );
  }

  dispatch(node: Node, event: Event): undefined {
    if (!node.up) return;
    const buried = node.state.copy !== null && node.disk.catalog.tombstones.has(node.state.copy.id);
    const before = { ...node.state, buried };
    const { state, effects } = step(before, event, this.now);
    checkStep(before, event, state, effects);
    this.onStep?.({ before, event, after: state, effects });
    this.trace.push(
      `${node.id} ${event.on} ${brief(event)} -> ${state.phase.at} ${state.copy?.role ?? '-'} [${effects.map((e) => e.do).join(' ')}]`,
    );
    node.state = state;
    for (const effect of effects) {
      if (effect.do === 'answer') this.#answer(effect);
      else if (effect.do === 'cas' || effect.do === 'publish')
        this.calls.push({ node: node.id, life: node.life, effect, orphan: false });
      else if (effect.do === 'cancel-pull') node.cancelled.add(effect.run);
      else if (effect.do !== 'note') node.todo.push(effect);
    }
    this.check();
  }

  /** Work on the disk runs one at a time, in the order in which it was asked for; everything else as it comes. */
  runnable(node: Node): Effect[] {
    const first = node.todo.find((effect) => DISK_WORK.includes(effect.do));
    return node.todo.filter((effect) => effect === first || !DISK_WORK.includes(effect.do));
  }

  // --- invariants -------------------------------------------------------------------------------------------------

  check(): void {
    for (const id of this.createdIds) {
      const writable = this.nodes.filter(
        (node) =>
          node.up && node.state.copy?.id === id && node.state.openTerm && mayCommit(node.state, node.state.openTerm),
      );
      assert(writable.length <= 1, `I1: ${id} is writable on ${writable.map((node) => node.id)}`);
    }
  }

  checkOpening(node: Node, id: string, term: Term): void {
    const highest = this.opened.get(id);
    assert(
      !highest || compareTerms(term, highest) > 0,
      `I4: ${id} opened at ${formatTerm(term)} after ${highest && formatTerm(highest)}`,
    );
    this.opened.set(id, term);
    for (const write of this.acked.get(id) ?? [])
      assert(node.disk.content.has(write), `I2: acknowledged write ${write} of ${id} is not on ${node.id}`);
    assert(!this.removedIds.has(id), `removed dataset ${id} opened again`);
    const { copy, record } = node.state;
    for (const one of [copy, record?.id === id ? record : null]) {
      assert(!one || one.creator === `maker-of-${id}`, `${id} was made by ${one?.creator}`);
    }
    this.count('openings');
  }

  // --- effects ----------------------------------------------------------------------------------------------------

  /** Carries out one effect of the node; `fail` lets it end badly where it can. */
  run(node: Node, effect: Effect, fail: boolean): undefined {
    node.todo = node.todo.filter((candidate) => candidate !== effect);
    const failure = { code: 'STORAGE_UNAVAILABLE', message: 'injected' } as const;
    const unreached = { code: 'NODE_UNREACHABLE', message: 'injected' } as const;
    const { disk } = node;
    switch (effect.do) {
      case 'persist': {
        // A failed write may have reached the disk.
        if (!fail || this.random() < 0.5) disk.copy = stamp(effect.copy);
        return this.dispatch(
          node,
          fail ? { on: 'persist-failed', failure } : { on: 'persisted', copy: stamp(effect.copy) },
        );
      }
      case 'reload':
        return this.dispatch(node, fail ? { on: 'reload-failed', failure } : { on: 'reloaded', copy: disk.copy });
      case 'store-fence': {
        if (!fail || this.random() < 0.5) disk.fences[effect.id] = effect.fence;
        const { id, fence, request, tell } = effect;
        return this.dispatch(
          node,
          fail ? { on: 'fence-failed', failure, request } : { on: 'fence-stored', id, fence, request, tell },
        );
      }
      case 'create-copy':
        if (fail) return this.dispatch(node, { on: 'copy-create-failed', failure });
        assert.equal(disk.copy, null);
        disk.copy = effect.copy;
        disk.content = new Set();
        disk.snapshots = new Map();
        this.createdIds.add(effect.copy.id);
        return this.dispatch(node, { on: 'copy-created', copy: effect.copy });
      case 'open-store':
        if (fail) return this.dispatch(node, { on: 'store-failed', failure });
        this.checkOpening(node, effect.id, effect.term);
        return this.dispatch(node, { on: 'store-opened', term: effect.term });
      case 'close-store':
        this.finishWrites(node);
        return this.dispatch(node, { on: 'store-closed' });
      case 'fence':
        node.writes = [];
        return this.dispatch(node, { on: 'store-closed' });
      case 'probe-empty':
        this.finishWrites(node);
        return this.dispatch(node, { on: 'emptiness', empty: !fail, failure: null });
      case 'seal': {
        if (fail)
          return this.dispatch(node, {
            on: 'seal-failed',
            failure: { code: 'DATASET_BUSY', message: 'injected' },
            storeOpen: node.state.openTerm !== null && this.random() < 0.5,
          });
        this.finishWrites(node);
        const guid = `g${this.serial()}`;
        disk.snapshots.set(guid, { id: effect.id, content: new Set(disk.content) });
        return this.dispatch(node, { on: 'sealed', snapshot: guid, guid });
      }
      case 'move-away':
        if (fail) return this.dispatch(node, { on: 'move-failed', failure });
        assert(disk.copy);
        if (effect.how === 'deleted') this.checkDestroy(node, disk.copy);
        disk.aside.push({ id: disk.copy.id, how: effect.how, content: disk.content });
        disk.copy = null;
        disk.content = new Set();
        disk.snapshots = new Map();
        return this.dispatch(node, { on: 'moved-away' });
      case 'read-record': {
        if (fail || !this.coordinator.up)
          return this.dispatch(node, {
            on: 'coordinator-failed',
            failure: { code: 'COORDINATOR_UNAVAILABLE', message: 'injected' },
          });
        const { incarnation, complete } = this.coordinator;
        return this.dispatch(node, {
          on: 'record-read',
          tagged: this.coordinator.records.get(DATASET)?.tagged ?? null,
          ground: `${incarnation} ${this.epoch}`,
          complete,
        });
      }
      case 'remember': {
        const tag = node.state.tag;
        if (tag && effect.record.term.n > 0)
          disk.catalog = learnAll(disk.catalog, [{ record: effect.record, tag }]).catalog;
        disk.catalog = { ...disk.catalog, tombstones: new Set([...disk.catalog.tombstones, effect.record.id]) };
        return this.dispatch(node, { on: 'remembered' });
      }
      case 'pull':
      case 'pull-final':
        return this.#pull(node, effect, fail);
      case 'ask-drain':
      case 'ask-refuse': {
        const target = this.node(effect.to);
        const kind = effect.do === 'ask-drain' ? ('drain' as const) : ('refuse' as const);
        if (!target.up || fail)
          return this.dispatch(
            node,
            kind === 'drain'
              ? { on: 'drain-refused', failure: unreached }
              : { on: 'refuse-failed', failure: unreached },
          );
        const request = `r${this.serial()}`;
        this.requests.set(request, { node: node.id, life: node.life, kind });
        return this.dispatch(
          target,
          effect.do === 'ask-drain'
            ? { on: 'drain', request, from: node.id, id: effect.id }
            : { on: 'refuse-asked', request, from: node.id, id: effect.id, n: effect.n },
        );
      }
      case 'tell': {
        const target = this.node(effect.to);
        if (!target.up || fail) return;
        return this.dispatch(
          target,
          effect.what === 'released'
            ? { on: 'told-released', from: node.id, id: effect.id, n: effect.n }
            : { on: 'told-refused', from: node.id, id: effect.id, n: effect.n },
        );
      }
      default:
        assert.fail(`effect ${effect.do}`);
    }
  }

  #pull(node: Node, effect: Effect & { do: 'pull' | 'pull-final' }, fail: boolean): undefined {
    const { disk } = node;
    const from = this.node(effect.do === 'pull' ? effect.source : effect.source.node);
    const done = (failure: string | null): undefined => {
      if (failure)
        this.dispatch(node, {
          on: 'pull-failed',
          run: effect.run,
          copy: disk.copy,
          failure: { code: 'NODE_UNREACHABLE', message: failure },
        });
      else this.dispatch(node, { on: 'pulled', run: effect.run, copy: disk.copy });
    };
    const theirs = from.disk.copy;
    if (fail || !from.up || theirs?.id !== effect.id) return done('not reached');
    if (node.cancelled.has(effect.run) && this.random() < 0.5) return done('cancelled');
    const wanted =
      effect.do === 'pull'
        ? { id: theirs.id, content: from.disk.content }
        : from.disk.snapshots.get(effect.source.guid);
    if (!wanted || wanted.id !== effect.id) return done('no such snapshot');
    if (disk.copy && (disk.copy.id !== effect.id || this.random() < 0.1)) {
      assert(disk.copy.role === 'receiving' || disk.copy.role === 'prior', `pull onto ${disk.copy.role}`);
      disk.aside.push({ id: disk.copy.id, how: 'deposed', content: disk.content });
      disk.copy = null;
    }
    disk.copy ??= {
      id: effect.id,
      role: 'receiving',
      term: theirs.term,
      createdMs: theirs.createdMs,
      creator: theirs.creator,
      promise: null,
      source: null,
      deleting: false,
      priorSinceMs: null,
    };
    disk.content = new Set(wanted.content);
    this.count(effect.do);
    done(null);
  }

  /** Nothing that may be the only copy is destroyed. */
  checkDestroy(node: Node, copy: Copy): void {
    const acked = this.acked.get(copy.id);
    if (!acked?.size || this.removedIds.has(copy.id)) return;
    const others = this.nodes.some(
      (other) =>
        other !== node && other.disk.copy?.id === copy.id && [...acked].every((write) => other.disk.content.has(write)),
    );
    assert(others, `the last copy of ${copy.id} destroyed on ${node.id}`);
  }

  // --- coordinator ------------------------------------------------------------------------------------------------

  arrive(call: Call, reply: 'ok' | 'lost' | 'refused'): undefined {
    this.calls = this.calls.filter((candidate) => candidate !== call);
    const caller = this.node(call.node);
    const alive = caller.up && caller.life === call.life && !call.orphan;
    const respond = (event: Event): undefined => {
      if (alive) this.dispatch(caller, event);
    };
    const publish = call.effect.do === 'publish';
    if (reply === 'refused' || (!this.coordinator.up && !call.orphan)) {
      return respond(
        publish
          ? { on: 'published', result: null }
          : { on: 'coordinator-failed', failure: { code: 'COORDINATOR_UNAVAILABLE', message: 'injected' } },
      );
    }
    if (reply === 'lost') {
      // Told *unknown* now; the call itself may still arrive.
      if (this.random() < 0.6) this.calls.push({ ...call, orphan: true });
      return respond(
        publish
          ? { on: 'published', result: null }
          : { on: 'coordinator-failed', failure: { code: 'COORDINATOR_OUTCOME_UNKNOWN', message: 'injected' } },
      );
    }
    const current = this.coordinator.records.get(DATASET)?.tagged ?? null;
    if ((current?.tag ?? null) !== call.effect.tag) {
      return respond(
        publish
          ? { on: 'published', result: { ok: false, current } }
          : { on: 'cas-done', result: { ok: false, current } },
      );
    }
    const tagged = { record: call.effect.next, tag: `t${this.serial()}` };
    this.coordinator.counter++;
    this.coordinator.records.set(DATASET, { tagged, counter: this.coordinator.counter });
    if (tagged.record.phase === 'deleted' && tagged.record.term.n > 0) this.removedIds.add(tagged.record.id);
    this.trace.push(
      `coordinator: ${tagged.record.id} ${tagged.record.owner} ${formatTerm(tagged.record.term)} ${tagged.record.phase} ${tagged.record.target}`,
    );
    if (alive) caller.disk.catalog = learnAll(caller.disk.catalog, [tagged]).catalog;
    respond(
      publish
        ? { on: 'published', result: { ok: true, value: tagged } }
        : { on: 'cas-done', result: { ok: true, value: tagged } },
    );
  }

  stateNow(): CoordinatorState {
    const { incarnation, counter, complete, reported } = this.coordinator;
    return { incarnation, counter, complete, reported: [...reported], mapEpoch: 1 };
  }

  newIncarnation(): void {
    this.coordinator.incarnation = `i${this.serial()}`;
    this.coordinator.complete = false;
    this.coordinator.reported = new Set();
  }

  flush(): void {
    this.trace.push('coordinator: FLUSH');
    this.coordinator.records = new Map();
    this.coordinator.counter = 0;
    this.newIncarnation();
    this.count('flushes');
  }

  restore(): void {
    const dump = this.dumps[Math.floor(this.random() * this.dumps.length)];
    if (!dump) return;
    this.trace.push('coordinator: RESTORE');
    this.coordinator.records = new Map(dump);
    this.newIncarnation();
    this.count('restores');
  }

  /** One round of catalog synchronisation and reporting, as catalog-keeper does it. */
  sync(node: Node): void {
    if (!this.coordinator.up || !node.up) return;
    const { disk } = node;
    const state = this.stateNow();
    if (judgeContinuity(disk.catalog, state).kind !== 'same')
      disk.catalog = enterIncarnation(disk.catalog, state.incarnation);
    const records = [...this.coordinator.records.values()]
      .filter((entry) => entry.counter > disk.catalog.cursor)
      .map((entry) => entry.tagged);
    disk.catalog = applyPage(disk.catalog, { state, records, cursor: state.counter }).catalog;
    for (const { record, tag } of unpublishedTombstones(disk.catalog)) {
      if ((this.coordinator.records.get(DATASET)?.tagged.tag ?? null) !== tag) continue;
      const tagged = { record, tag: `t${this.serial()}` };
      this.coordinator.counter++;
      this.coordinator.records.set(DATASET, { tagged, counter: this.coordinator.counter });
      disk.catalog = learnAll(disk.catalog, [tagged]).catalog;
    }
    const entry = disk.catalog.entries.get(DATASET);
    this.dispatch(node, {
      on: 'record',
      record: entry?.record ?? null,
      tag: entry?.tag ?? null,
      behind: entry?.behind ?? false,
      buried: false,
    });
    if (!disk.catalog.reported) this.#report(node);
    this.checkAbsence(node);
  }

  /** I3: with all that it has just read, the home does not deny what clients have written. */
  checkAbsence(node: Node): void {
    if (node.id !== this.home || presence(node.disk.catalog, DATASET, true) !== 'absent') return;
    this.count('absences');
    for (const [id, writes] of this.acked)
      assert(writes.size === 0 || this.removedIds.has(id), `I3: ${node.id} denies that ${id} exists`);
  }

  /** Another node is the home: a new map. */
  rehome(id: string): void {
    if (id === this.home) return;
    this.home = id;
    this.epoch++;
  }

  #report(node: Node): undefined {
    const { copy } = node.state;
    const current = this.coordinator.records.get(DATASET)?.tagged ?? null;
    if (copy?.role === 'prepared' && isStillToCommit(copy, current?.record ?? null))
      return this.dispatch(node, { on: 'tick' });
    if (copy?.role === 'owner') {
      const plan = planPublication(
        node.id,
        DATASET,
        copy,
        node.disk.catalog.tombstones.has(copy.id),
        current?.record ?? null,
      );
      if (plan.kind === 'put') return this.dispatch(node, { on: 'tick' });
    }
    this.coordinator.reported.add(node.id);
    node.disk.catalog = markReported(node.disk.catalog, this.stateNow());
    if (this.nodes.every((other) => this.coordinator.reported.has(other.id))) this.coordinator.complete = true;
  }

  // --- clients and operators --------------------------------------------------------------------------------------

  beginWrite(node: Node): void {
    if (!node.up) return;
    const gate = gateOf(node.state);
    if (gate.kind === 'wait' && gate.open) this.dispatch(node, { on: 'open' });
    else if (gate.kind === 'open' && node.state.copy)
      node.writes.push({ id: this.serial(), term: gate.term, dataset: node.state.copy.id });
  }

  /** Commits what is inside; the guard decides. */
  finishWrites(node: Node): void {
    for (const write of node.writes) {
      if (!mayCommit(node.state, write.term) || node.state.copy?.id !== write.dataset) continue;
      const highest = this.opened.get(write.dataset);
      assert(
        highest && compareTerms(highest, write.term) === 0,
        `I1: write under ${formatTerm(write.term)}, active is ${highest && formatTerm(highest)}`,
      );
      assert(!this.removedIds.has(write.dataset), `write acknowledged on removed dataset ${write.dataset}`);
      node.disk.content = new Set([...node.disk.content, write.id]);
      const acked = this.acked.get(write.dataset) ?? new Set();
      this.acked.set(write.dataset, acked.add(write.id));
      this.count('writes');
    }
    node.writes = [];
  }

  create(node = this.node(this.home), origin?: string): void {
    if (!node.up) return;
    const request = `r${this.serial()}`;
    this.requests.set(request, { node: node.id, life: node.life, kind: 'create' });
    const id = `id${this.serial()}`;
    this.dispatch(node, {
      on: 'create',
      request,
      id,
      createdMs: this.now,
      creator: `maker-of-${id}`,
      ...(origin && { origin }),
    });
  }

  clone(node: Node | undefined): void {
    if (node) this.create(node, 'source@then');
  }

  remove(node: Node): void {
    if (!node.up || !node.state.copy || this.acked.get(node.state.copy.id)?.size) return;
    const request = `r${this.serial()}`;
    this.requests.set(request, { node: node.id, life: node.life, kind: 'remove' });
    this.dispatch(node, { on: 'remove', request });
  }

  crash(node: Node): void {
    this.trace.push(`${node.id} CRASH`);
    node.up = false;
    node.life++;
    node.todo = [];
    node.cancelled = new Set();
    node.writes = [];
    for (const call of this.calls) if (call.node === node.id) call.orphan = true;
    this.count('crashes');
  }

  restart(node: Node): void {
    this.trace.push(`${node.id} RESTART`);
    node.up = true;
    node.state = this.#recover(node.id, node.disk);
    this.dispatch(node, { on: 'tick' });
  }

  #answer(effect: Effect & { do: 'answer' }): void {
    const request = this.requests.get(effect.request);
    this.requests.delete(effect.request);
    if (!request) return;
    const caller = this.node(request.node);
    const { answer } = effect;
    this.count(`${request.kind}-${answer.ok ? 'ok' : answer.failure.code}`);
    if (!caller.up || caller.life !== request.life) return;
    if (request.kind === 'drain') {
      const lost = this.random() < 0.15;
      if (answer.ok && !lost) caller.todo.push({ do: 'answer', request: 'drain', answer });
      else
        this.dispatch(caller, {
          on: 'drain-refused',
          failure: lost || answer.ok ? { code: 'NODE_UNREACHABLE', message: 'lost' } : answer.failure,
        });
    }
    if (request.kind === 'refuse') {
      const lost = this.random() < 0.15;
      if (answer.ok && !lost) this.dispatch(caller, { on: 'refuse-answered', verdict: answer.value as 'refused' });
      else this.dispatch(caller, { on: 'refuse-failed', failure: { code: 'NODE_UNREACHABLE', message: 'lost' } });
    }
  }

  /** A drain answer travels back as its own step. */
  deliver(node: Node, effect: Effect & { do: 'answer' }): void {
    node.todo = node.todo.filter((candidate) => candidate !== effect);
    if (effect.answer.ok) this.dispatch(node, { on: 'drain-answered', promise: effect.answer.value as never });
  }

  /** Requests whose receiver died never get an answer: the caller's transport gives up. */
  expireRequests(): void {
    for (const [id, request] of this.requests) {
      this.requests.delete(id);
      const caller = this.node(request.node);
      if (!caller.up || caller.life !== request.life) continue;
      const failure = { code: 'NODE_UNREACHABLE', message: 'timed out' } as const;
      if (request.kind === 'drain') this.dispatch(caller, { on: 'drain-refused', failure });
      if (request.kind === 'refuse') this.dispatch(caller, { on: 'refuse-failed', failure });
    }
  }
}

function stamp(copy: Copy): Copy {
  return copy.role === 'prior' && copy.priorSinceMs === 0 ? { ...copy, priorSinceMs: 1 } : copy;
}

function brief(event: Event): string {
  if (event.on === 'record')
    return event.record
      ? `${event.record.id} ${event.record.owner} ${formatTerm(event.record.term)} ${event.record.phase} ${event.tag}`
      : 'none';
  if (event.on === 'refuse-answered') return event.verdict;
  if (event.on === 'cas-done') return String(event.result.ok);
  if (event.on === 'fence-stored') return `${event.fence.n} ${event.fence.verdict}`;
  return '';
}

export type { OwnershipRecord };

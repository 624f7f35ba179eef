// Runs the ownership machine of one dataset on this node: feeds it events, carries out its effects, wakes who waits.
// Owns the state, the gate, the open store and the queue of work on the disk. It decides nothing: transitions.ts does.
//
// Work on the dataset runs one at a time (`disk`); talking to coordinator and peers runs beside it. Each effect that the
// machine waits for ends in exactly one completion event, whatever happens.
import type { CasResult, Coordinator } from '../cluster/coordinator.ts';
import type { OwnershipRecord, TaggedRecord } from '../cluster/record.ts';
import { type Clock, pause, type Timers } from '../common/clock.ts';
import { ZringError } from '../common/errors.ts';
import type { PeerTransport } from '../common/peer.ts';
import type { DatasetDriver } from '../dataset/driver.ts';
import type { OpenStoreOptions, Store } from '../store/types.ts';
import type { Logger } from '../telemetry/log.ts';
import type { NewContent } from './access.ts';
import type { CatalogKeeper } from './catalog-keeper.ts';
import { parseCopy } from './copy-properties.ts';
import type { DatasetStorage } from './dataset-storage.ts';
import { runDiskEffect } from './disk-effects.ts';
import type { FenceBook } from './fence-book.ts';
import { Gate } from './gate.ts';
import { type Gate as GateVerdict, gateOf, mayCommit } from './gate-state.ts';
import type { OwnershipLimits } from './limits.ts';
import { Fields, failureOf, METHODS, readPromise } from './peer-messages.ts';
import type { Puller } from './pull.ts';
import { Lent } from './replicas/lent.ts';
import type { SharedMark } from './replicas/shared-snapshots.ts';
import type { SnapshotShelf } from './snapshot-shelf.ts';
import type { Answer, Copy, CopyState, Effect, Event, StepObserver } from './state.ts';
import { StorePlace } from './store-place.ts';
import { recover, step } from './transitions.ts';
import { Watchers } from './watchers.ts';
import { FROM_OUTSIDE, STILL_DONE } from './withheld.ts';

/** How stores are made and opened; the real one is src/store/store.ts. */
export interface StoreFactory {
  create(folder: string, options: { id: string; nowMs?: number }): Promise<void>;
  open(folder: string, options: OpenStoreOptions): Promise<Store>;
  relabel(folder: string, options: { from: string; id: string; nowMs?: number }): Promise<void>;
}

export interface RunnerDeps {
  readonly self: string;
  readonly cluster: string;
  readonly driver: DatasetDriver;
  readonly stores: StoreFactory;
  readonly coordinator: Coordinator;
  readonly peers: PeerTransport;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly logger: Logger;
  readonly limits: OwnershipLimits;
  readonly priorCopyMs: () => number;
  readonly catalog: CatalogKeeper;
  readonly fences: FenceBook;
  readonly puller: Puller;
  readonly shelf: SnapshotShelf;
  /** Short, unique in this process's life: names of snapshots and set-aside datasets. */
  readonly salt: () => string;
  /** This process may acknowledge at all for such an in-sync set (lease). */
  readonly mayServe: (inSync: readonly string[]) => boolean;
  /** Why nothing that stands on this node's disk may be relied on; null = nothing speaks against it. */
  readonly withheld: () => ZringError | null;
  /** What was said durably is safe from a disk that goes back: to be awaited before another node hears of it. */
  readonly confirm: () => Promise<void>;
  readonly isMember: (node: string) => boolean;
  readonly onFenced: () => void;
  readonly onChange: (runner: DatasetRunner, before: CopyState) => void;
  readonly onLeftover: (name: string) => void;
  readonly onDamage: (dataset: string, blob: string, reason: ZringError) => void;
  readonly onStep?: StepObserver | undefined;
}

export class DatasetRunner {
  readonly dataset: string;
  readonly gate: Gate;
  readonly deps: RunnerDeps;
  #state: CopyState;
  #store: Store | null = null;
  /** Refuses every commit from now on: the store is being taken away with requests inside. */
  #fenced = false;
  #disk: Promise<void> = Promise.resolve();
  #requests = new Map<string, (answer: Answer) => void>();
  #contents = new Map<string, NewContent>();
  #pull: { run: number; controller: AbortController } | null = null;
  readonly #watchers: Watchers;
  #inFlight = 0;
  #closedAt: number | null = null;
  #stopped = false;
  lastUsedMs = 0;
  /** An operator is accepting this copy: its steps are carried out although the disk is withheld. */
  accepting = false;
  /** Of the open store. */
  storage: DatasetStorage | null = null;
  /** What replicas have, as long as nothing is written. */
  shared: SharedMark | null = null;
  /** What other nodes go on from. */
  readonly lent: Lent;
  readonly place: StorePlace;

  constructor(deps: RunnerDeps, dataset: string, copy: Copy | null) {
    this.deps = deps;
    this.dataset = dataset;
    this.gate = new Gate(deps.clock, deps.timers);
    this.#watchers = new Watchers(deps.timers);
    this.place = new StorePlace(deps.clock);
    this.lent = new Lent(deps.clock, deps.priorCopyMs);
    const entry = deps.catalog.entry(dataset);
    this.#state = recover(deps.self, dataset, copy, deps.fences.of([copy?.id, entry?.record.id]), {
      record: entry?.record ?? null,
      tag: entry?.tag ?? null,
      behind: entry?.behind ?? false,
      buried: copy !== null && deps.catalog.isBuried(copy.id),
    });
  }

  get state(): CopyState {
    return this.#state;
  }

  get store(): Store | null {
    return this.#store;
  }

  set store(store: Store | null) {
    // With somebody still inside, what is committed until the end is not known.
    if (this.#store && !store) this.#closedAt = this.gate.inside > 0 ? Number.NaN : sequenceOf(this.#store);
    this.#store = store;
    if (store) this.#fenced = false;
  }

  /** Of the last commit, while open or when last closed here; null = never open here; NaN = not known. */
  get sequence(): number | null {
    return this.#store ? sequenceOf(this.#store) : this.#closedAt;
  }

  get verdict(): GateVerdict {
    return gateOf(this.#state);
  }

  /** Effects are under way. */
  get busy(): boolean {
    return this.#inFlight > 0;
  }

  get ended(): boolean {
    return this.#stopped;
  }

  get pulling(): boolean {
    return this.#pull !== null;
  }

  /** The store's guard: right before each commit. */
  readonly guard = (): void => {
    const term = this.#state.openTerm ?? this.#store?.term ?? null;
    const serving = !this.#fenced && term !== null && mayCommit(this.#state, term);
    if (serving && this.deps.mayServe([this.deps.self])) return;
    this.deps.onFenced();
    throw new ZringError('DATASET_UNAVAILABLE', `${this.dataset} is not owned here any more`, {
      subject: this.dataset,
    });
  };

  fence(): void {
    this.#fenced = true;
  }

  unfence(): void {
    this.#fenced = false;
  }

  /** The process is going down hard (tests) or for good: nothing more is dispatched. */
  kill(): void {
    this.#stopped = true;
    this.#pull?.controller.abort();
    const failure = { code: 'SHUTTING_DOWN', message: 'this node is stopping' } as const;
    for (const settle of this.#requests.values()) settle({ ok: false, failure });
    this.#requests.clear();
    this.#watchers.wake();
  }

  /** For whoever makes another from the same disk. */
  async end(): Promise<void> {
    this.kill();
    await this.letGo();
    this.#store = null;
  }

  /** After `kill`: closes the files, as the end of a process would. */
  async letGo(): Promise<void> {
    this.#fenced = true;
    await this.#disk;
    await this.#store?.close().catch(() => {});
  }

  dispatch(event: Event): void {
    if (this.#stopped) return;
    const withheld = this.#withheld();
    if (withheld && FROM_OUTSIDE.has(event.on)) {
      this.#turnAway(event, withheld);
      return;
    }
    const before = this.#state;
    const from = this.#refresh(before, 'id' in event ? event.id : null);
    const { state, effects } = step(from, event, this.deps.clock.monotonicMs(), this.deps.limits.machine);
    this.deps.onStep?.(from, event, state, effects);
    this.#state = this.#settled(before, state);
    for (const effect of effects) this.#start(effect);
    if (state === before && effects.length === 0) return;
    this.#watchers.wake();
    this.deps.onChange(this, before);
  }

  #withheld(): ZringError | null {
    return this.accepting ? null : this.deps.withheld();
  }

  #turnAway(event: Event, withheld: ZringError): void {
    if (!('request' in event) || event.request === null) return;
    this.#start({ do: 'answer', request: event.request, answer: { ok: false, failure: failureOf(withheld) } });
  }

  /** Facts that live elsewhere on this node, as of now. */
  #refresh(state: CopyState, id: string | null): CopyState {
    const ids = [state.copy?.id, state.record?.id, id];
    const buried = this.#isBuried(state);
    const stored = this.deps.fences.of(ids);
    const missing = Object.keys(stored).some((id) => !state.fences[id]);
    if (buried === state.buried && !missing) return state;
    return { ...state, buried, fences: missing ? { ...stored, ...state.fences } : state.fences };
  }

  /** What was noted of another copy, or of one that others have written since, does not count any more. */
  #settled(before: CopyState, state: CopyState): CopyState {
    if (state.copy === before.copy) return state;
    if (state.copy?.role !== 'owner') this.forgetShared();
    return { ...state, buried: this.#isBuried(state) };
  }

  /** The numbers of commits may come again with other content. */
  forgetShared(): void {
    this.shared = null;
    this.#closedAt = null;
  }

  #isBuried({ copy }: CopyState): boolean {
    return copy !== null && this.deps.catalog.isBuried(copy.id);
  }

  /** The catalog heard something about this dataset. */
  catalogChanged(): void {
    const entry = this.deps.catalog.entry(this.dataset);
    const { record, tag, behind } = this.#state;
    if (!entry || (entry.record === record && entry.tag === tag && entry.behind === behind)) return;
    this.dispatch({ on: 'record', ...entry, buried: this.#isBuried(this.#state) });
  }

  /** Sends an event that carries a request and waits for the machine's answer. */
  request(make: (request: string) => Event, content?: NewContent): Promise<unknown> {
    if (this.#stopped) return Promise.reject(new ZringError('SHUTTING_DOWN', 'this node is stopping'));
    const request = this.deps.salt();
    return new Promise((resolve, reject) => {
      if (content) this.#contents.set(request, content);
      this.#requests.set(request, (answer) => {
        this.#contents.delete(request);
        if (answer.ok) resolve(answer.value);
        else reject(toError(answer.failure, this.dataset));
      });
      this.dispatch(make(request));
    });
  }

  contentOf(request: string): NewContent {
    return this.#contents.get(request) ?? { documents: {} };
  }

  /** Resolves at the next change of state, or false after the time. */
  changed(timeoutMs: number): Promise<boolean> {
    return this.#watchers.next(timeoutMs);
  }

  get waiting(): number {
    return this.#watchers.size;
  }

  /** Work on the dataset itself, alone: no effect of the machine touches the disk meanwhile. */
  onDisk<T>(task: () => Promise<T>): Promise<T> {
    const result = this.#disk.then(task);
    this.#disk = result.then(
      () => {},
      () => {},
    );
    return result;
  }

  // --- effects ----------------------------------------------------------------------------------------------------

  #start(effect: Effect): void {
    const withheld = this.#withheld();
    // Nothing more is done on the strength of such a disk. The machine stands still: whoever lifts this makes a new one.
    if (withheld && !STILL_DONE.has(effect.do)) return;
    switch (effect.do) {
      case 'answer': {
        const settle = this.#requests.get(effect.request);
        this.#requests.delete(effect.request);
        settle?.(withheld && effect.answer.ok ? { ok: false, failure: failureOf(withheld) } : effect.answer);
        return;
      }
      case 'note':
        this.deps.logger[effect.level]({ dataset: this.dataset }, effect.message);
        return;
      case 'cancel-pull':
        if (this.#pull?.run === effect.run) this.#pull.controller.abort();
        return;
      case 'tell':
        return void this.#tell(effect);
      default:
        return void this.#follow(effect);
    }
  }

  async #follow(effect: Effect): Promise<void> {
    this.#inFlight++;
    try {
      const event = await this.#carryOut(effect);
      this.#inFlight--;
      this.dispatch(event);
    } catch (error) {
      // carryOut turns every failure into an event; what comes here is a bug and must not pass silently.
      this.#inFlight--;
      this.deps.logger.error({ err: error, dataset: this.dataset, effect: effect.do }, 'effect failed unexpectedly');
    }
    this.#watchers.wake();
  }

  #carryOut(effect: Effect): Promise<Event> {
    switch (effect.do) {
      case 'store-fence':
        return this.#storeFence(effect);
      case 'read-record':
        return this.#readRecord(effect.settled === true);
      case 'cas':
        return this.#cas(effect.tag, effect.next).then(
          (result): Event => ({ on: 'cas-done', result }),
          (error): Event => ({ on: 'coordinator-failed', failure: failureOf(error) }),
        );
      case 'publish':
        return this.#cas(effect.tag, effect.next).then(
          (result): Event => ({ on: 'published', result }),
          (): Event => ({ on: 'published', result: null }),
        );
      case 'ask-drain':
        return this.#askDrain(effect.to, effect.id);
      case 'ask-refuse':
        return this.#askRefuse(effect.to, effect.id, effect.n);
      case 'pull':
      case 'pull-final':
      case 'follow':
        return this.onDisk(() => this.#runPull(effect));
      default:
        return this.onDisk(() => runDiskEffect(this, effect));
    }
  }

  async #storeFence(effect: Effect & { do: 'store-fence' }): Promise<Event> {
    const { id, fence, request, tell } = effect;
    try {
      await this.deps.fences.put(id, fence);
      return { on: 'fence-stored', id, fence, request, tell };
    } catch (error) {
      return { on: 'fence-failed', failure: failureOf(error), request };
    }
  }

  async #readRecord(settled: boolean): Promise<Event> {
    const { coordinator, catalog, timers, limits } = this.deps;
    if (settled) await pause(timers, limits.catalogFreshMs);
    try {
      const { incarnation, mapEpoch, complete } = await coordinator.state();
      const tagged = await coordinator.readRecord(this.dataset);
      // Only of the life that the catalog follows: a tag of another one would stand beside the wrong knowledge.
      if (tagged && incarnation === catalog.catalog.incarnation) catalog.learn(tagged);
      const { record: known = null } = catalog.entry(this.dataset) ?? {};
      return { on: 'record-read', tagged, known, ground: `${incarnation} ${mapEpoch}`, complete };
    } catch (error) {
      return { on: 'coordinator-failed', failure: failureOf(error) };
    }
  }

  async #cas(tag: string | null, next: OwnershipRecord): Promise<CasResult<TaggedRecord>> {
    const result = await this.deps.coordinator.casRecord(this.dataset, tag, next);
    const tagged = result.ok ? result.value : result.current;
    if (tagged) this.deps.catalog.learn(tagged);
    return result;
  }

  async #askDrain(to: string, id: string): Promise<Event> {
    const { peers, limits, puller } = this.deps;
    puller.showPhase(this.dataset, 'draining');
    try {
      // Nothing is promised to a process whose node id is another's by now, or to a disk that is not the node's.
      await this.deps.confirm();
      const answer = await peers.call(
        to,
        METHODS.drain,
        { dataset: this.dataset, id, takesAll: true },
        { timeoutMs: limits.drainCallMs },
      );
      return { on: 'drain-answered', promise: readPromise(answer) };
    } catch (error) {
      return { on: 'drain-refused', failure: failureOf(error) };
    }
  }

  async #askRefuse(to: string, id: string, n: number): Promise<Event> {
    const { peers, limits } = this.deps;
    try {
      const answer = await peers.call(
        to,
        METHODS.refuse,
        { dataset: this.dataset, id, n },
        { timeoutMs: limits.peerCallMs },
      );
      const verdict = new Fields(answer, METHODS.refuse).text('verdict');
      if (verdict === 'refused' || verdict === 'taken' || verdict === 'pending')
        return { on: 'refuse-answered', verdict };
      throw new ZringError('PEER_PROTOCOL', `unknown verdict ${verdict}`);
    } catch (error) {
      return { on: 'refuse-failed', failure: failureOf(error), left: !this.deps.isMember(to) };
    }
  }

  async #tell(effect: Effect & { do: 'tell' }): Promise<void> {
    const { to, what, id, n } = effect;
    const { peers, limits } = this.deps;
    const method = what === 'released' ? METHODS.released : METHODS.refused;
    try {
      await this.deps.confirm();
      await peers.call(to, method, { dataset: this.dataset, id, n }, { timeoutMs: limits.peerCallMs });
    } catch (error) {
      // It asks by itself when it hears nothing.
      this.deps.logger.debug({ dataset: this.dataset, to, code: failureOf(error).code }, `${what} was not delivered`);
    }
  }

  async #runPull(effect: Effect & { do: 'pull' | 'pull-final' | 'follow' }): Promise<Event> {
    const controller = new AbortController();
    const { run, id } = effect;
    const { phase } = this.#state;
    // Cancelled while it waited for the disk.
    const wanted = 'run' in phase && phase.run === run;
    if (!wanted || this.#stopped) controller.abort();
    this.#pull = { run, controller };
    const { puller, driver, logger } = this.deps;
    try {
      const source = effect.do === 'pull-final' ? effect.source.node : effect.source;
      const atLeast = this.#state.record?.id === id ? this.#state.record.term : null;
      const job = { dataset: this.dataset, id, source, atLeast, signal: controller.signal };
      controller.signal.throwIfAborted();
      if (effect.do === 'pull') await puller.pullRounds(job);
      else if (effect.do === 'follow') await puller.follow(job);
      else await puller.pullFinal(job, effect.source);
      return { on: 'pulled', run, copy: await readCopy(driver, this.dataset) };
    } catch (error) {
      const failure = controller.signal.aborted
        ? ({ code: 'ABORTED', message: 'cancelled' } as const)
        : failureOf(error);
      logger.debug({ dataset: this.dataset, err: error }, 'pull failed');
      return {
        on: 'pull-failed',
        run,
        failure,
        copy: await readCopy(driver, this.dataset).catch(() => this.#state.copy),
      };
    } finally {
      this.#pull = null;
    }
  }
}

/** NaN when it was closed behind our back. */
function sequenceOf(store: Store): number {
  try {
    return store.stats().sequence;
  } catch {
    return Number.NaN;
  }
}

export async function readCopy(driver: DatasetDriver, dataset: string): Promise<Copy | null> {
  const info = await driver.get(dataset);
  return info ? (parseCopy(info)?.copy ?? null) : null;
}

function toError(
  failure: { code: ZringError['code']; message: string; details?: unknown },
  subject: string,
): ZringError {
  return new ZringError(failure.code, failure.message, { subject, details: failure.details });
}

// The seam that routing and S3 use (access.ts), over the runners of this node: where is it, let me in, make it, remove it.
// Owns nothing but the throttle of hints to homes; every answer is from memory, except for creation and removal.
import type { Coordinator } from '../cluster/coordinator.ts';
import type { OwnershipRecord } from '../cluster/record.ts';
import { type Clock, pause, type Timers } from '../common/clock.ts';
import { type NotOwnerDetails, ZringError } from '../common/errors.ts';
import { formatTerm } from '../common/term.ts';
import type { DatasetDriver } from '../dataset/driver.ts';
import { isDatasetName, isStagingName } from '../dataset/names.ts';
import type { Store } from '../store/types.ts';
import type {
  CloneSource,
  CreateOptions,
  DatasetAccess,
  EnterOptions,
  HeldDataset,
  NewContent,
  SnapshotReads,
  Whereabouts,
} from './access.ts';
import { liveRecords, presence } from './catalog.ts';
import type { CatalogKeeper } from './catalog-keeper.ts';
import type { EnterMode } from './gate.ts';
import type { ShutReason } from './gate-state.ts';
import type { OwnershipLimits } from './limits.ts';
import type { MapKeeper } from './map-keeper.ts';
import type { DatasetRunner } from './runner.ts';
import { ownSnapshots } from './snapshot-desk.ts';
import { openingOf, type SnapshotShelf } from './snapshot-shelf.ts';
import type { StorageWatch } from './storage-watch.ts';

export interface AccessDeps {
  readonly self: string;
  readonly catalog: CatalogKeeper;
  readonly map: MapKeeper;
  readonly coordinator: Coordinator;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly storage: StorageWatch;
  readonly driver: DatasetDriver;
  readonly shelf: SnapshotShelf;
  readonly limits: OwnershipLimits;
  readonly find: (dataset: string) => DatasetRunner | undefined;
  readonly runner: (dataset: string) => DatasetRunner;
  readonly isStopping: () => boolean;
  /** False while another process holds this node's lease. */
  readonly mayServe: () => boolean;
  /** This process, and no other, speaks for this node id now. */
  readonly holdsLease: () => boolean;
  /** Why nothing that stands on this node's disk may be relied on; null = nothing speaks against it. */
  readonly withheld: () => ZringError | null;
  /** The dataset should live here and was asked for. */
  readonly onTouched: (dataset: string) => void;
  /** It lives here and should live there. */
  readonly onAway: (dataset: string, home: string) => void;
  readonly newId: () => string;
  readonly onGateWait?: (seconds: number) => void;
}

export class LocalAccess implements DatasetAccess {
  readonly #deps: AccessDeps;
  readonly #awayToldMs = new Map<string, number>();

  constructor(deps: AccessDeps) {
    this.#deps = deps;
  }

  home(dataset: string): string | null {
    return this.#deps.map.home(dataset, this.#live(dataset));
  }

  #live(dataset: string): OwnershipRecord | null {
    const record = this.#deps.catalog.entry(dataset)?.record;
    return record && record.phase !== 'deleted' && !this.#deps.catalog.isBuried(record.id) ? record : null;
  }

  locate(dataset: string): Whereabouts {
    const { self, map, catalog } = this.#deps;
    const runner = this.#deps.find(dataset);
    const withheld = this.#deps.withheld();
    if (withheld) return this.#locateWithheld(dataset, runner, withheld);
    const verdict = runner?.verdict;
    if (verdict && verdict.kind !== 'shut') return { kind: 'local' };
    if (verdict?.kind === 'shut' && verdict.reason === 'went-back') {
      return { kind: 'unavailable', reason: `an old copy; see: zring disk show ${self}` };
    }
    if (verdict?.kind === 'shut' && verdict.reason === 'conflict') {
      return { kind: 'unavailable', reason: 'two datasets of this name exist; an operator has to decide' };
    }
    const record = this.#live(dataset);
    const home = map.home(dataset, record);
    if (record) {
      const successor = runner?.state.copy?.role === 'prior' ? runner.state.successor : null;
      if (record.owner === self && successor) return { kind: 'remote', node: successor, certain: true };
      if (record.owner === self)
        return { kind: 'unavailable', reason: 'the record names this node, but no such copy is served here' };
      if (home === self) this.#deps.onTouched(dataset);
      return { kind: 'remote', node: record.owner, certain: true };
    }
    if (home === null) return { kind: 'unavailable', reason: 'no cluster map is known yet' };
    if (home !== self) return { kind: 'remote', node: home, certain: false };
    // What the former home created until the map changed has to be read first.
    const found = presence(catalog.catalog, dataset, this.#isFresh());
    if (found === 'absent' && verdict?.kind !== 'shut') return { kind: 'absent' };
    if (found === 'absent' && verdict?.kind === 'shut' && verdict.reason !== 'unresolved') return { kind: 'absent' };
    return { kind: 'unavailable', reason: 'whether it exists cannot be proven now' };
  }

  /**
   * Read since this map was taken up; and where a newer one is known of, its home has the word. Another process under this
   * node's id may be the home that creates it.
   */
  #isFresh(): boolean {
    const { map, catalog, limits, holdsLease } = this.#deps;
    return holdsLease() && catalog.mapEpoch <= map.epoch && catalog.isFresh(limits.catalogFreshMs, map.adoptedMs);
  }

  /** By the records alone: what stands here proves nothing, but what others own is still theirs. */
  #locateWithheld(dataset: string, runner: DatasetRunner | undefined, withheld: ZringError): Whereabouts {
    const { self, map, catalog } = this.#deps;
    const record = this.#live(dataset);
    if (record && record.owner !== self) return { kind: 'remote', node: record.owner, certain: true };
    if (record || runner?.state.copy) return { kind: 'unavailable', reason: withheld.message };
    const home = map.home(dataset, null);
    if (home !== null && home !== self) return { kind: 'remote', node: home, certain: false };
    if (home === self && presence(catalog.catalog, dataset, this.#isFresh()) === 'absent') return { kind: 'absent' };
    return { kind: 'unavailable', reason: withheld.message };
  }

  notOwner(dataset: string): NotOwnerDetails {
    const record = this.#live(dataset);
    const state = this.#deps.find(dataset)?.state;
    const successor = state?.copy?.role === 'prior' ? state.successor : null;
    const owner = record && record.owner !== this.#deps.self ? record.owner : successor;
    return { epoch: this.#deps.map.epoch, owner, term: record ? formatTerm(record.term) : null };
  }

  async enter(dataset: string, mode: EnterMode, { background = false }: EnterOptions = {}): Promise<HeldDataset> {
    this.#requireServing();
    await this.#deps.storage.admit(mode);
    const runner = this.#deps.find(dataset);
    if (!runner) throw this.#refusal(dataset);
    const unused = background && !runner.store ? runner.lastUsedMs : null;
    for (;;) {
      await this.#whenOpen(runner);
      // Seen and entered in one turn of the event loop: a drain that begins now finds us inside.
      const held = this.#hold(runner, mode);
      if (!held) continue;
      if (!background) this.#used(runner);
      else if (unused !== null) runner.lastUsedMs = unused;
      await admitted(runner, held, mode);
      void runner.place.look(runner);
      return held;
    }
  }

  #used(runner: DatasetRunner): void {
    runner.lastUsedMs = this.#deps.clock.monotonicMs();
    this.#tellHome(runner.dataset);
  }

  #hold(runner: DatasetRunner, mode: EnterMode): HeldDataset | null {
    const { store, state, gate, dataset, storage } = runner;
    if (!store || !state.copy || runner.verdict.kind !== 'open') return null;
    const hold = gate.enter(mode);
    let released = false;
    return {
      dataset,
      id: state.copy.id,
      store,
      createdMs: state.copy.createdMs,
      signal: hold.controller.signal,
      snapshots: this.#snapshots(dataset, state.copy.id, store),
      encrypted: /^aes-256-/.test(storage?.encryption ?? ''),
      requireRoom: async (bytes) => storage?.meter.requireRoom(bytes),
      release() {
        if (released) return;
        released = true;
        if (mode === 'delete') storage?.meter.noteFreed();
        gate.leave(hold);
      },
    };
  }

  #snapshots(dataset: string, id: string, store: Store): SnapshotReads {
    const { driver, shelf } = this.#deps;
    return {
      names: async () => (await ownSnapshots(driver, dataset)).map(({ name }) => name),
      open: (snapshot) => shelf.open({ dataset, id, opening: openingOf(store), snapshot }),
    };
  }

  async #whenOpen(runner: DatasetRunner): Promise<void> {
    const { clock, limits } = this.#deps;
    const beganMs = clock.monotonicMs();
    let waited = false;
    for (;;) {
      if (this.#deps.withheld()) throw this.#refusal(runner.dataset);
      const verdict = runner.verdict;
      if (verdict.kind === 'open' && runner.store) break;
      if (verdict.kind === 'shut') throw this.#refusal(runner.dataset, verdict.reason);
      if (verdict.kind === 'wait' && verdict.open) {
        const refusal = runner.place.refusal(runner.dataset);
        if (refusal) throw refusal;
        runner.dispatch({ on: 'open' });
      }
      // Promised to a node that is silent: nothing will change soon, so nobody waits for it (I3).
      const silentMs = runner.state.copy?.promise ? clock.monotonicMs() - runner.state.contactMs : 0;
      if (silentMs > limits.machine.promiseSilenceMs) throw this.#waitedInVain(runner);
      const leftMs = limits.gateWaitMs - (clock.monotonicMs() - beganMs);
      if (leftMs <= 0 || runner.waiting >= limits.gateWaitersMax) throw this.#waitedInVain(runner);
      waited = true;
      if (!(await runner.changed(leftMs)) && runner.verdict.kind === 'wait') throw this.#waitedInVain(runner);
      this.#requireServing();
    }
    if (waited) this.#deps.onGateWait?.((clock.monotonicMs() - beganMs) / 1000);
  }

  /**
   * A removal is answered once its tombstone stands; the dataset is put away after that. Whoever makes one of the same
   * name meanwhile waits for it, and is answered *busy* only when that takes too long.
   */
  async #whenPutAway(runner: DatasetRunner): Promise<void> {
    const { clock, limits } = this.#deps;
    const beganMs = clock.monotonicMs();
    while (runner.state.copy?.deleting && runner.state.record?.phase === 'deleted') {
      const leftMs = limits.gateWaitMs - (clock.monotonicMs() - beganMs);
      if (leftMs <= 0 || runner.waiting >= limits.gateWaitersMax) return;
      await runner.changed(leftMs);
      this.#requireServing();
    }
  }

  #waitedInVain(runner: DatasetRunner): ZringError {
    const { dataset, state } = runner;
    const promised = state.copy?.promise;
    const options = { subject: dataset };
    if (promised) return new ZringError('DATASET_UNAVAILABLE', `${dataset} is being handed to ${promised.to}`, options);
    return new ZringError('DATASET_BUSY', `${dataset} is ${state.phase.at}`, options);
  }

  #refusal(dataset: string, reason: ShutReason = 'not-owner'): ZringError {
    const options = { subject: dataset };
    if (reason === 'conflict')
      return new ZringError('DATASET_UNAVAILABLE', `two datasets named ${dataset} exist`, options);
    if (reason === 'unresolved') return new ZringError('CATALOG_INCOMPLETE', `${dataset} is being created`, options);
    const where = this.locate(dataset);
    if (where.kind === 'absent') return new ZringError('DATASET_MISSING', `${dataset} does not exist`, options);
    if (where.kind === 'unavailable') {
      const code = this.#live(dataset) ? 'DATASET_UNAVAILABLE' : 'CATALOG_INCOMPLETE';
      return new ZringError(code, `${dataset}: ${where.reason}`, options);
    }
    return new ZringError('NOT_OWNER', `${dataset} is not owned here`, { ...options, details: this.notOwner(dataset) });
  }

  async create(
    dataset: string,
    documents: Record<string, unknown>,
    { creator, versioning }: CreateOptions = {},
  ): Promise<OwnershipRecord> {
    const { self, map, storage, timers } = this.#deps;
    await this.#requireCreatable(dataset);
    const home = map.home(dataset, null);
    if (home !== self) {
      const details: NotOwnerDetails = { epoch: map.epoch, owner: home, term: null };
      throw new ZringError('NOT_OWNER', `${dataset} has its home on ${home}`, { subject: dataset, details });
    }
    storage.check('write');
    const waitMs = map.settlesInMs(dataset);
    if (waitMs > 0) await pause(timers, waitMs);
    return this.#make(dataset, creator, { documents, ...(versioning ? { versioning } : {}) });
  }

  /**
   * Here, wherever its home is, for only here is what it is cloned from. Everybody hears of it before anybody is let in
   * (life-transitions.ts). Errors: as `create`, but for NOT_OWNER; CONFIG_REFUSED.
   */
  async clone(
    dataset: string,
    source: CloneSource,
    { creator, documents }: { creator: string | null; documents: NewContent['documents'] },
  ): Promise<OwnershipRecord> {
    const { self, map, storage } = this.#deps;
    await this.#requireCreatable(dataset);
    if (!map.has(self) || map.isDraining(self)) {
      const message = `node ${self} is draining: what it has is being moved; try again when ${source.dataset} was`;
      throw new ZringError('CONFIG_REFUSED', message, { subject: dataset });
    }
    storage.check('write');
    return this.#make(dataset, creator ?? undefined, { documents, clone: source });
  }

  async #requireCreatable(dataset: string): Promise<void> {
    const { map, coordinator } = this.#deps;
    if (!isDatasetName(dataset) || isStagingName(dataset)) {
      throw new ZringError('DATASET_NAME_INVALID', `${dataset} cannot be a dataset`, { subject: dataset });
    }
    this.#requireServing();
    const withheld = this.#deps.withheld();
    if (withheld) throw withheld;
    // The home of an old map must not decide that something does not exist.
    if ((await coordinator.state()).mapEpoch !== map.epoch) await map.sync();
    const live = this.#live(dataset);
    if (live) throw new ZringError('DATASET_EXISTS', `${dataset} exists`, { subject: dataset, details: live });
  }

  async #make(dataset: string, creator: string | undefined, content: NewContent): Promise<OwnershipRecord> {
    const { clock, newId } = this.#deps;
    const { clone } = content;
    const origin = clone && `${clone.dataset}@${clone.snapshot.name}`;
    const runner = this.#deps.runner(dataset);
    await this.#whenPutAway(runner);
    const id = newId();
    const made = await runner.request(
      (request) => ({
        on: 'create',
        request,
        id,
        createdMs: clock.wallMs(),
        creator: creator ?? null,
        ...(origin === undefined ? {} : { origin }),
      }),
      content,
    );
    return made as OwnershipRecord;
  }

  async remove(dataset: string): Promise<void> {
    this.#requireServing();
    this.#deps.storage.check('delete');
    const runner = this.#deps.find(dataset);
    if (!runner) throw this.#refusal(dataset);
    await this.#whenOpen(runner);
    await runner.request((request) => ({ on: 'remove', request }));
  }

  async freshen(withinMs: number): Promise<void> {
    const { catalog, timers } = this.#deps;
    await new Promise<void>((resolve) => {
      const callOff = timers.after(withinMs, resolve);
      const done = () => {
        callOff();
        resolve();
      };
      catalog.sync().then(done, done);
    });
  }

  records(): { records: readonly OwnershipRecord[]; complete: boolean } {
    const { catalog } = this.#deps;
    const records = liveRecords(catalog.catalog).filter((record) => !catalog.isBuried(record.id));
    return { records, complete: catalog.catalog.complete };
  }

  #requireServing(): void {
    if (this.#deps.isStopping()) throw new ZringError('SHUTTING_DOWN', 'this node is stopping');
    if (!this.#deps.mayServe())
      throw new ZringError('NODE_ID_TAKEN', 'another process holds the lease of this node id');
  }

  #tellHome(dataset: string): void {
    const { self, clock, limits } = this.#deps;
    const nowMs = clock.monotonicMs();
    if (nowMs - (this.#awayToldMs.get(dataset) ?? Number.NEGATIVE_INFINITY) < limits.pokeEveryMs) return;
    const home = this.home(dataset);
    if (home === null || home === self) return;
    this.#awayToldMs.set(dataset, nowMs);
    this.#deps.onAway(dataset, home);
  }
}

/** Whoever the quota keeps out has not been inside. */
async function admitted(runner: DatasetRunner, held: HeldDataset, mode: EnterMode): Promise<void> {
  try {
    await runner.storage?.admit(mode);
  } catch (error) {
    held.release();
    throw error;
  }
}

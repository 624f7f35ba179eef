// Clears away what moves leave behind: prior copies whose time is over, snapshots that no move needs any more, datasets
// renamed `_deleted-…`. Owns the list of leftovers. Never destroys what might be the only copy: a prior copy goes only
// after the owner in the record, read afresh, has itself said that it holds the dataset at a higher term.
import type { Coordinator } from '../cluster/coordinator.ts';
import type { OwnershipRecord } from '../cluster/record.ts';
import type { Clock } from '../common/clock.ts';
import type { PeerTransport } from '../common/peer.ts';
import { compareTerms, parseTerm } from '../common/term.ts';
import type { DatasetDriver } from '../dataset/driver.ts';
import type { Logger } from '../telemetry/log.ts';
import { DELETED_PREFIX, RECEIVING_PREFIX, receivingName } from './copy-properties.ts';
import { isPullPhase } from './gate-state.ts';
import type { OwnershipLimits } from './limits.ts';
import { METHODS, readDescription } from './peer-messages.ts';
import { dropShared } from './replicas/shared-snapshots.ts';
import type { DatasetRunner } from './runner.ts';
import { HOLD_TAG, isOurs, isShared } from './snapshot-names.ts';
import type { CopyState } from './state.ts';

export interface JanitorDeps {
  readonly self: string;
  readonly driver: DatasetDriver;
  readonly coordinator: Coordinator;
  readonly peers: PeerTransport;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly limits: OwnershipLimits;
  readonly runners: () => Iterable<DatasetRunner>;
  /** Snapshots that nobody reads any more. Never throws. */
  readonly clearShelf: () => Promise<void>;
  readonly priorCopyMs: () => number;
  /** This node should have it: a stale copy is worth keeping. */
  readonly isHome: (dataset: string) => boolean;
  /** Who should have a copy beside its owner. */
  readonly replicas: (record: OwnershipRecord) => readonly string[];
}

export class Janitor {
  readonly #deps: JanitorDeps;
  readonly #leftovers = new Set<string>();
  /** `receiving` copies that nothing happens to, since when (monotonic). */
  readonly #idleSinceMs = new Map<string, number>();
  #running: Promise<void> | null = null;

  constructor(deps: JanitorDeps) {
    this.#deps = deps;
  }

  leftover(name: string): void {
    this.#leftovers.add(name);
    void this.#destroyLeftovers();
  }

  get leftovers(): readonly string[] {
    return [...this.#leftovers];
  }

  /** One round; never throws. Concurrent calls share one. */
  round(): Promise<void> {
    this.#running ??= this.#round().finally(() => {
      this.#running = null;
    });
    return this.#running;
  }

  async #round(): Promise<void> {
    await this.#deps.clearShelf();
    await this.#findLeftovers();
    await this.#destroyLeftovers();
    for (const runner of this.#deps.runners()) {
      try {
        await this.#retire(runner);
        await this.#dropSnapshots(runner);
      } catch (error) {
        this.#deps.logger.debug({ err: error, dataset: runner.dataset }, 'not cleared away yet');
      }
    }
  }

  /**
   * What was renamed to be destroyed while nobody heard of it (the command failed after it took effect), and first copies
   * that no pull works on any more. Neither was ever written here, or it was proven to be needed no more.
   */
  async #findLeftovers(): Promise<void> {
    const { driver, logger } = this.#deps;
    try {
      for (const { name } of await driver.list()) {
        if (name.startsWith(DELETED_PREFIX) || this.#isAbandoned(name)) this.#leftovers.add(name);
      }
    } catch (error) {
      logger.debug({ err: error }, 'the pool could not be listed');
    }
  }

  #isAbandoned(name: string): boolean {
    if (!name.startsWith(RECEIVING_PREFIX)) return false;
    for (const { state } of this.#deps.runners()) {
      const receives = isPullPhase(state) || state.phase.at === 'following';
      if (receives && 'id' in state.phase && receivingName(state.phase.id) === name) return false;
    }
    return true;
  }

  async #destroyLeftovers(): Promise<void> {
    const { driver, logger } = this.#deps;
    for (const name of [...this.#leftovers]) {
      // A pull has begun meanwhile; it clears the place itself.
      if (name.startsWith(RECEIVING_PREFIX) && !this.#isAbandoned(name)) {
        this.#leftovers.delete(name);
        continue;
      }
      try {
        await driver.destroy(name);
        this.#leftovers.delete(name);
        logger.info({ name }, 'leftover destroyed');
      } catch (error) {
        logger.warn({ name, err: error }, 'leftover not destroyed yet');
      }
    }
  }

  async #retire(runner: DatasetRunner): Promise<void> {
    const { copy, phase } = runner.state;
    if (phase.at !== 'idle' || runner.pulling) return;
    if (copy?.role !== 'prior' && copy?.role !== 'receiving') {
      this.#idleSinceMs.delete(runner.dataset);
      return;
    }
    if (!this.#isOver(runner)) return;
    if (!(await this.#isSafeElsewhere(runner))) return;
    this.#deps.logger.info({ dataset: runner.dataset, role: copy.role }, 'copy retired');
    runner.dispatch({ on: 'retire', id: copy.id });
  }

  #isOver(runner: DatasetRunner): boolean {
    const { self, clock, priorCopyMs, isHome, replicas } = this.#deps;
    const { copy } = runner.state;
    if (this.#isReplica(runner)) {
      this.#idleSinceMs.delete(runner.dataset);
      return false;
    }
    // Of an earlier dataset of the name: that one is gone for good, and this node should have a replica of the next.
    const { record } = runner.state;
    if (record && isSucceeded(runner.state) && replicas(record).includes(self)) return true;
    if (copy?.role === 'prior' && copy.priorSinceMs !== null)
      return clock.wallMs() - copy.priorSinceMs >= priorCopyMs();
    if (isHome(runner.dataset)) return false;
    const since = this.#idleSinceMs.get(runner.dataset);
    if (since === undefined) this.#idleSinceMs.set(runner.dataset, clock.monotonicMs());
    return since !== undefined && clock.monotonicMs() - since >= priorCopyMs();
  }

  async #isSafeElsewhere(runner: DatasetRunner): Promise<boolean> {
    const { self, coordinator, peers, limits } = this.#deps;
    const { copy } = runner.state;
    const record = (await coordinator.readRecord(runner.dataset))?.record;
    if (!copy || !record) return false;
    // Another dataset of this name, above it: nobody makes one before the former is gone for good, and its tombstone may
    // have been overwritten before this node read it.
    if (record.id !== copy.id) return record.phase !== 'deleted' && record.term.n > copy.term.n;
    if (record.phase === 'deleted') return true;
    if (record.owner === self || record.phase === 'draining' || record.target === self) return false;
    const request = { dataset: runner.dataset, id: copy.id };
    const theirs = readDescription(
      await peers.call(record.owner, METHODS.describe, request, { timeoutMs: limits.peerCallMs }),
    );
    const term = parseTerm(theirs.term ?? '');
    if (theirs.role !== 'owner' || theirs.promised || !term) return false;
    // A prior copy is below its successor; a received one was never above its source.
    if (compareTerms(term, copy.term) <= 0 && copy.role !== 'receiving') return false;
    return this.#isCopied(runner.dataset, record);
  }

  #isReplica({ state: { copy, record } }: DatasetRunner): boolean {
    const { self, replicas } = this.#deps;
    if (!copy || record?.id !== copy.id || record.phase === 'deleted') return false;
    return replicas(record).includes(self);
  }

  /** Each node that should have a copy has one: until then, one too many is none too many. */
  async #isCopied(dataset: string, record: OwnershipRecord): Promise<boolean> {
    const { peers, limits, replicas } = this.#deps;
    for (const node of replicas(record)) {
      const request = { dataset, id: record.id };
      const answer = await peers.call(node, METHODS.describe, request, { timeoutMs: limits.peerCallMs });
      const { role, snapshots } = readDescription(answer);
      if (role === null || snapshots.length === 0) return false;
    }
    return true;
  }

  /** The base for moving back is kept as long as the copy it would meet there; then it only holds space. */
  async #dropSnapshots(runner: DatasetRunner): Promise<void> {
    const { driver, clock, logger, priorCopyMs } = this.#deps;
    if (!isAtRest(runner.state)) return;
    const { record } = runner.state;
    const isAlone = record !== null && this.#deps.replicas(record).length === 0;
    for (const snapshot of await driver.snapshots(runner.dataset)) {
      if (!(isOurs(snapshot.name) || (isAlone && isShared(snapshot.name)))) continue;
      if (clock.wallMs() - snapshot.createdMs < priorCopyMs()) continue;
      await runner.onDisk(async () => {
        if (!isAtRest(runner.state) || runner.lent.has(snapshot.name)) return;
        await driver.release(runner.dataset, snapshot.name, HOLD_TAG);
        await driver.destroySnapshot(runner.dataset, snapshot.name);
      });
    }
    // Those that replicas share go by their own rule, as long as there are replicas.
    if (isAlone) return;
    const deps = { driver, logger, nowMs: () => clock.wallMs(), maxAgeMs: priorCopyMs };
    await runner.onDisk(async () => (isAtRest(runner.state) ? dropShared(deps, runner) : undefined));
  }
}

/** Another dataset of the name lives, above the copy. */
function isSucceeded({ copy, record }: CopyState): boolean {
  return copy !== null && record !== null && record.id !== copy.id && record.term.n > copy.term.n;
}

/**
 * Owned, and nobody takes it over. While somebody has a claim, or nobody knows, snapshots of moves are kept: a stream may
 * take longer than a prior copy is kept, and its base is what the next one needs.
 */
function isAtRest({ copy, phase, record }: CopyState): boolean {
  return copy?.role === 'owner' && !copy.promise && phase.at === 'idle' && record?.phase === 'stable';
}

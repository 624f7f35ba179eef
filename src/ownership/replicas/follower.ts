// Keeps the replicas of this node up to their owners: asks each owner, for many datasets in one question, which have changed,
// and follows those; a few at a time. Owns what it remembers of each replica, in memory. docs/REPLICAS.md.
import type { OwnershipRecord } from '../../cluster/record.ts';
import type { Clock } from '../../common/clock.ts';
import type { PeerTransport } from '../../common/peer.ts';
import type { Logger } from '../../telemetry/log.ts';
import type { OwnershipLimits } from '../limits.ts';
import { ASKED_MAX, METHODS, readBehind } from '../peer-messages.ts';
import type { DatasetRunner } from '../runner.ts';

export interface FollowPolicy {
  readonly everyMs: number;
  /** Replicas that receive at the same time. */
  readonly concurrency: number;
}

export interface FollowerDeps {
  readonly peers: PeerTransport;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly limits: Pick<OwnershipLimits, 'peerCallMs' | 'pullRetryMs'>;
  /** Live records of datasets of which this node should have a replica. */
  readonly wanted: () => Iterable<OwnershipRecord>;
  readonly find: (dataset: string) => DatasetRunner | undefined;
  readonly runner: (dataset: string) => DatasetRunner;
  readonly policy: () => FollowPolicy;
}

interface Known {
  readonly id: string;
  /** Of the owner's snapshot that was received last. */
  readonly guid: string;
  /** It has everything that was acknowledged by then (wall clock here). */
  asOfMs: number;
  /** Monotonic: when that snapshot was asked for, and when the owner was last asked about it. */
  readonly followedMs: number;
  askedMs: number;
  /** The owner said so; it is followed when its time has come. */
  isBehind: boolean;
}

/** Of one replica, for status. */
export interface ReplicaState {
  readonly asOfMs: number | null;
  readonly failures: number;
}

const BACKOFF_DOUBLINGS_MAX = 6;

export class Follower {
  readonly #deps: FollowerDeps;
  readonly #known = new Map<string, Known>();
  readonly #failures = new Map<string, { readonly count: number; readonly notBeforeMs: number }>();
  readonly #asking = new Set<string>();
  /** Started, and not heard of again. */
  readonly #running = new Set<string>();

  constructor(deps: FollowerDeps) {
    this.#deps = deps;
  }

  /**
   * One look at everything: starts what is due and asks what is to be asked. It waits for no answer: an owner that gives none
   * holds up nobody else. What failed is tried again, ever more rarely.
   */
  round(): void {
    const { clock, policy } = this.#deps;
    const { everyMs, concurrency } = policy();
    const nowMs = clock.monotonicMs();
    this.#settle();
    const due: OwnershipRecord[] = [];
    const questions = new Map<string, OwnershipRecord[]>();
    const wanted = new Set<string>();
    for (const record of this.#deps.wanted()) {
      wanted.add(record.dataset);
      if (!this.#isFree(record)) continue;
      const known = this.#knownOf(record);
      if (!known || !this.#deps.find(record.dataset)?.state.copy) due.push(record);
      else if (known.isBehind && nowMs - known.followedMs >= everyMs) due.push(record);
      else if (nowMs - known.askedMs >= everyMs && !this.#asking.has(record.owner)) {
        const asked = questions.get(record.owner) ?? [];
        if (asked.length === 0) questions.set(record.owner, asked);
        asked.push(record);
      }
    }
    this.#start(due, concurrency);
    for (const [owner, records] of questions) void this.#ask(owner, records);
    this.#forget(wanted);
  }

  /** A replica has received this snapshot of its owner, which was as new as the owner at `asOfMs`. */
  followed(dataset: string, id: string, guid: string, asOfMs: number): void {
    const nowMs = this.#deps.clock.monotonicMs();
    // Asked at once, so that the owner knows; it is followed again only when its time has come.
    this.#known.set(dataset, {
      id,
      guid,
      asOfMs,
      followedMs: nowMs,
      askedMs: Number.NEGATIVE_INFINITY,
      isBehind: false,
    });
    this.#failures.delete(dataset);
    this.#running.delete(dataset);
  }

  stateOf(dataset: string, id: string): ReplicaState {
    const known = this.#known.get(dataset);
    return {
      asOfMs: known?.id === id ? known.asOfMs : null,
      failures: this.#failures.get(dataset)?.count ?? 0,
    };
  }

  /** Those that ended without a word have failed. */
  #settle(): void {
    const { clock, find, limits } = this.#deps;
    for (const dataset of this.#running) {
      if (find(dataset)?.state.phase.at === 'following') continue;
      this.#running.delete(dataset);
      const count = (this.#failures.get(dataset)?.count ?? 0) + 1;
      const waitMs = limits.pullRetryMs * 2 ** Math.min(count - 1, BACKOFF_DOUBLINGS_MAX);
      this.#failures.set(dataset, { count, notBeforeMs: clock.monotonicMs() + waitMs });
    }
  }

  /** Nothing else goes on with it here, and what stands here may be followed. */
  #isFree({ dataset, id }: OwnershipRecord): boolean {
    const state = this.#deps.find(dataset)?.state;
    if (!state) return true;
    if (state.phase.at !== 'idle') return false;
    return !state.copy || (state.copy.id === id && (state.copy.role === 'receiving' || state.copy.role === 'prior'));
  }

  #knownOf({ dataset, id }: OwnershipRecord): Known | null {
    const known = this.#known.get(dataset);
    return known?.id === id ? known : null;
  }

  /** One that does not answer is asked again the next time; the rest of what it would be asked then too. Never throws. */
  async #ask(owner: string, records: readonly OwnershipRecord[]): Promise<void> {
    const { peers, clock, limits, logger } = this.#deps;
    this.#asking.add(owner);
    try {
      for (let from = 0; from < records.length; from += ASKED_MAX) {
        const some = records.slice(from, from + ASKED_MAX);
        const asOfMs = clock.wallMs();
        const datasets = some.map(({ dataset, id }) => ({ dataset, id, guid: this.#known.get(dataset)?.guid ?? '-' }));
        const answer = await peers.call(owner, METHODS.current, { datasets }, { timeoutMs: limits.peerCallMs });
        this.#heard(some, new Set(readBehind(answer)), asOfMs);
      }
    } catch (error) {
      logger.debug({ owner, err: error }, 'an owner was not asked about its replicas');
      const nowMs = clock.monotonicMs();
      for (const record of records) {
        const known = this.#knownOf(record);
        if (known) known.askedMs = nowMs;
      }
    } finally {
      this.#asking.delete(owner);
    }
  }

  #heard(records: readonly OwnershipRecord[], behind: ReadonlySet<string>, asOfMs: number): void {
    for (const record of records) {
      const known = this.#knownOf(record);
      if (!known) continue;
      known.askedMs = this.#deps.clock.monotonicMs();
      known.isBehind = behind.has(record.dataset);
      if (!known.isBehind) known.asOfMs = asOfMs;
    }
  }

  #start(due: readonly OwnershipRecord[], concurrency: number): void {
    const nowMs = this.#deps.clock.monotonicMs();
    const ready = due.filter(({ dataset }) => (this.#failures.get(dataset)?.notBeforeMs ?? nowMs) <= nowMs);
    // First what has no copy yet, then what is known to have changed, the longest behind first, then what only has to be looked at.
    const copyOf = ({ dataset }: OwnershipRecord) => this.#deps.find(dataset)?.state.copy;
    const rank = (record: OwnershipRecord) =>
      copyOf(record) ? (this.#knownOf(record)?.asOfMs ?? Number.POSITIVE_INFINITY) : 0;
    ready.sort((a, b) => (rank(a) < rank(b) ? -1 : rank(a) > rank(b) ? 1 : 0));
    const room = Math.max(0, concurrency - this.#running.size);
    // First copies may take days: one place is left to those that are there already.
    const firsts = ready.filter((record) => !copyOf(record));
    const others = ready.slice(firsts.length);
    const chosen = others.length > 0 ? [...firsts.slice(0, Math.max(0, room - 1)), ...others] : firsts;
    for (const { dataset } of chosen.slice(0, room)) {
      this.#running.add(dataset);
      this.#deps.runner(dataset).dispatch({ on: 'follow' });
    }
  }

  #forget(wanted: ReadonlySet<string>): void {
    for (const dataset of this.#known.keys()) if (!wanted.has(dataset)) this.#known.delete(dataset);
    for (const dataset of this.#failures.keys()) if (!wanted.has(dataset)) this.#failures.delete(dataset);
  }
}

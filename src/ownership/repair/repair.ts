// Scrub and repair on one node, put together (docs/REPAIR.md). Owns the repairs, the scrubs under way and the last ones of this
// process, and the rate that all scrubs share.
import { type Clock, pause, type Timers } from '../../common/clock.ts';
import type { ZringError } from '../../common/errors.ts';
import type { PeerMethods, PeerTransport } from '../../common/peer.ts';
import type { DatasetDriver } from '../../dataset/driver.ts';
import type { Logger } from '../../telemetry/log.ts';
import type { Metrics } from '../../telemetry/metrics.ts';
import type { DatasetAccess } from '../access.ts';
import type { OwnershipLimits } from '../limits.ts';
import type { MapKeeper } from '../map-keeper.ts';
import type { DatasetRunner } from '../runner.ts';
import { TokenBucket } from '../token-bucket.ts';
import { blobMethods } from './blob-server.ts';
import { Repairs } from './repairs.ts';
import { Scrub } from './scrub.ts';
import type { ScrubDesk, ScrubReport } from './types.ts';

export interface RepairDeskDeps {
  readonly self: string;
  readonly driver: DatasetDriver;
  readonly peers: PeerTransport;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly logger: Logger;
  readonly limits: OwnershipLimits;
  readonly metrics?: Metrics | undefined;
  readonly map: Pick<MapKeeper, 'map' | 'preference'>;
  readonly access: Pick<DatasetAccess, 'enter'>;
  readonly find: (dataset: string) => DatasetRunner | undefined;
  readonly withheld: () => ZringError | null;
}

/** Reports of ended scrubs; the oldest are forgotten. */
const SCRUBS_KEPT = 256;

export class RepairDesk implements ScrubDesk {
  readonly #deps: RepairDeskDeps;
  readonly #repairs: Repairs;
  readonly #rate: TokenBucket;
  readonly #scrubs = new Map<string, Scrub>();
  readonly #methods: PeerMethods;

  constructor(deps: RepairDeskDeps) {
    this.#deps = deps;
    const { clock, timers, limits } = deps;
    this.#repairs = new Repairs({ ...deps, candidates: (dataset) => this.#candidates(dataset) });
    this.#rate = new TokenBucket(limits.scrubBytesPerSecond, () => clock.monotonicMs(), timers);
    this.#methods = blobMethods(deps);
  }

  /** These, and what other nodes ask for here. */
  with(methods: PeerMethods): PeerMethods {
    const { calls, streams } = this.#methods;
    return { calls: { ...methods.calls, ...calls }, streams: { ...methods.streams, ...streams } };
  }

  /** A reader of the dataset's open store has met a damaged data file. */
  noticed(dataset: string, blob: string, reason: ZringError): void {
    const runner = this.#deps.find(dataset);
    if (runner) this.#repairs.noticed(runner, blob, reason);
  }

  async begin(dataset: string): Promise<ScrubReport> {
    const runner = await this.#owned(dataset);
    const known = this.#scrubs.get(dataset);
    if (known?.isRunning && known.isOf(runner)) return known.report();
    const { timers, clock, logger, access } = this.#deps;
    const pace = async (bytes: number): Promise<void> => {
      const waitMs = this.#rate.take(bytes);
      if (waitMs >= 1) await pause(timers, waitMs);
    };
    const repair = (of: DatasetRunner, blob: string) => this.#repairs.repair(of, blob);
    const scrub = new Scrub({ clock, logger, access, pace, repair }, runner);
    this.#forgetOldest();
    this.#scrubs.delete(dataset);
    this.#scrubs.set(dataset, scrub);
    scrub.start();
    return scrub.report();
  }

  async show(dataset: string): Promise<ScrubReport | null> {
    return (await this.#scrubOf(dataset))?.report() ?? null;
  }

  async end(dataset: string): Promise<ScrubReport | null> {
    const scrub = await this.#scrubOf(dataset);
    await scrub?.stop(null);
    return scrub?.report() ?? null;
  }

  /** Before the stores are closed. Never throws. */
  async stop(): Promise<void> {
    await Promise.all([...this.#scrubs.values()].map((scrub) => scrub.stop('the node was stopped')));
    await this.#repairs.stop();
  }

  async #scrubOf(dataset: string): Promise<Scrub | null> {
    const runner = await this.#owned(dataset);
    const scrub = this.#scrubs.get(dataset);
    return scrub?.isOf(runner) ? scrub : null;
  }

  /** Without opening a store that is closed, where that says nothing more. */
  async #owned(dataset: string): Promise<DatasetRunner> {
    const known = this.#deps.find(dataset);
    if (known?.store && known.state.copy?.role === 'owner') return known;
    (await this.#deps.access.enter(dataset, 'read', { background: true })).release();
    return this.#deps.find(dataset) ?? this.#owned(dataset);
  }

  #forgetOldest(): void {
    for (const [dataset, scrub] of this.#scrubs) {
      if (this.#scrubs.size < SCRUBS_KEPT) return;
      if (!scrub.isRunning) this.#scrubs.delete(dataset);
    }
  }

  /** Former homes come early in the ring's order; one that is being emptied is in no ring and may well have a copy. */
  #candidates(dataset: string): readonly string[] {
    const { map } = this.#deps;
    return [...new Set([...map.preference(dataset), ...(map.map?.nodes ?? []).map(({ id }) => id)])];
  }
}

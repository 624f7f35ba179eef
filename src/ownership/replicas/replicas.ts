// Replicas on one node, put together: those it keeps of others' datasets, and what it knows of others' copies of its own.
// docs/REPLICAS.md.
import type { Clock } from '../../common/clock.ts';
import type { PeerTransport } from '../../common/peer.ts';
import type { Config } from '../../config/types.ts';
import type { DatasetDriver } from '../../dataset/driver.ts';
import type { Logger } from '../../telemetry/log.ts';
import type { OwnershipLimits } from '../limits.ts';
import type { Placement } from '../placement.ts';
import type { DatasetRunner } from '../runner.ts';
import { Follower } from './follower.ts';
import { ReplicaBook, type ReplicaSight } from './replica-book.ts';
import { type ReplicaHealth, replicaHealth } from './replica-health.ts';
import type { SharedDeps } from './shared-snapshots.ts';

export interface ReplicasDeps {
  readonly driver: DatasetDriver;
  readonly peers: PeerTransport;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly limits: OwnershipLimits;
  readonly salt: () => string;
  readonly priorCopyMs: () => number;
  readonly placement: Pick<Placement, 'replicas' | 'replicasOf'>;
  readonly find: (dataset: string) => DatasetRunner | undefined;
  readonly runner: (dataset: string) => DatasetRunner;
  readonly runners: () => Iterable<DatasetRunner>;
  readonly config: () => Config;
}

export class Replicas {
  readonly book: ReplicaBook;
  readonly follower: Follower;
  readonly shared: SharedDeps;
  readonly #deps: ReplicasDeps;

  constructor(deps: ReplicasDeps) {
    const { clock, find, placement, config } = deps;
    this.#deps = deps;
    this.book = new ReplicaBook({ clock, find });
    this.shared = {
      ...deps,
      nowMs: () => clock.wallMs(),
      maxAgeMs: deps.priorCopyMs,
      minAgeMs: () => config().replication.everyMs / 2,
    };
    this.follower = new Follower({
      ...deps,
      wanted: () => placement.replicas(),
      policy: () => config().replication,
    });
  }

  /** Of a dataset that is owned here: who should have a copy, and how new theirs is. */
  sights({ dataset, state: { copy } }: DatasetRunner): ReplicaSight[] {
    return copy ? this.book.sights(dataset, copy.id, this.#deps.placement.replicasOf(dataset)) : [];
  }

  /** Of a replica that is kept here. */
  asOfMs({ dataset, state: { copy } }: DatasetRunner): number | null {
    return copy && this.follower.stateOf(dataset, copy.id).asOfMs;
  }

  /** Of all that is owned here. */
  health(): ReplicaHealth {
    const { clock, config, runners } = this.#deps;
    const sights: ReplicaSight[] = [];
    for (const runner of runners()) if (runner.state.copy?.role === 'owner') sights.push(...this.sights(runner));
    return replicaHealth(sights, config().replication.everyMs, clock.wallMs());
  }

  /** One round of what the timers do. Never throws. */
  round(): void {
    const { find } = this.#deps;
    this.book.forget((dataset) => find(dataset)?.state.copy?.role === 'owner');
    this.follower.round();
  }
}

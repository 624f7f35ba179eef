// This node's lease in the coordinator: renewed every third of its length, measured on the monotonic clock from before the
// call, so that it never seems longer here than it is there. Owns the lease's time and nothing of datasets; ownership.ts
// calls `renew`.
//
// A dataset whose in-sync set is this node alone needs no running lease: its ownership leaves only through its owner's own
// durable promise. A lease held by another process under our id is different: then this process must not serve at all.

import type { Coordinator, NodeInfo } from '../cluster/coordinator.ts';
import type { Clock } from '../common/clock.ts';
import { isZringError } from '../common/errors.ts';
import type { Logger } from '../telemetry/log.ts';

export interface LeaseDeps {
  readonly node: string;
  /** Random per process. */
  readonly instance: string;
  /** The instance that used this storage root before; null = none known. */
  readonly former: string | null;
  readonly coordinator: Coordinator;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly ttlMs: () => number;
  readonly info: () => NodeInfo;
}

export interface LeaseState {
  readonly remainingMs: number;
  /** Another process holds this node id. */
  readonly taken: boolean;
}

export class NodeLease {
  readonly #deps: LeaseDeps;
  #expiresMs = Number.NEGATIVE_INFINITY;
  #taken = false;
  #renewing: Promise<void> | null = null;

  constructor(deps: LeaseDeps) {
    this.#deps = deps;
  }

  state(): LeaseState {
    return { remainingMs: Math.max(0, this.#expiresMs - this.#deps.clock.monotonicMs()), taken: this.#taken };
  }

  /** May this node acknowledge and answer for a dataset with this in-sync set? */
  mayServe(inSync: readonly string[]): boolean {
    if (this.#taken) return false;
    if (inSync.length <= 1) return true;
    return this.#expiresMs > this.#deps.clock.monotonicMs();
  }

  /** One renewal; never throws. Concurrent calls share one. */
  renew(): Promise<void> {
    this.#renewing ??= this.#renew().finally(() => {
      this.#renewing = null;
    });
    return this.#renewing;
  }

  async #renew(): Promise<void> {
    const { coordinator, node, instance, clock, logger } = this.#deps;
    const ttlMs = this.#deps.ttlMs();
    const beforeMs = clock.monotonicMs();
    try {
      let result = await coordinator.acquireLease(node, instance, ttlMs, this.#deps.info());
      if (!result.ok && result.holder === this.#deps.former) {
        // Our predecessor is dead: whoever runs this holds the storage root's lock. Anybody else is another machine.
        await coordinator.releaseLease(node, result.holder);
        result = await coordinator.acquireLease(node, instance, ttlMs, this.#deps.info());
      }
      if (result.ok) {
        if (this.#taken) logger.warn({ node }, 'the lease of this node is ours again');
        this.#taken = false;
        this.#expiresMs = beforeMs + ttlMs;
      } else {
        if (!this.#taken)
          logger.error(
            { node, holder: result.holder },
            'NODE_ID_TAKEN: another process holds the lease of this node id; not serving',
          );
        this.#taken = true;
      }
    } catch (error) {
      // Unavailable or unknown: the lease runs on as it was; whether that is enough is asked per dataset.
      const code = isZringError(error) ? error.code : 'INTERNAL';
      logger.debug({ code }, 'lease not renewed');
    }
  }

  async stop(): Promise<void> {
    await this.#renewing;
    if (this.#taken) return;
    try {
      await this.#deps.coordinator.releaseLease(this.#deps.node, this.#deps.instance);
    } catch {
      // It runs out by itself.
    }
    this.#expiresMs = Number.NEGATIVE_INFINITY;
  }

  /** As a crash leaves it: it runs out by itself, or the next process of this storage root releases it. */
  abandon(): void {
    this.#expiresMs = Number.NEGATIVE_INFINITY;
  }
}

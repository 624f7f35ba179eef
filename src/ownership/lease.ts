// This node's lease in the coordinator: renewed every third of its length, measured on the monotonic clock from before the
// call, so that it never seems longer here than it is there. Owns the lease's time and nothing of datasets; ownership.ts
// calls `renew`. Each renewal says what the disk says of itself (node-disk.ts).
//
// A dataset whose in-sync set is this node alone needs no running lease: its ownership leaves only through its owner's own
// durable promise. A lease held by another process under our id is different: then this process must not serve at all. And
// a disk that is older than what it said, or another than the node is known with, has durable words that may be worth
// nothing: then it serves nothing of its own (`disk`), until an operator accepts it (disk-acceptance.ts).

import type { Coordinator, LeaseResult, NodeInfo } from '../cluster/coordinator.ts';
import { type DiskChain, newestOf } from '../cluster/disk-chain.ts';
import type { Clock } from '../common/clock.ts';
import { isZringError, ZringError } from '../common/errors.ts';
import { Rounds } from '../common/rounds.ts';
import type { Logger } from '../telemetry/log.ts';
import type { DiskRefusal, NodeDisk } from './node-disk.ts';

export interface LeaseDeps {
  readonly node: string;
  /** Random per process. */
  readonly instance: string;
  readonly disk: NodeDisk;
  readonly coordinator: Coordinator;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly ttlMs: () => number;
  readonly info: () => NodeInfo;
  /** The disk has just been refused, in a process that may have served from it. */
  readonly onDiskRefused?: () => void;
}

export interface LeaseState {
  readonly remainingMs: number;
  /** Another process holds this node id. */
  readonly taken: boolean;
  /** What speaks against this node's disk; null = nothing. */
  readonly disk: DiskRefusal | null;
}

export class NodeLease {
  readonly #deps: LeaseDeps;
  readonly #rounds = new Rounds(() => this.#round());
  #expiresMs = Number.NEGATIVE_INFINITY;
  #taken = false;
  #asked = false;

  constructor(deps: LeaseDeps) {
    this.#deps = deps;
  }

  state(): LeaseState {
    const { clock, disk } = this.#deps;
    const remainingMs = Math.max(0, this.#expiresMs - clock.monotonicMs());
    return { remainingMs, taken: this.#taken, disk: disk.refusal };
  }

  /** This process, and no other, speaks for its node id now. */
  isHeld(): boolean {
    const { taken, remainingMs } = this.state();
    return !taken && remainingMs > 0;
  }

  get instance(): string {
    return this.#deps.instance;
  }

  /** Whether the coordinator has said anything, for or against, since this process began. */
  get asked(): boolean {
    return this.#asked;
  }

  /** May this node acknowledge and answer for a dataset with this in-sync set? */
  mayServe(inSync: readonly string[]): boolean {
    if (this.#taken || this.#deps.disk.refusal) return false;
    if (inSync.length <= 1) return true;
    return this.#expiresMs > this.#deps.clock.monotonicMs();
  }

  /** Why nothing that stands on this node's disk may be relied on; null = nothing speaks against it. */
  withheld(): ZringError | null {
    const { disk, node } = this.#deps;
    return disk.refusal && refused(node, disk.refusal);
  }

  /** One renewal that begins no earlier than this call; never throws. */
  renew(): Promise<void> {
    return this.#rounds.run().catch((error: unknown) => {
      // Unavailable or unknown: the lease runs on as it was; whether that is enough is asked per dataset.
      const code = isZringError(error) ? error.code : 'INTERNAL';
      this.#deps.logger.debug({ code }, 'lease not renewed');
    });
  }

  /**
   * Before a durable word leaves this node: a mark that was made after the word is heard, so whoever puts the disk back to
   * before that word is recognised, however soon. Errors: those of the coordinator, NODE_ID_TAKEN, DATASET_UNAVAILABLE,
   * STORAGE_UNAVAILABLE.
   */
  async confirm(): Promise<void> {
    const { disk } = this.#deps;
    const { made } = disk.progress;
    await this.#rounds.run();
    if (disk.progress.heard > made) return;
    throw new ZringError('STORAGE_UNAVAILABLE', 'the disk of this node takes no new mark now');
  }

  async #round(): Promise<void> {
    const { node, disk } = this.#deps;
    // Not even offered: a coordinator that has forgotten everything would take it.
    if (disk.refusal) throw refused(node, disk.refusal);
    const { pending } = disk;
    await this.#say(await disk.next());
    // That mark is older than this round, and so is a copy of the disk that may hold it.
    if (pending) await this.#say(await disk.next());
  }

  async #say(chain: DiskChain): Promise<void> {
    const { result, beforeMs } = await this.#acquire(chain);
    if (result.ok) this.#deps.disk.hear(chain);
    await this.#settle(result, beforeMs);
  }

  /** For an operator who is about to accept this disk: what is known by now. Errors: as `confirm`. */
  async probe(): Promise<void> {
    const { disk } = this.#deps;
    await this.#rounds.idle();
    if (disk.refusal) await this.#say(disk.current()).catch(passRefusals);
  }

  async #acquire(chain: DiskChain): Promise<{ readonly result: LeaseResult; readonly beforeMs: number }> {
    const { coordinator, node, instance, clock, disk } = this.#deps;
    const ttlMs = this.#deps.ttlMs();
    const beforeMs = clock.monotonicMs();
    const result = await coordinator.acquireLease(node, instance, ttlMs, this.#deps.info(), chain);
    if (result.ok || !('holder' in result) || result.holder !== disk.former) return { result, beforeMs };
    // Our predecessor is dead: whoever runs this holds the storage root's lock. Anybody else is another machine.
    await coordinator.releaseLease(node, result.holder);
    return { result: await coordinator.acquireLease(node, instance, ttlMs, this.#deps.info(), chain), beforeMs };
  }

  async #settle(result: LeaseResult, beforeMs: number): Promise<void> {
    const { node, logger, disk } = this.#deps;
    this.#asked = true;
    if (result.ok) {
      if (this.#taken) logger.warn({ node }, 'the lease of this node is ours again');
      this.#taken = false;
      this.#expiresMs = beforeMs + this.#deps.ttlMs();
      return;
    }
    if ('holder' in result) {
      if (!this.#taken)
        logger.error(
          { node, holder: result.holder },
          'NODE_ID_TAKEN: another process holds the lease of this node id; not serving',
        );
      this.#taken = true;
      throw new ZringError('NODE_ID_TAKEN', 'another process holds the lease of this node id');
    }
    this.#taken = false;
    this.#expiresMs = Number.NEGATIVE_INFINITY;
    const before = disk.refusal;
    const refusal = await disk.refuse(result.known);
    const error = refused(node, refusal);
    if (!before) {
      logger.error({ node, known: refusal.known, said: newestOf(disk.current()) }, error.message);
      this.#deps.onDiskRefused?.();
    }
    throw error;
  }

  async stop(): Promise<void> {
    await this.#rounds.idle();
    if (this.#taken || this.#deps.disk.refusal) return;
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

/** Why, and what an operator can do; the reason of every 503 that follows. */
export function diskReason(node: string, { why }: DiskRefusal): string {
  const what =
    why === 'went-back'
      ? `the disk of node ${node} is older than what it said (a snapshot or an old copy was put back)`
      : `node ${node} is known with another disk`;
  return `${what}; bring the right disk back, or see: zring disk show ${node}`;
}

function refused(node: string, refusal: DiskRefusal): ZringError {
  return new ZringError('DATASET_UNAVAILABLE', diskReason(node, refusal), { subject: node });
}

function passRefusals(error: unknown): void {
  if (!isZringError(error, 'DATASET_UNAVAILABLE') && !isZringError(error, 'NODE_ID_TAKEN')) throw error;
}

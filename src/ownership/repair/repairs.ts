// Repairs damaged data files of the datasets that this node owns (docs/REPAIR.md): one after the other, off the path of
// requests, with the bytes of the first node whose copy has the right ones. Owns the queue, what could not be repaired a
// moment ago, and who could not help. What is right the store says, by its index.
import type { Clock } from '../../common/clock.ts';
import { type ErrorCode, isZringError, ZringError } from '../../common/errors.ts';
import type { PeerTransport } from '../../common/peer.ts';
import type { StoreUpkeep } from '../../store/types.ts';
import type { Logger } from '../../telemetry/log.ts';
import type { Metrics } from '../../telemetry/metrics.ts';
import type { OwnershipLimits } from '../limits.ts';
import { METHODS } from '../peer-messages.ts';
import type { DatasetRunner } from '../runner.ts';

export interface RepairDeps {
  readonly self: string;
  readonly peers: PeerTransport;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly limits: Pick<OwnershipLimits, 'repairQueueMax' | 'repairRetryMs' | 'peerCallMs'>;
  /** Whom to ask, the likeliest first. */
  readonly candidates: (dataset: string) => readonly string[];
  readonly metrics?:
    | Pick<Metrics, 'blobsDamaged' | 'blobsRepaired' | 'repairFailures' | 'storeCorruptions'>
    | undefined;
}

/** `null` reason: it is as it should be now, or nobody refers to it any more. */
export interface RepairOutcome {
  readonly repaired: boolean;
  /** Why it is damaged still. */
  readonly reason: string | null;
}

const SOUND: RepairOutcome = { repaired: false, reason: null };
const UNREPAIRED_MAX = 10_000;

/** Of this node's own storage and ownership: no other node's bytes would change them. */
const OWN_FAULTS: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'STORAGE_FULL',
  'QUOTA_EXCEEDED',
  'STORAGE_UNAVAILABLE',
  'STORAGE_PERMISSION',
  'MOUNT_INVALID',
  'DATASET_UNAVAILABLE',
]);

export class Repairs {
  readonly #deps: RepairDeps;
  readonly #pending = new Map<string, Promise<RepairOutcome>>();
  /** Damaged still: when it was last tried (monotonic). */
  readonly #unrepaired = new Map<string, number>();
  /** Nodes that could not help with a dataset, and when they were asked. */
  readonly #helpless = new Map<string, number>();
  #tail: Promise<unknown> = Promise.resolve();
  #stopped = false;

  constructor(deps: RepairDeps) {
    this.#deps = deps;
  }

  /** A read has met damage. Never throws, and does nothing now. */
  noticed(runner: DatasetRunner, blob: string, reason: ZringError): void {
    const { metrics, limits, clock } = this.#deps;
    if (reason.code === 'STORAGE_CORRUPT') metrics?.storeCorruptions.inc();
    const triedMs = this.#unrepaired.get(keyOf(runner, blob));
    if (triedMs !== undefined && clock.monotonicMs() - triedMs < limits.repairRetryMs) return;
    if (this.#pending.size < limits.repairQueueMax) void this.repair(runner, blob);
  }

  /** Checks it, and repairs what is damaged; in turn. Never rejects. */
  repair(runner: DatasetRunner, blob: string): Promise<RepairOutcome> {
    const key = keyOf(runner, blob);
    const known = this.#pending.get(key);
    if (known) return known;
    const repairing = this.#tail
      .then(() => this.#repair(key, runner, blob))
      .catch((error: unknown) =>
        this.#failed(key, runner, blob, error instanceof Error ? error.message : String(error)),
      )
      .finally(() => this.#pending.delete(key));
    this.#tail = repairing;
    this.#pending.set(key, repairing);
    return repairing;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#tail;
  }

  async #repair(key: string, runner: DatasetRunner, blob: string): Promise<RepairOutcome> {
    const { metrics, logger } = this.#deps;
    const upkeep = runner.store?.upkeep;
    if (this.#stopped || !upkeep) throw new ZringError('DATASET_UNAVAILABLE', `${runner.dataset} is not open here`);
    const fault = await upkeep.checkFile(blob);
    if (!fault) {
      this.#unrepaired.delete(key);
      return SOUND;
    }
    if (!this.#unrepaired.has(key)) {
      metrics?.blobsDamaged.inc();
      logger.error({ dataset: runner.dataset, blob, reason: fault.message }, 'a data file is damaged');
    }
    const from = await this.#fetch(runner, blob, upkeep);
    if (from === null) return this.#failed(key, runner, blob, `${fault.message}; no other node has it whole`);
    this.#unrepaired.delete(key);
    if (from === 'gone') return SOUND;
    metrics?.blobsRepaired.inc();
    logger.warn({ dataset: runner.dataset, blob, from: from.node }, 'a damaged data file is repaired');
    return { repaired: true, reason: null };
  }

  /** Whose bytes were the right ones; null = nobody's. Errors: those of this node's own storage. */
  async #fetch(runner: DatasetRunner, blob: string, upkeep: StoreUpkeep): Promise<{ node: string } | 'gone' | null> {
    const { self, peers, limits, logger, candidates } = this.#deps;
    const { dataset } = runner;
    const request = { dataset, id: runner.state.copy?.id, blob };
    for (const node of candidates(dataset)) {
      if (node === self || this.#isHelpless(runner, node)) continue;
      if (this.#stopped) throw new ZringError('SHUTTING_DOWN', 'this node is stopping');
      try {
        const { body } = await peers.stream(node, METHODS.blob, request, { timeoutMs: limits.peerCallMs });
        const done = await this.#take(upkeep, blob, body);
        return done === 'gone' ? 'gone' : { node };
      } catch (error) {
        if (error instanceof OwnFault) throw error.cause;
        if (!isZringError(error, 'OBJECT_MISSING')) this.#noteHelpless(runner, node, error);
        logger.info({ err: error, dataset, blob, node }, 'no help with a damaged data file');
      }
    }
    return null;
  }

  async #take(upkeep: StoreUpkeep, blob: string, body: Parameters<StoreUpkeep['repairFile']>[1]) {
    return upkeep.repairFile(blob, body).catch((error: unknown) => {
      const isOwn = error instanceof ZringError && OWN_FAULTS.has(error.code);
      throw isOwn ? new OwnFault(error.message, { cause: error }) : error;
    });
  }

  /** What it offered for one file says nothing of the next; that it has no copy, or is not there, does. */
  #noteHelpless({ state }: DatasetRunner, node: string, error: unknown): void {
    if (isZringError(error, 'STORAGE_CORRUPT') || isZringError(error, 'STORAGE_UNAVAILABLE')) return;
    if (this.#helpless.size >= UNREPAIRED_MAX) this.#helpless.clear();
    this.#helpless.set(`${state.copy?.id} ${node}`, this.#deps.clock.monotonicMs());
  }

  #isHelpless({ state }: DatasetRunner, node: string): boolean {
    const askedMs = this.#helpless.get(`${state.copy?.id} ${node}`);
    return askedMs !== undefined && this.#deps.clock.monotonicMs() - askedMs < this.#deps.limits.repairRetryMs;
  }

  #failed(key: string, { dataset }: DatasetRunner, blob: string, reason: string): RepairOutcome {
    const { metrics, clock, logger } = this.#deps;
    if (this.#stopped) return { repaired: false, reason: 'this node is stopping' };
    metrics?.repairFailures.inc();
    if (this.#unrepaired.size >= UNREPAIRED_MAX) this.#unrepaired.clear();
    this.#unrepaired.set(key, clock.monotonicMs());
    logger.error({ dataset, blob, reason }, 'a damaged data file could not be repaired');
    return { repaired: false, reason };
  }
}

class OwnFault extends Error {}

/** By the dataset's id: another one of the name has other files. */
function keyOf({ state }: DatasetRunner, blob: string): string {
  return `${state.copy?.id} ${blob}`;
}

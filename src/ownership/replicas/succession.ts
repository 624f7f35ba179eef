// A replica takes the place of an owner that is lost for good, by an operator's word: what that would lose, and doing it.
// Without such a word nobody may: what the owner acknowledged since the replica's last snapshot stands nowhere else (I2, I3).
// Owns nothing; the copy changes through its machine (`seize`). docs/REPLICAS.md.
import type { Coordinator } from '../../cluster/coordinator.ts';
import type { OwnershipRecord } from '../../cluster/record.ts';
import { ZringError } from '../../common/errors.ts';
import type { PeerTransport } from '../../common/peer.ts';
import { compareTerms, formatTerm } from '../../common/term.ts';
import type { DatasetDriver } from '../../dataset/driver.ts';
import type { CatalogKeeper } from '../catalog-keeper.ts';
import type { OwnershipLimits } from '../limits.ts';
import { METHODS, readDescription } from '../peer-messages.ts';
import type { DatasetRunner } from '../runner.ts';
import { whenIdle } from '../runners.ts';

export interface SuccessionReport {
  readonly kind: 'replica';
  readonly dataset: string;
  /** Where the replica stands that would be served. */
  readonly node: string;
  /** The owner that would be given up; null when no record of it is known. */
  readonly owner: string | null;
  readonly term: string | null;
  /** What the replica holds: everything that was acknowledged until this snapshot was taken, and nothing later. */
  readonly snapshot: string;
  readonly snapshotMs: number;
  /** Nothing had been written since by this time, if that is known; wall clock. */
  readonly currentMs: number | null;
  /** Why it cannot take over now; null = it can. */
  readonly refused: string | null;
}

export interface SuccessionDeps {
  readonly self: string;
  readonly coordinator: Coordinator;
  readonly driver: DatasetDriver;
  readonly peers: PeerTransport;
  readonly limits: Pick<OwnershipLimits, 'peerCallMs'>;
  readonly catalog: Pick<CatalogKeeper, 'entry'>;
  /** Errors: NODE_ID_TAKEN, DATASET_UNAVAILABLE: this process, or its disk, does not speak for the node. */
  readonly confirm: () => Promise<void>;
  readonly find: (dataset: string) => DatasetRunner | undefined;
  /** When the replica was last known to lack nothing. */
  readonly currentMs: (dataset: string, id: string) => number | null;
}

/** Is there a copy here that could succeed its owner? */
export function isReplica(runner: DatasetRunner | undefined): runner is DatasetRunner {
  const role = runner?.state.copy?.role;
  return role === 'receiving' || role === 'prior';
}

export class Succession {
  readonly #deps: SuccessionDeps;

  constructor(deps: SuccessionDeps) {
    this.#deps = deps;
  }

  /** Errors: DATASET_MISSING (no replica of it here, or none that was received whole), and those of the coordinator. */
  async report(dataset: string): Promise<SuccessionReport> {
    const { self, coordinator, driver, catalog, find, currentMs } = this.#deps;
    const runner = find(dataset);
    const id = isReplica(runner) ? runner.state.copy?.id : undefined;
    const newest = id === undefined ? undefined : (await driver.snapshots(dataset)).at(-1);
    if (id === undefined || !newest) {
      throw new ZringError('DATASET_MISSING', `node ${self} has no replica of ${dataset}`, { subject: dataset });
    }
    const told = (await coordinator.readRecord(dataset))?.record ?? null;
    // A restored dump may name an owner of long ago.
    const record = newer(told, catalog.entry(dataset)?.record ?? null);
    const alive = new Map((await coordinator.leases()).map(({ node, remainingMs }) => [node, remainingMs]));
    return {
      kind: 'replica',
      dataset,
      node: self,
      owner: record?.owner ?? null,
      term: record && formatTerm(record.term),
      snapshot: newest.name,
      snapshotMs: newest.createdMs,
      currentMs: currentMs(dataset, id),
      refused: refusalOf(self, id, record, alive) ?? (await this.#answers(dataset, id, record)),
    };
  }

  /** An owner without a lease may be there all the same: the coordinator has lost its data, or is not reached from there. */
  async #answers(dataset: string, id: string, record: OwnershipRecord | null): Promise<string | null> {
    const { self, peers, limits } = this.#deps;
    if (record === null || record.owner === self) return null;
    try {
      const answer = await peers.call(
        record.owner,
        METHODS.describe,
        { dataset, id },
        { timeoutMs: limits.peerCallMs },
      );
      if (readDescription(answer).role !== 'owner') return null;
      return `its owner, node ${record.owner}, answers; stop that node first if its storage is lost`;
    } catch {
      return null;
    }
  }

  /**
   * Returns what was taken over. Errors: as `report` and `confirm`; DATASET_BUSY (`refused`), STORAGE_UNAVAILABLE; then it is
   * as it was, or the record names this node and the next call ends it.
   */
  async accept(dataset: string): Promise<SuccessionReport> {
    const { driver, find, confirm, self } = this.#deps;
    await confirm();
    const report = await this.report(dataset);
    if (report.refused !== null) throw new ZringError('DATASET_BUSY', report.refused, { subject: dataset });
    const runner = find(dataset);
    const id = runner?.state.copy?.id;
    if (!runner || id === undefined) throw new ZringError('DATASET_BUSY', `${dataset} has just changed; try again`);
    runner.dispatch({ on: 'cancel-pull' });
    await whenIdle(runner);
    await runner.onDisk(async () => {
      if (!isReplica(runner) || runner.state.phase.at !== 'idle') return;
      // What an increment that was cut may have left after its snapshot (zfs-fuse) is not served.
      const newest = (await driver.snapshots(dataset)).at(-1);
      if (!newest) return;
      await driver.close(dataset);
      await driver.rollback(dataset, newest.name);
    });
    runner.dispatch({ on: 'seize', id, owner: report.owner ?? self });
    await whenIdle(runner);
    const { copy } = runner.state;
    if (copy?.id === id && copy.role === 'owner') return report;
    const message = `${dataset} could not be taken over; see the log of node ${self}`;
    throw new ZringError('STORAGE_UNAVAILABLE', message, { subject: dataset });
  }
}

/** By their terms; of different datasets of the name, the coordinator's counts. */
function newer(told: OwnershipRecord | null, known: OwnershipRecord | null): OwnershipRecord | null {
  if (told === null || known === null) return told ?? known;
  return told.id === known.id && compareTerms(known.term, told.term) > 0 ? known : told;
}

function refusalOf(
  self: string,
  id: string,
  record: OwnershipRecord | null,
  aliveMs: ReadonlyMap<string, number>,
): string | null {
  if (record === null) return null;
  if (record.id !== id) return `another bucket of this name exists, owned by ${record.owner}`;
  if (record.phase === 'deleted') return 'it was deleted since';
  if (record.owner === self) return null;
  const remainingMs = aliveMs.get(record.owner);
  if (remainingMs !== undefined) {
    const s = Math.ceil(remainingMs / 1000);
    return `its owner, node ${record.owner}, is alive, or was a moment ago (stop it if only its storage is lost): its lease runs for ${s} s more`;
  }
  if (record.phase === 'draining' && record.target !== null && record.target !== self && aliveMs.has(record.target)) {
    return `node ${record.target}, which is alive, was taking it over and may hold more: give it time, or ask with --node ${record.target}`;
  }
  return null;
}

// An operator takes a disk as it is, though it went back in time or is another than the node was known with: what that
// means for each dataset, and doing it. Owns nothing; the copies change through their machines (`accept-disk`).
//
// Crash points: copies first, the node's word last. Before the word the disk is refused as before, and accepting again
// raises the terms once more, which harms nobody.
import type { Coordinator } from '../cluster/coordinator.ts';
import type { OwnershipRecord } from '../cluster/record.ts';
import { ZringError } from '../common/errors.ts';
import { formatTerm } from '../common/term.ts';
import { liveRecords } from './catalog.ts';
import type { CatalogKeeper } from './catalog-keeper.ts';
import { diskReason, type NodeLease } from './lease.ts';
import type { DiskRefusal, NodeDisk } from './node-disk.ts';
import { planPublication } from './publication.ts';
import type { DatasetRunner } from './runner.ts';
import type { Copy, Role } from './state.ts';

/**
 * accepted   served again from this copy, under a term above all that were heard of; what it lacks is lost.
 * set-aside  another node owns it at a higher term, or it is deleted: renamed, never destroyed.
 * asked      promised to another node, which has the word as before.
 * refused    it was being taken over and the record does not say that it was: the node that promised goes on.
 * conflict   the record is of another dataset of this name: nothing is changed.
 */
export type DiskOutcome = 'accepted' | 'set-aside' | 'asked' | 'refused' | 'conflict';

export interface DiskDataset {
  readonly dataset: string;
  readonly role: Role;
  readonly term: string;
  /** Null: no record is known. */
  readonly recordTerm: string | null;
  readonly recordOwner: string | null;
  readonly outcome: DiskOutcome;
}

export interface DiskReport {
  readonly node: string;
  readonly refused: DiskRefusal | null;
  /** In words; null while nothing speaks against this disk. */
  readonly reason: string | null;
  /** Those that accepting would change; of a disk that is not refused, those whose record is above the copy. */
  readonly datasets: readonly DiskDataset[];
  /** Records name this node as the owner, and no such copy stands here: 503, until a disk that holds them is back. */
  readonly missing: readonly string[];
  /** Nodes that have not reported since the coordinator lost its records: one of them may own what seems to be ours. */
  readonly unheard: readonly string[];
}

export interface DiskAcceptanceDeps {
  readonly self: string;
  readonly coordinator: Coordinator;
  readonly catalog: CatalogKeeper;
  readonly disk: NodeDisk;
  readonly lease: NodeLease;
  readonly members: () => readonly string[];
  readonly runners: () => Iterable<DatasetRunner>;
  /** Ends the runner of the dataset and makes another from what stands on the disk. */
  readonly rebuild: (dataset: string) => Promise<DatasetRunner>;
  /** Nothing speaks against this disk any more. */
  readonly onLifted: () => void;
}

/** A step of the machine under way ends, or its storage does not answer. */
const STEP_MS = 60_000;

export class DiskAcceptance {
  readonly #deps: DiskAcceptanceDeps;
  #running: Promise<DiskReport> | null = null;

  constructor(deps: DiskAcceptanceDeps) {
    this.#deps = deps;
  }

  /** Errors: those of the coordinator: what will be lost cannot be said without the records. */
  async report(): Promise<DiskReport> {
    const { self, coordinator, catalog, disk } = this.#deps;
    await catalog.sync();
    const { complete, reported } = await coordinator.state();
    const { refusal } = disk;
    const datasets: DiskDataset[] = [];
    const here = new Set<string>();
    for (const { dataset, state } of this.#deps.runners()) {
      const { copy } = state;
      if (copy?.role !== 'owner' && copy?.role !== 'prepared') continue;
      here.add(`${dataset} ${copy.id}`);
      const record = catalog.entry(dataset)?.record ?? null;
      const judged = judge(self, dataset, copy, catalog.isBuried(copy.id), record);
      if (!refusal && !judged.wentBack) continue;
      datasets.push({
        dataset,
        role: copy.role,
        term: formatTerm(copy.term),
        recordTerm: record && formatTerm(record.term),
        recordOwner: record?.owner ?? null,
        outcome: judged.outcome,
      });
    }
    const owned = liveRecords(catalog.catalog).filter(({ owner, id }) => owner === self && !catalog.isBuried(id));
    return {
      node: self,
      refused: refusal,
      reason: refusal && diskReason(self, refusal),
      datasets: datasets.sort((a, b) => (a.dataset < b.dataset ? -1 : 1)),
      missing: owned.filter(({ dataset, id }) => !here.has(`${dataset} ${id}`)).map(({ dataset }) => dataset),
      unheard: complete ? [] : this.#deps.members().filter((node) => node !== self && !reported.includes(node)),
    };
  }

  /**
   * `evenUnheard`: although a node that has not reported may own what is accepted here. Returns what was accepted. Errors:
   * those of the coordinator, CATALOG_INCOMPLETE, NODE_ID_TAKEN, STORAGE_*; then the node is as it was.
   */
  accept({ evenUnheard = false } = {}): Promise<DiskReport> {
    this.#running ??= this.#accept(evenUnheard).finally(() => {
      this.#running = null;
    });
    return this.#running;
  }

  async #accept(evenUnheard: boolean): Promise<DiskReport> {
    const { disk, lease, onLifted } = this.#deps;
    const wasRefused = disk.refusal !== null;
    // What the disk is compared with may have grown, or another process may be serving under this id by now.
    if (wasRefused) await lease.probe();
    await this.#requireAlone();
    const report = await this.report();
    if (report.unheard.length > 0 && !evenUnheard) {
      const message = `not every node has reported since the coordinator lost its records: ${report.unheard.join(', ')}`;
      throw new ZringError('CATALOG_INCOMPLETE', message);
    }
    for (const { dataset, outcome } of report.datasets) {
      if (outcome === 'accepted' || outcome === 'refused') await this.#acceptCopy(dataset);
    }
    if (!wasRefused) return report;
    await disk.accept();
    // What stood still stands still for ever: every machine begins anew from its disk.
    for (const { dataset } of [...this.#deps.runners()]) await this.#deps.rebuild(dataset);
    // Best effort: the word stands on the disk, and the next renewal says it again.
    await lease.renew();
    onLifted();
    return report;
  }

  /** The right disk may be in use this very moment. Errors: NODE_ID_TAKEN. */
  async #requireAlone(): Promise<void> {
    const { self, coordinator, lease } = this.#deps;
    const held = (await coordinator.leases()).find(({ node }) => node === self);
    if (!held || held.instance === lease.instance) return;
    const seconds = Math.ceil(held.remainingMs / 1000);
    const message = `another process holds the lease of node ${self}: stop it first; it runs for ${seconds} s more`;
    throw new ZringError('NODE_ID_TAKEN', message, { subject: self });
  }

  async #acceptCopy(dataset: string): Promise<void> {
    const runner = await this.#deps.rebuild(dataset);
    runner.accepting = true;
    const before = runner.state.copy;
    runner.dispatch({ on: 'accept-disk' });
    while (runner.busy) await runner.changed(STEP_MS);
    runner.accepting = false;
    if (runner.state.phase.at === 'idle' && runner.state.copy !== before) return;
    throw new ZringError('STORAGE_UNAVAILABLE', `${dataset} could not be accepted; see the log of this node`, {
      subject: dataset,
    });
  }
}

function judge(
  self: string,
  dataset: string,
  copy: Copy,
  buried: boolean,
  record: OwnershipRecord | null,
): { readonly outcome: DiskOutcome; readonly wentBack: boolean } {
  if (copy.role === 'prepared') {
    const committed = record?.id === copy.id && record.owner === self && record.phase !== 'deleted';
    return { outcome: committed ? 'accepted' : 'refused', wentBack: false };
  }
  const { kind } = planPublication(self, dataset, copy, buried, record);
  if (kind === 'deposed') return { outcome: 'set-aside', wentBack: false };
  if (kind === 'conflict') return { outcome: 'conflict', wentBack: false };
  return { outcome: copy.promise ? 'asked' : 'accepted', wentBack: kind === 'went-back' };
}

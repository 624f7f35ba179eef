// An operator takes back a bucket that was promised to a node which is lost for good: what that means, and doing it. Without
// such a word nobody may: the lost node may have taken it over and acknowledged writes that stand nowhere else (I2, I3).
// Owns nothing; the copy changes through its machine (`take-back`).
import type { Coordinator } from '../cluster/coordinator.ts';
import type { OwnershipRecord } from '../cluster/record.ts';
import { ZringError } from '../common/errors.ts';
import { compareTerms, formatTerm } from '../common/term.ts';
import { isReplica, type Succession, type SuccessionReport } from './replicas/succession.ts';
import type { DatasetRunner } from './runner.ts';
import { whenIdle } from './runners.ts';
import type { HandoffPromise } from './state.ts';

/**
 * none       the record shows that the other node never took it over: nothing was acknowledged there.
 * possible   the coordinator has lost its data since, so the record proves nothing.
 * certain    the other node took it over: whatever it acknowledged since then is given up.
 */
export type TakeoverLoss = 'none' | 'possible' | 'certain';

export interface TakeoverReport {
  readonly kind: 'promise';
  readonly dataset: string;
  /** Where the copy stands that would be served. */
  readonly node: string;
  readonly promisedTo: string;
  /** Of the promise; the copy holds everything that was acknowledged up to it. */
  readonly term: string;
  readonly recordOwner: string | null;
  readonly recordTerm: string | null;
  readonly loss: TakeoverLoss;
  /** Why it cannot be taken back now; null = it can. */
  readonly refused: string | null;
}

export interface TakeoverDeps {
  readonly self: string;
  readonly coordinator: Coordinator;
  /** Errors: NODE_ID_TAKEN, DATASET_UNAVAILABLE: this process, or its disk, does not speak for the node. */
  readonly confirm: () => Promise<void>;
  readonly find: (dataset: string) => DatasetRunner | undefined;
  readonly succession: Succession;
}

export class Takeover {
  readonly #deps: TakeoverDeps;

  constructor(deps: TakeoverDeps) {
    this.#deps = deps;
  }

  /** Errors: DATASET_MISSING (neither a promised copy nor a replica of it here), and those of the coordinator. */
  async report(dataset: string): Promise<TakeoverReport | SuccessionReport> {
    const { find, succession } = this.#deps;
    return isReplica(find(dataset)) ? succession.report(dataset) : this.#report(dataset);
  }

  async #report(dataset: string): Promise<TakeoverReport> {
    const { self, coordinator } = this.#deps;
    const { promise, id } = this.#promised(dataset);
    const state = await coordinator.state();
    const record = (await coordinator.readRecord(dataset))?.record ?? null;
    const held = (await coordinator.leases()).find(({ node }) => node === promise.to);
    return {
      kind: 'promise',
      dataset,
      node: self,
      promisedTo: promise.to,
      term: formatTerm(promise.term),
      recordOwner: record?.owner ?? null,
      recordTerm: record && formatTerm(record.term),
      loss: lossOf(promise, id, record, state.complete),
      refused: refusalOf(promise, id, record, held ? Math.ceil(held.remainingMs / 1000) : null),
    };
  }

  /**
   * Returns what was taken back. Errors: as `report` and `confirm`; DATASET_BUSY (`refused`), STORAGE_UNAVAILABLE; then it is
   * as it was.
   */
  async accept(dataset: string): Promise<TakeoverReport | SuccessionReport> {
    const { find, succession } = this.#deps;
    if (isReplica(find(dataset))) return succession.accept(dataset);
    await this.#deps.confirm();
    const report = await this.#report(dataset);
    if (report.refused !== null) throw new ZringError('DATASET_BUSY', report.refused, { subject: dataset });
    const { runner, id } = this.#promised(dataset);
    await whenIdle(runner);
    runner.dispatch({ on: 'take-back', id });
    await whenIdle(runner);
    const { copy } = runner.state;
    if (copy?.id === id && copy.role === 'owner' && copy.promise === null) return report;
    const message = `${dataset} could not be taken back; see the log of node ${this.#deps.self}`;
    throw new ZringError('STORAGE_UNAVAILABLE', message, { subject: dataset });
  }

  #promised(dataset: string): { runner: DatasetRunner; promise: HandoffPromise; id: string } {
    const runner = this.#deps.find(dataset);
    const copy = runner?.state.copy;
    if (runner && copy?.promise) return { runner, promise: copy.promise, id: copy.id };
    const message = `no copy of ${dataset} on node ${this.#deps.self} is promised to another node`;
    throw new ZringError('DATASET_MISSING', message, { subject: dataset });
  }
}

/** Committing the record comes before adopting: a record that stayed as it was shows that nothing was taken over. */
function lossOf(promise: HandoffPromise, id: string, record: OwnershipRecord | null, complete: boolean): TakeoverLoss {
  if (record?.id === id && record.owner === promise.to && compareTerms(record.term, promise.term) > 0) return 'certain';
  return complete && record?.id === id ? 'none' : 'possible';
}

function refusalOf(
  promise: HandoffPromise,
  id: string,
  record: OwnershipRecord | null,
  aliveForS: number | null,
): string | null {
  if (aliveForS !== null)
    return `node ${promise.to} is alive, or was a moment ago: its lease runs for ${aliveForS} s more`;
  if (record === null) return null;
  if (record.id !== id) return `another bucket of this name exists, owned by ${record.owner}`;
  if (record.phase === 'deleted') return 'it was deleted since';
  const above = compareTerms(record.term, promise.term) > 0;
  if (above && record.owner !== promise.to && record.owner !== promise.term.node)
    return `node ${record.owner} owns it since`;
  return null;
}

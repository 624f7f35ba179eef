// Tells a new incarnation of the coordinator what this node owns and which ids are gone for good, then says so. Owns
// nothing. Until every node of the map has done this, nobody may conclude that a dataset does not exist.
import type { Coordinator } from '../cluster/coordinator.ts';
import type { OwnershipRecord } from '../cluster/record.ts';
import type { Logger } from '../telemetry/log.ts';
import type { CatalogKeeper } from './catalog-keeper.ts';
import { isVoid, planPublication } from './publication.ts';
import type { DatasetRunner } from './runner.ts';
import type { Copy } from './state.ts';

export interface ReportDeps {
  readonly coordinator: Coordinator;
  readonly catalog: CatalogKeeper;
  readonly logger: Logger;
  readonly runners: () => Iterable<DatasetRunner>;
}

const RACES_MAX = 16;

/** Errors: those of the coordinator; then nothing is marked, and the next round tries again. So if anything is open yet. */
export async function report(deps: ReportDeps): Promise<void> {
  const { incarnation } = deps.catalog.catalog;
  for (const runner of deps.runners()) if (!(await publish(deps, runner))) return;
  await publishTombstones(deps);
  if (deps.catalog.catalog.incarnation !== incarnation) return;
  await deps.catalog.reported();
  deps.logger.info({ incarnation }, 'datasets reported to the coordinator');
}

/** False: it exists, and the coordinator does not say so yet. */
async function publish(deps: ReportDeps, runner: DatasetRunner): Promise<boolean> {
  const { coordinator, catalog } = deps;
  for (let races = 0; races < RACES_MAX; races++) {
    const { copy } = runner.state;
    // `creating` is not reported: nobody has heard that it exists, and its own resolution reads the record.
    if (copy?.role !== 'owner' && copy?.role !== 'prepared') return true;
    const current = await coordinator.readRecord(runner.dataset);
    // Taken over, and nobody else may speak for it any more (its former owner has let go): the machine commits it next.
    if (copy.role === 'prepared') return !isStillToCommit(copy, current?.record ?? null);
    const known = catalog.entry(runner.dataset)?.record ?? null;
    const base = current?.record ?? null;
    const plan = planPublication(runner.state.self, runner.dataset, copy, catalog.isBuried(copy.id), base);
    if (plan.kind !== 'put') {
      if (current) catalog.learn(current);
      return true;
    }
    // A flushed coordinator has lost the pin; this node may remember it.
    const pin = base === null && known?.id === copy.id ? known.pin : plan.next.pin;
    const result = await coordinator.casRecord(runner.dataset, current?.tag ?? null, { ...plan.next, pin });
    const tagged = result.ok ? result.value : result.current;
    if (tagged) catalog.learn(tagged);
    if (result.ok) return true;
  }
  return false;
}

/** Nothing alive stands there, and the machine will write the record of this prepared copy over what does (`committed`). */
export function isStillToCommit(copy: Copy, current: OwnershipRecord | null): boolean {
  if (current === null) return true;
  if (current.phase !== 'deleted') return false;
  return current.id === copy.id ? isVoid(current) : current.term.n < copy.term.n;
}

/** Also called in every round: a living record under a buried id is the past, wherever it comes from. */
export async function publishTombstones(deps: Pick<ReportDeps, 'coordinator' | 'catalog'>): Promise<void> {
  for (const { record, tag } of deps.catalog.unpublishedTombstones()) {
    const result = await deps.coordinator.casRecord(record.dataset, tag, record);
    const tagged = result.ok ? result.value : result.current;
    if (tagged) deps.catalog.learn(tagged);
  }
}

// The ownership methods that other nodes call: what is here, a snapshot to pull, its stream, the drain, the words about a
// promise. Owns nothing; every answer comes from the machine of the dataset or from its disk. The record's word about who
// pulls is checked by the machine (transitions), not here.
import { type NotOwnerDetails, ZringError } from '../common/errors.ts';
import type { PeerMethods } from '../common/peer.ts';
import { formatTerm } from '../common/term.ts';
import type { DatasetDriver } from '../dataset/driver.ts';
import { type CopyDescription, Fields, METHODS, readAsked, type SnapshotRef, writePromise } from './peer-messages.ts';
import { isSound } from './publication.ts';
import type { Replicas } from './replicas/replicas.ts';
import { takeShared } from './replicas/shared-snapshots.ts';
import type { DatasetRunner } from './runner.ts';
import { HOLD_TAG, isStepOf, KEEP_TAG, stepName } from './snapshot-names.ts';
import type { Copy, HandoffPromise } from './state.ts';

export interface HandoffServerDeps {
  readonly driver: DatasetDriver;
  readonly runner: (dataset: string) => DatasetRunner;
  readonly salt: () => string;
  readonly notOwner: (dataset: string) => NotOwnerDetails;
  /** Why nothing that stands on this node's disk may be relied on; null = nothing speaks against it. */
  readonly withheld: () => ZringError | null;
  /** Before a durable word leaves this node (lease.ts). */
  readonly confirm: () => Promise<void>;
  readonly witness: (request: unknown) => unknown;
  /** An owner says that this node is the home of the dataset. */
  readonly onPoke: (dataset: string) => void;
  readonly onSent?: (bytes: number) => void;
  readonly replicas: Pick<Replicas, 'book' | 'shared'>;
}

export function handoffMethods(deps: HandoffServerDeps): PeerMethods {
  const at = (request: unknown, method: string) => {
    const withheld = deps.withheld();
    if (withheld) throw withheld;
    const fields = new Fields(request, method);
    return { fields, runner: deps.runner(fields.dataset()), dataset: fields.dataset() };
  };
  return {
    calls: {
      [METHODS.describe]: async (request) => {
        const { fields, runner } = at(request, METHODS.describe);
        return describe(deps, runner, fields.id());
      },
      [METHODS.snapshot]: async (request, from) => {
        const { fields, runner } = at(request, METHODS.snapshot);
        await requireTakesAll(deps, runner, fields, from);
        if (fields.flag('shared')) return shareStep(deps, runner, fields.id());
        return takeStep(deps, runner, { id: fields.id(), from, have: fields.textOrNull('have') });
      },
      [METHODS.current]: async (request, from) => {
        const withheld = deps.withheld();
        if (withheld) throw withheld;
        return { behind: deps.replicas.book.answer(from, readAsked(request)) };
      },
      [METHODS.drain]: async (request, from) => {
        const { fields, runner } = at(request, METHODS.drain);
        await requireTakesAll(deps, runner, fields, from);
        const id = fields.id();
        const promise = await runner.request((key) => ({ on: 'drain', request: key, from, id }));
        await deps.confirm();
        return writePromise(promise as HandoffPromise);
      },
      [METHODS.refuse]: async (request, from) => {
        const { fields, runner } = at(request, METHODS.refuse);
        const id = fields.id();
        const n = fields.count('n');
        const verdict = await runner.request((key) => ({ on: 'refuse-asked', request: key, from, id, n }));
        if (verdict !== 'pending') await deps.confirm();
        return { verdict };
      },
      [METHODS.released]: async (request, from) => {
        const { fields, runner } = at(request, METHODS.released);
        runner.dispatch({ on: 'told-released', from, id: fields.id(), n: fields.count('n') });
        return {};
      },
      [METHODS.refused]: async (request, from) => {
        const { fields, runner } = at(request, METHODS.refused);
        runner.dispatch({ on: 'told-refused', from, id: fields.id(), n: fields.count('n') });
        return {};
      },
      [METHODS.witness]: async (request) => deps.witness(request),
      [METHODS.poke]: async (request) => {
        deps.onPoke(at(request, METHODS.poke).dataset);
        return {};
      },
    },
    streams: {
      [METHODS.stream]: async (request, from, signal) => {
        const { fields, runner, dataset } = at(request, METHODS.stream);
        const id = fields.id();
        const accepts = acceptedCompressions(request);
        const asked = { snapshot: fields.text('snapshot'), fromGuid: fields.textOrNull('fromGuid'), signal };
        const options = { ...asked, ...(accepts && { accepts }) };
        requireCopy(deps, runner, id);
        runner.dispatch({ on: 'contact', from });
        const estimate = await deps.driver.estimateSend(dataset, options);
        const { stream, done } = await deps.driver.send(dataset, options);
        stream.once('close', runner.lent.begin(from, asked.snapshot));
        // A sender that fails after its last byte must not end the body well.
        done.catch((error: Error) => stream.destroy(error));
        stream.on('data', (chunk: Buffer) => deps.onSent?.(chunk.length)).pause();
        return { head: { estimate }, body: stream };
      },
    },
  };
}

/** A puller of an earlier release would leave the bucket's own snapshots behind, to be lost with the copy here. */
async function requireTakesAll(
  { driver }: HandoffServerDeps,
  { dataset, state }: DatasetRunner,
  fields: Fields,
  from: string,
): Promise<void> {
  if (fields.flag('takesAll') || state.copy?.role !== 'owner') return;
  const [kept] = await driver.heldWith(dataset, KEEP_TAG);
  if (kept === undefined) return;
  const message = `${dataset} has snapshots (${kept}), which the release of node ${from} would leave behind; upgrade it`;
  throw new ZringError('DATASET_BUSY', message, { subject: dataset });
}

/** Not said by earlier releases. */
function acceptedCompressions(request: unknown): readonly string[] | null {
  const { accepts } = (request ?? {}) as { accepts?: unknown };
  return Array.isArray(accepts) ? accepts.filter((name) => typeof name === 'string') : null;
}

async function describe(deps: HandoffServerDeps, runner: DatasetRunner, id: string): Promise<CopyDescription> {
  const { copy } = runner.state;
  const nothing = {
    role: null,
    term: null,
    promised: false,
    createdMs: 0,
    creator: null,
    sendsAll: true,
    snapshots: [],
  };
  if (copy?.id !== id) return nothing;
  const snapshots = await deps.driver.snapshots(runner.dataset);
  const kept = await deps.driver.heldWith(runner.dataset, KEEP_TAG);
  return {
    role: copy.role,
    term: formatTerm(copy.term),
    promised: copy.promise !== null,
    createdMs: copy.createdMs,
    creator: copy.creator,
    sendsAll: true,
    snapshots: snapshots.map(({ name, guid }) => ({ name, guid, kept: kept.has(name) })),
  };
}

/** A snapshot for one copying round. `have` is what the puller already holds; its older steps are dropped. */
async function takeStep(
  deps: HandoffServerDeps,
  runner: DatasetRunner,
  request: { id: string; from: string; have: string | null },
): Promise<{ name: string; guid: string }> {
  const { driver, salt } = deps;
  const { dataset } = runner;
  return atRest(
    deps,
    runner,
    request.id,
    async () => {
      runner.dispatch({ on: 'contact', from: request.from });
      await dropSteps(driver, dataset, request.from, request.have);
      // An open store is copied through itself; a closed one stays closed while this queue runs.
      const snapshot = await driver.snapshot(dataset, stepName(request.from, salt()), runner.store ?? undefined);
      await driver.hold(dataset, snapshot.name, HOLD_TAG);
      return { name: snapshot.name, guid: snapshot.guid };
    },
    {},
  );
}

/** What all copies have in common, as new as the dataset. */
function shareStep(deps: HandoffServerDeps, runner: DatasetRunner, id: string) {
  // A promised one is as new as it gets.
  return atRest(deps, runner, id, () => takeShared(deps.replicas.shared, runner, id), { ageMs: 0 });
}

/** What was promised is the newest there will be; else the task, alone on the disk. */
async function atRest<T extends SnapshotRef>(
  deps: HandoffServerDeps,
  runner: DatasetRunner,
  id: string,
  task: () => Promise<T>,
  also: Omit<T, keyof SnapshotRef>,
): Promise<SnapshotRef & Omit<T, keyof SnapshotRef>> {
  const promised = () => {
    const { promise } = requireOwner(deps, runner, id);
    return promise && { name: promise.snapshot, guid: promise.guid, ...also };
  };
  return (
    promised() ??
    runner.onDisk(async () => {
      const known = promised();
      if (known) return known;
      const { at } = runner.state.phase;
      // Nothing comes after the final snapshot, promised or not yet.
      if (at === 'sealing' || at === 'promising') {
        throw new ZringError('DATASET_BUSY', `${runner.dataset} is ${at}`, { subject: runner.dataset });
      }
      return task();
    })
  );
}

/**
 * The newest stays too: this question may be one that was asked before the puller got that step, and was long on its way;
 * without it the two would have nothing in common, and all would be sent again.
 */
async function dropSteps(driver: DatasetDriver, dataset: string, puller: string, have: string | null): Promise<void> {
  const steps = (await driver.snapshots(dataset)).filter(({ name }) => isStepOf(name, puller));
  for (const { name, guid } of steps.slice(0, -1)) {
    if (guid === have) continue;
    await driver.release(dataset, name, HOLD_TAG);
    await driver.destroySnapshot(dataset, name);
  }
}

function requireCopy(deps: HandoffServerDeps, runner: DatasetRunner, id: string): Copy {
  const { copy } = runner.state;
  if (copy?.id === id) return copy;
  throw new ZringError('NOT_OWNER', `no copy of ${runner.dataset} here`, { details: deps.notOwner(runner.dataset) });
}

function requireOwner(deps: HandoffServerDeps, runner: DatasetRunner, id: string): Copy {
  const copy = requireCopy(deps, runner, id);
  if (copy.role === 'owner' && !copy.deleting && isSound(runner.state)) return copy;
  throw new ZringError('NOT_OWNER', `${runner.dataset} is not owned here`, { details: deps.notOwner(runner.dataset) });
}

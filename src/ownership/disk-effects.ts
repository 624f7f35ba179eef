// Effects of the ownership machine on the dataset itself: properties, store, seal, rename. Each returns its completion
// event; a failure is an event too. Owns nothing; the runner calls it with nothing else at work on this dataset.
import { pause } from '../common/clock.ts';
import { isZringError, ZringError } from '../common/errors.ts';
import type { OpenStoreOptions, Store } from '../store/types.ts';
import { cloneCopy } from './clone-copy.ts';
import { copyProperties, formatState, parseCopy, setAsideName } from './copy-properties.ts';
import { DatasetStorage } from './dataset-storage.ts';
import { failureOf } from './peer-messages.ts';
import type { DatasetRunner } from './runner.ts';
import { ownSnapshots } from './snapshot-desk.ts';
import { finalName, HOLD_TAG } from './snapshot-names.ts';
import type { Copy, Effect, Event } from './state.ts';
import { STAMP } from './steps.ts';

/** After requests were told to end (a forced handoff), they get this long. */
const FORCED_DRAIN_MS = 2_000;

export async function runDiskEffect(runner: DatasetRunner, effect: Effect): Promise<Event> {
  switch (effect.do) {
    case 'persist':
      return attempt(
        () => persist(runner, effect.copy),
        (failure) => ({ on: 'persist-failed', failure }),
      );
    case 'reload':
      return attempt(
        () => reload(runner),
        (failure) => ({ on: 'reload-failed', failure }),
      );
    case 'create-copy':
      return attempt(
        () => createCopy(runner, effect.copy, effect.request),
        (failure) => ({ on: 'copy-create-failed', failure }),
      );
    case 'open-store':
      return attempt(
        () => openNoting(runner, effect),
        (failure) => ({ on: 'store-failed', failure }),
      );
    case 'close-store':
      return closeStore(runner);
    case 'fence':
      runner.fence();
      runner.gate.abortAll(new ZringError('DATASET_UNAVAILABLE', `${runner.dataset} is not served here any more`));
      return closeStore(runner);
    case 'probe-empty':
      return attempt(
        () => probeEmpty(runner),
        (failure) => ({ on: 'emptiness', empty: false, failure }),
      );
    case 'seal':
      return seal(runner, effect);
    case 'move-away':
      return attempt(
        () => moveAway(runner, effect),
        (failure) => ({ on: 'move-failed', failure }),
      );
    case 'remember':
      return remember(runner, effect);
    default:
      throw new Error(`bug: ${effect.do} is not an effect on the disk`);
  }
}

async function attempt(
  task: () => Promise<Event>,
  failed: (failure: ReturnType<typeof failureOf>) => Event,
): Promise<Event> {
  try {
    return await task();
  } catch (error) {
    return failed(failureOf(error));
  }
}

async function persist(runner: DatasetRunner, wanted: Copy): Promise<Event> {
  const { driver, clock } = runner.deps;
  const copy = wanted.priorSinceMs === STAMP ? { ...wanted, priorSinceMs: clock.wallMs() } : wanted;
  await driver.setProperties(runner.dataset, { state: formatState(copy) });
  return { on: 'persisted', copy };
}

async function reload(runner: DatasetRunner): Promise<Event> {
  const info = await runner.deps.driver.get(runner.dataset);
  return { on: 'reloaded', copy: info ? (parseCopy(info)?.copy ?? null) : null };
}

async function createCopy(runner: DatasetRunner, copy: Copy, request: string): Promise<Event> {
  const { driver, stores, cluster, clock } = runner.deps;
  const { documents, versioning, clone } = runner.contentOf(request);
  if (clone) return cloneCopy(runner, copy, clone, documents);
  const named = Object.entries(documents);
  await driver.create(runner.dataset, copyProperties(runner.dataset, cluster, copy), async (folder) => {
    await stores.create(folder, { id: copy.id, nowMs: copy.createdMs });
    if (named.length === 0 && !versioning) return;
    const store = await stores.open(folder, { id: copy.id, term: copy.term, nowMs: () => clock.wallMs() });
    try {
      for (const [name, value] of named) await store.setDocument(name, value);
      if (versioning) await store.setVersioning(versioning);
    } finally {
      await store.close();
    }
  });
  return { on: 'copy-created', copy };
}

async function openNoting(runner: DatasetRunner, effect: Effect & { do: 'open-store' }): Promise<Event> {
  try {
    const opened = await openStore(runner, effect);
    runner.place.opened();
    return opened;
  } catch (error) {
    runner.place.openingFailed(error);
    throw error;
  }
}

async function openStore(runner: DatasetRunner, effect: Effect & { do: 'open-store' }): Promise<Event> {
  const { driver, clock, logger, timers } = runner.deps;
  const { dataset } = runner;
  const { path, encryption } = await driver.open(dataset, { id: effect.id, readonly: false });
  const storage = new DatasetStorage({ dataset, driver, logger, timers, nowMs: () => clock.monotonicMs() }, encryption);
  const options = {
    id: effect.id,
    term: effect.term,
    guard: runner.guard,
    nowMs: () => clock.wallMs(),
    room: (sizeHint: number | null) => storage.meter.openBody(sizeHint),
    onDamage: (blob: string, reason: ZringError) => runner.deps.onDamage(dataset, blob, reason),
  };
  const store = await openWithRoom(runner, path, options);
  await storage.load(store);
  runner.storage = storage;
  runner.store = store;
  return { on: 'store-opened', term: effect.term };
}

/** Opening writes; a dataset that is full to the file system's own limit is let beyond it, until its settings are applied. */
async function openWithRoom(runner: DatasetRunner, path: string, options: OpenStoreOptions): Promise<Store> {
  const { driver, stores } = runner.deps;
  try {
    return await stores.open(path, options);
  } catch (error) {
    if (!isZringError(error, 'QUOTA_EXCEEDED')) throw error;
    await driver.configure(runner.dataset, { quotaBytes: null });
    return stores.open(path, options);
  }
}

async function closeStore(runner: DatasetRunner): Promise<Event> {
  const { driver, logger } = runner.deps;
  try {
    await takeStore(runner)?.close();
    // One that changed beneath its store is left as it is: opening it again mends what is to be mended.
    if (runner.place.fault === null) await driver.close(runner.dataset);
  } catch (error) {
    // Still mounted; that harms nothing but an unmount, which is tried again when it matters.
    logger.warn({ err: error, dataset: runner.dataset }, 'the dataset could not be closed');
  }
  return { on: 'store-closed' };
}

/** Whatever closing says, this process does not use it any more. */
function takeStore(runner: DatasetRunner): Store | null {
  const { store } = runner;
  runner.store = null;
  return store;
}

async function probeEmpty(runner: DatasetRunner): Promise<Event> {
  const { limits, driver } = runner.deps;
  if (!(await runner.gate.drained(limits.drainMs))) {
    throw new ZringError('DATASET_BUSY', `${runner.dataset} has requests in flight`, { subject: runner.dataset });
  }
  if (!runner.store) throw new ZringError('DATASET_BUSY', `${runner.dataset} is not open`, { subject: runner.dataset });
  const [snapshot] = await ownSnapshots(driver, runner.dataset);
  if (snapshot && runner.store.isEmpty()) {
    const message = `${runner.dataset} has snapshots (${snapshot.name}); they have to be destroyed first`;
    throw new ZringError('DATASET_HAS_SNAPSHOTS', message, { subject: runner.dataset });
  }
  return { on: 'emptiness', empty: runner.store.isEmpty(), failure: null };
}

/**
 * The end of serving here: nothing is in flight, the store is closed, the dataset read-only and not mounted, so nothing can
 * change after the final snapshot. A crash anywhere here leaves an owner without a promise, which opens again.
 */
async function seal(runner: DatasetRunner, effect: Effect & { do: 'seal' }): Promise<Event> {
  const { driver, limits, salt, shelf } = runner.deps;
  const { dataset, gate } = runner;
  try {
    if (!effect.force && gate.oldestMs() > limits.longHoldMs) throw busy(runner, 'has long requests in flight');
    if (!(await gate.drained(limits.drainMs))) {
      if (!effect.force) throw busy(runner, 'has requests in flight');
      runner.fence();
      gate.abortAll(new ZringError('DATASET_BUSY', `${dataset} is being handed over`, { subject: dataset }));
      if (!(await gate.drained(FORCED_DRAIN_MS))) throw busy(runner, 'has requests that do not end');
    }
    runner.fence();
    await takeStore(runner)?.close();
    await driver.setReadonly(dataset, true);
    // What is handed over reserves nothing here any more, and its last snapshot must not fail for want of room.
    await driver.configure(dataset, { reservationBytes: null });
    await driver.close(dataset);
    const snapshot = await driver.snapshot(dataset, finalName(effect.term, salt()));
    // Beside the rest: nobody reads them here any more, and the janitor would find them later.
    shelf.close(dataset).catch(() => {});
    await driver.hold(dataset, snapshot.name, HOLD_TAG);
    return { on: 'sealed', snapshot: snapshot.name, guid: snapshot.guid };
  } catch (error) {
    // Requests that were told to end and did not may go on: nothing was promised.
    runner.unfence();
    return { on: 'seal-failed', failure: failureOf(error), storeOpen: runner.store !== null };
  }
}

async function moveAway(runner: DatasetRunner, effect: Effect & { do: 'move-away' }): Promise<Event> {
  const { driver, salt, shelf, onLeftover } = runner.deps;
  const aside = setAsideName(effect.how, effect.copy, salt());
  await runner.gate.drained(FORCED_DRAIN_MS);
  await shelf.close(runner.dataset);
  await driver.close(runner.dataset);
  await driver.setReadonly(runner.dataset, true);
  await driver.rename(runner.dataset, aside, { doomed: effect.how === 'deleted' });
  if (effect.how === 'deleted') onLeftover(aside);
  return { on: 'moved-away' };
}

async function remember(runner: DatasetRunner, effect: Effect & { do: 'remember' }): Promise<Event> {
  const { catalog, logger, limits, timers } = runner.deps;
  for (;;) {
    try {
      await catalog.remember(effect.record);
      return { on: 'remembered' };
    } catch (error) {
      // The tombstone is committed; there is no way but forward, and the gate stays closed until the disk takes it.
      logger.error({ err: error, dataset: runner.dataset }, 'the tombstone could not be stored; trying again');
      await pause(timers, limits.tickMs);
    }
  }
}

function busy(runner: DatasetRunner, what: string): ZringError {
  return new ZringError('DATASET_BUSY', `${runner.dataset} ${what}`, { subject: runner.dataset });
}

// Storage settings of datasets that this node owns, asked for by operators: through the gate like every request, so that a
// handoff waits for a change, and a change never meets a dataset that is being taken away. Owns nothing.
import { ZringError } from '../common/errors.ts';
import type { DatasetAccess, HeldDataset, StorageDesk } from './access.ts';
import type { DatasetStorage } from './dataset-storage.ts';
import type { DatasetRunner } from './runner.ts';
import type { StorageWatch } from './storage-watch.ts';
import type { OwnershipDeps } from './types.ts';

export function createStorageDesk(deps: {
  readonly access: DatasetAccess;
  readonly find: (dataset: string) => DatasetRunner | undefined;
}): StorageDesk {
  async function inside<T>(dataset: string, mode: 'read' | 'delete', task: Task<T>): Promise<T> {
    const held = await deps.access.enter(dataset, mode);
    try {
      const storage = deps.find(dataset)?.storage;
      if (!storage) throw new ZringError('DATASET_BUSY', `${dataset} is not open`, { subject: dataset });
      return await task(storage, held);
    } finally {
      held.release();
    }
  }
  return {
    // As a deletion: a quota has to be raised on a dataset, and a pool, that is full.
    configure: (dataset, change) =>
      inside(dataset, 'delete', async (storage, { store }) => {
        await storage.change(store, change);
        return storage.describe();
      }),
    describe: (dataset) => inside(dataset, 'read', (storage) => storage.describe()),
  };
}

/** The pool's space, and the limits of the datasets that are open. */
export async function pollStorage(watch: StorageWatch, runners: Iterable<DatasetRunner>): Promise<void> {
  await watch.poll();
  for (const runner of [...runners]) {
    if (watch.silence !== null) return;
    if (runner.store) await runner.place.look(runner);
    if (runner.store) await runner.storage?.poll();
  }
}

/**
 * What is inside waits for a storage that does not answer: it is cut, for its outcome is not known. Nothing is fenced: no
 * other node can own these datasets meanwhile (I1), so a commit that the storage takes up again later is a true one.
 * @returns how to end it.
 */
export function followPulse(
  { pulse, driver }: Pick<OwnershipDeps, 'pulse' | 'driver'>,
  runners: Iterable<DatasetRunner>,
  onAnswer: () => void,
): () => void {
  if (!pulse) return () => {};
  return pulse.onChange((answer) => {
    if (answer === 'answering') onAnswer();
    if (answer !== 'silent' && answer !== 'gone') return;
    const why = answer === 'gone' ? `was taken away: ${pulse.lost}` : 'does not answer';
    const reason = new ZringError('STORAGE_UNAVAILABLE', `storage ${driver.storage} ${why}`);
    for (const runner of runners) runner.gate.abortAll(reason);
  });
}

type Task<T> = (storage: DatasetStorage, held: HeldDataset) => Promise<T>;

// Settings of a bucket that depend on each other (versioning and object lock) are looked at and changed one request at a
// time: a lock that was enabled while another request suspended versioning would protect nothing. Owns the queues, one
// for each dataset in use; a dataset has one owner, so one process is enough.
import { createKeyedMutex } from '../../dataset/mutex.ts';
import type { DatasetContext } from './context.ts';

const mutex = createKeyedMutex();

export function inOrder<Result>(context: DatasetContext, task: () => Promise<Result>): Promise<Result> {
  return mutex.run([context.dataset.id], task);
}

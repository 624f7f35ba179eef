// The end of service on this node, of one dataset and of all, in order and by force. Owns nothing.
import type { DurableMap } from '../common/durable-map.ts';
import { ZringError } from '../common/errors.ts';
import type { NodeLease } from './lease.ts';
import type { Loops } from './loops.ts';
import type { DatasetRunner } from './runner.ts';
import type { SnapshotShelf } from './snapshot-shelf.ts';

/** Between two looks at what is still under way. */
const LOOK_MS = 1_000;

/** Waits for requests and for a step under way, then closes the store; what does not end in time is cut. */
export async function closeInTime(runner: DatasetRunner, graceMs: number): Promise<void> {
  if (runner.ended) return;
  const { clock, logger } = runner.deps;
  const endMs = clock.monotonicMs() + graceMs;
  const leftMs = () => endMs - clock.monotonicMs();
  await runner.gate.drained(Math.max(0, leftMs()));
  if (runner.gate.inside > 0) {
    runner.fence();
    runner.gate.abortAll(new ZringError('SHUTTING_DOWN', 'this node is stopping'));
  }
  while (leftMs() > 0 && (runner.busy || runner.state.openTerm !== null)) {
    if (runner.state.phase.at === 'idle' && runner.state.openTerm) runner.dispatch({ on: 'close' });
    else await runner.changed(Math.min(leftMs(), LOOK_MS));
  }
  if (runner.store) logger.warn({ dataset: runner.dataset }, 'the store could not be closed in time');
}

/** Nothing stands here and nothing goes on: it is made again when somebody asks. */
export function isForgettable(runner: DatasetRunner): boolean {
  return runner.state.copy === null && !runner.busy && runner.waiting === 0 && !runner.pulling;
}

/** What a node closes when it ends. */
export interface NodeParts {
  readonly runners: Iterable<DatasetRunner>;
  readonly loops: Loops;
  readonly shelf: SnapshotShelf;
  readonly lease: NodeLease;
  readonly disk: DurableMap;
}

/** Moves are given up, gates drained, stores closed, the lease handed back; `graceMs` for each dataset. */
export async function stopParts({ runners, loops, shelf, lease, disk }: NodeParts, graceMs: number): Promise<void> {
  const all = [...runners];
  if (lease.withheld()) await Promise.all(all.map((runner) => runner.end()));
  for (const runner of all) runner.dispatch({ on: 'cancel-pull' });
  await Promise.all(all.map((runner) => closeInTime(runner, graceMs)));
  await loops.stop();
  await shelf.stop();
  await lease.stop();
  for (const runner of runners) runner.kill();
  await disk.close();
}

/** As `kill -9`, in a process that lives on: LMDB files have to be let go of, or nobody could open them again. */
export async function killParts({ runners, loops, shelf, lease, disk }: NodeParts): Promise<void> {
  for (const runner of runners) runner.kill();
  await loops.stop();
  lease.abandon();
  await Promise.all([...runners].map((runner) => runner.letGo()));
  await shelf.stop();
  await disk.close();
}

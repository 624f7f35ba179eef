// The graceful end of one dataset's service on this node. Owns nothing.
import { ZringError } from '../common/errors.ts';
import type { DatasetRunner } from './runner.ts';

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

// Starts many small jobs of one request without keeping everybody else waiting: what each does before its first wait may
// take a while (a policy of 20 KiB, asked about a thousand keys), and it is done on the one thread that all requests share.
import { setImmediate } from 'node:timers/promises';

/** About what a request may keep the thread for at a time. */
const TURN_MS = 5;

/** Results in the order of the items; rejects as the first of them, once all are started. */
export async function inTurns<Item, Result>(
  items: readonly Item[],
  nowMs: () => number,
  start: (item: Item) => Promise<Result>,
): Promise<Result[]> {
  const running: Promise<Result>[] = [];
  let sinceMs = nowMs();
  for (const item of items) {
    if (nowMs() - sinceMs >= TURN_MS) {
      await setImmediate();
      sinceMs = nowMs();
    }
    const job = start(item);
    // It is looked at in the end; until then nobody must take it for forgotten.
    job.catch(() => undefined);
    running.push(job);
  }
  return Promise.all(running);
}

// What injectors share: what they are given, what they say afterwards, and how they ask the cluster for a move.
import type { Counts } from '../counts.ts';
import type { Lab } from '../lab/lab.ts';
import type { LabNode } from '../lab/node.ts';

export interface Injection {
  readonly fired: boolean;
  readonly counts: Partial<Counts>;
  /** What happened, or why it did not. */
  readonly note: string;
}

export interface InjectionContext {
  readonly lab: Lab;
  readonly buckets: readonly string[];
  /** Unique in the run. */
  readonly id: string;
  /** Dumps of Redis, oldest first; times of the monotonic clock. */
  readonly dumps: () => readonly { file: string; atMs: number }[];
}

export const fired = (counts: Partial<Counts>, note = ''): Injection => ({ fired: true, counts, note });
export const missed = (note: string): Injection => ({ fired: false, counts: {}, note });

/** How long a fault waits for what it needs (an owner, a process that runs) before it is given up as not fired. */
export const PATIENCE_MS = 15_000;
/** How long it waits for a node to serve again before the plan goes on without. */
export const READY_MS = 15_000;

/** Through any node that answers. @returns whether one has accepted it. */
export async function pinAt(lab: Lab, via: readonly LabNode[], dataset: string, to: string | null): Promise<boolean> {
  for (const node of via) {
    if (!node.isUp()) continue;
    const done = await lab.admin.move(node.ip, dataset, to).then(
      () => true,
      () => false,
    );
    if (done) return true;
  }
  return false;
}

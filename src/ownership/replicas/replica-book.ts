// What an owner knows of the replicas of its datasets: who asked last, when, and whether that one is as new as the owner.
// Owns that knowledge, in memory: replicas ask again and again, so a new process has it all after a round of theirs.
import type { Clock } from '../../common/clock.ts';
import type { Asked } from '../peer-messages.ts';
import { isSound } from '../publication.ts';
import type { DatasetRunner } from '../runner.ts';
import { isCurrent } from './shared-snapshots.ts';

/** One replica, as its owner knows it. */
export interface ReplicaSight {
  readonly node: string;
  /** When it last had everything that was acknowledged by then (wall clock of the owner); null = not since this start. */
  readonly currentMs: number | null;
  /** Nothing was written since then. */
  readonly isCurrent: boolean;
}

export interface BookDeps {
  readonly clock: Clock;
  readonly find: (dataset: string) => DatasetRunner | undefined;
}

interface Entry {
  readonly id: string;
  /** By node: when it last had everything, and the snapshot that it said it has. */
  readonly seen: Map<string, { readonly guid: string; readonly currentMs: number }>;
}

export class ReplicaBook {
  readonly #deps: BookDeps;
  readonly #entries = new Map<string, Entry>();

  constructor(deps: BookDeps) {
    this.#deps = deps;
  }

  /** Which of these datasets the asking node is behind with: also those that this node does not own, for it to find out. */
  answer(from: string, asked: readonly Asked[]): string[] {
    return asked.filter((item) => !this.#isCurrent(from, item)).map(({ dataset }) => dataset);
  }

  #isCurrent(from: string, { dataset, id, guid }: Asked): boolean {
    const runner = this.#deps.find(dataset);
    const copy = runner?.state.copy;
    if (!runner || copy?.role !== 'owner' || copy.id !== id || copy.promise || !isSound(runner.state)) return false;
    const { shared } = runner;
    if (shared?.guid !== guid) return false;
    const current = isCurrent(runner);
    const currentMs = current ? this.#deps.clock.wallMs() : shared.takenMs;
    this.#entryOf(dataset, id).seen.set(from, { guid, currentMs });
    return current;
  }

  #entryOf(dataset: string, id: string): Entry {
    const known = this.#entries.get(dataset);
    if (known?.id === id) return known;
    const entry: Entry = { id, seen: new Map() };
    this.#entries.set(dataset, entry);
    return entry;
  }

  /** Of the nodes that should have a copy of what is owned here. */
  sights(dataset: string, id: string, nodes: readonly string[]): ReplicaSight[] {
    const entry = this.#entries.get(dataset);
    const runner = this.#deps.find(dataset);
    const newest = runner && isCurrent(runner) ? runner.shared?.guid : undefined;
    return nodes.map((node) => {
      const seen = entry?.id === id ? entry.seen.get(node) : undefined;
      const current = seen !== undefined && seen.guid === newest;
      return { node, currentMs: seen?.currentMs ?? null, isCurrent: current };
    });
  }

  /** What is not owned here any more. */
  forget(isOwned: (dataset: string) => boolean): void {
    for (const dataset of this.#entries.keys()) if (!isOwned(dataset)) this.#entries.delete(dataset);
  }
}

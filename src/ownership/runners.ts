// The machines of one node, one for each dataset that it has or is asked about. Owns them; made on demand, forgotten when
// nothing stands here and nothing goes on.
import { ZringError } from '../common/errors.ts';
import { isForgettable } from './closing.ts';
import { isQuiet } from './gate-state.ts';
import { DatasetRunner, type RunnerDeps, readCopy } from './runner.ts';
import type { Copy } from './state.ts';

/** A step of a machine under way ends, or its storage does not answer. */
const STEP_MS = 60_000;

/** Errors: STORAGE_UNAVAILABLE when what is under way does not end. */
export async function whenIdle(runner: DatasetRunner): Promise<void> {
  while (runner.busy) {
    if (await runner.changed(STEP_MS)) continue;
    const message = `a step of ${runner.dataset} does not end; see the log of this node`;
    throw new ZringError('STORAGE_UNAVAILABLE', message, { subject: runner.dataset });
  }
}

export class Runners implements Iterable<DatasetRunner> {
  readonly #deps: () => RunnerDeps;
  readonly #runners = new Map<string, DatasetRunner>();
  /** Those that the next tick looks at: a round costs what goes on, and not all that stands here. */
  readonly #restless = new Set<string>();

  constructor(deps: () => RunnerDeps) {
    this.#deps = deps;
  }

  get size(): number {
    return this.#runners.size;
  }

  [Symbol.iterator](): IterableIterator<DatasetRunner> {
    return this.#runners.values();
  }

  datasets(): Iterable<string> {
    return this.#runners.keys();
  }

  find(dataset: string): DatasetRunner | undefined {
    return this.#runners.get(dataset);
  }

  /** Makes one for a dataset of which nothing stands here. */
  get(dataset: string): DatasetRunner {
    return this.#runners.get(dataset) ?? this.add(dataset, null);
  }

  add(dataset: string, copy: Copy | null): DatasetRunner {
    const runner = new DatasetRunner(this.#deps(), dataset, copy);
    this.#runners.set(dataset, runner);
    this.#restless.add(dataset);
    return runner;
  }

  /** Ends it, and makes another from what the disk says. */
  async rebuild(dataset: string): Promise<DatasetRunner> {
    await this.#runners.get(dataset)?.end();
    return this.add(dataset, await readCopy(this.#deps().driver, dataset));
  }

  /** Its state is another one. */
  changed({ dataset, state }: DatasetRunner): void {
    if (!isQuiet(state) || state.copy === null) this.#restless.add(dataset);
  }

  tick(): void {
    for (const dataset of this.#restless) {
      const runner = this.#runners.get(dataset);
      if (runner && !isQuiet(runner.state)) {
        runner.dispatch({ on: 'tick' });
        continue;
      }
      if (runner && isForgettable(runner)) this.#runners.delete(dataset);
      // One that stands here is looked at again when something happens to it.
      else if (runner?.state.copy === null) continue;
      this.#restless.delete(dataset);
    }
  }
}

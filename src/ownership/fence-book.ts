// The durable register of decided promises (state.ts, Fence), by dataset id. Owns `fence/<id>` in the node's DurableMap.
// A verdict never changes and a number never goes down; that is checked here once more, because everything hangs on it.

import type { DurableMap } from '../common/durable-map.ts';
import { assert } from '../common/errors.ts';
import type { Fence } from './state.ts';

export class FenceBook {
  readonly #disk: DurableMap;
  readonly #fences: Record<string, Fence> = {};

  constructor(disk: DurableMap) {
    this.#disk = disk;
    for (const [key, text] of disk.entries('fence/'))
      this.#fences[key.slice('fence/'.length)] = JSON.parse(text) as Fence;
  }

  get(id: string): Fence | undefined {
    return this.#fences[id];
  }

  of(ids: readonly (string | null | undefined)[]): Record<string, Fence> {
    const found: Record<string, Fence> = {};
    for (const id of ids) {
      const fence = id ? this.#fences[id] : undefined;
      if (id && fence) found[id] = fence;
    }
    return found;
  }

  /** Durable when it resolves. */
  async put(id: string, fence: Fence): Promise<void> {
    const known = this.#fences[id];
    assert(
      !known || known.n < fence.n || (known.n === fence.n && known.verdict === fence.verdict),
      `fence of ${id} would change`,
    );
    await this.#disk.commit([{ key: `fence/${id}`, value: JSON.stringify({ n: fence.n, verdict: fence.verdict }) }]);
    this.#fences[id] = fence;
  }
}

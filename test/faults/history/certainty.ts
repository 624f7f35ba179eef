// What is certain about a key without any search: that it exists throughout a stretch of time, and which acknowledged
// changes the final reads do not account for. Independent of register.ts on purpose: two ways to the same verdict. Pure.

import { ABSENT } from './register.ts';
import type { Entry } from './registers.ts';

export class Certainty {
  /** Successful writes by their end, with the latest beginning so far. */
  readonly #writes: readonly { readonly returnedMs: number; readonly invokedMs: number }[];
  readonly #deletes: readonly Entry[];
  readonly #mutations: readonly Entry[];

  constructor(entries: readonly Entry[]) {
    this.#mutations = entries.filter(({ writes }) => writes !== null);
    this.#deletes = this.#mutations.filter(({ writes }) => writes === ABSENT);
    const done = this.#mutations.filter(({ writes, returnedMs }) => writes !== ABSENT && Number.isFinite(returnedMs));
    let invokedMs = Number.NEGATIVE_INFINITY;
    this.#writes = done
      .sort((a, b) => a.returnedMs - b.returnedMs)
      .map((one) => {
        invokedMs = Math.max(invokedMs, one.invokedMs);
        return { returnedMs: one.returnedMs, invokedMs };
      });
  }

  /** Written before, and no delete can have taken effect between that write and the end of the time. */
  presentThroughout(fromMs: number, toMs: number): boolean {
    const writtenMs = this.#lastWrittenBefore(fromMs);
    if (writtenMs === null) return false;
    return !this.#deletes.some(({ invokedMs, returnedMs }) => invokedMs <= toMs && returnedMs >= writtenMs);
  }

  /** Beginning of the latest write that had ended by then. */
  #lastWrittenBefore(ms: number): number | null {
    let low = 0;
    let high = this.#writes.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#writes[middle]?.returnedMs ?? 0) < ms) low = middle + 1;
      else high = middle;
    }
    return this.#writes[low - 1]?.invokedMs ?? null;
  }

  /**
   * Acknowledged writes and deletes that no later acknowledged one replaced, and that the final value does not account
   * for: it is not theirs, and whatever made it cannot have come after them. Of several at once, all of them.
   */
  lost(final: string): Entry[] {
    const makers = this.#mutations.filter(({ writes }) => writes === final);
    const madeMs = latest(makers.map(({ returnedMs }) => returnedMs));
    const acknowledged = this.#mutations.filter(({ returnedMs }) => Number.isFinite(returnedMs));
    const lastInvokedMs = latest(acknowledged.map(({ invokedMs }) => invokedMs));
    return acknowledged.filter(
      ({ writes, invokedMs, returnedMs }) => writes !== final && returnedMs >= lastInvokedMs && madeMs < invokedMs,
    );
  }
}

function latest(times: readonly number[]): number {
  return times.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
}

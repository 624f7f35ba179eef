// Snapshots that other nodes go on from: the last one that was sent to each. Whoever received it has it as the base of its next
// increment, and a full stream may take longer than a snapshot is kept otherwise; without it all would be sent again. Owns that
// memory; in a new process those that are asked for next are noted again.
import type { Clock } from '../../common/clock.ts';

export class Lent {
  readonly #clock: Clock;
  /** After the last byte. A node that does not come back by then begins with what is kept anyway. */
  readonly #keepMs: () => number;
  readonly #last = new Map<string, { readonly snapshot: string; sending: number; untilMs: number }>();

  constructor(clock: Clock, keepMs: () => number) {
    this.#clock = clock;
    this.#keepMs = keepMs;
  }

  /** A stream to this node begins. @returns to be called when it has ended. */
  begin(node: string, snapshot: string): () => void {
    const known = this.#last.get(node);
    const entry = known?.snapshot === snapshot ? known : { snapshot, sending: 0, untilMs: 0 };
    this.#last.set(node, entry);
    entry.sending++;
    let ended = false;
    return () => {
      if (ended) return;
      ended = true;
      entry.sending--;
      entry.untilMs = this.#clock.monotonicMs() + this.#keepMs();
    };
  }

  has(snapshot: string): boolean {
    const nowMs = this.#clock.monotonicMs();
    for (const entry of this.#last.values()) {
      if (entry.snapshot === snapshot && (entry.sending > 0 || nowMs < entry.untilMs)) return true;
    }
    return false;
  }
}

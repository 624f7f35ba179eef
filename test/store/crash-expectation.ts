// What a store may hold after a crash, from the lines that crash-writer.ts wrote before it.
import assert from 'node:assert/strict';

export interface Line {
  readonly begin?: string;
  readonly ack?: string;
  readonly etag?: string | null;
  readonly sequence?: number;
  readonly opened?: string;
}

/** What may be found under each key: what was acknowledged last, and what was begun since. */
export class Expectation {
  readonly #acknowledged = new Map<string, string | null>();
  readonly #begun = new Map<string, Set<string | null>>();
  sequence = 0;

  note({ begin, ack, etag = null, sequence = 0 }: Line): void {
    if (begin !== undefined) this.#begun.set(begin, (this.#begun.get(begin) ?? new Set()).add(etag));
    if (ack === undefined) return;
    this.#acknowledged.set(ack, etag);
    this.#begun.delete(ack);
    this.sequence = Math.max(this.sequence, sequence);
  }

  /** And takes what was found as the truth from now on. */
  check(found: ReadonlyMap<string, string>, hint: string): void {
    for (const key of new Set([...this.#acknowledged.keys(), ...this.#begun.keys(), ...found.keys()])) {
      const etag = found.get(key) ?? null;
      const allowed = [this.#acknowledged.get(key) ?? null, ...(this.#begun.get(key) ?? [])];
      assert.ok(allowed.includes(etag), `${key} is ${etag}, may be ${allowed.join(' or ')} (${hint})`);
      this.#acknowledged.set(key, etag);
    }
    this.#begun.clear();
  }
}

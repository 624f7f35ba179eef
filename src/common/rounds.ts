// Rounds of one kind of work that never overlap: a call while one is under way waits for the next, which began after the
// call and so has seen what was there then. However many call meanwhile, one next round answers them all, and nobody
// waits for more than two. Owns the promises of those two.
export class Rounds {
  readonly #round: () => Promise<void>;
  #current: Promise<void> | null = null;
  #next: Promise<void> | null = null;

  constructor(round: () => Promise<void>) {
    this.#round = round;
  }

  /** Resolves after a round that began no earlier than this call. Errors: those of that round. */
  run(): Promise<void> {
    if (!this.#current) return this.#begin();
    this.#next ??= this.#current.then(
      () => this.#begin(),
      () => this.#begin(),
    );
    return this.#next;
  }

  #begin(): Promise<void> {
    this.#next = null;
    const round = this.#round().finally(() => {
      // Whoever calls before a waiting next round has begun belongs to that one: two may not begin at once.
      if (!this.#next) this.#current = null;
    });
    this.#current = round;
    return round;
  }

  /** Resolves when nothing is under way or waiting, however it ended. */
  async idle(): Promise<void> {
    while (this.#current) await (this.#next ?? this.#current).catch(() => undefined);
  }
}

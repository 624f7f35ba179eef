// A set of listeners that a coordinator calls. One that throws is a bug of its owner and must not stop the others.

export class Listeners<T> {
  readonly #all = new Set<(value: T) => void>();

  /** @returns stops it; the same function may be added twice, each has its own stop. */
  add(listener: (value: T) => void): () => void {
    const own = (value: T) => listener(value);
    this.#all.add(own);
    return () => void this.#all.delete(own);
  }

  emit(value: T): void {
    for (const listener of [...this.#all]) {
      try {
        listener(value);
      } catch (error) {
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }
}

// One mutation per dataset at a time, in order of arrival. Owns the queue tails; knows nothing of what runs.

export interface KeyedMutex {
  /** Runs `task` once no other task holds any of `keys`. Keys are taken in sorted order, so two callers cannot deadlock. */
  run<T>(keys: readonly string[], task: () => Promise<T>): Promise<T>;
}

export function createKeyedMutex(): KeyedMutex {
  const tails = new Map<string, Promise<void>>();

  async function lock(key: string): Promise<() => void> {
    const before = tails.get(key);
    let release = () => {};
    const tail = new Promise<void>((resolve) => {
      release = resolve;
    });
    tails.set(key, tail);
    await before;
    return () => {
      if (tails.get(key) === tail) tails.delete(key);
      release();
    };
  }

  return {
    async run(keys, task) {
      const releases: (() => void)[] = [];
      try {
        for (const key of [...new Set(keys)].sort()) releases.push(await lock(key));
        return await task();
      } finally {
        for (const release of releases.reverse()) release();
      }
    },
  };
}

// Which keys a load uses. Few clients share a key (a group), so that each key's history stays easy to check; a few keys
// are hot. Remembers what was last known of each key, for conditions and copies, and every key that was ever named, for
// the final reads. Keys stay within the Basic Multilingual Plane (registers.ts, compareKeys).
import type { Operation, Written } from './operation.ts';
import type { Random } from './random.ts';

export const GROUP_SIZE = 4;
const HOT = 2;
const WARM = 8;
const COLD = 24;
/** Clients need not be kind to parsers. */
const ODD_NAMES = ['a b', 'ü&<é>', "q'uote+", 'deep/er/./..//x'];

export class KeySpace {
  readonly run: string;
  readonly #touched: Touched;
  readonly #known = new Map<string, Written>();

  constructor(run: string, touched: Touched) {
    this.run = run;
    this.#touched = touched;
  }

  /** One of the keys that a group shares. */
  shared(random: Random, group: number): string {
    const temperature = random.weighted({ hot: 40, warm: 35, cold: 21, odd: 4 });
    const base = `${this.run}/g${group}`;
    switch (temperature) {
      case 'hot':
        return `${base}/hot-${random.below(HOT)}`;
      case 'warm':
        return `${base}/warm-${random.below(WARM)}`;
      case 'cold':
        return `${base}/cold-${random.below(COLD)}`;
      case 'odd':
        return `${base}/${random.pick(ODD_NAMES)}`;
    }
  }

  named(name: string): string {
    return `${this.run}/${name}`;
  }

  touch(bucket: string, key: string | null): void {
    this.#touched.add(bucket, key);
  }

  /** Learns what is there, as far as an answer shows it. */
  learn(
    { bucket, key, outcome, kind, written, seen }: Operation,
    writtenAs: (value: string) => Written | undefined,
  ): void {
    if (key === null || outcome !== 'ok') return;
    const name = `${bucket}/${key}`;
    const now = written ?? (seen?.value ? writtenAs(seen.value) : undefined);
    if (now) this.#known.set(name, now);
    else if (kind === 'delete' || seen === null) this.#known.delete(name);
  }

  known(bucket: string, key: string): Written | undefined {
    return this.#known.get(`${bucket}/${key}`);
  }
}

/** Every bucket and key that loads of one seed have named. */
export class Touched {
  readonly #buckets = new Map<string, Set<string>>();

  add(bucket: string, key: string | null): void {
    let keys = this.#buckets.get(bucket);
    if (!keys) {
      keys = new Set();
      this.#buckets.set(bucket, keys);
    }
    if (key !== null) keys.add(key);
  }

  get buckets(): readonly string[] {
    return [...this.#buckets.keys()];
  }

  keys(bucket: string): readonly string[] {
    return [...(this.#buckets.get(bucket) ?? [])];
  }
}

const bySeed = new Map<number, Touched>();

export function touchedBy(seed: number): Touched {
  const touched = bySeed.get(seed) ?? new Touched();
  bySeed.set(seed, touched);
  return touched;
}

// An immutable map of strings whose next version shares almost everything with the last: changing one of a hundred thousand
// entries copies about a hundred. In no particular order. Must not know what it holds.

/** By the hash of the key. A change copies this many pointers and one shard. */
const SHARDS = 1024;

export class SharedMap<V> implements ReadonlyMap<string, V> {
  static readonly #empty = new SharedMap<never>([], 0);
  readonly size: number;
  /** Those that are missing are empty. */
  readonly #shards: readonly (ReadonlyMap<string, V> | undefined)[];

  private constructor(shards: readonly (ReadonlyMap<string, V> | undefined)[], size: number) {
    this.#shards = shards;
    this.size = size;
  }

  static of<V>(entries: Iterable<readonly [string, V]> = []): SharedMap<V> {
    return (SharedMap.#empty as SharedMap<V>).with(entries);
  }

  get(key: string): V | undefined {
    return this.#shards[shardOf(key)]?.get(key);
  }

  has(key: string): boolean {
    return this.#shards[shardOf(key)]?.has(key) ?? false;
  }

  /** The next version; this one stays as it is. Without changes it is the same. */
  with(changes: Iterable<readonly [string, V]>): SharedMap<V> {
    const shards = this.#shards.slice();
    const copied = new Map<number, Map<string, V>>();
    let size = this.size;
    for (const [key, value] of changes) {
      const index = shardOf(key);
      let shard = copied.get(index);
      if (!shard) {
        shard = new Map(shards[index]);
        copied.set(index, shard);
        shards[index] = shard;
      }
      if (!shard.has(key)) size++;
      shard.set(key, value);
    }
    return copied.size === 0 ? this : new SharedMap(shards, size);
  }

  *entries(): MapIterator<[string, V]> {
    for (const shard of this.#shards) if (shard) yield* shard;
  }

  *keys(): MapIterator<string> {
    for (const shard of this.#shards) if (shard) yield* shard.keys();
  }

  *values(): MapIterator<V> {
    for (const shard of this.#shards) if (shard) yield* shard.values();
  }

  [Symbol.iterator](): MapIterator<[string, V]> {
    return this.entries();
  }

  forEach(visit: (value: V, key: string, map: ReadonlyMap<string, V>) => void): void {
    for (const [key, value] of this) visit(value, key, this);
  }
}

/** FNV-1a. */
function shardOf(key: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < key.length; i++) hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193);
  return (hash ^ (hash >>> 16)) & (SHARDS - 1);
}

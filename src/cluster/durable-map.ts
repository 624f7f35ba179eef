// DurableMap: the little that the embedded coordinator asks of its disk: a small ordered key-value map, held in memory by
// the reader. Shapes only; what makes it durable is src/cluster/embedded-disk.ts, tests use a plain Map.

export type DurableChange =
  | { readonly key: string; readonly value: string }
  | { readonly key: string; readonly value: null };

export interface DurableMap {
  get(key: string): string | undefined;
  /** All entries whose key starts with `prefix`, by key. */
  entries(prefix: string): Iterable<readonly [key: string, value: string]>;
  /** All or nothing; flushed to disk when the promise resolves. `value: null` deletes. */
  commit(changes: readonly DurableChange[]): Promise<void>;
  close(): Promise<void>;
}

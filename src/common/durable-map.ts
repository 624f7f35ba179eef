// A small durable map of strings, for what a node or the embedded coordinator must not forget. Owns one LMDB file.
// All or nothing per commit, flushed when the promise resolves; concurrent commits share a flush. Must not know its content.
import { existsSync } from 'node:fs';
import { createDatabase, type Database, openDatabase } from './lmdb.ts';

export type DurableChange =
  | { readonly key: string; readonly value: string }
  /** Removes. */
  | { readonly key: string; readonly value: null };

export interface DurableMap {
  get(key: string): string | undefined;
  /** Those whose key starts with `prefix`, in byte order, as of the call. */
  entries(prefix: string): Iterable<readonly [key: string, value: string]>;
  /** All or nothing. Errors: STORAGE_FULL (nothing changed), STORAGE_OUTCOME_UNKNOWN, STORAGE_UNAVAILABLE. */
  commit(changes: readonly DurableChange[] | ReadonlyMap<string, string | null>): Promise<void>;
  close(): Promise<void>;
}

export interface DurableMapOptions {
  /** Make the file when it is missing. Default false: a missing file is MOUNT_INVALID, never an empty map. */
  readonly create?: boolean;
}

type Table = 'map';
const TABLES: readonly Table[] = ['map'];
const MAP_BYTES = 2 ** 30;

/** The caller holds whatever lock makes it the only user. Errors: MOUNT_INVALID, STORAGE_*, LOCKED, VERSION_UNSUPPORTED. */
export async function openDurableMap(path: string, options: DurableMapOptions = {}): Promise<DurableMap> {
  if (options.create && !existsSync(path)) {
    return new LmdbMap(await createDatabase(path, { tables: TABLES, mapBytes: MAP_BYTES }));
  }
  return new LmdbMap(await openDatabase(path, { tables: TABLES, alone: true, mapBytes: MAP_BYTES }));
}

class LmdbMap implements DurableMap {
  readonly #database: Database<Table>;

  constructor(database: Database<Table>) {
    this.#database = database;
  }

  get(key: string): string | undefined {
    return this.#database.get('map', Buffer.from(key))?.toString();
  }

  entries(prefix: string): Iterable<readonly [string, string]> {
    const start = Buffer.from(prefix);
    const found: [string, string][] = [];
    for (const { key, value } of this.#database.range('map', { start })) {
      if (!key.subarray(0, start.length).equals(start)) break;
      found.push([key.toString(), value.toString()]);
    }
    return found;
  }

  commit(changes: readonly DurableChange[] | ReadonlyMap<string, string | null>): Promise<void> {
    const writes = changes instanceof Map ? [...changes] : (changes as readonly DurableChange[]).map(toPair);
    return this.#database.transact((transaction) => {
      for (const [key, value] of writes) {
        if (value === null) transaction.remove('map', Buffer.from(key));
        else transaction.put('map', Buffer.from(key), Buffer.from(value));
      }
    });
  }

  close(): Promise<void> {
    return this.#database.close();
  }
}

function toPair({ key, value }: DurableChange): [string, string | null] {
  return [key, value];
}

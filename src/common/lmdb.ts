// A durable ordered key-value file: named tables of bytes by bytes, in byte order. The only import of lmdb.
// Owns the memory map, the queue of writers, the lock file (reader slots of this machine, not data: lmdb-door.ts) and
// `<path>-clean` beside it (says that the last stop was clean). Must not know what is kept in it.
//
// What is visible is flushed: opened without lmdb-js's overlapping sync, a commit writes its pages, fdatasyncs, writes the
// meta page through O_DSYNC and only then moves the transaction number that readers look at (mdb_txn_commit and
// mdb_env_write_meta in its mdb.c); the promise resolves after that.
//
// Group commit is ours, not lmdb-js's: one LMDB transaction at a time runs all writers that wait. lmdb-js would queue a
// second worker behind a running flush, and when that flush fails for good (MDB_PANIC) its worker returns without letting
// go of a mutex that the main thread then waits for.
import { existsSync } from 'node:fs';
import { rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { type Database as LmdbTable, open as lmdbOpen, type RootDatabase } from 'lmdb';
import { noteInheritable } from './descriptors.ts';
import { assert, ZringError } from './errors.ts';
import { type Door, doorOf, openDoor, removeDoor } from './lmdb-door.ts';
import { closedError, commitReason } from './lmdb-errors.ts';
import { checkPages, pagesFree, readMeta, readThrough } from './lmdb-file.ts';
import {
  claim,
  cleanMarker,
  holderElsewhere,
  isFull,
  releaseClaim,
  removeFile,
  stoppedCleanly,
  withFile,
  writeCleanMarker,
} from './lmdb-guard.ts';
import { storageError, storageErrorCode } from './storage-errors.ts';

/** 8 KiB pages allow keys of 4026 bytes: an S3 key of 1024 bytes fits with every byte escaped. Fixed at creation. */
const PAGE_BYTES = 8192;
export const KEY_BYTES_MAX = 4000;
/** lmdb-js hands out views into the map from 16 MiB on; we never let values come near. */
export const VALUE_BYTES_MAX = 8 << 20;
/** Address space only. The map grows by itself beyond it, but then old maps linger until closing. */
const MAP_BYTES_DEFAULT = 64 * 2 ** 30;
const TABLES_MAX = 32;

export interface Entry {
  readonly key: Buffer;
  readonly value: Buffer;
}

export interface RangeOptions {
  /** Inclusive. */
  readonly start: Uint8Array;
  /** Exclusive. */
  readonly end?: Uint8Array;
  /** From the last one down to `start`; needs an `end`. */
  readonly reverse?: true;
}

/** What a writer sees and does. It first reads and checks, then puts; reading after a put is a bug. */
export interface Transaction<Table extends string> {
  get(table: Table, key: Uint8Array): Buffer | undefined;
  range(table: Table, options: RangeOptions): Iterable<Entry>;
  put(table: Table, key: Uint8Array, value: Uint8Array): void;
  remove(table: Table, key: Uint8Array): void;
}

export interface OpenOptions<Table extends string> {
  /** Every one must be there. */
  readonly tables: readonly Table[];
  /** May be missing in a file of an earlier release: then they read as empty, and `addTables` makes them. */
  readonly laterTables?: readonly Table[];
  readonly readonly?: boolean;
  /**
   * The caller knows that no other process uses the file. Then the lock file, which may have come with the data from
   * another machine, is removed first. Refused with LOCKED when the system shows a lock of another process on it.
   */
  readonly alone: boolean;
  /** Read the whole file before mapping it. Default: unless the last stop was clean. */
  readonly check?: 'auto' | 'always' | 'never';
  readonly mapBytes?: number;
}

interface Write<Table extends string> {
  readonly table: Table;
  readonly key: Uint8Array;
  /** null removes. */
  readonly value: Uint8Array | null;
}

interface Waiting<Table extends string> {
  readonly run: (transaction: Transaction<Table>) => unknown;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
  outcome: { readonly value: unknown } | { readonly error: unknown } | null;
}

/**
 * Makes a new file with these tables, durable when it resolves, and opens it. It is made under another name first: after a
 * crash there is either none or a whole one. Errors: DATASET_ALREADY_EXISTS, STORAGE_*.
 */
export async function createDatabase<Table extends string>(
  path: string,
  options: { tables: readonly Table[]; mapBytes?: number },
): Promise<Database<Table>> {
  const fresh = `${path}-new`;
  for (const leftover of [fresh, `${fresh}-lock`, `${fresh}-clean`]) await removeFile(leftover);
  if (existsSync(path)) {
    throw new ZringError('DATASET_ALREADY_EXISTS', `${path} exists already`, { subject: path });
  }
  await withFile(fresh, 'wx', (file) => file.sync());
  const made = await claimed(
    fresh,
    async (identity) => new Database<Table>(fresh, { ...options, alone: true }, identity),
  );
  await made.openTables(true);
  await made.close();
  try {
    await rename(fresh, path);
    // fsync of the file makes the rename durable on ZFS and ext4, that of the folder elsewhere.
    for (const flushed of [path, dirname(path)]) await withFile(flushed, 'r', (file) => file.sync());
  } catch (cause) {
    throw storageError(cause, 'creating', path);
  }
  await removeFile(`${fresh}-clean`);
  return openDatabase(path, { ...options, alone: true, check: 'never' });
}

/** Never creates. Errors: MOUNT_INVALID (no such file), STORAGE_CORRUPT, VERSION_UNSUPPORTED, LOCKED, STORAGE_*. */
export async function openDatabase<Table extends string>(
  path: string,
  options: OpenOptions<Table>,
): Promise<Database<Table>> {
  const database = await claimed(path, async (identity) => {
    await checkBefore(path, identity, options);
    return new Database<Table>(path, options, identity);
  });
  await database.openTables(false);
  return database;
}

/** From before the first look at it, so that no second opening in this process takes away what the first relies on. */
async function claimed<Result>(path: string, use: (identity: string) => Promise<Result>): Promise<Result> {
  const identity = claim(path);
  try {
    return await use(identity);
  } catch (error) {
    releaseClaim(identity);
    throw error;
  }
}

async function checkBefore(path: string, identity: string, options: OpenOptions<string>): Promise<void> {
  const readonly = options.readonly ?? false;
  const { lock } = doorOf(path, identity);
  const holder = holderElsewhere(lock);
  if (holder !== null && options.alone && !readonly) {
    const message = `${path} is in use by process ${holder}`;
    throw new ZringError('LOCKED', message, { subject: path, details: { pid: holder } });
  }
  await withFile(path, 'r', async (file) => {
    const meta = await readMeta(file, path);
    const trusted = options.check === 'never' || (options.check !== 'always' && (await stoppedCleanly(path, meta)));
    if (!trusted) await readThrough(file, path);
    const short = (await file.stat()).size < (meta.lastPage + 1) * meta.pageBytes;
    if (holder === null && (short || !trusted)) await checkPages(file, path, meta);
  });
  // Also the one that an older release, or another machine, has left beside the file.
  if (options.alone && !readonly) for (const left of [lock, `${path}-lock`]) await removeFile(left);
  if (!readonly) await removeFile(cleanMarker(path));
}

export class Database<Table extends string> {
  readonly path: string;
  readonly readonly: boolean;
  #root: RootDatabase<Buffer, Buffer>;
  #forgetDescriptors: () => void = () => {};
  readonly #tables = new Map<Table, LmdbTable<Buffer, Buffer>>();
  readonly #identity: string;
  readonly #door: Door;
  readonly #options: OpenOptions<Table>;
  #queue: Waiting<Table>[] = [];
  #committing: Promise<void> | null = null;
  #closing: Promise<void> | null = null;
  #broken: ZringError | null = null;
  /** Of the group that is being committed. */
  #lastTransaction = 0;

  /** Use createDatabase or openDatabase, which check first. @param identity The claim, released by close(). */
  constructor(path: string, options: OpenOptions<Table>, identity: string) {
    this.path = path;
    this.readonly = options.readonly ?? false;
    this.#options = options;
    this.#identity = identity;
    this.#door = doorOf(path, identity);
    try {
      this.#root = this.#openEnvironment();
    } catch (cause) {
      throw storageError(cause, 'opening', path);
    }
  }

  /** Right after the constructor; closes when one is missing. */
  async openTables(create: boolean): Promise<void> {
    try {
      this.#openTables(create);
    } catch (cause) {
      await this.close();
      throw storageError(cause, 'opening', this.path);
    }
  }

  #openEnvironment(): RootDatabase<Buffer, Buffer> {
    openDoor(this.#door, this.path, this.#identity);
    const { result, forget } = noteInheritable(() =>
      lmdbOpen<Buffer, Buffer>({
        path: this.#door.path,
        noSubdir: true,
        readOnly: this.readonly,
        overlappingSync: false,
        // With it lmdb-js makes a promise of its own for each batch, and its rejection would be nobody's to handle.
        eventTurnBatching: false,
        pageSize: PAGE_BYTES,
        mapSize: this.#options.mapBytes ?? MAP_BYTES_DEFAULT,
        maxDbs: TABLES_MAX,
        encoding: 'binary',
        keyEncoding: 'binary',
      }),
    );
    this.#forgetDescriptors = forget;
    return result;
  }

  async #closeEnvironment(): Promise<void> {
    await this.#root.close();
    this.#forgetDescriptors();
  }

  #openTables(create: boolean): void {
    for (const name of this.#options.tables) {
      if (!this.#openTable(name, create))
        throw new ZringError('STORAGE_CORRUPT', `${this.path} lacks the table ${name}`, { subject: this.path });
    }
    for (const name of this.#options.laterTables ?? []) this.#openTable(name, create);
  }

  #openTable(name: Table, create: boolean): boolean {
    const options = { name, encoding: 'binary', keyEncoding: 'binary', create } as const;
    const table = this.#root.openDB<Buffer, Buffer>(options) as LmdbTable<Buffer, Buffer> | undefined;
    if (table) this.#tables.set(name, table);
    return table !== undefined;
  }

  /** Makes the later tables that are missing; durable with the next commit. Before anything else is written. */
  addTables(): void {
    this.#requireUsable();
    try {
      for (const name of this.#options.laterTables ?? []) this.#openTable(name, true);
    } catch (cause) {
      throw storageError(cause, 'adding tables to', this.path);
    }
  }

  /** A copy, or undefined. Only what is flushed. */
  get(table: Table, key: Uint8Array): Buffer | undefined {
    this.#requireUsable();
    return this.#get(table, key);
  }

  /** In byte order, from one snapshot. Iterate to the end, or break, in the same tick. */
  range(table: Table, options: RangeOptions): Iterable<Entry> {
    this.#requireUsable();
    return this.#range(table, options);
  }

  /** Bytes of the file that hold nothing now: they are used again before it grows, for it never shrinks. */
  reusableBytes(): number {
    this.#requireUsable();
    const tables = [...this.#tables.values()].map((table) => table.getStats());
    return pagesFree(this.#root.getStats(), tables) * PAGE_BYTES;
  }

  #get(table: Table, key: Uint8Array): Buffer | undefined {
    if (key.length === 0 || key.length > KEY_BYTES_MAX) return undefined;
    try {
      return this.#readable(table)?.getBinary(key as Buffer);
    } catch (cause) {
      throw storageError(cause, 'reading', this.path);
    }
  }

  #range(table: Table, options: RangeOptions): Iterable<Entry> {
    assert(options.start.length <= KEY_BYTES_MAX, 'range starts behind the longest key');
    // lmdb-js takes an empty start for "no start at all" and skips nothing; [0] is the smallest key that can exist.
    const start = options.start.length === 0 ? FIRST_KEY : options.start;
    const opened = this.#readable(table);
    if (!opened) return [];
    if (options.reverse) {
      assert(options.end, 'a reverse range has an end');
      const bounds = { start: options.end as Buffer, end: start as Buffer };
      return opened.getRange({ ...bounds, reverse: true, exclusiveStart: true, inclusiveEnd: true });
    }
    const end = options.end === undefined ? {} : { end: options.end as Buffer };
    return opened.getRange({ start: start as Buffer, ...end });
  }

  /**
   * Runs `run` inside the next transaction, together with all that wait, and resolves once it is flushed. When `run`
   * throws, nothing of it is written and the promise rejects with that error, after the flush: what it saw of others in the
   * same group may not be told before it is durable. Calls run in order. `run` must be synchronous.
   * Errors: STORAGE_FULL, QUOTA_EXCEEDED, STORAGE_UNAVAILABLE (nothing written), STORAGE_OUTCOME_UNKNOWN.
   */
  transact<Result>(run: (transaction: Transaction<Table>) => Result): Promise<Result> {
    return new Promise<Result>((resolve, reject) => {
      this.#requireUsable();
      if (this.readonly) throw new ZringError('STORAGE_UNAVAILABLE', `${this.path} is open read-only`);
      if (this.#closing) throw closedError(this.path);
      this.#queue.push({ run, resolve: resolve as (value: unknown) => void, reject, outcome: null });
      this.#committing ??= this.#commitAll();
    });
  }

  async #commitAll(): Promise<void> {
    while (this.#queue.length > 0) {
      let group: Waiting<Table>[] = [];
      try {
        // The callback runs when LMDB's writer thread holds the write lock: everything queued until then joins.
        // As a child transaction, so that a failing put takes back all that the group has put.
        await this.#root.childTransaction(() => {
          this.#lastTransaction = this.#root.getWriteTxnId();
          group = this.#queue;
          this.#queue = [];
          for (const waiting of group) this.#run(waiting);
        });
      } catch (cause) {
        const error = await this.#commitFailed(cause);
        for (const waiting of group) waiting.reject(error);
        if (this.#broken) for (const waiting of this.#queue.splice(0)) waiting.reject(this.#broken);
        continue;
      }
      for (const { outcome, resolve, reject } of group) {
        assert(outcome, 'a committed writer has an outcome');
        if ('error' in outcome) reject(outcome.error);
        else resolve(outcome.value);
      }
    }
    // In the same tick in which the queue was seen empty: who comes later starts anew.
    this.#committing = null;
  }

  #run(waiting: Waiting<Table>): void {
    const writes: Write<Table>[] = [];
    const readable = (): void => assert(writes.length === 0, 'a transaction reads before it writes');
    try {
      const value = waiting.run({
        get: (table, key) => {
          readable();
          return this.#get(table, key);
        },
        range: (table, options) => {
          readable();
          return this.#range(table, options);
        },
        put: (table, key, value) => writes.push(this.#checked({ table, key, value })),
        remove: (table, key) => writes.push(this.#checked({ table, key, value: null })),
      });
      assert(!(value instanceof Promise), 'a transaction must be synchronous');
      waiting.outcome = { value };
    } catch (error) {
      waiting.outcome = { error };
      return;
    }
    for (const { table, key, value } of writes) {
      if (value) void this.#table(table).put(key as Buffer, value as Buffer);
      else void this.#table(table).remove(key as Buffer);
    }
  }

  /** Whatever LMDB would refuse is refused before the first put. */
  #checked(write: Write<Table>): Write<Table> {
    if (write.key.length === 0 || write.key.length > KEY_BYTES_MAX) {
      throw new ZringError('LIMIT_EXCEEDED', `index key of ${write.key.length} bytes`, {
        details: { limit: 'indexKeyBytes', max: KEY_BYTES_MAX },
      });
    }
    if (write.value && write.value.length > VALUE_BYTES_MAX) {
      throw new ZringError('LIMIT_EXCEEDED', `index value of ${write.value.length} bytes`, {
        details: { limit: 'indexValueBytes', max: VALUE_BYTES_MAX },
      });
    }
    this.#table(write.table);
    return write;
  }

  /**
   * As long as LMDB lets readers in, the meta page was not touched: nothing of the group is there, nothing else was lost,
   * and the next commit may be tried. Otherwise (MDB_PANIC) the outcome is unknown, and only reopening shows it.
   */
  async #commitFailed(cause: unknown): Promise<ZringError> {
    const reason = await commitReason(cause);
    const subject = this.path;
    const text = reason instanceof Error ? reason.message : String(reason);
    if (this.#letsReadersIn()) {
      // LMDB reports a short write, which is how a disk gets full, as EIO.
      const known = storageErrorCode(reason);
      const full = known === 'STORAGE_FULL' || (known !== 'QUOTA_EXCEEDED' && (await isFull(this.path)));
      const code = known === 'QUOTA_EXCEEDED' ? known : full ? 'STORAGE_FULL' : 'STORAGE_UNAVAILABLE';
      return new ZringError(code, `committing to ${subject} failed: ${text}`, { cause: reason, subject });
    }
    const known = await this.#reopen(reason);
    // The older meta page is there, and flushed: the group is lost for certain. That the newer one can be read proves
    // nothing, for a page that could not be written may stay in the kernel's cache as if it had been.
    const code = known !== null && known < this.#lastTransaction ? 'STORAGE_UNAVAILABLE' : 'STORAGE_OUTCOME_UNKNOWN';
    return new ZringError(code, `committing to ${subject} failed: ${text}`, { cause: reason, subject });
  }

  #letsReadersIn(): boolean {
    try {
      this.#root.resetReadTxn();
      for (const table of this.#tables.values()) table.getBinary(FIRST_KEY);
      return true;
    } catch {
      return false;
    }
  }

  /**
   * In place, between two groups. Readers get STORAGE_UNAVAILABLE meanwhile; when it fails, for good.
   * Returns the last transaction that is there, or null.
   */
  async #reopen(reason: unknown): Promise<number | null> {
    const message = `${this.path} is being reopened after a failed commit`;
    this.#broken = new ZringError('STORAGE_UNAVAILABLE', message, { cause: reason, subject: this.path });
    try {
      await this.#closeEnvironment();
      // What the kernel holds of the file now is what we read from here on: it must not be lost any more.
      const { txnId } = await withFile(this.path, 'r+', async (file) => {
        await file.sync();
        return readMeta(file, this.path);
      });
      this.#root = this.#openEnvironment();
      this.#openTables(false);
      this.#broken = null;
      return txnId;
    } catch (cause) {
      this.#broken = storageError(cause, 'reopening', this.path);
      return null;
    }
  }

  /** Undefined = a later table that this file does not have: nothing is in it. */
  #readable(name: Table): LmdbTable<Buffer, Buffer> | undefined {
    const missing = !this.#tables.has(name) && this.#options.laterTables?.includes(name);
    return missing ? undefined : this.#table(name);
  }

  #table(name: Table): LmdbTable<Buffer, Buffer> {
    const table = this.#tables.get(name);
    assert(table, `no table ${name}`);
    return table;
  }

  #requireUsable(): void {
    if (this.#broken) throw this.#broken;
    if (this.#closing) throw closedError(this.path);
  }

  /** A consistent copy as of now, flushed, in a file that must not exist yet. Writers go on. */
  async copyTo(path: string): Promise<void> {
    this.#requireUsable();
    try {
      await this.#root.backup(path, false);
      await withFile(path, 'r+', (file) => file.sync());
    } catch (cause) {
      // LMDB reports what stopped the copy as a text without a number.
      throw storageError(cause, 'copying the index to', path);
    }
  }

  /** Waits for the writers that are queued. Afterwards the file can be unmounted. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await this.#committing?.catch(() => {});
    try {
      await this.#closeEnvironment();
      if (this.readonly) return;
      if (!this.#broken) await writeCleanMarker(this.path);
      if (this.#options.alone) removeDoor(this.#door);
    } finally {
      releaseClaim(this.#identity);
    }
  }
}

const FIRST_KEY = Buffer.from([0]);

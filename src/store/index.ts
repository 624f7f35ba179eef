// The index of one store: format check, opening counter, and the commit that every change goes through. Owns the database.
// A commit checks and reads first, then writes, and in the same transaction counts up the sequence number and the totals:
// what a change saw is what it is based on, and a refused change leaves nothing. Must not know data files.
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { ZringError } from '../common/errors.ts';
import { createDatabase, type Database, openDatabase, type RangeOptions, type Transaction } from '../common/lmdb.ts';
import { readThrough } from '../common/lmdb-file.ts';
import { withFile } from '../common/lmdb-guard.ts';
import { compareTerms, formatTerm, type Term } from '../common/term.ts';
import { BlobReferences } from './blob-references.ts';
import {
  type ChecksumSource,
  decodeFile,
  decodeState,
  encodeState,
  FORMAT_VERSION,
  type FormatRow,
  type OpeningRow,
  type StateRow,
  TABLES,
  type Table,
  UNVERSIONED_FORMAT,
  VERSION_TABLES,
} from './codec.ts';
import { idBytes } from './ids.ts';
import type { Pace, Versioning } from './types.ts';
import type { IndexReads } from './version-reads.ts';

const FORMAT = Buffer.from('format');
const OPENING = Buffer.from('opening');
const STATE = Buffer.from('state');
const EMPTY_STATE: StateRow = {
  sequence: 0,
  term: null,
  objects: 0,
  bytes: 0,
  uploads: 0,
  versions: 0,
  versioning: 'off',
};

/** What a change may do inside its commit. Read everything before the first write. */
export interface Commit {
  readonly sequence: number;
  readonly term: Term;
  readonly nowMs: number;
  readonly transaction: Transaction<Table>;
  /** What the transaction sees. */
  readonly reads: IndexReads;
  readonly references: BlobReferences;
  readonly versioning: Versioning;
  /** Changed along with the rows that they count. */
  readonly totals: { objects: number; bytes: number; uploads: number; versions: number };
  setVersioning(state: 'enabled' | 'suspended'): void;
  /** Nothing was changed: no sequence number is used. */
  unchanged(): void;
}

export interface IndexOptions {
  readonly readonly: boolean;
  readonly term: Term | null;
  readonly guard: () => void;
  readonly nowMs: () => number;
  /** The dataset that must be here. */
  readonly id?: string;
}

export function indexPath(folder: string): string {
  return join(folder, 'index');
}

export async function createIndex(folder: string, id: string, nowMs: number): Promise<void> {
  const database = await createDatabase<Table>(indexPath(folder), { tables: [...TABLES, ...VERSION_TABLES] });
  try {
    const format: FormatRow = { format: UNVERSIONED_FORMAT, id, createdMs: nowMs };
    const opening: OpeningRow = { opening: 0, term: null, clean: true };
    await database.transact((transaction) => {
      transaction.put('meta', FORMAT, Buffer.from(JSON.stringify(format)));
      transaction.put('meta', OPENING, Buffer.from(JSON.stringify(opening)));
      transaction.put('meta', STATE, encodeState(EMPTY_STATE));
    });
  } finally {
    await database.close();
  }
}

/**
 * Makes an index that came from another dataset (`from`) the one of dataset `id`: objects, versions and their sequence
 * numbers stay, the terms under which it was written mean nothing here. One transaction, so that it says one or the other
 * whole; repeated, it changes nothing. Errors: MOUNT_INVALID (it is neither's), VERSION_UNSUPPORTED, STORAGE_*.
 */
export async function relabelIndex(
  folder: string,
  { from, id, nowMs }: { readonly from: string; readonly id: string; readonly nowMs: number },
): Promise<void> {
  const path = indexPath(folder);
  const database = await openDatabase<Table>(path, { tables: TABLES, laterTables: VERSION_TABLES, alone: true });
  try {
    const format = requireFormat(database.get('meta', FORMAT), path);
    if (format.id === id) return;
    if (format.id !== from) {
      throw new ZringError('MOUNT_INVALID', `${folder} holds dataset ${format.id}, not ${from}`, { subject: folder });
    }
    const opening = readJson<OpeningRow>(database.get('meta', OPENING), path, 'opening');
    const state = decodeState(database.get('meta', STATE) ?? encodeState(EMPTY_STATE));
    await database.transact((transaction) => {
      transaction.put('meta', FORMAT, Buffer.from(JSON.stringify({ ...format, id, createdMs: nowMs })));
      // Its number stays: no blob gets the name of one that came along.
      transaction.put('meta', OPENING, Buffer.from(JSON.stringify({ ...opening, term: null })));
      transaction.put('meta', STATE, encodeState({ ...state, term: null }));
    });
  } finally {
    await database.close();
  }
}

export class StoreIndex implements IndexReads {
  readonly format: FormatRow;
  /** As it stands now; what the one before left is in `inherited`. */
  readonly opening: OpeningRow;
  readonly inherited: OpeningRow;
  readonly #database: Database<Table>;
  readonly #options: IndexOptions;

  private constructor(database: Database<Table>, format: FormatRow, inherited: OpeningRow, options: IndexOptions) {
    this.#database = database;
    this.#options = options;
    this.format = format;
    this.inherited = inherited;
    this.opening = options.readonly ? inherited : { opening: inherited.opening + 1, term: options.term, clean: false };
  }

  /** Errors: MOUNT_INVALID, VERSION_UNSUPPORTED, TERM_REFUSED, STORAGE_*, LOCKED. */
  static async open(folder: string, options: IndexOptions): Promise<StoreIndex> {
    const path = indexPath(folder);
    // A store belongs to one process; a reader of a live one (`zring store ls`) shares LMDB's lock file with it.
    const database = await openDatabase<Table>(path, {
      tables: TABLES,
      laterTables: VERSION_TABLES,
      readonly: options.readonly,
      alone: !options.readonly,
    });
    try {
      const format = requireFormat(database.get('meta', FORMAT), path);
      if (options.id !== undefined && format.id !== options.id) {
        const message = `${folder} holds dataset ${format.id}, not ${options.id}`;
        throw new ZringError('MOUNT_INVALID', message, { subject: folder });
      }
      const inherited = readJson<OpeningRow>(database.get('meta', OPENING), path, 'opening');
      refuseLowerTerm(path, inherited.term, options);
      const index = new StoreIndex(database, format, inherited, options);
      if (!options.readonly) await index.#begin();
      return index;
    } catch (error) {
      await database.close();
      throw error;
    }
  }

  /** Durable before the first id of this opening exists, so that no later opening can take it for its own. */
  #begin(): Promise<void> {
    // Now, for it waits for LMDB's write lock. An earlier release does not see them, and versioning raises the format.
    this.#database.addTables();
    return this.#writeOpening(this.opening);
  }

  #writeOpening(row: OpeningRow): Promise<void> {
    return this.maintain((transaction) => {
      transaction.put('meta', OPENING, Buffer.from(JSON.stringify(row)));
    });
  }

  get(table: Table, key: Uint8Array): Buffer | undefined {
    return this.#database.get(table, key);
  }

  range(table: Table, options: RangeOptions) {
    return this.#database.range(table, options);
  }

  /** Checksums by blob id; loaded when somebody looks at a blob's `blockChecksums`. */
  readonly checksums: ChecksumSource = (id) => {
    const row = this.#database.get('blobs', idBytes(id));
    if (!row) throw new ZringError('OBJECT_MISSING', `blob ${id} is gone`, { subject: id });
    return decodeFile(id, row).checksums;
  };

  state(): StateRow {
    return decodeState(this.#database.get('meta', STATE) ?? encodeState(EMPTY_STATE));
  }

  /**
   * Runs `change` inside the next group commit; resolves once it is flushed. When it or the guard throws, nothing of it is
   * written. `dropped` data files may be deleted from then on.
   */
  async commit<Result>(change: (commit: Commit) => Result): Promise<{ result: Result; dropped: readonly string[] }> {
    const { term, guard, nowMs } = this.#options;
    if (!term) throw new ZringError('STORAGE_UNAVAILABLE', 'the store is open read-only');
    return this.#database.transact((transaction) => {
      const before = decodeState(transaction.get('meta', STATE) ?? encodeState(EMPTY_STATE));
      const references = new BlobReferences(transaction);
      const { objects, bytes, uploads, versions } = before;
      const totals = { objects, bytes, uploads, versions };
      let { versioning } = before;
      let changed = true;
      const result = change({
        sequence: before.sequence + 1,
        term,
        nowMs: nowMs(),
        transaction,
        reads: { get: transaction.get, range: transaction.range, checksums: this.checksums },
        references,
        versioning,
        totals,
        setVersioning: (state) => {
          versioning = state;
        },
        unchanged: () => {
          changed = false;
        },
      });
      if (!changed) return { result, dropped: [] };
      const dropped = references.write();
      if (before.versioning === 'off' && versioning !== 'off') {
        // From here on a release that does not know versions must not touch the store.
        transaction.put('meta', FORMAT, Buffer.from(JSON.stringify({ ...this.format, format: FORMAT_VERSION })));
      }
      transaction.put('meta', STATE, encodeState({ sequence: before.sequence + 1, term, ...totals, versioning }));
      // Last: nothing that was put above is applied when it throws, and nothing runs between it and the commit.
      guard();
      return { result, dropped };
    });
  }

  /** Housekeeping without a sequence number: what no reader of objects can see. */
  maintain(change: (transaction: Transaction<Table>) => void): Promise<void> {
    return this.#database.transact(change);
  }

  /** Lets the next opening skip its search for leftovers. */
  async markClean(): Promise<void> {
    await this.#writeOpening({ ...this.opening, clean: true });
  }

  /** Compressed as the rest of the file is. */
  async reusableBytes(): Promise<number> {
    const { size, blocks } = await stat(this.#database.path);
    return Math.floor(this.#database.reusableBytes() * Math.min(1, (blocks * 512) / Math.max(1, size)));
  }

  copyTo(path: string): Promise<void> {
    return this.#database.copyTo(path);
  }

  /** The file itself, as the disk has it. Errors: STORAGE_CORRUPT, STORAGE_*. */
  readThrough(pace?: Pace): Promise<void> {
    const { path } = this.#database;
    return withFile(path, 'r', (file) => readThrough(file, path, pace));
  }

  close(): Promise<void> {
    return this.#database.close();
  }
}

function requireFormat(bytes: Buffer | undefined, path: string): FormatRow {
  const format = readJson<FormatRow>(bytes, path, 'format');
  if (format.format <= FORMAT_VERSION) return format;
  const message = `${path} has store format ${format.format}, this release reads up to ${FORMAT_VERSION}`;
  throw new ZringError('VERSION_UNSUPPORTED', message, { subject: path });
}

function refuseLowerTerm(path: string, stored: Term | null, options: IndexOptions): void {
  if (options.readonly) return;
  if (!options.term) throw new ZringError('TERM_REFUSED', `${path} is opened for writing without a term`);
  if (stored && compareTerms(options.term, stored) < 0) {
    const message = `${path} has seen term ${formatTerm(stored)}, ${formatTerm(options.term)} is lower`;
    throw new ZringError('TERM_REFUSED', message, { subject: path, details: { stored, asked: options.term } });
  }
}

function readJson<Row>(bytes: Buffer | undefined, path: string, what: string): Row {
  try {
    if (bytes) return JSON.parse(bytes.toString()) as Row;
  } catch {
    // Falls through to the same error as a missing row.
  }
  throw new ZringError('STORAGE_CORRUPT', `${path} has no readable ${what}`, { subject: path });
}

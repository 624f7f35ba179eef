// Counts who refers to which blob, inside one commit. Owns nothing durable: reads rows when a blob is first touched, sums
// up, and writes each changed row once. Taking and dropping the same blob in one commit (a copy onto itself) is no change.
import { assert, ZringError } from '../common/errors.ts';
import type { Transaction } from '../common/lmdb.ts';
import { decodeFile, decodeInline, encodeFile, encodeInline, type Table } from './codec.ts';
import { idBytes } from './ids.ts';
import type { Blob } from './types.ts';

interface Counted {
  readonly inline: boolean;
  readonly row: Buffer;
  change: number;
}

interface Added {
  readonly blob: Blob;
  /** For an inline one. */
  readonly bytes: Buffer | null;
}

export class BlobReferences {
  readonly #transaction: Transaction<Table>;
  readonly #counted = new Map<string, Counted>();
  readonly #added: Added[] = [];

  constructor(transaction: Transaction<Table>) {
    this.#transaction = transaction;
  }

  /** A blob that no commit has named yet; referred to once from now on. */
  add(blob: Blob, bytes: Buffer | null): void {
    this.#added.push({ blob, bytes });
  }

  take(blob: Blob): void {
    this.#count(blob, 1);
  }

  drop(blob: Blob): void {
    this.#count(blob, -1);
  }

  #count({ id, inline }: Blob, change: number): void {
    let counted = this.#counted.get(id);
    if (!counted) {
      const row = this.#transaction.get(inline ? 'inline' : 'blobs', idBytes(id));
      if (!row) throw new ZringError('STORAGE_CORRUPT', `the index names blob ${id} but has no row for it`);
      counted = { inline, row, change: 0 };
      this.#counted.set(id, counted);
    }
    counted.change += change;
  }

  /** Call once, after the last read. Returns the data files that nobody refers to any more; their rows stay until swept. */
  write(): string[] {
    for (const { blob, bytes } of this.#added) this.#writeAdded(blob, bytes);
    const dropped: string[] = [];
    for (const [id, { inline, row, change }] of this.#counted) {
      if (change === 0) continue;
      if (inline) this.#writeInline(id, row, change);
      else if (this.#writeFile(id, row, change) === 0) dropped.push(id);
    }
    return dropped;
  }

  #writeAdded(blob: Blob, bytes: Buffer | null): void {
    const key = idBytes(blob.id);
    if (bytes) {
      this.#transaction.put('inline', key, encodeInline({ references: 1, bytes }));
    } else {
      const row = { references: 1, size: blob.size, checksums: blob.blockChecksums };
      this.#transaction.put('blobs', key, encodeFile(row));
    }
  }

  #writeInline(id: string, row: Buffer, change: number): void {
    const { references, bytes } = decodeInline(id, row);
    assert(references + change >= 0, `blob ${id} is dropped more often than taken`);
    if (references + change === 0) this.#transaction.remove('inline', idBytes(id));
    else this.#transaction.put('inline', idBytes(id), encodeInline({ references: references + change, bytes }));
  }

  /** The row of a dropped file stays, with no references, for those who still read it; `garbage` makes the drop durable. */
  #writeFile(id: string, row: Buffer, change: number): number {
    const file = decodeFile(id, row);
    const references = file.references + change;
    assert(references >= 0, `blob ${id} is dropped more often than taken`);
    this.#transaction.put('blobs', idBytes(id), encodeFile({ ...file, references }));
    if (references === 0) this.#transaction.put('garbage', idBytes(id), Buffer.of(1));
    return references;
  }
}

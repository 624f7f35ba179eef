// Bucket-level documents: JSON by name. Owns the parsed copies. What it gives out is shared and frozen.
//
// A store that is open for writing is changed by this process alone, so a parsed copy holds until setDocument has
// committed. A reader beside a live store, or of a file that another process writes, asks the index each time and parses
// again when the bytes differ: a look-up is cheap, a stale policy would be a hole. It lags by the view of the file that
// lmdb-js keeps for a millisecond, as all that such a reader sees does.
import type { StoreIndex } from './index.ts';

interface Parsed {
  readonly bytes: Buffer | undefined;
  readonly value: unknown;
}

export class Documents {
  readonly #index: StoreIndex;
  /** Nobody else writes. */
  readonly #alone: boolean;
  readonly #parsed = new Map<string, Parsed>();

  constructor(index: StoreIndex, alone: boolean) {
    this.#index = index;
    this.#alone = alone;
  }

  /** Undefined = there is none. */
  get(name: string): unknown {
    const known = this.#parsed.get(name);
    if (known && this.#alone) return known.value;
    const bytes = this.#index.get('documents', Buffer.from(name));
    if (known && equal(known.bytes, bytes)) return known.value;
    const value = bytes && frozen(JSON.parse(bytes.toString()));
    this.#parsed.set(name, { bytes, value });
    return value;
  }

  /** Undefined removes. Until the commit is flushed readers get the former one. */
  async set(name: string, value: unknown, commit: (change: (write: DocumentWrites) => void) => Promise<void>) {
    const text = value === undefined ? undefined : JSON.stringify(value);
    const key = Buffer.from(name);
    try {
      await commit(({ transaction }) => {
        if (text === undefined) transaction.remove('documents', key);
        else transaction.put('documents', key, Buffer.from(text));
      });
    } finally {
      // Also when it failed: its outcome may be unknown.
      this.#parsed.delete(name);
    }
  }
}

interface DocumentWrites {
  readonly transaction: {
    put(table: 'documents', key: Buffer, value: Buffer): void;
    remove(table: 'documents', key: Buffer): void;
  };
}

function equal(a: Buffer | undefined, b: Buffer | undefined): boolean {
  return a && b ? a.equals(b) : a === b;
}

function frozen(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  for (const child of Object.values(value)) frozen(child);
  return Object.freeze(value);
}

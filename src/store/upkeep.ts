// Looks after what lies on the disk of an open store: finds what cannot be read back as it was written, and puts good bytes in
// its place (docs/REPAIR.md). Owns what of that is under way. Where good bytes come from is not its business.
//
// Writers, readers and the sweep go on meanwhile. So a fault is one only while the index still refers to the file when it has
// been met; and a file that is being repaired is pinned like one that is being read: it is not swept in between.
// A repair writes a file under a fresh id of this opening, flushes it, compares it with the index, and renames it over the
// damaged one. Crash points: before the rename the fresh one is a leftover that the next opening sweeps; after it, it is done.
import { open, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Readable } from 'node:stream';
import { crc32c } from '@node-rs/crc32';
import { ZringError } from '../common/errors.ts';
import { isErrno, storageError } from '../common/storage-errors.ts';
import { DataFile } from './blob-writer.ts';
import { decodeFile, decodeInline, decodeObject, decodePart, type FileRow, type Table } from './codec.ts';
import { dataPath, idBytes } from './ids.ts';
import type { StoreIndex } from './index.ts';
import { nameOfPart, nameOfVersion, pagesOf } from './pages.ts';
import type { Blob, DataFileInfo, IndexFault, Pace, StoreUpkeep } from './types.ts';
import { decodeVersionRow } from './version-reads.ts';

/** EIO; EBADE of ZFS, EBADMSG of XFS and ext4, EUCLEAN: checksums of a file system that did not match. libuv names only the first. */
const DAMAGE_ERRNOS: ReadonlySet<unknown> = new Set([-5, -52, -74, -117]);

/** Its disk cannot give these bytes back as they were written. Not: a storage that is away, or that must not be read. */
export function isDamage(error: unknown): error is ZringError {
  if (!(error instanceof ZringError)) return false;
  if (error.code === 'STORAGE_CORRUPT') return true;
  const { cause } = error;
  const errno = typeof cause === 'object' && cause !== null && 'errno' in cause ? cause.errno : undefined;
  return isErrno(cause, 'EIO') || DAMAGE_ERRNOS.has(errno);
}

export interface UpkeepAccess {
  readonly path: string;
  readonly index: StoreIndex;
  nextId(): string;
  /** Reads a whole blob. Throws when a byte of it is not what was written. */
  readBlob(blob: Blob, pace: Pace | undefined): Promise<void>;
  /** Keeps a file from being swept. */
  pin(id: string): void;
  unpin(id: string): void;
  /** Deletes a file that no commit names. */
  discard(id: string): void;
  requireOpen(): void;
  /** Throws also when this process may not change the dataset any more. */
  requireWritable(): void;
  /** What the folder lacks is not there. */
  isInPlace(): Promise<boolean>;
}

export class Upkeep implements StoreUpkeep {
  readonly #access: UpkeepAccess;
  readonly #sources = new Set<Readable>();
  /** Ends the waiting of those that read at a pace. */
  readonly #waits = new Set<() => void>();
  /** What has files of the store open; closing it waits for them. */
  readonly #work = new Set<Promise<unknown>>();

  constructor(access: UpkeepAccess) {
    this.#access = access;
  }

  /** What is under way is given up; once that is so, no file is open for it. */
  async stop(): Promise<void> {
    const closed = new ZringError('STORAGE_UNAVAILABLE', `${this.#access.path} was closed`);
    for (const source of this.#sources) source.destroy(closed);
    for (const wake of this.#waits) wake();
    await Promise.allSettled(this.#work);
  }

  #tracked<T>(work: Promise<T>): Promise<T> {
    const tracked = work.finally(() => this.#work.delete(tracked));
    this.#work.add(tracked);
    return tracked;
  }

  /** However slow it is, whoever closes the store does not wait for it. */
  #pacedBy(pace: Pace | undefined): Pace {
    return async (bytes) => {
      let wake = () => {};
      await new Promise<void>((resolve, reject) => {
        wake = resolve;
        this.#waits.add(wake);
        Promise.resolve(pace?.(bytes)).then(resolve, reject);
      }).finally(() => this.#waits.delete(wake));
      this.#access.requireOpen();
    };
  }

  filesAfter(after: string, limit: number): readonly DataFileInfo[] {
    this.#access.requireOpen();
    const found: DataFileInfo[] = [];
    for (const page of pagesOf(this.#access.index, 'blobs', after === '' ? undefined : idBytes(after), limit)) {
      for (const { key, value } of page) {
        const id = key.toString('hex');
        const file = readRow(id, value);
        if (file === null || file.references > 0) found.push({ id, size: file?.size ?? 0 });
      }
      if (found.length >= limit) break;
    }
    return found;
  }

  async checkFile(id: string, pace?: Pace): Promise<ZringError | null> {
    this.#access.requireOpen();
    try {
      const file = this.#referred(id);
      if (!file) return null;
      const blob = { id, size: file.size, inline: false, blockChecksums: file.checksums };
      await this.#tracked(this.#access.readBlob(blob, this.#pacedBy(pace)));
      return null;
    } catch (error) {
      this.#access.requireOpen();
      if (!isDamage(error)) throw error;
      return (await this.#isFault(id)) ? error : null;
    }
  }

  /** Where the folder is gone everything seems damaged, and where nobody refers to it any more it may be. */
  async #isFault(id: string): Promise<boolean> {
    if (!(await this.#access.isInPlace())) {
      throw new ZringError('STORAGE_UNAVAILABLE', `${this.#access.path} is not mounted any more`);
    }
    this.#access.requireOpen();
    const row = this.#access.index.get('blobs', idBytes(id));
    return row !== undefined && readRow(id, row)?.references !== 0;
  }

  #referred(id: string): FileRow | null {
    const row = this.#access.index.get('blobs', idBytes(id));
    const file = row ? decodeFile(id, row) : null;
    return file && file.references > 0 ? file : null;
  }

  async checkIndex(pace?: Pace): Promise<readonly IndexFault[]> {
    this.#access.requireOpen();
    try {
      // Through read(2), before a page is touched in memory: there, what cannot be read would end the process.
      await this.#tracked(this.#access.index.readThrough(this.#pacedBy(pace)));
    } catch (error) {
      if (!isDamage(error)) throw error;
      return [{ key: null, reason: error.message }];
    }
    const faults: IndexFault[] = [];
    const onFault = (key: string, cause: unknown): void => {
      faults.push({ key, reason: cause instanceof Error ? cause.message : String(cause) });
    };
    await this.#eachEntry((name, blobs) => {
      for (const blob of blobs) {
        const fault = blob.inline ? this.#inlineFault(blob) : null;
        if (fault !== null) onFault(name, fault);
      }
    }, onFault);
    return faults;
  }

  #inlineFault({ id, size, blockChecksums }: Blob): string | null {
    const row = this.#access.index.get('inline', idBytes(id));
    if (!row) return `the index has no body ${id}`;
    const { bytes } = decodeInline(id, row);
    return bytes.length === size && crc32c(bytes) === blockChecksums[0]
      ? null
      : `body ${id} does not match its checksum`;
  }

  async keysOf(ids: ReadonlySet<string>): Promise<ReadonlyMap<string, string>> {
    const keys = new Map<string, string>();
    if (ids.size === 0) return keys;
    await this.#eachEntry((name, blobs) => {
      for (const { id } of blobs) if (ids.has(id) && !keys.has(id)) keys.set(id, name);
      return keys.size < ids.size;
    });
    return keys;
  }

  /** Every version and part, with how it is called; each is looked at in the moment of reading it. False ends the walk. */
  async #eachEntry(
    look: (name: string, blobs: readonly Blob[]) => unknown,
    onFault: (name: string, cause: unknown) => void = () => {},
  ): Promise<void> {
    const { index } = this.#access;
    const decoders: readonly [Table, (key: Buffer, value: Buffer) => [string, readonly Blob[]]][] = [
      ['objects', (key, value) => named(decodeObject(key.toString(), value, index.checksums))],
      ['versions', (key, value) => named(decodeVersionRow({ key, value }, index.checksums))],
      ['parts', (key, value) => namedPart(key, decodePart(value, index.checksums))],
    ];
    for (const [table, decode] of decoders) {
      for (const page of pagesOf(index, table)) {
        for (const { key, value } of page) {
          try {
            const [name, blobs] = decode(key, value);
            if (look(name, blobs) === false) return;
          } catch (cause) {
            onFault(`${table} ${key.toString('latin1')}`, cause);
          }
        }
        await new Promise((resolve) => setImmediate(resolve));
        this.#access.requireOpen();
      }
    }
  }

  repairFile(id: string, bytes: Readable): Promise<'repaired' | 'gone'> {
    // What it was given up for is told to who asked, below; a source that fails later tells nobody.
    bytes.on('error', () => {});
    this.#sources.add(bytes);
    const repairing = this.#repair(id, bytes).finally(() => {
      this.#sources.delete(bytes);
      bytes.destroy();
    });
    return this.#tracked(repairing);
  }

  async #repair(id: string, bytes: Readable): Promise<'repaired' | 'gone'> {
    const { path, nextId, pin, unpin, discard, requireWritable } = this.#access;
    requireWritable();
    const wanted = this.#referred(id);
    if (!wanted) return 'gone';
    pin(id);
    const fresh = new DataFile(path, nextId(), wanted.size);
    try {
      await fill(fresh, id, bytes, wanted);
      // Also when the store was closed meanwhile, or belongs to another node by now.
      requireWritable();
      if (!this.#referred(id)) {
        discard(fresh.id);
        return 'gone';
      }
      await putInPlace(join(path, dataPath(fresh.id)), join(path, dataPath(id)));
      return 'repaired';
    } catch (error) {
      await fresh.close();
      discard(fresh.id);
      throw error;
    } finally {
      unpin(id);
    }
  }
}

async function fill(fresh: DataFile, id: string, bytes: Readable, wanted: FileRow): Promise<void> {
  const wrong = (what: string): ZringError =>
    new ZringError('STORAGE_CORRUPT', `what was offered for blob ${id} ${what}`, { subject: id });
  let size = 0;
  for await (const chunk of bytes as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > wanted.size) throw wrong('is too long');
    await fresh.write(chunk);
  }
  const checksums = await fresh.finish();
  if (size !== wanted.size) throw wrong('is too short');
  if (checksums.some((checksum, block) => checksum !== wanted.checksums[block])) throw wrong('is something else');
}

async function putInPlace(from: string, to: string): Promise<void> {
  try {
    await rename(from, to);
    // fsync of the file makes the rename durable on ZFS and ext4, that of the folder elsewhere (where it can be flushed).
    for (const flushed of [to, dirname(to)]) {
      const handle = await open(flushed, 'r');
      await handle.sync().catch(() => {});
      await handle.close();
    }
  } catch (cause) {
    throw storageError(cause, 'repairing', to);
  }
}

function named(entry: Parameters<typeof nameOfVersion>[0] & { readonly blobs: readonly Blob[] }) {
  return [nameOfVersion(entry), entry.blobs] as [string, readonly Blob[]];
}

function namedPart(key: Buffer, { number, size, blob }: ReturnType<typeof decodePart>): [string, readonly Blob[]] {
  return [nameOfPart(key, number), size > 0 ? [blob] : []];
}

/** null = the row itself is damaged. */
function readRow(id: string, row: Buffer): FileRow | null {
  try {
    return decodeFile(id, row);
  } catch {
    return null;
  }
}

// Walks a whole store and says what is wrong with it: every version and part is read and checked against its checksums, the
// index is compared and counted against itself, and the data folder against the index. Changes nothing. Works page by page, so a store
// in use may be verified; then what changed meanwhile is looked up again before it is called damage.
import { join } from 'node:path';
import type { Entry } from '../common/lmdb.ts';
import { decodeFile, decodeInline, decodeObject, decodePart, type StateRow, type Table } from './codec.ts';
import { fanOutFolders, idBytes, isId } from './ids.ts';
import type { StoreIndex } from './index.ts';
import { nameOfPart, nameOfVersion, pagesOf } from './pages.ts';
import { listFolder } from './sweep.ts';
import type { Blob, ObjectEntry, VerifyProgress } from './types.ts';
import { parseVersionKey } from './version-keys.ts';
import {
  currentObject,
  decodeNull,
  decodeVersionRow,
  findVersion,
  storedNull,
  storedVersions,
} from './version-reads.ts';

const PROGRESS_EVERY = 100;

export interface VerifyAccess {
  readonly path: string;
  readonly index: StoreIndex;
  /** Throws when a byte of it is not what was written. */
  readBlobs(blobs: readonly Blob[]): Promise<void>;
  /** Files that are being written, or wait to be deleted. */
  isUnsettled(id: string): boolean;
}

export async function verifyStore(
  access: VerifyAccess,
  onProgress: (progress: VerifyProgress) => void,
  signal: AbortSignal | undefined,
): Promise<VerifyProgress> {
  const walk = new Verification(access, onProgress, signal);
  const before = access.index.state();
  await walk.objects();
  await walk.versions();
  await walk.nulls();
  await walk.parts();
  if (access.index.state().sequence === before.sequence) {
    walk.totals(before);
    walk.references();
  }
  await walk.files();
  onProgress(walk.progress());
  return walk.progress();
}

class Verification {
  readonly #access: VerifyAccess;
  readonly #onProgress: (progress: VerifyProgress) => void;
  readonly #signal: AbortSignal | undefined;
  readonly #damaged: { key: string; reason: string }[] = [];
  readonly #references = new Map<string, number>();
  #objects = 0;
  #versions = 0;
  #bytes = 0;
  #uploads = 0;

  constructor(access: VerifyAccess, onProgress: (progress: VerifyProgress) => void, signal: AbortSignal | undefined) {
    this.#access = access;
    this.#onProgress = onProgress;
    this.#signal = signal;
  }

  progress(): VerifyProgress {
    return { objects: this.#objects, versions: this.#versions, bytes: this.#bytes, damaged: [...this.#damaged] };
  }

  #report(key: string, cause: unknown): void {
    this.#damaged.push({ key, reason: cause instanceof Error ? cause.message : String(cause) });
  }

  #refer(blobs: readonly Blob[]): void {
    for (const { id } of blobs) this.#references.set(id, (this.#references.get(id) ?? 0) + 1);
  }

  /** `look` sees a row in the moment of reading it, when all tables are of one commit; it may go on to read bodies. */
  async #rows(table: Table, look: (row: Entry) => (() => Promise<void>) | undefined): Promise<void> {
    for (const page of pagesOf(this.#access.index, table)) {
      const rest: (() => Promise<void>)[] = [];
      for (const row of page) {
        try {
          const bodies = look(row);
          if (bodies) rest.push(bodies);
        } catch (cause) {
          this.#report(`${table} ${row.key.toString('latin1')}`, cause);
        }
      }
      for (const bodies of rest) {
        this.#signal?.throwIfAborted();
        await bodies();
      }
    }
  }

  async objects(): Promise<void> {
    const { index } = this.#access;
    await this.#rows('objects', ({ key, value }) => {
      const entry = decodeObject(key.toString(), value, index.checksums);
      this.#objects++;
      if (entry.deleteMarker) this.#report(entry.key, 'a delete marker stands among the current objects');
      const [next] = storedVersions(index, entry.key, 1);
      if (next && next.sequence >= entry.sequence)
        this.#report(entry.key, 'a newer version lies below the current object');
      return () => this.#body(entry);
    });
  }

  async versions(): Promise<void> {
    const { index } = this.#access;
    let above = '';
    await this.#rows('versions', (row) => {
      const entry = decodeVersionRow(row, index.checksums);
      this.#versions++;
      if (parseVersionKey(row.key).sequence !== entry.sequence)
        this.#report(nameOfVersion(entry), 'it stands in a wrong place');
      const first = entry.key !== above;
      above = entry.key;
      if (first && !entry.deleteMarker && !currentObject(index, entry.key)) {
        this.#report(nameOfVersion(entry), 'the latest version is neither current nor a delete marker');
      }
      if (entry.versionId === null && storedNull(index, entry.key) !== entry.sequence) {
        this.#report(nameOfVersion(entry), 'the null version is not noted as such');
      }
      return () => this.#body(entry);
    });
  }

  async nulls(): Promise<void> {
    const { index } = this.#access;
    await this.#rows('nulls', (row) => {
      const key = row.key.toString();
      const found = findVersion(index, key, null);
      if (found?.current || found?.entry.sequence !== decodeNull(key, row.value)) {
        this.#report(key, 'a null version is noted that is not there');
      }
      return undefined;
    });
  }

  async #body(entry: ObjectEntry): Promise<void> {
    this.#bytes += entry.size;
    this.#refer(entry.blobs);
    const stored = entry.blobs.reduce((sum, { size }) => sum + size, 0);
    if (stored !== entry.size)
      this.#report(nameOfVersion(entry), `its blobs have ${stored} bytes, it has ${entry.size}`);
    try {
      await this.#access.readBlobs(entry.blobs);
    } catch (cause) {
      const now = findVersion(this.#access.index, entry.key, entry.versionId);
      if (now?.entry.sequence === entry.sequence) this.#report(nameOfVersion(entry), cause);
    }
    if ((this.#objects + this.#versions) % PROGRESS_EVERY === 0) this.#onProgress(this.progress());
  }

  async parts(): Promise<void> {
    const { index } = this.#access;
    for (const _ of index.range('uploads', { start: Buffer.alloc(0) })) this.#uploads++;
    for (const rows of pagesOf(index, 'parts')) {
      for (const { key, value } of rows) {
        this.#signal?.throwIfAborted();
        const part = decodePart(value, index.checksums);
        const blobs = part.size > 0 ? [part.blob] : [];
        this.#refer(blobs);
        try {
          await this.#access.readBlobs(blobs);
        } catch (cause) {
          if (index.get('parts', key)?.equals(value)) this.#report(nameOfPart(key, part.number), cause);
        }
      }
    }
  }

  totals(state: StateRow): void {
    const found = { objects: this.#objects, versions: this.#versions, bytes: this.#bytes, uploads: this.#uploads };
    for (const name of ['objects', 'versions', 'bytes', 'uploads'] as const) {
      if (found[name] !== state[name])
        this.#report('', `the index counts ${state[name]} ${name}, there are ${found[name]}`);
    }
  }

  references(): void {
    const { index } = this.#access;
    const check = (id: string, counted: number): void => {
      const found = this.#references.get(id) ?? 0;
      if (found !== counted) this.#report('', `blob ${id} counts ${counted} references, there are ${found}`);
    };
    for (const { key, value } of index.range('blobs', { start: Buffer.alloc(0) })) {
      const id = key.toString('hex');
      check(id, decodeFile(id, value).references);
    }
    for (const { key, value } of index.range('inline', { start: Buffer.alloc(0) })) {
      const id = key.toString('hex');
      check(id, decodeInline(id, value).references);
    }
  }

  /** Names that are not ours, and files that no row knows. Missing ones were found by reading. */
  async files(): Promise<void> {
    for (const folder of fanOutFolders()) {
      this.#signal?.throwIfAborted();
      for (const name of await listFolder(join(this.#access.path, folder))) {
        const known = isId(name) && (this.#access.isUnsettled(name) || this.#access.index.get('blobs', idBytes(name)));
        if (!known) this.#report('', `${folder}/${name} belongs to no object`);
      }
    }
  }
}

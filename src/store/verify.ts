// Walks a whole store and says what is wrong with it: every object and part is read and checked against its checksums, the
// index is counted against itself, and the data folder against the index. Changes nothing. Works page by page, so a store
// in use may be verified; then what changed meanwhile is looked up again before it is called damage.
import { join } from 'node:path';
import { decodeFile, decodeInline, decodePart, type StateRow } from './codec.ts';
import { fanOutFolders, ID_BYTES, idBytes, isId } from './ids.ts';
import type { StoreIndex } from './index.ts';
import { listFolder } from './sweep.ts';
import type { Blob, ObjectEntry, VerifyProgress } from './types.ts';

const PAGE = 200;
const PROGRESS_EVERY = 100;

export interface VerifyAccess {
  readonly path: string;
  readonly index: StoreIndex;
  /** Throws when a byte of it is not what was written. */
  readBlobs(blobs: readonly Blob[]): Promise<void>;
  objectsAfter(key: string, limit: number): readonly ObjectEntry[];
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
  #bytes = 0;
  #uploads = 0;

  constructor(access: VerifyAccess, onProgress: (progress: VerifyProgress) => void, signal: AbortSignal | undefined) {
    this.#access = access;
    this.#onProgress = onProgress;
    this.#signal = signal;
  }

  progress(): VerifyProgress {
    return { objects: this.#objects, bytes: this.#bytes, damaged: [...this.#damaged] };
  }

  #report(key: string, cause: unknown): void {
    this.#damaged.push({ key, reason: cause instanceof Error ? cause.message : String(cause) });
  }

  #refer(blobs: readonly Blob[]): void {
    for (const { id } of blobs) this.#references.set(id, (this.#references.get(id) ?? 0) + 1);
  }

  async objects(): Promise<void> {
    let after = '';
    for (;;) {
      const page = this.#access.objectsAfter(after, PAGE);
      for (const entry of page) {
        this.#signal?.throwIfAborted();
        await this.#object(entry);
        after = entry.key;
        if (this.#objects % PROGRESS_EVERY === 0) this.#onProgress(this.progress());
      }
      if (page.length < PAGE) return;
    }
  }

  async #object(entry: ObjectEntry): Promise<void> {
    this.#objects++;
    this.#bytes += entry.size;
    this.#refer(entry.blobs);
    const stored = entry.blobs.reduce((sum, { size }) => sum + size, 0);
    if (stored !== entry.size) this.#report(entry.key, `its blobs have ${stored} bytes, it has ${entry.size}`);
    try {
      await this.#access.readBlobs(entry.blobs);
    } catch (cause) {
      const current = this.#access.index.object(entry.key);
      if (current?.sequence === entry.sequence) this.#report(entry.key, cause);
    }
  }

  async parts(): Promise<void> {
    const { index } = this.#access;
    for (const _ of index.range('uploads', { start: Buffer.alloc(0) })) this.#uploads++;
    let start = Buffer.alloc(0);
    for (;;) {
      const rows = take(index.range('parts', { start }), PAGE);
      for (const { key, value } of rows) {
        this.#signal?.throwIfAborted();
        const part = decodePart(value, index.checksums);
        const blobs = part.size > 0 ? [part.blob] : [];
        this.#refer(blobs);
        try {
          await this.#access.readBlobs(blobs);
        } catch (cause) {
          const subject = `upload ${key.subarray(0, ID_BYTES).toString('hex')} part ${part.number}`;
          if (index.get('parts', key)?.equals(value)) this.#report(subject, cause);
        }
        start = Buffer.concat([key, Buffer.of(0)]);
      }
      if (rows.length < PAGE) return;
    }
  }

  totals(state: StateRow): void {
    const found = { objects: this.#objects, bytes: this.#bytes, uploads: this.#uploads };
    for (const name of ['objects', 'bytes', 'uploads'] as const) {
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

function take<Item>(items: Iterable<Item>, limit: number): Item[] {
  const taken: Item[] = [];
  for (const item of items) {
    taken.push(item);
    if (taken.length === limit) break;
  }
  return taken;
}

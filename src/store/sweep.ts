// Deletes data files that nobody refers to. Owns the list of them, and who still reads what.
//
// A file is deleted when, and only when, no index that can come back names it:
//   dropped by a commit    after that commit is durable; `garbage` in the index remembers it over a crash;
//   never committed        when its writer gave it up;
//   leftover of a crash    its name comes from an earlier opening and the index has no row for it. Names of this opening
//                          are never touched by that search, so a file that is just being written is safe.
// Crash points: after unlink and before its rows are removed, the next opening unlinks again (ENOENT is success).
// While paused nothing is unlinked: a snapshot of the folder pairs a copied index with the files it names. A dropped file is
// kept for a moment, and while it is being read, for readers that looked its object up just before.
import { readdir, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { ZringError } from '../common/errors.ts';
import { isErrno, storageError } from '../common/storage-errors.ts';
import { dataPath, fanOutFolders, type IdSource, idBytes, isId } from './ids.ts';
import type { StoreIndex } from './index.ts';

const GRACE_MS = 1000;
const RETRY_MS = 30_000;
const BATCH = 64;

export class Sweeper {
  readonly #folder: string;
  readonly #index: StoreIndex;
  readonly #ids: IdSource;
  readonly #isInPlace: () => Promise<boolean>;
  /** Dropped by commits, by id: earliest time (performance.now) to delete. */
  readonly #dropped = new Map<string, number>();
  readonly #discarded = new Set<string>();
  /** Readers by blob id. */
  readonly #readers = new Map<string, number>();
  #pauses = 0;
  #resume: (() => void)[] = [];
  /** The unlinking that is under way. */
  #working: Promise<void> = Promise.resolve();
  #timer: NodeJS.Timeout | null = null;
  #leftovers: Promise<void> = Promise.resolve();
  #leftoversDone = true;
  #stopped = false;
  #failed = false;

  /** @param isInPlace The folder is still that of the index: what it lacks is not there. */
  constructor(folder: string, index: StoreIndex, ids: IdSource, isInPlace: () => Promise<boolean>) {
    this.#folder = folder;
    this.#isInPlace = isInPlace;
    this.#index = index;
    this.#ids = ids;
  }

  /** After an opening: what earlier ones left. In the background. */
  start(searchLeftovers: boolean): void {
    for (const { key } of this.#index.range('garbage', { start: Buffer.alloc(0) })) {
      this.#dropped.set(key.toString('hex'), 0);
    }
    this.#schedule();
    if (!searchLeftovers) return;
    this.#leftoversDone = false;
    this.#leftovers = this.#sweepLeftovers().catch(() => {
      this.#failed = true;
    });
  }

  dropped(ids: readonly string[]): void {
    const due = performance.now() + GRACE_MS;
    for (const id of ids) this.#dropped.set(id, due);
    if (ids.length > 0) this.#schedule();
  }

  discard(id: string): void {
    this.#discarded.add(id);
    this.#schedule();
  }

  /** Keeps a file that is about to be opened for reading. */
  pin(id: string): void {
    this.#readers.set(id, (this.#readers.get(id) ?? 0) + 1);
  }

  unpin(id: string): void {
    const readers = (this.#readers.get(id) ?? 1) - 1;
    if (readers === 0) this.#readers.delete(id);
    else this.#readers.set(id, readers);
  }

  /** Resolves when no file is being deleted; none is until every pause is released. Releasing is idempotent. */
  async pause(): Promise<() => void> {
    this.#pauses++;
    await this.#working;
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      this.#pauses--;
      if (this.#pauses > 0) return;
      for (const resume of this.#resume.splice(0)) resume();
      this.#schedule();
    };
  }

  /** Deletes what may be deleted, without waiting for the grace time, and what earlier openings left. */
  async sweepNow(): Promise<void> {
    await this.#leftovers;
    this.#failed = false;
    for (const id of this.#dropped.keys()) this.#dropped.set(id, 0);
    while (this.#pauses === 0 && this.#next().length > 0 && !this.#failed) await this.#work(() => this.#sweepBatch());
  }

  /** Nothing is deleted after it resolves. True when nothing was left to delete. */
  async stop(): Promise<boolean> {
    this.#stopped = true;
    for (const resume of this.#resume.splice(0)) resume();
    await this.#leftovers;
    await this.sweepNow();
    if (this.#timer) clearTimeout(this.#timer);
    await this.#working;
    return this.#leftoversDone && !this.#failed && this.#dropped.size === 0 && this.#discarded.size === 0;
  }

  #schedule(): void {
    if (this.#timer || this.#stopped || this.#pauses > 0 || this.#dropped.size + this.#discarded.size === 0) return;
    this.#timer = setTimeout(
      () => {
        this.#timer = null;
        void this.#work(() => this.#sweepBatch()).finally(() => this.#schedule());
      },
      this.#failed ? RETRY_MS : GRACE_MS / 4,
    );
    this.#timer.unref();
  }

  /** One at a time; pause() waits for it. False when nothing was done because of a pause. */
  async #work(act: () => Promise<void>): Promise<boolean> {
    let done = false;
    const before = this.#working;
    this.#working = before.then(async () => {
      if (this.#pauses > 0) return;
      done = true;
      try {
        await act();
        this.#failed = false;
      } catch {
        // A file that cannot be deleted now stays listed: it is tried again later, and by the next opening.
        this.#failed = true;
      }
    });
    await this.#working;
    return done;
  }

  #next(): string[] {
    const now = performance.now();
    const ids = [...this.#discarded].slice(0, BATCH);
    for (const [id, due] of this.#dropped) {
      if (ids.length >= BATCH) break;
      if (due <= now && !this.#readers.has(id)) ids.push(id);
    }
    return ids;
  }

  async #sweepBatch(): Promise<void> {
    const ids = this.#next();
    await Promise.all(ids.map((id) => this.#unlink(dataPath(id))));
    await this.#requireInPlace();
    const rows = ids.filter((id) => this.#dropped.has(id)).map(idBytes);
    if (rows.length > 0) {
      await this.#index.maintain((transaction) => {
        for (const row of rows) {
          transaction.remove('garbage', row);
          transaction.remove('blobs', row);
        }
      });
    }
    for (const id of ids) {
      this.#dropped.delete(id);
      this.#discarded.delete(id);
    }
  }

  async #unlink(path: string): Promise<void> {
    try {
      await unlink(join(this.#folder, path));
    } catch (cause) {
      if (!isErrno(cause, 'ENOENT')) throw storageError(cause, 'deleting', join(this.#folder, path));
    }
  }

  async #sweepLeftovers(): Promise<void> {
    for (const folder of fanOutFolders()) {
      const names = (await listFolder(join(this.#folder, folder))).filter((name) => this.#isLeftover(name));
      for (let at = 0; at < names.length && !this.#stopped; at += BATCH) {
        const batch = names.slice(at, at + BATCH);
        await this.#workUnpaused(async () => {
          await Promise.all(batch.map((name) => this.#unlink(join(folder, name))));
        });
      }
      if (this.#stopped || this.#failed) return;
    }
    await this.#requireInPlace();
    this.#leftoversDone = true;
  }

  /** Below an absent mount nothing is there: files that are would lose the rows by which they are found. */
  async #requireInPlace(): Promise<void> {
    if (await this.#isInPlace()) return;
    throw new ZringError('MOUNT_INVALID', `${this.#folder} is not mounted any more`, { subject: this.#folder });
  }

  async #workUnpaused(act: () => Promise<void>): Promise<void> {
    while (!this.#stopped && !(await this.#work(act))) {
      if (this.#pauses > 0) await new Promise<void>((resolve) => this.#resume.push(resolve));
    }
  }

  /** Names that are not ours are left alone; verify reports them. */
  #isLeftover(name: string): boolean {
    return isId(name) && !this.#ids.owns(name) && this.#index.get('blobs', idBytes(name)) === undefined;
  }
}

/** A fan-out folder that a copy of the store left out, because it was empty, holds nothing. */
export async function listFolder(path: string): Promise<string[]> {
  try {
    return await readdir(path);
  } catch (cause) {
    if (isErrno(cause, 'ENOENT')) return [];
    throw storageError(cause, 'reading', path);
  }
}

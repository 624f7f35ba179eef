// Sending and receiving snapshots of dataset folders: what goes into a stream, and how a received one becomes a snapshot
// without ever leaving the copy half changed. Owns nothing between calls; locks are dir.ts's.
//
// Receive: everything is written to a temporary folder; only after the stream's checksum was right, one rename makes it
// a snapshot (the commit), and makeLive repeats itself until it is done.
import { createReadStream } from 'node:fs';
import * as fs from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { ZringError } from '../common/errors.ts';
import { type DataFile, fsyncPath, inParallel, linkDataFiles, listDataFiles, makeFanOut } from './dir-files.ts';
import {
  isUnchangedSince,
  makeLive,
  makeTemporary,
  nextOrder,
  publishSnapshot,
  readManifest,
  readMeta,
  readSnapshots,
  requireSnapshot,
  type StoredSnapshot,
  sealSnapshot,
  snapshotFolder,
} from './dir-folder.ts';
import {
  DIR_STREAM_VERSION,
  decodeStream,
  encodeStream,
  framingBytes,
  invalid,
  type StreamBegin,
  type StreamFile,
  type StreamSink,
} from './dir-stream.ts';
import { requireGuid } from './names.ts';

export interface SendPlan {
  readonly begin: StreamBegin;
  readonly files: readonly StreamFile[];
  readonly removed: readonly string[];
  readonly folder: string;
  readonly estimateBytes: number;
}

/** Errors: SNAPSHOT_NOT_FOUND, also for a base that is not older. */
export async function planSendOf(
  name: string,
  folder: string,
  options: { snapshot: string; fromGuid: string | null },
): Promise<SendPlan> {
  const to = await requireSnapshot(name, folder, options.snapshot);
  if (options.fromGuid === null) return planSend(folder, to, null);
  const fromGuid = requireGuid(options.fromGuid);
  const from = (await readSnapshots(folder)).find((stored) => stored.guid === fromGuid);
  if (!from || from.order >= to.order) {
    throw new ZringError('SNAPSHOT_NOT_FOUND', `${name} has no snapshot ${fromGuid} before ${to.name}`, {
      subject: name,
    });
  }
  return planSend(folder, to, from);
}

async function planSend(folder: string, to: StoredSnapshot, from: StoredSnapshot | null): Promise<SendPlan> {
  const now = await readManifest(folder, to.name);
  const before = new Map((from ? await readManifest(folder, from.name) : []).map((file) => [file.path, file]));
  // A file that was still growing when the older snapshot was taken has the same inode in both: size and change time,
  // as they were recorded, tell that the receiver has only its beginning.
  const changed = now.filter((file) => !isSame(file, before.get(file.path)));
  const names = new Set(now.map((file) => file.path));
  const removed = [...before.keys()].filter((path) => !names.has(path));
  const index = to.indexBytes === null ? [] : [{ path: 'index', size: to.indexBytes }];
  const files = [...index, ...changed.map(({ path, size }) => ({ path, size }))];
  return {
    begin: {
      version: DIR_STREAM_VERSION,
      snapshot: to.name,
      guid: to.guid,
      fromGuid: from?.guid ?? null,
      createdMs: to.createdMs,
    },
    files,
    removed,
    folder: snapshotFolder(folder, to.name),
    estimateBytes: files.reduce((sum, file) => sum + file.size, 0) + framingBytes(files, removed),
  };
}

function isSame(a: DataFile, b: DataFile | undefined): boolean {
  return b !== undefined && a.size === b.size && a.mtimeNs === b.mtimeNs;
}

export function sendBytes(plan: SendPlan): AsyncGenerator<Buffer> {
  return encodeStream(plan.begin, plan.files, plan.removed, (file) =>
    file.size === 0
      ? none()
      : createReadStream(join(plan.folder, file.path), { end: file.size - 1, highWaterMark: 1 << 18 }),
  );
}

async function* none(): AsyncGenerator<Buffer> {}

/** Receives into `folder`, an existing dataset folder (for a full stream a fresh, empty one that is not yet published). */
export async function receiveInto(
  folder: string,
  source: Readable,
  options: { incremental: boolean; nowMs: number },
): Promise<{ bytes: number; snapshot: StoredSnapshot }> {
  const building = await makeTemporary(folder);
  const sink = new Staging(folder, building, options.incremental);
  try {
    const bytes = await decodeStream(source, sink);
    const snapshot = await sink.seal(options.nowMs);
    await publishSnapshot(folder, building, snapshot.name);
    await makeLive(folder, snapshot);
    return { bytes, snapshot };
  } catch (error) {
    await sink.abandon();
    throw error;
  }
}

/** The snapshot that is being received. Applies nothing outside its folder. */
class Staging implements StreamSink {
  readonly #folder: string;
  readonly #building: string;
  readonly #incremental: boolean;
  readonly #received: string[] = [];
  readonly #gone = new Set<string>();
  #begin: StreamBegin | null = null;
  #base: StoredSnapshot | null = null;
  #indexBytes: number | null = null;
  #open: fs.FileHandle | null = null;

  constructor(folder: string, building: string, incremental: boolean) {
    this.#folder = folder;
    this.#building = building;
    this.#incremental = incremental;
  }

  async begin(begin: StreamBegin): Promise<void> {
    if (this.#incremental !== (begin.fromGuid !== null)) {
      throw invalid(
        this.#incremental ? 'is a full one, an increment was expected' : 'is an increment, a full one was expected',
      );
    }
    this.#begin = begin;
    if (begin.fromGuid === null) return;
    const snapshots = await readSnapshots(this.#folder);
    const newest = snapshots.at(-1);
    if (newest?.guid !== begin.fromGuid) {
      throw diverged(
        `its newest snapshot is ${newest ? `${newest.name} (${newest.guid})` : 'missing'}, not ${begin.fromGuid}`,
      );
    }
    if (snapshots.some((snapshot) => snapshot.name === begin.snapshot)) {
      throw diverged(`it has another snapshot named ${begin.snapshot}`);
    }
    const meta = await readMeta(this.#folder);
    if (!meta || !(await isUnchangedSince(this.#folder, meta, newest)))
      throw diverged(`it was written after ${newest.name}`);
    this.#base = newest;
  }

  async file(file: StreamFile): Promise<void> {
    await this.#finishFile();
    if (file.path === 'index') this.#indexBytes = file.size;
    else {
      this.#received.push(file.path);
      await makeFanOut(this.#building, [file.path]);
    }
    this.#open = await fs.open(join(this.#building, file.path), 'wx', 0o600);
  }

  async data(chunk: Buffer): Promise<void> {
    if (!this.#open) throw invalid('data without a file');
    for (let at = 0; at < chunk.length; ) at += (await this.#open.write(chunk, at)).bytesWritten;
  }

  async remove(paths: readonly string[]): Promise<void> {
    for (const path of paths) this.#gone.add(path);
  }

  async seal(nowMs: number): Promise<StoredSnapshot> {
    await this.#finishFile();
    const begin = this.#begin;
    if (!begin) throw invalid('is empty');
    const paths = this.#indexBytes === null ? this.#received : ['index', ...this.#received];
    await inParallel(paths, (path) => fsyncPath(join(this.#building, path)));
    if (this.#base) await this.#keepUnchanged(this.#base);
    const order = nextOrder(await readSnapshots(this.#folder), nowMs);
    const { snapshot: name, guid, createdMs } = begin;
    const described = { name, guid, order, createdMs, indexBytes: this.#indexBytes };
    return sealSnapshot(this.#building, described, await listDataFiles(this.#building), { pending: true });
  }

  async abandon(): Promise<void> {
    await this.#open?.close();
    this.#open = null;
    await fs.rm(this.#building, { recursive: true, force: true });
  }

  async #keepUnchanged(base: StoredSnapshot): Promise<void> {
    const fresh = new Set(this.#received);
    const before = (await readManifest(this.#folder, base.name)).map((file) => file.path);
    const kept = before.filter((path) => !fresh.has(path) && !this.#gone.has(path));
    await linkDataFiles(snapshotFolder(this.#folder, base.name), this.#building, kept);
  }

  async #finishFile(): Promise<void> {
    await this.#open?.close();
    this.#open = null;
  }
}

function diverged(why: string): ZringError {
  return new ZringError('DATASET_DIVERGED', `cannot receive the increment: ${why}`);
}

export function abortWith(signal: AbortSignal | undefined, stream: Readable, subject: string): void {
  if (!signal) return;
  const abort = () => {
    stream.destroy(new ZringError('ABORTED', `${subject}: stopped`, { subject }));
  };
  if (signal.aborted) abort();
  else signal.addEventListener('abort', abort, { once: true });
  stream.once('close', () => signal.removeEventListener('abort', abort));
}

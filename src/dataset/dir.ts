// Dataset driver on plain folders (ext4, XFS, ZFS), for machines without ZFS: the same contract as zfs.ts, made simple by
// immutable data files. Layout and crash points: dir-root.ts (the root), dir-folder.ts (one dataset).
// A folder below the root is a dataset when it has .zring/meta.json; every other one is somebody else's.
//
// The readonly flag is kept and reported, but fences nothing: the store honours what `open` was asked for.
import { randomBytes } from 'node:crypto';
import * as fs from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { ZringError } from '../common/errors.ts';
import { capture } from './dir-capture.ts';
import { cloneInto } from './dir-clone.ts';
import { completeFanOut, exists, fsyncPath, hasOpenFiles, inParallel } from './dir-files.ts';
import {
  holdsOf,
  META_FOLDER,
  type Meta,
  nextOrder,
  readMeta,
  readSnapshots,
  recoverFolder,
  removeSnapshot,
  requireSnapshot,
  rollBackTo,
  snapshotFolder,
  snapshotInfo,
  writeMeta,
} from './dir-folder.ts';
import { createDirMeter, type Measured } from './dir-measure.ts';
import { type DirRoot, openDirRoot } from './dir-root.ts';
import { refusedSettings } from './dir-settings.ts';
import { abortWith, planSendOf, receiveInto, sendBytes } from './dir-transfer.ts';
import type {
  DatasetDriver,
  DatasetInfo,
  OpenedDataset,
  SendStream,
  SettingRefusal,
  SnapshotInfo,
  SnapshotSource,
  StorageFacts,
  StorageSettings,
  Usage,
} from './driver.ts';
import { folderError } from './errors.ts';
import { createKeyedMutex } from './mutex.ts';
import {
  isDatasetName,
  isStagingName,
  requireDatasetName,
  requireFirstCopyName,
  requireHoldTag,
  requireProperties,
  requirePublishable,
  requireSnapshotName,
  STATE_NAME,
} from './names.ts';
import { createSendBook } from './sending.ts';

/** What a listing may spend on measuring datasets. */
const MEASURE_BUDGET_MS = 500;

export async function openDirDriver(
  location: string,
  cluster: string,
  nowMs: () => number = Date.now,
): Promise<DatasetDriver> {
  try {
    return new DirDriver(await openDirRoot(location, cluster), nowMs);
  } catch (error) {
    throw folderError(error, `dir:${location}`);
  }
}

class DirDriver implements DatasetDriver {
  readonly kind = 'dir';
  readonly storage: string;
  readonly capabilities = {
    bookmarks: false,
    resume: false,
    rawSend: false,
    written: false,
    readonlyFencesOpenFiles: false,
    description: 'plain folders',
    settings: { quota: 'counted', reservation: false, compression: ['off'] },
  } as const;
  readonly #root: DirRoot;
  readonly #nowMs: () => number;
  readonly #mutex = createKeyedMutex();
  readonly #meter = createDirMeter();
  readonly #sending = createSendBook();
  /** `name@snapshot`, of snapshots that are being read where they lie. */
  readonly #mounted = new Set<string>();

  constructor(root: DirRoot, nowMs: () => number) {
    this.#root = root;
    this.#nowMs = nowMs;
    this.storage = `dir:${root.path}`;
  }

  async list(): Promise<readonly DatasetInfo[]> {
    await this.#root.requireSame();
    const names = (await fs.readdir(this.#root.path)).filter(isDatasetName);
    const found: DatasetInfo[] = [];
    const deadlineMs = performance.now() + MEASURE_BUDGET_MS;
    await inParallel(names, async (name) => {
      const meta = await this.#ours(name);
      if (meta) found.push(this.#info(name, meta, await this.#meter.measureUntil(this.#root.folder(name), deadlineMs)));
    });
    return found.sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  async get(name: string): Promise<DatasetInfo | null> {
    requireDatasetName(name);
    await this.#root.requireSame();
    const meta = await this.#ours(name);
    return meta && this.#info(name, meta, await this.#meter.measure(this.#root.folder(name)));
  }

  async create(
    name: string,
    properties: Record<string, string>,
    init: (path: string) => Promise<void>,
  ): Promise<DatasetInfo> {
    requireDatasetName(name);
    requireProperties(properties);
    return this.#alone([name], async () => {
      await this.#root.requireFree(name);
      const meta = { readonly: false, properties, head: null };
      await this.#root.build(name, meta, init);
      return this.#info(name, meta, await this.#meter.measure(this.#root.folder(name)));
    });
  }

  async clone(
    name: string,
    snapshot: { readonly name: string; readonly guid: string },
    target: string,
    properties: Record<string, string>,
    init: (path: string) => Promise<void>,
  ): Promise<DatasetInfo> {
    requireDatasetName(target);
    requireSnapshotName(snapshot.name);
    requireProperties(properties);
    return this.#alone([requireDatasetName(name), target], async () => {
      await this.#require(name);
      await this.#root.requireFree(target);
      const meta = { readonly: false, properties, head: null };
      const folder = this.#root.folder(name);
      await this.#root.build(target, meta, async (fresh) => {
        await cloneInto(fresh, { name, folder, snapshot });
        await init(fresh);
      });
      return this.#info(target, meta, await this.#meter.measure(this.#root.folder(target)));
    });
  }

  async open(name: string, options: { id: string; readonly: boolean }): Promise<OpenedDataset> {
    return this.#change(name, async (folder, meta) => {
      if (meta.properties.id !== options.id) {
        throw new ZringError('MOUNT_INVALID', `${folder} has id ${meta.properties.id}, not ${options.id}`, {
          subject: name,
        });
      }
      if (meta.readonly !== options.readonly) await writeMeta(folder, { ...meta, readonly: options.readonly });
      // Of a received copy, which had no writer yet.
      if (!options.readonly && (await exists(join(folder, 'index')))) await completeFanOut(folder);
      return { path: folder, encryption: null };
    });
  }

  async close(name: string): Promise<void> {
    requireDatasetName(name);
    await this.#alone([name], async () => {
      if (await this.#ours(name)) await this.#requireLiveIdle(name);
    });
  }

  async setReadonly(name: string, readonly: boolean): Promise<void> {
    await this.#change(name, (folder, meta) => writeMeta(folder, { ...meta, readonly }));
  }

  async setProperties(name: string, properties: Record<string, string | null>): Promise<void> {
    requireProperties(properties);
    await this.#change(name, async (folder, meta) => {
      const merged = Object.entries({ ...meta.properties, ...properties });
      const kept = merged.filter((entry): entry is [string, string] => entry[1] !== null);
      await writeMeta(folder, { ...meta, properties: Object.fromEntries(kept) });
    });
  }

  async configure(name: string, settings: Partial<StorageSettings>): Promise<readonly SettingRefusal[]> {
    return this.#change(name, async () => refusedSettings(settings));
  }

  /** Walks the folder: every file that is there by now counts, swept or not. */
  async facts(name: string, options: { settled?: boolean } = {}): Promise<StorageFacts> {
    requireDatasetName(name);
    await this.#require(name);
    const folder = this.#root.folder(name);
    const deadlineMs = performance.now() + MEASURE_BUDGET_MS;
    const sizes = await (options.settled ? this.#meter.measure(folder) : this.#meter.measureUntil(folder, deadlineMs));
    return {
      settings: { quotaBytes: null, reservationBytes: null, compression: null },
      referencedBytes: sizes.referencedBytes,
      usedBytes: sizes.usedBytes,
      availableBytes: (await this.usage()).freeBytes,
      compressRatio: null,
      encryption: null,
    };
  }

  async rename(from: string, to: string): Promise<void> {
    requireDatasetName(from);
    requireDatasetName(to);
    await this.#alone([from, to], async () => {
      const meta = await this.#require(from);
      requirePublishable(from, to, meta.properties.id);
      await this.#requireIdle(from);
      await this.#root.rename(from, to);
      this.#meter.forget(this.#root.folder(from));
    });
  }

  async destroy(name: string): Promise<void> {
    requireDatasetName(name);
    await this.#alone([name], async () => {
      if (!(await exists(this.#root.folder(name)))) return;
      await this.#require(name);
      await this.#requireIdle(name);
      await this.#root.remove(name);
      this.#meter.forget(this.#root.folder(name));
    });
  }

  async snapshot(name: string, snapshot: string, source?: SnapshotSource): Promise<SnapshotInfo> {
    requireSnapshotName(snapshot);
    return this.#change(name, async (folder, meta) => {
      const others = await readSnapshots(folder);
      if (others.some((other) => other.name === snapshot)) {
        throw new ZringError('DATASET_ALREADY_EXISTS', `${name}@${snapshot} exists already`, { subject: name });
      }
      const guid = (randomBytes(8).readBigUInt64BE() | 1n).toString();
      const nowMs = this.#nowMs();
      const described = { name: snapshot, guid, order: nextOrder(others, nowMs), createdMs: nowMs };
      return snapshotInfo(folder, await capture(folder, meta, described, source));
    });
  }

  async snapshots(name: string): Promise<readonly SnapshotInfo[]> {
    requireDatasetName(name);
    await this.#require(name);
    const folder = this.#root.folder(name);
    return Promise.all((await readSnapshots(folder)).map((stored) => snapshotInfo(folder, stored)));
  }

  async destroySnapshot(name: string, snapshot: string, { held = false } = {}): Promise<void> {
    requireSnapshotName(snapshot);
    await this.#change(name, async (folder) => {
      if (!(await readSnapshots(folder)).some((stored) => stored.name === snapshot)) return;
      if (!held && (await holdsOf(folder, snapshot)).length > 0) {
        throw new ZringError('SNAPSHOT_HELD', `${name}@${snapshot} is held`, { subject: name });
      }
      if (this.#isInUse(name, snapshot)) throw busy(`${name}@${snapshot} is being sent or read`, name);
      await removeSnapshot(folder, snapshot);
    });
  }

  async hold(name: string, snapshot: string, tag: string): Promise<void> {
    await this.#changeHold(name, snapshot, tag, async (path) => {
      await (await fs.open(path, 'a', 0o600)).close();
    });
  }

  async release(name: string, snapshot: string, tag: string): Promise<void> {
    await this.#changeHold(name, snapshot, tag, (path) => fs.rm(path, { force: true }));
  }

  async rollback(name: string, snapshot: string, { dryRun = false } = {}): Promise<void> {
    requireSnapshotName(snapshot);
    await this.#change(name, async (folder) => {
      const wanted = await requireSnapshot(name, folder, snapshot);
      if (dryRun) return;
      await this.#requireLiveIdle(name);
      const later = (await readSnapshots(folder)).filter(({ order }) => order > wanted.order);
      for (const other of later) {
        if (this.#isInUse(name, other.name)) throw busy(`${name}@${other.name} is in use`, name);
      }
      // The newest first: what is left after a crash is a dataset as it was, with its earlier snapshots.
      for (const other of later.reverse()) await removeSnapshot(folder, other.name);
      await rollBackTo(folder, wanted);
      this.#meter.forget(folder);
    });
  }

  async heldWith(name: string, tag: string): Promise<ReadonlySet<string>> {
    requireDatasetName(name);
    requireHoldTag(tag);
    await this.#require(name);
    const folder = this.#root.folder(name);
    const held = new Set<string>();
    for (const { name: snapshot } of await readSnapshots(folder)) {
      if ((await holdsOf(folder, snapshot)).includes(tag)) held.add(snapshot);
    }
    return held;
  }

  /** Its files lie in a folder of their own already. */
  async mountSnapshot(name: string, snapshot: string): Promise<string> {
    requireSnapshotName(snapshot);
    return this.#change(name, async (folder) => {
      await requireSnapshot(name, folder, snapshot);
      this.#mounted.add(`${name}@${snapshot}`);
      return snapshotFolder(folder, snapshot);
    });
  }

  async unmountSnapshot(name: string, snapshot: string): Promise<void> {
    requireDatasetName(name);
    requireSnapshotName(snapshot);
    const key = `${name}@${snapshot}`;
    await this.#alone([name], async () => {
      if (!this.#mounted.has(key)) return;
      // While it is being sent, these files are open anyway.
      const isSent = this.#sending.isSending(name, snapshot);
      if (!isSent && (await hasOpenFiles(snapshotFolder(this.#root.folder(name), snapshot)))) {
        throw busy(`${key} is in use`, name);
      }
      this.#mounted.delete(key);
    });
  }

  async send(
    name: string,
    options: { snapshot: string; fromGuid: string | null; signal?: AbortSignal },
  ): Promise<SendStream> {
    const key = `${requireDatasetName(name)}@${requireSnapshotName(options.snapshot)}`;
    // Counted under the lock of the dataset: no removal comes between finding the snapshot and pinning it.
    const { plan, endSend } = await this.#change(name, async (folder) => {
      const found = await planSendOf(name, folder, options);
      return { plan: found, endSend: this.#sending.begin(name, options.snapshot) };
    });
    const stream = Readable.from(sendBytes(plan), { objectMode: false, highWaterMark: 1 << 20 });
    const done = new Promise<void>((resolve, reject) => {
      stream.once('end', resolve);
      stream.once('error', (error) => reject(folderError(error, key)));
      stream.once('close', () => {
        endSend();
        reject(new ZringError('ABORTED', `sending ${key} was stopped`, { subject: name }));
      });
    });
    done.catch(() => {});
    abortWith(options.signal, stream, key);
    return { stream, done };
  }

  async estimateSend(name: string, options: { snapshot: string; fromGuid: string | null }): Promise<number | null> {
    requireSnapshotName(options.snapshot);
    return this.#change(name, async (folder) => (await planSendOf(name, folder, options)).estimateBytes);
  }

  async receive(
    name: string,
    stream: Readable,
    options: { incremental: boolean; signal?: AbortSignal },
  ): Promise<{ bytes: number; snapshot: SnapshotInfo }> {
    requireDatasetName(name);
    if (!options.incremental) requireFirstCopyName(name);
    // From the first moment, for the stream may fail while we wait for the lock; its reader is told all the same.
    stream.on('error', () => {});
    abortWith(options.signal, stream, name);
    try {
      const received = options.incremental
        ? await this.#receiveStep(name, stream)
        : await this.#receiveFull(name, stream);
      return { bytes: received.bytes, snapshot: await snapshotInfo(this.#root.folder(name), received.snapshot) };
    } catch (error) {
      stream.destroy();
      if (!options.signal?.aborted) throw error;
      throw new ZringError('ABORTED', `receiving ${name} was stopped`, { cause: error, subject: name });
    }
  }

  async usage(): Promise<Usage> {
    try {
      await this.#root.requireSame();
      const stat = await fs.statfs(this.#root.path);
      const health = await fs.access(this.#root.path, fs.constants.W_OK).then(
        () => 'ok',
        (error: NodeJS.ErrnoException) => (error.code === 'EROFS' ? 'read-only' : `not writable (${error.code})`),
      );
      return { totalBytes: stat.blocks * stat.bsize, freeBytes: stat.bavail * stat.bsize, health };
    } catch (error) {
      return { totalBytes: 0, freeBytes: 0, health: error instanceof Error ? error.message : String(error) };
    }
  }

  async stateFolder(): Promise<string> {
    return this.#alone([STATE_NAME], async () => {
      const path = this.#root.folder(STATE_NAME);
      await fs.mkdir(path, { recursive: true, mode: 0o700 });
      await fsyncPath(this.#root.path);
      return path;
    });
  }

  async shutdown(): Promise<void> {}

  async #ours(name: string): Promise<Meta | null> {
    const meta = await readMeta(this.#root.folder(name));
    return meta && (meta.properties.id !== undefined || isStagingName(name)) ? meta : null;
  }

  async #require(name: string): Promise<Meta> {
    await this.#root.requireSame();
    const meta = await this.#ours(name);
    if (!meta)
      throw new ZringError('DATASET_NOT_FOUND', `${this.#root.folder(name)} is not a dataset`, { subject: name });
    return meta;
  }

  /** What an unmount would need: nobody has a file of the live folder open. Those below .zring do not count. */
  async #requireLiveIdle(name: string): Promise<void> {
    if (await hasOpenFiles(this.#root.folder(name), META_FOLDER)) throw busy(`${name} has open files`, name);
  }

  async #requireIdle(name: string): Promise<void> {
    const isRead = [...this.#mounted].some((key) => key.startsWith(`${name}@`));
    if (isRead || this.#sending.isSending(name) || (await hasOpenFiles(this.#root.folder(name))))
      throw busy(`${name} is in use`, name);
  }

  #isInUse(name: string, snapshot: string): boolean {
    return this.#sending.isSending(name, snapshot) || this.#mounted.has(`${name}@${snapshot}`);
  }

  async #alone<T>(names: readonly string[], task: () => Promise<T>): Promise<T> {
    return this.#mutex.run(names, async () => {
      try {
        await this.#root.requireSame();
        return await task();
      } catch (error) {
        throw folderError(error, `${this.storage}/${names.join(', ')}`);
      }
    });
  }

  /** Runs a change of one existing dataset, alone, after what a crash left has been finished. */
  async #change<T>(name: string, task: (folder: string, meta: Meta) => Promise<T>): Promise<T> {
    requireDatasetName(name);
    return this.#alone([name], async () => {
      await this.#require(name);
      await recoverFolder(this.#root.folder(name));
      return task(this.#root.folder(name), await this.#require(name));
    });
  }

  async #changeHold(name: string, snapshot: string, tag: string, change: (path: string) => Promise<void>) {
    requireSnapshotName(snapshot);
    requireHoldTag(tag);
    await this.#change(name, async (folder) => {
      await requireSnapshot(name, folder, snapshot);
      const holds = join(snapshotFolder(folder, snapshot), 'holds');
      await change(join(holds, tag));
      await fsyncPath(holds);
    });
  }

  async #receiveFull(name: string, stream: Readable) {
    return this.#alone([name], async () => {
      await this.#root.requireFree(name);
      return this.#root.build(name, { readonly: true, properties: {}, head: null }, (folder) =>
        receiveInto(folder, stream, { incremental: false, nowMs: this.#nowMs() }),
      );
    });
  }

  async #receiveStep(name: string, stream: Readable) {
    return this.#change(name, async (folder) => {
      await this.#requireLiveIdle(name);
      this.#meter.forget(folder);
      return receiveInto(folder, stream, { incremental: true, nowMs: this.#nowMs() });
    });
  }

  #info(name: string, meta: Meta, sizes: Measured): DatasetInfo {
    const { readonly, properties } = meta;
    const { referencedBytes, usedBytes } = sizes;
    return { name, path: this.#root.folder(name), readonly, properties, referencedBytes, usedBytes };
  }
}

function busy(message: string, subject: string): ZringError {
  return new ZringError('DATASET_BUSY', message, { subject });
}

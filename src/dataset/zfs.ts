// Dataset driver on ZFS through its commands: OpenZFS 2.x, and zfs-fuse (pool version 23) as the least that is supported.
// Owns the datasets below its root that carry `zring:id` (source local), staging names, and `_zring`; every other dataset
// is somebody else's. Keeps nothing of the pool in memory. This file has the order of steps; zfs-datasets.ts the steps.
//
// Facts that shaped it (tried on zfs-fuse 0.7.0 and OpenZFS 2.1.11):
// - `guid` and `createtxg` are answered by `zfs get` on both when asked for by name (zfs-fuse leaves them out of `all`).
// - zfs-fuse: `readonly=on` with an open file ends with status 0 and changes nothing; an unmount is reported before the
//   dataset is free; `zfs holds` needs a file that Debian does not ship; `zfs set` takes one property; an increment
//   received into a dataset that does not exist goes into whichever dataset of the pool has the base, so existence is
//   checked first, under the lock. OpenZFS ends with status 0 when it is given an increment a second time.
// - A copy that is mounted for reading has to be read-only: an access time would count as a change and block increments.
// - Mounting needs root on Linux, even where `zfs allow` delegates everything else.
import type { Readable } from 'node:stream';
import { isZringError, ZringError } from '../common/errors.ts';
import type {
  Capabilities,
  DatasetDriver,
  DatasetInfo,
  OpenedDataset,
  ReceiveResult,
  SendOptions,
  SendStream,
  SettingRefusal,
  SnapshotInfo,
  StorageFacts,
  StorageSettings,
  Usage,
} from './driver.ts';
import { createKeyedMutex } from './mutex.ts';
import {
  isDatasetName,
  isStagingName,
  requireDatasetName,
  requireFirstCopyName,
  requireGuid,
  requireHoldTag,
  requireProperties,
  requirePublishable,
  requireSameGuid,
  requireSnapshotName,
  STATE_NAME,
  zfsName,
  zfsSnapshotName,
} from './names.ts';
import { createSendBook } from './sending.ts';
import { isCloneName, ZfsClones } from './zfs-clones.ts';
import type { ZfsCommands } from './zfs-commands.ts';
import { CREATING, type Found, foundOf, INFO_PROPERTIES, infoOf, isOurs, ZfsDatasets } from './zfs-datasets.ts';
import { beginDataset, DATA_RECORD, finishDataset, INDEX_RECORD, type ZfsMaker } from './zfs-making.ts';
import { ZfsOrigins } from './zfs-origins.ts';
import { ownProperties, PREFIX, parseSendEstimate } from './zfs-parse.ts';
import type { ZfsFlavour } from './zfs-probe.ts';
import { applySettings, dropLimits, encryptionOf, factsOf, snapshotDespiteReservation } from './zfs-settings.ts';
import { invalid, type ZfsStreamBegin } from './zfs-stream.ts';
import { abortWith, openIncoming, receiveStream, sendStream } from './zfs-transfer.ts';
import { poolUsage } from './zfs-usage.ts';

/** From the last byte to the end of `zfs receive`; it has then only to commit, or to throw away what it had. */
const RECEIVE_END_MS = 600_000;

export class ZfsDriver implements DatasetDriver {
  readonly kind = 'zfs';
  readonly storage: string;
  readonly capabilities: Capabilities;
  readonly #root: string;
  readonly #flavour: ZfsFlavour;
  readonly #commands: ZfsCommands;
  readonly #datasets: ZfsDatasets;
  readonly #clones: ZfsClones;
  readonly #origins: ZfsOrigins;
  readonly #maker: ZfsMaker;
  readonly #usageTimeoutMs: number;
  readonly #mutex = createKeyedMutex();
  readonly #sending = createSendBook();

  constructor(options: {
    root: string;
    flavour: ZfsFlavour;
    commands: ZfsCommands;
    /** Of this process, for what it leaves unfinished. */
    mark: string;
    usageTimeoutMs: number;
  }) {
    this.#root = options.root;
    this.#flavour = options.flavour;
    this.#commands = options.commands;
    this.#datasets = new ZfsDatasets(options.root, options.commands, options.flavour.modern);
    this.#clones = new ZfsClones(options.root, options.commands, this.#datasets);
    this.#origins = new ZfsOrigins(options.commands, this.#datasets);
    this.#maker = { datasets: this.#datasets, commands: options.commands, mark: options.mark };
    this.#usageTimeoutMs = options.usageTimeoutMs;
    this.storage = `zfs:${options.root}`;
    this.capabilities = options.flavour.capabilities;
  }

  async list(): Promise<readonly DatasetInfo[]> {
    const isListed = (found: Found) => isDatasetName(found.name) && !isCloneName(found.name) && isOurs(found);
    return (await this.#children()).filter(isListed).map(infoOf);
  }

  async get(name: string): Promise<DatasetInfo | null> {
    const found = await this.#datasets.find(requireDatasetName(name));
    return found && infoOf(found);
  }

  async create(
    name: string,
    properties: Record<string, string>,
    init: (path: string) => Promise<void>,
  ): Promise<DatasetInfo> {
    requireDatasetName(name);
    requireProperties(properties);
    const wanted = { name, properties, init };
    return this.#mutex.run([name], async () => {
      await beginDataset(this.#maker, wanted, (settings, full) =>
        this.#createDataset(full, [...settings, ...this.#settings()]),
      );
      return finishDataset(this.#maker, wanted);
    });
  }

  async clone(
    name: string,
    snapshot: { readonly name: string; readonly guid: string },
    target: string,
    properties: Record<string, string>,
    init: (path: string) => Promise<void>,
  ): Promise<DatasetInfo> {
    const origin = this.#snapshotName(name, snapshot.name);
    requireDatasetName(target);
    requireProperties(properties);
    const wanted = { name: target, properties, init };
    await this.#mutex.run([name, target], async () => {
      await this.#datasets.require(name);
      requireSameGuid(origin, snapshot.guid, await this.#datasets.requireSnapshot(name, snapshot.name));
      await beginDataset(this.#maker, wanted, (settings, full) => {
        const set = [...settings, ...this.#settings()].flatMap((setting) => ['-o', setting]);
        return this.#commands.zfs(['clone', ...set, origin, full], target);
      });
    });
    // Without the other one's lock: its index may be long to read.
    return this.#mutex.run([target], () => finishDataset(this.#maker, wanted));
  }

  async open(name: string, options: { id: string; readonly: boolean }): Promise<OpenedDataset> {
    return this.#change(name, async (found) => {
      if (found.own.id !== options.id) {
        throw new ZringError('MOUNT_INVALID', `${found.full} has id ${found.own.id}, not ${options.id}`, {
          subject: name,
        });
      }
      if (found.readonly !== options.readonly) await this.#datasets.applyReadonly(found, options.readonly);
      if (!found.mounted) await this.#datasets.mount(found.full);
      return { path: await this.#datasets.provePath(found.full), encryption: encryptionOf(found.values) };
    });
  }

  async close(name: string): Promise<void> {
    requireDatasetName(name);
    await this.#mutex.run([name], async () => {
      const found = await this.#datasets.find(name);
      if (found?.mounted) await this.#datasets.unmount(found.full);
    });
  }

  async setReadonly(name: string, readonly: boolean): Promise<void> {
    await this.#change(name, (found) => this.#datasets.applyReadonly(found, readonly));
  }

  async setProperties(name: string, properties: Record<string, string | null>): Promise<void> {
    requireProperties(properties);
    await this.#change(name, async ({ full }) => {
      const set = Object.entries(properties).filter((entry) => entry[1] !== null);
      await this.#commands.set(
        full,
        set.map(([key, value]) => `${PREFIX}${key}=${value}`),
      );
      for (const [key, value] of Object.entries(properties)) {
        if (value === null) await this.#commands.zfs(['inherit', `${PREFIX}${key}`, full], name);
      }
    });
  }

  async configure(name: string, settings: Partial<StorageSettings>): Promise<readonly SettingRefusal[]> {
    return this.#change(name, (found) => applySettings(this.#commands, this.#flavour, found, settings));
  }

  async facts(name: string, options: { settled?: boolean } = {}): Promise<StorageFacts> {
    return this.#change(name, async (found) => {
      if (!options.settled) return factsOf(found.values);
      // Any `zfs set` waits for the transaction group that it is in, and so for all that was written before. This one
      // repeats what is so already. (A full dataset refuses its own refquota.)
      await this.#commands.set(found.full, [DATA_RECORD]);
      return factsOf((await this.#datasets.require(name)).values);
    });
  }

  async rename(from: string, to: string, { doomed = false } = {}): Promise<void> {
    const target = zfsName(this.#root, requireDatasetName(to));
    requireDatasetName(from);
    await this.#mutex.run([from, to], async () => {
      const found = await this.#datasets.require(from);
      requirePublishable(from, to, found.own.id);
      await this.#datasets.clearUnfinished(to);
      await this.#requireFree(target);
      this.#requireNotSending(from);
      // A received dataset has none of these; set here too, for a crash may have come right after receiving.
      if (isStagingName(from)) await this.#commands.set(found.full, [DATA_RECORD, ...this.#settings()]);
      if (isStagingName(to)) await dropLimits(this.#commands, found);
      if (found.mounted) await this.#datasets.unmount(found.full);
      // zfs-fuse renames nothing as long as a file is open in something that was cloned from it.
      if (doomed && !this.#flavour.modern) await this.#freeDependents(found);
      await this.#commands.zfsPatiently(['rename', found.full, target], from);
    });
  }

  async destroy(name: string): Promise<void> {
    const full = zfsName(this.#root, requireDatasetName(name));
    await this.#mutex.run([name], async () => {
      if (!(await this.#datasets.exists(full))) return;
      const found = await this.#datasets.require(name);
      const inside = await this.#commands.get(full, 'type', { depth: 1 });
      const child = [...inside.keys()].find((other) => other.startsWith(`${full}/`));
      // `destroy -r` is for the snapshots: a dataset that somebody made in ours is not ours to destroy.
      if (child) throw new ZringError('DATASET_BUSY', `${full} has another dataset in it: ${child}`, { subject: name });
      this.#requireNotSending(name);
      this.#clones.requireUnused(name);
      if (found.mounted) await this.#datasets.unmount(full);
      await this.#datasets.releaseOurs(full, name, () => true);
      await this.#freeDependents(found);
      await this.#commands.zfsPatiently(['destroy', '-r', full], name);
    });
  }

  async snapshot(name: string, snapshot: string): Promise<SnapshotInfo> {
    const full = this.#snapshotName(name, snapshot);
    return this.#change(name, async (found) => {
      await snapshotDespiteReservation(this.#commands, found, () => this.#commands.zfs(['snapshot', full], name));
      return this.#datasets.requireSnapshot(name, snapshot);
    });
  }

  async snapshots(name: string): Promise<readonly SnapshotInfo[]> {
    await this.#datasets.require(requireDatasetName(name));
    return this.#datasets.snapshots(name);
  }

  async destroySnapshot(name: string, snapshot: string, { held = false } = {}): Promise<void> {
    const full = this.#snapshotName(name, snapshot);
    await this.#change(name, async () => {
      const found = (await this.#datasets.snapshots(name)).find((candidate) => candidate.name === snapshot);
      if (!found) return;
      if (found.holds > 0 && !held) throw new ZringError('SNAPSHOT_HELD', `${full} is held`, { subject: name });
      this.#requireNotSending(name, snapshot);
      await this.#clones.clear(name, snapshot, found.guid);
      if (held) await this.#datasets.releaseOurs(zfsName(this.#root, name), name, (other) => other === full);
      await this.#origins.destroySnapshot(full, found.guid, name);
    });
  }

  async hold(name: string, snapshot: string, tag: string): Promise<void> {
    const full = this.#snapshotName(name, snapshot);
    requireHoldTag(tag);
    await this.#change(name, async () => {
      await this.#datasets.requireSnapshot(name, snapshot);
      await this.#datasets.holdSnapshot(full, tag);
    });
  }

  async release(name: string, snapshot: string, tag: string): Promise<void> {
    const full = this.#snapshotName(name, snapshot);
    requireHoldTag(tag);
    await this.#change(name, async () => {
      await this.#datasets.requireSnapshot(name, snapshot);
      await this.#datasets.releaseSnapshot(full, tag);
    });
  }

  async rollback(name: string, snapshot: string, { dryRun = false } = {}): Promise<void> {
    const full = this.#snapshotName(name, snapshot);
    await this.#change(name, async (found) => {
      const { order } = await this.#datasets.requireSnapshot(name, snapshot);
      const later = (await this.#datasets.snapshots(name)).filter((other) => other.order > order);
      await this.#origins.requireNoneAfter(name, order);
      await this.#datasets.requireNamed(found.full, name, order, later.length);
      if (dryRun) return;
      for (const other of later) {
        this.#requireNotSending(name, other.name);
        await this.#clones.clear(name, other.name, other.guid);
      }
      if (found.mounted) await this.#datasets.unmount(found.full);
      await this.#datasets.releaseOurs(found.full, name, (other) =>
        later.some((known) => `${found.full}@${known.name}` === other),
      );
      await this.#commands.zfsPatiently(['rollback', '-r', full], name);
    });
  }

  async heldWith(name: string, tag: string): Promise<ReadonlySet<string>> {
    requireHoldTag(tag);
    return this.#datasets.heldWith(requireDatasetName(name), tag);
  }

  async mountSnapshot(name: string, snapshot: string): Promise<string> {
    this.#snapshotName(name, snapshot);
    return this.#change(name, () => this.#clones.mount(name, snapshot));
  }

  async unmountSnapshot(name: string, snapshot: string): Promise<void> {
    this.#snapshotName(name, snapshot);
    await this.#mutex.run([name], () => this.#clones.unmount(name, snapshot));
  }

  async send(name: string, options: SendOptions & { signal?: AbortSignal }): Promise<SendStream> {
    const subject = this.#snapshotName(name, options.snapshot);
    if (options.fromGuid !== null) requireGuid(options.fromGuid);
    // Counted under the lock: no destroy comes between finding the snapshot and holding on to it.
    return this.#change(name, async () => {
      const args = await this.#sendArgs(name, options);
      const sent = sendStream(this.#commands, ['send', ...args], subject, options.signal);
      sent.stream.once('close', this.#sending.begin(name, options.snapshot));
      return sent;
    });
  }

  async estimateSend(name: string, options: SendOptions): Promise<number | null> {
    this.#snapshotName(name, options.snapshot);
    if (options.fromGuid !== null) requireGuid(options.fromGuid);
    await this.#datasets.require(name);
    const args = await this.#sendArgs(name, options);
    return this.#flavour.modern ? parseSendEstimate(await this.#commands.zfs(['send', '-nP', ...args], name)) : null;
  }

  async receive(
    name: string,
    stream: Readable,
    options: { incremental: boolean; signal?: AbortSignal },
  ): Promise<ReceiveResult> {
    requireDatasetName(name);
    if (!options.incremental) requireFirstCopyName(name);
    // From the first moment, for the stream may fail while we wait for the lock; its reader is told all the same.
    stream.on('error', () => {});
    abortWith(options.signal, stream, name);
    try {
      return await this.#mutex.run([name], () =>
        options.incremental
          ? this.#receiveStep(name, stream, options.signal)
          : this.#receiveFull(name, stream, options.signal),
      );
    } catch (error) {
      if (!options.signal?.aborted) throw error;
      throw new ZringError('ABORTED', `receiving ${name} was stopped`, { cause: error, subject: name });
    } finally {
      stream.destroy();
    }
  }

  usage(): Promise<Usage> {
    return poolUsage(this.#commands, this.#root, this.#usageTimeoutMs);
  }

  async stateFolder(): Promise<string> {
    const full = zfsName(this.#root, STATE_NAME);
    return this.#mutex.run([STATE_NAME], async () => {
      // Only small databases: the record size stays small.
      if (!(await this.#datasets.exists(full))) await this.#createDataset(full, [INDEX_RECORD, ...this.#settings()]);
      await this.#datasets.mount(full);
      return this.#datasets.provePath(full);
    });
  }

  async shutdown(): Promise<void> {}

  /** Removes what processes that are gone left of creating datasets. Once, at start. */
  async clearUnfinished(): Promise<void> {
    const children = await this.#children();
    await this.#clones.clearLeftovers(children.map(({ name }) => name));
    for (const found of children) {
      const isUnfinished = found.own[CREATING] !== undefined && found.own.id === undefined && isDatasetName(found.name);
      if (isUnfinished) await this.#mutex.run([found.name], () => this.#datasets.clearUnfinished(found.name));
    }
  }

  /** Two commands, whatever the number: what was set on each, and what ZFS knows of each. */
  async #children(): Promise<Found[]> {
    const [set, known] = await Promise.all([
      this.#commands.get(this.#root, 'all', { depth: 1, localOnly: true }),
      this.#commands.get(this.#root, INFO_PROPERTIES, { depth: 1 }),
    ]).catch((error: unknown) => {
      // Never an empty list: of an exported pool ZFS says that the dataset does not exist.
      if (!isZringError(error, 'DATASET_NOT_FOUND')) throw error;
      throw new ZringError('STORAGE_UNAVAILABLE', `${this.#root} is gone`, { cause: error, subject: this.#root });
    });
    const children = [...known].filter(([full]) => full.startsWith(`${this.#root}/`) && !full.includes('@'));
    return children
      .map(([full, values]) =>
        foundOf(this.#root, full, values, ownProperties(set.get(full) ?? new Map()), this.#flavour.modern),
      )
      .sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  #settings(): string[] {
    return [`compression=${this.#flavour.compression}`, 'atime=off', 'canmount=noauto'];
  }

  #snapshotName(name: string, snapshot: string): string {
    return zfsSnapshotName(this.#root, requireDatasetName(name), requireSnapshotName(snapshot));
  }

  async #createDataset(full: string, settings: readonly string[]): Promise<void> {
    await this.#commands.zfs(['create', ...settings.flatMap((setting) => ['-o', setting]), full], full);
  }

  async #requireFree(full: string): Promise<void> {
    if (!(await this.#datasets.exists(full))) return;
    throw new ZringError('DATASET_ALREADY_EXISTS', `${full} exists already`, { subject: full });
  }

  async #freeDependents({ name, full }: Found): Promise<void> {
    await this.#clones.clearAll(name);
    if ((await this.#origins.dependents(name)).length === 0) return;
    await this.#datasets.releaseOurs(full, name, () => true);
    await this.#origins.handOver(name);
  }

  #requireNotSending(name: string, snapshot?: string): void {
    if (!this.#sending.isSending(name, snapshot)) return;
    throw new ZringError('DATASET_BUSY', `${name}${snapshot ? `@${snapshot}` : ''} is being sent`, { subject: name });
  }

  async #change<T>(name: string, task: (found: Found) => Promise<T>): Promise<T> {
    requireDatasetName(name);
    return this.#mutex.run([name], async () => task(await this.#datasets.require(name)));
  }

  async #sendArgs(name: string, { snapshot, fromGuid, accepts }: SendOptions): Promise<string[]> {
    const full = this.#snapshotName(name, snapshot);
    const snapshots = await this.#datasets.snapshots(name);
    const to = snapshots.find((candidate) => candidate.name === snapshot);
    if (!to) throw new ZringError('SNAPSHOT_NOT_FOUND', `${full} does not exist`, { subject: name });
    // Blocks travel as they lie on disk: neither end compresses them again. A receiver that lacks one of the compressions
    // would refuse the stream (zfs-send(8), -c).
    const own = this.capabilities.settings.compression;
    const isKnown = accepts === undefined || own.every((compression) => accepts.includes(compression));
    const flags = this.#flavour.modern && isKnown ? ['-c'] : [];
    if (fromGuid === null) return [...flags, full];
    const from = snapshots.find((candidate) => candidate.guid === fromGuid && candidate.order < to.order);
    if (!from) {
      throw new ZringError('SNAPSHOT_NOT_FOUND', `${name} has no snapshot ${fromGuid} before ${to.name}`, {
        subject: name,
      });
    }
    return [...flags, '-i', `@${from.name}`, full];
  }

  async #receiveFull(name: string, stream: Readable, signal: AbortSignal | undefined): Promise<ReceiveResult> {
    const full = zfsName(this.#root, name);
    await this.#requireFree(full);
    const incoming = await openIncoming(stream);
    if (incoming.begin.fromGuid !== null) throw invalid('is an increment, a full one was expected');
    const bytes = await receiveStream(this.#commands, ['receive', '-u', full], incoming, {
      subject: name,
      endMs: RECEIVE_END_MS,
      signal,
    });
    await this.#commands.set(full, ['readonly=on', DATA_RECORD, ...this.#settings()]);
    return { bytes, snapshot: await this.#requireReceived(name, incoming.begin) };
  }

  async #receiveStep(name: string, stream: Readable, signal: AbortSignal | undefined): Promise<ReceiveResult> {
    const found = await this.#datasets.require(name);
    const incoming = await openIncoming(stream);
    const { begin } = incoming;
    if (begin.fromGuid === null) throw invalid('is a full one, an increment was expected');
    const newest = (await this.#datasets.snapshots(name)).at(-1);
    if (newest?.guid !== begin.fromGuid) {
      const has = newest ? `${newest.name} (${newest.guid})` : 'none';
      throw new ZringError('DATASET_DIVERGED', `${found.full}: newest snapshot is ${has}, not ${begin.fromGuid}`, {
        subject: name,
      });
    }
    if (found.mounted) await this.#datasets.unmount(found.full);
    await dropLimits(this.#commands, found);
    const bytes = await receiveStream(this.#commands, ['receive', '-u', found.full], incoming, {
      subject: name,
      endMs: RECEIVE_END_MS,
      signal,
    });
    return { bytes, snapshot: await this.#requireReceived(name, begin) };
  }

  /** A status of 0 is not taken for it: the snapshot with the stream's guid has to be there. */
  async #requireReceived(name: string, begin: ZfsStreamBegin): Promise<SnapshotInfo> {
    const snapshot = await this.#datasets.requireSnapshot(name, begin.snapshot);
    if (snapshot.guid === begin.toGuid) return snapshot;
    throw invalid(`ended well, but ${name}@${begin.snapshot} has guid ${snapshot.guid}, not ${begin.toGuid}`);
  }
}

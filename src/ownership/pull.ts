// Brings a dataset's snapshots from its owner to this node: full into a staging name, then increments straight into the
// copy, which nobody writes or mounts. Owns the progress of pulls under way; decides nothing about ownership.
//
// Crash points: a staging dataset without `zring:state` is destroyed at start; one with it is whole and is renamed. An
// increment is all or nothing by the driver's word. A copy that has no snapshot in common with the owner is set aside, and so
// is one that is not what its newest snapshot says: zfs-fuse makes the content of an increment current and takes its snapshot
// in two steps, and a crash between them leaves a copy that refuses every further increment.
import { pipeline } from 'node:stream';
import type { MoveInfo } from '../cluster/coordinator.ts';
import type { Clock } from '../common/clock.ts';
import { isZringError, ZringError } from '../common/errors.ts';
import type { PeerTransport } from '../common/peer.ts';
import { compareTerms, formatTerm, parseTerm, type Term } from '../common/term.ts';
import type { DatasetDriver, SnapshotInfo } from '../dataset/driver.ts';
import type { Logger } from '../telemetry/log.ts';
import { copyProperties, parseCopy, receivingName, setAsideName } from './copy-properties.ts';
import type { OwnershipLimits } from './limits.ts';
import { type CopyDescription, Fields, METHODS, readDescription, type SnapshotRef } from './peer-messages.ts';
import { ACCEPTED_TERM_STEP } from './publication.ts';
import { between, HOLD_TAG, isOurs, isShared, KEEP_TAG } from './snapshot-names.ts';
import type { Copy, HandoffSource } from './state.ts';
import type { TokenBucket } from './token-bucket.ts';

export interface PullerDeps {
  readonly self: string;
  readonly cluster: string;
  readonly driver: DatasetDriver;
  readonly peers: PeerTransport;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly limits: OwnershipLimits;
  readonly priorCopyMs: () => number;
  readonly bucket: TokenBucket;
  readonly salt: () => string;
  readonly onBytes?: (bytes: number) => void;
  /** A replica has this snapshot of its owner, which was as new as the owner at `asOfMs` (wall clock here). */
  readonly onFollowed?: (job: PullJob, guid: string, asOfMs: number) => void;
}

export interface PullJob {
  readonly dataset: string;
  readonly id: string;
  readonly source: string;
  /** Of the record: an owner below it is an old copy. */
  readonly atLeast: Term | null;
  readonly signal: AbortSignal;
}

interface Progress {
  readonly from: string;
  phase: MoveInfo['phase'];
  bytes: number;
  readonly sinceMs: number;
}

export class Puller {
  readonly #deps: PullerDeps;
  readonly #progress = new Map<string, Progress>();
  /** Set aside until the next copy has come. */
  readonly #replaced = new Map<string, readonly { readonly aside: string; readonly copy: Copy }[]>();
  /** Snapshots that copies went back to after an increment was refused. */
  readonly #rewound = new Map<string, string>();
  /** Of replicas: no move, and nothing that ends in one. */
  readonly #following = new Map<string, Progress>();

  constructor(deps: PullerDeps) {
    this.#deps = deps;
  }

  moves(): MoveInfo[] {
    return this.#shown(this.#progress);
  }

  /** What replicas receive right now. */
  following(): MoveInfo[] {
    return this.#shown(this.#following);
  }

  #shown(progress: ReadonlyMap<string, Progress>): MoveInfo[] {
    const now = this.#deps.clock.monotonicMs();
    return [...progress].map(([dataset, { from, phase, bytes, sinceMs }]) => {
      const seconds = Math.max(0.001, (now - sinceMs) / 1000);
      return { dataset, from, to: this.#deps.self, phase, bytes, bytesPerSecond: Math.round(bytes / seconds) };
    });
  }

  /** Shown as draining while the owner is asked. */
  showPhase(dataset: string, phase: MoveInfo['phase'] | null): void {
    if (phase === null) this.#progress.delete(dataset);
    else {
      const progress = this.#progress.get(dataset);
      if (progress) progress.phase = phase;
    }
  }

  /** Rounds while the owner serves, until the rest is small. */
  async pullRounds(job: PullJob): Promise<void> {
    const { limits, peers } = this.#deps;
    const progress = this.#track(job, 'copying');
    let description = await this.#describe(job);
    let base = await this.#findBase(job, description);
    for (let round = 0; round < limits.roundsMax; round++) {
      job.signal.throwIfAborted();
      const answer = await peers.call(
        job.source,
        METHODS.snapshot,
        { dataset: job.dataset, id: job.id, have: base?.guid ?? null, takesAll: true },
        { timeoutMs: limits.drainCallMs, signal: job.signal },
      );
      const fields = new Fields(answer, METHODS.snapshot);
      const target = { name: fields.text('name'), guid: fields.text('guid') };
      if (base?.guid === target.guid) return;
      const before = progress.bytes;
      // Afresh: with the target, and with what was taken before it since.
      description = await this.#describe(job);
      base = await this.#catchUp(job, target, base, description, progress);
      if (progress.bytes - before <= limits.smallRoundBytes) return;
    }
  }

  /** For a replica: once, up to the snapshot that all copies share. */
  async follow(job: PullJob): Promise<void> {
    const { limits, peers, clock, onFollowed } = this.#deps;
    const askedMs = clock.wallMs();
    const answer = await peers.call(
      job.source,
      METHODS.snapshot,
      { dataset: job.dataset, id: job.id, takesAll: true, shared: true },
      { timeoutMs: limits.drainCallMs, signal: job.signal },
    );
    const fields = new Fields(answer, METHODS.snapshot);
    const target = { name: fields.text('name'), guid: fields.text('guid') };
    // Of a snapshot that was taken a while ago, it is not said that nothing was written since.
    const asOfMs = askedMs - fields.count('ageMs');
    const description = await this.#describe(job);
    this.#requireNewer(job, description, job.atLeast);
    const progress: Progress = { from: job.source, phase: 'copying', bytes: 0, sinceMs: clock.monotonicMs() };
    this.#following.set(job.dataset, progress);
    try {
      const base = await this.#findBase(job, description);
      if (isBehind(description, base, target)) await this.#catchUp(job, target, base, description, progress);
      else await this.#alignKept(job, description);
      await this.#alignShared(job, description);
      await this.#noteTerm(job, description);
    } finally {
      this.#following.delete(job.dataset);
    }
    onFollowed?.(job, target.guid, asOfMs);
  }

  /** Up to the promised snapshot; its GUID is the proof that this copy holds everything (I2). */
  async pullFinal(job: PullJob, source: HandoffSource): Promise<void> {
    const progress = this.#track(job, 'final');
    const description = await this.#describe(job);
    const base = await this.#findBase(job, description);
    if (base?.guid !== source.guid) {
      await this.#catchUp(job, { name: source.snapshot, guid: source.guid }, base, description, progress);
    }
    await this.#alignKept(job, description);
  }

  /** The bucket's own snapshots that are missing here, and then the target: each an increment of its own. */
  async #catchUp(
    job: PullJob,
    target: SnapshotRef,
    base: SnapshotRef | null,
    description: CopyDescription,
    progress: Progress,
  ): Promise<SnapshotRef> {
    const missing = description.sendsAll ? between(description.snapshots, base?.guid ?? null, target.guid) : [];
    if (base) await this.#alignKept(job, description);
    if (base) await this.#requireNames(job, [...missing, target]);
    let at = base;
    for (const { name, guid, kept } of missing) {
      at = await this.#step(job, { name, guid }, at, description, progress);
      if (kept) await this.#deps.driver.hold(job.dataset, name, KEEP_TAG);
    }
    return this.#step(job, target, at, description, progress);
  }

  /**
   * What zring kept here and the owner has destroyed since is destroyed here too; what the owner keeps is held here as well.
   * One that stays would take space, no more: nothing waits for it.
   */
  async #alignKept({ dataset }: PullJob, { snapshots, sendsAll }: CopyDescription): Promise<void> {
    const { driver, logger } = this.#deps;
    if (!sendsAll) return;
    const theirs = new Map(snapshots.map((snapshot) => [snapshot.guid, snapshot]));
    try {
      const held = await driver.heldWith(dataset, KEEP_TAG);
      for (const { name, guid } of await driver.snapshots(dataset)) {
        const known = theirs.get(guid);
        if (known?.kept && !held.has(name)) await driver.hold(dataset, name, KEEP_TAG);
        if (known || !held.has(name)) continue;
        await driver.destroySnapshot(dataset, name, { held: true });
        logger.info({ dataset, snapshot: name }, 'destroyed at its owner meanwhile; destroyed here too');
      }
    } catch (error) {
      logger.warn({ err: error, dataset }, 'the snapshots here are not yet those of the owner');
    }
  }

  /**
   * The term of the owner that was followed: what stands here belongs to that line of owners. A former owner's copy that has
   * followed is a received one from then on: all that it had is at the owner.
   */
  async #noteTerm({ dataset }: PullJob, { term }: CopyDescription): Promise<void> {
    const { driver, cluster } = this.#deps;
    const info = await driver.get(dataset);
    const copy = info && parseCopy(info)?.copy;
    if (copy?.role !== 'prior' && copy?.role !== 'receiving') return;
    const followed = highest(copy.term, parseTerm(term ?? ''));
    if (copy.role === 'receiving' && compareTerms(followed, copy.term) === 0) return;
    const next: Copy = { ...copy, role: 'receiving', term: followed, priorSinceMs: null };
    await driver.setProperties(dataset, copyProperties(dataset, cluster, next));
  }

  /** Of the shared ones, those stay that the owner keeps: the newest common one is what the next owner sends from. */
  async #alignShared({ dataset }: PullJob, { snapshots }: CopyDescription): Promise<void> {
    const { driver, logger } = this.#deps;
    const theirs = new Set(snapshots.map(({ guid }) => guid));
    for (const { name, guid } of (await driver.snapshots(dataset)).slice(0, -1)) {
      if (!isShared(name) || theirs.has(guid)) continue;
      try {
        await driver.release(dataset, name, HOLD_TAG);
        await driver.destroySnapshot(dataset, name);
      } catch (error) {
        logger.debug({ err: error, dataset, snapshot: name }, 'a shared snapshot is not destroyed here yet');
      }
    }
  }

  /** A name that means another snapshot here could not be received. Errors: DATASET_DIVERGED, once the copy is set aside. */
  async #requireNames(job: PullJob, coming: readonly SnapshotRef[]): Promise<void> {
    const { dataset } = job;
    const here = await this.#deps.driver.snapshots(dataset);
    const clash = here.find((mine) => coming.some(({ name, guid }) => name === mine.name && guid !== mine.guid));
    if (!clash) return;
    const message = `the snapshot ${clash.name} of ${dataset} here is another one than its owner's`;
    const error = new ZringError('DATASET_DIVERGED', message, { subject: dataset });
    await this.#clearDiverged(job, error);
    throw error;
  }

  #track(job: PullJob, phase: MoveInfo['phase']): Progress {
    const known = this.#progress.get(job.dataset);
    if (known?.from === job.source) {
      known.phase = phase;
      return known;
    }
    const progress: Progress = { from: job.source, phase, bytes: 0, sinceMs: this.#deps.clock.monotonicMs() };
    this.#progress.set(job.dataset, progress);
    return progress;
  }

  async #describe(job: PullJob): Promise<CopyDescription> {
    const { peers, limits } = this.#deps;
    const request = { dataset: job.dataset, id: job.id };
    const options = { timeoutMs: limits.peerCallMs, signal: job.signal };
    const description = readDescription(await peers.call(job.source, METHODS.describe, request, options));
    if (description.role !== null) return description;
    throw new ZringError('NOT_OWNER', `${job.source} holds no copy of ${job.dataset}`, { subject: job.dataset });
  }

  /**
   * The newest snapshot here that the owner has too: a received copy goes back to it, for it has nothing of its own; of a
   * prior one, only the newest may be the base. Anything else that stands under the name is moved away first: what
   * was only ever received may be destroyed (its owner is alive and has it all), and so may a prior copy whose time is over,
   * as the janitor would; everything else is kept aside.
   */
  async #findBase(job: PullJob, description: CopyDescription): Promise<SnapshotRef | null> {
    const { driver } = this.#deps;
    const info = await driver.get(job.dataset);
    if (!info) return null;
    const named = parseCopy(info);
    if (!named)
      throw new ZringError('MOUNT_INVALID', `${job.dataset} here is not a copy of ours`, { subject: job.dataset });
    const { copy } = named;
    if (copy.role !== 'receiving' && copy.role !== 'prior') {
      throw new ZringError('DATASET_BUSY', `the copy of ${job.dataset} here is ${copy.role}`, { subject: job.dataset });
    }
    if (copy.id === job.id && copy.role === 'receiving') this.#requireNewer(job, description, copy.term);
    const here = await driver.snapshots(job.dataset);
    const theirs = new Set(copy.id === job.id ? description.snapshots.map(({ guid }) => guid) : []);
    const common = here.findLast(({ guid }) => theirs.has(guid));
    if (common && common === here.at(-1)) return common;
    if (common && copy.role === 'receiving' && !isOtherLine(copy, description)) {
      if (await this.#goBack(job, common)) return common;
    }
    if (copy.id === job.id && this.#isSpent(copy, description)) await this.#replace(job, copy, 'no snapshot in common');
    else await this.#setAside(job, copy, 'it is of another line than its owner');
    return null;
  }

  /** An owner below what is known is an old copy of itself: nothing is taken from it. Errors: TERM_REFUSED. */
  #requireNewer({ dataset, source }: PullJob, { term }: CopyDescription, known: Term | null): void {
    const theirs = parseTerm(term ?? '');
    if (known === null || (theirs && compareTerms(theirs, known) >= 0)) return;
    const message = `${source} has ${dataset} at ${term}, and ${formatTerm(known)} is known: an old copy`;
    throw new ZringError('TERM_REFUSED', message, { subject: dataset });
  }

  /** Its owner went back, or destroyed what came after: this copy follows. */
  async #goBack({ dataset }: PullJob, common: SnapshotInfo): Promise<boolean> {
    const { driver, logger } = this.#deps;
    const to = { dataset, snapshot: common.name };
    logger.info(to, 'the copy here goes back to what it has in common with the owner');
    await driver.close(dataset);
    try {
      await driver.rollback(dataset, common.name);
      return true;
    } catch (error) {
      // A bucket that was cloned from it here lives on what would go.
      if (!isZringError(error, 'DATASET_BUSY') && !isZringError(error, 'SNAPSHOT_HELD')) throw error;
      logger.warn({ ...to, err: error }, 'it cannot go back');
      return false;
    }
  }

  /** Kept, for an operator. The next attempt begins with a full stream. */
  async #setAside({ dataset }: PullJob, copy: Copy, reason: string): Promise<string> {
    const { driver, logger, salt } = this.#deps;
    const aside = setAsideName('deposed', copy, salt());
    logger.warn({ dataset, aside, reason }, 'the copy here is no base; set aside');
    await driver.close(dataset);
    await driver.rename(dataset, aside);
    return aside;
  }

  /** Set aside until there is another: it may be what is left when the owner is lost meanwhile. */
  async #replace(job: PullJob, copy: Copy, reason: string): Promise<void> {
    const aside = await this.#setAside(job, copy, reason);
    this.#replaced.set(job.dataset, [...(this.#replaced.get(job.dataset) ?? []), { aside, copy }]);
  }

  /** What was replaced is destroyed by the janitor. One that a crash hides from this process is kept. */
  async #dropReplaced(dataset: string): Promise<void> {
    const { driver, salt } = this.#deps;
    for (const { aside, copy } of this.#replaced.get(dataset) ?? []) {
      await driver.rename(aside, setAsideName('deleted', copy, salt()));
    }
    this.#replaced.delete(dataset);
  }

  /**
   * Of an increment that was refused: what was only ever received goes back to its newest snapshot, for a receive that was cut
   * may have left something after it (zfs-fuse). Refused again from there, it is replaced. Everything else is kept.
   */
  async #clearDiverged(job: PullJob, error: unknown): Promise<void> {
    if (!isZringError(error, 'DATASET_DIVERGED')) return;
    const { driver } = this.#deps;
    const info = await driver.get(job.dataset);
    const copy = info && parseCopy(info)?.copy;
    if (copy?.role === 'prior') await this.#setAside(job, copy, error.message);
    if (copy?.role !== 'receiving') return;
    const newest = (await driver.snapshots(job.dataset)).at(-1);
    if (!newest || this.#rewound.get(job.dataset) === newest.guid) return this.#replace(job, copy, error.message);
    await driver.close(job.dataset);
    await driver.rollback(job.dataset, newest.name);
    this.#rewound.set(job.dataset, newest.guid);
  }

  /** It was only ever of use as a base, and is none. */
  #isSpent(copy: Copy, theirs: CopyDescription): boolean {
    if (copy.role === 'receiving') return !isOtherLine(copy, theirs);
    const { clock, priorCopyMs } = this.#deps;
    const ownTerm = parseTerm(theirs.term ?? '');
    const isAbove =
      theirs.role === 'owner' && !theirs.promised && ownTerm !== null && compareTerms(ownTerm, copy.term) > 0;
    return isAbove && copy.priorSinceMs !== null && clock.wallMs() - copy.priorSinceMs >= priorCopyMs();
  }

  async #step(
    job: PullJob,
    target: SnapshotRef,
    base: SnapshotRef | null,
    description: CopyDescription,
    progress: Progress,
  ): Promise<SnapshotRef> {
    const { driver, logger } = this.#deps;
    const into = base ? job.dataset : receivingName(job.id);
    const bytesBefore = progress.bytes;
    if (base) await driver.close(job.dataset);
    else await driver.destroy(into);
    const received = await this.#receive(job, target, base, into, progress).catch(async (error: unknown) => {
      if (base) await this.#clearDiverged(job, error);
      throw error;
    });
    if (received.guid !== target.guid) {
      throw new ZringError('STREAM_INVALID', `received ${received.guid} instead of ${target.guid}`, {
        subject: job.dataset,
      });
    }
    if (!base) await this.#publish(job, into, description);
    const bytes = progress.bytes - bytesBefore;
    const { dataset, source } = job;
    logger.info(
      { dataset, from: source, snapshot: target.name, incremental: base !== null, bytes },
      'snapshot received',
    );
    this.#rewound.delete(job.dataset);
    await this.#keepOnly(job.dataset, received);
    return received;
  }

  async #receive(
    job: PullJob,
    target: SnapshotRef,
    base: SnapshotRef | null,
    into: string,
    progress: Progress,
  ): Promise<SnapshotInfo> {
    const { driver, peers, bucket, limits, onBytes } = this.#deps;
    const accepts = driver.capabilities.settings.compression;
    const fromGuid = base?.guid ?? null;
    const request = { dataset: job.dataset, id: job.id, snapshot: target.name, fromGuid, accepts };
    const { body } = await peers.stream(job.source, METHODS.stream, request, {
      timeoutMs: limits.drainCallMs,
      signal: job.signal,
    });
    const meter = bucket.meter((bytes) => {
      progress.bytes += bytes;
      onBytes?.(bytes);
    });
    // A cut body destroys the meter with its error, and the receive ends with that.
    pipeline(body, meter, () => {});
    const result = await driver.receive(into, meter, { incremental: base !== null, signal: job.signal });
    return result.snapshot;
  }

  async #publish(job: PullJob, staged: string, description: CopyDescription): Promise<void> {
    const { driver, self, cluster } = this.#deps;
    const copy: Copy = {
      id: job.id,
      role: 'receiving',
      term: parseTerm(description.term ?? '') ?? { n: 0, node: self },
      createdMs: description.createdMs,
      creator: description.creator,
      promise: null,
      source: null,
      deleting: false,
      priorSinceMs: null,
    };
    await driver.setProperties(staged, copyProperties(job.dataset, cluster, copy));
    await driver.rename(staged, job.dataset);
    await this.#dropReplaced(job.dataset).catch((error: unknown) => {
      this.#deps.logger.warn({ err: error, dataset: job.dataset }, 'a replaced copy is kept');
    });
  }

  /** One base is enough here; older ones only hold space. */
  async #keepOnly(dataset: string, kept: SnapshotInfo): Promise<void> {
    const { driver } = this.#deps;
    if (isOurs(kept.name) || isShared(kept.name)) await driver.hold(dataset, kept.name, HOLD_TAG);
    for (const snapshot of await driver.snapshots(dataset)) {
      if (snapshot.guid === kept.guid || !isOurs(snapshot.name)) continue;
      await driver.release(dataset, snapshot.name, HOLD_TAG);
      await driver.destroySnapshot(dataset, snapshot.name);
    }
  }
}

/** Between the two an operator gave something up: what this copy has beyond their common snapshot stands nowhere else. */
function isOtherLine(copy: Copy, theirs: CopyDescription): boolean {
  const term = parseTerm(theirs.term ?? '');
  // Less by what the lost owner took unheard.
  return term === null || term.n - copy.term.n >= ACCEPTED_TERM_STEP / 2;
}

/** The base may be newer than what is shared: of a move that was given up. */
function isBehind({ snapshots }: CopyDescription, base: SnapshotRef | null, target: SnapshotRef): boolean {
  const at = (ref: SnapshotRef | null) => snapshots.findIndex(({ guid }) => guid === ref?.guid);
  if (at(target) < 0) throw new ZringError('SNAPSHOT_NOT_FOUND', `${target.name} is not at its owner any more`);
  return base === null || at(base) < at(target);
}

function highest(a: Term, b: Term | null): Term {
  return b && compareTerms(b, a) > 0 ? b : a;
}

// One pass over one dataset, batch by batch. Each batch enters the gate, reads a page, decides, commits what is due and
// leaves, so that a handoff never waits for a pass. Owns the place where the pass has got to, in memory only: a pass that
// is dropped is begun again by whoever owns the dataset then, for rules are idempotent.
import { ZringError } from '../../common/errors.ts';
import type { DatasetAccess, HeldDataset } from '../../ownership/access.ts';
import type { ListedVersion, Store } from '../../store/types.ts';
import { inTurns } from '../handlers/in-turns.ts';
import { carryOut, decideEntry, giveUp, isAlone, isLocked, type Outcome, type Wanted } from './changes.ts';
import { type LifecycleDocument, prefixesOf, readLifecycle } from './configuration.ts';
import { decideUpload, type Place, type Timing } from './decide.ts';
import type { LifecycleLimits } from './limits.ts';

export interface SweepDeps {
  readonly access: DatasetAccess;
  readonly dataset: string;
  readonly limits: LifecycleLimits;
  /** Asked once a batch. */
  readonly timing: () => Timing;
  readonly onOutcome: (outcome: Outcome) => void;
}

export interface Step {
  readonly state: 'no-rules' | 'more' | 'done';
  /** Versions and uploads that were looked at. */
  readonly looked: number;
  /** Commits that were tried. */
  readonly tried: number;
}

type Stage = 'versions' | 'uploads';
const STAGES: readonly Stage[] = ['versions', 'uploads'];

/** Behind which version or upload the next page begins. */
type Cursor = { readonly key: string; readonly id?: string | null } | null;

export class Sweep {
  readonly #deps: SweepDeps;
  #stage: Stage | null = 'versions';
  /** Prefixes of the stage that are left, the current one first; null = not read yet. */
  #prefixes: string[] | null = null;
  #cursor: Cursor = null;
  /** Noncurrent objects of this key that stay, counted from the newest. */
  #stay = { key: '', count: 0 };

  constructor(deps: SweepDeps) {
    this.#deps = deps;
  }

  /** Errors: those of `enter` and of the store, ABORTED. The batch may then be repeated, or the pass dropped. */
  async step(): Promise<Step> {
    const { access, dataset } = this.#deps;
    const held = await access.enter(dataset, 'delete', { background: true });
    try {
      const document = readLifecycle(held.store);
      if (!document) return { state: 'no-rules', looked: 0, tried: 0 };
      const page = this.#nextPrefix(document);
      if (!page) return { state: 'done', looked: 0, tried: 0 };
      const done =
        page.stage === 'versions'
          ? await this.#versions(held, document, page.prefix)
          : await this.#uploads(held, document, page.prefix);
      return { state: this.#nextPrefix(document) ? 'more' : 'done', ...done };
    } finally {
      held.release();
    }
  }

  #nextPrefix(document: LifecycleDocument): { stage: Stage; prefix: string } | null {
    while (this.#stage) {
      this.#prefixes ??= prefixesOf(document, this.#stage);
      const [prefix] = this.#prefixes;
      if (prefix !== undefined) return { stage: this.#stage, prefix };
      this.#stage = STAGES[STAGES.indexOf(this.#stage) + 1] ?? null;
      this.#prefixes = null;
    }
    return null;
  }

  /** Only once a page is dealt with: a batch that fails is repeated from where it began. */
  #advance(next: Cursor): void {
    this.#cursor = next;
    if (!next) this.#prefixes = this.#prefixes?.slice(1) ?? null;
  }

  async #versions(held: HeldDataset, document: LifecycleDocument, prefix: string) {
    const { store } = held;
    const cursor = this.#cursor;
    const page = store.listVersions({
      prefix,
      delimiter: '',
      afterKey: cursor?.key ?? '',
      ...(cursor?.id === undefined ? {} : { afterVersion: cursor.id }),
      limit: this.#deps.limits.batchVersions,
    });
    const timing = this.#deps.timing();
    const before = this.#stay;
    let wanted: readonly Wanted[];
    try {
      // A thousand rules for each of them are a while; what is decided is judged again inside its commit.
      const judge = async (listed: ListedVersion) => this.#judge(store, document, listed, timing);
      wanted = (await inTurns(page.versions, () => performance.now(), judge)).flat();
      await this.#all(held, wanted, (one) => carryOut(store, document, one, timing));
    } catch (error) {
      this.#stay = before;
      throw error;
    }
    const { next } = page;
    this.#advance(next && { key: next.key, ...(next.version === undefined ? {} : { id: next.version }) });
    return { looked: page.versions.length, tried: wanted.length };
  }

  #judge(store: Store, document: LifecycleDocument, listed: ListedVersion, timing: Timing): Wanted[] {
    const { entry } = listed;
    if (this.#stay.key !== entry.key) this.#stay = { key: entry.key, count: 0 };
    const place = this.#place(store, listed);
    const action = decideEntry(document, entry, place, store.versioning() !== 'off', timing);
    const locked = action?.do === 'remove' && isLocked(entry, timing.nowMs);
    if (locked) this.#deps.onOutcome({ kept: 'locked' });
    const stays = locked || action?.do !== 'remove';
    if (stays && place.at === 'noncurrent' && !entry.deleteMarker) {
      this.#stay = { key: entry.key, count: this.#stay.count + 1 };
    }
    return action && !locked ? [{ entry, place, action }] : [];
  }

  #place(store: Store, { entry, isLatest, noncurrentSinceMs }: ListedVersion): Place {
    if (isLatest) return { at: 'latest', alone: entry.deleteMarker && isAlone(store, entry) };
    return { at: 'noncurrent', sinceMs: noncurrentSinceMs ?? entry.modifiedMs, newer: this.#stay.count };
  }

  async #uploads(held: HeldDataset, document: LifecycleDocument, prefix: string) {
    const { store } = held;
    const page = store.listUploads({
      prefix,
      delimiter: '',
      afterKey: this.#cursor?.key ?? '',
      afterUploadId: this.#cursor?.id ?? '',
      limit: this.#deps.limits.batchVersions,
    });
    const timing = this.#deps.timing();
    const due = page.uploads.filter((upload) => decideUpload(document, upload, timing) !== null);
    await this.#all(held, due, (upload) => giveUp(store, upload));
    this.#advance(page.next && { key: page.next.key, id: page.next.uploadId });
    return { looked: page.uploads.length, tried: due.length };
  }

  /** A few at a time: they share a flush. What has begun is awaited, whatever else fails: the gate is left after it. */
  async #all<Item>(held: HeldDataset, items: readonly Item[], change: (item: Item) => Promise<Outcome>): Promise<void> {
    const { changesAtOnce } = this.#deps.limits;
    for (let at = 0; at < items.length; at += changesAtOnce) {
      if (held.signal?.aborted) throw new ZringError('ABORTED', `${held.dataset} is being taken away`);
      const settled = await Promise.allSettled(items.slice(at, at + changesAtOnce).map(change));
      const failed = settled.find((one) => one.status === 'rejected');
      for (const one of settled) if (one.status === 'fulfilled') this.#deps.onOutcome(one.value);
      if (failed) throw failed.reason;
    }
  }
}

// The storage settings of one dataset that is open here: what an operator wants (a document in its store, so that it moves
// with the data), what this node's storage could apply of it, and the quota's bookkeeping. Owns both. Must not know S3.
//
//   opening     the document is read and applied before the first write is let in; what this storage cannot do is noted,
//               never a reason not to open: a move must not hang on it
//   changing    applied first, then written down; a crash between the two is mended by the next opening
//   in use      bodies stop at the quota less a reserve; the file system's own limit is the quota. Deletions write pages
//               of the index, and a full dataset takes none (zfs-settings.ts): they live on the reserve, and where that is
//               used up, or the quota was set below what is there, the file system's limit is moved up for them
import { pause, type Timers } from '../common/clock.ts';
import { ZringError } from '../common/errors.ts';
import type {
  DatasetDriver,
  SettingRefusal,
  StorageFacts,
  StorageSetting,
  StorageSettings,
} from '../dataset/driver.ts';
import type { Store } from '../store/types.ts';
import type { Logger } from '../telemetry/log.ts';
import { SpaceMeter } from './space-meter.ts';
import {
  formatSettings,
  limitsOf,
  NO_SETTINGS,
  parseSettings,
  planFileLimit,
  requireSettings,
  reserveOf,
  SETTINGS_DOCUMENT,
} from './storage-settings.ts';

export interface DatasetStorageDeps {
  readonly dataset: string;
  readonly driver: DatasetDriver;
  readonly logger: Logger;
  readonly timers: Timers;
  readonly nowMs: () => number;
}

export interface StorageDescription {
  readonly storage: string;
  readonly wanted: StorageSettings;
  /** In force now. A file system's quota may stand above the wanted one for a while, so that deletions find room. */
  readonly applied: StorageSettings;
  readonly notApplied: readonly SettingRefusal[];
  readonly usedBytes: number;
  /** Kept by snapshots alone; not counted in the quota. */
  readonly snapshotBytes: number;
  /** For bodies. */
  readonly availableBytes: number;
  readonly compressRatio: number | null;
  readonly encryption: string | null;
}

export class DatasetStorage {
  readonly meter: SpaceMeter;
  readonly encryption: string | null;
  readonly #deps: DatasetStorageDeps;
  #wanted: StorageSettings = NO_SETTINGS;
  #notApplied: readonly SettingRefusal[] = [];
  /** Of the file system; null = none. */
  #fileLimit: number | null = null;
  #store: Store | null = null;
  /** Of the index, in the last measurement. */
  #reusableBytes = 0;
  #changing: Promise<unknown> = Promise.resolve();

  constructor(deps: DatasetStorageDeps, encryption: string | null) {
    this.#deps = deps;
    this.encryption = encryption;
    this.meter = new SpaceMeter({
      dataset: deps.dataset,
      measure: () => this.#measure(),
      nowMs: deps.nowMs,
      pause: (ms) => pause(deps.timers, ms),
    });
  }

  get wanted(): StorageSettings {
    return this.#wanted;
  }

  get notApplied(): readonly SettingRefusal[] {
    return this.#notApplied;
  }

  /** Before the first write is let in. Never fails. */
  async load(store: Store): Promise<void> {
    const { dataset, logger } = this.#deps;
    this.#store = store;
    const settings = this.#read(store);
    try {
      const refused = await this.#apply(settings);
      if (refused.length > 0)
        logger.warn({ dataset, refused }, 'settings of the bucket that this storage cannot apply');
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.#wanted = settings;
      this.#notApplied = settingNames(settings).map((setting) => ({ setting, reason }));
      this.meter.setLimits(limitsOf(settings.quotaBytes, 0, this.#enforced));
      logger.error({ err: error, dataset }, 'the settings of the bucket could not be applied');
    }
  }

  #read(store: Store): StorageSettings {
    try {
      return parseSettings(store.document(SETTINGS_DOCUMENT));
    } catch (error) {
      this.#deps.logger.error({ err: error, dataset: this.#deps.dataset }, 'the settings of the bucket cannot be read');
      return NO_SETTINGS;
    }
  }

  /** Errors: CONFIG_REFUSED with why; then everything is as it was. Those of the store. */
  change(store: Store, change: Partial<StorageSettings>): Promise<void> {
    return this.#alone(async () => {
      const before = this.#wanted;
      const next = { ...before, ...change };
      requireSettings(next);
      try {
        const refused = (await this.#apply(next)).filter(({ setting }) => names(change).includes(setting));
        if (refused.length > 0) {
          const reasons = refused.map(({ setting, reason }) => `${setting}: ${reason}`).join('; ');
          throw new ZringError('CONFIG_REFUSED', reasons, { subject: this.#deps.dataset });
        }
        await store.setDocument(SETTINGS_DOCUMENT, formatSettings(next));
      } catch (error) {
        await this.#apply(before).catch((cause: unknown) =>
          this.#deps.logger.error({ err: cause, dataset: this.#deps.dataset }, 'former settings could not be restored'),
        );
        throw error;
      }
    });
  }

  /** What a commit without a body needs: nobody is refused a deletion. Errors: QUOTA_EXCEEDED (mode write). */
  async admit(mode: 'read' | 'write' | 'delete'): Promise<void> {
    if (mode === 'read') return;
    this.meter.note();
    if (this.#wanted.quotaBytes === null) return;
    if (mode === 'write') await this.meter.requireWritable();
    else await this.#relieve();
  }

  /** Regularly: a limit that was moved up goes back once there is room. */
  async poll(): Promise<void> {
    const { quotaBytes } = this.#wanted;
    if (quotaBytes === null || !this.#enforced) return;
    if (this.#fileLimit !== quotaBytes) await this.meter.refresh();
    else await this.#relieve();
  }

  async describe(): Promise<StorageDescription> {
    const { driver, dataset } = this.#deps;
    const settled = this.#wanted.quotaBytes !== null;
    const facts = await driver.facts(dataset, { settled });
    this.#reusableBytes = Math.min(facts.referencedBytes, (await this.#store?.reusableBytes()) ?? 0);
    return {
      storage: driver.storage,
      wanted: this.#wanted,
      applied: this.#appliedOf(facts),
      notApplied: this.#notApplied,
      usedBytes: Math.max(0, facts.referencedBytes - this.#reusableBytes),
      snapshotBytes: Math.max(0, facts.usedBytes - facts.referencedBytes),
      availableBytes: this.#availableOf(facts),
      compressRatio: facts.compressRatio,
      encryption: facts.encryption,
    };
  }

  #appliedOf({ settings }: StorageFacts): StorageSettings {
    return this.#enforced ? settings : { ...settings, quotaBytes: this.#wanted.quotaBytes };
  }

  #availableOf(facts: StorageFacts): number {
    const usedBytes = facts.referencedBytes - this.#reusableBytes;
    const limits = limitsOf(this.#wanted.quotaBytes, usedBytes, this.#enforced);
    if (!limits) return facts.availableBytes;
    return Math.max(0, Math.min(facts.availableBytes, limits.bodyBytes - usedBytes));
  }

  get #enforced(): boolean {
    return this.#deps.driver.capabilities.settings.quota === 'enforced';
  }

  async #apply(settings: StorageSettings): Promise<readonly SettingRefusal[]> {
    const { driver, dataset } = this.#deps;
    const usedBytes = settings.quotaBytes === null ? 0 : await this.meter.refresh();
    const fileLimit = this.#enforced ? planFileLimit(settings.quotaBytes, usedBytes, this.#reusableBytes) : null;
    // First, so that a measurement that is under way moves no limit that is not wanted any more.
    this.#wanted = settings;
    const refused = await driver.configure(dataset, { ...settings, quotaBytes: fileLimit });
    this.#notApplied = refused;
    this.#fileLimit = fileLimit;
    this.meter.setLimits(limitsOf(settings.quotaBytes, usedBytes, this.#enforced));
    return refused;
  }

  /**
   * Free room inside the index is no use of the bucket's: it never shrinks, and a bucket that was emptied would stay full.
   * The limit of the file system follows every measurement, before anybody is let in on the strength of it.
   */
  async #measure(): Promise<number> {
    const { driver, dataset } = this.#deps;
    const { referencedBytes } = await driver.facts(dataset, { settled: true });
    this.#reusableBytes = Math.min(referencedBytes, (await this.#store?.reusableBytes()) ?? 0);
    const usedBytes = referencedBytes - this.#reusableBytes;
    await this.#moveFileLimit(usedBytes);
    return usedBytes;
  }

  async #moveFileLimit(usedBytes: number): Promise<void> {
    const { driver, dataset, logger } = this.#deps;
    const { quotaBytes } = this.#wanted;
    if (quotaBytes === null || !this.#enforced) return;
    const fileLimit = planFileLimit(quotaBytes, usedBytes, this.#reusableBytes, this.#fileLimit);
    if (fileLimit === this.#fileLimit) return;
    try {
      const refused = await driver.configure(dataset, { quotaBytes: fileLimit });
      if (refused.length === 0) this.#fileLimit = fileLimit;
      logger.info({ dataset, quotaBytes, fileLimit, refused }, 'limit of the file system moved');
    } catch (error) {
      logger.warn({ err: error, dataset }, 'the limit of the file system could not be moved');
    }
  }

  /** Room for what nobody is refused; measured when all that is promised might leave too little. */
  async #relieve(): Promise<void> {
    const { quotaBytes } = this.#wanted;
    if (!this.#enforced || quotaBytes === null || this.#fileLimit === null) return;
    const leftBytes = this.#fileLimit - this.#reusableBytes - this.meter.estimateBytes;
    if (leftBytes < reserveOf(quotaBytes) / 4) await this.meter.refresh();
  }

  #alone<T>(task: () => Promise<T>): Promise<T> {
    const result = this.#changing.then(task);
    this.#changing = result.catch(() => {});
    return result;
  }
}

function names(change: Partial<StorageSettings>): readonly StorageSetting[] {
  return settingNames({ ...NO_SETTINGS, ...change });
}

function settingNames({ quotaBytes, reservationBytes, compression }: StorageSettings): StorageSetting[] {
  return [
    ...(quotaBytes === null ? [] : (['quota'] as const)),
    ...(reservationBytes === null ? [] : (['reservation'] as const)),
    ...(compression === null ? [] : (['compression'] as const)),
  ];
}

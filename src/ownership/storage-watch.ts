// Watches the storage: free space and health, polled and remembered, so that a request is refused from memory; and whether
// it answers at all. Owns the last reading. Reads and deletions go on when space runs out; a pool that cannot be written, or
// read, is named. Nobody is let near a storage that is silent: what it takes (a thread of the pool, a worker of LMDB, or at
// a page that is not in memory the event loop itself) it does not give back before it answers.
import { ZringError } from '../common/errors.ts';
import type { Config } from '../config/types.ts';
import type { DatasetDriver, Usage } from '../dataset/driver.ts';
import type { EnterMode } from './gate.ts';
import type { StoragePulse } from './storage-pulse.ts';

/** Words by which drivers name a pool whose reads would hang or fail too. */
const UNREADABLE = /suspend|fault|unavail|missing|gone/i;

export class StorageWatch {
  readonly #driver: DatasetDriver;
  readonly #config: () => Config;
  readonly #pulse: StoragePulse | null;
  #usage: Usage | null = null;
  #polling: Promise<void> | null = null;

  constructor(driver: DatasetDriver, config: () => Config, pulse: StoragePulse | null = null) {
    this.#driver = driver;
    this.#config = config;
    this.#pulse = pulse;
  }

  /** What was read last; while the storage is silent, with that as its health. */
  get usage(): Usage | null {
    const silence = this.silence;
    if (silence === null) return this.#usage;
    return { totalBytes: this.#usage?.totalBytes ?? 0, freeBytes: this.#usage?.freeBytes ?? 0, health: silence };
  }

  /** Why nobody is served from it, or null. */
  get silence(): string | null {
    if (this.#pulse?.answer === 'gone') return `was taken away: ${this.#pulse.lost}; this node ends itself`;
    if (this.#pulse?.answer !== 'silent') return null;
    return `has not answered for ${Math.round(this.#pulse.waitedMs / 1000)} s`;
  }

  /** Never two at once: what the first one started may hang. While the storage is silent nothing is started at all. */
  poll(): Promise<void> {
    if (this.silence !== null) return Promise.resolve();
    this.#polling ??= this.#poll().finally(() => {
      this.#polling = null;
    });
    return this.#polling;
  }

  async #poll(): Promise<void> {
    try {
      this.#usage = await this.#driver.usage();
    } catch (error) {
      const health = error instanceof Error ? error.message : String(error);
      this.#usage = { totalBytes: 0, freeBytes: 0, health };
    }
  }

  minFreeBytes(totalBytes: number): number {
    const { minFreePercent, minFreeBytes } = this.#config().storage;
    return Math.max(minFreeBytes, (totalBytes * minFreePercent) / 100);
  }

  /** Errors: STORAGE_FULL (mode write), STORAGE_UNAVAILABLE. */
  check(mode: EnterMode): void {
    const { usage } = this;
    if (!usage) return;
    const { storage } = this.#driver;
    if (usage.health !== 'ok' && (mode !== 'read' || this.silence !== null || UNREADABLE.test(usage.health))) {
      throw new ZringError('STORAGE_UNAVAILABLE', `storage ${storage}: ${usage.health}`, { subject: storage });
    }
    if (mode === 'write' && usage.freeBytes < this.minFreeBytes(usage.totalBytes)) {
      throw new ZringError('STORAGE_FULL', `storage ${storage} has ${usage.freeBytes} bytes free, below minFree`, {
        subject: storage,
      });
    }
  }

  /** As `check`; waits first while an answer is late, for it is either there soon or the storage is silent. */
  async admit(mode: EnterMode): Promise<void> {
    while (this.#pulse?.answer === 'late') await nextChange(this.#pulse);
    this.check(mode);
  }
}

function nextChange(pulse: StoragePulse): Promise<void> {
  return new Promise((resolve) => {
    const callOff = pulse.onChange(() => {
      callOff();
      resolve();
    });
  });
}

// Watches the pool: free space and health, polled and remembered, so that a request is refused from memory. Owns the last
// reading. Reads and deletions go on when space runs out; a pool that cannot be written, or read, is named.
import { ZringError } from '../common/errors.ts';
import type { Config } from '../config/types.ts';
import type { DatasetDriver, Usage } from '../dataset/driver.ts';
import type { EnterMode } from './gate.ts';

/** Words by which drivers name a pool whose reads would hang or fail too. */
const UNREADABLE = /suspend|fault|unavail|missing|gone/i;

export class StorageWatch {
  readonly #driver: DatasetDriver;
  readonly #config: () => Config;
  #usage: Usage | null = null;

  constructor(driver: DatasetDriver, config: () => Config) {
    this.#driver = driver;
    this.#config = config;
  }

  get usage(): Usage | null {
    return this.#usage;
  }

  async poll(): Promise<void> {
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
    const usage = this.#usage;
    if (!usage) return;
    const { storage } = this.#driver;
    if (usage.health !== 'ok' && (mode !== 'read' || UNREADABLE.test(usage.health))) {
      throw new ZringError('STORAGE_UNAVAILABLE', `storage ${storage}: ${usage.health}`, { subject: storage });
    }
    if (mode === 'write' && usage.freeBytes < this.minFreeBytes(usage.totalBytes)) {
      throw new ZringError('STORAGE_FULL', `storage ${storage} has ${usage.freeBytes} bytes free, below minFree`, {
        subject: storage,
      });
    }
  }
}

// What this node's disk says of itself: its id, and a mark that grows before every lease renewal. Owns `disk/*` and
// `lease/instance` in the node's DurableMap. The coordinator keeps the highest mark it has heard, so a disk that was put
// back (a snapshot, an image, an old device) is recognised by a mark that was said before.
//
// The refusal is durable too: a coordinator that forgets must not turn an old disk into a good one.
import type { DiskMark } from '../cluster/coordinator.ts';
import type { Entropy, Timers } from '../common/clock.ts';
import type { DurableMap } from '../common/durable-map.ts';

export interface DiskRefusal {
  /** The disk is older than what it said, or another one than this node is known with. */
  readonly why: 'went-back' | 'another';
  readonly known: DiskMark;
}

/** A flush that takes longer does not hold up the renewal, which then says the last mark again. */
const FLUSH_WAIT_MS = 2_000;

export class NodeDisk {
  /** The process that used this storage root before; null = none known. */
  readonly former: string | null;
  readonly #disk: DurableMap;
  readonly #timers: Timers;
  #id: string;
  /** The highest that may be on the disk, and the highest that certainly is. */
  #mark: number;
  #flushed: number;
  #flushing: Promise<void> | null = null;
  #refusal: DiskRefusal | null;

  constructor(disk: DurableMap, timers: Timers, entropy: Entropy) {
    this.#disk = disk;
    this.#timers = timers;
    this.former = disk.get('lease/instance') ?? null;
    this.#id = disk.get('disk/id') ?? entropy.hex(16);
    this.#mark = Number(disk.get('disk/mark') ?? 0);
    this.#flushed = this.#mark;
    this.#refusal = JSON.parse(disk.get('disk/refused') ?? 'null') as DiskRefusal | null;
  }

  /** As last heard; null while nothing speaks against this disk. */
  get refusal(): DiskRefusal | null {
    return this.#refusal;
  }

  /** A process starts on this disk. */
  async begin(instance: string): Promise<void> {
    this.#mark++;
    const mark = this.#mark;
    await this.#disk.commit([
      { key: 'lease/instance', value: instance },
      { key: 'disk/id', value: this.#id },
      { key: 'disk/mark', value: String(mark) },
    ]);
    this.#flushed = mark;
  }

  /** The next mark, on the disk; the last one again when the disk does not take it now. Never throws. */
  async next(): Promise<DiskMark> {
    this.#flushing ??= this.#flush();
    const flushing = this.#flushing;
    await new Promise<void>((resolve) => {
      const callOff = this.#timers.after(FLUSH_WAIT_MS, resolve, { background: true });
      void flushing.then(() => {
        callOff();
        resolve();
      });
    });
    return this.current();
  }

  /** What certainly stands on the disk. */
  current(): DiskMark {
    return { id: this.#id, mark: this.#flushed };
  }

  async #flush(): Promise<void> {
    this.#mark++;
    const mark = this.#mark;
    try {
      await this.#disk.commit([{ key: 'disk/mark', value: String(mark) }]);
      this.#flushed = Math.max(this.#flushed, mark);
    } catch {
      // Full or failing: the storage watch says so. A mark that got there unheard only makes the next one higher.
    } finally {
      this.#flushing = null;
    }
  }

  /** In force at once; kept for the next process as far as the disk takes it. */
  async refuse(known: DiskMark): Promise<DiskRefusal> {
    const refusal: DiskRefusal = { why: known.id === this.#id ? 'went-back' : 'another', known };
    this.#refusal = refusal;
    await this.#disk.commit([{ key: 'disk/refused', value: JSON.stringify(refusal) }]).catch(() => undefined);
    return refusal;
  }

  /**
   * The operator takes this disk for the node's: it goes on under the known id, above what was heard of that, so the disk
   * that it replaces is an old one from now on.
   */
  async accept(): Promise<void> {
    if (!this.#refusal) return;
    const { known } = this.#refusal;
    const mark = Math.max(known.mark, this.#mark) + 1;
    await this.#disk.commit([
      { key: 'disk/id', value: known.id },
      { key: 'disk/mark', value: String(mark) },
      { key: 'disk/refused', value: null },
    ]);
    this.#id = known.id;
    this.#mark = mark;
    this.#flushed = mark;
    this.#refusal = null;
  }
}

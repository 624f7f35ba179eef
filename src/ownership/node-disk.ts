// What this node's disk says of itself: its id, the last mark that the coordinator is known to have heard, and the marks
// made since (cluster/disk-chain.ts). Owns `disk/*` and `lease/instance` in the node's DurableMap. A disk that was put back
// (a snapshot, an image, an old device) lacks the mark that was heard after it was made, however many it makes itself.
//
// A mark is on the disk before it is said. While one is unheard no other is made, but by the next process: so what is
// said stays short, and two processes on copies of one disk never say the same. The refusal is durable too: a coordinator
// that forgets must not turn an old disk into a good one.
import {
  type DiskChain,
  type DiskMark,
  isBare,
  markOf,
  newestOf,
  numberOf,
  OFFERS_MAX,
} from '../cluster/disk-chain.ts';
import type { Entropy, Timers } from '../common/clock.ts';
import type { DurableChange, DurableMap } from '../common/durable-map.ts';

export interface DiskRefusal {
  /** The disk is older than what it said, or another one than this node is known with. */
  readonly why: 'went-back' | 'another';
  readonly known: DiskMark;
}

/** A flush that takes longer does not hold up the renewal, which then says what it said last. */
const FLUSH_WAIT_MS = 2_000;
const RANDOM_BYTES = 8;
/** As terms after an acceptance (I4): above all that the disk which is replaced may have been heard with. */
const ACCEPTED_ABOVE = 1_000_000;

export class NodeDisk {
  /** The process that used this storage root before; null = none known. */
  readonly former: string | null;
  readonly #disk: DurableMap;
  readonly #timers: Timers;
  readonly #entropy: Entropy;
  #id: string;
  #heard: string;
  /** Certainly on the disk, and not known to be heard; newest last. */
  #offers: readonly string[];
  /** Of the newest mark that was ever made here. */
  #made: number;
  #flushing: Promise<void> | null = null;
  #refusal: DiskRefusal | null;

  constructor(disk: DurableMap, timers: Timers, entropy: Entropy) {
    this.#disk = disk;
    this.#timers = timers;
    this.#entropy = entropy;
    this.former = disk.get('lease/instance') ?? null;
    this.#id = disk.get('disk/id') ?? entropy.hex(16);
    // Earlier releases kept a bare number, which grew whether it was heard or not.
    this.#heard = disk.get('disk/heard') ?? disk.get('disk/mark') ?? '0';
    this.#offers = disk.get('disk/offers')?.split(' ').filter(Boolean) ?? [];
    this.#made = Math.max(...[this.#heard, ...this.#offers].map(numberOf));
    this.#refusal = parseRefusal(disk.get('disk/refused'));
  }

  /** As last heard; null while nothing speaks against this disk. */
  get refusal(): DiskRefusal | null {
    return this.#refusal;
  }

  /** A mark that was made earlier and is not known to be heard goes before any new one. */
  get pending(): boolean {
    return this.#offers.length > 0 || this.#flushing !== null;
  }

  /** Numbers: whatever is made from now on is above `made`. */
  get progress(): { readonly made: number; readonly heard: number } {
    return { made: this.#made, heard: numberOf(this.#heard) };
  }

  /** A process starts on this disk. */
  async begin(instance: string): Promise<void> {
    // So many processes that heard nothing: the next one says what the last one said.
    const offers = this.#offers.length < OFFERS_MAX ? [...this.#offers, this.#make()] : this.#offers;
    await this.#disk.commit([
      { key: 'lease/instance', value: instance },
      { key: 'disk/id', value: this.#id },
      ...chainChanges(this.#heard, offers),
    ]);
    this.#offers = offers;
  }

  /** With a new mark, on the disk, when the last one was heard; without when the disk does not take it now. Never throws. */
  async next(): Promise<DiskChain> {
    if (this.#offers.length > 0) return this.current();
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
  current(): DiskChain {
    return { id: this.#id, heard: this.#heard, offers: this.#offers };
  }

  /** The coordinator keeps what was said. On the disk with the next mark: till then the next process says both. */
  hear(said: DiskChain): void {
    const newest = newestOf(said);
    const at = this.#offers.indexOf(newest);
    if (at < 0) return;
    this.#heard = newest;
    this.#offers = this.#offers.slice(at + 1);
  }

  async #flush(): Promise<void> {
    const offers = [this.#make()];
    try {
      await this.#disk.commit(chainChanges(this.#heard, offers));
      this.#offers = offers;
    } catch {
      // Full or failing: the storage watch says so. A mark that got there unsaid is one more that the next process says.
    } finally {
      this.#flushing = null;
    }
  }

  #make(): string {
    return markOf(++this.#made, this.#entropy.hex(RANDOM_BYTES));
  }

  /** In force at once; kept for the next process as far as the disk takes it. */
  async refuse(known: DiskMark): Promise<DiskRefusal> {
    const refusal: DiskRefusal = { why: known.id === this.#id ? 'went-back' : 'another', known };
    this.#refusal = refusal;
    await this.#disk.commit([{ key: 'disk/refused', value: JSON.stringify(refusal) }]).catch(() => undefined);
    return refusal;
  }

  /**
   * The operator takes this disk for the node's: it goes on under the known id from what was heard of that, so the disk
   * that it replaces is an old one from now on. Its own marks go with it: a coordinator that had forgotten everything may
   * have been told them since.
   */
  async accept(): Promise<void> {
    if (!this.#refusal) return;
    const { known } = this.#refusal;
    const own = [this.#heard, ...this.#offers].filter((mark) => !isBare(mark));
    this.#made = Math.max(this.#made, numberOf(known.mark)) + ACCEPTED_ABOVE;
    const offers = [...own.slice(1 - OFFERS_MAX), this.#make()];
    await this.#disk.commit([
      { key: 'disk/id', value: known.id },
      { key: 'disk/refused', value: null },
      ...chainChanges(known.mark, offers),
    ]);
    this.#id = known.id;
    this.#heard = known.mark;
    this.#offers = offers;
    this.#refusal = null;
  }
}

function chainChanges(heard: string, offers: readonly string[]): DurableChange[] {
  return [
    { key: 'disk/heard', value: heard },
    { key: 'disk/offers', value: offers.join(' ') },
    { key: 'disk/mark', value: null },
  ];
}

function parseRefusal(text: string | undefined): DiskRefusal | null {
  if (text === undefined) return null;
  const { why, known } = JSON.parse(text) as { why: DiskRefusal['why']; known: { id: string; mark: string | number } };
  return { why, known: { id: known.id, mark: String(known.mark) } };
}

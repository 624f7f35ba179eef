// How full one open dataset is, against its quota: decides about bodies before they are kept, so that nothing runs into the
// file system's own limit. Owns the last measurement and what was promised to bodies since. Must not know ZFS or S3.
//
//   estimate = measured (everything that was there when the measurement began) + bodies ended since + bodies being written
//
// The estimate is an upper bound: it counts bodies uncompressed and knows of nothing that was freed. So nobody is refused
// on its word alone: what does not fit is measured anew first. Room that was freed a moment ago (the store keeps dropped
// files for readers that have just looked them up) is waited for.
import { ZringError } from '../common/errors.ts';
import type { BodyRoom } from '../store/types.ts';

export interface SpaceLimits {
  /** Bodies are taken up to here. */
  readonly bodyBytes: number;
  /** Beyond this also what brings no body is refused; deletions never are. */
  readonly writeBytes: number;
}

export interface SpaceMeterDeps {
  readonly dataset: string;
  /** Bytes that the dataset refers to, all that was written before the call included. */
  readonly measure: () => Promise<number>;
  readonly nowMs: () => number;
  readonly pause: (ms: number) => Promise<void>;
}

/** What the index takes for one object, beside its body: key, headers, metadata, and its part of new pages. */
const ENTRY_BYTES = 4096;
/** A measurement is believed this long before a refusal, and ten times as long as it took. */
const FRESH_MS = 500;
const MEASURING_SHARE = 10;
/** The store deletes dropped files after a second, and a little later they are gone: then it is measured what is left. */
const SETTLE_MS = 2_000;
/** While others go on deleting there is always something to wait for. */
const WAIT_MS = 5_000;
const PAUSE_MS = 250;
/** Buffers of a body that may not have reached the file system when a measurement begins. */
const BUFFERED_BYTES = 1 << 20;

interface Body {
  /** Counted in the estimate. */
  claimed: number;
  written: number;
  /** The part of it that the last measurement has seen. */
  measured: number;
  ended: boolean;
}

export class SpaceMeter {
  readonly #deps: SpaceMeterDeps;
  readonly #bodies = new Set<Body>();
  #limits: SpaceLimits | null = null;
  #measuredBytes: number | null = null;
  #measuredAtMs = Number.NEGATIVE_INFINITY;
  #measuringTookMs = 0;
  /** Not in the last measurement, and not being written any more. */
  #sinceBytes = 0;
  #freedAtMs = Number.NEGATIVE_INFINITY;
  #measuring: Promise<number> | null = null;

  constructor(deps: SpaceMeterDeps) {
    this.#deps = deps;
  }

  setLimits(limits: SpaceLimits | null): void {
    this.#limits = limits;
  }

  /** Infinite as long as nothing was measured. */
  get estimateBytes(): number {
    let bytes = (this.#measuredBytes ?? Number.POSITIVE_INFINITY) + this.#sinceBytes;
    for (const body of this.#bodies) bytes += body.claimed - body.measured;
    return bytes;
  }

  /** A commit without a body is about to come. */
  note(): void {
    this.#sinceBytes += ENTRY_BYTES;
  }

  /** Something was deleted; its room comes a moment later. */
  noteFreed(): void {
    this.#freedAtMs = this.#deps.nowMs();
  }

  /** Errors: QUOTA_EXCEEDED. For a request that brings no body, or before its body is known. */
  async requireWritable(): Promise<void> {
    await this.#until(() => this.#limits === null || this.estimateBytes <= this.#limits.writeBytes);
  }

  /** Errors: QUOTA_EXCEEDED when a body of so many bytes would not be taken now. Promises nothing. */
  async requireRoom(bytes: number): Promise<void> {
    await this.#until(() => this.#fits(bytes));
  }

  openBody(sizeHint: number | null): BodyRoom {
    const body: Body = { claimed: 0, written: 0, measured: 0, ended: false };
    this.#bodies.add(body);
    return {
      take: (bytes) => {
        body.written += bytes;
        const more = Math.max(body.written, sizeHint ?? 0) - body.claimed;
        if (more <= 0) return;
        const claim = () => {
          if (!this.#fits(more)) return false;
          body.claimed += more;
          return true;
        };
        if (claim()) return;
        return this.#until(() => body.ended || claim());
      },
      end: (kept) => {
        if (body.ended) return;
        body.ended = true;
        this.#bodies.delete(body);
        const takenBytes = Math.min(body.claimed, body.written);
        if (takenBytes === 0 && !kept) return;
        this.#sinceBytes += Math.max(0, takenBytes - body.measured) + ENTRY_BYTES;
        // What was given up is there until it is swept.
        if (!kept) this.#freedAtMs = this.#deps.nowMs();
      },
    };
  }

  #fits(bytes: number): boolean {
    return this.#limits === null || this.estimateBytes + bytes + ENTRY_BYTES <= this.#limits.bodyBytes;
  }

  async #until(holds: () => boolean): Promise<void> {
    if (holds()) return;
    const { nowMs, pause, dataset } = this.#deps;
    const untilMs = nowMs() + WAIT_MS;
    for (;;) {
      const settledMs = this.#freedAtMs + SETTLE_MS;
      await this.refresh(nowMs() >= settledMs ? settledMs : undefined);
      if (holds()) return;
      if (this.#measuredAtMs >= this.#freedAtMs + SETTLE_MS || nowMs() >= untilMs) {
        throw new ZringError('QUOTA_EXCEEDED', `${dataset} has reached its quota`, { subject: dataset });
      }
      await pause(PAUSE_MS);
    }
  }

  /**
   * Resolves with what was measured, now or a moment ago; `sinceMs`: not before then. Errors: those of the storage.
   */
  async refresh(sinceMs = Number.NEGATIVE_INFINITY): Promise<number> {
    const freshMs = Math.max(FRESH_MS, this.#measuringTookMs * MEASURING_SHARE);
    const isFresh = this.#deps.nowMs() - this.#measuredAtMs < freshMs && this.#measuredAtMs >= sinceMs;
    if (this.#measuredBytes !== null && isFresh) return this.#measuredBytes;
    this.#measuring ??= this.#measure().finally(() => {
      this.#measuring = null;
    });
    return this.#measuring;
  }

  async #measure(): Promise<number> {
    const beganMs = this.#deps.nowMs();
    const sinceBytes = this.#sinceBytes;
    const written = [...this.#bodies].map((body) => ({ body, bytes: Math.max(0, body.written - BUFFERED_BYTES) }));
    const endedBytes = new Map(written.map(({ body, bytes }) => [body, bytes - body.measured]));
    const measured = await this.#deps.measure();
    this.#measuredBytes = measured;
    this.#sinceBytes -= sinceBytes;
    for (const { body, bytes } of written) {
      // One that ended meanwhile went to `since` with what the former measurement had not seen.
      if (body.ended) this.#sinceBytes -= Math.max(0, endedBytes.get(body) ?? 0);
      else body.measured = Math.min(bytes, body.claimed);
    }
    this.#sinceBytes = Math.max(0, this.#sinceBytes);
    this.#measuredAtMs = beganMs;
    this.#measuringTookMs = this.#deps.nowMs() - beganMs;
    return measured;
  }
}

// Chance from a seed, and what is drawn from it.
import type { Entropy } from '../../src/common/clock.ts';

export class Random {
  #a: number;

  constructor(seed: number) {
    this.#a = seed >>> 0;
  }

  /** From 0, below 1 (mulberry32). */
  fraction(): number {
    this.#a = (this.#a + 0x6d2b79f5) >>> 0;
    let t = this.#a;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  }

  chance(probability: number): boolean {
    return this.fraction() < probability;
  }

  /** A whole number from `from` to `to`, both included. */
  whole(from: number, to: number): number {
    return from + Math.floor(this.fraction() * (to - from + 1));
  }

  /** Uniform in a range of real numbers. */
  between(from: number, to: number): number {
    return from + this.fraction() * (to - from);
  }

  pick<T>(items: readonly T[]): T | undefined {
    return items[Math.floor(this.fraction() * items.length)];
  }

  /** Short most of the time, now and then much longer: how networks and disks wait. */
  latency(usualMs: number): number {
    const base = usualMs * (0.5 + this.fraction());
    return this.chance(0.02) ? base * this.whole(5, 200) : base;
  }

  hex(bytes: number): string {
    let text = '';
    for (let i = 0; i < bytes; i++) text += this.whole(0, 255).toString(16).padStart(2, '0');
    return text;
  }

  entropy(): Entropy {
    return { hex: (bytes) => this.hex(bytes), fraction: () => this.fraction() };
  }
}

// Random numbers of a seed: the same seed gives the same numbers on every machine. Pure apart from the generator's own
// state. sfc32, seeded by splitmix-like mixing of a text, so that `17/crash/3` and `17/crash/4` have nothing in common.

export interface Random {
  /** 0 ≤ x < 1. */
  next(): number;
  /** 0 ≤ n < below. */
  below(below: number): number;
  /** from ≤ n ≤ to, whole. */
  between(from: number, to: number): number;
  pick<T>(items: readonly T[]): T;
  chance(probability: number): boolean;
  shuffled<T>(items: readonly T[]): T[];
}

export function createRandom(seed: string): Random {
  let [a, b, c, d] = [0x9e3779b9, 0x243f6a88, 0xb7e15162, 1];
  const step = (): number => {
    const t = (((a + b) | 0) + d) | 0;
    d = (d + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = ((c << 21) | (c >>> 11)) + t;
    c |= 0;
    return (t >>> 0) / 4294967296;
  };
  for (const character of seed) {
    a ^= Math.imul((character.codePointAt(0) ?? 0) + 1, 0x85ebca6b);
    step();
  }
  for (let i = 0; i < 20; i += 1) step();

  const random: Random = {
    next: step,
    below: (below) => Math.floor(step() * below),
    between: (from, to) => from + Math.floor(step() * (to - from + 1)),
    pick(items) {
      const item = items[random.below(items.length)];
      if (item === undefined) throw new RangeError('pick from nothing');
      return item;
    },
    chance: (probability) => step() < probability,
    shuffled(items) {
      const left = [...items];
      const out: (typeof left)[number][] = [];
      while (left.length > 0) out.push(...left.splice(random.below(left.length), 1));
      return out;
    },
  };
  return random;
}

/** A number for a part of a run, from the number of the whole: `subSeed(7, 'round', 3)`. */
export function subSeed(seed: number, ...path: readonly (string | number)[]): number {
  return createRandom([seed, ...path].join('/')).between(1, 2 ** 31 - 1);
}

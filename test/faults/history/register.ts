// Linearizability of one register (a key, or whether a bucket exists) with outcomes that stay unknown. Pure.
//
// Just-in-time linearization (Lowe, "Testing for linearizability", 2017), breadth first: the events are walked in the
// order of time with the set of all configurations that are possible so far. A configuration is the state, which of the
// operations under way have taken effect, and which unknown ones were used up. When an operation returns, every
// configuration must have it done, or be brought there by operations under way; those that cannot are dropped, and a set
// that becomes empty is the violation, found at the smallest prefix that has one.
//
// What keeps it small, without losing or inventing a verdict:
//   - An observation changes nothing, so it is done the moment the state allows it: earlier is never worse.
//   - An unknown operation is used only right before one that could not be done without it: earlier it could be moved
//     there, or left out if something was written over it meanwhile (it has no end that it could come too late for).
//   - Unknown operations with the same effect are a number, not individuals. A value that nobody mentions is "some value".
//   - Of two configurations that differ in what was used up, the one that used less can do all that the other can.

export const ABSENT = '';
/** Present with a value that no operation of the history can tell from others. */
const SOMETHING = '*';

export type Needs =
  | { readonly kind: 'any' }
  | { readonly kind: 'absent' }
  | { readonly kind: 'present' }
  | { readonly kind: 'value'; readonly value: string }
  | { readonly kind: 'etag'; readonly etag: string }
  | { readonly kind: 'other-etag'; readonly etag: string };

export interface RegisterOperation {
  readonly invokedMs: number;
  /** Infinity: unknown, it may take effect at any time or never. */
  readonly returnedMs: number;
  /** What must hold of the state at the moment when it takes effect. */
  readonly needs: Needs;
  /** The state afterwards; null: an observation. */
  readonly writes: string | null;
}

export interface RegisterOptions {
  readonly initial?: string;
  readonly etagOf?: (value: string) => string | undefined;
  /** Configurations looked at, for one register, before the search is given up. */
  readonly stepsMax?: number;
}

export type RegisterVerdict =
  | { readonly kind: 'linearizable' }
  | {
      readonly kind: 'violation';
      /** Index of the operation whose return cannot be explained. */
      readonly at: number;
      /** Operations that had been invoked by then: the smallest prefix, as indexes. */
      readonly prefix: number;
      /** States that were possible right before, and the indexes of what was under way. */
      readonly states: readonly string[];
      readonly underWay: readonly number[];
    }
  | { readonly kind: 'undecided'; readonly at: number };

const STEPS_MAX = 2_000_000;
/** Unknown operations that depend on one another, used at one moment. */
const CHAIN_MAX = 4;

interface Configuration {
  readonly state: string;
  /** Bit of each operation under way that has taken effect. */
  readonly done: bigint;
  /** How often each class of unknown operations was used; missing = never. */
  readonly used: ReadonlyMap<number, number>;
}

interface UnderWay {
  readonly index: number;
  readonly bit: bigint;
  readonly needs: Needs;
  readonly writes: string | null;
}

/** Unknown operations that nobody can tell apart. */
interface UnknownClass {
  readonly needs: Needs;
  readonly writes: string;
  available: number;
}

export function checkRegister(
  operations: readonly RegisterOperation[],
  options: RegisterOptions = {},
): RegisterVerdict {
  return new Search(operations, options).run();
}

class Search {
  readonly #operations: readonly RegisterOperation[];
  readonly #etagOf: (value: string) => string | undefined;
  readonly #initial: string;
  readonly #mentionedValues = new Set<string>();
  readonly #mentionedEtags = new Set<string>();
  readonly #classes: UnknownClass[] = [];
  readonly #classOf = new Map<string, number>();
  readonly #underWay = new Map<number, UnderWay>();
  readonly #freeBits: bigint[] = [];
  #bits = 0n;
  #stepsLeft: number;

  constructor(operations: readonly RegisterOperation[], options: RegisterOptions) {
    this.#operations = operations;
    this.#etagOf = options.etagOf ?? (() => undefined);
    this.#stepsLeft = options.stepsMax ?? STEPS_MAX;
    for (const { needs } of operations) {
      if (needs.kind === 'value') this.#mentionedValues.add(needs.value);
      if (needs.kind === 'etag' || needs.kind === 'other-etag') this.#mentionedEtags.add(needs.etag);
    }
    this.#initial = this.#named(options.initial ?? ABSENT);
  }

  run(): RegisterVerdict {
    let configurations: readonly Configuration[] = [{ state: this.#initial, done: 0n, used: new Map() }];
    let invoked = 0;
    for (const { index, returns } of eventsOf(this.#operations)) {
      if (!returns) {
        invoked += 1;
        configurations = this.#invoke(index, configurations);
        continue;
      }
      const before = configurations;
      const underWay = this.#require(index);
      const after = this.#afterReturn(underWay, configurations);
      if (this.#stepsLeft < 0) return { kind: 'undecided', at: index };
      if (after.length === 0) {
        const states = [...new Set(before.map(({ state }) => state))];
        return { kind: 'violation', at: index, prefix: invoked, states, underWay: [...this.#underWay.keys()] };
      }
      this.#underWay.delete(index);
      this.#freeBits.push(underWay.bit);
      configurations = this.#merge(after.map((one) => ({ ...one, done: one.done & ~underWay.bit })));
    }
    return { kind: 'linearizable' };
  }

  #invoke(index: number, configurations: readonly Configuration[]): readonly Configuration[] {
    const { needs, writes, returnedMs } = this.#require(index, this.#operations[index]);
    if (returnedMs === Number.POSITIVE_INFINITY) {
      if (writes !== null) this.#available(needs, this.#named(writes));
      return configurations;
    }
    const bit = this.#freeBits.pop() ?? this.#newBit();
    const named = writes === null ? null : this.#named(writes);
    this.#underWay.set(index, { index, bit, needs, writes: named });
    if (writes !== null) return configurations;
    const seen = (one: Configuration) => (this.#holds(needs, one.state) ? { ...one, done: one.done | bit } : one);
    return configurations.map(seen);
  }

  #newBit(): bigint {
    this.#bits += 1n;
    return 1n << (this.#bits - 1n);
  }

  #available(needs: Needs, writes: string): void {
    const name = `${JSON.stringify(needs)} ${writes}`;
    let at = this.#classOf.get(name);
    if (at === undefined) {
      at = this.#classes.push({ needs, writes, available: 0 }) - 1;
      this.#classOf.set(name, at);
    }
    this.#require(at, this.#classes[at]).available += 1;
  }

  /** All configurations in which the operation has taken effect, each reached with no more than it takes. */
  #afterReturn(target: UnderWay, from: readonly Configuration[]): readonly Configuration[] {
    const done = (one: Configuration) => (one.done & target.bit) !== 0n;
    if (from.every(done)) return from;
    const reached: Configuration[] = [];
    const seen = new Dominated();
    const stack = [...from];
    for (let one = stack.pop(); one; one = stack.pop()) {
      this.#stepsLeft -= 1;
      if (this.#stepsLeft < 0) return [];
      if (!seen.add(one)) continue;
      if (done(one)) reached.push(one);
      else this.#moves(one, (next) => stack.push(next));
    }
    return reached;
  }

  #moves(from: Configuration, move: (next: Configuration) => void): void {
    for (const { bit, needs, writes } of this.#underWay.values()) {
      if ((from.done & bit) !== 0n) continue;
      const take = (ground: Configuration) => {
        // An observation is done with the state that satisfies it.
        const state = writes ?? ground.state;
        move(this.#observed({ state, done: ground.done | bit, used: ground.used }));
      };
      if (this.#holds(needs, from.state)) take(from);
      else this.#enable(from, needs, CHAIN_MAX, take);
    }
  }

  /** Ways to make it hold by unknown operations, the last of which does. */
  #enable(from: Configuration, needs: Needs, chain: number, found: (ground: Configuration) => void): void {
    if (chain === 0) return;
    for (const [at, one] of this.#classes.entries()) {
      if (!this.#holds(needs, one.writes)) continue;
      const use = (ground: Configuration) => {
        const count = (ground.used.get(at) ?? 0) + 1;
        if (count > one.available) return;
        const used = new Map(ground.used).set(at, count);
        found(this.#observed({ state: one.writes, done: ground.done, used }));
      };
      if (this.#holds(one.needs, from.state)) use(from);
      else this.#enable(from, one.needs, chain - 1, use);
    }
  }

  /** What is being observed and holds now is done. */
  #observed(one: Configuration): Configuration {
    let { done } = one;
    for (const { bit, needs, writes } of this.#underWay.values())
      if (writes === null && (done & bit) === 0n && this.#holds(needs, one.state)) done |= bit;
    return done === one.done ? one : { ...one, done };
  }

  #merge(configurations: readonly Configuration[]): readonly Configuration[] {
    if (configurations.length < 2) return configurations;
    const seen = new Dominated();
    return configurations.filter((one) => seen.add(one)).filter((one) => seen.holds(one));
  }

  #holds(needs: Needs, state: string): boolean {
    switch (needs.kind) {
      case 'any':
        return true;
      case 'absent':
        return state === ABSENT;
      case 'present':
        return state !== ABSENT;
      case 'value':
        return state === needs.value;
      case 'etag':
        return state !== ABSENT && this.#etagOf(state) === needs.etag;
      case 'other-etag':
        return state !== ABSENT && this.#etagOf(state) !== needs.etag;
    }
  }

  #named(state: string): string {
    if (state === ABSENT || this.#mentionedValues.has(state)) return state;
    const etag = this.#etagOf(state);
    return etag !== undefined && this.#mentionedEtags.has(etag) ? state : SOMETHING;
  }

  #require(index: number): UnderWay;
  #require<T>(index: number, found: T | undefined): T;
  #require<T>(index: number, found?: T): T | UnderWay {
    const value = found ?? this.#underWay.get(index);
    if (value === undefined) throw new Error(`operation ${index} is not under way`);
    return value;
  }
}

/** Configurations by state and what is done; of those that differ only in what was used up, the ones that used least. */
class Dominated {
  readonly #kept = new Map<string, Configuration[]>();

  /** @returns false when there is one already that is as good. */
  add(one: Configuration): boolean {
    const name = `${one.done} ${one.state}`;
    const kept = this.#kept.get(name);
    if (!kept) {
      this.#kept.set(name, [one]);
      return true;
    }
    if (kept.some((other) => usedNoMore(other, one))) return false;
    this.#kept.set(name, [...kept.filter((other) => !usedNoMore(one, other)), one]);
    return true;
  }

  holds(one: Configuration): boolean {
    return this.#kept.get(`${one.done} ${one.state}`)?.includes(one) ?? false;
  }
}

function usedNoMore(a: Configuration, b: Configuration): boolean {
  for (const [at, count] of a.used) if (count > (b.used.get(at) ?? 0)) return false;
  return true;
}

interface RegisterEvent {
  readonly atMs: number;
  readonly index: number;
  readonly returns: boolean;
}

/** At the same time invocations come first: what may overlap is taken to overlap. */
function eventsOf(operations: readonly RegisterOperation[]): RegisterEvent[] {
  const events: RegisterEvent[] = [];
  for (const [index, { invokedMs, returnedMs }] of operations.entries()) {
    events.push({ atMs: invokedMs, index, returns: false });
    if (returnedMs !== Number.POSITIVE_INFINITY) events.push({ atMs: returnedMs, index, returns: true });
  }
  return events.sort((a, b) => a.atMs - b.atMs || Number(a.returns) - Number(b.returns) || a.index - b.index);
}

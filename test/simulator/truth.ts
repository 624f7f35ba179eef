// What is true in a simulated world, seen from above: every opening, every flush, every answer a client got. It holds the
// invariants against them at the moment they happen:
//
//   I1  a write that is acknowledged was flushed under the highest term opened anywhere; a read shows what was current
//       there at some moment between question and answer
//   I2  an opening finds everything that was flushed under the term before; what was in flight may be there or not
//   I3  a bucket that certainly exists is never answered as absent, one that is certainly gone never as there
//   I4  terms of openings only grow
//   an id that is buried is never served again, and the newest copy of a living dataset is never set aside or destroyed
import { compareTerms, formatTerm, type Term } from '../../src/common/term.ts';

type Objects = ReadonlyMap<string, string>;

export interface Write {
  readonly number: number;
  readonly id: string;
  readonly term: Term;
  readonly key: string;
  readonly value: string | null;
  state: 'pending' | 'flushed' | 'dropped' | 'outlived';
}

interface DatasetTruth {
  highest: Term;
  /** What was current, since which step; newest last. */
  readonly versions: { readonly step: number; readonly objects: Objects }[];
  readonly pending: Set<Write>;
  /** An operator has given up what came after this; counts from an opening far above. */
  givenUp: Objects | null;
}

/** No term is so far above another by itself. */
const FAR = 500_000;

function isSame(a: Objects, b: Objects): boolean {
  return a.size === b.size && [...a].every(([key, value]) => b.get(key) === value);
}

export class Violation extends Error {}

export class Truth {
  readonly #step: () => number;
  readonly #datasets = new Map<string, DatasetTruth>();
  readonly #writes: Write[] = [];
  /** Ids of datasets that are gone for good. */
  readonly #buried = new Set<string>();
  readonly count: (what: string) => void;
  readonly note: (line: string) => void;
  violation: Violation | null = null;

  constructor(step: () => number, count: (what: string) => void, note: (line: string) => void) {
    this.#step = step;
    this.count = count;
    this.note = note;
  }

  fail(message: string): void {
    this.note(`VIOLATION ${message}`);
    this.violation ??= new Violation(message);
  }

  opened(node: string, id: string, term: Term, objects: Objects): void {
    this.count('opening');
    this.note(`${node} opens ${id.slice(0, 6)} at ${formatTerm(term)}`);
    const known = this.#datasets.get(id);
    if (!known) {
      this.#datasets.set(id, {
        highest: term,
        versions: [{ step: this.#step(), objects }],
        pending: new Set(),
        givenUp: null,
      });
      return;
    }
    this.#mustLive(id, `${node} opens it`);
    if (compareTerms(term, known.highest) <= 0) {
      this.fail(`I4: ${id} opened on ${node} at ${formatTerm(term)} after ${formatTerm(known.highest)}`);
    }
    const isSuccession = known.givenUp !== null && term.n - known.highest.n > FAR;
    const current = isSuccession ? known.givenUp : known.versions.at(-1)?.objects;
    this.#compare(node, id, known, objects, current ?? new Map());
    if (isSuccession) known.givenUp = null;
    known.highest = term;
    // What was in flight under a lower term is part of this opening, or must never be acknowledged.
    for (const write of known.pending) write.state = objects.get(write.key) === write.value ? 'flushed' : 'outlived';
    known.pending.clear();
    known.versions.push({ step: this.#step(), objects });
  }

  /** Its tombstone was committed above everything that was opened, or a client was told that it is removed. */
  bury(id: string, term: Term | null): void {
    const known = this.#datasets.get(id);
    if (known && (term === null || compareTerms(term, known.highest) >= 0)) this.#buried.add(id);
  }

  isBuried(id: string): boolean {
    return this.#buried.has(id);
  }

  highestOf(id: string): Term | null {
    return this.#datasets.get(id)?.highest ?? null;
  }

  get ids(): number {
    return this.#datasets.size;
  }

  #mustLive(id: string, what: string): void {
    if (this.#buried.has(id)) this.fail(`I3: ${id} is removed, and ${what}`);
  }

  /** An operator's word: goes on from here, which is what it once was, as a whole. */
  giveUp(id: string, objects: Objects): void {
    const known = this.#datasets.get(id);
    if (!known) return;
    this.count('owner given up');
    const was = known.versions.some((version) => isSame(version.objects, objects));
    if (!was) this.fail(`I2: a replica of ${id} holds what it never was: ${JSON.stringify([...objects])}`);
    known.givenUp = objects;
  }

  /** An owner's copy leaves its name, or is destroyed. */
  setAside(node: string, id: string, term: Term): void {
    const highest = this.highestOf(id);
    if (!highest || this.#buried.has(id) || compareTerms(term, highest) < 0) return;
    if (this.#datasets.get(id)?.givenUp) return;
    this.fail(`I2: ${node} puts away ${id} at ${formatTerm(term)}, and nothing newer was opened`);
  }

  #compare(node: string, id: string, known: DatasetTruth, objects: Objects, current: Objects): void {
    for (const key of new Set([...current.keys(), ...objects.keys()])) {
      const want = current.get(key) ?? null;
      const found = objects.get(key) ?? null;
      if (want === found) continue;
      const explained = [...known.pending].some((write) => write.key === key && write.value === found);
      if (!explained) this.fail(`I2: ${id} on ${node}: ${key} is ${found}, and ${want} was flushed`);
    }
  }

  begin(id: string, term: Term, key: string, value: string | null): Write {
    const write: Write = { number: this.#writes.length, id, term, key, value, state: 'pending' };
    this.#writes.push(write);
    this.#datasets.get(id)?.pending.add(write);
    return write;
  }

  dropped(write: Write): void {
    write.state = 'dropped';
    this.#datasets.get(write.id)?.pending.delete(write);
  }

  flushed(write: Write, objects: Objects): void {
    const dataset = this.#datasets.get(write.id);
    if (!dataset || write.state !== 'pending') return;
    dataset.pending.delete(write);
    if (compareTerms(write.term, dataset.highest) < 0) {
      write.state = 'outlived';
      return;
    }
    write.state = 'flushed';
    dataset.versions.push({ step: this.#step(), objects });
  }

  acknowledged(number: number): void {
    this.count('acknowledged');
    const write = this.#writes[number];
    if (write?.state === 'flushed') return;
    this.fail(
      `I1: write ${number} of ${write?.key} in ${write?.id} under ${write && formatTerm(write.term)} was acknowledged, and is ${write?.state}`,
    );
  }

  /** What a reader saw, between these steps. */
  read(id: string, what: string, matches: (objects: Objects) => boolean, fromStep: number): void {
    this.count('read');
    if (this.#datasets.get(id) === undefined) this.fail(`I3: ${what} in ${id}, which nobody opened`);
    const versions = this.#datasets.get(id)?.versions ?? [];
    for (let i = versions.length - 1; i >= 0; i--) {
      const version = versions[i];
      if (version && matches(version.objects)) return;
      if (version && version.step < fromStep) break;
    }
    this.fail(`I1: ${what} in ${id}: nothing of the kind was current since step ${fromStep}`);
  }

  objectsOf(id: string): Objects {
    return this.#datasets.get(id)?.versions.at(-1)?.objects ?? new Map();
  }
}

/** What clients certainly know of one bucket name; one client at a time makes and removes it. */
export class BucketTruth {
  readonly name: string;
  /** Step since which it certainly exists; null = not certain. */
  existsSince: number | null = null;
  /** Step since which it is certainly gone. */
  goneSince: number | null = 0;
  #changing = 0;

  constructor(name: string) {
    this.name = name;
  }

  /** A creation or removal begins: nothing is certain from now on. */
  change(): void {
    this.#changing++;
    this.existsSince = null;
    this.goneSince = null;
  }

  /** It ended; unknown outcomes never end. */
  changed(outcome: 'exists' | 'gone' | 'unsure', step: number): void {
    this.#changing--;
    if (this.#changing > 0) return;
    if (outcome === 'exists') this.existsSince = step;
    if (outcome === 'gone') this.goneSince = step;
  }
}

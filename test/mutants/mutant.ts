// What a mutant is: one small fault put into the product on purpose, and the tests that have to notice it. Data only; the
// lists are protocol.ts, records.ts, coordinator.ts, dataset.ts, store.ts and routing.ts, run.ts carries them out.

/** One edit of a source file. `find` occurs exactly once in it: a mutant that no longer applies is an error, not a pass. */
export interface Edit {
  /** From the repository's root. */
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

/** Tests to run: one file, and of it one test by its exact name. */
export interface Catcher {
  readonly file: string;
  /** The test builds on those before it, so all of the file is run. */
  readonly wholeFile?: true;
  /** The leaf of nested suites. It passes on the sound program and fails on the mutant. */
  readonly test: string;
  /** For instance the seed and the number of runs of a random search. */
  readonly env?: Readonly<Record<string, string>>;
}

export interface Mutant extends Edit {
  readonly name: string;
  /** The promise that it breaks, and to whom. */
  readonly breaks: string;
  /** Where one rule is kept in two places on purpose, the fault needs both edits. */
  readonly also?: readonly Edit[];
  /** The first one has to catch it. Those behind it were seen to catch it too; `--all` runs them. */
  readonly caughtBy: readonly [Catcher, ...Catcher[]];
  /** The program stands still; running out of time counts as caught. */
  readonly hangs?: true;
}

export function editsOf(mutant: Mutant): readonly Edit[] {
  return [mutant, ...(mutant.also ?? [])];
}

/** The mutated text. @throws when `find` does not occur exactly once. */
export function applyEdit(text: string, { file, find, replace }: Edit): string {
  const first = text.indexOf(find);
  if (find === '' || first < 0) throw new Error(`${file} does not hold: ${find}`);
  if (text.indexOf(find, first + 1) >= 0) throw new Error(`${file} holds more than once: ${find}`);
  if (find === replace) throw new Error(`${file}: nothing is changed`);
  return text.slice(0, first) + replace + text.slice(first + find.length);
}

// Pure: what a run of tests says about a mutant.
import type { Catcher, Mutant } from './mutant.ts';
import type { TestRun } from './workshop.ts';

export interface Verdict {
  readonly mutant: string;
  readonly breaks: string;
  /** `void`: nothing was learned: the test did not run, or something else than the test failed. */
  readonly verdict: 'caught' | 'survived' | 'void';
  /** The test that caught it, or should have. */
  readonly file: string;
  readonly test: string;
  /** What the test said; why nothing was learned. */
  readonly said: string;
  readonly ms: number;
}

/** The sound program has to pass. Null = it does. */
export function baselineFault(run: TestRun, catcher: Catcher): string | null {
  const mine = run.outcomes.filter(({ name }) => name === catcher.test);
  const failed = mine.find(({ verdict }) => verdict === 'fail');
  if (failed) return `fails on the sound program: ${failed.message}`;
  if (run.timedOut) return 'does not end on the sound program';
  if (mine.some(({ verdict }) => verdict === 'pass')) return null;
  const skipped = mine.find(({ verdict }) => verdict === 'skipped');
  if (skipped) return `was skipped: ${skipped.reason}`;
  return `no test of this name in ${catcher.file}: ${run.said.trim().split('\n').at(-1) ?? ''}`;
}

export function judge(mutant: Mutant, catcher: Catcher, run: TestRun): Verdict {
  const { name, breaks } = mutant;
  const { file, test } = catcher;
  const verdict = (kind: Verdict['verdict'], said: string): Verdict => {
    return { mutant: name, breaks, verdict: kind, file, test, said, ms: Math.round(run.ms) };
  };
  const mine = run.outcomes.filter((outcome) => outcome.name === test);
  const failed = mine.find((outcome) => outcome.verdict === 'fail');
  if (failed) return verdict('caught', failed.message);
  if (run.timedOut) {
    return mutant.hangs ? verdict('caught', 'stands still') : verdict('void', 'the run took too long');
  }
  if (mine.some((outcome) => outcome.verdict === 'pass')) return verdict('survived', 'the test passes');
  // The file did not load, or another test of it ended the process: that proves nothing about this one.
  const other = run.outcomes.find((outcome) => outcome.verdict === 'fail');
  return verdict('void', other ? `${other.name}: ${other.message}` : `the test did not run: ${run.said.trim()}`);
}

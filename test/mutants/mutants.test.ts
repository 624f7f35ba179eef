// The list of mutants itself: each applies to the program of today, and names a test that is there. Whether the tests
// notice them is `npm run mutants`; here are its judgements, on runs made by hand.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { MUTANTS } from './all.ts';
import { baselineFault, judge } from './judge.ts';
import { applyEdit, editsOf, type Mutant } from './mutant.ts';
import { type Outcome, ROOT, type TestRun } from './workshop.ts';

const MUTANTS_MIN = 40;

describe('the list of mutants', () => {
  it('is long enough, and no name stands for two', () => {
    assert.ok(MUTANTS.length >= MUTANTS_MIN, `${MUTANTS.length} mutants`);
    assert.equal(new Set(MUTANTS.map(({ name }) => name)).size, MUTANTS.length, 'names are unique');
    const faults = MUTANTS.map(editsOf).map((edits) => JSON.stringify(edits));
    assert.equal(new Set(faults).size, MUTANTS.length, 'no fault is there twice');
  });

  it('says what each breaks, in code of the product', () => {
    for (const mutant of MUTANTS) {
      assert.match(mutant.name, /^[a-z0-9]+(-[a-z0-9]+)+$/);
      assert.ok(mutant.breaks.length > 10, mutant.name);
      for (const { file } of editsOf(mutant)) assert.match(file, /^src\/.*\.ts$/, mutant.name);
    }
  });

  it('applies to the program of today: what each replaces is there exactly once', () => {
    const faults: string[] = [];
    for (const mutant of MUTANTS) {
      const texts = new Map<string, string>();
      for (const edit of editsOf(mutant)) {
        try {
          const text = texts.get(edit.file) ?? readFileSync(join(ROOT, edit.file), 'utf8');
          texts.set(edit.file, applyEdit(text, edit));
        } catch (error) {
          faults.push(`${mutant.name}: ${(error as Error).message}`);
        }
      }
    }
    assert.deepEqual(faults, []);
  });

  it('names test files that are there', () => {
    for (const { name, caughtBy } of MUTANTS)
      for (const { file } of caughtBy) assert.ok(existsSync(join(ROOT, file)), `${name}: ${file}`);
  });
});

describe('an edit', () => {
  const edit = { file: 'f', find: 'one', replace: '$& two' };
  it('is made as it stands', () => {
    assert.equal(applyEdit('zero one', edit), 'zero $& two');
  });
  it('is refused where its place is gone, or not the only one', () => {
    assert.throws(() => applyEdit('zero', edit), /does not hold/);
    assert.throws(() => applyEdit('one one', edit), /more than once/);
    assert.throws(() => applyEdit('one', { ...edit, replace: 'one' }), /nothing is changed/);
  });
});

describe('a verdict', () => {
  const catcher = { file: 'test/x.test.ts', test: 'the rule' };
  const mutant: Mutant = { name: 'a-b', breaks: 'it', file: 'src/x.ts', find: 'a', replace: 'b', caughtBy: [catcher] };
  const run = (change: Partial<TestRun>, ...outcomes: Partial<Outcome>[]): TestRun => ({
    outcomes: outcomes.map((one) => ({
      verdict: 'pass',
      name: 'the rule',
      reason: '',
      kind: null,
      message: '',
      ...one,
    })),
    timedOut: false,
    ms: 1,
    said: '',
    ...change,
  });
  const of = (taken: TestRun, given = mutant) => judge(given, catcher, taken).verdict;

  it('is *caught* only by the named test', () => {
    assert.equal(of(run({}, { verdict: 'fail' })), 'caught');
    assert.equal(of(run({}, {})), 'survived');
    assert.equal(of(run({}, {}, { verdict: 'fail', name: 'another' })), 'survived');
    // The mutant does not load: nothing was tested.
    assert.equal(of(run({}, { verdict: 'fail', name: 'test/x.test.ts' })), 'void');
    assert.equal(of(run({})), 'void');
  });

  it('of a run that takes too long is *caught* only where standing still is the fault', () => {
    assert.equal(of(run({ timedOut: true })), 'void');
    assert.equal(of(run({ timedOut: true }), { ...mutant, hangs: true }), 'caught');
  });

  it('needs a test that runs and passes on the sound program', () => {
    assert.equal(baselineFault(run({}, {}), catcher), null);
    assert.match(baselineFault(run({}, { verdict: 'fail' }), catcher) ?? '', /fails on the sound program/);
    assert.match(baselineFault(run({}, { verdict: 'skipped', reason: 'no strace' }), catcher) ?? '', /no strace/);
    assert.match(baselineFault(run({}), catcher) ?? '', /no test of this name/);
    assert.match(baselineFault(run({ timedOut: true }, {}), catcher) ?? '', /does not end/);
  });
});

// Verdicts and sums: what makes a run fail, what makes it void, and that void runs count for nothing.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { addCounts, noCounts } from './counts.ts';
import { leftoversIn } from './lab/settle.ts';
import { parseFired } from './lab/streams.ts';
import { againLine, campaignLines, runLines, tableHead, tableRow, withRow } from './report.ts';
import { BAR, brokenRun, type CampaignResult, judge, type RunResult, sumCampaign } from './verdict.ts';

const GOOD: RunResult = {
  seed: 7,
  profile: 'crash',
  startedAt: '2026-01-02T03:04:05.000Z',
  seconds: 130,
  faultSeconds: 100,
  faults: { 'node-kill': { planned: 3, fired: 3 } },
  missed: [],
  counts: addCounts(noCounts(), { nodeKills: 3, moves: 2 }),
  operations: { ok: 3_000, failed: 500, unknown: 50 },
  checkedOperations: 3_550,
  violations: [],
  undecided: [],
  acknowledgedLost: 0,
  false404: 0,
  unsettled: [],
  leftovers: [],
  endedAlone: 0,
  error: null,
  folder: '/somewhere',
};

const CASES: [name: string, change: Partial<RunResult>, verdict: string][] = [
  ['all is well', {}, 'PASSED'],
  ['a violation', { violations: ['stale-read'] }, 'FAILED'],
  ['an acknowledged write is lost', { acknowledgedLost: 1 }, 'FAILED'],
  ['a false 404', { false404: 1 }, 'FAILED'],
  ['a dataset that does not come home', { unsettled: ['bucket-1'] }, 'FAILED'],
  ['a leftover', { leftovers: ['tank/_recv-1'] }, 'FAILED'],
  ['a failure outranks what would make it void', { violations: ['x'], error: 'broke', missed: ['y'] }, 'FAILED'],
  ['a planned fault did not fire', { missed: ['node-kill: not running'] }, 'VOID'],
  ['the harness stopped', { error: 'ENOENT' }, 'VOID'],
  ['the checker gave up', { undecided: ['a key'] }, 'VOID'],
  ['too little load', { operations: { ok: 799, failed: 500, unknown: 0 }, checkedOperations: 1_299 }, 'VOID'],
  ['just enough load', { operations: { ok: 800, failed: 500, unknown: 0 }, checkedOperations: 1_300 }, 'PASSED'],
  ['too short', { faultSeconds: 1, operations: { ok: 299, failed: 0, unknown: 0 }, checkedOperations: 299 }, 'VOID'],
  ['too many unknown', { operations: { ok: 2_000, failed: 0, unknown: 700 }, checkedOperations: 2_700 }, 'VOID'],
  ['not all were checked', { checkedOperations: 3_549 }, 'VOID'],
];

describe('verdict of a run', () => {
  for (const [name, change, verdict] of CASES) {
    test(`${name}: ${verdict}`, () => {
      const judgement = judge({ ...GOOD, ...change });
      assert.equal(judgement.verdict, verdict, judgement.reasons.join('; '));
      assert.equal(judgement.reasons.length > 0, verdict !== 'PASSED');
    });
  }
});

const campaign = (runs: RunResult[]): CampaignResult => ({
  seed: 1,
  commit: 'abc',
  startedAt: '2026-01-02T03:04:05.000Z',
  minutes: 60,
  profiles: ['crash'],
  clusters: 2,
  runs,
});

describe('sum of a campaign', () => {
  test('void runs count for nothing, failed ones do', () => {
    const failed = { ...GOOD, violations: ['x', 'y'], acknowledgedLost: 1 };
    const sum = sumCampaign([GOOD, GOOD, { ...GOOD, missed: ['z'] }, failed]);
    assert.deepEqual([sum.passed, sum.failed, sum.void, sum.verdict], [2, 1, 1, 'FAILED']);
    assert.deepEqual([sum.counts.nodeKills, sum.counts.moves, sum.checkedOperations], [9, 6, 3 * 3_550]);
    assert.deepEqual([sum.violations, sum.acknowledgedLost, sum.false404], [2, 1, 0]);
  });

  test('nothing but void runs is void', () => {
    assert.equal(sumCampaign([{ ...GOOD, missed: ['z'] }]).verdict, 'VOID');
    assert.equal(sumCampaign([]).verdict, 'VOID');
    assert.equal(sumCampaign([GOOD]).verdict, 'PASSED');
  });

  test('a run that left no result is void', () => {
    const sum = sumCampaign([GOOD, brokenRun(GOOD, 'killed')]);
    assert.deepEqual([sum.passed, sum.void, sum.counts.nodeKills], [1, 1, 3]);
  });

  test('says what is below the bar, by name and number', () => {
    const { checkedOperations, ...counts } = BAR;
    const enough = { ...GOOD, counts: addCounts(noCounts(), counts), checkedOperations };
    assert.deepEqual(sumCampaign([enough]).below, []);
    const less = { ...enough, counts: addCounts(enough.counts, { zombies: -1 }) };
    assert.deepEqual(sumCampaign([less]).below, ['zombies 199 of 200']);
  });
});

describe('what is printed', () => {
  test('a run: verdict, seed, counts, and why', () => {
    const text = runLines({ ...GOOD, missed: ['zombie: nobody owned anything'] }, 'abc').join('\n');
    for (const word of ['VOID', 'seed 7', 'crash', 'abc', 'node-kill 3', 'nobody owned anything', '/somewhere']) {
      assert.ok(text.includes(word), word);
    }
    assert.ok(
      campaignLines(campaign([GOOD]))
        .join('\n')
        .includes('a full campaign has more: nodeKills 3 of 300'),
    );
  });

  test('the line that repeats a run names all that the plan depends on', () => {
    const options = { faults: 60, ratePerSecond: 40 };
    const line = againLine(GOOD, 'abc', options);
    assert.ok(line.endsWith('--run 7 --profile crash --faults 60 --rate 40 --commit abc'), line);
    assert.ok(againLine(GOOD, 'abc-dirty', options).endsWith('--worktree'));
  });

  test('the row has as many cells as the head, and goes to the end of the table', () => {
    const row = tableRow(campaign([GOOD]));
    const cells = (line: string) => line.split('|').length;
    assert.equal(cells(row), cells(tableHead().split('\n')[0] ?? ''));
    const page = `before\n${tableHead()}\n<!-- campaigns end -->\nafter\n`;
    assert.equal(withRow(page, campaign([GOOD])), `before\n${tableHead()}\n${row}\n<!-- campaigns end -->\nafter\n`);
    assert.throws(() => withRow('no table', campaign([GOOD])));
  });
});

test('leftovers: staging names and too many snapshots of ours, nothing of the operator', () => {
  const root = 'tanka/zring';
  const fine = [root, `${root}/b`, `${root}/b@daily`, `${root}/_deposed-1-2.a-x`, `${root}/_zring`];
  const six = Array.from({ length: 6 }, (_, i) => `${root}/b@zring-step-a-${i}`);
  assert.deepEqual(leftoversIn([...fine, ...six]), []);
  const aside = Array.from({ length: 9 }, (_, i) => `${root}/_deposed-1-2.a-x@zring-step-a-${i}`);
  assert.deepEqual(leftoversIn([...fine, ...aside]), [], 'set aside as it was');
  assert.deepEqual(leftoversIn([...fine, ...six, `${root}/b@zring-final-1-x`]), [`${root}/b has 7 snapshots`]);
  assert.deepEqual(leftoversIn([`${root}/_recv-1`, `${root}/_deleted-1-x`]), [
    `${root}/_recv-1`,
    `${root}/_deleted-1-x`,
  ]);
});

test('cuts that fired, as the wrapper writes them down', () => {
  const fired = { direction: 'send', end: 'well', bytes: 312, stream: 'full' };
  assert.deepEqual(parseFired('3-0-1 b send well 312 full\n'), [{ id: '3-0-1', node: 'b', ...fired }]);
  assert.deepEqual(parseFired(''), []);
});

// A slice of the fault lab in the normal tests: one cluster, every kind of fault once, a checked history. A full campaign
// is `npm run faults` (docs/FAULTS.md). The seed is printed; ZRING_TEST_SEED repeats it.
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { part } from '../support/parts.ts';
import { launchRun } from './launch.ts';
import { planRun } from './plan.ts';
import { buildProgram } from './program.ts';
import { runLines } from './report.ts';

const SEED = Number(process.env.ZRING_TEST_SEED ?? 1 + (Date.now() % 1_000_000));
/** As many as the profile `mixed` has kinds. */
const FAULTS = 23;
/** A machine that does much else is slow, not wrong. */
const PATIENCE_MS = 600_000;

describe('fault lab', part('zfs-fuse', 'redis-server', 'netns', 'mounts'), () => {
  test(`every kind of fault once on a real cluster, seed ${SEED}: nothing acknowledged is lost, nothing is stale or left over`, async () => {
    const folder = await mkdtemp(join(tmpdir(), 'zring-faults-test-'));
    const program = await buildProgram(folder, { commit: null });
    const request = { seed: SEED, profile: 'mixed', faults: FAULTS, eachKindOnce: true, ratePerSecond: 30 } as const;
    const run = await launchRun(program, { ...request, folder: join(folder, 'run'), patienceMs: PATIENCE_MS });
    const text = `${runLines(run, program.commit).join('\n')}\n`;
    process.stderr.write(text);
    assert.equal(run.error, null, text);
    assert.deepEqual(run.violations, [], text);
    assert.deepEqual(
      [run.acknowledgedLost, run.false404, run.undecided, run.leftovers, run.unsettled],
      [0, 0, [], [], []],
    );
    // Every planned fault fired, and the counts that the bar is about are what the plan says, no less.
    assert.deepEqual(run.missed, [], text);
    const planned = planRun(request).waves.flat();
    assert.equal(planned.length, FAULTS);
    assert.equal(Object.keys(run.faults).length, FAULTS);
    for (const name of ['nodeKills', 'powerCuts', 'redisFaults', 'partitions', 'zombies', 'cutStreams'] as const) {
      assert.ok(run.counts[name] > 0, `${name}: none\n${text}`);
    }
    // The history is on disk, whole, and is what was judged.
    const lines = (await readFile(join(folder, 'run', 'history.jsonl'), 'utf8')).trimEnd().split('\n');
    assert.equal(lines.length, run.checkedOperations);
    assert.ok(run.operations.ok > 300, text);
    await rm(folder, { recursive: true, force: true });
  });
});

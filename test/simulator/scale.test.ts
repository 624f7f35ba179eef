// A slice of the scale simulation: what a node asks of the coordinator does not grow with the cluster. Counts, never times.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type PhaseResult, runPhases } from './scale-phases.ts';

const SIZES = [10, 40, 120];
const SEED = 1;
const DATASETS = 1200;

const results: PhaseResult[] = [];
for (const nodes of SIZES) {
  for await (const result of runPhases({ nodes, datasets: DATASETS, wholeNodes: 2, seed: SEED })) results.push(result);
}

function each(phase: string): PhaseResult[] {
  const found = results.filter(({ counts }) => counts.name === phase);
  assert.equal(found.length, SIZES.length);
  return found;
}

function perNodeSecond({ options, counts }: PhaseResult, value: number): number {
  return value / counts.seconds / options.nodes;
}

/** The largest cluster asks at most `factor` times what the smallest does. */
function assertFlat(phase: string, what: string, measure: (result: PhaseResult) => number, factor: number): void {
  const values = each(phase).map(measure);
  const [first = 0] = values;
  assert.ok(Math.max(...values) <= first * factor, `${phase}, ${what}, at ${SIZES} nodes (seed ${SEED}): ${values}`);
}

describe('a node asks the same of the coordinator in a cluster of any size', () => {
  for (const phase of ['quiet', 'reconnection', 'restart', 'changes', 'map change']) {
    test(`${phase}: calls`, () => {
      assertFlat(phase, 'calls', (result) => perNodeSecond(result, result.counts.calls), 1.3);
    });
  }

  for (const phase of ['quiet', 'reconnection', 'restart']) {
    test(`${phase}: bytes`, () => {
      assertFlat(phase, 'bytes', (result) => perNodeSecond(result, result.counts.bytes), 1.3);
    });
  }

  test('quiet: a few calls a second, and no node asks much more than another', () => {
    for (const result of each('quiet')) {
      const mean = result.counts.calls / result.options.nodes;
      assert.ok(perNodeSecond(result, result.counts.calls) < 2.5);
      assert.ok(
        result.counts.nodeCallsMax < mean * 1.5,
        `${result.counts.nodeCallsMax} calls of one node, ${mean} of most`,
      );
    }
  });

  test('a map change settles, and its busiest second is no storm', () => {
    for (const result of each('map change')) {
      assert.notEqual(result.settledS, null);
      assert.ok(result.moving > 0);
    }
    const [, , large] = each('map change');
    assert.ok(large && large.counts.peakCalls / large.options.nodes < 8, `${large?.counts.peakCalls} calls`);
  });

  test('a flushed coordinator is told everything again: each record is read once by each node, and hints nobody', () => {
    for (const { options, counts, settledS } of each('flush')) {
      assert.notEqual(settledS, null);
      const { changesSince, casRecord } = counts.methods;
      const perNode = (changesSince?.bytes ?? 0) / options.nodes;
      assert.ok(perNode < 700 * (DATASETS + 200), `${perNode} bytes for each of ${options.nodes} nodes`);
      assert.ok((casRecord?.calls ?? 0) < 1.2 * (DATASETS + 200));
      assert.ok(counts.hints < options.nodes * 100, `${counts.hints} hints`);
    }
  });

  test('a connection found again: nobody reads everything', () => {
    for (const { options, counts } of each('reconnection')) {
      assert.ok(counts.bytes / options.nodes < 50_000, `${counts.bytes / options.nodes} bytes per node`);
    }
  });

  test('the scenario did what it says', () => {
    for (const { failures } of results) assert.deepEqual(failures, {});
    for (const { counts } of each('changes')) assert.ok((counts.methods.casRecord?.calls ?? 0) > 300);
  });
});

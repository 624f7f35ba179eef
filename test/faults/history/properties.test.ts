// The checker against histories of a model: what a correct store does is always accepted, however requests overlap and
// whatever answers get lost; with one operation added that no order explains it is always refused. Seeded.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { checkHistory } from './check.ts';
import { ANOMALIES, type Anomaly, Model, type ModelOptions, spoil } from './model.ts';
import { Random } from './random.ts';

const SEED = Number(process.env.ZRING_TEST_SEED ?? Date.now() % 1_000_000);
const ROUNDS = Number(process.env.ZRING_TEST_ROUNDS ?? 60);
const OPERATIONS = Number(process.env.ZRING_TEST_OPERATIONS ?? 30_000);

const SHAPES: readonly ModelOptions[] = [
  { operations: 60, clients: 2, keys: 2, lost: 0 },
  { operations: 120, clients: 4, keys: 3, lost: 0.1 },
  { operations: 200, clients: 8, keys: 4, lost: 0.3 },
  { operations: 400, clients: 6, keys: 30, lost: 0.1 },
];

function historyOf(seed: number) {
  const random = new Random(seed);
  const shape = random.pick(SHAPES);
  return { random, operations: new Model(random, shape).history() };
}

test(`${ROUNDS} histories of a correct store are accepted, seed ${SEED}`, () => {
  const kinds = new Set<string>();
  for (let at = 0; at < ROUNDS; at += 1) {
    const { operations } = historyOf(SEED + at);
    const checked = checkHistory(operations);
    assert.deepEqual(checked.violations, [], `ZRING_TEST_SEED=${SEED + at}`);
    assert.equal(checked.acknowledgedLost + checked.false404, 0, `ZRING_TEST_SEED=${SEED + at}`);
    for (const { kind, outcome, status } of operations) kinds.add(`${kind} ${outcome} ${status}`);
  }
  // The model does what it is for.
  for (const one of [
    'put unknown null',
    'put failed 412',
    'delete failed 412',
    'copy ok 200',
    'get ok 404',
    'delete-bucket ok 204',
  ])
    assert.ok(kinds.has(one), one);
});

describe(`one anomaly in a correct history is found, seed ${SEED}`, () => {
  for (const anomaly of Object.keys(ANOMALIES) as Anomaly[])
    test(anomaly, () => {
      let spoiled = 0;
      for (let at = 0; spoiled < ROUNDS / 5; at += 1) {
        assert.ok(at < ROUNDS * 20, 'the model hardly ever has a place for it');
        const { random, operations } = historyOf(SEED + at);
        const wrong = spoil(operations, anomaly, random);
        if (!wrong) continue;
        spoiled += 1;
        const checked = checkHistory(wrong);
        assert.ok(checked.violations.length > 0, `ZRING_TEST_SEED=${SEED + at}`);
        assert.ok(!checked.byKind.undecided && !checked.byKind['history-malformed'], `ZRING_TEST_SEED=${SEED + at}`);
      }
    });
});

test(`acknowledged writes that disappear are counted, seed ${SEED}`, () => {
  for (let at = 0; at < ROUNDS; at += 1) {
    const { operations } = historyOf(SEED + at);
    const finals = operations.filter(({ final, seen }) => final && seen);
    const writer = (value: string | null | undefined) => operations.find(({ written }) => written?.value === value);
    const acknowledged = finals.filter(({ seen }) => writer(seen?.value)?.outcome === 'ok');
    const hadDelete = (key: string | null) => operations.some((one) => one.kind === 'delete' && one.key === key);
    const certain = acknowledged.filter(({ key }) => !hadDelete(key));
    if (certain.length === 0) continue;
    const lost = new Set(certain);
    const wrong = operations.map((one) =>
      lost.has(one) ? { ...one, status: 404, code: 'NoSuchKey', seen: null } : one,
    );
    assert.ok(checkHistory(wrong).acknowledgedLost >= certain.length, `ZRING_TEST_SEED=${SEED + at}`);
  }
});

test(`${OPERATIONS} operations over thousands of keys are decided, seed ${SEED}`, () => {
  const operations = new Model(new Random(SEED), {
    operations: OPERATIONS,
    clients: 32,
    keys: 3000,
    lost: 0.02,
  }).history();
  const beganMs = performance.now();
  const checked = checkHistory(operations);
  const seconds = (performance.now() - beganMs) / 1000;
  assert.deepEqual(checked.violations, []);
  assert.ok(operations.length > OPERATIONS);
  process.stdout.write(`# ${operations.length} operations in ${seconds.toFixed(1)} s\n`);
});

// The search against brute force: every order of a few operations is tried. Random small histories, right and wrong ones,
// with equal times, unknown outcomes, conditions, and values that share an ETag. Seeded; a failing one prints its seed.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from './random.ts';
import { ABSENT, checkRegister, type Needs, type RegisterOperation } from './register.ts';

const SEED = Number(process.env.ZRING_TEST_SEED ?? Date.now() % 1_000_000);
const HISTORIES = Number(process.env.ZRING_TEST_HISTORIES ?? 40_000);
const VALUES = ['v1', 'v2', 'v3', 'v4'];
/** The first two have the same bytes. */
const etagOf = (value: string) => ({ v1: 'e1', v2: 'e1', v3: 'e3', v4: 'e4' })[value];

function holds(needs: Needs, state: string): boolean {
  if (needs.kind === 'any') return true;
  if (needs.kind === 'absent') return state === ABSENT;
  if (needs.kind === 'value') return state === needs.value;
  if (state === ABSENT) return false;
  if (needs.kind === 'present') return true;
  return (etagOf(state) === needs.etag) === (needs.kind === 'etag');
}

/** Definition of linearizability, word by word. */
function bruteForce(operations: readonly RegisterOperation[]): boolean {
  const known = (one: RegisterOperation) => one.returnedMs !== Number.POSITIVE_INFINITY;
  const search = (state: string, left: readonly RegisterOperation[]): boolean => {
    if (!left.some(known)) return true;
    return left.some((next) => {
      if (left.some((other) => known(other) && other.returnedMs < next.invokedMs)) return false;
      if (!holds(next.needs, state)) return false;
      return search(
        next.writes ?? state,
        left.filter((one) => one !== next),
      );
    });
  };
  return search(ABSENT, operations);
}

function randomNeeds(random: Random): Needs {
  const kind = random.weighted({ any: 5, absent: 3, present: 2, value: 5, etag: 2, 'other-etag': 1 });
  if (kind === 'value') return { kind, value: random.pick(VALUES) };
  if (kind === 'etag' || kind === 'other-etag') return { kind, etag: random.pick(['e1', 'e3', 'e4']) };
  return { kind };
}

function randomHistory(random: Random): RegisterOperation[] {
  const unwritten = [...VALUES];
  const unknown = random.pick([0, 0.2, 0.5]);
  const spread = random.pick([4, 8, 20]);
  return Array.from({ length: random.between(2, 7) }, () => {
    const invokedMs = random.below(spread);
    const mutation = random.chance(0.55);
    const value = random.chance(0.25) ? ABSENT : unwritten.splice(random.below(unwritten.length), 1)[0];
    const writes = mutation && value !== undefined ? value : null;
    const returnedMs =
      writes !== null && random.chance(unknown) ? Number.POSITIVE_INFINITY : invokedMs + random.below(6);
    const plain = writes !== null && random.chance(0.6);
    return { invokedMs, returnedMs, needs: plain ? { kind: 'any' } : randomNeeds(random), writes };
  });
}

test(`${HISTORIES} small histories, seed ${SEED}: the same verdict as brute force`, () => {
  const counts = { right: 0, wrong: 0 };
  for (let at = 0; at < HISTORIES; at += 1) {
    const seed = SEED + at;
    const operations = randomHistory(new Random(seed));
    const expected = bruteForce(operations);
    const verdict = checkRegister(operations, { etagOf });
    counts[expected ? 'right' : 'wrong'] += 1;
    assert.equal(
      verdict.kind,
      expected ? 'linearizable' : 'violation',
      `ZRING_TEST_SEED=${seed}: ${JSON.stringify(operations)}`,
    );
  }
  // Both verdicts are exercised.
  assert.ok(Math.min(counts.right, counts.wrong) > HISTORIES / 10, JSON.stringify(counts));
});

test(`the smallest prefix that fails, seed ${SEED}: without what returns at or after the violation it is right`, () => {
  for (let at = 0; at < HISTORIES / 10; at += 1) {
    const seed = SEED + at;
    const operations = randomHistory(new Random(seed));
    const verdict = checkRegister(operations, { etagOf });
    if (verdict.kind !== 'violation') continue;
    const failing = operations[verdict.at];
    assert.ok(failing);
    const prefix = operations.filter(({ invokedMs }) => invokedMs <= failing.returnedMs);
    assert.equal(verdict.prefix, prefix.length, `seed ${seed}`);
    const order = (one: RegisterOperation) => [one.returnedMs, operations.indexOf(one)] as const;
    const earlier = (one: RegisterOperation) => {
      const [a, b] = [order(one), order(failing)];
      return a[0] < b[0] || (a[0] === b[0] && a[1] < b[1]);
    };
    // What had not returned by then may still have any result: it is as good as unknown.
    const cut = prefix.filter((one) => earlier(one) || one.writes !== null);
    const open = cut.map((one) => (earlier(one) ? one : { ...one, returnedMs: Number.POSITIVE_INFINITY }));
    assert.ok(bruteForce(open), `seed ${seed}: ${JSON.stringify(operations)}`);
    assert.ok(!bruteForce([...open.filter((_, i) => cut[i] !== failing), failing]), `seed ${seed}`);
  }
});

test('many operations at once, and many unknown ones, are decided', () => {
  const operations: RegisterOperation[] = [];
  // A hundred unknown writes and deletes beside a reader that sees some of them, and a refused create now and then.
  for (let at = 0; at < 100; at += 1) {
    const base = { invokedMs: at, returnedMs: Number.POSITIVE_INFINITY, needs: { kind: 'any' } } as const;
    operations.push({ ...base, writes: `u${at}` }, { ...base, writes: ABSENT });
  }
  for (let at = 0; at < 100; at += 1) {
    const times = { invokedMs: 200 + at * 3, returnedMs: 201 + at * 3 };
    const needs: Needs =
      at % 3 === 0 ? { kind: 'absent' } : at % 3 === 1 ? { kind: 'present' } : { kind: 'value', value: `u${at}` };
    operations.push({ ...times, needs, writes: null });
  }
  assert.equal(checkRegister(operations, { etagOf: (value) => value }).kind, 'linearizable');
  const used = { invokedMs: 600, returnedMs: 601, needs: { kind: 'value', value: 'u2' }, writes: null } as const;
  assert.equal(checkRegister([...operations, used]).kind, 'violation');
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { RecordPage } from '../../src/cluster/coordinator.ts';
import type { Call } from '../../src/cluster/coordinator-call.ts';
import { StateMachine } from '../../src/cluster/coordinator-state.ts';
import type { DurableMap } from '../../src/common/durable-map.ts';
import { recordOf } from '../contract/coordinator/suite.ts';

/** A machine over a plain Map, restarted from it at will. */
function world() {
  const content = new Map<string, string>();
  const disk: DurableMap = {
    get: (key) => content.get(key),
    entries: (prefix) => [...content].filter(([key]) => key.startsWith(prefix)),
    commit: async () => {},
    close: async () => {},
  };
  let ids = 0;
  const deps = { monotonicMs: () => 0, randomId: () => `id-${++ids}` };
  let machine = new StateMachine(disk, deps);
  return {
    run<T>(call: Call): T {
      const { value, changes } = machine.run(call);
      for (const change of changes) {
        if (change.value === null) content.delete(change.key);
        else content.set(change.key, change.value);
      }
      return value as T;
    },
    restart() {
      machine = new StateMachine(disk, deps);
    },
  };
}

test('changes since any cursor are what a list of everything would give, across restarts and thousands of changes', () => {
  const steps = fc.array(fc.oneof(fc.nat(20), fc.constant('restart' as const)), { maxLength: 200 });
  fc.assert(
    fc.property(steps, fc.nat(220), fc.integer({ min: 1, max: 7 }), (list, cursor, limit) => {
      const { run, restart } = world();
      for (const step of list) {
        if (step === 'restart') {
          restart();
          continue;
        }
        const dataset = `d-${step}`;
        const tag = run<{ tag: string } | null>({ method: 'readRecord', args: [dataset] })?.tag ?? null;
        run({ method: 'casRecord', args: [dataset, tag, recordOf(dataset, 'a')] });
      }
      const changes = list.filter((step) => step !== 'restart');
      const expected = [...new Set(changes.map((step) => `d-${step}`))]
        .map((dataset) => ({ dataset, counter: changes.findLastIndex((step) => `d-${step}` === dataset) + 1 }))
        .filter((entry) => entry.counter > cursor)
        .sort((a, b) => a.counter - b.counter)
        .map((entry) => entry.dataset);
      const seen: string[] = [];
      for (let at = cursor; ; ) {
        const page = run<RecordPage>({ method: 'changesSince', args: [at, limit] });
        assert.ok(page.records.length <= limit);
        seen.push(...page.records.map((entry) => entry.record.dataset));
        if (page.records.length === 0) break;
        assert.ok(page.cursor > at);
        at = page.cursor;
      }
      assert.deepEqual(seen, expected);
    }),
    { verbose: 1 },
  );
});

test('a record that changes thousands of times is one change to read, and costs the memory of one', () => {
  const { run } = world();
  run({ method: 'casRecord', args: ['quiet', null, recordOf('quiet', 'a')] });
  let tag: string | null = null;
  for (let i = 0; i < 5000; i++) {
    const call: Call = { method: 'casRecord', args: ['busy', tag, recordOf('busy', 'a')] };
    tag = run<{ value: { tag: string } }>(call).value.tag;
  }
  const names = (cursor: number) => {
    const page = run<RecordPage>({ method: 'changesSince', args: [cursor, 10] });
    return page.records.map((entry) => entry.record.dataset);
  };
  assert.deepEqual(names(0), ['quiet', 'busy']);
  assert.deepEqual(names(1), ['busy']);
  assert.deepEqual(names(5000), ['busy']);
  assert.deepEqual(names(5001), []);
});

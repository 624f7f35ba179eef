// What a node has told a new incarnation when it says that it has told everything (I3: others conclude absence from it).
import assert from 'node:assert/strict';
import test from 'node:test';
import type { Coordinator } from '../../src/cluster/coordinator.ts';
import type { DurableMap } from '../../src/common/durable-map.ts';
import { ZringError } from '../../src/common/errors.ts';
import { createSystemClock } from '../../src/common/system-clock.ts';
import { CatalogKeeper } from '../../src/ownership/catalog-keeper.ts';
import { report } from '../../src/ownership/report.ts';
import type { DatasetRunner } from '../../src/ownership/runner.ts';
import { silentLogger } from '../../src/telemetry/log.ts';
import { createMemoryCluster } from '../support/memory-coordinator.ts';
import { copyOf, PREPARED, recordOf, start } from './words.ts';

const disk: DurableMap = {
  get: () => undefined,
  entries: () => [],
  commit: async () => undefined,
  close: async () => undefined,
};

/** Node a with these machines; `calls` are its changes at the coordinator, in their order. */
async function setUp(...states: DatasetRunner['state'][]) {
  const memory = createMemoryCluster();
  const base = memory.connect();
  const calls: string[] = [];
  let failing = false;
  const coordinator = new Proxy<Coordinator>(base, {
    get(target, key) {
      const value: unknown = Reflect.get(target, key);
      if (typeof value !== 'function') return value;
      return (...args: unknown[]) => {
        if (key === 'casRecord' || key === 'markReported') calls.push(key);
        if (key === 'casRecord' && failing)
          return Promise.reject(new ZringError('COORDINATOR_OUTCOME_UNKNOWN', 'the reply was lost'));
        return value.apply(target, args);
      };
    },
  });
  const logger = silentLogger();
  const keeper = new CatalogKeeper({
    node: 'a',
    coordinator,
    disk,
    clock: createSystemClock(),
    logger,
    pageRecords: 100,
    onChange: () => undefined,
  });
  await keeper.sync();
  const runners = states.map((state) => ({ dataset: state.dataset, state }) as DatasetRunner);
  return {
    base,
    calls,
    keeper,
    fail: (fails: boolean) => {
      failing = fails;
    },
    report: () => report({ coordinator, catalog: keeper, logger, runners: () => runners }),
  };
}

test('everything owned here is told before the report', async () => {
  const { base, calls, report } = await setUp(start({ copy: copyOf() }));
  await report();
  assert.deepEqual(calls, ['casRecord', 'markReported']);
  assert.deepEqual((await base.readRecord('d'))?.record, recordOf());
});

test('a record that may not have got there leaves the report open', async () => {
  const { calls, keeper, fail, report } = await setUp(start({ copy: copyOf() }));
  fail(true);
  await assert.rejects(report(), { code: 'COORDINATOR_OUTCOME_UNKNOWN' });
  assert.ok(!calls.includes('markReported'), 'not reported');
  assert.equal(keeper.catalog.reported, false);
  fail(false);
  await report();
  assert.equal(keeper.catalog.reported, true);
});

test('a copy that is taken over here, and has no record yet, leaves the report open', async () => {
  const { calls, report } = await setUp(start({ self: 'a', copy: { ...PREPARED, term: { n: 4, node: 'a' } } }));
  await report();
  assert.deepEqual(calls, []);
});

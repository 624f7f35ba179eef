// The candidates for a pull: whatever changes and in whatever order, after enough rounds they are what a look at all would say.
import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { type Catalog, EMPTY_CATALOG, learnAll } from '../../src/ownership/catalog.ts';
import { Placement } from '../../src/ownership/placement.ts';
import { recordOf, term } from './words.ts';

function world() {
  let catalog: Catalog = EMPTY_CATALOG;
  let homes: Record<string, string> = {};
  let counter = 0;
  const placement = new Placement({
    self: 'a',
    catalog: {
      get catalog() {
        return catalog;
      },
    },
    map: { home: (dataset) => homes[dataset] ?? 'b', replicas: () => [] },
  });
  const write = (dataset: string, owner: string, change: { target?: string; deleted?: boolean }) => {
    counter++;
    const phase = change.deleted ? 'deleted' : change.target ? 'copying' : 'stable';
    const record = recordOf({ dataset, owner, term: term(counter, owner), phase, target: change.target ?? null });
    catalog = learnAll(catalog, [{ record, tag: `${counter}-0` }]).catalog;
    placement.recordsChanged([dataset]);
  };
  const setHomes = (next: Record<string, string>) => {
    homes = next;
    placement.lookAtAll();
  };
  const away = () => [...placement.away()].map(({ dataset }) => dataset).sort();
  const expected = () =>
    [...catalog.entries.values()]
      .map(({ record }) => record)
      .filter(({ phase, owner }) => phase !== 'deleted' && owner !== 'a')
      .filter(({ dataset, target }) => target === 'a' || (homes[dataset] ?? 'b') === 'a')
      .map(({ dataset }) => dataset)
      .sort();
  return { placement, write, setHomes, away, expected };
}

test('what should be here and is not: its home is here, or it is claimed for here; never what is deleted', () => {
  const { placement, write, setHomes, away } = world();
  setHomes({ photos: 'a', gone: 'a', mine: 'a' });
  write('photos', 'b', {});
  write('gone', 'b', { deleted: true });
  write('mine', 'a', {});
  write('claimed', 'b', { target: 'a' });
  write('theirs', 'b', {});
  assert.equal(placement.refresh(), true);
  assert.deepEqual(away(), ['claimed', 'photos']);
});

test('a look at all is spread over rounds, and says so; what it proposes meanwhile is asked again', () => {
  const { placement, write, setHomes, away } = world();
  const names = Array.from({ length: 10 }, (_, i) => `d${i}`);
  for (const name of names) write(name, 'b', {});
  while (!placement.refresh());
  setHomes(Object.fromEntries(names.map((name) => [name, 'a'])));
  assert.equal(placement.refresh(4), false);
  assert.equal(away().length, 4);
  // They are to stay where they are after all: nothing of the former look is proposed.
  setHomes({});
  assert.deepEqual(away(), []);
  while (!placement.refresh(4));
  assert.deepEqual(away(), []);
});

test('whatever changes in whatever order: after enough rounds it is what a look at all says', () => {
  const name = fc.constantFrom('p', 'q', 'r', 's');
  const node = fc.constantFrom('a', 'b', 'c');
  const step = fc.oneof(
    fc.record({ kind: fc.constant('write' as const), name, node, target: fc.option(node, { nil: undefined }) }),
    fc.record({ kind: fc.constant('delete' as const), name, node }),
    fc.record({ kind: fc.constant('homes' as const), homes: fc.dictionary(name, node) }),
    fc.record({ kind: fc.constant('round' as const), looks: fc.integer({ min: 1, max: 3 }) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const { placement, write, setHomes, away, expected } = world();
      for (const one of steps) {
        if (one.kind === 'write') write(one.name, one.node, one.target === undefined ? {} : { target: one.target });
        else if (one.kind === 'delete') write(one.name, one.node, { deleted: true });
        else if (one.kind === 'homes') setHomes(one.homes);
        else placement.refresh(one.looks);
        // Never anything that does not belong here, also halfway.
        for (const dataset of away()) assert.ok(expected().includes(dataset));
      }
      while (!placement.refresh(1));
      assert.deepEqual(away(), expected());
    }),
  );
});

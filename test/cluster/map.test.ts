import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseMap, serializeMap } from '../../src/cluster/map.ts';
import { coded, mapOf } from '../contract/coordinator/suite.ts';

const map = mapOf(7, ['a', 'b']);
const first = map.nodes[0];

describe('map text', () => {
  test('round trip, sorted by id, and the same text whatever the order of keys and nodes', () => {
    assert.deepEqual(parseMap(serializeMap(map)), map);
    const shuffled = Object.fromEntries(Object.entries({ ...map, nodes: [...map.nodes].reverse() }).reverse());
    assert.equal(serializeMap(shuffled as never), serializeMap(map));
  });

  test('golden: version 1 as the first release wrote it', () => {
    const text =
      '{"version":1,"cluster":"lab","epoch":3,"revision":2,"contentHash":"ab","settings":{"copies":2,"leaseMs":10000},' +
      '"nodes":[{"id":"a","zone":"r1","weight":1.5,"state":"draining","s3":"h:1","peer":"h:2","admin":"h:3"}]}';
    assert.equal(serializeMap(parseMap(text)), text);
    assert.equal(parseMap(text).nodes[0]?.state, 'draining');
  });

  test('a newer version is refused by name', () => {
    assert.throws(() => parseMap(JSON.stringify({ ...map, version: 2, more: 1 })), coded('VERSION_UNSUPPORTED'));
  });

  const broken: Record<string, unknown> = {
    'no object': [],
    'no version': { ...map, version: undefined },
    'version 0': { ...map, version: 0 },
    'epoch 0': { ...map, epoch: 0 },
    'epoch of text': { ...map, epoch: '7' },
    'fraction of a revision': { ...map, revision: 1.5 },
    'unknown field': { ...map, extra: 1 },
    'no nodes': { ...map, nodes: [] },
    'a node twice': { ...map, nodes: [first, first] },
    'a node with an upper-case id': { ...map, nodes: [{ ...first, id: 'A' }] },
    'a node without zone': { ...map, nodes: [{ ...first, zone: '' }] },
    'a node in an unknown state': { ...map, nodes: [{ ...first, state: 'gone' }] },
    'a negative weight': { ...map, nodes: [{ ...first, weight: -1 }] },
    'an unknown field of a node': { ...map, nodes: [{ ...first, extra: 1 }] },
    'no leaseMs': { ...map, settings: { copies: 1 } },
    null: null,
  };
  for (const [title, value] of Object.entries(broken)) {
    test(`refused: ${title}`, () => assert.throws(() => parseMap(JSON.stringify(value)), coded('COORDINATOR_CORRUPT')));
  }
  test('refused: cut text', () => {
    assert.throws(() => parseMap(serializeMap(map).slice(0, -5)), coded('COORDINATOR_CORRUPT'));
  });
});
